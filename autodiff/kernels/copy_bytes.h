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

/// Copies n >= 64 bytes. Each line of 64 is read before the previous one is written, so no load is close to a store before it. (From the
/// end to the start would do as well, but memory is read more slowly that way.)
inline void copy_reading_ahead(std::byte* to, const std::byte* from, std::size_t n) {
  run_on_best_target([=]() __attribute__((always_inline)) {
    typedef char Line __attribute__((vector_size(64)));
    Line line, next, last;
    std::memcpy(&line, from, sizeof(Line));
    std::memcpy(&last, from + n - sizeof(Line), sizeof(Line));
    for (std::size_t at = sizeof(Line); at + sizeof(Line) <= n; at += sizeof(Line)) {
      std::memcpy(&next, from + at, sizeof(Line));
      asm("" : "+r"(at) : : "memory");  // or the compiler calls memcpy
      std::memcpy(to + at - sizeof(Line), &line, sizeof(Line));
      line = next;
    }
    std::memcpy(to + (n / sizeof(Line) - 1) * sizeof(Line), &line, sizeof(Line));
    std::memcpy(to + n - sizeof(Line), &last, sizeof(Line));
  });
}

/// Copies n bytes between ranges that do not overlap.
inline void copy_bytes(std::byte* to, const std::byte* from, std::size_t n) {
  using Sixteen = std::array<std::byte, 16>;
  constexpr std::size_t kPart = sizeof(Sixteen), kLong = 1024;
  if (n < kPart || n > 4 * kPart) {
    if (n > kLong && seem_to_overlap(to, from)) return copy_reading_ahead(to, from, n);
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
