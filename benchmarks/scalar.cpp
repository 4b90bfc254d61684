// Compares Scalars with gradients written by hand and with other tapes: the same five programs, with the same compiler flags, in turns.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "autodiff/autodiff.h"
#include "autodiff/scalar/scalar_derivatives.h"
#include "autodiff/transforms/scalar_jacobian.h"
#include "benchmarks/harness.h"
#include "benchmarks/scalar_functions.h"
#include "benchmarks/scalar_sides.h"

namespace wengert::benchmark {
namespace {

// Counts the elementary operations of a program.
struct CountingNumber {
  double v = 0;
  static inline long operations = 0;

  CountingNumber() = default;
  CountingNumber(double value) : v(value) {}
  static CountingNumber counted(double value) {
    ++operations;
    return value;
  }
  friend CountingNumber operator+(CountingNumber a, CountingNumber b) { return counted(a.v + b.v); }
  friend CountingNumber operator-(CountingNumber a, CountingNumber b) { return counted(a.v - b.v); }
  friend CountingNumber operator*(CountingNumber a, CountingNumber b) { return counted(a.v * b.v); }
  friend CountingNumber operator/(CountingNumber a, CountingNumber b) { return counted(a.v / b.v); }
  friend CountingNumber operator-(CountingNumber a) { return counted(-a.v); }
  CountingNumber& operator+=(CountingNumber o) { return *this = *this + o; }
  friend bool operator<(CountingNumber a, CountingNumber b) { return a.v < b.v; }
  friend CountingNumber exp(CountingNumber a) { return counted(std::exp(a.v)); }
  friend CountingNumber log(CountingNumber a) { return counted(std::log(a.v)); }
  friend CountingNumber tanh(CountingNumber a) { return counted(std::tanh(a.v)); }
};

Side ours() {
  Side side{"ours", {}};
  for_each_function([&](auto f) {
    side.gradients.push_back([f](std::span<const double> x, std::span<double> x_bar) {
      static thread_local std::vector<Scalar> inputs;  // every contestant keeps its memory
      inputs.resize(x.size());
      Tape tape;
      tape.variables(x, inputs);
      const Scalar y = f(std::span<const Scalar>(inputs));
      tape.gradient(y, inputs, x_bar);
    });
  });
  return side;
}
Side by_hand() {
  Side side{"hand", {}};
  for_each_function(
      [&](auto f) { side.gradients.push_back([f](std::span<const double> x, std::span<double> x_bar) { f.by_hand(x, x_bar); }); });
  return side;
}
// Only the value.
Side plain() {
  Side side{"plain", {}};
  for_each_function([&](auto f) {
    side.gradients.push_back([f](std::span<const double> x, std::span<double> x_bar) { x_bar[0] = f.template operator()<double>(x); });
  });
  return side;
}

struct Program {
  std::string name;
  std::vector<double> x;
  long operations;
  std::size_t statements, arguments;
};
std::vector<Program> programs() {
  std::vector<Program> list;
  for_each_function([&](auto f) {
    const std::vector<double> x = f.start();
    const std::vector<CountingNumber> counting(x.begin(), x.end());
    CountingNumber::operations = 0;
    f(std::span<const CountingNumber>(counting));
    Tape tape;
    const std::vector<Scalar> inputs = tape.variables(x);
    f(std::span<const Scalar>(inputs));
    list.push_back({std::string("scalar/") + f.name, x, CountingNumber::operations, tape.statements() - x.size(), tape.arguments()});
  });
  return list;
}

std::vector<Side> contestants() {
  std::vector<Side> sides{ours(), by_hand()};
#ifdef WENGERT_WITH_ADOLC
  sides.push_back(adolc());
#endif
#ifdef WENGERT_WITH_SACADO
  sides.push_back(sacado());
#endif
#ifdef WENGERT_WITH_PROTOTYPE
  sides.push_back(prototype());
#endif
  return sides;
}

// Nothing is timed unless all gradients agree.
void compare_gradients(const Program& program, std::size_t at, std::span<const Side> sides) {
  constexpr double kTolerance = 1e-9;
  std::vector<double> ours(program.x.size()), theirs(program.x.size());
  sides[0].gradients[at](program.x, ours);
  double scale = 0;
  for (double g : ours) scale = std::max(scale, std::abs(g));
  for (const Side& side : sides.subspan(1)) {
    side.gradients[at](program.x, theirs);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (std::abs(ours[i] - theirs[i]) <= kTolerance * scale) continue;
      fmt::print(stderr, "{}: derivative {} is {:.17g}, but {:.17g} by {}\n", program.name, i, ours[i], theirs[i], side.name);
      std::exit(1);
    }
  }
}

// Measures the cost of a Hessian in units of that of a gradient.
void measure_hessian(const Options& options) {
  if (!options.wants("scalar/hessian")) return;
  const Rosenbrock f{.n = 100};
  const std::vector<double> x = f.start();
  std::vector<double> x_bar(x.size());
  std::vector<Scalar> inputs(x.size());
  const std::function<void()> runs[] = {[&] {
                                          Tape tape;
                                          tape.variables(x, inputs);
                                          const Scalar y = f(std::span<const Scalar>(inputs));
                                          tape.gradient(y, inputs, x_bar);
                                        },
                                        [&] { hessian(f, x); }};
  const std::vector<double> times = medians_in_turns(runs, Time::of_this_thread, options.quick);
  fmt::print("The Hessian of Rosenbrock's valley in 100 variables takes {:.1f} us: {:.1f} gradients of {:.2f} us.\n", times[1],
             times[1] / times[0], times[0]);
}

// The 32 outputs of a perceptron 32-64-64-32, one scalar at a time, by its parameters.
struct PerceptronOutputs {
  static constexpr std::size_t kOutputs = 32, kW3 = Perceptron::kW3, kB3 = kW3 + kOutputs * Perceptron::kHidden;
  std::vector<double> record = normal_numbers(Perceptron::kInputs, 4);

  static std::vector<double> start() { return normal_numbers(kB3 + kOutputs, 5, 0.15); }
  template <class T> std::array<T, kOutputs> operator()(std::span<const T> p) const {
    std::array<T, Perceptron::kHidden> h1, h2;
    Perceptron::layer<Perceptron::kInputs>(p, Perceptron::kW1, Perceptron::kB1, record, h1);
    Perceptron::layer<Perceptron::kHidden>(p, Perceptron::kW2, Perceptron::kB2, h1, h2);
    std::array<T, kOutputs> y;
    for (std::size_t i = 0; i < kOutputs; ++i) {
      T s = p[kB3 + i];
      for (std::size_t j = 0; j < Perceptron::kHidden; ++j) s += p[kW3 + i * Perceptron::kHidden + j] * h2[j];
      y[i] = s;
    }
    return y;
  }
};

// The prey of the Lotka-Volterra equations at 32 times, by Runge-Kutta steps, as for a fit to measurements.
struct LotkaVolterraPath {
  static constexpr std::size_t kTimes = 32;
  static constexpr int kSteps = 30;  // between two times
  static constexpr double h = 1e-2;

  template <class T> std::array<T, kTimes> operator()(std::span<const T> p) const {
    std::array<T, kTimes> path;
    T x = p[4], y = p[5];
    const auto slope_x = [&](const T& u, const T& v) { return T(p[0] * u - p[1] * u * v); };
    const auto slope_y = [&](const T& u, const T& v) { return T(p[3] * u * v - p[2] * v); };
    for (T& at : path) {
      for (int step = 0; step < kSteps; ++step) {
        const T k1x = slope_x(x, y), k1y = slope_y(x, y), x2 = x + (0.5 * h) * k1x, y2 = y + (0.5 * h) * k1y;
        const T k2x = slope_x(x2, y2), k2y = slope_y(x2, y2), x3 = x + (0.5 * h) * k2x, y3 = y + (0.5 * h) * k2y;
        const T k3x = slope_x(x3, y3), k3y = slope_y(x3, y3), x4 = x + h * k3x, y4 = y + h * k3y;
        const T k4x = slope_x(x4, y4), k4y = slope_y(x4, y4);
        x += (h / 6) * (k1x + 2.0 * k2x + 2.0 * k3x + k4x);
        y += (h / 6) * (k1y + 2.0 * k2y + 2.0 * k3y + k4y);
      }
      at = x;
    }
    return path;
  }
};

// 32 rows of a Jacobian, recording included: eight rows a sweep, and by sweeps of one row. Also by forward mode alone.
template <class F>
void measure_jacobian(const char* name, const F& f, const std::vector<double>& x, const Options& options, std::vector<Row>& rows) {
  if (!options.wants(name)) return;
  std::vector<Scalar> inputs(x.size());
  std::vector<double> j, wanted;
  const std::function<void()> runs[] = {[&] {
                                          Tape tape;
                                          tape.variables(x, inputs);
                                          const auto y = f(std::span<const Scalar>(inputs));
                                          j.resize(y.size() * x.size());
                                          tape.jacobian(y, inputs, j);
                                        },
                                        [&] {
                                          Tape tape;
                                          tape.variables(x, inputs);
                                          const auto y = f(std::span<const Scalar>(inputs));
                                          wanted.resize(y.size() * x.size());
                                          for (std::size_t i = 0; i < y.size(); ++i)
                                            tape.gradient(y[i], inputs, std::span(wanted).subspan(i * x.size(), x.size()),
                                                          {.retain = true, .unreached = Unreached::zero});
                                        },
                                        [&] { wengert::detail::forward_jacobian(f, x); }};
  runs[0]();
  runs[1]();
  if (j != wanted) {
    fmt::print(stderr, "{}: the Jacobian is not that of the gradients\n", name);
    std::exit(1);
  }
  const std::vector<double> times = medians_in_turns(runs, Time::of_this_thread, options.quick);
  rows.push_back({name, "row by row", 1, times[0], times[1]});
  rows.push_back({name, "forward", 1, times[0], times[2]});
}

void run(const Options& options) {
  const std::vector<Side> sides = contestants();
  const Side value_alone = plain();
  std::vector<Row> rows;
  const std::vector<Program> list = programs();
  fmt::print("{:<16} {:>12} {:>12} {:>12} {:>12} {:>14} {:>12}\n", "program", "operations", "statements", "arguments", "bytes each",
             "ns/operation", "plain, us");
  for (std::size_t at = 0; at < list.size(); ++at) {
    const Program& program = list[at];
    if (!options.wants(program.name)) continue;
    compare_gradients(program, at, sides);
    std::vector<double> x_bar(program.x.size());
    std::vector<std::function<void()>> runs;
    for (const Side& side : sides) runs.push_back([&] { side.gradients[at](program.x, x_bar); });
    runs.push_back([&] { value_alone.gradients[at](program.x, x_bar); });
    const std::vector<double> times = medians_in_turns(runs, Time::of_this_thread, options.quick);
    const double bytes = (12.0 * static_cast<double>(program.arguments)) / static_cast<double>(program.statements) + 2;
    fmt::print("{:<16} {:>12} {:>12} {:>12} {:>12.1f} {:>14.2f} {:>12.1f}\n", program.name, program.operations, program.statements,
               program.arguments, bytes, 1000 * times[0] / static_cast<double>(program.operations), times.back());
    for (std::size_t k = 1; k < sides.size(); ++k) rows.push_back({program.name, sides[k].name, 1, times[0], times[k]});
  }
  measure_hessian(options);
  measure_jacobian("scalar/jacobian-mlp", PerceptronOutputs(), PerceptronOutputs::start(), options, rows);
  measure_jacobian("scalar/jacobian-ode", LotkaVolterraPath(), LotkaVolterra().start(), options, rows);
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
