#pragma once
// Regular files: mapped into memory, where the system fetches a page when it is looked at; or read.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

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

  /// The path as given.
  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

/// A regular file that is read by parts. Unlike a mapped one it may be rewritten or shortened meanwhile: that is a DataError, or gives
/// bytes of both states. Failures are DataErrors that name the file.
class InputFile {
 public:
  explicit InputFile(std::string path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  /// The path as given.
  const std::string& path() const { return path_; }
  /// How many bytes it had when it was opened.
  std::uint64_t size() const { return size_; }
  /// Fills `to` with the bytes from `offset` on, all of which must be there.
  void read(std::uint64_t offset, std::span<std::byte> to) const;
  std::vector<std::byte> read_all() const;

 private:
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

}  // namespace wengert
