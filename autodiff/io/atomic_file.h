#pragma once
// Output files that appear complete or not at all.
#include <string>
#include <string_view>

namespace wengert {

/// A file that is being written, in the folder of `path` under a temporary name; `commit` renames it to `path`. Without `commit` (after an
/// exception or an early return) it is removed, and an existing file at `path` is unchanged. If `path` exists and is not a regular file,
/// such as a pipe, it is written directly. Every failure is a DataError that names `path` and the system's reason.
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
  void close() noexcept;

  std::string path_;       // as the user wrote it, for messages
  std::string target_;     // path_ with symbolic links resolved, so that a link stays a link
  std::string temporary_;  // empty if path_ is written directly
  int descriptor_ = -1;
};

/// Replaces the file at `path` by `contents`, atomically.
void write_file_atomically(const std::string& path, std::string_view contents);

}  // namespace wengert
