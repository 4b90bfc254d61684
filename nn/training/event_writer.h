#pragma once
// Event files, which TensorBoard shows.
#include <concepts>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "autodiff/error.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

/// A setting of a training under its name: a number, a text, or a bool.
class Hyperparameter {
 public:
  template <class T>
  requires(std::is_arithmetic_v<T> && !std::same_as<T, bool>) Hyperparameter(std::string name, T value)
      : name(std::move(name)), kind(Kind::number), number(static_cast<double>(value)) {}
  Hyperparameter(std::string name, std::same_as<bool> auto value) : name(std::move(name)), kind(Kind::flag), number(value) {}
  Hyperparameter(std::string name, std::string value) : name(std::move(name)), kind(Kind::text), text(std::move(value)) {}
  Hyperparameter(std::string name, const char* value) : Hyperparameter(std::move(name), std::string(value)) {}

  /// With the numbers of TensorBoard's DataType.
  enum class Kind : std::uint8_t { text = 1, flag = 2, number = 3 };
  std::string name;
  Kind kind;
  double number = 0;
  std::string text = {};
};

struct EventWriterOptions {
  /// Seconds since 1970, for the time of events. Null: the system's clock.
  double (*clock)() = nullptr;
};

/// Writes what happens in a training to a new event file in a folder, `events.out.tfevents...`:
///
///     nn::EventWriter events("runs/first");
///     nn::fit(net, adam, nn::mse, loader,
///             {.after_epoch = [&](const nn::EpochReport& r) { events.scalar("loss", r["train loss"], r.epoch); }});
///
/// `tensorboard --logdir runs` then shows it. A tag is the name of a series; those that share what is before a "/" stand together. An event
/// is written at once: a process that is killed loses none but the last. Every failure is a DataError that names the file.
class EventWriter {
 public:
  /// Makes the folder, if it is not there, and the file.
  explicit EventWriter(const std::string& folder, EventWriterOptions options = {});
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;
  /// Ends the session that `hyperparameters` has begun: with failure if an exception is on its way.
  ~EventWriter();

  /// Of the event file.
  const std::string& path() const { return path_; }

  /// A point of the curve `tag`.
  void scalar(std::string_view tag, double value, Index step);
  /// How the elements are distributed, in 30 intervals of the same width. Those that are not finite do not count.
  void histogram(std::string_view tag, const Tensor& values, Index step);
  /// An image (height, width), (1, height, width) or (3, height, width): values from 0, black, to 1; those beyond are clipped, and NaN is
  /// magenta. A ShapeError for other shapes.
  void image(std::string_view tag, const Tensor& image, Index step, Location site = Location::here());
  /// In Markdown.
  void text(std::string_view tag, std::string_view text, Index step);
  /// The settings of this run, and the tags of the scalars by which runs are compared.
  void hyperparameters(std::span<const Hyperparameter> settings, std::span<const std::string> metrics);

 private:
  void write_value(std::string_view value, Index step);
  void write_event(std::string_view event);

  std::string path_;
  double (*clock_)();
  int descriptor_ = -1;
  bool session_ = false;
  int exceptions_;  // on their way when the writer was made
};

}  // namespace wengert::nn
