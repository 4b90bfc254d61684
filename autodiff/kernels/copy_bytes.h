#pragma once
// Copies of 16 to 64 bytes without a call, and of long runs where the C library's are slow.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "autodiff/kernels/target.h"

namespace wengert::kernels {

/// Whether memcpy may take two to ten times as long as usual. Where the target address, modulo 4 KB, is less than 64 bytes above the source
/// address, each load looks as if it read what was stored just before (4K aliasing); and `rep movsb`, to which glibc leaves some of these
/// copies, is slower still on Zen processors.
inline bool seem_to_overlap(const std::byte* to, const std::byte* from) {
  const auto behind = (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from)) % 4096;
  return behind > 0 && behind < 64;
}

/// Copies n >= 64 bytes from the end to the start, so that no load is close to the store before it.
inline void copy_backwards(std::byte* to, const std::byte* from, std::size_t n) {
  run_on_best_target([=]() __attribute__((always_inline)) {
    typedef char Line __attribute__((vector_size(64)));
    Line first, line;
    std::memcpy(&first, from, sizeof(Line));
    for (std::size_t rest = n; rest > sizeof(Line);) {
      rest -= sizeof(Line);
      std::memcpy(&line, from + rest, sizeof(Line));
      std::memcpy(to + rest, &line, sizeof(Line));
      asm("" : "+r"(rest));  // or the compiler calls memcpy
    }
    std::memcpy(to, &first, sizeof(Line));
  });
}

/// Copies n bytes between ranges that do not overlap.
inline void copy_bytes(std::byte* to, const std::byte* from, std::size_t n) {
  using Sixteen = std::array<std::byte, 16>;
  constexpr std::size_t kPart = sizeof(Sixteen), kLong = 1024;
  if (n < kPart || n > 4 * kPart) {
    if (n > kLong && seem_to_overlap(to, from)) return copy_backwards(to, from, n);
    std::memcpy(to, from, n);
    return;
  }
  // The first and the last bytes, which may be some of the same.
  const std::size_t second = n >= 2 * kPart ? kPart : 0;
  Sixteen first, after, before, last;
  std::memcpy(&first, from, kPart);
  std::memcpy(&after, from + second, kPart);
  std::memcpy(&before, from + n - kPart - second, kPart);
  std::memcpy(&last, from + n - kPart, kPart);
  std::memcpy(to, &first, kPart);
  std::memcpy(to + second, &after, kPart);
  std::memcpy(to + n - kPart - second, &before, kPart);
  std::memcpy(to + n - kPart, &last, kPart);
}

}  // namespace wengert::kernels
