// Gradients through linear algebra on Eigen's matrices of Scalars, by all elements of a 200 x 200 matrix and a vector, beside the same
// computation on Eigen's matrices of doubles without derivatives.
#include "autodiff/interop/eigen.h"

#include <Eigen/Dense>
#include <vector>

#include "autodiff/autodiff.h"
#include "benchmarks/harness.h"

namespace wengert::benchmark {
namespace {

constexpr Index kSize = 200;
constexpr int kProducts = 20;

using Numbers = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Scalars = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
using ScalarVector = Eigen::Matrix<Scalar, Eigen::Dynamic, 1>;
using Run = std::function<void()>;

struct Inputs {
  Numbers a = Numbers::Random(kSize, kSize) / std::sqrt(kSize) + Numbers::Identity(kSize, kSize);
  Vector b = Vector::Random(kSize);
};

// The gradient of the sum of y = f(A, b) by all elements.
template <class F> void gradient_of(const Inputs& at, const F& f) {
  Tape tape;
  std::vector<Scalar> x(static_cast<std::size_t>(kSize * (kSize + 1)));
  std::vector<double> values(at.a.data(), at.a.data() + kSize * kSize), slopes(x.size());
  values.insert(values.end(), at.b.data(), at.b.data() + kSize);
  tape.variables(values, x);
  const Eigen::Map<const Scalars> a(x.data(), kSize, kSize);
  const Eigen::Map<const ScalarVector> b(x.data() + kSize * kSize, kSize);
  tape.gradient(Scalar(f(a, b)), x, slopes);
}

class Benchmark {
 public:
  explicit Benchmark(const Options& options) : options_(options) {}
  void compare(const std::string& name, const Run& ours, const Run& on_doubles) {
    if (!options_.wants(name)) return;
    const Run runs[] = {ours, on_doubles};
    const std::vector<double> us = medians_in_turns(runs, Time::of_this_thread, options_.quick);
    rows_.push_back({.name = name, .peer = "doubles", .ours_us = us[0], .peer_us = us[1]});
  }
  void finish() const { report(rows_, options_); }

 private:
  const Options& options_;
  std::vector<Row> rows_;
};

void run(const Options& options) {
  set_num_threads(1);
  Benchmark benchmark(options);
  const Inputs at;
  volatile double result = 0;  // so that the doubles are computed

  const Run solve_doubles = [&] { result = at.a.lu().solve(at.b).sum(); };
  benchmark.compare(
      "eigen/solve", [&] { gradient_of(at, [](const auto& a, const auto& b) { return eigen::solve(a, b).sum(); }); }, solve_doubles);
  benchmark.compare(
      "eigen/solve_by_elimination", [&] { gradient_of(at, [](const auto& a, const auto& b) { return a.lu().solve(b).sum(); }); },
      solve_doubles);

  const Run multiply_doubles = [&] {
    Vector x = at.b;
    for (int i = 0; i < kProducts; ++i) x = (at.a * x).eval();
    result = x.sum();
  };
  const auto chain = [](const Tensor& a, Tensor x) {
    for (int i = 0; i < kProducts; ++i) x = matmul(a, x);
    return sum(x);
  };
  benchmark.compare(
      "eigen/products",
      [&] {
        gradient_of(at, [](const auto& a, const auto& b) {
          ScalarVector x = b;
          for (int i = 0; i < kProducts; ++i) x = (a * x).eval();
          return x.sum();
        });
      },
      multiply_doubles);
  benchmark.compare(
      "eigen/products_to_tensor",
      [&] { gradient_of(at, [&](const auto& a, const auto& b) { return chain(eigen::to_tensor(a), eigen::to_tensor(b)); }); },
      multiply_doubles);
  benchmark.compare(
      "eigen/products_of_tensors",
      [&] {
        Tape tape;
        const Tensor a = tape.variable(eigen::borrow(at.a)), b = tape.variable(eigen::borrow(at.b));
        tape.gradient(chain(a, b), wrt(a, b));
      },
      multiply_doubles);
  benchmark.finish();
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
