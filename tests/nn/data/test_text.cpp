#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "nn/data/text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

using Tokens = std::vector<std::string_view>;
using Numbers = std::vector<Index>;

Numbers numbers_in(const Tensor& t) { return t.to_vector<Index>(); }

void check_refused(const std::string& bytes, std::string_view text, const nn::ReadTextOptions& options = {}) {
  const TemporaryFolder folder;
  const std::string path = folder.write("text.txt", bytes);
  const std::string message = message_of<DataError>([&] { nn::read_text(path, options); });
  BOOST_TEST(contains(message, text));
  BOOST_TEST(message.starts_with(path + ": "));
}

}  // namespace

BOOST_AUTO_TEST_CASE(files_are_read_as_text) {
  const TemporaryFolder folder;
  const auto read = [&](std::string_view bytes) { return nn::read_text(folder.write("text.txt", bytes)); };
  BOOST_TEST(read("\xef\xbb\xbfone\r\ntwo\rthree\n") == "one\ntwo\nthree\n");
  BOOST_TEST(read("").empty());
  BOOST_TEST(read("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80") == "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
  const std::string large(300'000, 'x');
  BOOST_TEST(read(large) == large);
}

BOOST_AUTO_TEST_CASE(hostile_files_are_refused) {
  check_refused("one\ntwo \xff", "line 2: byte 8 is ff, which is not valid UTF-8");
  for (const char* wrong : {"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80", "\xf0\x80\x80\x80", "\xc3("})
    check_refused(wrong, "line 1: byte 0");
  check_refused(std::string("a\0b", 3), "byte 1 is 00");
  check_refused(std::string(1000, 'x'), "larger than 999 bytes", {.max_bytes = 999});
  BOOST_CHECK_THROW(nn::read_text("no/such/file"), DataError);
}

BOOST_AUTO_TEST_CASE(tokens) {
  BOOST_TEST(nn::characters("a\xc3\xa4!\xff") == (Tokens{"a", "\xc3\xa4", "!", "\xff"}), boost::test_tools::per_element());
  BOOST_TEST(nn::words("Don't stop, 'tis 42 caf\xc3\xa9s'!") == (Tokens{"Don't", "stop", "tis", "42", "caf\xc3\xa9s"}),
             boost::test_tools::per_element());
  BOOST_TEST(nn::characters("").empty());
  BOOST_TEST(nn::words(" .,'").empty());
  BOOST_TEST(nn::lower_case("ABC xyz \xc3\x84") == "abc xyz \xc3\x84");
}

BOOST_AUTO_TEST_CASE(a_vocabulary_numbers_tokens) {
  const nn::Vocabulary letters(nn::characters("hello"));
  BOOST_TEST(letters.tokens() == (std::vector<std::string>{"e", "h", "l", "o"}), boost::test_tools::per_element());
  const Tensor encoded = letters.encode(nn::characters("hole"));
  BOOST_TEST(to_string(encoded.made_at()).starts_with("test_text.cpp:"));
  BOOST_TEST((encoded.dtype() == int64));
  BOOST_TEST((numbers_in(encoded) == Numbers{1, 3, 2, 0}));
  BOOST_TEST(letters.decode(encoded) == "hole");
  BOOST_TEST(letters.decode(encoded, " ") == "h o l e");
  BOOST_TEST(contains(message_of<Error>([&] { letters.number("x"); }), "\"x\" is not one of the 4"));
  BOOST_TEST(contains(message_of<Error>([&] { letters.token(4); }), "no token 4"));
}

BOOST_AUTO_TEST_CASE(rare_tokens_are_unknown) {
  const nn::Vocabulary frequent(nn::words("b a b c c c"), {.max_size = 2, .unknown = "?"});
  BOOST_TEST(frequent.tokens() == (std::vector<std::string>{"?", "b", "c"}), boost::test_tools::per_element());
  BOOST_TEST((numbers_in(frequent.encode(nn::words("a b c d"))) == Numbers{0, 1, 2, 0}));
  BOOST_TEST(frequent.has("?"));
  BOOST_TEST(!frequent.has("a"));
  BOOST_TEST(nn::Vocabulary(nn::words("b a b c c c"), {.min_count = 3}).size() == 1);
  BOOST_TEST(nn::Vocabulary(nn::words("")).size() == 0);
}

BOOST_AUTO_TEST_CASE(a_vocabulary_from_its_tokens) {
  const nn::Vocabulary given(std::vector<std::string>{"z", "a"});
  BOOST_TEST(given.number("z") == 0);
  BOOST_TEST(given.number("a") == 1);
  BOOST_CHECK_THROW(nn::Vocabulary(std::vector<std::string>{"a", "b", "a"}), Error);
  BOOST_CHECK_THROW(nn::Vocabulary(std::vector<std::string>{"a"}, "?"), Error);
}

BOOST_AUTO_TEST_CASE(windows_with_their_targets) {
  const Tensor sequence = Tensor::arange(0, 8, 1, int64);
  const nn::Batch next = nn::windows(sequence, {.length = 3, .stride = 2});
  BOOST_TEST((next.x.shape() == Shape{3, 3}));
  BOOST_TEST((numbers_in(next.x) == Numbers{0, 1, 2, 2, 3, 4, 4, 5, 6}));
  BOOST_TEST((numbers_in(next.y) == Numbers{3, 5, 7}));
  const nn::Batch shifted = nn::windows(sequence, {.length = 3, .stride = 3, .target = nn::WindowOptions::Target::shifted});
  BOOST_TEST((numbers_in(shifted.x) == Numbers{0, 1, 2, 3, 4, 5}));
  BOOST_TEST((numbers_in(shifted.y) == Numbers{1, 2, 3, 4, 5, 6}));
  BOOST_TEST(nn::windows(sequence, {.length = 7}).y.item() == 7);
  for (const nn::WindowOptions& wrong : {nn::WindowOptions{.length = 8}, {.length = 0}, {.length = 3, .stride = 0}})
    BOOST_CHECK_THROW(nn::windows(sequence, wrong), ShapeError);
  BOOST_CHECK_THROW(nn::windows(Tensor::zeros({4, 4}), {.length = 1}), ShapeError);
}
