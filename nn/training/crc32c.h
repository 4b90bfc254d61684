#pragma once
// The checksum of checkpoints and event files. Internal.
#include <cstdint>
#include <string_view>

namespace wengert::nn {

/// CRC-32C (Castagnoli's polynomial 0x1EDC6F41, reflected; RFC 3720, appendix B.4) of bytes that follow those of `before`.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

}  // namespace wengert::nn
