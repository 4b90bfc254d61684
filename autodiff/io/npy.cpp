#include "autodiff/io/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <optional>
#include <type_traits>
#include <unordered_set>
#include <utility>

#include "autodiff/io/atomic_file.h"
#include "autodiff/io/in_quotes.h"
#include "autodiff/io/mapped_file.h"
#include "autodiff/io/mapped_npy.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert {

// The description of an array in its header.
struct detail::NpyHeader {
  char kind = 0;                 // f, i, u or b
  std::uint64_t item_bytes = 0;  // of one element in the file
  bool big_endian = false, fortran = false;
  Shape shape;
  std::uint64_t data_bytes = 0;  // of all elements in the file
  std::uint64_t data_at = 0;     // in the file
};

namespace {

using Header = detail::NpyHeader;

static_assert(std::endian::native == std::endian::little, "numbers of zip archives are copied in memory order");

using Bytes = std::span<const std::byte>;

constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();

template <class T> T little_endian(Bytes bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// ---- .npy: "\x93NUMPY", version (2 bytes), length of the header (2 or 4 bytes), header, elements --------------------

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxNpyDimensions = 64;

// The header is a Python literal: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. Only this subset of Python is parsed.
class NpyHeaderReader {
 public:
  NpyHeaderReader(const std::string& name, std::string_view text) : name_(name), text_(text) {}

  Header read() {
    expect('{');
    while (!accept('}')) {
      read_field();
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (skip_blanks(); at_ != text_.size()) fail("unexpected text follows it");
    if (!descr_ || !fortran_ || !shape_) fail("it needs descr, fortran_order and shape");
    return check();
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw DataError(fmt::format("{}: the header {} cannot be read at its byte {}: {}", name_, in_quotes(text_), at_, what));
  }
  void skip_blanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_blanks();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' is missing", c));
  }
  bool accept_word(std::string_view word) {
    skip_blanks();
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  void read_field() {
    const std::string_view key = read_text();
    expect(':');
    if (key == "descr" && !descr_) {
      descr_ = read_text();
    } else if (key == "fortran_order" && !fortran_) {
      fortran_ = accept_word("True");
      if (!*fortran_ && !accept_word("False")) fail("True or False is missing");
    } else if (key == "shape" && !shape_) {
      read_shape();
    } else {
      fail(fmt::format("the key {} is unknown or repeated", in_quotes(key)));
    }
  }
  std::string_view read_text() {
    skip_blanks();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote != '\'' && quote != '"') fail("a string is missing (arrays of records are not supported)");
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a string is not terminated");
    const std::string_view text = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return text;
  }
  void read_shape() {
    shape_.emplace();
    expect('(');
    while (!accept(')')) {
      shape_->push_back(read_size());
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    if (shape_->size() > kMaxNpyDimensions) fail(fmt::format("there are more than {} sizes", kMaxNpyDimensions));
  }
  std::uint64_t read_size() {
    skip_blanks();
    std::uint64_t size = 0;
    const char *begin = text_.data() + at_, *end = text_.data() + text_.size();
    const auto [stop, error] = std::from_chars(begin, end, size);
    if (error != std::errc() || size > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
      fail("a size (an integer in [0, 2^63)) is missing");
    at_ += static_cast<std::size_t>(stop - begin);
    return size;
  }

  Header check() const {
    Header header;
    const std::string_view descr = *descr_;
    const bool form = descr.size() == 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
    static constexpr std::string_view known[] = {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "b1"};
    if (!form || std::find(std::begin(known), std::end(known), descr.substr(1)) == std::end(known)) {
      throw DataError(fmt::format("{}: the dtype {} is not one of f4, f8, i1, i2, i4, i8, u1, u2, u4, b1 in either byte order", name_,
                                  in_quotes(descr)));
    }
    header.kind = descr[1];
    header.item_bytes = static_cast<std::uint64_t>(descr[2] - '0');
    header.big_endian = descr[0] == '>';
    header.fortran = *fortran_;
    header.data_bytes = header.item_bytes;
    bool overflow = false;
    for (const std::uint64_t size : *shape_) {
      overflow |= __builtin_mul_overflow(header.data_bytes, size, &header.data_bytes);
      header.shape.push_back(static_cast<Index>(size));
    }
    if (std::find(shape_->begin(), shape_->end(), 0) != shape_->end()) {
      header.data_bytes = 0;  // even if the product of the other sizes overflows
    } else if (overflow) {
      throw DataError(fmt::format("{}: an array of shape ({}) cannot exist", name_, fmt::join(*shape_, ", ")));
    }
    return header;
  }

  const std::string& name_;
  std::string_view text_;
  std::size_t at_ = 0;
  std::optional<std::string_view> descr_;
  std::optional<bool> fortran_;
  std::optional<std::vector<std::uint64_t>> shape_;
};

template <class Stored> Stored element_at(const std::byte* from, bool swapped) {
  std::array<std::byte, sizeof(Stored)> bytes;
  std::copy_n(from, bytes.size(), bytes.begin());
  if (swapped) std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<Stored>(bytes);
}

template <class Stored, class T = Stored> Tensor convert(const Header& header, const Shape& shape, Bytes data) {
  Tensor tensor = Tensor::uninitialized(shape, DtypeOf<T>::value);
  T* const to = tensor.mutable_data<T>();
  for (std::size_t i = 0; i < data.size() / sizeof(Stored); ++i)
    to[i] =
        static_cast<T>(+element_at<Stored>(data.data() + i * sizeof(Stored), header.big_endian));  // +: a byte is a number, not a character
  return tensor;
}

Tensor booleans(const std::string& name, const Shape& shape, Bytes data) {
  const auto wrong = std::find_if(data.begin(), data.end(), [](std::byte b) { return b > std::byte{1}; });
  if (wrong != data.end())  // a bool of another value would be undefined behaviour
    throw DataError(fmt::format("{}: element {} is {}, which is not a boolean", name, wrong - data.begin(), std::to_integer<int>(*wrong)));
  return convert<std::uint8_t, bool>(Header{}, shape, data);
}

Tensor elements_of(const std::string& name, const Header& header, const Shape& shape, Bytes data) {
  switch (header.kind) {
    case 'f':
      return header.item_bytes == 4 ? convert<float>(header, shape, data) : convert<double>(header, shape, data);
    case 'b':
      return booleans(name, shape, data);
    case 'u':
      return header.item_bytes == 1   ? convert<std::uint8_t, Index>(header, shape, data)
             : header.item_bytes == 2 ? convert<std::uint16_t, Index>(header, shape, data)
                                      : convert<std::uint32_t, Index>(header, shape, data);
    default:
      return header.item_bytes == 1   ? convert<std::int8_t, Index>(header, shape, data)
             : header.item_bytes == 2 ? convert<std::int16_t, Index>(header, shape, data)
             : header.item_bytes == 4 ? convert<std::int32_t, Index>(header, shape, data)
                                      : convert<std::int64_t, Index>(header, shape, data);
  }
}

// Parses the header of `bytes`, which messages call `name`, and checks that the elements follow it.
Header parse_header(const std::string& name, Bytes bytes) {
  const auto fail = [&](const std::string& what) { throw DataError(fmt::format("{}: {}", name, what)); };
  constexpr std::size_t version_at = kMagic.size(), length_at = version_at + 2;
  if (!text_of(bytes).starts_with(kMagic)) fail("is not an .npy file: it does not begin with \\x93NUMPY");
  const int version = bytes.size() > version_at ? std::to_integer<int>(bytes[version_at]) : 0;
  const std::size_t header_at = length_at + (version == 1 ? 2 : 4);
  if (bytes.size() < header_at) fail("is cut off before its header");
  if (version < 1 || version > 3) fail(fmt::format("version {} of the format is not one of 1, 2, 3", version));
  const std::uint64_t length =
      version == 1 ? little_endian<std::uint16_t>(bytes, length_at) : little_endian<std::uint32_t>(bytes, length_at);
  if (length > bytes.size() - header_at)
    fail(fmt::format("the header should have {} bytes, but only {} follow: the file is cut off", length, bytes.size() - header_at));
  Header header = NpyHeaderReader(name, text_of(bytes.subspan(header_at, length))).read();
  header.data_at = header_at + length;
  if (const std::size_t follow = bytes.size() - header.data_at; follow != header.data_bytes)
    fail(fmt::format("the header declares {} elements of {} bytes, {} in total, but {} follow", to_string(header.shape), header.item_bytes,
                     header.data_bytes, follow));
  return header;
}

Tensor parse_npy(const std::string& name, Bytes bytes) {
  const Header header = parse_header(name, bytes);
  const Bytes data = bytes.subspan(header.data_at);
  if (!header.fortran) return elements_of(name, header, header.shape, data);
  const Tensor elements = elements_of(name, header, header.shape, data);  // in Fortran order: the first index changes fastest
  Shape strides = header.shape;
  for (int i = 0; i < strides.rank(); ++i) strides[i] = header.shape.size(0, i);
  return view(elements, header.shape, strides, 0, elements.made_at()).contiguous();
}

const char* descr_of(Dtype dtype) {
  switch (dtype) {
    case float32:
      return "<f4";
    case float64:
      return "<f8";
    case int64:
      return "<i8";
    case boolean:
      break;
  }
  return "|b1";
}

// Everything before the elements, padded so that they begin at a multiple of 64.
std::string npy_header(const Tensor& tensor) {
  std::string sizes = fmt::format("{}", fmt::join(tensor.shape(), ", "));
  if (tensor.rank() == 1) sizes += ',';
  std::string text = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr_of(tensor.dtype()), sizes);
  const std::size_t fixed = kMagic.size() + 4;
  text.resize((fixed + text.size() + 1 + 63) / 64 * 64 - fixed - 1, ' ');
  text += '\n';
  const auto length = static_cast<std::uint16_t>(text.size());
  std::string header(kMagic);
  header += {'\1', '\0', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  return header + text;
}

std::string_view elements_in(const Tensor& tensor) {
  return detail::dispatch(tensor.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return std::string_view(reinterpret_cast<const char*>(tensor.data<T>()), static_cast<std::size_t>(tensor.size()) * sizeof(T));
  });
}

// ---- .npz: a zip archive (PKWARE's APPNOTE). For each entry a local header and data; then the directory; then its position. ----

constexpr std::uint32_t kLocalSignature = 0x04034b50, kDirectorySignature = 0x02014b50, kEndSignature = 0x06054b50;
constexpr std::size_t kLocalBytes = 30, kDirectoryBytes = 46, kEndBytes = 22;
constexpr std::uint16_t kStored = 0, kDeflated = 8;
constexpr std::string_view kEnding = ".npy";
constexpr std::size_t kFirstPiece = 1 << 16;  // initial allocation for a deflated entry

struct Member {
  std::string name;  // with the extension .npy
  std::uint16_t method = 0;
  std::uint32_t checksum = 0;
  std::uint64_t packed_bytes = 0, bytes = 0, header_at = 0;
};

class ZipReader {
 public:
  ZipReader(const std::string& path, Bytes bytes, std::uint64_t max_bytes) : path_(path), bytes_(bytes), max_bytes_(max_bytes) {}

  std::vector<NamedTensor> read() {
    read_directory();
    std::uint64_t inflated_bytes = 0;
    for (const Member& entry : entries_)
      if (entry.method == kDeflated) inflated_bytes += entry.bytes;  // fewer than 2^16 numbers below 2^32
    if (inflated_bytes > max_bytes_)
      fail(fmt::format("its compressed arrays take {} bytes, more than the limit NpzReadOptions::max_bytes of {}", inflated_bytes,
                       max_bytes_));
    const std::vector<Bytes> packed = checked_ranges();
    std::vector<NamedTensor> tensors;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const Member& entry = entries_[i];
      const std::string label = label_of(entry);
      std::vector<std::byte> inflated;
      Bytes data = packed[i];
      if (entry.method == kDeflated) data = inflated = inflate_all(entry, packed[i]);
      check_checksum(entry, data);
      tensors.push_back({entry.name.substr(0, entry.name.size() - kEnding.size()), parse_npy(label, data)});
    }
    return tensors;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", path_, what)); }
  [[noreturn]] void fail(const Member& entry, const std::string& what) const {
    throw DataError(fmt::format("{}: {}", label_of(entry), what));
  }
  std::string label_of(const Member& entry) const { return fmt::format("{}: {}", path_, in_quotes(entry.name)); }

  // The end record is at the end of the file, followed only by a comment of at most 2^16 bytes.
  std::size_t find_end() const {
    const std::size_t size = bytes_.size();
    for (std::size_t comment = 0; comment < (1 << 16) && kEndBytes + comment <= size; ++comment) {
      const std::size_t at = size - kEndBytes - comment;
      if (little_endian<std::uint32_t>(bytes_, at) == kEndSignature && little_endian<std::uint16_t>(bytes_, at + 20) == comment) return at;
    }
    fail("is not an .npz file, or is cut off: the end record of the zip archive is missing");
  }

  void read_directory() {
    const std::size_t end = find_end();
    const auto count = little_endian<std::uint16_t>(bytes_, end + 10);
    const std::uint64_t bytes = little_endian<std::uint32_t>(bytes_, end + 12), at = little_endian<std::uint32_t>(bytes_, end + 16);
    if (at == kMax32 || bytes == kMax32 || count == 0xffff) fail("archives of more than 4 GB are not supported");
    if (at > end || bytes > end - at)
      fail(fmt::format("its directory of {} bytes at {} does not lie before its end at {}", bytes, at, end));
    directory_at_ = at;
    Bytes rest = bytes_.subspan(at, bytes);
    std::unordered_set<std::string> names;
    for (unsigned i = 0; i < count; ++i) {
      entries_.push_back(read_entry(rest));
      if (!names.insert(entries_.back().name).second) fail(entries_.back(), "the name occurs twice");
    }
    if (!rest.empty()) fail(fmt::format("{} bytes of its directory belong to no entry", rest.size()));
  }

  Member read_entry(Bytes& rest) const {
    if (rest.size() < kDirectoryBytes || little_endian<std::uint32_t>(rest, 0) != kDirectorySignature)
      fail(fmt::format("its directory is damaged or ends after {} entries", entries_.size()));
    const auto flags = little_endian<std::uint16_t>(rest, 8);
    Member entry{.name = {},
                 .method = little_endian<std::uint16_t>(rest, 10),
                 .checksum = little_endian<std::uint32_t>(rest, 16),
                 .packed_bytes = little_endian<std::uint32_t>(rest, 20),
                 .bytes = little_endian<std::uint32_t>(rest, 24),
                 .header_at = little_endian<std::uint32_t>(rest, 42)};
    const std::size_t name = little_endian<std::uint16_t>(rest, 28);
    const std::size_t whole = kDirectoryBytes + name + little_endian<std::uint16_t>(rest, 30) + little_endian<std::uint16_t>(rest, 32);
    if (rest.size() < whole) fail(fmt::format("its directory ends within entry {}", entries_.size()));
    entry.name = text_of(rest.subspan(kDirectoryBytes, name));
    rest = rest.subspan(whole);
    if (!entry.name.ends_with(kEnding)) fail(entry, "is not an .npy file");
    if (flags & 1) fail(entry, "is encrypted");
    if (entry.method != kStored && entry.method != kDeflated)
      fail(entry, fmt::format("is compressed by method {}; only stored (0) and deflated (8) entries are supported", entry.method));
    if (std::max({entry.packed_bytes, entry.bytes, entry.header_at}) == kMax32) fail(entry, "archives of more than 4 GB are not supported");
    if (entry.method == kStored && entry.packed_bytes != entry.bytes)
      fail(entry, fmt::format("is stored in {} bytes, but its size is given as {}", entry.packed_bytes, entry.bytes));
    return entry;
  }

  // The data of each entry. Checks that they come before the directory and do not overlap.
  std::vector<Bytes> checked_ranges() const {
    std::vector<Bytes> ranges;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> taken;  // from a local header to the end of its data
    for (const Member& entry : entries_) {
      const std::uint64_t at = entry.header_at;
      if (at > directory_at_ || directory_at_ - at < kLocalBytes)
        fail(entry, fmt::format("its header at {} is outside the file's data", at));
      if (little_endian<std::uint32_t>(bytes_, at) != kLocalSignature) fail(entry, fmt::format("there is no header at {}", at));
      const std::uint64_t begin =
          at + kLocalBytes + little_endian<std::uint16_t>(bytes_, at + 26) + little_endian<std::uint16_t>(bytes_, at + 28);
      if (begin > directory_at_ || entry.packed_bytes > directory_at_ - begin)
        fail(entry,
             fmt::format("its {} bytes at {} extend beyond the file's data, which ends at {}", entry.packed_bytes, begin, directory_at_));
      ranges.push_back(bytes_.subspan(begin, entry.packed_bytes));
      taken.emplace_back(at, begin + entry.packed_bytes);
    }
    std::sort(taken.begin(), taken.end());
    for (std::size_t i = 1; i < taken.size(); ++i)
      if (taken[i].first < taken[i - 1].second) fail(fmt::format("two entries share the bytes at {}", taken[i].first));
    return ranges;
  }

  std::vector<std::byte> inflate_all(const Member& entry, Bytes packed) const {
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) throw std::bad_alloc();  // negative: raw deflate data without a zlib header
    struct End {
      z_stream* stream;
      ~End() { inflateEnd(stream); }
    } const end{&stream};
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    std::vector<std::byte> data;
    std::size_t have = 0;
    int status = Z_OK;
    while (status == Z_OK) {
      // One byte more than declared, to detect excess data.
      data.resize(static_cast<std::size_t>(std::min<std::uint64_t>(entry.bytes + 1, std::max(kFirstPiece, 2 * have))));
      if (have == data.size()) break;
      stream.next_out = reinterpret_cast<Bytef*>(data.data() + have);
      stream.avail_out = static_cast<uInt>(data.size() - have);
      status = inflate(&stream, Z_NO_FLUSH);
      have = data.size() - stream.avail_out;
    }
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    if (status != Z_STREAM_END || have != entry.bytes || stream.avail_in != 0)
      fail(entry, fmt::format("its deflated data is damaged, or does not inflate to the declared {} bytes", entry.bytes));
    data.resize(have);
    return data;
  }

  void check_checksum(const Member& entry, Bytes data) const {
    const uLong found = crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
    if (found != entry.checksum) fail(entry, fmt::format("the checksum is {:08x}, but its data has {:08x}", entry.checksum, found));
  }

  const std::string& path_;
  Bytes bytes_;
  std::uint64_t max_bytes_;
  std::uint64_t directory_at_ = 0;
  std::vector<Member> entries_;
};

// Appends numbers in little-endian order.
template <class... T> void append(std::string& to, T... numbers) {
  (to.append(reinterpret_cast<const char*>(&numbers), sizeof numbers), ...);
}

class ZipWriter {
 public:
  explicit ZipWriter(const std::string& path) : path_(path), file_(path) {}

  void add(const std::string& name, std::string_view bytes, bool compress) {
    const Member entry{.name = name + std::string(kEnding),
                       .method = compress ? kDeflated : kStored,
                       .checksum = static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size())),
                       .packed_bytes = 0,
                       .bytes = bytes.size(),
                       .header_at = written_};
    require_small(entry.bytes);
    const std::string packed = compress ? deflate_bytes(bytes) : std::string();
    write_entry(entry, compress ? std::string_view(packed) : bytes);
  }

  void finish() {
    const std::uint64_t directory_at = written_;
    require_small(directory_at + directory_.size());
    std::string end;
    append(end, kEndSignature, std::uint32_t{0}, count_, count_, static_cast<std::uint32_t>(directory_.size()),
           static_cast<std::uint32_t>(directory_at), std::uint16_t{0});
    write(directory_);
    write(end);
    file_.commit();
  }

 private:
  void write_entry(Member entry, std::string_view packed) {
    entry.packed_bytes = packed.size();
    require_small(entry.header_at + kLocalBytes + entry.name.size() + packed.size());
    if (entry.name.size() > 0xffff || count_ == 0xfffe)
      throw DataError(fmt::format("{}: there are too many names, or a name is too long", path_));
    constexpr std::uint16_t version = 20, names_in_utf8 = 1 << 11, time = 0, day = 1 << 5 | 1;  // 1980-01-01: the same file every time
    std::string described;  // the part that the local header and the directory have in common
    append(described, version, names_in_utf8, entry.method, time, day, entry.checksum, static_cast<std::uint32_t>(entry.packed_bytes),
           static_cast<std::uint32_t>(entry.bytes), static_cast<std::uint16_t>(entry.name.size()), std::uint16_t{0});
    std::string local;
    append(local, kLocalSignature);
    write(local + described + entry.name);
    write(packed);
    append(directory_, kDirectorySignature, version);
    directory_ += described;
    append(directory_, std::uint16_t{0}, std::uint16_t{0}, std::uint16_t{0}, std::uint32_t{0}, static_cast<std::uint32_t>(entry.header_at));
    directory_ += entry.name;
    ++count_;
  }

  static std::string deflate_bytes(std::string_view bytes) {
    z_stream stream{};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
    std::string packed(deflateBound(&stream, bytes.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);  // there is room for all of it
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
  }

  void require_small(std::uint64_t bytes) const {
    if (bytes >= kMax32) throw DataError(fmt::format("{}: an .npz file cannot hold more than 4 GB; hint: .safetensors can", path_));
  }
  void write(std::string_view bytes) {
    file_.write(bytes);
    written_ += bytes.size();
  }

  const std::string& path_;
  AtomicFile file_;
  std::uint64_t written_ = 0;
  std::string directory_;
  std::uint16_t count_ = 0;
};

}  // namespace

Tensor read_npy(const std::string& path) { return parse_npy(path, InputFile(path).read_all()); }

void write_npy(const std::string& path, const Tensor& tensor) {
  if (!tensor.defined()) throw DataError(fmt::format("{}: the tensor is undefined", path));
  const Tensor dense = tensor.constant().contiguous();
  AtomicFile file(path);
  file.write(npy_header(dense));
  file.write(elements_in(dense));
  file.commit();
}

std::vector<NamedTensor> read_npz(const std::string& path, const NpzReadOptions& options) {
  const std::vector<std::byte> bytes = InputFile(path).read_all();
  return ZipReader(path, bytes, options.max_bytes).read();
}

void write_npz(const std::string& path, std::span<const NamedTensor> tensors, const NpzOptions& options) {
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second) throw DataError(fmt::format("{}: two tensors have the name {}", path, in_quotes(tensor.name)));
    if (!tensor.value.defined()) throw DataError(fmt::format("{}: tensor {} is undefined", path, in_quotes(tensor.name)));
  }
  ZipWriter archive(path);
  for (const NamedTensor& tensor : tensors) {
    const Tensor dense = tensor.value.constant().contiguous();
    archive.add(tensor.name, npy_header(dense) + std::string(elements_in(dense)), options.compress);
  }
  archive.finish();
}

MappedNpy::MappedNpy(const std::string& path)
    : file_(path), header_(std::make_unique<detail::NpyHeader>(parse_header(path, file_.bytes()))) {
  if (header_->shape.rank() == 0) throw DataError(fmt::format("{}: an array without dimensions has no rows", path));
  if (header_->fortran && header_->shape.rank() > 1)
    throw DataError(
        fmt::format("{}: the array is in Fortran order, so its rows do not lie together; hint: save numpy.ascontiguousarray of it", path));
}

MappedNpy::MappedNpy(MappedNpy&& o) noexcept = default;
MappedNpy& MappedNpy::operator=(MappedNpy&& o) noexcept = default;
MappedNpy::~MappedNpy() = default;

const Shape& MappedNpy::shape() const { return header_->shape; }

Tensor MappedNpy::row(Index i) const {
  if (i < 0 || i >= size()) throw ShapeError(fmt::format("{}: there is no row {}; the array is {}", file_.path(), i, to_string(shape())));
  Shape of_row;
  for (int d = 1; d < shape().rank(); ++d) of_row.push_back(shape()[d]);
  const std::uint64_t bytes = header_->data_bytes / static_cast<std::uint64_t>(size());
  return elements_of(file_.path(), *header_, of_row,
                     file_.bytes().subspan(header_->data_at + static_cast<std::uint64_t>(i) * bytes, bytes));
}

}  // namespace wengert
