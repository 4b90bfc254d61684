// Programs recorded once and replayed on lanes, against our tape that records anew, gradients written by hand and other replays. All sides
// compute values and derivatives, with one thread.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "autodiff/autodiff.h"
#include "benchmarks/harness.h"
#include "benchmarks/program_functions.h"
#include "benchmarks/program_sides.h"
#include "benchmarks/train_work.h"
#include "nn/losses.h"

namespace wengert::benchmark {
namespace {

using Lines = std::vector<std::vector<double>>;
using Run = std::function<void()>;

struct Contestant {
  std::string name;
  Run run;
  std::vector<double>* result;  // which must agree with ours; null if it computes something else
};

// The columns' first `lanes` lanes.
Columns first_lanes(const Lines& columns, std::size_t lanes) {
  Columns to;
  for (const std::vector<double>& column : columns) to.add(std::span(column).first(lanes));
  return to;
}
// [record][column] -> [column][record].
Lines by_columns(std::span<const double> records, std::size_t columns) {
  Lines to(columns);
  for (std::size_t i = 0; i < records.size(); ++i) to[i % columns].push_back(records[i]);
  return to;
}

class Benchmark {
 public:
  explicit Benchmark(const Options& options) : options_(options) {}

  // Times the first contestant against the others, once their results agree.
  void compare(const std::string& name, std::vector<Contestant> contestants) {
    for (const Contestant& each : contestants) each.run();
    for (const Contestant& each : contestants) check(name, *contestants[0].result, each);
    std::vector<Run> runs;
    for (const Contestant& each : contestants) runs.push_back(each.run);
    const std::vector<double> times = medians_in_turns(runs, Time::of_this_thread, options_.quick);
    for (std::size_t k = 1; k < times.size(); ++k) rows_.push_back({name, contestants[k].name, 1, times[0], times[k]});
  }
  bool wants(const std::string& name) const { return options_.wants(name); }

  // Prints from how many lanes on ours is faster; ours(n) and theirs(n) run n lanes.
  void print_lanes(const std::string& name, const std::string& peer, const std::function<void(std::size_t)>& ours,
                   const std::function<void(std::size_t)>& theirs) const {
    for (std::size_t lanes = 1; lanes <= 64; lanes += lanes < 8 ? 1 : 4) {
      const Run runs[] = {[&] { ours(lanes); }, [&] { theirs(lanes); }};
      const std::vector<double> times = medians_in_turns(runs, Time::of_this_thread, true);
      if (times[0] > times[1]) continue;
      fmt::print("{}: faster than {} from {} lanes on ({:.2f} us against {:.2f} us)\n", name, peer, lanes, times[0], times[1]);
      return;
    }
    fmt::print("{}: not faster than {} at 64 lanes\n", name, peer);
  }
  void finish() const { report(rows_, options_); }

 private:
  static void check(const std::string& name, const std::vector<double>& ours, const Contestant& peer) {
    if (!peer.result) return;
    double scale = 0, error = 0;
    for (double x : ours) scale = std::max(scale, std::abs(x));
    for (std::size_t i = 0; i < ours.size(); ++i) error = std::max(error, std::abs(ours[i] - peer.result->at(i)));
    if (error <= 1e-9 * scale && ours.size() == peer.result->size()) return;
    fmt::print(stderr, "{}: the derivatives by {} differ by {} from ours, which are up to {}\n", name, peer.name, error, scale);
    std::exit(1);
  }

  const Options& options_;
  std::vector<Row> rows_;
};

// The gradient of f of Scalars, recorded anew.
template <class F> void gradient_by_tape(const F& f, std::span<const double> x, std::span<double> x_bar) {
  static thread_local std::vector<Scalar> inputs;
  inputs.resize(x.size());
  Tape tape;
  tape.variables(x, inputs);
  const Scalar y = f(std::span<const Scalar>(inputs));
  tape.gradient(y, inputs, x_bar, {.unreached = Unreached::zero});  // a path may end at the barrier
}

#ifdef WENGERT_WITH_ADOLC
const AdolcRuns& adolc() {
  static const AdolcRuns runs = adolc_runs();
  return runs;
}
#endif

void logistic_regression(Benchmark& benchmark) {
  const std::string name = "program/logreg";
  if (!benchmark.wants(name)) return;
  constexpr std::size_t kFeatures = LogisticRecord::kFeatures;
  const LogisticRegression f;
  const std::vector<double> w = f.start();
  Lines data = by_columns(f.features, kFeatures);
  data.push_back(f.labels);
  std::vector<double> example = w;
  for (const std::vector<double>& column : data) example.push_back(column[0]);
  const Program program = record(LogisticRecord(), {.parameters = kFeatures + 1, .data = kFeatures + 1}, example);
  std::vector<double> ours(w.size()), tape(w.size()), hand(w.size());
  const Columns columns = first_lanes(data, LogisticRegression::kRecords);
  std::vector<Contestant> all{{"ours", [&] { program.sum_and_gradient(w, columns, ours); }, &ours},
                              {"tape", [&] { gradient_by_tape(f, w, tape); }, &tape},
                              {"hand", [&] { f.by_hand(w, hand); }, &hand}};
  std::vector<double> by_compiled(w.size());
  const CompiledProgram compiled = compile(program);
  all.push_back({"compiled", [&] { compiled.sum_and_gradient(w, columns, by_compiled); }, &by_compiled});
#ifdef WENGERT_WITH_ADOLC
  std::vector<double> by_adolc(w.size());
  all.push_back({"adolc", [&] { adolc().logreg(w, by_adolc); }, &by_adolc});
#endif
  benchmark.compare(name, all);
  const auto by_lanes = [&](std::size_t lanes) { program.sum_and_gradient(w, first_lanes(data, lanes), ours); };
  benchmark.print_lanes(name, "tape", by_lanes, [&](std::size_t lanes) {
    const auto part = [&](std::span<const Scalar> v) {
      Scalar sum = 0.0;
      for (std::size_t i = 0; i < lanes; ++i) {
        Scalar z = v[kFeatures];
        for (std::size_t j = 0; j < kFeatures; ++j) z += v[j] * f.features[i * kFeatures + j];
        const Scalar residual = f.labels[i] - 1.0 / (1.0 + exp(-z));
        sum += 0.5 * residual * residual;
      }
      return sum;
    };
    gradient_by_tape(part, w, tape);
  });
}

void gaussian_mixture(Benchmark& benchmark) {
  const std::string name = "program/gmm";
  if (!benchmark.wants(name)) return;
  using G = GaussianMixture;
  const G f;
  const std::vector<double> p = f.start();
  const Lines data = by_columns(f.points, G::kDims);
  std::vector<double> example = p;
  example.insert(example.end(), f.points.begin(), f.points.begin() + G::kDims);
  const Program point = record(MixturePoint(), {.parameters = G::kParameters, .data = G::kDims}, example);
  const Program rest = record(MixtureRest(), {.parameters = G::kParameters}, p);
  const Columns columns = first_lanes(data, G::kPoints), one = Columns::without_data(1);
  std::vector<double> ours(p.size()), of_rest(p.size()), tape(p.size()), hand(p.size());
  const Run run = [&] {
    point.sum_and_gradient(p, columns, ours);
    rest.sum_and_gradient(p, one, of_rest);
    for (std::size_t i = 0; i < ours.size(); ++i) ours[i] += of_rest[i];
  };
  std::vector<Contestant> all{
      {"ours", run, &ours}, {"tape", [&] { gradient_by_tape(f, p, tape); }, &tape}, {"hand", [&] { f.by_hand(p, hand); }, &hand}};
  std::vector<double> by_compiled(p.size());
  const CompiledProgram compiled = compile(point);
  all.push_back({"compiled",
                 [&] {
                   compiled.sum_and_gradient(p, columns, by_compiled);
                   rest.sum_and_gradient(p, one, of_rest);
                   for (std::size_t i = 0; i < ours.size(); ++i) by_compiled[i] += of_rest[i];
                 },
                 &by_compiled});
#ifdef WENGERT_WITH_ADOLC
  std::vector<double> by_adolc(p.size());
  all.push_back({"adolc", [&] { adolc().gmm(p, by_adolc); }, &by_adolc});
#endif
  benchmark.compare(name, all);
  const auto by_lanes = [&](std::size_t lanes) { point.sum_and_gradient(p, first_lanes(data, lanes), ours); };
  benchmark.print_lanes(name, "tape", by_lanes, [&](std::size_t lanes) {
    const auto part = [&](std::span<const Scalar> v) {
      Scalar sum = 0.0;
      for (std::size_t i = 0; i < lanes; ++i) sum += MixturePoint()(v, std::span(f.points).subspan(i * G::kDims, G::kDims));
      return sum;
    };
    gradient_by_tape(part, p, tape);
  });
}

void heston(Benchmark& benchmark) {
  const std::string name = "program/heston";
  if (!benchmark.wants(name)) return;
  using H = HestonPath;
  const std::vector<double> p = H::start(), numbers = H::numbers();
  const Lines data = by_columns(numbers, H::kData);
  std::vector<double> example = p;
  example.insert(example.end(), numbers.begin(), numbers.begin() + H::kData);
  const auto path = [](const auto& parameters, const auto& z) { return H::payoff(parameters, [&](std::size_t i) { return z[i]; }); };
  const Program program = record(path, {.parameters = H::kParameters, .data = H::kData}, example);
  const Columns columns = first_lanes(data, H::kPaths);
  std::vector<double> ours(p.size()), tape(p.size()), hand(p.size());
  const auto by_tape = [&](std::size_t paths) {
    const auto sum_of_paths = [&](std::span<const Scalar> parameters) {
      Scalar sum = 0.0;
      for (std::size_t k = 0; k < paths; ++k) sum += H::payoff(parameters, [&](std::size_t i) { return numbers[k * H::kData + i]; });
      return sum;
    };
    gradient_by_tape(sum_of_paths, p, tape);
  };
  const auto by_hand = [&](std::size_t paths) {
    std::fill(hand.begin(), hand.end(), 0.0);
    for (std::size_t k = 0; k < paths; ++k) H::by_hand(p, &numbers[k * H::kData], 1, hand);
  };
  std::vector<double> by_compiled(p.size());
  const CompiledProgram compiled = compile(program);
  benchmark.compare(name, {{"ours", [&] { program.sum_and_gradient(p, columns, ours); }, &ours},
                           {"tape", [&] { by_tape(H::kPaths); }, &tape},
                           {"hand", [&] { by_hand(H::kPaths); }, &hand},
                           {"compiled", [&] { compiled.sum_and_gradient(p, columns, by_compiled); }, &by_compiled}});
  benchmark.print_lanes(
      name, "tape", [&](std::size_t lanes) { program.sum_and_gradient(p, first_lanes(data, lanes), ours); }, by_tape);
}

void bundle(Benchmark& benchmark) {
  const std::string name = "program/bundle";
  if (!benchmark.wants(name)) return;
  using B = BundleObservation;
  const Lines data = B::columns();
  std::vector<double> example;
  for (const std::vector<double>& column : data) example.push_back(column[0]);
  const Program errors = record([](auto d) { return B()(d); }, {.data = B::kInputs}, example), blocks = jacobian(errors, Wrt::data);
  constexpr std::size_t kElements = 2 * B::kVariables * B::kObservations;
  const Columns columns = first_lanes(data, B::kObservations);
  std::vector<double> jacobian(2 * B::kInputs * B::kObservations), values(2 * B::kObservations), tape(kElements), loop(values.size());
  const auto by_tape = [&](std::size_t observations) {
    std::array<double, B::kInputs> x, row;
    std::vector<Scalar> inputs(B::kInputs);
    for (std::size_t k = 0; k < observations; ++k) {
      for (std::size_t i = 0; i < B::kInputs; ++i) x[i] = data[i][k];
      Tape tape_of_one;
      tape_of_one.variables(x, inputs);
      const std::array<Scalar, 2> y = B()(inputs);
      for (std::size_t j = 0; j < 2; ++j) {
        tape_of_one.gradient(y[j], inputs, row, {.retain = j == 0, .unreached = Unreached::zero});
        std::copy_n(row.begin(), B::kVariables, &tape[(2 * k + j) * B::kVariables]);
      }
    }
  };
  // Ours as the others', for the comparison.
  std::vector<double> ours(kElements);
  by_tape(B::kObservations);
  std::vector<Contestant> all{{"ours", [&] { blocks.values({}, columns, jacobian); }, &ours},
                              {"tape", [&] { by_tape(B::kObservations); }, &tape},
                              {"residuals",
                               [&] {
                                 std::array<double, B::kInputs> x;
                                 for (std::size_t k = 0; k < B::kObservations; ++k) {
                                   for (std::size_t i = 0; i < B::kInputs; ++i) x[i] = data[i][k];
                                   const std::array<double, 2> y = B()(x);
                                   loop[2 * k] = y[0];
                                   loop[2 * k + 1] = y[1];
                                 }
                               },
                               nullptr}};
  std::vector<double> by_compiled(jacobian.size());
  const CompiledProgram compiled = compile(blocks, {.gradient = false});
  all.push_back({"compiled", [&] { compiled.values({}, columns, by_compiled); }, nullptr});
#ifdef WENGERT_WITH_ADOLC
  std::vector<double> by_adolc(kElements);
  all.push_back({"adolc", [&] { adolc().bundle(data, by_adolc); }, &by_adolc});
#endif
  all[0].run();
  for (std::size_t k = 0; k < B::kObservations; ++k)
    for (std::size_t j = 0; j < 2; ++j)
      for (std::size_t i = 0; i < B::kVariables; ++i)
        ours[(2 * k + j) * B::kVariables + i] = jacobian[(j * B::kInputs + i) * B::kObservations + k];
  benchmark.compare(name, all);
  benchmark.print_lanes(
      name, "tape",
      [&](std::size_t lanes) { blocks.values({}, first_lanes(data, lanes), std::span(jacobian).first(2 * B::kInputs * lanes)); }, by_tape);
}

// The sparse Hessian of a chained Rosenbrock; how many gradients it costs.
void sparse_hessian_of_a_chain(Benchmark& benchmark) {
  const std::string name = "program/hessian";
  if (!benchmark.wants(name)) return;
  const Rosenbrock f;
  const std::vector<double> x = f.start();
  const Program program = record([&](auto v) { return f(v); }, {.parameters = static_cast<int>(f.n)}, x);
  const SparseProgram h = sparse_hessian(program);
  const Program gradient = wengert::gradient(program);
  const Columns one = Columns::without_data(1);
  std::vector<double> elements(h.pattern.columns.size()), of_program(x.size()), of_tape(x.size()), hand(x.size());
  benchmark.compare(name, {{"ours", [&] { h.elements.values(x, one, elements); }, &elements},
                           {"gradient", [&] { gradient.values(x, one, of_program); }, nullptr},
                           {"tape", [&] { gradient_by_tape(f, x, of_tape); }, nullptr},
                           {"hand", [&] { f.by_hand(x, hand); }, nullptr}});
  fmt::print("{}: {} elements of {} x {} along {} directions; the peers compute the gradient alone\n", name, elements.size(), f.n, f.n,
             h.colours);
}

void tiny_ops(Benchmark& benchmark) {
  const std::string name = "program/tiny_ops";
  if (!benchmark.wants(name)) return;
  const TinyOpsWork work;
  constexpr std::size_t kSize = TinyOpsWork::kSize;
  const Program program = record(TinyChain{TinyOpsWork::kRounds}, {.data = 2}, {work.a[0], work.c[0]});
  const BasicColumns<float> columns{work.a, work.c};
  const std::vector<float> ones(kSize, 1.f);
  std::vector<float> gradient(2 * kSize), values(kSize);
  std::vector<double> ours(1), tape(1);
  const Tensor start = Tensor::from(work.a), c = Tensor::from(work.c);
  benchmark.compare(name, {{"ours",
                            [&] {
                              program.values({}, columns, values);
                              program.vjp({}, columns, ones, gradient, {});
                              ours[0] = 0;
                              for (std::size_t i = 0; i < kSize; ++i) ours[0] += gradient[i];
                            },
                            &ours},
                           {"tensors",
                            [&] {
                              Tape recording;
                              const Tensor a = recording.variable(start);
                              Tensor h = a;
                              for (int i = 0; i < TinyOpsWork::kRounds; ++i) h = h * c + a;
                              tape[0] = sum(recording.gradient(sum(h), a)).item();
                            },
                            nullptr}});
}

// ---- elementwise operations -------------------------------------------------------------------------------------------------------

// The value and the derivative by the first operand.
template <class F> Run value_and_gradient_of(const F& f, const Tensor& x, const Tensor& other) {
  return [=] {
    Tape tape;
    const Tensor v = tape.variable(x), y = f(v, other);
    tape.gradient(y, wrt(v), {.seed = other});
  };
}
void elementwise_operations(Benchmark& benchmark) {
  constexpr Index kElements = 1'000'000;
  for (const Dtype dtype : {float32, float64}) {
    const std::vector<double> numbers = normal_numbers(kElements, 41), others = normal_numbers(kElements, 42);
    const Tensor x = Tensor::from(numbers).to(dtype), other = Tensor::from(others).to(dtype);
    const auto compare = [&](const std::string& function, const auto& fused, const auto& of_tensors, const auto& built_in) {
      const std::string name = fmt::format("program/{}_{}", function, to_string(dtype));
      if (!benchmark.wants(name)) return;
      std::vector<double> none;
      std::vector<Contestant> all{{"ours", value_and_gradient_of(fused, x, other), &none},
                                  {"tensors", value_and_gradient_of(of_tensors, x, other), nullptr}};
      if constexpr (!std::is_null_pointer_v<std::remove_cvref_t<decltype(built_in)>>)
        all.push_back({"built-in", value_and_gradient_of(built_in, x, other), nullptr});
      benchmark.compare(name, all);
    };
    const auto swish = elementwise([](auto v) { return v * sigmoid(v); });
    compare(
        "swish", [&](const Tensor& v, const Tensor&) { return swish(v); }, [](const Tensor& v, const Tensor&) { return v * sigmoid(v); },
        [](const Tensor& v, const Tensor&) { return silu(v); });
    const auto gelu_formula = [](const auto& v) { return 0.5 * v * (1 + tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))); };
    const auto gelu = elementwise(gelu_formula);
    compare(
        "gelu", [&](const Tensor& v, const Tensor&) { return gelu(v); },
        [&](const Tensor& v, const Tensor&) -> Tensor { return gelu_formula(v); },
        [](const Tensor& v, const Tensor&) { return gelu_tanh(v); });
    const auto huber_formula = [](const auto& prediction, const auto& target) {
      const auto d = prediction - target, size = abs(d);
      return where(size <= 1.0, 0.5 * square(d), size - 0.5);
    };
    const auto huber = elementwise(huber_formula);
    compare(
        "huber", [&](const Tensor& v, const Tensor& t) { return huber(v, t); },
        [&](const Tensor& v, const Tensor& t) -> Tensor { return huber_formula(v, t); },
        [](const Tensor& v, const Tensor& t) { return nn::huber(v, t, {.reduction = nn::Reduction::none}); });
  }
}

void run(const Options& options) {
  set_num_threads(1);
  Benchmark benchmark(options);
  logistic_regression(benchmark);
  gaussian_mixture(benchmark);
  heston(benchmark);
  bundle(benchmark);
  sparse_hessian_of_a_chain(benchmark);
  tiny_ops(benchmark);
  elementwise_operations(benchmark);
  benchmark.finish();
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
