#include "autodiff/io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <type_traits>
#include <unordered_set>

#include "autodiff/io/atomic_file.h"
#include "autodiff/io/in_quotes.h"
#include "autodiff/tensor/dispatch.h"
#include "autodiff/tensor/storage.h"

namespace wengert {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are read and written in memory order");
static_assert(sizeof(bool) == 1);

constexpr std::uint64_t kLengthBytes = 8;               // the length of the header, stored before it
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's own library
constexpr std::size_t kMaxDimensions = 64;
constexpr const char* kMetadata = "__metadata__";

// How elements lie in the file, and the dtype that they become. Those of a dtype of ours come first.
enum class Stored : std::uint8_t { f32, f64, i64, boolean, f16, bf16, i8, i16, i32, u8, u16, u32 };
struct StoredType {
  Stored stored;
  const char* name;
  std::uint64_t bytes;
  Dtype dtype;
};
constexpr StoredType kStoredTypes[] = {
    {Stored::f32, "F32", 4, float32},      {Stored::f64, "F64", 8, float64}, {Stored::i64, "I64", 8, int64},
    {Stored::boolean, "BOOL", 1, boolean}, {Stored::f16, "F16", 2, float32}, {Stored::bf16, "BF16", 2, float32},
    {Stored::i8, "I8", 1, int64},          {Stored::i16, "I16", 2, int64},   {Stored::i32, "I32", 4, int64},
    {Stored::u8, "U8", 1, int64},          {Stored::u16, "U16", 2, int64},   {Stored::u32, "U32", 4, int64},
};

const char* name_of(Dtype dtype) {
  return std::find_if(std::begin(kStoredTypes), std::end(kStoredTypes), [&](const StoredType& t) { return t.dtype == dtype; })->name;
}

// IEEE 754's binary16: 1 bit of sign, 5 of exponent, 10 of fraction.
float from_half(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
  if (exponent == 0) return std::copysign(std::ldexp(static_cast<float>(fraction), -24), sign ? -1.0f : 1.0f);  // 0 and denormal numbers
  return std::bit_cast<float>(sign | (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13);
}
// The upper half of a float32.
float from_bfloat(std::uint16_t h) { return std::bit_cast<float>(static_cast<std::uint32_t>(h) << 16); }

template <class From, class To> void convert(const std::byte* from, Index count, Tensor& tensor, To (*element)(From)) {
  To* const to = tensor.mutable_data<To>();
  for (Index i = 0; i < count; ++i) {
    From stored;
    std::memcpy(&stored, from + static_cast<std::size_t>(i) * sizeof stored, sizeof stored);
    to[i] = element(stored);
  }
}
template <class From> void convert_integers(const std::byte* from, Index count, Tensor& tensor) {
  convert<From, std::int64_t>(from, count, tensor, [](From v) { return static_cast<std::int64_t>(v); });
}

// Elements of a type that is no dtype of ours.
void convert(Stored stored, const std::byte* from, Tensor& tensor) {
  const Index count = tensor.size();
  switch (stored) {
    case Stored::f16:
      return convert<std::uint16_t, float>(from, count, tensor, from_half);
    case Stored::bf16:
      return convert<std::uint16_t, float>(from, count, tensor, from_bfloat);
    case Stored::i8:
      return convert_integers<std::int8_t>(from, count, tensor);
    case Stored::i16:
      return convert_integers<std::int16_t>(from, count, tensor);
    case Stored::i32:
      return convert_integers<std::int32_t>(from, count, tensor);
    case Stored::u8:
      return convert_integers<std::uint8_t>(from, count, tensor);
    case Stored::u16:
      return convert_integers<std::uint16_t>(from, count, tensor);
    default:
      return convert_integers<std::uint32_t>(from, count, tensor);
  }
}

// One tensor as the header describes it. Offsets count from the end of the header.
struct Entry {
  std::string name;
  const StoredType* type = nullptr;
  std::optional<std::vector<std::uint64_t>> shape, offsets;

  std::uint64_t begin() const { return (*offsets)[0]; }
  std::uint64_t end() const { return (*offsets)[1]; }
};

struct FileHeader {
  std::vector<Entry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Parses the header token by token and rejects whatever the format does not allow, such as nesting or duplicates, before storing it.
//   {"__metadata__": {text: text, ...}, name: {"dtype": text, "shape": [integer, ...], "data_offsets": [integer, integer]}, ...}
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(const std::string& path, FileHeader& header) : path_(path), header_(header) {}

  bool start_object(std::size_t) override {
    if (depth_ >= 2 || numbers_) unexpected("an object");
    if (++depth_ == 2) {
      fields_.clear();
      if (!in_metadata_) header_.entries.push_back({.name = name_, .type = nullptr, .shape = {}, .offsets = {}});
    }
    return true;
  }
  bool end_object() override {
    if (depth_-- == 2 && !in_metadata_) check_complete(header_.entries.back());
    return true;
  }
  bool key(std::string& text) override {
    if (depth_ == 1) {
      if (!names_.insert(text).second) fail(fmt::format("the name {} occurs twice", in_quotes(text)));
      name_ = text;
      in_metadata_ = text == kMetadata;
    } else {
      if (!fields_.insert(text).second) fail_here(fmt::format("the key {} occurs twice", in_quotes(text)));
      field_ = text;
    }
    return true;
  }
  bool string(std::string& text) override {
    if (depth_ == 2 && in_metadata_) {
      header_.metadata.emplace_back(field_, text);
    } else if (depth_ == 2 && field_ == "dtype" && !numbers_) {
      header_.entries.back().type = &type_named(text);
    } else {
      unexpected("a text");
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || numbers_) unexpected("a list");
    Entry& entry = header_.entries.back();
    if (field_ == "shape") {
      numbers_ = &entry.shape.emplace();
    } else if (field_ == "data_offsets") {
      numbers_ = &entry.offsets.emplace();
    } else {
      unexpected("a list");
    }
    return true;
  }
  bool end_array() override {
    numbers_ = nullptr;
    return true;
  }
  bool number_unsigned(std::uint64_t value) override {
    if (!numbers_) unexpected("a number");
    if (numbers_->size() == kMaxDimensions) fail_here(fmt::format("{} has more than {} numbers", field_, kMaxDimensions));
    numbers_->push_back(value);
    return true;
  }
  bool number_integer(std::int64_t value) override { unexpected(fmt::format("the number {}", value)); }
  bool number_float(double, const std::string& text) override { unexpected(fmt::format("the number {}", in_quotes(text))); }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool binary(nlohmann::json::binary_t&) override { unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(fmt::format("the header is not JSON at its byte {}", position));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", path_, what)); }
  [[noreturn]] void fail_here(const std::string& what) const { fail(fmt::format("tensor {}: {}", in_quotes(name_), what)); }
  [[noreturn]] void unexpected(const std::string& token) const {
    if (depth_ == 0) fail(fmt::format("the header is {}, not a JSON object", token));
    if (depth_ == 1) fail(fmt::format("{}: {} where an object is expected", in_quotes(name_), token));
    if (in_metadata_) fail(fmt::format("{} {}: {} where a string is expected", kMetadata, in_quotes(field_), token));
    if (field_ == "dtype") fail_here(fmt::format("dtype: {} where a string is expected", token));
    if (field_ == "shape") fail_here(fmt::format("shape: {} where a list of sizes (nonnegative integers) is expected", token));
    if (field_ == "data_offsets") fail_here(fmt::format("data_offsets: {} where a list of two nonnegative integers is expected", token));
    fail_here(fmt::format("the key {} is not one of dtype, shape, data_offsets", in_quotes(field_)));
  }
  const StoredType& type_named(const std::string& text) const {
    std::string names;
    for (const StoredType& type : kStoredTypes) {
      if (text == type.name) return type;
      names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
    }
    fail_here(fmt::format("the dtype {} is not one of {}", in_quotes(text), names));
  }
  void check_complete(const Entry& entry) const {
    if (!entry.type || !entry.shape || !entry.offsets)
      fail_here(fmt::format("has no {}", !entry.type ? "dtype" : !entry.shape ? "shape" : "data_offsets"));
    if (entry.offsets->size() != 2) fail_here(fmt::format("data_offsets has {} numbers instead of 2", entry.offsets->size()));
  }

  const std::string& path_;
  FileHeader& header_;
  int depth_ = 0;             // of objects
  std::string name_, field_;  // the current keys
  bool in_metadata_ = false;
  std::vector<std::uint64_t>* numbers_ = nullptr;  // the current list
  std::unordered_set<std::string> names_, fields_;
};

// The tensors of a file: of a mapped one they borrow the elements where they can, of another one they are read.
class Reader {
 public:
  explicit Reader(const MappedFile& file) : path_(file.path()), size_(file.bytes().size()), mapped_(&file) {}
  explicit Reader(const InputFile& file) : path_(file.path()), size_(file.size()), read_(&file) {}

  Safetensors read() {
    FileHeader header;
    read_header(header);
    std::vector<Shape> shapes;
    shapes.reserve(header.entries.size());
    for (const Entry& entry : header.entries) shapes.push_back(checked_shape(entry));
    check_ranges(header.entries);
    Safetensors result{.tensors = {}, .metadata = std::move(header.metadata)};
    result.tensors.reserve(header.entries.size());
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      Entry& entry = header.entries[i];
      Tensor tensor = elements_of(entry, shapes[i]);
      result.tensors.push_back({std::move(entry.name), std::move(tensor)});
    }
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", path_, what)); }
  [[noreturn]] void fail(const Entry& entry, const std::string& what) const {
    fail(fmt::format("tensor {}: {}", in_quotes(entry.name), what));
  }

  void fetch(std::uint64_t offset, std::span<std::byte> to) const {
    if (read_) return read_->read(offset, to);
    if (!to.empty()) std::memcpy(to.data(), mapped_->bytes().data() + offset, to.size());
  }

  void read_header(FileHeader& header) {
    if (size_ < kLengthBytes) fail(fmt::format("is cut off: {} bytes, where the header's length takes {}", size_, kLengthBytes));
    std::uint64_t length;
    fetch(0, std::as_writable_bytes(std::span(&length, 1)));
    if (length > size_ - kLengthBytes)
      fail(
          fmt::format("the header is said to have {} bytes, but the file has {}: it is cut off, or not a safetensors file", length, size_));
    if (length > kMaxHeaderBytes) fail(fmt::format("the header has {} bytes, more than the format's {}", length, kMaxHeaderBytes));
    data_at_ = kLengthBytes + length;
    data_bytes_ = size_ - data_at_;
    std::string text(length, '\0');
    fetch(kLengthBytes, std::as_writable_bytes(std::span(text)));
    HeaderReader reader(path_, header);
    nlohmann::json::sax_parse(text, &reader);
  }

  // The shape. Checks that its elements fill the entry's byte range exactly.
  Shape checked_shape(const Entry& entry) const {
    if (entry.begin() > entry.end()) fail(entry, fmt::format("its data ends at {}, before it begins at {}", entry.end(), entry.begin()));
    if (entry.end() > data_bytes_)
      fail(entry, fmt::format("its data ends at {}, but the file has {} bytes of data", entry.end(), data_bytes_));
    std::uint64_t bytes = entry.type->bytes;
    bool overflow = false;
    for (std::uint64_t size : *entry.shape) {
      if (size > static_cast<std::uint64_t>(std::numeric_limits<Index>::max())) fail(entry, fmt::format("the size {} is too large", size));
      overflow |= __builtin_mul_overflow(bytes, size, &bytes);
    }
    const bool empty = std::find(entry.shape->begin(), entry.shape->end(), 0) != entry.shape->end();
    const std::uint64_t given = entry.end() - entry.begin();
    if (empty ? given != 0 : overflow || bytes != given)
      fail(entry, fmt::format("its shape and dtype need {} bytes, but its data has {}",
                              empty      ? "0"
                              : overflow ? "too many"
                                         : fmt::to_string(bytes),
                              given));
    Shape shape;
    for (std::uint64_t size : *entry.shape) shape.push_back(static_cast<Index>(size));
    return shape;
  }

  // The ranges must tile the data, as the format requires: no two tensors share bytes, and every byte belongs to a tensor.
  void check_ranges(const std::vector<Entry>& entries) const {
    std::vector<const Entry*> sorted;
    sorted.reserve(entries.size());
    for (const Entry& entry : entries) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(), [](const Entry* a, const Entry* b) { return *a->offsets < *b->offsets; });
    std::uint64_t end = 0;
    for (const Entry* entry : sorted) {
      if (entry->begin() < end)
        fail(*entry, fmt::format("its data begins at {}, inside another tensor's, which ends at {}", entry->begin(), end));
      if (entry->begin() > end)
        fail(*entry, fmt::format("its data begins at {}, after {} bytes that belong to no tensor", entry->begin(), entry->begin() - end));
      end = entry->end();
    }
    if (end != data_bytes_) fail(fmt::format("{} bytes at its end belong to no tensor", data_bytes_ - end));
  }

  Tensor elements_of(const Entry& entry, const Shape& shape) const {
    const Dtype dtype = entry.type->dtype;
    if (shape.size() == 0) return Tensor::zeros(shape, dtype);
    const std::uint64_t at = data_at_ + entry.begin(), bytes = entry.end() - entry.begin();
    Tensor tensor = detail::dispatch(dtype, [&](auto zero) {
      using T = decltype(zero);
      if (mapped_ && is_ours(entry)) {
        const std::byte* from = mapped_->bytes().data() + at;
        if constexpr (std::is_same_v<T, bool>) check_booleans(entry, {from, bytes});
        if (reinterpret_cast<std::uintptr_t>(from) % alignof(T) == 0)
          return Tensor::borrow(std::span(reinterpret_cast<const T*>(from), static_cast<std::size_t>(shape.size())), shape);
      }  // other writers need not align
      return Tensor::uninitialized(shape, dtype);
    });
    if (tensor.elements()->borrowed) return tensor;
    if (is_ours(entry)) {
      const std::span<std::byte> elements(static_cast<std::byte*>(tensor.elements()->data), bytes);
      fetch(at, elements);
      if (dtype == boolean) check_booleans(entry, elements);
    } else {
      pool::Vector<std::byte> stored(bytes);
      fetch(at, stored);
      convert(entry.type->stored, stored.data(), tensor);
    }
    return tensor;
  }
  // Whether the elements lie in the file as in memory.
  static bool is_ours(const Entry& entry) { return entry.type->stored <= Stored::boolean; }
  void check_booleans(const Entry& entry, std::span<const std::byte> bytes) const {
    for (std::size_t i = 0; i < bytes.size(); ++i)  // a bool of another value would be undefined behaviour
      if (bytes[i] > std::byte{1}) fail(entry, fmt::format("element {} is {}, which is not a BOOL", i, std::to_integer<int>(bytes[i])));
  }

  const std::string& path_;
  const std::uint64_t size_;
  const MappedFile* mapped_ = nullptr;
  const InputFile* read_ = nullptr;
  std::uint64_t data_at_ = 0, data_bytes_ = 0;  // behind the header
};

std::uint64_t data_bytes(const Tensor& tensor) { return static_cast<std::uint64_t>(tensor.size() * bytes_of(tensor.dtype())); }

template <class T> std::string_view bytes_in(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data<T>()), data_bytes(tensor)};
}
std::string_view bytes_in(const Tensor& tensor) {
  return detail::dispatch(tensor.dtype(), [&](auto zero) { return bytes_in<decltype(zero)>(tensor); });
}

// The text of the header. Its length is a multiple of 8, so that the data after it is aligned.
std::string header_text(const std::string& path, std::span<const NamedTensor> tensors, std::span<const std::uint64_t> begins,
                        std::span<const std::pair<std::string, std::string>> metadata) {
  const auto text_of = [&](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::type_error&) {
      throw DataError(fmt::format("{}: the name or string {} is not valid UTF-8", path, in_quotes(text)));
    }
  };
  std::string text = "{";
  if (!metadata.empty()) {
    text += fmt::format("\"{}\":{{", kMetadata);
    for (const auto& [key, value] : metadata) text += fmt::format("{}:{},", text_of(key), text_of(value));
    text.back() = '}';
    text += ',';
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    text += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}},)", text_of(name), name_of(tensor.dtype()),
                        fmt::join(tensor.shape(), ","), begins[i], begins[i] + data_bytes(tensor));
  }
  if (text.size() > 1) text.pop_back();
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

void check_names(const std::string& path, std::span<const NamedTensor> tensors) {
  std::unordered_set<std::string_view> names{kMetadata};
  for (const auto& [name, tensor] : tensors) {
    if (!names.insert(name).second)
      throw DataError(fmt::format("{}: {}", path,
                                  name == kMetadata ? fmt::format("{} cannot be a tensor's name", kMetadata)
                                                    : fmt::format("two tensors have the name {}", in_quotes(name))));
    if (!tensor.defined()) throw DataError(fmt::format("{}: tensor {} is undefined", path, in_quotes(name)));
  }
}

}  // namespace

const Tensor* Safetensors::find(std::string_view name) const {
  for (const auto& [its_name, tensor] : tensors)
    if (its_name == name) return &tensor;
  return nullptr;
}

MappedSafetensors::MappedSafetensors(const std::string& path) : file_(path), contents_(Reader(file_).read()) {}

Safetensors read_safetensors(const std::string& path) {
  const InputFile file(path);
  return Reader(file).read();
}

void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                       std::span<const std::pair<std::string, std::string>> metadata) {
  check_names(path, tensors);
  // Wide elements first, so that every tensor starts at a multiple of its element size.
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return bytes_of(tensors[i].value.dtype()) > bytes_of(tensors[j].value.dtype()); });
  std::vector<std::uint64_t> begins(tensors.size());
  std::uint64_t end = 0;
  for (std::size_t i : order) {
    begins[i] = end;
    end += data_bytes(tensors[i].value);
  }
  const std::string header = header_text(path, tensors, begins, metadata);
  const std::uint64_t header_bytes = header.size();
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes});
  file.write(header);
  for (std::size_t i : order) file.write(bytes_in(tensors[i].value.constant().contiguous()));
  file.commit();
}

}  // namespace wengert
