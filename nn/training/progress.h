#pragma once
// A progress bar for loops.
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/error.h"
#include "nn/training/named_value.h"

namespace wengert::nn {

struct ProgressOptions {
  std::string_view label = {};     ///< in front: "epoch 3/10"
  std::string_view unit = "step";  ///< what is counted: "batch"
  std::int64_t first = 0;          ///< steps that were done before, and do not count for the speed
  std::FILE* stream = nullptr;     ///< null: the standard error stream
  double (*clock)() = nullptr;     ///< monotonic seconds; null: the steady clock
  /// One line that is rewritten, or lines one after the other. `automatic` rewrites where the stream is a terminal.
  enum class Style : std::uint8_t { automatic, rewritten, lines } style = Style::automatic;
  int width = 0;                      ///< columns of the terminal; 0: asks it
  double seconds_between_lines = 10;  ///< in the style `lines`
};

/// A progress bar:
///
///     nn::Progress bar(loader.batches(), {.label = "epoch 3/10", .unit = "batch"});
///     for (...) bar.update(++step, {{"loss", loss}, {"accuracy", correct}});
///     bar.finish();
///
/// One line: the label, the bar, `312/469 batch  1204/s  0:00 left  loss 0.3100  accuracy 0.9100`.
///
/// On a terminal the line is rewritten ten times a second at most; elsewhere a plain line comes every `seconds_between_lines`, and
/// one at the end. Drawing never throws and never stops the loop: once writing to the stream fails, the bar stays silent.
class Progress {
 public:
  /// A loop of `total` steps; 0 where their number is not known.
  explicit Progress(std::int64_t total, ProgressOptions options = {});
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Ends the line, so that what is printed next (a message, say) has its own.
  ~Progress();

  /// `step` steps are done, and these are the values to show; a name seen before gets the new value.
  void update(std::int64_t step, std::initializer_list<NamedValue> values = {}) noexcept {
    update(step, std::span(values.begin(), values.size()));
  }
  void update(std::int64_t step, std::span<const NamedValue> values) noexcept;
  /// Draws the last state with the total time. Later calls do nothing.
  void finish(std::initializer_list<NamedValue> values = {}) noexcept;

 private:
  struct Value {
    std::string name;
    double value;
  };

  void remember(std::span<const NamedValue> values) noexcept;
  void draw(bool last) noexcept;
  std::string line(bool last) const;
  std::string bar(std::size_t columns) const;
  std::size_t columns() const;
  void write(std::string_view text) noexcept;

  std::int64_t total_, first_, step_;
  std::string label_, unit_;
  std::FILE* stream_;
  double (*clock_)();
  int width_;
  double interval_;
  bool rewritten_, unicode_;
  bool finished_ = false, silent_ = false;
  double started_, drawn_;
  std::size_t drawn_columns_ = 0;  // of the line that stands on the terminal
  std::vector<Value> values_;
};

}  // namespace wengert::nn
