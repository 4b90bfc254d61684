#pragma once
// Copies of 16 to 64 bytes without a call.
#include <array>
#include <cstddef>
#include <cstring>

namespace wengert::kernels {

/// Copies n bytes, as memmove does.
inline void copy_bytes(std::byte* to, const std::byte* from, std::size_t n) {
  using Sixteen = std::array<std::byte, 16>;
  constexpr std::size_t kPart = sizeof(Sixteen);
  if (n < kPart || n > 4 * kPart) {
    std::memmove(to, from, n);
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
