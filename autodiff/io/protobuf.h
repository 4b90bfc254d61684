#pragma once
// Internal. The wire format of protocol buffers (protobuf.dev/programming-guides/encoding): messages written and read field by field.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace wengert {

/// A message under construction: fields by their numbers.
class ProtobufMessage {
 public:
  ProtobufMessage& integer(unsigned field, std::int64_t value) {
    key(field, 0);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  ProtobufMessage& number(unsigned field, double value) {
    key(field, 1);
    little_endian(std::bit_cast<std::uint64_t>(value));
    return *this;
  }
  ProtobufMessage& number(unsigned field, float value) {
    key(field, 5);
    little_endian(std::bit_cast<std::uint32_t>(value));
    return *this;
  }
  ProtobufMessage& bytes(unsigned field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  ProtobufMessage& message(unsigned field, const ProtobufMessage& value) { return bytes(field, value.bytes_); }
  /// A repeated field, packed.
  ProtobufMessage& numbers(unsigned field, std::span<const double> values) {
    ProtobufMessage packed;
    for (const double value : values) packed.little_endian(std::bit_cast<std::uint64_t>(value));
    return message(field, packed);
  }
  template <class T> void little_endian(T value) {
    for (std::size_t i = 0; i < sizeof value; ++i) bytes_ += static_cast<char>(value >> 8 * i & 0xff);
  }
  const std::string& text() const { return bytes_; }

 private:
  void key(unsigned field, unsigned type) { varint(field << 3 | type); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

/// A message in memory, read field by field. Every length is checked against the bytes that are there, and nothing is allocated. What is
/// wrong is a DataError that names the file and the position in it.
class ProtobufReader {
 public:
  enum class Type : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };
  using Bytes = std::span<const std::byte>;

  /// A whole file, whose name is for messages and must outlive the reader.
  ProtobufReader(const std::string& path, Bytes file) : path_(&path), file_(file.data()), rest_(file) {}

  /// Goes to the next field; false after the last.
  bool next();
  /// Of the current field.
  unsigned field() const { return field_; }
  Type type() const { return type_; }
  /// The value; a DataError if the field has another type.
  std::int64_t integer() const;
  float number32() const;
  double number64() const;
  Bytes bytes() const;
  std::string_view text() const;
  ProtobufReader message() const;

  /// The numbers of a repeated field, which may be packed or not: calls f with each of this field.
  template <class F> void integers(const F& f) const {
    if (type_ == Type::varint) return f(integer());
    ProtobufReader packed(*path_, file_, bytes());
    while (!packed.rest_.empty()) f(static_cast<std::int64_t>(packed.varint()));
  }
  template <class T, class F> void numbers(const F& f) const {
    if (type_ == (sizeof(T) == 4 ? Type::fixed32 : Type::fixed64)) return f(std::bit_cast<T>(static_cast<Bits<T>>(value_)));
    ProtobufReader packed(*path_, file_, bytes());
    while (!packed.rest_.empty()) f(std::bit_cast<T>(static_cast<Bits<T>>(packed.fixed(sizeof(T)))));
  }

  /// A DataError: "net.onnx, at byte 12: what".
  [[noreturn]] void fail(std::string_view what) const;

 private:
  template <class T> using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  ProtobufReader(const std::string& path, const std::byte* file, Bytes part) : path_(&path), file_(file), rest_(part) {}
  std::uint64_t varint();
  std::uint64_t fixed(std::size_t bytes);

  const std::string* path_;
  const std::byte* file_;  // its first byte
  Bytes rest_, bytes_;
  std::uint64_t value_ = 0;
  unsigned field_ = 0;
  Type type_ = Type::varint;
};

}  // namespace wengert
