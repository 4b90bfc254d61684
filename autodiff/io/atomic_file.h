#pragma once
// Output files that appear complete or not at all.
#include <cstddef>
#include <string>
#include <string_view>

namespace wengert {

/// A file under construction: it is written without a name (under a temporary one beside `path`, where the file system cannot do that),
/// and `commit` puts it in the place of `path`. Without `commit` (an exception, an early return, a process that is killed) nothing is
/// left and an older file at `path` stays as it was. A symbolic link stays one: what it leads to is written, whether it is there or not.
/// A `path` that exists and is no regular file, such as a pipe, is written to directly. Every failure is a DataError that names `path`
/// and the reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(std::string_view bytes);
  /// Waits until the bytes are on the disk, then renames. Nothing may be written afterwards.
  void commit();

 private:
  [[noreturn]] void fail(int error) const;
  void open_temporary();
  void name_temporary();
  bool lock() const;
  void close() noexcept;

  std::string path_;       // as the user wrote it, for messages
  std::string target_;     // path_ with symbolic links followed: the link stays a link
  std::string temporary_;  // the name that is to be renamed; empty while there is none
  bool nameless_ = false;
  int descriptor_ = -1;
};

/// Replaces the file at `path` by `contents`, atomically.
void write_file_atomically(const std::string& path, std::string_view contents);

/// Removes the temporary files in the folder of `path` whose writers are gone: a process that is killed at the wrong moment may leave one.
/// Those of writers that live, in this process or another, are locked and stay. Returns how many were removed; a folder that cannot be
/// read has none.
std::size_t remove_stale_temporaries(const std::string& path);

}  // namespace wengert
