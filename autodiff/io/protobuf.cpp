#include "autodiff/io/protobuf.h"

#include <fmt/format.h>

#include "autodiff/error.h"

namespace wengert {

bool ProtobufReader::next() {
  if (rest_.empty()) return false;
  const std::uint64_t key = varint(), field = key >> 3;
  if (field == 0 || field > 0x1fffffff) fail("a field has no valid number");
  field_ = static_cast<unsigned>(field);
  type_ = static_cast<Type>(key & 7);
  bytes_ = {};
  value_ = 0;
  switch (type_) {
    case Type::varint:
      value_ = varint();
      break;
    case Type::fixed64:
      value_ = fixed(8);
      break;
    case Type::fixed32:
      value_ = fixed(4);
      break;
    case Type::bytes: {
      const std::uint64_t length = varint();
      if (length > rest_.size()) fail(fmt::format("field {} is {} bytes long, but only {} remain", field_, length, rest_.size()));
      bytes_ = rest_.first(static_cast<std::size_t>(length));
      rest_ = rest_.subspan(static_cast<std::size_t>(length));
      break;
    }
    default:
      fail(fmt::format("field {} has the unknown wire type {}", field_, key & 7));
  }
  return true;
}

std::int64_t ProtobufReader::integer() const {
  if (type_ != Type::varint) fail(fmt::format("field {} must be an integer", field_));
  return static_cast<std::int64_t>(value_);
}
float ProtobufReader::number32() const {
  if (type_ != Type::fixed32) fail(fmt::format("field {} must be a float", field_));
  return std::bit_cast<float>(static_cast<std::uint32_t>(value_));
}
double ProtobufReader::number64() const {
  if (type_ != Type::fixed64) fail(fmt::format("field {} must be a double", field_));
  return std::bit_cast<double>(value_);
}
ProtobufReader::Bytes ProtobufReader::bytes() const {
  if (type_ != Type::bytes) fail(fmt::format("field {} must be bytes", field_));
  return bytes_;
}
std::string_view ProtobufReader::text() const {
  const Bytes b = bytes();
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}
ProtobufReader ProtobufReader::message() const { return {*path_, file_, bytes()}; }

void ProtobufReader::fail(std::string_view what) const {
  throw DataError(fmt::format("{}, at byte {}: {}", *path_, rest_.data() ? rest_.data() - file_ : 0, what));
}

std::uint64_t ProtobufReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (rest_.empty()) fail("the file ends inside a number");
    const auto byte = std::to_integer<std::uint64_t>(rest_.front());
    rest_ = rest_.subspan(1);
    if (shift < 64) value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number is longer than 64 bits");
}

std::uint64_t ProtobufReader::fixed(std::size_t bytes) {
  if (rest_.size() < bytes) fail("the file ends inside a number");
  std::uint64_t value = 0;
  std::memcpy(&value, rest_.data(), bytes);
  rest_ = rest_.subspan(bytes);
  return value;
}

}  // namespace wengert
