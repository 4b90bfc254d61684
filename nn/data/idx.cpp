#include "nn/data/idx.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <string_view>
#include <type_traits>
#include <vector>

#include "autodiff/tensor/call_site.h"
#include "nn/data/input.h"

namespace wengert::nn {
namespace {

constexpr std::size_t kFirstPayload = 1 << 20;  // bytes allocated before anything has been read

// ---- the header: 0, 0, element type, number of dimensions; then each size in 4 bytes --------------------------------

struct Header {
  unsigned char type = 0;
  Shape shape;
  std::uint64_t bytes = 0;    // of the header itself
  std::uint64_t payload = 0;  // bytes of all elements
};

std::uint64_t element_bytes(unsigned char type) {
  switch (type) {
    case 0x08:
    case 0x09:
      return 1;
    case 0x0b:
      return 2;
    case 0x0c:
    case 0x0d:
      return 4;
    case 0x0e:
      return 8;
    default:
      return 0;
  }
}

std::uint32_t big_endian(const unsigned char* from) {
  return std::uint32_t{from[0]} << 24 | std::uint32_t{from[1]} << 16 | std::uint32_t{from[2]} << 8 | from[3];
}

std::string times(const Shape& shape) {
  std::string product;
  for (const Index size : shape) product += fmt::format("{}{}", product.empty() ? "" : " x ", size);
  return product;
}

Header read_header(Input& input, IdxOptions options) {
  std::array<unsigned char, 4> magic{};
  if (input.read(magic.data(), magic.size()) < magic.size()) refuse_file(input.path(), "ends within the first 4 bytes: not an IDX file");
  Header header;
  header.type = magic[2];
  const std::uint64_t element = element_bytes(header.type);
  if (magic[0] != 0 || magic[1] != 0 || element == 0 || magic[3] == 0) {
    refuse_file(input.path(),
                fmt::format("begins with {:02x} {:02x} {:02x} {:02x} at byte 0, unlike an IDX file (00 00, element type, dimensions)",
                            magic[0], magic[1], magic[2], magic[3]));
  }
  const int rank = magic[3];
  std::vector<unsigned char> sizes(4 * static_cast<std::size_t>(rank));
  if (input.read(sizes.data(), sizes.size()) < sizes.size()) {
    refuse_file(input.path(), fmt::format("ends within its header, which gives {} sizes from byte 4 on", rank));
  }
  header.payload = element;
  bool overflow = false;
  for (int i = 0; i < rank; ++i) {
    const std::uint32_t size = big_endian(&sizes[4 * static_cast<std::size_t>(i)]);
    header.shape.push_back(size);
    overflow |= __builtin_mul_overflow(header.payload, std::uint64_t{size}, &header.payload);
  }
  if (overflow || header.payload > options.max_bytes) {
    refuse_file(input.path(),
                fmt::format("the header announces {} elements at byte 4, more than the limit of {} bytes (IdxOptions::max_bytes)",
                            times(header.shape), options.max_bytes));
  }
  header.bytes = magic.size() + sizes.size();
  return header;
}

// ---- the elements ---------------------------------------------------------------------------------------------------

[[noreturn]] void fail_payload(const Input& input, const Header& header, const std::string& found) {
  refuse_file(input.path(), fmt::format("the header announces {} elements ({} bytes{} from byte {} on), but the file {}",
                                        times(header.shape), header.payload, input.compressed() ? ", inflated," : "", header.bytes, found));
}

std::vector<unsigned char> read_payload(Input& input, const Header& header) {
  if (input.size() && *input.size() != header.bytes + header.payload) {
    fail_payload(input, header, fmt::format("has {} bytes", *input.size() - header.bytes));
  }
  std::vector<unsigned char> payload;
  std::size_t have = 0;
  while (have < header.payload) {
    payload.resize(static_cast<std::size_t>(std::min<std::uint64_t>(header.payload, std::max(kFirstPayload, 2 * have))));
    const std::size_t got = input.read(payload.data() + have, payload.size() - have);
    have += got;
    if (have < payload.size()) fail_payload(input, header, fmt::format("ends after {}", have));
  }
  unsigned char more;
  if (input.read(&more, 1) != 0) fail_payload(input, header, "holds more");
  return payload;
}

// An element of the file, whose bytes are big-endian.
template <class Stored> Stored element_at(const unsigned char* from) {
  std::array<unsigned char, sizeof(Stored)> bytes;
  std::copy_n(from, bytes.size(), bytes.begin());
  if constexpr (std::endian::native == std::endian::little) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<Stored>(bytes);
}

template <class Stored, class Wanted>
void convert_elements(const std::string& path, const Header& header, const unsigned char* from, Wanted* to, double scale) {
  const Index n = header.shape.size();
  for (Index i = 0; i < n; ++i) {
    const Stored value = element_at<Stored>(from + static_cast<std::size_t>(i) * sizeof(Stored));
    if constexpr (std::is_integral_v<Wanted>) {
      to[i] = static_cast<Wanted>(+value);  // + turns a signed byte into a number instead of a character
    } else {
      const double scaled = static_cast<double>(value) * scale;
      if (std::is_floating_point_v<Stored> && !std::isfinite(scaled)) {
        refuse_file(path, fmt::format("element {} at byte {} is not a finite number", i,
                                      header.bytes + static_cast<std::uint64_t>(i) * sizeof(Stored)));
      }
      to[i] = static_cast<Wanted>(scaled);
    }
  }
}

template <class Stored> Tensor convert(const std::string& path, const Header& header, const unsigned char* from, IdxOptions options) {
  Tensor elements = Tensor::uninitialized(header.shape, options.dtype);
  if (options.dtype == int64) {
    convert_elements<Stored>(path, header, from, elements.mutable_data<std::int64_t>(), 1);
  } else if (options.dtype == float64) {
    convert_elements<Stored>(path, header, from, elements.mutable_data<double>(), options.scale);
  } else {
    convert_elements<Stored>(path, header, from, elements.mutable_data<float>(), options.scale);
  }
  return elements;
}

Tensor convert_any(const std::string& path, const Header& header, const unsigned char* from, IdxOptions options) {
  switch (header.type) {
    case 0x08:
      return convert<std::uint8_t>(path, header, from, options);
    case 0x09:
      return convert<std::int8_t>(path, header, from, options);
    case 0x0b:
      return convert<std::int16_t>(path, header, from, options);
    case 0x0c:
      return convert<std::int32_t>(path, header, from, options);
    case 0x0d:
      return convert<float>(path, header, from, options);
    default:
      return convert<double>(path, header, from, options);
  }
}

void check_dtype(const std::string& path, const Header& header, IdxOptions options) {
  const bool floating = header.type == 0x0d || header.type == 0x0e;
  if (options.dtype == boolean || (options.dtype == int64 && floating)) {
    throw DtypeError(fmt::format("read_idx: {} holds {} and cannot be read as {}", path, floating ? "floating numbers" : "integers",
                                 to_string(options.dtype)));
  }
  if (options.dtype == int64 && options.scale != 1) {
    throw DtypeError(fmt::format("read_idx: {}: int64 elements are not scaled; ask for float32 or float64", path));
  }
}

// ---- data sets ------------------------------------------------------------------------------------------------------

std::string find_file(const std::string& directory, std::string_view stem, std::string_view kind) {
  for (const char* folder : {"", "raw/", "MNIST/raw/", "FashionMNIST/raw/"}) {
    for (const char* joint : {"-", "."}) {
      for (const char* ending : {"", ".gz"}) {
        std::string path = fmt::format("{}/{}{}{}{}{}", directory, folder, stem, joint, kind, ending);
        if (::access(path.c_str(), F_OK) == 0) return path;
      }
    }
  }
  refuse_file(directory, fmt::format("no file {}-{} (or with .gz) here or in raw/, MNIST/raw/, FashionMNIST/raw/", stem, kind));
}

Index largest(const Tensor& labels) {
  const std::int64_t* label = labels.data<std::int64_t>();
  return *std::max_element(label, label + labels.size());
}

void check_labels(const std::string& path, const Tensor& labels, Index classes) {
  const std::int64_t* label = labels.data<std::int64_t>();
  for (Index i = 0; i < labels.size(); ++i) {
    if (label[i] < 0 || label[i] >= classes) refuse_file(path, fmt::format("label {} of item {} is not in [0, {})", label[i], i, classes));
  }
}

void check_rank(const std::string& path, const Tensor& elements, int rank, const char* shape) {
  if (elements.rank() != rank) refuse_file(path, fmt::format("the elements are {}, but {} is needed", to_string(elements.shape()), shape));
}

LabelledImages load_part(const std::string& directory, std::string_view part, Index& classes) {
  const std::string images_path = find_file(directory, fmt::format("{}-images", part), "idx3-ubyte");
  const std::string labels_path = find_file(directory, fmt::format("{}-labels", part), "idx1-ubyte");
  const Tensor labels = read_idx(labels_path, {.dtype = int64});
  check_rank(labels_path, labels, 1, "(n)");
  if (labels.size() == 0) refuse_file(labels_path, "holds no labels");
  if (classes <= 0) classes = largest(labels) + 1;
  check_labels(labels_path, labels, classes);
  const Tensor images = read_idx(images_path, {.dtype = float32, .scale = 1 / 255.0});
  check_rank(images_path, images, 3, "(n, rows, columns)");
  if (images.size(0) != labels.size()) {
    refuse_file(images_path, fmt::format("holds {} images, but {} holds {} labels", images.size(0), labels_path, labels.size()));
  }
  return {images, labels};
}

}  // namespace

Tensor read_idx(const std::string& path, IdxOptions options, Location site) {
  const CallSite scope(site);
  Input input(path);
  const Header header = read_header(input, options);
  check_dtype(path, header, options);
  const std::vector<unsigned char> payload = read_payload(input, header);
  return convert_any(path, header, payload.data(), options);
}

ImageDataset load_idx_images(const std::string& directory, Index classes, Location site) {
  const CallSite scope(site);
  ImageDataset data;
  data.train = load_part(directory, "train", classes);
  data.test = load_part(directory, "t10k", classes);
  data.classes = classes;
  const Tensor &train = data.train.images, &test = data.test.images;
  if (train.size(1) != test.size(1) || train.size(2) != test.size(2)) {
    refuse_file(directory,
                fmt::format("training images are {} x {}, test images {} x {}", train.size(1), train.size(2), test.size(1), test.size(2)));
  }
  return data;
}

}  // namespace wengert::nn
