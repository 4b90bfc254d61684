#pragma once
// A file that is never written. A file system takes longer for each input than most readers; and what lies behind a mapped file is a page
// that may be read, where behind an array AddressSanitizer finds every read.
#include <cstddef>
#include <cstdint>
#include <span>

namespace wengert::fuzz {

/// While it exists, what the readers call (open, fstat, read, pread, mmap, munmap, close) finds `bytes` at its path. One at a time.
class MemoryFile {
 public:
  /// `bytes` must outlive it.
  explicit MemoryFile(std::span<const std::uint8_t> bytes);
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  /// A descriptor or a mapping that is left ends the program, and a file that was never opened.
  ~MemoryFile();

  const char* path() const;
};

}  // namespace wengert::fuzz
