#include "nn/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <limits>
#include <numeric>

#include "autodiff/tensor/storage.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using nn::IdxOptions;
using nn::read_idx;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

template <class T> std::string big_endian(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  if constexpr (std::endian::native == std::endian::little) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

std::string header(char type, std::initializer_list<std::uint32_t> sizes) {
  std::string bytes = {0, 0, type, static_cast<char>(sizes.size())};
  for (const std::uint32_t size : sizes) bytes += big_endian(size);
  return bytes;
}

std::string counting(std::size_t n) {
  std::string bytes(n, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  return bytes;
}

// `repeat` copies of `bytes`, compressed as gzip does.
std::string gzip(const std::string& bytes, std::size_t repeat = 1) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string compressed, piece(1 << 16, '\0');
  for (std::size_t i = 0; i < repeat; ++i) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream.next_out = reinterpret_cast<Bytef*>(piece.data());
      stream.avail_out = static_cast<uInt>(piece.size());
      deflate(&stream, i + 1 == repeat ? Z_FINISH : Z_NO_FLUSH);
      compressed.append(piece, 0, piece.size() - stream.avail_out);
    } while (stream.avail_out == 0);
  }
  deflateEnd(&stream);
  return compressed;
}

// What reading a file of these bytes is refused with, after checking that it is, compressed or not.
std::string refusal(const std::string& bytes, const IdxOptions& options = {}) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file-idx3-ubyte", bytes);
  const std::string message = message_of<DataError>([&] { read_idx(path, options); });
  BOOST_TEST(message.starts_with(path + ": "));
  return message;
}

const std::string images = header(8, {2, 2, 3}) + counting(12);

// A small data set as MNIST's files.
struct Dataset {
  TemporaryFolder folder;
  std::string joint = "-", ending = "";
  std::string train_images = header(8, {3, 2, 2}) + counting(12), train_labels = header(8, {3}) + std::string{0, 2, 1};
  std::string test_images = header(8, {1, 2, 2}) + std::string(4, '\xff'), test_labels = header(8, {1}) + std::string{2};

  void write(const std::string& where = "") const {
    const auto form = [&](const std::string& bytes) { return ending.empty() ? bytes : gzip(bytes); };
    folder.write(where + "train-images" + joint + "idx3-ubyte" + ending, form(train_images));
    folder.write(where + "train-labels" + joint + "idx1-ubyte" + ending, form(train_labels));
    folder.write(where + "t10k-images" + joint + "idx3-ubyte" + ending, form(test_images));
    folder.write(where + "t10k-labels" + joint + "idx1-ubyte" + ending, form(test_labels));
  }
  std::string refusal(Index classes = 0) const {
    write();
    return message_of<DataError>([&] { nn::load_idx_images(folder.path(""), classes); });
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(bytes_as_numbers_of_each_dtype) {
  const TemporaryFolder folder;
  for (const std::string& path :
       {folder.write("plain", images), folder.write("packed.gz", gzip(images)), folder.write("unusual-name", gzip(images))}) {
    const Tensor raw = read_idx(path);
    BOOST_TEST(to_string(raw.made_at()).starts_with("test_idx.cpp:"));
    BOOST_TEST((raw.shape() == Shape{2, 2, 3}));
    BOOST_TEST((raw.dtype() == float32));
    for (Index i = 0; i < 12; ++i) BOOST_TEST(raw.element(i) == static_cast<double>(i));
    BOOST_TEST(read_idx(path, {.scale = 1 / 255.0}).element(5) == static_cast<double>(static_cast<float>(5 / 255.0)));
    BOOST_TEST(read_idx(path, {.dtype = float64, .scale = 0.5}).element(11) == 5.5);
    BOOST_TEST((read_idx(path, {.dtype = int64}).to_vector<std::int64_t>()[11] == 11));
  }
  BOOST_CHECK_THROW(read_idx(folder.path("plain"), {.dtype = int64, .scale = 0.5}), DtypeError);
  BOOST_CHECK_THROW(read_idx(folder.path("plain"), {.dtype = boolean}), DtypeError);
}

BOOST_AUTO_TEST_CASE(every_element_type) {
  const TemporaryFolder folder;
  BOOST_TEST(read_idx(folder.write("u8", header(0x08, {1}) + "\xff")).item() == 255);
  BOOST_TEST(read_idx(folder.write("i8", header(0x09, {1}) + "\xff")).item() == -1);
  BOOST_TEST(read_idx(folder.write("i16", header(0x0b, {1}) + big_endian<std::int16_t>(-12345))).item() == -12345);
  BOOST_TEST(read_idx(folder.write("i32", header(0x0c, {1}) + big_endian<std::int32_t>(-123456789)), {.dtype = int64}).item() ==
             -123456789);
  BOOST_TEST(read_idx(folder.write("f32", header(0x0d, {1}) + big_endian(1.5f))).item() == 1.5);
  BOOST_TEST(read_idx(folder.write("f64", header(0x0e, {1}) + big_endian(0.1)), {.dtype = float64}).item() == 0.1);
  BOOST_CHECK_THROW(read_idx(folder.path("f64"), {.dtype = int64}), DtypeError);
  const std::string with_nan = header(0x0d, {2}) + big_endian(1.5f) + big_endian(std::numeric_limits<float>::quiet_NaN());
  BOOST_TEST(contains(refusal(with_nan), "element 1 at byte 12 is not a finite number"));
}

BOOST_AUTO_TEST_CASE(a_file_larger_than_the_buffers) {
  const TemporaryFolder folder;
  std::string big = header(8, {3000, 1000});
  for (std::uint32_t i = 0; i < 3'000'000; ++i) big += static_cast<char>(i * 2654435761u >> 24);
  for (const std::string& path : {folder.write("plain", big), folder.write("packed", gzip(big))}) {
    const std::vector<std::int64_t> elements = read_idx(path, {.dtype = int64}).to_vector<std::int64_t>();
    bool same = true;
    for (std::size_t i = 0; i < elements.size(); ++i) same &= elements[i] == static_cast<unsigned char>(big[12 + i]);
    BOOST_TEST(same);
  }
}

BOOST_AUTO_TEST_CASE(no_elements_are_a_tensor_too) {
  const TemporaryFolder folder;
  BOOST_TEST((read_idx(folder.write("empty", header(8, {0, 28, 28}))).shape() == Shape{0, 28, 28}));
}

BOOST_AUTO_TEST_CASE(a_wrong_magic_number) {
  BOOST_TEST(contains(refusal(""), "ends within the first 4 bytes"));
  BOOST_TEST(contains(refusal(std::string(3, '\0')), "ends within the first 4 bytes"));
  BOOST_TEST(contains(refusal("PK\3\4 a zip archive"), "begins with 50 4b 03 04 at byte 0"));
  for (const std::string& magic : {std::string{0, 1, 8, 1}, std::string{1, 0, 8, 1}, std::string{0, 0, 7, 1}, std::string{0, 0, 8, 0}}) {
    BOOST_TEST(contains(refusal(magic + std::string(100, '\0')), "unlike an IDX file"));
    BOOST_TEST(contains(refusal(gzip(magic + std::string(100, '\0'))), "unlike an IDX file"));
  }
}

BOOST_AUTO_TEST_CASE(sizes_that_overflow_or_exceed_the_limit) {
  const std::uint32_t huge = 0xffffffff;
  for (const std::string& bytes :
       {header(8, {huge, huge, huge}), header(8, {huge, huge}), header(14, {1u << 30, 1u << 31, 1}), header(8, {huge, huge, huge, 0})}) {
    BOOST_TEST(contains(refusal(bytes), "at byte 4, more than the limit"));
    BOOST_TEST(contains(refusal(gzip(bytes)), "at byte 4, more than the limit"));
  }
  BOOST_TEST(contains(refusal(images, {.max_bytes = 11}), "2 x 2 x 3 elements at byte 4, more than the limit of 11 bytes"));
  std::string many = {0, 0, 8, '\xff'};
  for (int i = 0; i < 255; ++i) many += big_endian(huge);
  BOOST_TEST(contains(refusal(many), "more than the limit"));
}

BOOST_AUTO_TEST_CASE(every_truncation_is_refused) {
  const std::string packed = gzip(images);
  for (std::size_t n = 0; n < images.size(); ++n) refusal(images.substr(0, n));
  for (std::size_t n = 0; n < packed.size(); ++n) refusal(packed.substr(0, n));
  BOOST_TEST(contains(refusal(images.substr(0, 20)), "2 x 2 x 3 elements (12 bytes from byte 16 on), but the file has 4 bytes"));
  BOOST_TEST(contains(refusal(gzip(images.substr(0, 20))), "(12 bytes, inflated, from byte 16 on), but the file ends after 4"));
  BOOST_TEST(contains(refusal(packed.substr(0, packed.size() - 1)), "truncated"));
}

BOOST_AUTO_TEST_CASE(trailing_bytes_are_refused) {
  BOOST_TEST(contains(refusal(images + "x"), "but the file has 13 bytes"));
  BOOST_TEST(contains(refusal(gzip(images + "x")), "holds more"));
  BOOST_TEST(contains(refusal(gzip(images) + "x"), "something else after its gzip data, at byte " + std::to_string(gzip(images).size())));
  BOOST_TEST(contains(refusal(gzip(images) + gzip("x")), "holds more"));
}

BOOST_AUTO_TEST_CASE(several_gzip_members_are_one_file) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", gzip(images.substr(0, 7)) + gzip("") + gzip(images.substr(7)));
  BOOST_TEST(read_idx(path).element(11) == 11);
}

BOOST_AUTO_TEST_CASE(damaged_gzip_data_is_refused) {
  const std::string packed = gzip(images);
  std::string wrong_checksum = packed, wrong_length = packed;
  wrong_checksum[packed.size() - 8] ^= 1;
  wrong_length[packed.size() - 4] ^= 1;
  BOOST_TEST(contains(refusal(wrong_checksum), "damaged gzip data near byte"));
  BOOST_TEST(contains(refusal(wrong_checksum), "incorrect data check"));
  BOOST_TEST(contains(refusal(wrong_length), "incorrect length check"));
  for (std::size_t i = 10; i + 8 < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(~damaged[i]);
    refusal(damaged);
  }
}

BOOST_AUTO_TEST_CASE(a_bomb_of_zeros_is_not_inflated) {
  const std::string zeros(1 << 20, '\0');
  const std::string small = gzip(header(8, {1, 4, 4}) + zeros.substr(0, 16));
  // 256 MB behind a header that promises 16 bytes: one more byte tells.
  const std::string bomb = gzip(zeros, 256);
  BOOST_TEST(contains(refusal(gzip(header(8, {1, 4, 4}) + std::string(17, '\0')) + bomb), "holds more"));
  BOOST_TEST(contains(refusal(bomb), "unlike an IDX file"));
  // A header that promises a gigabyte in a file of a few bytes: nothing of that size is allocated.
  const std::size_t before = pool::statistics().heap_bytes;
  BOOST_TEST(contains(refusal(gzip(header(8, {1u << 10, 1u << 10, 1u << 10}) + "abc")), "ends after 3"));
  BOOST_TEST(contains(refusal(header(8, {1u << 10, 1u << 10, 1u << 10}) + "abc"), "but the file has 3 bytes"));
  BOOST_TEST(pool::statistics().heap_bytes <= before);
}

BOOST_AUTO_TEST_CASE(a_missing_file) {
  BOOST_TEST(message_of<DataError>([] { read_idx("no/such/file"); }) == "no/such/file: No such file or directory");
}

BOOST_AUTO_TEST_CASE(data_sets_in_every_layout) {
  for (const char* where : {"", "raw/", "MNIST/raw/", "FashionMNIST/raw/"}) {
    for (const char* joint : {"-", "."}) {
      for (const char* ending : {"", ".gz"}) {
        Dataset files;
        files.joint = joint;
        files.ending = ending;
        files.write(where);
        const nn::ImageDataset data = nn::load_idx_images(files.folder.path(""));
        BOOST_TEST((data.train.images.shape() == Shape{3, 2, 2}));
        BOOST_TEST((data.train.labels.shape() == Shape{3}));
        BOOST_TEST((data.train.labels.dtype() == int64));
        BOOST_TEST(data.train.size() == 3);
        BOOST_TEST(data.test.size() == 1);
        BOOST_TEST(data.classes == 3);
        BOOST_TEST(data.test.images.element(0) == 1.0);
        BOOST_TEST(data.train.labels.element(1) == 2.0);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(data_sets_that_do_not_fit_together) {
  const auto refused = [](auto change, const char* part, Index classes = 0) {
    Dataset files;
    change(files);
    BOOST_TEST(contains(files.refusal(classes), part));
  };
  refused([](Dataset& d) { d.train_labels = header(8, {2}) + counting(2); }, "holds 3 images, but");
  refused([](Dataset& d) { d.test_labels = header(8, {1}) + std::string{3}; }, "label 3 of item 0 is not in [0, 3)");
  refused([](Dataset&) {}, "label 2 of item 1 is not in [0, 2)", 2);
  refused([](Dataset& d) { d.train_labels = header(9, {3}) + std::string{0, 2, '\xff'}; }, "label -1 of item 2");
  refused([](Dataset& d) { d.train_images = header(8, {3, 4}) + counting(12); }, "the elements are (3, 4)");
  refused([](Dataset& d) { d.train_labels = header(8, {3, 1}) + counting(3); }, "but (n) is needed");
  refused([](Dataset& d) { d.test_images = header(8, {1, 1, 4}) + counting(4); }, "training images are 2 x 2, test images 1 x 4");
  refused([](Dataset& d) { d.test_labels = header(8, {0}); }, "holds no labels");
  const TemporaryFolder empty;
  const std::string message = message_of<DataError>([&] { nn::load_idx_images(empty.path("")); });
  BOOST_TEST(contains(message, empty.path("")));
  BOOST_TEST(contains(message, "no file train-images-idx3-ubyte"));
}
