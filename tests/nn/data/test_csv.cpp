#include "nn/data/csv.h"

#include <zlib.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::nn::CsvOptions;
using wengert::nn::read_csv;
using wengert::nn::Table;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

using Numbers = std::vector<double>;
using Strings = std::vector<std::string>;

namespace {

Table parse(std::string_view text, const CsvOptions& options = {}) {
  const TemporaryFolder folder;
  return read_csv(folder.write("table.csv", text), options);
}

std::string refusal(std::string_view text, const CsvOptions& options = {}) {
  return message_of<DataError>([&] { parse(text, options); });
}

// What the table says when column x is asked for as numbers.
std::string refused_number(std::string_view text, const nn::NumberOptions& options = {}, const CsvOptions& form = {}) {
  return message_of<DataError>([&] { parse(text, form).numbers("x", options); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(named_columns) {
  const Table table = parse("x,name,y\n1,one,-2.5\n2e3,two,+.5\n");
  BOOST_TEST(table.rows() == 2);
  BOOST_TEST(table.columns() == 3);
  BOOST_TEST(table.names() == (Strings{"x", "name", "y"}), boost::test_tools::per_element());
  BOOST_TEST(table.numbers("x") == (Numbers{1, 2000}), boost::test_tools::per_element());
  BOOST_TEST(table.numbers("y") == (Numbers{-2.5, 0.5}), boost::test_tools::per_element());
  BOOST_TEST(table.strings("name") == (Strings{"one", "two"}), boost::test_tools::per_element());
  BOOST_TEST(table.has("x"));
  BOOST_TEST(!table.has("z"));
}

BOOST_AUTO_TEST_CASE(numbers_keep_all_their_digits) {
  BOOST_TEST(parse("x\n0.1\n1.7976931348623157e308\n 4.9406564584124654e-324\t\n").numbers("x") ==
                 (Numbers{0.1, std::numeric_limits<double>::max(), std::numeric_limits<double>::denorm_min()}),
             boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(quoted_fields) {
  const Table table = parse("name,\"the, x\"\n\"Braund, Mr. \"\"Owen\"\"\",\"1\"\n\"two\nlines\r\nand a third\",2\n\"\",3\n5\" pipe,4\n");
  BOOST_TEST(table.strings("name") == (Strings{"Braund, Mr. \"Owen\"", "two\nlines\r\nand a third", "", "5\" pipe"}),
             boost::test_tools::per_element());
  BOOST_TEST(table.numbers("the, x") == (Numbers{1, 2, 3, 4}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(line_ends_byte_order_mark_and_blank_lines) {
  for (const char* text : {"x,y\n1,2\n3,4\n", "x,y\r\n1,2\r\n3,4\r\n", "x,y\r1,2\r3,4\r", "x,y\n1,2\n3,4", "x,y\r\n1,2\r\n3,4",
                           "\xef\xbb\xbfx,y\n1,2\n3,4\n", "\n\nx,y\n\n1,2\r\n\r\n3,4\n\n\n", "\xef\xbb\xbf\"x\",y\n1,2\n3,\"4\""}) {
    const Table table = parse(text);
    BOOST_TEST(table.numbers("x") == (Numbers{1, 3}), boost::test_tools::per_element());
    BOOST_TEST(table.numbers("y") == (Numbers{2, 4}), boost::test_tools::per_element());
  }
}

BOOST_AUTO_TEST_CASE(decimal_commas) {
  const Table table = parse("x;y\n1,5;-2\n2.5;,5\n", {.separator = ';'});
  BOOST_TEST(table.numbers("y", {.decimal = ','}) == (Numbers{-2, 0.5}), boost::test_tools::per_element());
  BOOST_TEST(table.numbers("x", {.decimal = ','}) == (Numbers{1.5, 2.5}), boost::test_tools::per_element());
  const std::string message = message_of<DataError>([&] { table.numbers("x"); });
  BOOST_TEST(message.find("\"1,5\" is not a number; hint: NumberOptions::decimal = ',' reads decimal commas") != std::string::npos);
  BOOST_TEST(refused_number("x;y\n1,000.5;1\n", {.decimal = ','}, {.separator = ';'}).find("is not a number") != std::string::npos);
  BOOST_CHECK_THROW(table.numbers("x", {.decimal = '5'}), ValueError);
}

BOOST_AUTO_TEST_CASE(other_separators_and_no_header) {
  BOOST_TEST(parse("x;y\n1;2,5\n", {.separator = ';'}).strings("y")[0] == "2,5");
  const Table table = parse("1\t2\n3\t4\n", {.separator = '\t', .header = false});
  BOOST_TEST(table.rows() == 2);
  BOOST_TEST(table.numbers("2") == (Numbers{2, 4}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_header_alone_is_a_table_without_rows) {
  BOOST_TEST(parse("x,y\n").rows() == 0);
  BOOST_TEST(parse("x,y").numbers("y").empty());
}

BOOST_AUTO_TEST_CASE(missing_values) {
  const std::string text = "x,y\n1,2\n,3\n?,4\n";
  const Numbers filled = parse(text).numbers("x", {.missing = -1, .missing_mark = "?"});
  BOOST_TEST(filled == (Numbers{1, -1, -1}), boost::test_tools::per_element());
  BOOST_TEST(std::isnan(parse(text).numbers("x", {.missing = std::nan(""), .missing_mark = "?"})[1]));
  BOOST_TEST(parse(text).strings("x")[1].empty());
  BOOST_TEST(contains(refused_number("y,x\n1,2\n1,\n"), "table.csv, line 3, column \"x\": the value is missing"));
}

BOOST_AUTO_TEST_CASE(what_is_no_number_is_refused_with_line_and_column) {
  BOOST_TEST(contains(refused_number("y,x\n1,2\n\n\"a\nb\",2\n1,abc\n"), "table.csv, line 6, column \"x\": \"abc\" is not a number"));
  for (const char* text : {"1.5x", "1,5", "0x10", "1 2", "--1", "+-1", "1e", "e5", "-", "."}) {
    BOOST_TEST(contains(refused_number(std::string("x\n\"") + text + "\"\n"), "is not a number"));
  }
  for (const char* text : {"1e999", "-1e999", "123e400", "0.0001e999", "1e99999999999999999999"})
    BOOST_TEST(contains(refused_number(std::string("x\n") + text + "\n"), "beyond the range"));
}

BOOST_AUTO_TEST_CASE(numbers_too_small_for_a_double_are_0) {
  const Numbers read = parse("x\n4.9e-324\n1e-310\n1e-400\n-1e-400\n0.001e-330\n1000e-400\n1e-99999999999999999999\n0e999\n").numbers("x");
  BOOST_TEST((read == Numbers{4.9e-324, 1e-310, 0, 0, 0, 0, 0, 0}));
  BOOST_TEST(std::signbit(read[3]));
}

BOOST_AUTO_TEST_CASE(many_columns_are_found_at_once) {
  std::string header, row;
  Strings names;
  for (int i = 0; i < 20000; ++i) {
    names.push_back("c" + std::to_string(i));
    header += (i ? "," : "") + names.back();
    row += (i ? "," : "") + std::to_string(i);
  }
  const Table table = parse(header + "\n" + row + "\n");
  const Tensor all = table.tensor(names);
  BOOST_TEST(all.size() == 20000);
  BOOST_TEST(all.at({0, 12345}) == 12345);
  names[7] = "none";
  BOOST_CHECK_THROW(table.tensor(names), DataError);
  const Table twins = parse("a,b,a\n1,2,3\n");
  BOOST_CHECK_THROW(twins.tensor(Strings(20, "a")), DataError);
  BOOST_TEST(twins.tensor(Strings(20, "b")).size() == 20);
}

BOOST_AUTO_TEST_CASE(nan_and_infinity_are_refused_unless_asked_for) {
  for (const char* text : {"nan", "NaN", "-nan", "inf", "-inf", "+inf", "Infinity"}) {
    BOOST_TEST(contains(refused_number(std::string("x\n1\n") + text + "\n"), "line 3, column \"x\""));
    BOOST_TEST(contains(refused_number(std::string("x\n1\n") + text + "\n", {.missing = 0}), "not a finite number"));
    BOOST_TEST(!std::isfinite(parse(std::string("x\n") + text + "\n").numbers("x", {.allow_nonfinite = true})[0]));
  }
}

BOOST_AUTO_TEST_CASE(an_unknown_column_is_answered_with_those_there_are) {
  const Table table = parse("Daily Internet Usage,Age\n1,2\n");
  const std::string message = message_of<DataError>([&] { table.numbers("daily internet use"); });
  BOOST_TEST(contains(message, "no column \"daily internet use\"; there are \"Daily Internet Usage\", \"Age\""));
  BOOST_TEST(contains(message, "did you mean \"Daily Internet Usage\"?"));
  BOOST_TEST(!contains(message_of<DataError>([&] { table.strings("Income"); }), "did you mean"));
  BOOST_TEST(contains(message_of<DataError>([&] { parse("x;y\n1;2\n").numbers("y"); }), "CsvOptions::separator"));
  BOOST_TEST(
      contains(refusal("x;y\n1,5;2,5\n"), "line 2: 3 fields where the table has 1 column; the first line has ';': is that the separator"));
  BOOST_TEST(contains(refusal("x,y\n1,2,3\n"), "must be quoted"));
  BOOST_TEST(refusal("x,y\n1\n").ends_with("line 2: 1 field where the table has 2 columns"));
  BOOST_TEST(contains(message_of<DataError>([&] { parse("x,x\n1,2\n").numbers("x"); }), "two columns"));
}

BOOST_AUTO_TEST_CASE(ragged_rows_are_refused) {
  BOOST_TEST(contains(refusal("x,y\n1,2\n1\n"), "table.csv, line 3: 1 field where the table has 2 columns"));
  BOOST_TEST(contains(refusal("x,y\n\"1\n2\",2\n1,2,3\n"), "line 4: 3 fields"));
}

BOOST_AUTO_TEST_CASE(quotes_that_do_not_fit_are_refused) {
  BOOST_TEST(contains(refusal("x,y\n1,2\n1,\"abc\n1,2\n"), "line 3: the quote that opens here does not close"));
  BOOST_TEST(contains(refusal("x,y\n\"1\"2,3\n"), "line 2: \"2\" follows a closing quote"));
}

BOOST_AUTO_TEST_CASE(files_that_are_no_tables_are_refused) {
  BOOST_TEST(contains(message_of<DataError>([] { read_csv("no/such/file.csv"); }), "no/such/file.csv: No such file or directory"));
  const TemporaryFolder folder;
  BOOST_TEST(contains(message_of<DataError>([&] { read_csv(folder.path("")); }), "is a directory"));
  BOOST_TEST(contains(refusal(""), "is empty"));
  BOOST_TEST(contains(refusal("\n\r\n\n"), "is empty"));
  BOOST_TEST(contains(refusal(std::string_view("\xff\xfex\0,\0y\0", 8)), "zero byte"));
  BOOST_TEST(contains(refusal("x\n1\n2\n", {.max_bytes = 5}), "larger than 5 bytes"));
  BOOST_TEST(parse("x\n1\n2\n", {.max_bytes = 6}).rows() == 2);
}

BOOST_AUTO_TEST_CASE(messages_stay_on_one_line_whatever_the_file_holds) {
  const std::string message = refused_number("x\n\"\x1b[2J\nevil" + std::string(1000, 'a') + "\"\n");
  BOOST_TEST(message.find_first_of("\x1b\n\r") == std::string::npos);
  BOOST_TEST(message.size() < 300u);
}

BOOST_AUTO_TEST_CASE(reads_what_gzip_has_compressed) {
  const TemporaryFolder folder;
  const std::string path = folder.path("table.csv.gz");
  const gzFile file = ::gzopen(path.c_str(), "wb");
  ::gzputs(file, "x\n1\n2\n");
  ::gzclose(file);
  BOOST_TEST(read_csv(path).numbers("x") == (Numbers{1, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_table_is_a_value) {
  Table copy;
  {
    const Table table = parse("x,s\n1,a rather long text that no small string holds\n");
    copy = table;
  }
  BOOST_TEST(copy.strings("s")[0] == "a rather long text that no small string holds");
}

BOOST_AUTO_TEST_CASE(columns_side_by_side_as_a_tensor) {
  const Table table = parse("a,b,c\n1,2,3\n4,5,6\n");
  const Tensor t = table.tensor({"c", "a"});
  BOOST_TEST(to_string(t.made_at()).starts_with("test_csv.cpp:"));
  BOOST_TEST((t.shape() == Shape{2, 2}));
  BOOST_TEST((t.dtype() == float32));
  BOOST_TEST(t.to_vector<double>() == (Numbers{3, 1, 6, 4}), boost::test_tools::per_element());
  BOOST_TEST((table.tensor({"b"}, float64).dtype() == float64));
  BOOST_TEST(contains(message_of<DataError>([] { parse("a,b\n1,x\n").tensor({"a", "b"}); }), "line 2, column \"b\""));
}
