// A thrown ball: given three of x, y, v0x, v0y, vy and t, a network finds all six. It learns from generated problems, without any formula.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include <nn/data/loader.h>
#include <nn/training/figure.h>
#include <nn/training/history.h>
#include <nn/training/progress.h>
#include "classification.h"
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string output = ".";
  int problems = 50000, epochs = 64, batch = 64;
  double rate = 1e-3;
  std::uint64_t seed = 1;
  bool quick = false;
  example::Saving saving;
};

// ---- physics ---------------------------------------------------------------------------------------------------------------------

constexpr double kGravity = -9.8;                                          // m/s^2
enum Quantity : std::size_t { kX, kY, kV0x, kV0y, kVy, kT, kQuantities };  // m, m, m/s, m/s, m/s, s
constexpr std::array<const char*, kQuantities> kNames{"x", "y", "v0x", "v0y", "vy", "t"};
using Values = std::array<double, kQuantities>;

// Units for the network, so that all quantities are of order 1.
constexpr Values kScale{1000, 500, 100, 100, 200, 20};

double rounded(double v) { return std::round(v * 100) / 100; }

struct Problem {
  Values given{}, solution{};  // quantities that are not given are 0
  std::array<bool, kQuantities> known{};
};

// All six from the three that are known: x = v0x t, y = v0y t + g t^2 / 2, vy = v0y + g t.
Values solve(const Values& given, const std::array<bool, kQuantities>& known) {
  Values s = given;
  if (!known[kT]) {
    // Both quantities of a pair are known, which gives the time of flight; the ball is on its way down where y is below 0.
    s[kT] = known[kX] && known[kV0x] ? s[kX] / s[kV0x] : (s[kV0y] + std::sqrt(s[kV0y] * s[kV0y] + 2 * kGravity * s[kY])) / -kGravity;
  }
  if (!known[kX]) s[kX] = s[kV0x] * s[kT];
  if (!known[kV0x]) s[kV0x] = s[kX] / s[kT];
  if (!known[kY]) s[kY] = s[kV0y] * s[kT] + kGravity / 2 * s[kT] * s[kT];
  if (!known[kV0y]) s[kV0y] = (s[kY] - kGravity / 2 * s[kT] * s[kT]) / s[kT];
  s[kVy] = s[kV0y] + kGravity * s[kT];
  return s;
}

// One of v0x and x, one of v0y and y, and one more of x, y, v0x, v0y and t; all to two decimals.
Problem make_problem(Generator& g) {
  const Values drawn{g.next_uniform(0, 1000), g.next_uniform(-500, 0), g.next_uniform(50, 100), g.next_uniform(50, 100), 0,
                     g.next_uniform(5, 20)};
  Problem p;
  p.known[g.next_bernoulli(0.5) ? kV0x : kX] = true;
  p.known[g.next_bernoulli(0.5) ? kV0y : kY] = true;
  constexpr std::array<Quantity, 5> kThird{kX, kY, kV0x, kV0y, kT};
  std::size_t third = 0;
  do third = kThird[static_cast<std::size_t>(g.next_integer(0, kThird.size()))];
  while (p.known[third]);
  p.known[third] = true;
  for (std::size_t q = 0; q < kQuantities; ++q)
    if (p.known[q]) p.given[q] = rounded(drawn[q]);
  p.solution = solve(p.given, p.known);
  for (double& v : p.solution) v = rounded(v);
  return p;
}

// Random problems; those without a finite solution (if t = 0) are skipped.
std::vector<Problem> make_problems(int n, Generator& generator) {
  std::vector<Problem> problems;
  while (std::ssize(problems) < n) {
    const Problem p = make_problem(generator);
    if (std::all_of(p.solution.begin(), p.solution.end(), [](double v) { return std::isfinite(v); })) problems.push_back(p);
  }
  return problems;
}

// ---- the network -----------------------------------------------------------------------------------------------------------------

constexpr Index kSize = kQuantities;

// Scaled inputs (n, 6) and solutions (n, 6).
nn::Batch tensors(const std::vector<Problem>& problems) {
  const Index n = std::ssize(problems);
  nn::Batch batch{Tensor::zeros({n, kSize}), Tensor::zeros({n, kSize})};
  float *x = batch.x.mutable_data<float>(), *y = batch.y.mutable_data<float>();
  for (const Problem& p : problems) {
    for (std::size_t q = 0; q < kQuantities; ++q) {
      *x++ = static_cast<float>(p.given[q] / kScale[q]);
      *y++ = static_cast<float>(p.solution[q] / kScale[q]);
    }
  }
  return batch;
}

// Solutions are heavy-tailed, so the loss grows linearly for large errors, not quadratically.
Tensor loss_of(const Tensor& said, const Tensor& is) { return nn::smooth_l1(said, is, {.beta = 0.1}); }

// The network's answers to the problems, in SI units.
std::vector<Values> answers(nn::Sequential& model, const Tensor& x) {
  model.eval();
  const std::vector<float> said = model(x).to_vector<float>();
  std::vector<Values> all(said.size() / kQuantities);
  for (std::size_t i = 0; i < said.size(); ++i) all[i / kQuantities][i % kQuantities] = said[i] * kScale[i % kQuantities];
  return all;
}

struct Score {
  double accuracy;      // share of problems for which the network names the largest quantity correctly
  double median_error;  // median over problems of the distance between predicted and true values, in scaled units
  double mse;           // mean squared error of all quantities, in SI units
};
Score score_of(const std::vector<Problem>& problems, const std::vector<Values>& said) {
  const auto largest = [](const Values& v) { return std::max_element(v.begin(), v.end()) - v.begin(); };
  double right = 0, squares = 0;
  std::vector<double> errors;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    const Values& is = problems[i].solution;
    right += largest(said[i]) == largest(is) ? 1 : 0;
    double error = 0;
    for (std::size_t q = 0; q < kQuantities; ++q) {
      const double d = said[i][q] - is[q];
      squares += d * d;
      error += d * d / (kScale[q] * kScale[q]);
    }
    errors.push_back(std::sqrt(error));
  }
  const auto n = static_cast<double>(problems.size());
  std::nth_element(errors.begin(), errors.begin() + std::ssize(errors) / 2, errors.end());
  return {right / n, errors[errors.size() / 2], squares / (n * kSize)};
}

void print_epoch(const nn::EpochReport& report) {
  fmt::print("epoch {}: train loss {:.5f}, test loss {:.5f}\n", report.epoch, report["train loss"], report["test loss"]);
  std::fflush(stdout);
}

// ---- output ----------------------------------------------------------------------------------------------------------------------

void print_problem(const Problem& p, const Values& said) {
  std::string given, solution;
  for (std::size_t q = 0; q < kQuantities; ++q) {
    if (p.known[q]) given += fmt::format("  {} = {:.2f}", kNames[q], p.given[q]);
    solution += fmt::format("  {} {:.1f} ({:.1f})", kNames[q], said[q], p.solution[q]);
  }
  fmt::print("given{}\n  said (true):{}\n", given, solution);
}

// Draws the flights by the solutions and by the network's answers.
std::string draw_flights(const std::vector<Problem>& problems, const std::vector<Values>& said, const std::string& path) {
  constexpr int kPoints = 60;
  nn::Figure figure;
  nn::Panel panel{.title = "flights: true (lines), as the network says (dashed)", .x_label = "x / m", .y_label = "y / m"};
  const auto add = [&](const std::string& name, const Values& v, nn::Curve::Style style, int color) {
    nn::Column x{name + " x", {}}, y{name + " y", {}};
    for (int i = 0; i <= kPoints; ++i) {
      const double t = v[kT] * i / kPoints;
      x.values.push_back(v[kV0x] * t);
      y.values.push_back(v[kV0y] * t + kGravity / 2 * t * t);
    }
    panel.curves.push_back({.x = x.name, .y = y.name, .label = name, .style = style, .color = color});
    figure.columns.push_back(std::move(x));
    figure.columns.push_back(std::move(y));
  };
  for (std::size_t i = 0; i < problems.size(); ++i) {
    add(fmt::format("flight {}", i + 1), problems[i].solution, nn::Curve::Style::line, static_cast<int>(i));
    add(fmt::format("flight {}, said", i + 1), said[i], nn::Curve::Style::dashed, static_cast<int>(i));
  }
  figure.panels.push_back(std::move(panel));
  return nn::write_figure(figure, path).message;
}

void projectile(Options options) {
  if (options.quick) options.problems = 4000, options.epochs = 4;
  example::make_folder(options.output);
  Generator generator(options.seed);
  const std::vector<Problem> train = make_problems(options.problems, generator);
  const std::vector<Problem> test = make_problems(std::max(options.problems / 10, 10), generator);
  const nn::Batch train_data = tensors(train), test_data = tensors(test);

  nn::Sequential model(nn::Linear(kSize, 128, {}, generator), nn::ReLU(), nn::Linear(128, 256, {}, generator), nn::ReLU(),
                       nn::Dropout(0.05, generator), nn::Linear(256, 256, {}, generator), nn::ReLU(),
                       nn::Linear(256, kSize, {}, generator));
  fmt::print("{} problems to learn from, {} to be tested with, {} parameters\n", train.size(), test.size(), model.parameter_count());
  std::fflush(stdout);
  optim::Adam adam(model.parameters(), {.lr = options.rate});
  const nn::DataLoader loader(train_data, {.batch_size = options.batch, .shuffle = true, .generator = &generator});
  const nn::FitResult result = nn::fit(model, adam, loss_of, loader,
                                       {.epochs = options.epochs,
                                        .validation = test_data,
                                        .validation_name = "test",
                                        .rate_of_epoch = optim::CosineSchedule{.lr = options.rate, .steps = options.epochs},
                                        .checkpoint = {.path = options.saving.checkpoint, .resume = options.saving.resume},
                                        .after_epoch = print_epoch});

  const std::vector<Values> said = answers(model, test_data.x);
  constexpr std::size_t kShown = 5;
  for (std::size_t i = 0; i < kShown; ++i) print_problem(test[i], said[i]);
  fmt::print("{}\n{}\n", result.history.plot(options.output + "/projectile-training.png").message,
             draw_flights({test.begin(), test.begin() + kShown}, {said.begin(), said.begin() + kShown},
                          options.output + "/projectile-flights.png"));
  nn::save(model, options.output + "/projectile.safetensors");
  const Score score = score_of(test, said);
  fmt::print("median row error {:.4f}, mean squared error {:.0f}\n", score.median_error, score.mse);
  fmt::print("test accuracy {:.4f}\n", score.accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("projectile", "Three quantities of a throw -> all six: a network learns mechanics from solved problems.");
  line.option("--problems", options.problems, "training problems; a tenth as many more are for the test", example::kPositive);
  line.option("--epochs", options.epochs, "passes over them", example::kPositive);
  line.option("--batch", options.batch, "problems in a step", example::kPositive);
  line.option("--rate", options.rate, "learning rate of Adam, which falls to 0 along a cosine", example::kPositive);
  line.option("--seed", options.seed, "of the problems, the weights and their order");
  line.option("--output", options.output, "folder for the pictures and the model");
  line.saving(options.saving);
  line.flag("--quick", options.quick, "a short training, to see that everything works");
  return line.run(argc, argv, [&] { projectile(options); });
}
