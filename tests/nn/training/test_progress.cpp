#include "nn/training/progress.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "nn/training/text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using wengert::nn::Progress;
using wengert::nn::ProgressOptions;
using wengert::testing::contains;
using wengert::testing::TemporaryFolder;
namespace text = wengert::nn::text;

namespace {

double now = 0;
double test_clock() { return now; }

// A stream into memory.
class Captured {
 public:
  Captured() : stream_(::open_memstream(&bytes_, &size_)) { now = 0; }
  ~Captured() {
    std::fclose(stream_);
    std::free(bytes_);
  }
  std::FILE* stream() { return stream_; }
  std::string text() {
    std::fflush(stream_);
    return {bytes_, size_};
  }

 private:
  char* bytes_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* stream_;
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> pieces;
  std::istringstream in(text);
  for (std::string piece; std::getline(in, piece, separator);) pieces.push_back(piece);
  return pieces;
}

// What a terminal shows after lines were written over each other.
std::string screen(const std::vector<std::string>& lines) {
  std::string shown;
  for (const std::string& line : lines) shown.replace(0, line.size(), line);
  return shown.substr(0, shown.find_last_not_of(' ') + 1);
}

struct Locale {
  explicit Locale(const char* name) { ::setenv("LC_ALL", name, 1); }
  ~Locale() { ::unsetenv("LC_ALL"); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(plain_lines_where_the_stream_is_no_terminal) {
  Captured out;
  Progress bar(100, {.label = "epoch 3/10", .unit = "batch", .stream = out.stream(), .clock = test_clock});
  for (int step = 1; step <= 100; ++step) {
    now = step * 0.25;  // 25 seconds: lines at 10 and 20, and the last
    bar.update(step, {{"loss", 1.0 / step}, {"accuracy", 0.5}});
  }
  bar.finish();
  const std::vector<std::string> lines = split(out.text(), '\n');
  BOOST_REQUIRE_EQUAL(lines.size(), 3u);
  BOOST_TEST(lines[0] == "epoch 3/10   40/100 batch  4.00/s  0:15 left  loss 0.0250  accuracy 0.5000");
  BOOST_TEST(lines[1] == "epoch 3/10   80/100 batch  4.00/s  0:05 left  loss 0.0125  accuracy 0.5000");
  BOOST_TEST(lines[2] == "epoch 3/10  100/100 batch  4.00/s  25.0 s  loss 0.0100  accuracy 0.5000");
  BOOST_TEST(out.text().find('\r') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_short_loop_gives_one_plain_line) {
  Captured out;
  Progress bar(3, {.stream = out.stream(), .clock = test_clock});
  for (int step = 1; step <= 3; ++step) bar.update(step);
  now = 0.5;
  bar.finish({{"test accuracy", 0.875}});
  bar.finish();
  BOOST_TEST(out.text() == "3/3 step  6.00/s  0.5 s  test accuracy 0.8750\n");
}

BOOST_AUTO_TEST_CASE(one_line_is_rewritten_and_never_wraps) {
  const Locale ascii("C");
  for (const int width : {20, 60, 80, 200}) {
    Captured out;
    {
      Progress bar(50, {.label = "epoch 1/2",
                        .unit = "batch",
                        .stream = out.stream(),
                        .clock = test_clock,
                        .style = ProgressOptions::Style::rewritten,
                        .width = width});
      for (int step = 1; step <= 50; ++step) {
        now += 0.2;
        bar.update(step, {{"loss", 100.0 / step}});
      }
      bar.finish();
    }
    const std::string all = out.text();
    BOOST_TEST(std::count(all.begin(), all.end(), '\n') == 1);
    BOOST_TEST(all.back() == '\n');
    const std::vector<std::string> drawn = split(all.substr(0, all.size() - 1), '\r');
    BOOST_TEST(drawn.size() == 52u);  // an empty piece, 50 updates and the end
    for (const std::string& line : drawn) BOOST_TEST(line.size() < static_cast<std::size_t>(width));
    if (width >= 80) BOOST_TEST(contains(drawn.back(), "======"));
    BOOST_TEST(screen(drawn) == drawn.back().substr(0, drawn.back().find_last_not_of(' ') + 1));
  }
}

BOOST_AUTO_TEST_CASE(the_line_is_not_rewritten_more_than_ten_times_a_second) {
  Captured out;
  Progress bar(1000, {.stream = out.stream(), .clock = test_clock, .style = ProgressOptions::Style::rewritten});
  for (int step = 1; step <= 1000; ++step) {
    now += 0.001;
    bar.update(step);
  }
  const std::string all = out.text();
  BOOST_TEST(std::count(all.begin(), all.end(), '\r') >= 9);
  BOOST_TEST(std::count(all.begin(), all.end(), '\r') <= 10);
}

BOOST_AUTO_TEST_CASE(the_bar_follows_the_locale) {
  for (const bool unicode : {false, true}) {
    const Locale locale(unicode ? "de_DE.UTF-8" : "C");
    Captured out;
    Progress bar(2, {.stream = out.stream(), .clock = test_clock, .style = ProgressOptions::Style::rewritten, .width = 60});
    now = 1;
    bar.update(1);
    const std::string all = out.text();
    BOOST_TEST(contains(all, unicode ? "━━━━" : "===="));
    BOOST_TEST(contains(all, unicode ? "────" : "...."));
    BOOST_TEST(std::all_of(all.begin(), all.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }) == !unicode);
    BOOST_TEST(text::width(all) == 60u);  // with the carriage return
  }
}

BOOST_AUTO_TEST_CASE(a_pseudo_terminal_is_a_terminal) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  BOOST_REQUIRE(master >= 0);
  BOOST_REQUIRE(::grantpt(master) == 0 && ::unlockpt(master) == 0);
  std::FILE* terminal = std::fopen(::ptsname(master), "w");
  BOOST_REQUIRE(terminal);
  ::setenv("TERM", "xterm", 1);
  now = 0;
  {
    Progress bar(2, {.stream = terminal, .clock = test_clock});
    now = 1;
    bar.update(1);
  }
  std::fclose(terminal);
  std::string shown;
  for (char c; ::read(master, &c, 1) == 1;) shown += c;
  ::close(master);
  BOOST_TEST(shown.starts_with('\r'));
  BOOST_TEST(shown.ends_with('\n'));  // an unfinished bar leaves the cursor on a line of its own
}

BOOST_AUTO_TEST_CASE(a_loop_without_a_known_end) {
  Captured out;
  Progress bar(0, {.unit = "record", .stream = out.stream(), .clock = test_clock});
  now = 65;
  bar.update(130);
  BOOST_TEST(out.text() == "130 record  2.00/s  1:05\n");
}

BOOST_AUTO_TEST_CASE(a_closed_stream_silences_the_bar) {
  const TemporaryFolder folder;
  std::FILE* read_only = std::fopen(folder.write("file", "").c_str(), "r");
  BOOST_REQUIRE(read_only);
  now = 0;
  Progress bar(10, {.stream = read_only, .clock = test_clock});
  for (int step = 1; step <= 10; ++step) {
    now += 20;
    bar.update(step, {{"loss", 1}});
  }
  bar.finish();
  std::fclose(read_only);
  BOOST_TEST(folder.read("file").empty());
}

BOOST_AUTO_TEST_CASE(values_far_from_one_are_written_with_exponents) {
  Captured out;
  Progress bar(1, {.stream = out.stream(), .clock = test_clock});
  now = 1;
  bar.update(1, {{"a", 1.25e-5}, {"b", 123456.0}, {"c", 0}, {"d", -2.5}});
  bar.finish({{"a", 3}});
  BOOST_TEST(contains(out.text(), "a 3.0000  b 1.235e+05  c 0.0000  d -2.5000"));
}

BOOST_AUTO_TEST_CASE(texts_are_measured_in_characters) {
  BOOST_TEST(text::width("Größe") == 5u);
  BOOST_TEST(text::clipped("Größe", 3) == "Grö");
  BOOST_TEST(text::clipped("ab", 3) == "ab");
  BOOST_TEST(text::left("ö", 3) == "ö  ");
  BOOST_TEST(text::right("ö", 3) == "  ö");
  BOOST_TEST(text::right("long", 3) == "long");
}
