#pragma once
// A file's bytes in memory, without reading them: the system fetches a page when it is looked at.
#include <cstddef>
#include <span>
#include <string>

#include "autodiff/error.h"

namespace wengert {

/// A regular file, mapped for reading from construction to destruction. Failures are DataErrors that name the file. A file that is replaced
/// by rename meanwhile (as AtomicFile does it) stays what it was here; one that somebody else shortens in place ends the process.
class MappedFile {
 public:
  explicit MappedFile(std::string path);
  MappedFile(MappedFile&& o) noexcept;
  MappedFile& operator=(MappedFile&& o) noexcept;
  ~MappedFile();

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  [[noreturn]] void fail(const std::string& what) const;

  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace wengert
