#include "autodiff/io/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <unordered_set>

#include "autodiff/io/atomic_file.h"

namespace wengert {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are read and written as they lie in memory");
static_assert(sizeof(bool) == 1);

constexpr std::uint64_t kLengthBytes = 8;                // the header's length, in front of it
constexpr std::uint64_t kMostHeaderBytes = 100'000'000;  // as the format's own library has it
constexpr std::size_t kMostDimensions = 64;
constexpr const char* kMetadata = "__metadata__";

struct DtypeName {
  Dtype dtype;
  const char* name;
};
constexpr DtypeName kDtypes[] = {{float32, "F32"}, {float64, "F64"}, {int64, "I64"}, {boolean, "BOOL"}};

const char* name_of(Dtype dtype) {
  return std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const DtypeName& d) { return d.dtype == dtype; })->name;
}

// A text of the file as a message may show it: short, in quotes, without control characters.
std::string shown(std::string_view text) {
  constexpr std::size_t kMost = 60;
  std::string start(text.substr(0, kMost));
  for (char& c : start)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  return fmt::format("\"{}{}\"", start, text.size() > kMost ? "..." : "");
}

// One tensor as the header describes it. Offsets count from the end of the header.
struct Entry {
  std::string name;
  std::optional<Dtype> dtype;
  std::optional<std::vector<std::uint64_t>> shape, offsets;

  std::uint64_t begin() const { return (*offsets)[0]; }
  std::uint64_t end() const { return (*offsets)[1]; }
};

struct Header {
  std::vector<Entry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;
};

// Takes the header token by token, so that nothing but what the format allows is ever stored: no nesting, no duplicates.
//   {"__metadata__": {text: text, ...}, name: {"dtype": text, "shape": [integer, ...], "data_offsets": [integer, integer]}, ...}
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(const std::string& path, Header& header) : path_(path), header_(header) {}

  bool start_object(std::size_t) override {
    if (depth_ >= 2 || numbers_) unexpected("an object");
    if (++depth_ == 2) {
      fields_.clear();
      if (!in_metadata_) header_.entries.push_back({.name = name_, .dtype = {}, .shape = {}, .offsets = {}});
    }
    return true;
  }
  bool end_object() override {
    if (depth_-- == 2 && !in_metadata_) check_complete(header_.entries.back());
    return true;
  }
  bool key(std::string& text) override {
    if (depth_ == 1) {
      if (!names_.insert(text).second) fail(fmt::format("the name {} occurs twice", shown(text)));
      name_ = text;
      in_metadata_ = text == kMetadata;
    } else {
      if (!fields_.insert(text).second) fail_here(fmt::format("the key {} occurs twice", shown(text)));
      field_ = text;
    }
    return true;
  }
  bool string(std::string& text) override {
    if (depth_ == 2 && in_metadata_) {
      header_.metadata.emplace_back(field_, text);
    } else if (depth_ == 2 && field_ == "dtype" && !numbers_) {
      header_.entries.back().dtype = dtype_named(text);
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
    if (numbers_->size() == kMostDimensions) fail_here(fmt::format("{} has more than {} numbers", field_, kMostDimensions));
    numbers_->push_back(value);
    return true;
  }
  bool number_integer(std::int64_t value) override { unexpected(fmt::format("the number {}", value)); }
  bool number_float(double, const std::string& text) override { unexpected(fmt::format("the number {}", shown(text))); }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("true or false"); }
  bool binary(nlohmann::json::binary_t&) override { unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(fmt::format("the header is not JSON at its byte {}", position));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", path_, what)); }
  [[noreturn]] void fail_here(const std::string& what) const { fail(fmt::format("tensor {}: {}", shown(name_), what)); }
  [[noreturn]] void unexpected(const std::string& token) const {
    if (depth_ == 0) fail(fmt::format("the header is {}, not a JSON object", token));
    if (depth_ == 1) fail(fmt::format("{}: {} where an object belongs", shown(name_), token));
    if (in_metadata_) fail(fmt::format("{} {}: {} where a text belongs", kMetadata, shown(field_), token));
    if (field_ == "dtype") fail_here(fmt::format("dtype: {} where a text belongs", token));
    if (field_ == "shape") fail_here(fmt::format("shape: {} in what must be a list of sizes (integers from 0)", token));
    if (field_ == "data_offsets") fail_here(fmt::format("data_offsets: {} in what must be a list of two integers from 0", token));
    fail_here(fmt::format("the key {} is none of dtype, shape, data_offsets", shown(field_)));
  }
  Dtype dtype_named(const std::string& text) const {
    for (const DtypeName& d : kDtypes)
      if (text == d.name) return d.dtype;
    fail_here(fmt::format("the dtype {} is none of F32, F64, I64, BOOL", shown(text)));
  }
  void check_complete(const Entry& entry) const {
    if (!entry.dtype || !entry.shape || !entry.offsets)
      fail_here(fmt::format("has no {}", !entry.dtype ? "dtype" : !entry.shape ? "shape" : "data_offsets"));
    if (entry.offsets->size() != 2) fail_here(fmt::format("data_offsets has {} numbers instead of 2", entry.offsets->size()));
  }

  const std::string& path_;
  Header& header_;
  int depth_ = 0;             // of objects
  std::string name_, field_;  // the keys we are under
  bool in_metadata_ = false;
  std::vector<std::uint64_t>* numbers_ = nullptr;  // the list we are in
  std::unordered_set<std::string> names_, fields_;
};

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (!std::filesystem::exists(status)) fail("there is no such file");
    if (!std::filesystem::is_regular_file(status)) fail("is not a file");
    file_bytes_ = std::filesystem::file_size(path, error);
    file_.open(path, std::ios::binary);
    if (error || !file_) fail("cannot be opened");
  }

  Safetensors read() {
    Header header;
    read_header(header);
    std::vector<Shape> shapes;
    shapes.reserve(header.entries.size());
    for (const Entry& entry : header.entries) shapes.push_back(checked_shape(entry));
    check_ranges(header.entries);
    Safetensors result{.tensors = {}, .metadata = std::move(header.metadata)};
    result.tensors.reserve(header.entries.size());
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      Entry& entry = header.entries[i];
      Tensor tensor = read_elements(entry, shapes[i]);
      result.tensors.emplace_back(std::move(entry.name), std::move(tensor));
    }
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", path_, what)); }
  [[noreturn]] void fail(const Entry& entry, const std::string& what) const { fail(fmt::format("tensor {}: {}", shown(entry.name), what)); }

  void read_bytes(void* to, std::uint64_t offset, std::uint64_t bytes) {
    file_.seekg(static_cast<std::streamoff>(offset));
    file_.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
    if (!file_) fail(fmt::format("cannot be read at byte {}", offset));
  }

  void read_header(Header& header) {
    if (file_bytes_ < kLengthBytes)
      fail(fmt::format("is cut off: {} bytes, where the header's length takes {}", file_bytes_, kLengthBytes));
    std::uint64_t bytes;
    read_bytes(&bytes, 0, sizeof bytes);
    if (bytes > file_bytes_ - kLengthBytes)
      fail(fmt::format("the header is said to have {} bytes, but the file has {}: it is cut off, or not a safetensors file", bytes,
                       file_bytes_));
    if (bytes > kMostHeaderBytes) fail(fmt::format("the header has {} bytes, more than the format's {}", bytes, kMostHeaderBytes));
    data_begin_ = kLengthBytes + bytes;
    std::string text(bytes, '\0');
    read_bytes(text.data(), kLengthBytes, bytes);
    HeaderReader reader(path_, header);
    nlohmann::json::sax_parse(text, &reader);
  }

  // The shape, where its elements fill the entry's byte range exactly.
  Shape checked_shape(const Entry& entry) const {
    const std::uint64_t data_bytes = file_bytes_ - data_begin_;
    if (entry.begin() > entry.end()) fail(entry, fmt::format("its data ends at {}, before it begins at {}", entry.end(), entry.begin()));
    if (entry.end() > data_bytes)
      fail(entry, fmt::format("its data ends at {}, but the file has {} bytes of data", entry.end(), data_bytes));
    std::uint64_t bytes = static_cast<std::uint64_t>(bytes_of(*entry.dtype));
    bool overflow = false;
    for (std::uint64_t size : *entry.shape) {
      if (size > static_cast<std::uint64_t>(std::numeric_limits<Index>::max())) fail(entry, fmt::format("the size {} is too large", size));
      overflow |= __builtin_mul_overflow(bytes, size, &bytes);
    }
    const bool empty = std::find(entry.shape->begin(), entry.shape->end(), 0) != entry.shape->end();
    const std::uint64_t given = entry.end() - entry.begin();
    if (empty ? given != 0 : overflow || bytes != given)
      fail(entry, fmt::format("its shape and dtype need {} bytes, its data has {}",
                              empty      ? "0"
                              : overflow ? "too many"
                                         : fmt::to_string(bytes),
                              given));
    Shape shape;
    for (std::uint64_t size : *entry.shape) shape.push_back(static_cast<Index>(size));
    return shape;
  }

  // The ranges must tile the data: no two tensors share bytes, and no byte is without a tensor, as the format demands.
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
        fail(*entry, fmt::format("its data begins at {}, after {} bytes that are no tensor's", entry->begin(), entry->begin() - end));
      end = entry->end();
    }
    if (end != file_bytes_ - data_begin_) fail(fmt::format("{} bytes at its end are no tensor's", file_bytes_ - data_begin_ - end));
  }

  Tensor read_elements(const Entry& entry, const Shape& shape) {
    Tensor tensor = Tensor::uninitialized(shape, *entry.dtype);
    switch (*entry.dtype) {
      case float32:
        read_into(tensor.mutable_data<float>(), entry);
        break;
      case float64:
        read_into(tensor.mutable_data<double>(), entry);
        break;
      case int64:
        read_into(tensor.mutable_data<std::int64_t>(), entry);
        break;
      case boolean:
        read_booleans(tensor.mutable_data<bool>(), entry);
        break;
    }
    return tensor;
  }
  void read_into(void* to, const Entry& entry) {
    if (entry.begin() != entry.end()) read_bytes(to, data_begin_ + entry.begin(), entry.end() - entry.begin());
  }
  void read_booleans(void* to, const Entry& entry) {
    read_into(to, entry);
    const auto* bytes = static_cast<const unsigned char*>(to);
    for (std::uint64_t i = 0; i < entry.end() - entry.begin(); ++i)  // a bool of another value would be undefined behaviour
      if (bytes[i] > 1) fail(entry, fmt::format("element {} is {}, which is no BOOL", i, bytes[i]));
  }

  const std::string& path_;
  std::ifstream file_;
  std::uint64_t file_bytes_ = 0, data_begin_ = 0;
};

std::uint64_t data_bytes(const Tensor& tensor) { return static_cast<std::uint64_t>(tensor.size() * bytes_of(tensor.dtype())); }

template <class T> std::string_view bytes_in(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data<T>()), data_bytes(tensor)};
}
std::string_view bytes_in(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case float32:
      return bytes_in<float>(tensor);
    case float64:
      return bytes_in<double>(tensor);
    case int64:
      return bytes_in<std::int64_t>(tensor);
    case boolean:
      return bytes_in<bool>(tensor);
  }
  __builtin_unreachable();
}

// The header's text. Its length is a multiple of 8, so that the data behind it is aligned.
std::string header_text(const std::string& path, std::span<const NamedTensor> tensors, std::span<const std::uint64_t> begins,
                        std::span<const std::pair<std::string, std::string>> metadata) {
  const auto text_of = [&](const std::string& text) {
    try {
      return nlohmann::json(text).dump();
    } catch (const nlohmann::json::type_error&) {
      throw DataError(fmt::format("{}: the name or text {} is not UTF-8", path, shown(text)));
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
                                                    : fmt::format("two tensors have the name {}", shown(name))));
    if (!tensor.defined()) throw DataError(fmt::format("{}: tensor {} is undefined", path, shown(name)));
  }
}

}  // namespace

const Tensor* Safetensors::find(std::string_view name) const {
  for (const auto& [its_name, tensor] : tensors)
    if (its_name == name) return &tensor;
  return nullptr;
}

Safetensors read_safetensors(const std::string& path) { return Reader(path).read(); }

void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                       std::span<const std::pair<std::string, std::string>> metadata) {
  check_names(path, tensors);
  // Wide elements first: then every tensor starts at a multiple of its element size.
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t i, std::size_t j) { return bytes_of(tensors[i].second.dtype()) > bytes_of(tensors[j].second.dtype()); });
  std::vector<std::uint64_t> begins(tensors.size());
  std::uint64_t end = 0;
  for (std::size_t i : order) {
    begins[i] = end;
    end += data_bytes(tensors[i].second);
  }
  const std::string header = header_text(path, tensors, begins, metadata);
  const std::uint64_t header_bytes = header.size();
  AtomicFile file(path);
  file.write({reinterpret_cast<const char*>(&header_bytes), sizeof header_bytes});
  file.write(header);
  for (std::size_t i : order) file.write(bytes_in(tensors[i].second.constant().contiguous()));
  file.commit();
}

}  // namespace wengert
