// Programs.
#include <autodiff/program/program_file.h>

#include <vector>

#include "memory_file.h"
#include "targets.h"

namespace wengert::fuzz::readers {

// The file's checksum is made right first: otherwise every change ends there.
void program(Bytes input) {
  std::vector<std::uint8_t> bytes(input.begin(), input.end());
  if (bytes.size() >= 8) {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (std::size_t i = 0; i + 8 < bytes.size(); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
    for (std::size_t i = 0; i < 8; ++i) bytes[bytes.size() - 8 + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  }
  static_cast<void>(read_program(MemoryFile(bytes).path()));
}

}  // namespace wengert::fuzz::readers
