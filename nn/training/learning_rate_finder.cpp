#include "nn/training/learning_rate_finder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "autodiff/check_option.h"
#include "autodiff/tape/tape.h"
#include "nn/module/state.h"

namespace wengert::nn {
namespace {

// Gives everything that a training changes what it had.
class Restore {
 public:
  Restore(Module& module, optim::Optimizer& optimizer, const Batches& data)
      : module_(module), optimizer_(optimizer), training_(module.training()), values_(state(module)), optimizer_state_(optimizer.state()) {
    note(default_generator());
    if (Generator* g = data.generator()) note(*g);
    for (const NamedGenerator& g : module.generators()) note(*g.generator);
  }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;
  ~Restore() {  // NOLINT(bugprone-exception-escape): states fit what they were taken from
    load_state(module_, values_);
    optimizer_.load_state(optimizer_state_);
    for (auto& [generator, value] : generators_) *generator = value;
    module_.train(training_);
  }

 private:
  void note(Generator& g) { generators_.emplace_back(&g, g); }

  Module& module_;
  optim::Optimizer& optimizer_;
  bool training_;
  std::vector<NamedTensor> values_, optimizer_state_;
  std::vector<std::pair<Generator*, Generator>> generators_;
};

void check(const LearningRateFinderOptions& o, const Batches& data) {
  constexpr const char* kName = "find_learning_rate";
  wengert::detail::check_positive(kName, "min_rate", o.min_rate);
  wengert::detail::check_positive(kName, "max_rate", o.max_rate);
  wengert::detail::check_decay(kName, "smoothing", o.smoothing);
  if (!(o.max_rate > o.min_rate))
    throw ValueError(fmt::format("{}: max_rate must be larger than min_rate, but they are {} and {}", kName, o.max_rate, o.min_rate));
  if (o.steps < 2) throw ValueError(fmt::format("{}: steps must be at least 2, but it is {}", kName, o.steps));
  if (!(o.divergence > 1)) throw ValueError(fmt::format("{}: divergence must be larger than 1, but it is {}", kName, o.divergence));
  if (!data || data.batches() < 1) throw ValueError(fmt::format("{}: there are no batches", kName));
}

// The rate at which the smoothed loss falls fastest, before its minimum. The first few means are left out: they are
// those of so few batches that the differences between batches are larger than the progress.
double steepest(const LearningRateTrial& trial, double smoothing) {
  constexpr double kSettled = 0.9;  // of the weight of an endless exponential mean
  const std::vector<double>& s = trial.smoothed;
  const std::ptrdiff_t lowest = std::min_element(s.begin(), s.end()) - s.begin();
  double best = std::numeric_limits<double>::quiet_NaN(), slope = 0;
  for (std::ptrdiff_t i = 1; i <= lowest; ++i) {  // the rates are equidistant on a logarithmic axis
    const auto at = static_cast<std::size_t>(i);
    if (1 - std::pow(smoothing, static_cast<double>(i)) < kSettled) continue;
    if (s[at] - s[at - 1] < slope) {
      slope = s[at] - s[at - 1];
      best = trial.rates[at];
    }
  }
  return best;
}

}  // namespace

LearningRateTrial find_learning_rate(const Forward& model, optim::Optimizer& optimizer, const Loss& loss, const Batches& data,
                                     const LearningRateFinderOptions& options) {
  check(options, data);
  const Restore restore(model.module(), optimizer, data);
  model.module().train();
  LearningRateTrial trial{};
  double mean = 0, lowest = std::numeric_limits<double>::infinity();
  std::unique_ptr<Batches::Epoch> epoch;
  Index epochs = 0;
  for (Index step = 0; step < options.steps; ++step) {
    Batch batch;
    while (!epoch || !epoch->next(batch)) epoch = data.begin(epochs++);
    const double rate = options.min_rate *
                        std::pow(options.max_rate / options.min_rate, static_cast<double>(step) / static_cast<double>(options.steps - 1));
    optimizer.set_learning_rate(rate);
    Tape tape;
    const Tensor value = loss(model(batch.x), batch.y);
    const double now = value.item();
    if (step == 0 && !std::isfinite(now)) throw ValueError(fmt::format("find_learning_rate: the loss is {} before the first step", now));
    if (!std::isfinite(now)) break;
    // An exponential mean, divided by the weight of what has come so far.
    mean = options.smoothing * mean + (1 - options.smoothing) * now;
    const double smoothed = mean / (1 - std::pow(options.smoothing, static_cast<double>(step + 1)));
    if (smoothed > options.divergence * lowest) break;
    lowest = std::min(lowest, smoothed);
    trial.rates.push_back(rate);
    trial.losses.push_back(now);
    trial.smoothed.push_back(smoothed);
    optimizer.step(tape.gradient(value, optimizer.parameters()));
  }
  trial.suggestion = steepest(trial, options.smoothing);
  return trial;
}

PictureOutcome LearningRateTrial::plot(const std::string& png_path) const {
  Column log_rate{"log10 of the rate", {}};
  for (const double rate : rates) log_rate.values.push_back(std::log10(rate));
  const Panel panel{.title = std::isnan(suggestion) ? "Loss" : fmt::format("Loss; it falls fastest at a rate of {:.2g}", suggestion),
                    .x_label = log_rate.name,
                    .y_label = "loss",
                    .curves = {{.x = log_rate.name, .y = "loss", .style = Curve::Style::points}, {.x = log_rate.name, .y = "smoothed"}}};
  return write_figure({.columns = {{"rate", rates}, log_rate, {"loss", losses}, {"smoothed", smoothed}}, .panels = {panel}}, png_path);
}

}  // namespace wengert::nn
