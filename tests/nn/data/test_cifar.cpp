#include "nn/data/cifar.h"

#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

constexpr std::size_t kPlane = 1024, kRecord = 1 + 3 * kPlane;

// A picture of one colour, with one pixel of its own in the upper right corner.
std::string record(int label, int red, int green, int blue) {
  std::string bytes(1, static_cast<char>(label));
  for (const int value : {red, green, blue}) bytes += std::string(kPlane, static_cast<char>(value));
  bytes[1 + 31] = '\xff';
  return bytes;
}

std::string compressed(const std::string& bytes) {
  z_stream stream{};
  BOOST_TEST_REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

void check_refused(const std::string& bytes, std::string_view text) {
  const TemporaryFolder folder;
  const std::string path = folder.write("batch.bin", bytes);
  const std::string message = message_of<DataError>([&] { nn::read_cifar10(path); });
  BOOST_TEST(contains(message, text));
  BOOST_TEST(message.starts_with(path + ": "));
}

}  // namespace

BOOST_AUTO_TEST_CASE(records_are_pictures_with_labels) {
  const TemporaryFolder folder;
  const std::string bytes = record(3, 51, 102, 153) + record(9, 0, 0, 0);
  for (const std::string& path : {folder.write("plain.bin", bytes), folder.write("packed.bin.gz", compressed(bytes))}) {
    const nn::LabelledImages data = nn::read_cifar10(path);
    BOOST_TEST((data.images.shape() == Shape{2, 3, 32, 32}));
    BOOST_TEST((data.images.dtype() == float32));
    BOOST_TEST((data.labels.to_vector<Index>() == std::vector<Index>{3, 9}));
    for (const Index channel : {0, 1, 2})
      BOOST_TEST(data.images.at({0, channel, 7, 5}) == static_cast<double>(0.2F * (1 + channel)), boost::test_tools::tolerance(1e-6));
    BOOST_TEST(data.images.at({1, 0, 0, 31}) == 1);
    BOOST_TEST(data.images.at({1, 0, 31, 0}) == 0);
  }
  BOOST_TEST(nn::kCifar10Classes[3] == std::string("cat"));
}

BOOST_AUTO_TEST_CASE(a_data_set_is_all_its_batches) {
  const TemporaryFolder folder;
  folder.write("cifar-10-batches-bin/data_batch_1.bin", record(0, 1, 1, 1));
  folder.write("cifar-10-batches-bin/data_batch_3.bin.gz", compressed(record(1, 2, 2, 2) + record(2, 3, 3, 3)));
  BOOST_TEST(contains(message_of<DataError>([&] { nn::load_cifar10(folder.path("")); }), "no file test_batch.bin"));
  folder.write("cifar-10-batches-bin/test_batch.bin", record(7, 4, 4, 4));
  const nn::ImageDataset data = nn::load_cifar10(folder.path(""));
  BOOST_TEST(to_string(data.train.images.made_at()).starts_with("test_cifar.cpp:"));
  BOOST_TEST(to_string(data.test.labels.made_at()).starts_with("test_cifar.cpp:"));
  BOOST_TEST((data.train.labels.to_vector<Index>() == std::vector<Index>{0, 1, 2}));
  BOOST_TEST((data.train.images.shape() == Shape{3, 3, 32, 32}));
  BOOST_TEST(data.test.labels.item() == 7);
  BOOST_TEST(data.classes == 10);
  const TemporaryFolder empty;
  empty.write("test_batch.bin", record(7, 4, 4, 4));
  BOOST_TEST(contains(message_of<DataError>([&] { nn::load_cifar10(empty.path("")); }), "no file data_batch_1.bin to"));
}

BOOST_AUTO_TEST_CASE(a_small_file_does_not_expand_without_limit) {
  const TemporaryFolder folder;
  std::string records;
  for (int i = 0; i < 3; ++i) records += record(1, 0, 0, 0);
  const std::string path = folder.write("many.bin.gz", compressed(records));
  BOOST_TEST(nn::read_cifar10(path, {.max_records = 3}).size() == 3);
  BOOST_TEST(contains(message_of<DataError>([&] { nn::read_cifar10(path, {.max_records = 2}); }), "more than 2 records"));
}

BOOST_AUTO_TEST_CASE(hostile_files_are_refused) {
  const std::string good = record(3, 51, 102, 153);
  check_refused("", "holds no records");
  check_refused(good + good.substr(0, 1), "record 1 at byte 3073 is cut off: 1 bytes of 3073");
  check_refused(good.substr(0, kRecord - 1), "record 0 at byte 0 is cut off: 3072 bytes");
  check_refused(good + record(10, 0, 0, 0), "record 1 at byte 3073: the label 10 is not in [0, 10)");
  check_refused(compressed(good + good).substr(0, 30), "truncated");
  std::string damaged = compressed(good);
  damaged[damaged.size() - 5] = static_cast<char>(~damaged[damaged.size() - 5]);  // its checksum
  check_refused(damaged, "damaged gzip data");
  BOOST_CHECK_THROW(nn::read_cifar10("no/such/file"), DataError);
}
