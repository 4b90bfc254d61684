#include "autodiff/io/safetensors.h"

#include <unistd.h>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>

#include "autodiff/ops.h"

using namespace wengert;
namespace fs = std::filesystem;

namespace {

// A folder that is removed after the test.
struct Folder {
  Folder() : path(fs::temp_directory_path() / ("wengert-safetensors-" + std::to_string(::getpid()))) { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return (path / name).string(); }
  fs::path path;
};

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string little_endian(std::uint64_t n) { return {reinterpret_cast<const char*>(&n), sizeof n}; }

std::string file_of(const std::string& header, std::size_t data_bytes) {
  return little_endian(header.size()) + header + std::string(data_bytes, '\0');
}

// Reading a file of these bytes must fail with a message that names the file and contains the text.
void check_refused(const std::string& bytes, const std::string& text) {
  const Folder folder;
  const std::string path = folder / "hostile.safetensors";
  write_bytes(path, bytes);
  BOOST_TEST_CONTEXT(text) {
    BOOST_CHECK_EXCEPTION(read_safetensors(path), DataError, [&](const DataError& e) {
      const std::string message = e.what();
      BOOST_TEST_MESSAGE(message);
      return message.starts_with(path + ": ") && message.find(text) != std::string::npos && message.size() < path.size() + 300;
    });
  }
}

void check_refused_header(const std::string& header, const std::string& text, std::size_t data_bytes = 0) {
  check_refused(file_of(header, data_bytes), text);
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_dtype_and_shape_survives_writing_and_reading) {
  const Folder folder;
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<NamedTensor> tensors = {{"mask", Tensor::from({1, 0, 1}, boolean)},
                                            {"layer.weight", Tensor::from({{1.5, -2, 3}, {4, 5, 6}}, float32)},
                                            {"rank 0", Tensor::full({}, 0.1, float64)},
                                            {"special", Tensor::from({inf, -inf, nan, -0.0}, float64)},
                                            {"index", Tensor::from(std::vector<std::int64_t>{std::int64_t{1} << 62, -1})},
                                            {"empty", Tensor::zeros({3, 0, 2}, float32)},
                                            {"\"quoted\"\n\xc3\xa4", Tensor::zeros({1}, float32)}};
  const std::vector<std::pair<std::string, std::string>> metadata = {{"format", "ours"}, {"a", "\\ and \""}};
  write_safetensors(folder / "all.safetensors", tensors, metadata);
  const Safetensors read = read_safetensors(folder / "all.safetensors");
  BOOST_TEST((read.metadata == metadata));
  BOOST_TEST_REQUIRE(read.tensors.size() == tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    BOOST_TEST(read.tensors[i].name == tensors[i].name);
    const Tensor &ours = tensors[i].value, &theirs = read.tensors[i].value;
    BOOST_TEST((theirs.shape() == ours.shape()));
    BOOST_TEST((theirs.dtype() == ours.dtype()));
  }
  BOOST_TEST((read.find("layer.weight")->to_vector<float>() == std::vector<float>{1.5, -2, 3, 4, 5, 6}));
  BOOST_TEST((read.find("mask")->to_vector<bool>() == std::vector<bool>{true, false, true}));
  BOOST_TEST((read.find("index")->to_vector<std::int64_t>() == std::vector<std::int64_t>{std::int64_t{1} << 62, -1}));
  BOOST_TEST(read.find("rank 0")->item() == 0.1);
  const auto special = read.find("special")->to_vector<double>();
  BOOST_TEST(special[0] == inf);
  BOOST_TEST(special[1] == -inf);
  BOOST_TEST(std::isnan(special[2]));
  BOOST_TEST(std::signbit(special[3]));
  BOOST_TEST(read.find("no such") == nullptr);
}

BOOST_AUTO_TEST_CASE(a_view_is_written_in_row_major_order) {
  const Folder folder;
  const std::vector<NamedTensor> tensors = {{"t", transpose(Tensor::from({{1, 2, 3}, {4, 5, 6}}))}};
  write_safetensors(folder / "view.safetensors", tensors);
  const Tensor read = read_safetensors(folder / "view.safetensors").tensors[0].value;
  BOOST_TEST((read.shape() == Shape{3, 2}));
  BOOST_TEST((read.to_vector<float>() == std::vector<float>{1, 4, 2, 5, 3, 6}));
}

BOOST_AUTO_TEST_CASE(elements_are_aligned_for_use_in_place) {
  const Folder folder;
  const std::vector<NamedTensor> tensors = {
      {"b", Tensor::from({1, 0, 1}, boolean)}, {"f", Tensor::zeros({3}, float32)}, {"d", Tensor::zeros({1}, float64)}};
  write_safetensors(folder / "aligned.safetensors", tensors);
  std::ifstream file(folder / "aligned.safetensors", std::ios::binary);
  std::uint64_t header_bytes;
  file.read(reinterpret_cast<char*>(&header_bytes), sizeof header_bytes);
  BOOST_TEST(header_bytes % 8 == 0);
  std::string header(header_bytes, '\0');
  file.read(header.data(), static_cast<std::streamsize>(header_bytes));
  BOOST_TEST(header.find(R"("d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]})") != std::string::npos);
  BOOST_TEST(header.find(R"("f":{"dtype":"F32","shape":[3],"data_offsets":[8,20]})") != std::string::npos);
  BOOST_TEST(header.find(R"("b":{"dtype":"BOOL","shape":[3],"data_offsets":[20,23]})") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_mapped_file_is_used_in_place) {
  const Folder folder;
  const std::string path = folder / "mapped.safetensors";
  write_safetensors(path, std::vector<NamedTensor>{{"a", Tensor::from({1, 2, 3})}, {"none", Tensor::zeros({0})}});
  const MappedSafetensors file(path);
  const Tensor& a = *file.contents().find("a");
  BOOST_TEST(a.elements()->borrowed);
  BOOST_TEST(file.contents().find("none")->size() == 0);
  write_safetensors(path, std::vector<NamedTensor>{{"a", Tensor::zeros({1})}});  // a new file of that name: the old one is still mapped
  BOOST_TEST((a.to_vector<float>() == std::vector<float>{1, 2, 3}));
  BOOST_TEST(!read_safetensors(path).find("a")->elements()->borrowed);
}

BOOST_AUTO_TEST_CASE(data_that_is_not_aligned_is_copied) {
  const Folder folder;
  const float values[] = {1.5, -2};
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} )";
  BOOST_TEST_REQUIRE(header.size() % 4 != 0);
  write_bytes(folder / "odd", little_endian(header.size()) + header + std::string(reinterpret_cast<const char*>(values), sizeof values));
  const MappedSafetensors file(folder / "odd");
  BOOST_TEST((file.contents().find("a")->to_vector<float>() == std::vector<float>{1.5, -2}));
}

BOOST_AUTO_TEST_CASE(types_that_are_no_dtype_are_read_exactly) {
  using Doubles = std::vector<double>;
  const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  struct Case {
    const char* dtype;
    std::string bytes;
    Dtype becomes;
    Doubles values;
  };
  const auto bytes = [](std::initializer_list<int> list) { return std::string(list.begin(), list.end()); };
  const Case cases[] = {
      // 1, -2, the largest, the smallest normal and denormal ones, -0, infinity, NaN
      {"F16",
       bytes({0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x00, 0x04, 0x01, 0x00, 0x00, 0x80, 0x00, 0x7c, 0x00, 0x7e}),
       float32,
       {1, -2, 65504, 0x1p-14, 0x1p-24, -0.0, inf, nan}},
      {"BF16", bytes({0x80, 0x3f, 0x00, 0xc0, 0x01, 0x00, 0x80, 0xff}), float32, {1, -2, 0x1p-133, -inf}},
      {"I8", bytes({1, 0x80, 0xff}), int64, {1, -128, -1}},
      {"U8", bytes({1, 0x80, 0xff}), int64, {1, 128, 255}},
      {"I16", bytes({1, 0, 0, 0x80}), int64, {1, -32768}},
      {"U16", bytes({1, 0, 0, 0x80}), int64, {1, 32768}},
      {"I32", bytes({7, 0, 0, 0, 0, 0, 0, 0x80}), int64, {7, -2147483648.0}},
      {"U32", bytes({7, 0, 0, 0, 0, 0, 0, 0x80}), int64, {7, 2147483648.0}},
  };
  const Folder folder;
  for (const Case& c : cases) {
    BOOST_TEST_CONTEXT(c.dtype) {
      const std::string header = std::string(R"({"x":{"dtype":")") + c.dtype + R"(","shape":[)" + std::to_string(c.values.size()) +
                                 R"(],"data_offsets":[0,)" + std::to_string(c.bytes.size()) + "]}}";
      write_bytes(folder / "x", little_endian(header.size()) + header + c.bytes);
      const MappedSafetensors mapped(folder / "x");
      for (const Tensor& x : {read_safetensors(folder / "x").tensors[0].value, mapped.contents().tensors[0].value}) {
        BOOST_TEST((x.dtype() == c.becomes));
        const Doubles found = x.to_vector<double>();
        BOOST_TEST_REQUIRE(found.size() == c.values.size());
        for (std::size_t i = 0; i < found.size(); ++i) {
          BOOST_TEST((found[i] == c.values[i] || (std::isnan(found[i]) && std::isnan(c.values[i]))), found[i]);
          BOOST_TEST(std::signbit(found[i]) == std::signbit(c.values[i]));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(a_file_that_is_rewritten_meanwhile_does_no_harm) {
  const Folder folder;
  const std::string path = folder / "changing.safetensors";
  write_safetensors(path, std::vector<NamedTensor>{{"a", Tensor::ones({100000})}});
  std::string bytes(fs::file_size(path), '\0');
  std::ifstream(path, std::ios::binary).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) write_bytes(path, bytes);  // in place: it is shorter meanwhile
  });
  int done = 0;
  for (int i = 0; i < 200; ++i) {
    try {
      done += read_safetensors(path).tensors.size() == 1;
    } catch (const DataError&) {
      ++done;
    }
  }
  stop = true;
  writer.join();
  BOOST_TEST(done == 200);
}

BOOST_AUTO_TEST_CASE(a_file_without_tensors_is_a_file) {
  const Folder folder;
  write_safetensors(folder / "none.safetensors", {});
  BOOST_TEST(read_safetensors(folder / "none.safetensors").tensors.empty());
}

BOOST_AUTO_TEST_CASE(a_failed_write_leaves_the_old_file) {
  const Folder folder;
  const std::string path = folder / "kept.safetensors";
  const Tensor one = Tensor::ones({1});
  write_safetensors(path, std::vector<NamedTensor>{{"a", one}});
  BOOST_CHECK_THROW(write_safetensors(path, std::vector<NamedTensor>{{"a", one}, {"a", one}}), DataError);
  BOOST_CHECK_THROW(write_safetensors(path, std::vector<NamedTensor>{{"__metadata__", one}}), DataError);
  BOOST_CHECK_THROW(write_safetensors(path, std::vector<NamedTensor>{{"\xff", one}}), DataError);
  BOOST_CHECK_THROW(write_safetensors(path, std::vector<NamedTensor>{{"undefined", Tensor()}}), DataError);
  BOOST_TEST(read_safetensors(path).tensors.size() == 1u);
  BOOST_TEST(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

BOOST_AUTO_TEST_CASE(files_that_cannot_be_read_are_named) {
  const Folder folder;
  BOOST_CHECK_EXCEPTION(read_safetensors(folder / "missing"), DataError,
                        [](const DataError& e) { return std::string(e.what()).ends_with("missing: there is no such file"); });
  BOOST_CHECK_THROW(read_safetensors(folder.path.string()), DataError);
}

BOOST_AUTO_TEST_CASE(truncated_files_are_refused_at_every_length) {
  const Folder folder;
  write_safetensors(folder / "whole", std::vector<NamedTensor>{{"a", Tensor::ones({2, 3})}, {"b", Tensor::ones({5}, boolean)}});
  std::ifstream file(folder / "whole", std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    write_bytes(folder / "cut", whole.substr(0, bytes));
    BOOST_CHECK_THROW(read_safetensors(folder / "cut"), DataError);
  }
  write_bytes(folder / "longer", whole + '\0');
  BOOST_CHECK_THROW(read_safetensors(folder / "longer"), DataError);
}

BOOST_AUTO_TEST_CASE(hostile_header_lengths_are_refused) {
  check_refused(little_endian(std::uint64_t{1} << 63) + "{}", "9223372036854775808 bytes");
  check_refused(little_endian(~std::uint64_t{0}) + "{}", "cut off");
  check_refused(little_endian(3) + "{}", "cut off");
  check_refused(little_endian(0), "not JSON");
}

BOOST_AUTO_TEST_CASE(headers_that_are_not_of_the_format_are_refused) {
  check_refused_header("hello", "not JSON at its byte 1");
  check_refused_header("{", "not JSON");
  check_refused_header("{}x", "not JSON");
  check_refused_header("{\"a\xff\":1}", "not JSON");
  check_refused_header("[]", "not a JSON object");
  check_refused_header("17", "not a JSON object");
  check_refused_header(R"({"a":[]})", "\"a\": a list where an object is expected");
  check_refused_header(R"({"a":{"dtype":"F32","shape":[]}})", "tensor \"a\": has no data_offsets");
  check_refused_header(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[0,4],"extra":1}})", "\"extra\" is not one of", 4);
  check_refused_header(R"({"__metadata__":{"a":1}})", "__metadata__ \"a\"");
  check_refused_header(R"({"__metadata__":{"a":{"b":"c"}}})", "__metadata__ \"a\"");
  check_refused_header(R"({"__metadata__":"text"})", "where an object is expected");
}

BOOST_AUTO_TEST_CASE(deep_nesting_is_refused_without_recursion) {
  constexpr std::size_t kDeep = 1'000'000;
  std::string objects;
  for (std::size_t i = 0; i < kDeep; ++i) objects += "{\"a\":";
  check_refused_header(objects, "is not one of dtype, shape, data_offsets");
  check_refused_header(std::string(kDeep, '['), "not a JSON object");
  check_refused_header(R"({"a":{"shape":)" + std::string(kDeep, '['), "shape: a list");
}

BOOST_AUTO_TEST_CASE(duplicate_names_are_refused) {
  const std::string entry = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  check_refused_header(R"({"a":)" + entry + R"(,"a":)" + entry + "}", "the name \"a\" occurs twice", 4);
  check_refused_header(R"({"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,4]}})", "the key \"dtype\" occurs twice", 4);
}

BOOST_AUTO_TEST_CASE(wrong_dtypes_are_refused) {
  for (const char* dtype : {"F8_E4M3", "U64", "f32", "", "F32 "})
    check_refused_header(std::string(R"({"a":{"dtype":")") + dtype + R"(","shape":[1],"data_offsets":[0,4]}})",
                         "one of F32, F64, I64, BOOL, F16, BF16, I8, I16, I32, U8, U16, U32", 4);
  check_refused_header(R"({"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})", "dtype: a number", 4);
}

BOOST_AUTO_TEST_CASE(wrong_shapes_are_refused) {
  const auto check = [](const std::string& shape, const std::string& text) {
    check_refused_header(R"({"a":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":[0,16]}})", text, 16);
  };
  check("[4.0]", "shape: the number \"4.0\"");
  check("[-4]", "shape: the number -4");
  check("[\"4\"]", "shape: a text");
  check("4", "shape: a number");
  check("[[4]]", "shape: a list");
  check("[null]", "shape: null");
  check("[true]", "shape: true or false");
  check("[3]", "need 12 bytes, but its data has 16");
  check("[]", "need 4 bytes, but its data has 16");
  check("[0]", "need 0 bytes, but its data has 16");
  check("[4294967296,4294967296,4]", "too many");
  check("[9223372036854775808]", "too large");
  check("[18446744073709551616]", "shape: the number");
  std::string ones = "[1";
  for (int i = 0; i < 100; ++i) ones += ",1";
  check(ones + "]", "more than 64");
}

BOOST_AUTO_TEST_CASE(sizes_that_overflow_beside_a_zero_are_an_empty_tensor) {
  const Folder folder;
  write_bytes(folder / "empty", file_of(R"({"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})", 0));
  BOOST_TEST(read_safetensors(folder / "empty").tensors[0].value.size() == 0);
}

BOOST_AUTO_TEST_CASE(wrong_byte_ranges_are_refused) {
  const auto check = [](const std::string& offsets, const std::string& text) {
    check_refused_header(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":)" + offsets + "}}", text, 16);
  };
  check("[0,32]", "ends at 32, but the file has 16");
  check("[16,0]", "before it begins");
  check("[0]", "1 numbers instead of 2");
  check("[0,16,32]", "3 numbers instead of 2");
  check("[18446744073709551600,16]", "before it begins");
  check("[0,18446744073709551615]", "but the file has 16");
  check("[-16,0]", "data_offsets: the number -16");
  check("\"0,16\"", "data_offsets: a text");
  const auto two = [](const std::string& first, const std::string& second) {
    return R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)" + first + R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + second +
           "}}";
  };
  check_refused_header(two("[0,8]", "[4,12]"), "tensor \"b\": its data begins at 4, inside another", 12);
  check_refused_header(two("[0,8]", "[0,8]"), "inside another", 8);
  check_refused_header(two("[0,8]", "[12,20]"), "after 4 bytes that belong to no tensor", 20);
  check_refused_header(two("[0,8]", "[8,16]"), "3 bytes at its end belong to no tensor", 19);
}

BOOST_AUTO_TEST_CASE(booleans_other_than_0_and_1_are_refused) {
  const std::string header = R"({"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]}})";
  check_refused(little_endian(header.size()) + header + std::string("\x00\x01\x02", 3), "tensor \"mask\": element 2 is 2");
}

BOOST_AUTO_TEST_CASE(messages_do_not_repeat_hostile_texts) {
  check_refused_header("{\"" + std::string(100'000, 'x') + "\":1}", "...\"");
  check_refused_header(R"({"bell\u0007":1})", "\"bell?\"");
}
