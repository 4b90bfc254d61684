// Patterns, colours and sparse derivatives against dense ones.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

// A random program in which each result reads a few of its predecessors, mostly near ones.
class RandomProgram {
 public:
  RandomProgram(unsigned seed, std::size_t inputs, std::size_t outputs) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    for (std::size_t k = 0; k < 3 * inputs; ++k) {
      const std::size_t known = inputs + k;
      steps_.push_back({below(7), below(3) == 0 ? below(known) : below(inputs), known - 1 - below(std::min<std::size_t>(known, 6))});
    }
    for (std::size_t o = 0; o < outputs; ++o) results_.push_back(below(inputs + steps_.size()));
  }
  template <class X> std::vector<std::remove_cvref_t<decltype(std::declval<X>()[0])>> operator()(X x) const {
    using T = std::remove_cvref_t<decltype(x[0])>;
    std::vector<T> v(x.begin(), x.end()), y;
    for (const Step& s : steps_) {
      const T a = v[s.a], b = v[s.b];
      switch (s.kind) {
        case 0:
          v.push_back(a + b);
          break;
        case 1:
          v.push_back(0.5 * a * b);
          break;
        case 2:
          v.push_back(sin(a));
          break;
        case 3:
          v.push_back(a / (2 + square(b)));
          break;
        case 4:
          v.push_back(where(a < b, tanh(a), b));
          break;
        case 5:
          v.push_back(step(a));
          break;
        default:
          v.push_back(a - 3 * b);
      }
    }
    for (std::size_t r : results_) y.push_back(v[r]);
    return y;
  }

 private:
  struct Step {
    std::size_t kind, a, b;
  };
  std::vector<Step> steps_;
  std::vector<std::size_t> results_;
};

std::vector<double> random_numbers(std::size_t n, unsigned seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(-1.5, 1.5);
  std::vector<double> x(n);
  for (double& each : x) each = uniform(random);
  return x;
}

std::vector<double> dense(const SparseProgram& sparse, const std::vector<double>& x) {
  const std::vector<double> elements = sparse.elements.values(std::span<const double>(x));
  std::vector<double> matrix(sparse.pattern.rows() * sparse.pattern.columns_of_matrix);
  for (std::size_t i = 0; i < sparse.pattern.rows(); ++i)
    for (std::size_t k = sparse.pattern.row_begin[i]; k < sparse.pattern.row_begin[i + 1]; ++k)
      matrix[i * sparse.pattern.columns_of_matrix + sparse.pattern.columns[k]] = elements[k];
  return matrix;
}

void check_close(const std::vector<double>& a, const std::vector<double>& b) {
  BOOST_REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]) / std::max(1.0, std::abs(b[i])));
  BOOST_TEST(worst <= 1e-12);
}

const auto rosenbrock = [](auto x) {
  auto y = square(1 - x[0]);
  for (std::size_t i = 0; i + 1 < x.size(); ++i) {
    if (i > 0) y += square(1 - x[i]);
    y += 100 * square(x[i + 1] - square(x[i]));
  }
  return y;
};

// Whether no path of four vertices has two colours alone, by looking at all of them.
bool is_star_colouring(const BitMatrix& pattern, const Colouring& colouring) {
  const auto& colour = colouring.colour_of;
  for (std::uint32_t a = 0; a < pattern.rows(); ++a)
    for (std::uint32_t b : pattern.in_row(a)) {
      if (b == a) continue;
      if (colour[a] == colour[b]) return false;
      for (std::uint32_t c : pattern.in_row(b)) {
        if (c == a || c == b || colour[c] != colour[a]) continue;
        for (std::uint32_t d : pattern.in_row(c))
          if (d != b && d != c && d != a && colour[d] == colour[b]) return false;
      }
    }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_CASE(patterns_and_jacobians_of_random_programs) {
  int in_reverse = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    const std::size_t inputs = 2 + seed % 30, outputs = 1 + (7 * seed) % 40;
    const Program f = record(RandomProgram(seed, inputs, outputs), {.parameters = static_cast<int>(inputs)}, random_numbers(inputs, seed));
    const std::vector<double> x = random_numbers(inputs, seed + 1000);
    const std::vector<double> expected = jacobian(f).values(std::span<const double>(x));
    const BitMatrix pattern = jacobian_sparsity(f);
    BOOST_REQUIRE(pattern.rows() == outputs);
    BOOST_REQUIRE(pattern.columns() == inputs);
    for (std::size_t i = 0; i < outputs; ++i)
      for (std::size_t j = 0; j < inputs; ++j)
        if (!pattern(i, j)) BOOST_TEST(expected[i * inputs + j] == 0);
    const SparseProgram sparse = sparse_jacobian(f);
    BOOST_TEST(sparse.pattern.columns.size() == pattern.count());
    BOOST_TEST(sparse.colours <= std::min(inputs, outputs));
    in_reverse += colour_columns(pattern.transposed()).colours < colour_columns(pattern).colours;
    check_close(dense(sparse, x), expected);
  }
  BOOST_TEST(in_reverse > 5);
}

BOOST_AUTO_TEST_CASE(hessians_of_random_programs) {
  std::size_t zeros = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    const std::size_t inputs = 2 + seed % 25;
    const RandomProgram parts(seed, inputs, 4);
    const auto sum_of_parts = [&](auto x) {
      auto y = parts(x);
      return y[0] + square(y[1]) + y[2] * y[3];
    };
    const Program f = record(sum_of_parts, {.data = static_cast<int>(inputs)}, random_numbers(inputs, seed));
    const std::vector<double> x = random_numbers(inputs, seed + 1000);
    const std::vector<double> expected = hessian(f).values(std::span<const double>(x));
    const BitMatrix pattern = hessian_sparsity(f);
    BOOST_TEST((pattern == pattern.transposed()));
    zeros += inputs * inputs - pattern.count();
    const Colouring colouring = colour_symmetric(pattern);
    BOOST_TEST(is_star_colouring(pattern, colouring));
    const SparseProgram sparse = sparse_hessian(f);
    BOOST_TEST(sparse.colours == colouring.colours);
    check_close(dense(sparse, x), expected);
    const std::vector<double> h = dense(sparse, x);
    for (std::size_t i = 0; i < inputs; ++i)
      for (std::size_t j = 0; j < i; ++j) BOOST_TEST(h[i * inputs + j] == h[j * inputs + i]);
  }
  BOOST_TEST(zeros > 1000u);
}

BOOST_AUTO_TEST_CASE(colours_of_known_matrices) {
  BitMatrix arrow(20, 20), band(20, 20);
  for (std::size_t i = 0; i < 20; ++i) {
    for (std::size_t j : {i, std::size_t{0}}) arrow.set(i, j), arrow.set(j, i);
    band.set(i, i);
    if (i > 0) band.set(i, i - 1), band.set(i - 1, i);
  }
  BOOST_TEST(colour_symmetric(arrow).colours == 2u);  // a star
  BOOST_TEST(colour_columns(arrow).colours == 20u);
  BOOST_TEST(colour_symmetric(band).colours <= 3u);
  BOOST_TEST(colour_columns(band).colours == 3u);
  BOOST_TEST(is_star_colouring(band, colour_symmetric(band)));
  BitMatrix random(60, 60);
  std::mt19937_64 generator(7);
  for (int k = 0; k < 150; ++k) {
    const std::size_t i = generator() % 60, j = generator() % 60;
    random.set(i, j), random.set(j, i);
  }
  BOOST_TEST(is_star_colouring(random, colour_symmetric(random)));
  const Colouring columns = colour_columns(random);
  for (std::size_t i = 0; i < 60; ++i)
    for (std::uint32_t a : random.in_row(i))
      for (std::uint32_t b : random.in_row(i)) BOOST_TEST((a == b || columns.colour_of[a] != columns.colour_of[b]));
}

BOOST_AUTO_TEST_CASE(the_hessian_of_a_chain_takes_three_directions) {
  constexpr std::size_t n = 1000;
  const std::vector<double> x = random_numbers(n, 3);
  const Program f = record(rosenbrock, {.parameters = static_cast<int>(n)}, x);
  const SparseProgram h = sparse_hessian(f);
  BOOST_TEST(h.pattern.columns.size() == 3 * n - 2);
  BOOST_TEST(h.colours <= 3u);
  const std::vector<double> elements = h.elements.values(std::span<const double>(x));
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = h.pattern.row_begin[i]; k < h.pattern.row_begin[i + 1]; ++k) {
      const std::size_t j = h.pattern.columns[k];
      double expected = -400 * x[std::min(i, j)];
      if (i == j) expected = (i + 1 < n ? 2 + 1200 * x[i] * x[i] - 400 * x[i + 1] : 0) + (i > 0 ? 200 : 0);
      BOOST_TEST(std::abs(elements[k] - expected) <= 1e-12 * std::abs(expected) + 1e-9);
    }
}

BOOST_AUTO_TEST_CASE(paths_share_a_pattern) {
  const auto f = [](auto x) {
    if (x[0] > 0) return x[0] * x[1];
    return x[1] * x[2];
  };
  const std::vector<double> positive = {1, 2, 3}, negative = {-1, 2, 3};
  const Program unaware = record(f, {.parameters = 3}, positive);
  const SparseProgram narrow = sparse_hessian(unaware);
  BOOST_TEST(narrow.pattern.columns.size() == 2u);
  BOOST_TEST(contains(message_of<ValueError>([&] { narrow.elements.values(std::span<const double>(negative)); }),
                      "sparse_hessian: a path of the program has element (1, 2)"));
  const Program aware = record(f, {.parameters = 3}, positive);
  aware(negative);
  const SparseProgram wide = sparse_hessian(aware);
  BOOST_TEST(wide.pattern.columns.size() == 4u);
  check_close(dense(wide, negative), hessian(aware).values(std::span<const double>(negative)));
  check_close(dense(wide, positive), hessian(aware).values(std::span<const double>(positive)));
  check_close(dense(sparse_jacobian(aware), negative), jacobian(aware).values(std::span<const double>(negative)));
}

BOOST_AUTO_TEST_CASE(lanes_and_errors) {
  const auto f = [](auto p, auto d) { return std::vector{p[0] * d[0], sin(d[1]) + p[1], exp(d[0])}; };
  const Program program = record(f, {.parameters = 2, .data = 2}, {1, 2, 3, 4});
  const SparseProgram by_data = sparse_jacobian(program, Wrt::data);
  BOOST_TEST(by_data.pattern.columns.size() == 3u);
  BOOST_TEST(by_data.colours == 1u);
  const std::vector<double> parameters = {0.5, 2}, a = {1, 2, 3}, b = {0, 0.5, 1};
  const std::vector<double> lanes = by_data.elements.values(parameters, Columns{a, b});
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(lanes[i] == 0.5);
    BOOST_TEST(lanes[3 + i] == std::cos(b[i]), boost::test_tools::tolerance(1e-15));
    BOOST_TEST(lanes[6 + i] == std::exp(a[i]), boost::test_tools::tolerance(1e-15));
  }
  BOOST_TEST(contains(message_of<ValueError>([&] { sparse_hessian(program); }), "hessian_sparsity: the program has 3 outputs"));
  const BitMatrix bits(2, 3);
  BOOST_TEST(contains(message_of<ValueError>([&] { bits(2, 0); }), "BitMatrix: element (2, 0) of a matrix of 2 rows and 3 columns"));
  BOOST_TEST(contains(message_of<ValueError>([&] { colour_symmetric(bits); }), "not symmetric"));
}
