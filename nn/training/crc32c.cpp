#include "nn/training/crc32c.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

namespace wengert::nn {
namespace {

static_assert(std::endian::native == std::endian::little, "eight bytes are taken as one little-endian number");

using Table = std::array<std::uint32_t, 256>;

// kTables[k][b]: the effect of byte b followed by k zeros.
constexpr std::array<Table, 8> kTables = [] {
  constexpr std::uint32_t kPolynomial = 0x82f63b78;  // reflected
  std::array<Table, 8> tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ kPolynomial : crc >> 1;
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k)
    for (std::size_t b = 0; b < 256; ++b) tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 255];
  return tables;
}();

}  // namespace

// Eight bytes at a time (Kounavis and Berry 2008, "slicing by 8").
std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) {
  std::uint32_t crc = ~before;
  while (bytes.size() >= 8) {
    std::uint64_t eight;
    std::memcpy(&eight, bytes.data(), sizeof eight);
    eight ^= crc;
    crc = 0;
    for (std::size_t k = 0; k < 8; ++k) crc ^= kTables[7 - k][eight >> 8 * k & 255];
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) crc = crc >> 8 ^ kTables[0][(crc ^ static_cast<unsigned char>(c)) & 255];
  return ~crc;
}

}  // namespace wengert::nn
