#include "nn/training/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>

#include "nn/training/text.h"

namespace wengert::nn {
namespace {

constexpr double kSecondsBetweenRedraws = 0.1;
constexpr std::size_t kDefaultColumns = 80;
constexpr std::size_t kMaxBar = 40, kMinBar = 8;

double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): the library never writes the environment
  return value ? value : "";
}

// The terminal's character set, from the environment: it is set even for programs that never call setlocale().
bool speaks_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view value = environment(name);
    if (value.empty()) continue;
    for (const std::string_view spelling : {"UTF-8", "utf-8", "utf8", "UTF8"}) {
      if (value.find(spelling) != std::string_view::npos) return true;
    }
    return false;
  }
  return false;
}

bool is_terminal(std::FILE* stream) {
  const int descriptor = ::fileno(stream);
  return descriptor >= 0 && ::isatty(descriptor) && environment("TERM") != "dumb";
}

// 1:05, 2:00:30.
std::string clock_time(double seconds) {
  if (!(seconds < 360000)) return "99:59:59";
  const int all = static_cast<int>(std::lround(std::max(seconds, 0.0)));
  return all < 3600 ? fmt::format("{}:{:02}", all / 60, all % 60) : fmt::format("{}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
}

std::string duration(double seconds) { return seconds < 60 ? fmt::format("{:.1f} s", seconds) : clock_time(seconds); }

// Of constant width where possible, so that the line does not jump.
std::string number(double value) {
  const double size = std::abs(value);
  return size == 0 || (size >= 1e-3 && size < 1e4) ? fmt::format("{:.4f}", value) : fmt::format("{:.3e}", value);
}

std::string rate(double steps_per_second) {
  return fmt::format("{:.{}f}/s", steps_per_second, steps_per_second < 10 ? 2 : steps_per_second < 100 ? 1 : 0);
}

}  // namespace

Progress::Progress(std::int64_t total, ProgressOptions options)
    : total_(std::max<std::int64_t>(total, 0)),
      first_(options.first),
      step_(options.first),
      label_(options.label),
      unit_(options.unit),
      stream_(options.stream ? options.stream : stderr),
      clock_(options.clock ? options.clock : steady_seconds),
      width_(options.width),
      rewritten_(options.style == ProgressOptions::Style::automatic ? is_terminal(stream_)
                                                                    : options.style == ProgressOptions::Style::rewritten),
      unicode_(speaks_utf8()) {
  interval_ = rewritten_ ? kSecondsBetweenRedraws : options.seconds_between_lines;
  started_ = drawn_ = clock_();
}

Progress::~Progress() {
  if (rewritten_ && !finished_ && drawn_columns_ > 0) write("\n");
}

void Progress::update(std::int64_t step, std::span<const NamedValue> values) noexcept {
  if (finished_ || silent_) return;
  step_ = step;
  remember(values);
  if (const double now = clock_(); now - drawn_ >= interval_) {
    draw(false);
    drawn_ = now;
  }
}

void Progress::finish(std::initializer_list<NamedValue> values) noexcept {
  if (finished_) return;
  finished_ = true;
  remember(values);
  draw(true);
}

void Progress::remember(std::span<const NamedValue> values) noexcept try {
  for (const NamedValue& given : values) {
    const auto known = std::find_if(values_.begin(), values_.end(), [&](const Value& v) { return v.name == given.name; });
    if (known != values_.end()) {
      known->value = given.value;
    } else {
      values_.push_back({std::string(given.name), given.value});
    }
  }
} catch (...) {  // out of memory for a name: the loop itself will report it
  silent_ = true;
}

void Progress::draw(bool last) noexcept try {
  std::string text = line(last);
  if (rewritten_) {
    const std::size_t drawn = text::width(text);
    text.insert(0, 1, '\r');
    if (drawn < drawn_columns_) text.append(drawn_columns_ - drawn, ' ');  // erases the rest of a longer line
    drawn_columns_ = drawn;
  }
  if (!rewritten_ || last) text += '\n';
  write(text);
} catch (...) {  // the same
  silent_ = true;
}

std::string Progress::line(bool last) const {
  const double elapsed = clock_() - started_;
  const double speed = elapsed > 0 ? static_cast<double>(step_ - first_) / elapsed : 0;
  const std::string count = total_ > 0 ? fmt::format("{:>{}}/{} {}", step_, fmt::formatted_size("{}", total_), total_, unit_)
                                       : fmt::format("{} {}", step_, unit_);
  std::string behind = count;
  if (speed > 0) behind += "  " + rate(speed);
  if (last) {
    behind += "  " + duration(elapsed);
  } else if (total_ > 0 && speed > 0) {
    behind += fmt::format("  {} left", clock_time(static_cast<double>(total_ - step_) / speed));
  } else {
    behind += "  " + clock_time(elapsed);
  }
  for (const Value& v : values_) behind += fmt::format("  {} {}", v.name, number(v.value));

  const std::string front = label_.empty() ? "" : label_ + "  ";
  if (!rewritten_) return front + behind;
  const std::size_t room = columns() - 1;  // some terminals wrap after a full line
  const std::size_t taken = text::width(front) + text::width(behind) + 2;
  std::string all = front;
  if (total_ > 0 && room >= taken + kMinBar) all += bar(std::min(kMaxBar, room - taken)) + "  ";
  all += behind;
  return std::string(text::clipped(all, room));
}

std::string Progress::bar(std::size_t columns) const {
  const double done = std::clamp(static_cast<double>(step_) / static_cast<double>(total_), 0.0, 1.0);
  const auto halves = static_cast<std::size_t>(done * 2 * static_cast<double>(columns));
  std::string drawn;
  for (std::size_t i = 0; i < columns; ++i) {
    const bool full = 2 * i + 2 <= halves, half = !full && 2 * i + 1 <= halves;
    drawn += unicode_ ? (full ? "━" : half ? "╸" : "─") : (full ? "=" : half ? ">" : ".");
  }
  return drawn;
}

std::size_t Progress::columns() const {
  if (width_ > 0) return static_cast<std::size_t>(width_);
  winsize size{};
  return ::ioctl(::fileno(stream_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultColumns;
}

void Progress::write(std::string_view text) noexcept {
  if (silent_) return;
  silent_ = std::fwrite(text.data(), 1, text.size(), stream_) < text.size() || std::fflush(stream_) != 0;
}

}  // namespace wengert::nn
