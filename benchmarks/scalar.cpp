// Compares Scalars with gradients written by hand and with other tapes: the same five programs, with the same compiler flags, in turns.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "autodiff/autodiff.h"
#include "autodiff/scalar/scalar_derivatives.h"
#include "benchmarks/harness.h"
#include "benchmarks/scalar_functions.h"
#include "benchmarks/scalar_sides.h"

namespace wengert::benchmark {
namespace {

/// Counts the elementary operations of a program.
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
/// Only the value.
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

/// Nothing is timed unless all gradients agree.
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

/// Measures the cost of a Hessian in units of that of a gradient.
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
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
