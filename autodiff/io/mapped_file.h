#pragma once
// The bytes of a file in memory, without reading it: the system loads each page on first access.
#include <cstddef>
#include <span>
#include <string>

#include "autodiff/error.h"

namespace wengert {

/// A regular file, mapped for reading from construction to destruction. Failures are DataErrors that name the file. If the file is
/// replaced by a rename in the meantime (as AtomicFile does), the mapping keeps the old contents; if it is truncated in place, access
/// kills the process.
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
