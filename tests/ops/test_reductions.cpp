#include <autodiff/autodiff.h>
#include <autodiff/tensor/random.h>
#include <autodiff/transforms/gradcheck.h>

#include <boost/test/unit_test.hpp>
#include <limits>
#include <utility>

#include "tests/support/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor vector(std::initializer_list<double> values) { return Tensor::from(values, float64); }

}  // namespace

// ---- sums ------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(sums_of_rows_are_exact_for_any_number_of_columns) {
  for (const Index n : {1, 2, 31, 32, 33, 70}) {
    for (const Index rows : {0, 1, 5}) {
      const Tensor x = reshape(Tensor::arange(0, static_cast<double>(rows * n)), {rows, n});
      Numbers expected;
      for (Index j = 0; j < n; ++j) expected.push_back(static_cast<double>(rows * j + n * rows * (rows - 1) / 2));
      check_numbers(numbers(sum(x, 0)), expected, 0);
      check_numbers(numbers(sum(x.to(int64), 0)), expected, 0);
      check_numbers(numbers(sum(transpose(transpose(x).contiguous()), 0)), expected, 0);
    }
  }
}

// Rows of all lengths, and columns that are few: multiples of 1/64, whose sums are exact in any order.
BOOST_AUTO_TEST_CASE(sums_of_rows_of_any_length_and_of_few_columns) {
  const auto check = [](Index rows, Index columns, Dtype dtype) {
    std::vector<double> x, by_row(static_cast<std::size_t>(rows)), by_column(static_cast<std::size_t>(columns));
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < columns; ++j) {
        const double v = static_cast<double>((i * columns + j) * 7919 % 1009) / (dtype == int64 ? 1 : 64) - 5;
        x.push_back(v);
        by_row[static_cast<std::size_t>(i)] += v;
        by_column[static_cast<std::size_t>(j)] += v;
      }
    const Tensor t = Tensor::from(x, {rows, columns}).to(dtype);
    BOOST_TEST_CONTEXT(rows << " rows of " << columns << " of " << to_string(dtype)) {
      check_numbers(numbers(sum(t, 1)), by_row, 0);
      check_numbers(numbers(sum(t, 0)), by_column, 0);
    }
  };
  const Tensor x = reshape(Tensor::arange(0, 2 * 5000 * 3), {2, 5000, 3});  // two narrow matrices
  for (const Dtype dtype : {float32, float64, int64})
    check_numbers(numbers(sum(x.to(dtype) - 14000, 1)), {-32507500, -32502500, -32497500, 42492500, 42497500, 42502500}, 1e-7);
  for (const Dtype dtype : {float32, float64, int64}) {
    for (Index n = 1; n < 140; ++n) check(3, n, dtype);
    for (const Index n : {149, 160, 191, 255, 257, 1000}) check(2, n, dtype);
    for (Index columns = 1; columns < 10; ++columns)
      for (const Index rows : {2, 50, 77, 1000, 70'001}) check(rows, columns, dtype);
  }
}

// The same sums one dimension after the other.
BOOST_AUTO_TEST_CASE(sums_over_dimensions_that_lie_apart) {
  for (const Shape& shape : {Shape{3, 4, 5, 2}, Shape{2, 3, 1, 2, 4, 2}, Shape{1, 7, 1, 33, 1}, Shape{5, 1, 3, 1, 2, 9}, Shape{2, 0, 3, 4}})
    for (const Dtype dtype : {float32, float64, int64}) {
      const Index size = shape.size();
      const Tensor x = reshape(Tensor::arange(0, static_cast<double>(size)), shape).to(dtype);
      for (Index set = 1; set < Index(1) << shape.rank(); ++set) {
        Dims dims;
        Tensor expected = x;
        double count = 1;
        for (int d = 0; d < shape.rank(); ++d)
          if (set >> d & 1) {
            dims.push_back(d);
            expected = sum(expected, d, {.keepdim = true});
            count *= static_cast<double>(shape[d]);
          }
        BOOST_TEST_CONTEXT(to_string(shape) << ", dimensions " << to_string(dims) << ", " << to_string(dtype)) {
          check_numbers(numbers(sum(x, dims, {.keepdim = true})), numbers(expected), 0);
          BOOST_TEST((sum(x, dims, {.keepdim = true}).shape() == expected.shape()));
          if (dtype != int64 && size > 0) check_numbers(numbers(mean(x, dims)), numbers(expected / count), 1e-6);
        }
      }
    }
  const Tensor x = Generator(3).uniform({2, 3, 2, 4}, -1, 1, float64);
  BOOST_TEST(check_gradient([](const Tensor& v) { return square(sum(v, {0, 2})) + mean(exp(v), {0, 2}); }, {x}).passed());
}

BOOST_AUTO_TEST_CASE(the_sums_of_repeated_uses_add_up) {
  // y = sum over t of w_t (x + b_t), where b_t is b in one of the shapes that broadcast: b_bar = sum over t and rows of w_t.
  const Index rows = 5, n = 33;
  const Tensor x = Tensor::zeros({rows, n});
  std::vector<Tensor> w;
  for (double t = 1; t <= 4; ++t) w.push_back(t * reshape(Tensor::arange(0, static_cast<double>(rows * n)), {rows, n}));
  Tape tape;
  const Tensor b = tape.variable(Tensor::zeros({n}));
  const Tensor row = reshape(b, {1, n});
  Tensor y = Tensor::zeros({rows, n});
  for (const Tensor& w_t : w) y = y + w_t * (x + b) + w_t * (x + row);
  const Tensor b_bar = tape.gradient(sum(y), b);
  Numbers expected;
  for (Index j = 0; j < n; ++j) expected.push_back(static_cast<double>(2 * (1 + 2 + 3 + 4) * (rows * j + n * rows * (rows - 1) / 2)));
  check_numbers(numbers(b_bar), expected, 0);
}

BOOST_AUTO_TEST_CASE(gradients_of_factors_that_are_broadcast) {
  // The gradient of sum(m x w) with respect to w is the sum of m x over what broadcasting w repeats. Sums of eighths are exact.
  Generator random(5);
  const auto eighths = [&](const Shape& shape) { return round(random.uniform(shape, -8, 8)) / 8; };
  const std::pair<Shape, Shape> shapes[] = {{{7, 300}, {300}},          // rows, more than are summed at once
                                            {{9, 2, 5}, {1, 2, 5}},     // rows of several dimensions
                                            {{7, 5}, {7, 1}},           // columns
                                            {{3, 4, 5, 6}, {4, 1, 1}},  // channels
                                            {{3, 4, 5}, {3, 1, 5}},     // no neighbours
                                            {{3, 4}, {}},               // one number
                                            {{3, 1, 4}, {1, 1, 4}},     // a size of 1 that is not repeated
                                            {{0, 4}, {4}},              // nothing
                                            {{200000}, {1}}};           // many terms
  const auto vector_of = [&](Index count, bool strided) { return strided ? transpose(eighths({count, 2}))[0] : eighths({count}); };
  for (const auto& [full, part] : shapes)
    for (const bool strided : {false, true})
      for (const bool left : {false, true}) {
        const Tensor x = reshape(vector_of(full.size(), strided), full), m = reshape(vector_of(full.size(), strided), full);
        const Tensor v = eighths(part);
        const Tensor seen = strided && full.rank() == 2 ? transpose(transpose(x).contiguous()) : x;
        Tape tape;
        const Tensor w = tape.variable(v);
        const Tensor w_bar = tape.gradient(sum(m * (left ? w * seen : seen * w)), w);
        BOOST_TEST((w_bar.shape() == part));
        check_numbers(numbers(w_bar), numbers(sum_to(m * x, part)), 0);
      }
}

// ---- products --------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_product_with_zeros_has_exact_derivatives) {
  const auto f = [](const Tensor& x) { return prod(x); };
  check_numbers(gradient_of(f, vector({0, 2, 3})), {6, 0, 0}, 0);
  check_numbers(gradient_of(f, vector({0, 0, 3})), {0, 0, 0}, 0);
  check_numbers(gradient_of(f, vector({0})), {1}, 0);
  check_numbers(hessian_times(f, vector({0, 2, 3}), vector({0, 1, 0})), {3, 0, 0}, 0);
  check_numbers(hessian_times(f, vector({0, 0, 3}), vector({1, 0, 0})), {0, 3, 0}, 0);
}

BOOST_AUTO_TEST_CASE(products_over_dimensions_and_dtypes) {
  const Tensor x = Tensor::arange(1, 13, 1, float64), y = reshape(x, {2, 3, 2});
  check_numbers(numbers(prod(y, {0, 2})), {1. * 2 * 7 * 8, 3. * 4 * 9 * 10, 5. * 6 * 11 * 12}, 0);
  BOOST_TEST((prod(y, {0, 2}, {.keepdim = true}).shape() == Shape{1, 3, 1}));
  BOOST_TEST(prod(x.to(int64)).item() == 479001600);
  BOOST_TEST(prod(Tensor::from({1, 1, 0}, boolean)).item() == 0);
  BOOST_TEST(prod(Tensor::full({}, 3)).item() == 3);
  BOOST_TEST(prod(vector({1e200, 1e-200, 1e200, 1e-200})).item() == 1, boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(a_running_product_with_a_zero_has_exact_derivatives) {
  const auto f = [](const Tensor& x) { return cumprod(x, 0); };
  check_numbers(numbers(f(vector({2, 0, 3}))), {2, 0, 0}, 0);
  check_numbers(gradient_of(f, vector({2, 0, 3})), {1, 8, 0}, 0);
  check_numbers(hessian_times(f, vector({2, 0, 3}), vector({0, 1, 0})), {4, 0, 2}, 0);
}

BOOST_AUTO_TEST_CASE(running_reductions_of_every_length) {
  for (int n = 0; n <= 17; ++n) {
    Numbers x, sums, products, logarithms;
    double total = 0, product = 1, exponentials = 0;
    for (int i = 0; i < n; ++i) {
      x.push_back(0.5 + 0.125 * ((i * 5) % 7));
      sums.push_back(total += x.back());
      products.push_back(product *= x.back());
      logarithms.push_back(std::log(exponentials += std::exp(x.back())));
    }
    const Tensor t = Tensor::from(x);
    check_numbers(numbers(cumsum(t, 0)), sums, 0);
    check_numbers(numbers(cumprod(t, 0)), products);
    check_numbers(numbers(logcumsumexp(t, 0)), logarithms);
    check_numbers(numbers(cumprod(unsqueeze(t, 1), 0)), products);
  }
  check_numbers(numbers(cumsum(Tensor::from({1, 0, 1}, boolean), 0)), {1, 1, 2});
  check_numbers(numbers(logcumsumexp(vector({-1e4, 1e4, 1e4}), 0)), {-1e4, 1e4, 1e4 + std::log(2)});
}

// ---- logcumsumexp ----------------------------------------------------------------------------------------------------------------

namespace {

// The largest error in units in the last place of T. Where a number cancels, in those of `size`.
template <class T> double worst_error(const std::vector<T>& found, const std::vector<long double>& exact, const std::vector<double>& size) {
  BOOST_REQUIRE_EQUAL(found.size(), exact.size());
  double worst = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (static_cast<long double>(found[i]) == exact[i]) continue;
    const T magnitude = std::max(static_cast<T>(size[i]), std::numeric_limits<T>::min());
    const long double unit = std::nextafter(magnitude, std::numeric_limits<T>::infinity()) - magnitude;
    worst = std::max(worst, static_cast<double>(std::abs(static_cast<long double>(found[i]) - exact[i]) / unit));
  }
  return worst;
}

// y_i = m + ln(1 + the others' e^(x_j - m)), and sum_i w_i e^(x_j - y_i): what is added to 1 may be below its last digit.
template <class T> void check_running_logsumexp(const std::string& name, const std::vector<T>& x) {
  const std::size_t n = x.size();
  std::vector<T> w(n);
  for (std::size_t i = 0; i < n; ++i) w[i] = static_cast<T>(0.5 + 0.125 * static_cast<double>(i * 5 % 7));
  std::vector<long double> y(n), x_bar(n);
  std::vector<double> size(n), x_bar_size(n);
  std::size_t top = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (x[i] > x[top]) top = i;
    const auto m = static_cast<long double>(x[top]);
    long double others = 0;
    for (std::size_t j = 0; j <= i; ++j)
      if (j != top) others += std::exp(x[j] - m);
    y[i] = std::isinf(m) ? m : m + std::log1p(others);
    size[i] = static_cast<double>(std::max(std::abs(y[i]), std::abs(m)));
    for (std::size_t j = 0; j <= i && std::isfinite(m); ++j) x_bar[j] += w[i] * std::exp(x[j] - m) / (1 + others);
  }
  for (std::size_t i = 0; i < n; ++i) x_bar_size[i] = static_cast<double>(x_bar[i]);
  const Tensor weights = Tensor::from(w);
  const auto f = [&](const Tensor& t) { return sum(weights * logcumsumexp(t, 0)); };
  const double limit = sizeof(T) == 4 ? 0.51 : 4;
  const double of_value = worst_error(logcumsumexp(Tensor::from(x), 0).template to_vector<T>(), y, size);
  const double of_gradient = worst_error(gradient(f, Tensor::from(x)).template to_vector<T>(), x_bar, x_bar_size);
  BOOST_CHECK_MESSAGE(of_value <= limit, name << ": an error of " << of_value << " ULP");
  BOOST_CHECK_MESSAGE(of_gradient <= limit, name << ": an error of " << of_gradient << " ULP in the gradient");
}

template <class T> void check_running_logsumexps() {
  Generator g(3);
  const auto list = [](Index n, auto&& element) {
    std::vector<T> x;
    for (Index i = 0; i < n; ++i) x.push_back(static_cast<T>(element(static_cast<double>(i))));
    return x;
  };
  const double inf = std::numeric_limits<double>::infinity();
  for (const Index n : {1, 2, 3, 100, 400}) {
    const Tensor normal = g.normal({n}, 0, 1, float64);
    const auto random = [&](double i) { return normal.element(static_cast<Index>(i)); };
    check_running_logsumexp<T>("random", list(n, random));
    check_running_logsumexp<T>("spread", list(n, [&](double i) { return 20 * random(i); }));
    check_running_logsumexp<T>("large", list(n, [&](double i) { return 1e4 + random(i); }));
    check_running_logsumexp<T>("negative", list(n, [&](double i) { return -1e4 + random(i); }));
    check_running_logsumexp<T>("equal", list(n, [&](double) { return 1; }));
    check_running_logsumexp<T>("logarithms of probabilities", list(n, [&](double) { return -std::log(static_cast<double>(n)); }));
    check_running_logsumexp<T>("rising", list(n, [&](double i) { return 0.01 * i; }));
    check_running_logsumexp<T>("rising fast", list(n, [&](double i) { return 1.5 * i; }));
    check_running_logsumexp<T>("falling", list(n, [&](double i) { return -0.01 * i; }));
    check_running_logsumexp<T>("small additions", list(n, [&](double i) { return i == 0 ? 0 : -20 - 0.01 * i; }));
    check_running_logsumexp<T>("-inf first", list(n, [&](double i) { return 2 * i < static_cast<double>(n) ? -inf : random(i); }));
    check_running_logsumexp<T>("-inf between", list(n, [&](double i) { return static_cast<Index>(i) % 3 > 0 ? -inf : random(i); }));
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(logcumsumexp_keeps_its_digits) {
  check_running_logsumexps<double>();
  check_running_logsumexps<float>();
}

BOOST_AUTO_TEST_CASE(logcumsumexp_with_infinities_and_nan) {
  const auto f = [](const Tensor& x) { return logcumsumexp(x, 0); };
  const double p = 1 / (1 + std::exp(-1.0));
  const Tensor masked = vector({-kInfinity, -kInfinity, 0, -kInfinity, 1});
  check_numbers(numbers(f(masked)), {-kInfinity, -kInfinity, 0, 0, 1 - std::log(p)});
  check_numbers(gradient_of(f, masked), {0, 0, 2 + (1 - p), 0, p});
  check_numbers(hessian_times(f, masked, vector({1, 1, 1, 1, 0})), {0, 0, p * (1 - p), 0, -p * (1 - p)});
  check_numbers(numbers(f(vector({-kInfinity, -kInfinity}))), {-kInfinity, -kInfinity});
  check_numbers(gradient_of(f, vector({-kInfinity, -kInfinity})), {0, 0});

  const Tensor infinite = vector({0, kInfinity, 1, kInfinity});
  check_numbers(numbers(f(infinite)), {0, kInfinity, kInfinity, kInfinity});
  check_numbers(gradient_of(f, infinite), {1, 2.5, 0, 0.5});

  check_numbers(numbers(f(vector({0, kNaN, 1}))), {0, kNaN, kNaN});
  const Numbers slopes = gradient_of(f, vector({-kInfinity, 0, kNaN, 1}));
  BOOST_TEST(slopes[0] == 0);
  BOOST_TEST((std::isnan(slopes[1]) && std::isnan(slopes[2]) && std::isnan(slopes[3])));
}

BOOST_AUTO_TEST_CASE(logcumsumexp_to_third_order) {
  // Along any dimension, of any layout.
  const Tensor x = 2 * sin(reshape(Tensor::arange(0, 24, 1, float64), {2, 3, 4}));
  for (const Index dim : {0, 1, 2, -1}) {
    const auto f = [&](const Tensor& t) { return logcumsumexp(transpose(t, 0, 1), dim); };
    const auto second = [&](const Tensor& t) { return gradient([&](const Tensor& at) { return sum(square(f(at))); }, t); };
    for (const auto& result : {check_gradient(f, {x}), check_gradient(second, {x})})
      BOOST_CHECK_MESSAGE(result.passed(), result.to_string());
    const Tensor v = cos(x), by_reverse = hvp([&](const Tensor&t) { return sum(sin(second(t))); }, x, v);
    const double step = 1e-4;
    const auto slope = [&](double h) { return gradient([&](const Tensor& t) { return sum(sin(second(t))); }, x + h * v); };
    check_numbers(numbers(by_reverse), numbers((slope(step) - slope(-step)) / (2 * step)), 1e-5);
  }
}

// ---- logsumexp -------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(logsumexp_of_large_and_infinite_numbers) {
  const auto f = [](const Tensor& x) { return logsumexp(x); };
  const double p = 1 / (1 + std::exp(-1.0));
  BOOST_TEST(f(vector({1e4, -1e4, 9999})).item() == 10000.313261687518, boost::test_tools::tolerance(1e-15));
  check_numbers(gradient_of(f, vector({1e4, -1e4, 9999})), {p, 0, 1 - p});
  BOOST_TEST(f(vector({1000, 1000})).item() == 1000.6931471805599, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(f(vector({-kInfinity, 0, 1})).item() == 1.3132616875182228, boost::test_tools::tolerance(1e-15));
  check_numbers(gradient_of(f, vector({-kInfinity, 0, 1})), {0, 1 - p, p});
  check_numbers(hessian_times(f, vector({-kInfinity, 0, 1}), vector({1, 1, 0})), {0, p * (1 - p), -p * (1 - p)});
}

BOOST_AUTO_TEST_CASE(logsumexp_where_all_are_minus_infinity) {
  const auto f = [](const Tensor& x) { return logsumexp(x); };
  check_numbers(numbers(f(vector({-kInfinity, -kInfinity}))), {-kInfinity});
  check_numbers(gradient_of(f, vector({-kInfinity, -kInfinity})), {0, 0});
  const auto rows = [](const Tensor& x) { return logsumexp(x, 1); };
  check_numbers(gradient_of(rows, Tensor::from({{-kInfinity, -kInfinity}, {0, 0}}, float64)), {0, 0, 0.5, 0.5});
}

BOOST_AUTO_TEST_CASE(logsumexp_with_plus_infinity_and_nan) {
  const auto f = [](const Tensor& x) { return logsumexp(x); };
  check_numbers(numbers(f(vector({kInfinity, 0}))), {kInfinity});
  check_numbers(gradient_of(f, vector({kInfinity, 0})), {1, 0});
  check_numbers(numbers(f(vector({kNaN, 0}))), {kNaN});
  BOOST_TEST(std::isnan(gradient_of(f, vector({0, kNaN}))[0]));
}

// ---- statistics ------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_constant_vector_deviates_by_0_with_gradient_0) {
  const auto f = [](const Tensor& x) { return stddev(x); };
  BOOST_TEST(f(vector({2, 2, 2})).item() == 0);
  check_numbers(gradient_of(f, vector({2, 2, 2})), {0, 0, 0}, 0);
}

BOOST_AUTO_TEST_CASE(the_variance_of_one_number) {
  check_numbers(numbers(var(vector({5}))), {kNaN});
  check_numbers(gradient_of([](const Tensor& x) { return var(x); }, vector({5})), {kNaN});
  check_numbers(numbers(var(vector({5}), 0, {.correction = 0})), {0});
  check_numbers(gradient_of([](const Tensor& x) { return var(x, 0, {.correction = 0}); }, vector({5})), {0});
}

BOOST_AUTO_TEST_CASE(a_large_offset_costs_the_variance_no_digits) {
  const Tensor x = vector({1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4});
  BOOST_TEST(var(x).item() == 5.0 / 3, boost::test_tools::tolerance(1e-15));
  check_numbers(gradient_of([](const Tensor& x) { return var(x); }, x), {-1, -1.0 / 3, 1.0 / 3, 1});
}

// ---- norms -----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_zero_vector_has_norm_0_with_gradient_0) {
  for (const double p : {1.0, 2.0, 3.0, kInfinity}) {
    const auto f = [p](const Tensor& x) { return norm(x, p); };
    BOOST_TEST(f(vector({0, 0, 0})).item() == 0);
    check_numbers(gradient_of(f, vector({0, 0, 0})), {0, 0, 0}, 0);
  }
  check_numbers(gradient_of([](const Tensor& x) { return norm(x, kInfinity); }, vector({-2, 2, 1})), {-0.5, 0.5, 0}, 0);
}

BOOST_AUTO_TEST_CASE(norms_neither_overflow_nor_vanish) {
  const auto f = [](const Tensor& x) { return norm(x); };
  BOOST_TEST(f(vector({3e200, 4e200})).item() == 5e200, boost::test_tools::tolerance(1e-15));
  check_numbers(gradient_of(f, vector({3e200, 4e200})), {0.6, 0.8}, 1e-15);
  BOOST_TEST(f(vector({1e-200, 1e-200})).item() == 1.414213562373095e-200, boost::test_tools::tolerance(1e-15));
  check_numbers(gradient_of(f, vector({1e-200, 1e-200})), {std::sqrt(0.5), std::sqrt(0.5)}, 1e-15);
  BOOST_TEST(norm(vector({1e200, 1e200}), 3).item() == std::cbrt(2.0) * 1e200, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(norm(Tensor::from({3e30, 4e30})).item() == 5e30, boost::test_tools::tolerance(1e-6));
  BOOST_TEST(f(vector({5e-324, 0})).item() == 5e-324);
  BOOST_TEST(f(vector({kInfinity, 1})).item() == kInfinity);
  check_numbers(numbers(f(vector({kNaN, 1}))), {kNaN});
}

BOOST_AUTO_TEST_CASE(norms_of_vectors_with_infinite_elements) {
  const Tensor one = vector({1, -kInfinity, 2}), two = vector({kInfinity, 3, -kInfinity}), v = vector({1, 1, 1});
  for (const double p : {2.0, 3.0}) {
    const auto f = [p](const Tensor& x) { return norm(x, p); };
    const double share = std::pow(2.0, 1 / p - 1);
    check_numbers(numbers(f(one)), {kInfinity});
    check_numbers(gradient_of(f, one), {0, -1, 0});
    check_numbers(gradient_of(f, two), {share, 0, -share}, 1e-14);
    check_numbers(numbers(jvp(f, one, v)), {-1});
    check_numbers(hessian_times(f, one, v), {0, 0, 0});
    const auto rows = [p](const Tensor& x) { return norm(x, p, {1}); };
    const Tensor mixed = Tensor::from({{kInfinity, 5}, {0, -2}, {0, 0}}, float64);
    check_numbers(numbers(rows(mixed)), {kInfinity, 2, 0}, 1e-14);
    check_numbers(gradient_of(rows, mixed), {1, 0, 0, -1, 0, 0}, 1e-14);
  }
}

BOOST_AUTO_TEST_CASE(dividing_by_a_norm_of_0_is_not_a_number) {
  const auto f = [](const Tensor& x) { return x / norm(x); };
  check_numbers(numbers(f(vector({0, 0}))), {kNaN, kNaN});
  check_numbers(gradient_of(f, vector({0, 0})), {kNaN, kNaN});
}

// ---- extremes --------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(ties_share_the_gradient_or_the_first_takes_it) {
  const Tensor x = vector({1, 3, 3, 3});
  check_numbers(gradient_of([](const Tensor& x) { return max(x); }, x), {0, 1.0 / 3, 1.0 / 3, 1.0 / 3});
  check_numbers(gradient_of([](const Tensor& x) { return min(-x); }, x), {0, -1.0 / 3, -1.0 / 3, -1.0 / 3});
  const auto [value, index] = max_dim(x, 0);
  BOOST_TEST(value.item() == 3);
  BOOST_TEST(index.item() == 1);
  check_numbers(gradient_of([](const Tensor& x) { return max_dim(x, 0).values; }, x), {0, 1, 0, 0}, 0);
  check_numbers(gradient_of([](const Tensor& x) { return min_dim(-x, 0).values; }, x), {0, -1, 0, 0}, 0);
}

BOOST_AUTO_TEST_CASE(positions_of_extremes) {
  const Tensor x = Tensor::from({{3, 1, 1}, {3, 0, 7}}, float64);
  BOOST_TEST(argmax(x).item() == 5);
  BOOST_TEST(argmin(x).item() == 4);
  check_numbers(numbers(argmax(x, 0)), {0, 0, 1});
  check_numbers(numbers(argmin(x, 1)), {1, 1});
  BOOST_TEST(argmax(vector({1, kNaN, 5, kNaN})).item() == 1);
  BOOST_TEST(argmin(vector({1, kNaN, 5})).item() == 1);
  check_numbers(numbers(min(vector({1, kNaN, 5}))), {kNaN});
  BOOST_TEST((max_dim(x, 1, {.keepdim = true}).indices.shape() == Shape{2, 1}));
  BOOST_TEST((max_dim(x, 1).values.shape() == Shape{2}));
}

// ---- nothing to reduce -----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(reductions_of_empty_tensors) {
  const Tensor x = Tensor::zeros({0, 3}, float64);
  check_numbers(numbers(sum(x)), {0});
  check_numbers(numbers(prod(x)), {1});
  check_numbers(numbers(mean(x)), {kNaN});
  check_numbers(numbers(logsumexp(x)), {-kInfinity});
  check_numbers(numbers(norm(x)), {0});
  check_numbers(numbers(norm(x, kInfinity)), {0});
  check_numbers(numbers(prod(x, 0)), {1, 1, 1});
  check_numbers(numbers(logsumexp(x, 0)), {-kInfinity, -kInfinity, -kInfinity});
  BOOST_TEST((prod(x, 1).shape() == Shape{0}));
  Tape tape;
  const Tensor v = tape.variable(x);
  const Tensor total = sum(v) + prod(v) + mean(v) + logsumexp(v) + norm(v) + var(v) + stddev(v);
  BOOST_TEST((tape.gradient(total, v).shape() == Shape{0, 3}));
}

BOOST_AUTO_TEST_CASE(an_extreme_over_nothing_is_an_error_that_names_the_dimension) {
  const Tensor x = Tensor::zeros({0, 3});
  BOOST_TEST(
      contains(message_of<ShapeError>([&] { max(x, 0); }), "max: there is no largest element along a dimension of size 0 of (0, 3)"));
  BOOST_TEST(
      contains(message_of<ShapeError>([&] { min(x, 0); }), "min: there is no smallest element along a dimension of size 0 of (0, 3)"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { argmin(x, 0); }), "argmin: there is no smallest element"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { max_dim(x, 0); }), "max_dim: there is no largest element"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { argmax(x); }), "argmax: (0, 3) float32 made at test_reductions.cpp"));
  BOOST_TEST((max(x, 1).shape() == Shape{0}));
  BOOST_TEST((max_dim(x, 1).values.shape() == Shape{0}));
}

// ---- errors ----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(wrong_dimensions_and_dtypes_are_explained) {
  const Tensor x = Tensor::zeros({2, 3}), whole = Tensor::zeros({2, 3}, int64);
  const auto shape_error = [](auto f) { return message_of<ShapeError>(f); };
  const auto dtype_error = [](auto f) { return message_of<DtypeError>(f); };
  for (const std::string& message :
       {shape_error([&] { prod(x, 2); }), shape_error([&] { logsumexp(x, 2); }), shape_error([&] { var(x, {2}); }),
        shape_error([&] { stddev(x, {2}); }), shape_error([&] { norm(x, 2, {2}); }), shape_error([&] { min(x, 2); }),
        shape_error([&] { argmin(x, 2); }), shape_error([&] { min_dim(x, 2); }), shape_error([&] { cumsum(x, 2); }),
        shape_error([&] { cumprod(x, 2); }), shape_error([&] { logcumsumexp(x, 2); })}) {
    BOOST_TEST(contains(message, "dimension 2 is outside [-2, 1]"));
    BOOST_TEST(contains(message, "test_reductions.cpp"));
  }
  BOOST_TEST(contains(shape_error([&] { prod(x, {0, -2}); }), "prod: dimension -2 of (2, 3)"));
  for (const std::string& message :
       {dtype_error([&] { logsumexp(whole); }), dtype_error([&] { var(whole); }), dtype_error([&] { stddev(whole); }),
        dtype_error([&] { norm(whole); }), dtype_error([&] { logcumsumexp(whole, 0); })})
    BOOST_TEST(contains(message, "int64 made at test_reductions.cpp"));
  BOOST_TEST(contains(message_of<Error>([&] { norm(x, 0.5); }), "norm: p must be at least 1 (or infinity), not 0.5: input (2, 3)"));
}

// Ties, NaN and zeros of both signs, in short and long lines along any dimension, dense or not.
BOOST_AUTO_TEST_CASE(positions_are_those_of_the_first_extremes) {
  const auto precedes = [](double a, double b) { return std::isnan(a) ? !std::isnan(b) : a > b; };
  for (const Dtype dtype : {float32, float64, int64})
    for (const Index n : {1, 2, 31, 32, 33, 64, 65, 200, 1000})
      for (const bool transposed : {false, true})
        for (const Index dim : {0, 1}) {
          Tensor x = Generator(static_cast<std::uint64_t>(n)).normal({n, 70}, 0, 3, float64);
          x = where(abs(x) < 0.5, 0.0 * x, round(x));  // zeros of both signs, and ties
          if (is_floating(dtype)) x = where(abs(x) >= 9, std::numeric_limits<double>::quiet_NaN(), x);
          x = x.to(dtype);
          if (transposed) x = transpose(transpose(x).contiguous());
          const Tensor most = argmax(x, dim), least = argmin(x, dim), kept = argmax(x, dim, {.keepdim = true});
          BOOST_TEST((kept.shape() == (dim == 0 ? Shape{1, 70} : Shape{n, 1})));
          const std::vector<double> values = x.to(float64).to_vector<double>();
          Index wrong = 0;
          for (Index line = 0; line < x.size(1 - dim); ++line) {
            const auto element = [&](Index k) { return values[static_cast<std::size_t>(dim == 0 ? k * 70 + line : line * 70 + k)]; };
            Index largest = 0, smallest = 0;
            for (Index k = 1; k < x.size(dim); ++k) {
              if (precedes(element(k), element(largest))) largest = k;
              if (precedes(-element(k), -element(smallest))) smallest = k;
            }
            wrong += most.element(line) != static_cast<double>(largest) || least.element(line) != static_cast<double>(smallest);
          }
          BOOST_TEST(wrong == 0, wrong << " lines of " << n << " x 70 " << to_string(dtype) << " along dimension " << dim);
        }
  const Tensor long_line = Tensor::from(std::vector<double>{1, 5, 2}).to(float32);
  BOOST_TEST(argmax(repeat(long_line, {50000})).item() == 1);
}

BOOST_AUTO_TEST_CASE(results_are_made_where_the_user_called) {
  const Tensor x = vector({1, 2, 3});
  for (const Tensor& y : {prod(x), logsumexp(x), var(x), stddev(x), norm(x), norm(x, 3), cumsum(x, 0), cumprod(x, 0), logcumsumexp(x, 0),
                          min(x), argmin(x), max_dim(x, 0).values})
    BOOST_TEST(to_string(y.made_at()).rfind("test_reductions.cpp:", 0) == 0u, to_string(y.made_at()));
}

// Groups of floats are added before they are converted.
BOOST_AUTO_TEST_CASE(sums_of_many_floats_have_the_digits_of_those_in_double) {
  for (const Shape& shape : {Shape{127, 127}, Shape{128, 129}, Shape{700, 1000}, Shape{40, 5000}, Shape{5000, 40}})
    for (const double low : {0.0, -1.0}) {
      const Tensor x = Generator(3).uniform(shape, low, 1);
      for (const Dims& dims : {Dims{0}, Dims{1}, Dims{0, 1}}) {
        const Tensor in_double = x.to(float64), found = sum(x, dims).to(float64), expected = sum(in_double, dims);
        const Tensor terms = sum(abs(in_double), dims);
        // The result is rounded to a float; groups add a quarter of that at most.
        const double error = max(abs(found - expected) / terms).item();
        BOOST_TEST(error <= 1.25 * 0x1p-24, to_string(shape) << " over " << to_string(dims) << ": " << error);
      }
    }
  const Tensor ones = Tensor::ones({1000, 300});
  BOOST_TEST(sum(ones).item() == 300000);
}

BOOST_AUTO_TEST_CASE(sums_of_floats_whose_groups_overflow) {
  std::vector<float> numbers(512, 3e38f);
  for (std::size_t i = 256; i < 512; ++i) numbers[i] = -3e38f;
  numbers[7] = 2e38f;
  const Tensor row = Tensor::from(numbers), rows = stack({row, row}), columns = transpose(rows);
  const double expected = static_cast<double>(2e38f) - static_cast<double>(3e38f);
  for (const Tensor& s : {sum(row), sum(rows, {1}), sum(columns, {0}), sum(columns.contiguous(), {0})})
    for (const double v : s.to_vector<double>()) BOOST_TEST(v == static_cast<double>(static_cast<float>(expected)));
  BOOST_TEST(mean(rows).item() == static_cast<double>(static_cast<float>(expected / 512)));
  numbers[9] = std::numeric_limits<float>::infinity();
  BOOST_TEST(sum(Tensor::from(numbers)).item() == std::numeric_limits<double>::infinity());
  numbers[300] = std::numeric_limits<float>::quiet_NaN();
  BOOST_TEST(std::isnan(sum(Tensor::from(numbers)).item()));
}

// Outside recording they are two passes, of the same numbers.
BOOST_AUTO_TEST_CASE(variances_have_the_same_bits_whether_they_are_recorded_or_not) {
  for (const Dtype dtype : {float64, float32})
    for (const double size : {1.0, 1e-30, 1e30})
      for (const Dims& dims : {Dims{0}, Dims{1}, Dims{2}, Dims{0, 2}, Dims{1, 2}, Dims{0, 1, 2}}) {
        const Tensor x = Generator(1).uniform({37, 5, 200}, -1, 3, dtype) * size;
        Tape tape;
        const Tensor v = tape.variable(x);
        const Tensor variance = var(x, dims), deviation = stddev(x, dims, {.keepdim = true});
        BOOST_TEST(variance.to_vector<double>() == var(v, dims).to_vector<double>(), boost::test_tools::per_element());
        BOOST_TEST(deviation.to_vector<double>() == stddev(v, dims, {.keepdim = true}).to_vector<double>(),
                   boost::test_tools::per_element());
      }
}

// Rows of a few elements have loops of their own; the columns of the transposed matrix have not.
BOOST_AUTO_TEST_CASE(rows_of_few_elements_are_like_columns) {
  for (const Dtype dtype : {float32, float64})
    for (Index n = 1; n < 12; ++n) {
      Tensor x = round(Generator(4).uniform({50, n}, -2, 2, dtype));  // many ties
      x.set({7, n - 1}, kNaN);
      const Tensor y = transpose(x).contiguous(), seed = Tensor::arange(1, 51).to(dtype);
      const auto gradient_of = [&](const Tensor& of, const auto& f) {
        Tape tape;
        const Tensor v = tape.variable(of);
        return tape.gradient(f(v), wrt(v), {.seed = seed});
      };
      BOOST_TEST_CONTEXT(n << " columns of " << to_string(dtype)) {
        const Tensor rows = gradient_of(x, [](const Tensor& v) { return max(v, 1); });
        const Tensor columns = gradient_of(y, [](const Tensor& v) { return max(v, 0); });
        check_numbers(numbers(rows), numbers(transpose(columns)), 0);
        const Tensor first_in_rows = gradient_of(x, [](const Tensor& v) { return min_dim(v, 1).values; });
        const Tensor first_in_columns = gradient_of(y, [](const Tensor& v) { return min_dim(v, 0).values; });
        check_numbers(numbers(first_in_rows), numbers(transpose(first_in_columns)), 0);
        check_numbers(numbers(argmax(x, 1).to(float64)), numbers(argmax(y, 0).to(float64)), 0);
      }
    }
}
