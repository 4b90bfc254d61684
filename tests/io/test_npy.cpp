#include "autodiff/io/npy.h"

#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/ops.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

template <class... T> std::string bytes_of_numbers(T... numbers) {
  std::string bytes;
  (bytes.append(reinterpret_cast<const char*>(&numbers), sizeof numbers), ...);
  return bytes;
}

// A file of version 1.
std::string npy(const std::string& header, const std::string& data) {
  return "\x93NUMPY" + std::string("\1\0", 2) + bytes_of_numbers(static_cast<std::uint16_t>(header.size())) + header + data;
}
std::string npy(const std::string& descr, const std::string& shape, const std::string& data, bool fortran = false) {
  return npy("{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape + ", }\n", data);
}

Tensor read(const std::string& bytes) {
  const TemporaryFolder folder;
  return read_npy(folder.write("a.npy", bytes));
}

void check_refused(const std::string& bytes, std::string_view text) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.npy", bytes);
  const std::string message = message_of<DataError>([&] { read_npy(path); });
  BOOST_TEST(contains(message, text));
  BOOST_TEST(message.starts_with(path + ": "));
  BOOST_TEST(message.size() < path.size() + 300);
}

struct ZipEntry {
  std::string name, data;
  std::uint16_t method = 0, flags = 0;
  std::string packed = {};  // the bytes in the file; empty: the data
  std::uint32_t checksum_change = 0, bytes_change = 0, header_change = 0;
};

std::string zip(const std::vector<ZipEntry>& entries, std::uint32_t directory_change = 0) {
  std::string file, directory;
  for (const ZipEntry& e : entries) {
    const std::string& packed = e.packed.empty() ? e.data : e.packed;
    const auto checksum =
        static_cast<std::uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(e.data.data()), static_cast<uInt>(e.data.size())));
    const std::string described = bytes_of_numbers(
        std::uint16_t{20}, e.flags, e.method, std::uint32_t{0}, checksum + e.checksum_change, static_cast<std::uint32_t>(packed.size()),
        static_cast<std::uint32_t>(e.data.size()) + e.bytes_change, static_cast<std::uint16_t>(e.name.size()), std::uint16_t{0});
    directory += bytes_of_numbers(std::uint32_t{0x02014b50}, std::uint16_t{20}) + described +
                 bytes_of_numbers(std::uint16_t{0}, std::uint16_t{0}, std::uint16_t{0}, std::uint32_t{0},
                                  static_cast<std::uint32_t>(file.size()) + e.header_change) +
                 e.name;
    file += bytes_of_numbers(std::uint32_t{0x04034b50}) + described + e.name + packed;
  }
  const auto at = static_cast<std::uint32_t>(file.size()), count = static_cast<std::uint32_t>(entries.size());
  return file + directory +
         bytes_of_numbers(std::uint32_t{0x06054b50}, std::uint32_t{0}, static_cast<std::uint16_t>(count), static_cast<std::uint16_t>(count),
                          static_cast<std::uint32_t>(directory.size()), at + directory_change, std::uint16_t{0});
}

std::string deflated(const std::string& data) {
  std::string packed(compressBound(data.size()), '\0');
  uLongf bytes = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &bytes, reinterpret_cast<const Bytef*>(data.data()), data.size());
  return packed.substr(2, bytes - 6);  // without zlib's header and checksum
}

void check_zip_refused(const std::string& bytes, std::string_view text) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.npz", bytes);
  const std::string message = message_of<DataError>([&] { read_npz(path); });
  BOOST_TEST(contains(message, text));
  BOOST_TEST(message.starts_with(path + ": "));
}

const std::string kTwo = npy("<f4", "(2,)", bytes_of_numbers(1.5F, -2.0F));

}  // namespace

BOOST_AUTO_TEST_CASE(every_dtype_and_shape_survives_writing_and_reading) {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.npy");
  const double inf = std::numeric_limits<double>::infinity();
  for (const Tensor& tensor :
       {Tensor::from({{1.5, -2, 3}, {4, 5, 6}}), Tensor::from({0.1, -inf, 1e300}, float64), Tensor::full({}, 7, int64),
        Tensor::from({1, 0, 1}, boolean), Tensor::zeros({3, 0, 2}), Tensor::zeros({0}), transpose(Tensor::from({{1, 2, 3}, {4, 5, 6}}))}) {
    write_npy(path, tensor);
    const Tensor back = read_npy(path);
    BOOST_TEST((back.shape() == tensor.shape()));
    BOOST_TEST((back.dtype() == tensor.dtype()));
    BOOST_TEST((back.to_vector<double>() == tensor.to_vector<double>()));
  }
}

BOOST_AUTO_TEST_CASE(files_are_as_numpy_writes_them) {
  const TemporaryFolder folder;
  write_npy(folder.path("a.npy"), Tensor::from({1.5, -2}));
  const std::string expected = "\x93NUMPY" + std::string("\1\0\x76\0", 4) + "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }" +
                               std::string(60, ' ') + "\n" + bytes_of_numbers(1.5F, -2.0F);
  BOOST_TEST((folder.read("a.npy") == expected));
  write_npy(folder.path("b.npy"), Tensor::zeros({2, 3}, boolean));
  BOOST_TEST(contains(folder.read("b.npy"), "{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3), }"));
  write_npy(folder.path("c.npy"), Tensor::zeros({}, int64));
  BOOST_TEST(contains(folder.read("c.npy"), "{'descr': '<i8', 'fortran_order': False, 'shape': (), }"));
}

BOOST_AUTO_TEST_CASE(other_types_orders_and_versions_are_read) {
  const auto values = [](const Tensor& t) { return t.to_vector<double>(); };
  using Values = std::vector<double>;
  BOOST_TEST((values(read(npy("|i1", "(2,)", "\xff\x02"))) == Values{-1, 2}));
  BOOST_TEST((values(read(npy("|u1", "(2,)", "\xff\x02"))) == Values{255, 2}));
  BOOST_TEST((values(read(npy("<u2", "(1,)", "\xff\xff"))) == Values{65535}));
  BOOST_TEST((values(read(npy(">i2", "(1,)", std::string("\1\0", 2)))) == Values{256}));
  BOOST_TEST((values(read(npy("<u4", "(1,)", "\xff\xff\xff\xff"))) == Values{4294967295}));
  BOOST_TEST((read(npy("<i4", "(1,)", "\xff\xff\xff\xff")).dtype() == int64));
  BOOST_TEST((values(read(npy(">f8", "(1,)", std::string("\x3f\xf0\0\0\0\0\0\0", 8)))) == Values{1}));
  const Tensor fortran = read(npy("|u1", "(2, 3)", std::string("\1\4\2\5\3\6"), true));
  BOOST_TEST((fortran.shape() == Shape{2, 3}));
  BOOST_TEST((values(fortran) == Values{1, 2, 3, 4, 5, 6}));
  const std::string header = R"({"shape":(2,),"fortran_order":False,"descr":"|u1"})";
  const std::string version2 = "\x93NUMPY" + std::string("\2\0", 2) + bytes_of_numbers(static_cast<std::uint32_t>(header.size())) + header;
  BOOST_TEST((values(read(version2 + "\1\2")) == Values{1, 2}));
}

BOOST_AUTO_TEST_CASE(hostile_arrays_are_refused) {
  check_refused("", "is not an .npy file");
  check_refused("\x93NUMPY", "cut off");
  check_refused("\x93NUMPY" + std::string("\4\0\0\0\0\0", 6), "version 4");
  for (std::size_t bytes = 0; bytes < kTwo.size(); ++bytes) check_refused(kTwo.substr(0, bytes), "");
  check_refused(kTwo + "x", "but 9 follow");
  check_refused("\x93NUMPY" + std::string("\2\0\xff\xff\xff\xff", 6) + "{}", "4294967295 bytes");
  check_refused(npy("<f4", "(4294967296, 4294967296)", ""), "cannot exist");
  check_refused(npy("<f4", "(1000000000000,)", "1234"), "but 4 follow");
  check_refused(npy("<f4", "(9223372036854775808,)", ""), "a size");
  check_refused(npy("<f4", "(-1,)", ""), "a size");
  check_refused(npy("<f4", "(nan,)", ""), "a size");
  check_refused(npy("<f4", "(2", ""), "is missing");
  check_refused(npy("<f4", "(" + std::string(1000, '(') + ")", ""), "a size");
  std::string ones;
  for (int i = 0; i < 65; ++i) ones += "1,";
  check_refused(npy("|u1", "(" + ones + ")", "1"), "more than 64");
  for (const char* dtype : {"<f2", "<c8", "<u8", "|O", "<U3", "<f16", "f4", ""})
    check_refused(npy(dtype, "(1,)", "12345678"), "is not one of");
  check_refused(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", "1234"), "arrays of records");
  check_refused(npy("{'descr': '<f4', 'shape': (1,)}", "1234"), "it needs descr, fortran_order and shape");
  check_refused(npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", "1234"), "repeated");
  check_refused(npy("{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}", "1234"), "True or False");
  check_refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} + 1", "1234"), "unexpected text follows");
  check_refused(npy("|b1", "(2,)", "\1\2"), "element 1 is 2");
  const TemporaryFolder folder;
  BOOST_CHECK_THROW(read_npy(folder.path("absent")), DataError);
  BOOST_CHECK_THROW(write_npy(folder.path("undefined"), Tensor()), DataError);
  BOOST_TEST(folder.count() == 0u);
}

BOOST_AUTO_TEST_CASE(archives_survive_writing_and_reading) {
  const TemporaryFolder folder;
  const std::vector<NamedTensor> tensors{{"weight", Tensor::from({{1.5, -2}, {3, 4}})},
                                         {"a.b/c", Tensor::zeros({100, 100}, float64)},
                                         {"labels", Tensor::from({1, 2}, int64)},
                                         {"empty", Tensor::zeros({0})}};
  for (const bool compress : {false, true}) {
    const std::string path = folder.path(compress ? "deflated.npz" : "stored.npz");
    write_npz(path, tensors, {.compress = compress});
    const std::vector<NamedTensor> back = read_npz(path);
    BOOST_TEST_REQUIRE(back.size() == tensors.size());
    for (std::size_t i = 0; i < back.size(); ++i) {
      BOOST_TEST(back[i].name == tensors[i].name);
      BOOST_TEST((back[i].value.dtype() == tensors[i].value.dtype()));
      BOOST_TEST((back[i].value.shape() == tensors[i].value.shape()));
      BOOST_TEST((back[i].value.to_vector<double>() == tensors[i].value.to_vector<double>()));
    }
  }
  BOOST_TEST(folder.read("deflated.npz").size() < folder.read("stored.npz").size() / 10);
  write_npz(folder.path("none.npz"), {});
  BOOST_TEST(read_npz(folder.path("none.npz")).empty());
}

BOOST_AUTO_TEST_CASE(a_small_archive_does_not_expand_without_limit) {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.npz");
  write_npz(path, std::vector<NamedTensor>{{"a", Tensor::zeros({1000})}, {"b", Tensor::zeros({1000})}}, {.compress = true});
  BOOST_TEST(read_npz(path, {.max_bytes = 10000}).size() == 2u);
  BOOST_TEST(contains(message_of<DataError>([&] { read_npz(path, {.max_bytes = 8000}); }), "more than the limit"));
  write_npz(path, std::vector<NamedTensor>{{"a", Tensor::zeros({1000})}});
  BOOST_TEST(read_npz(path, {.max_bytes = 8}).size() == 1u);  // what is stored as it is expands to nothing
}

BOOST_AUTO_TEST_CASE(archives_of_others_are_read) {
  const TemporaryFolder folder;
  const std::string path = folder.write("a.npz", zip({{"x.npy", kTwo}, {"y.npy", kTwo, 8, 0, deflated(kTwo)}}));
  const std::vector<NamedTensor> read = read_npz(path);
  BOOST_TEST_REQUIRE(read.size() == 2u);
  BOOST_TEST(read[1].name == "y");
  BOOST_TEST((read[1].value.to_vector<float>() == std::vector<float>{1.5, -2}));
}

BOOST_AUTO_TEST_CASE(hostile_archives_are_refused) {
  const std::string whole = zip({{"x.npy", kTwo}, {"y.npy", kTwo, 8, 0, deflated(kTwo)}});
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) check_zip_refused(whole.substr(0, bytes), "");
  check_zip_refused("hello", "is not an .npz file");
  check_zip_refused(zip({{"x.npy", kTwo}}, 1), "does not lie before");
  check_zip_refused(zip({{"x.npy", kTwo}}, 0x7fffffff), "does not lie before");
  check_zip_refused(zip({{"x.npy", kTwo}, {"x.npy", kTwo}}), "\"x.npy\": the name occurs twice");
  check_zip_refused(zip({{"x.txt", kTwo}}), "is not an .npy file");
  check_zip_refused(zip({{"x.npy", kTwo, 0, 1}}), "is encrypted");
  check_zip_refused(zip({{"x.npy", kTwo, 12}}), "method 12");
  check_zip_refused(zip({{"x.npy", kTwo, 0, 0, "", 1}}), "the checksum is");
  check_zip_refused(zip({{"x.npy", kTwo, 0, 0, "", 0, 5}}), "is stored in");
  check_zip_refused(zip({{"x.npy", kTwo, 0, 0, "", 0, 0, 5}}), "there is no header at 5");
  check_zip_refused(zip({{"x.npy", kTwo, 0, 0, "", 0, 0, 0xf0000000}}), "is outside the file's data");
  check_zip_refused(zip({{"x.npy", "hello"}}), "is not an .npy file");
  check_zip_refused(zip({{"x.npy", kTwo, 8, 0, "no deflated data"}}), "damaged");
  // Wrong sizes, too large and too small, and the same bytes for two entries.
  check_zip_refused(zip({{"x.npy", kTwo, 8, 0, deflated(kTwo), 0, 0xfffffff0}}), "damaged, or does not inflate");
  check_zip_refused(zip({{"x.npy", kTwo, 8, 0, deflated(kTwo), 0, 0x20000000}}), "damaged, or does not inflate");
  check_zip_refused(zip({{"x.npy", kTwo, 8, 0, deflated(kTwo), 0, 0xe0000000}}), "more than the limit NpzReadOptions::max_bytes");
  check_zip_refused(zip({{"x.npy", kTwo, 8, 0, deflated(std::string(1 << 20, 'x'))}}), "damaged, or does not inflate");
  const auto first = static_cast<std::uint32_t>(30 + 5 + kTwo.size());
  check_zip_refused(zip({{"x.npy", kTwo}, {"y.npy", kTwo, 0, 0, "", 0, 0, 0U - first}}), "two entries share the bytes");
  check_zip_refused(zip({{"\x1b[31m.npy", "hello"}}), "\"?[31m.npy\"");
}

BOOST_AUTO_TEST_CASE(a_failed_write_leaves_the_old_archive) {
  const TemporaryFolder folder;
  const std::string path = folder.path("a.npz");
  const Tensor one = Tensor::ones({1});
  write_npz(path, std::vector<NamedTensor>{{"a", one}});
  BOOST_CHECK_THROW(write_npz(path, std::vector<NamedTensor>{{"a", one}, {"a", one}}), DataError);
  BOOST_CHECK_THROW(write_npz(path, std::vector<NamedTensor>{{"a", Tensor()}}), DataError);
  BOOST_TEST(read_npz(path).size() == 1u);
  BOOST_TEST(folder.count() == 1u);
}
