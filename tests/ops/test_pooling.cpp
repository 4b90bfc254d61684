#include <autodiff/autodiff.h>
#include <autodiff/kernels/pooling.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/support/every_isa.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of, testing::text_of;

namespace {

using kernels::Divisor;
using kernels::Pooling;
using kernels::WindowAxis;
using Numbers = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

std::mt19937 random_bits(1);

Index below(Index n) { return static_cast<Index>(random_bits() % static_cast<std::uint64_t>(n)); }

// Multiples of 1/8 up to 1, many of them equal: sums of them are exact in both precisions.
Numbers eighths(Index count) {
  Numbers values(static_cast<std::size_t>(count));
  for (double& v : values) v = (static_cast<double>(below(17)) - 8) / 8;
  return values;
}
template <class T> std::vector<T> as(const Numbers& x) { return {x.begin(), x.end()}; }

// ---- a naive version of the kernels ------------------------------------------------------------------------------------------------

// Calls f(position in the window, position in x) for every element of the window of an output, except padding, in row-major order.
template <class F> void for_each_in_window(const Pooling& p, Index output, F&& f) {
  const Index n = output / p.plane_out(), i = output / p.width.out % p.height.out, j = output % p.width.out;
  for (Index r = 0; r < p.height.kernel; ++r)
    for (Index s = 0; s < p.width.kernel; ++s) {
      const Index row = i * p.height.stride - p.height.padding + r * p.height.dilation;
      const Index column = j * p.width.stride - p.width.padding + s * p.width.dilation;
      if (row < 0 || row >= p.height.in || column < 0 || column >= p.width.in) continue;
      f(r * p.width.kernel + s, n * p.plane_in() + row * p.width.in + column);
    }
}

struct Maximum {
  Index in_window = -1, in_x = -1;
};

Maximum first_maximum(const Pooling& p, const Numbers& x, Index output) {
  Maximum best;
  for_each_in_window(p, output, [&](Index position, Index at) {
    const double v = x[static_cast<std::size_t>(at)], b = best.in_x < 0 ? 0 : x[static_cast<std::size_t>(best.in_x)];
    if (best.in_x < 0 || v > b || (std::isnan(v) && !std::isnan(b))) best = {position, at};
  });
  return best;
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

template <class T, class Position> void check_maxima(const Pooling& p, const Numbers& x) {
  const auto outputs = static_cast<std::size_t>(p.planes * p.plane_out());
  std::vector<T> y(outputs, T(7)), values(outputs, T(7)), taken(outputs, T(7)), put(x.size(), T(7));
  std::vector<Position> at(outputs);
  std::vector<std::int64_t> index(outputs, -7);
  const std::vector<T> from = as<T>(x), cotangent = as<T>(eighths(static_cast<Index>(outputs)));
  kernels::max_pool(p, from.data(), y.data(), at.data());
  kernels::max_pool(p, from.data(), values.data());
  kernels::take_pooled(p, from.data(), at.data(), taken.data());
  kernels::put_pooled(p, cotangent.data(), at.data(), put.data());
  kernels::pooled_indices(p, at.data(), index.data());
  Numbers expected_put(x.size());
  for (std::size_t i = 0; i < outputs; ++i) {
    const Maximum best = first_maximum(p, x, static_cast<Index>(i));
    BOOST_TEST(static_cast<Index>(at[i]) == best.in_window);
    BOOST_TEST(index[i] == best.in_x % p.plane_in());
    BOOST_TEST(same(static_cast<double>(y[i]), x[static_cast<std::size_t>(best.in_x)]));
    BOOST_TEST(same(static_cast<double>(values[i]), static_cast<double>(y[i])));
    BOOST_TEST(same(static_cast<double>(taken[i]), static_cast<double>(y[i])));
    expected_put[static_cast<std::size_t>(best.in_x)] += static_cast<double>(cotangent[i]);
  }
  BOOST_TEST(Numbers(put.begin(), put.end()) == expected_put, boost::test_tools::per_element());
}

void check_maxima_of(const Pooling& p, const Numbers& x) {
  testing::on_every_isa([&] {
    check_maxima<double, std::uint8_t>(p, x);
    check_maxima<double, std::int32_t>(p, x);
    check_maxima<float, std::uint8_t>(p, x);
    check_maxima<float, std::int32_t>(p, x);
  });
}

// [first, last) of the window of output i, and its divisor.
struct Window {
  Index first, last, divisor;
};
Window naive_window(const WindowAxis& a, Divisor divisor, Index i) {
  if (divisor == Divisor::adaptive) {
    const Index first = i * a.in / a.out, last = ((i + 1) * a.in + a.out - 1) / a.out;
    return {first, last, last - first};
  }
  Window w{a.in, 0, 0};
  for (Index k = 0; k < a.kernel; ++k) {
    const Index at = i * a.stride - a.padding + k;
    const bool within = at >= 0 && at < a.in;
    if (within) w.first = std::min(w.first, at), w.last = at + 1;
    w.divisor += within || (divisor == Divisor::padded && at < a.in + a.padding);
  }
  return w;
}

template <class T> void check_means(const Pooling& p, Divisor divisor) {
  const Numbers x = eighths(p.planes * p.plane_in()), cotangent = eighths(p.planes * p.plane_out());
  Numbers expected(cotangent.size()), expected_spread(x.size());
  for (std::size_t output = 0; output < expected.size(); ++output) {
    const auto at = static_cast<Index>(output);
    const Window rows = naive_window(p.height, divisor, at / p.width.out % p.height.out);
    const Window columns = naive_window(p.width, divisor, at % p.width.out);
    const auto count = static_cast<double>(rows.divisor * columns.divisor);
    for (Index r = rows.first; r < rows.last; ++r)
      for (Index s = columns.first; s < columns.last; ++s) {
        const auto i = static_cast<std::size_t>(at / p.plane_out() * p.plane_in() + r * p.width.in + s);
        expected[output] += x[i] / count;
        expected_spread[i] += cotangent[output] / count;
      }
  }
  std::vector<T> y(expected.size(), T(7)), spread(x.size(), T(7));
  kernels::average_pool(p, divisor, as<T>(x).data(), y.data());
  kernels::spread_average(p, divisor, as<T>(cotangent).data(), spread.data());
  const double tolerance = sizeof(T) == 4 ? 1e-6 : 1e-15;
  const auto check = [&](const std::vector<T>& found, const Numbers& wanted) {
    for (std::size_t i = 0; i < found.size(); ++i) BOOST_TEST(std::abs(static_cast<double>(found[i]) - wanted[i]) <= tolerance * 8);
  };
  check(y, expected);
  check(spread, expected_spread);
}

std::string text(const Pooling& p) {
  const auto axis = [](const WindowAxis& a) {
    return std::to_string(a.in) + "->" + std::to_string(a.out) + " k" + std::to_string(a.kernel) + " s" + std::to_string(a.stride) + " p" +
           std::to_string(a.padding) + " d" + std::to_string(a.dilation);
  };
  return std::to_string(p.planes) + " planes, " + axis(p.height) + ", " + axis(p.width);
}

// A random axis: windows may overlap, leave gaps, or hang over the end.
WindowAxis random_axis(bool dilated, Index most = 11) {
  for (;;) {
    WindowAxis a{1 + below(most), 1, 1 + below(4), 1 + below(4), 0, dilated ? 1 + below(3) : 1};
    a.padding = below(a.kernel / 2 + 1);
    const Index spare = a.in + 2 * a.padding - a.dilation * (a.kernel - 1) - 1 + (below(2) ? a.stride - 1 : 0);
    if (spare < 0) continue;
    a.out = spare / a.stride + 1;
    if ((a.out - 1) * a.stride >= a.in + a.padding) --a.out;
    bool covered = true;
    for (Index i = 0; i < a.out; ++i) covered &= kernels::unpadded(a, i).size() > 0;
    if (covered) return a;
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(maxima_against_the_definition) {
  for (int i = 0; i < 150; ++i) {
    const Pooling p{below(5), random_axis(true), random_axis(true, i % 3 ? 11 : 70)};
    Numbers x = eighths(p.planes * p.plane_in());
    for (double& v : x) {  // special values among them
      const Index special = below(12);
      if (special < 3) v = special == 0 ? kNaN : special == 1 ? -kInfinity : kInfinity;
    }
    BOOST_TEST_CONTEXT(text(p)) check_maxima_of(p, x);
  }
}

BOOST_AUTO_TEST_CASE(maxima_of_wide_rows) {
  const Pooling p{3, {6, 3, 2, 2}, {301, 150, 3, 2}};
  check_maxima_of(p, eighths(p.planes * p.plane_in()));
  // Rows that are read where they are.
  const Pooling pairs{3, {6, 3, 2, 2}, {102, 51, 2, 2}}, threes{2, {6, 2, 3, 3}, {102, 34, 3, 3}},
      neighbours{2, {6, 5, 2, 1}, {40, 38, 3, 1}};
  const Pooling fours{2, {6, 2, 3, 3}, {160, 40, 3, 4}}, sevens{2, {6, 2, 3, 3}, {40, 6, 3, 7}};
  constexpr Index huge = std::numeric_limits<Index>::max();
  const Pooling single{2, {5, 1, 5, huge}, {7, 1, 7, huge}}, column{2, {6, 2, 2, 4}, {9, 1, 2, huge}};
  for (const Pooling& p : {pairs, threes, neighbours, fours, sevens, single, column}) check_maxima_of(p, eighths(p.planes * p.plane_in()));
}

BOOST_AUTO_TEST_CASE(means_against_the_definition) {
  for (int i = 0; i < 100; ++i) {
    Pooling p{below(5), random_axis(false), random_axis(false)};
    BOOST_TEST_CONTEXT(text(p)) {
      for (const Divisor divisor : {Divisor::padded, Divisor::inside}) {
        check_means<double>(p, divisor);
        check_means<float>(p, divisor);
      }
      p.height.out = i % 4 ? 1 + below(9) : 1;
      p.width.out = i % 4 ? 1 + below(9) : 1;
      check_means<double>(p, Divisor::adaptive);
      check_means<float>(p, Divisor::adaptive);
    }
  }
}

// ---- operations ---------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_nan_is_the_maximum_of_its_windows) {
  const Tensor x = Tensor::from({1, kNaN, 3, -kInfinity, kNaN, -kInfinity, 2, -kInfinity}, {1, 1, 2, 4}, float64);
  Tape tape;
  const Tensor v = tape.variable(x);
  const auto [y, index] = max_pool2d_with_indices(v, 2);
  BOOST_TEST(std::isnan(y.element(0)));
  BOOST_TEST(y.element(1) == 3);
  BOOST_TEST(index.to_vector<std::int64_t>() == (std::vector<std::int64_t>{1, 2}), boost::test_tools::per_element());
  BOOST_TEST(tape.gradient(sum(y), v).to_vector<double>() == (Numbers{0, 1, 1, 0, 0, 0, 0, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(of_equal_elements_the_first_takes_the_gradient) {
  Tape tape;
  const Tensor v = tape.variable(Tensor::ones({1, 1, 2, 4}, float64));
  const Tensor y = max_pool2d(v, 2);
  BOOST_TEST(tape.gradient(sum(y), v).to_vector<double>() == (Numbers{1, 0, 1, 0, 0, 0, 0, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(padding_is_less_than_every_number) {
  const auto [y, index] = max_pool2d_with_indices(Tensor::full({1, 1, 2, 2}, -kInfinity), 2, {.stride = 1, .padding = 1});
  BOOST_TEST(max(y).item() == -kInfinity);
  BOOST_TEST(index.to_vector<std::int64_t>() == (std::vector<std::int64_t>{0, 0, 1, 0, 0, 1, 2, 2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(windows_larger_than_a_byte_can_number) {
  Generator random(3);
  const Tensor x = random.normal({1, 2, 20, 20}, 0, 1, float64);
  Tape tape;
  const Tensor v = tape.variable(x);
  const Tensor y = max_pool2d(v, 20);
  BOOST_TEST(y.to_vector<double>() == max(x, {2, 3}).to_vector<double>(), boost::test_tools::per_element());
  const double expected = 2 * sum(y).item();
  BOOST_TEST(sum(tape.gradient(sum(y * y), v)).item() == expected, boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(sequences_are_images_of_height_1) {
  Generator random(3);
  const Tensor x = random.normal({2, 3, 10}), image = unsqueeze(x, 2);
  const auto same_values = [](const Tensor& a, const Tensor& b) {
    BOOST_TEST(a.to_vector<float>() == b.to_vector<float>(), boost::test_tools::per_element());
  };
  same_values(max_pool1d(x, 3, {.padding = 1, .dilation = 2, .ceil_mode = true}),
              max_pool2d(image, {1, 3}, {.padding = {0, 1}, .dilation = {1, 2}, .ceil_mode = true}));
  same_values(avg_pool1d(x, 3, {.stride = 2, .ceil_mode = true, .count_include_pad = false}),
              avg_pool2d(image, {1, 3}, {.stride = {1, 2}, .ceil_mode = true, .count_include_pad = false}));
}

BOOST_AUTO_TEST_CASE(pools_of_nothing_have_shapes) {
  BOOST_TEST((max_pool2d(Tensor::zeros({0, 3, 4, 6}), 2).shape() == Shape{0, 3, 2, 3}));
  BOOST_TEST((avg_pool2d(Tensor::zeros({2, 0, 4, 6}), 2).shape() == Shape{2, 0, 2, 3}));
  BOOST_TEST((adaptive_avg_pool2d(Tensor::zeros({0, 3, 4, 6}), {5, 1}).shape() == Shape{0, 3, 5, 1}));
  Tape tape;
  const Tensor v = tape.variable(Tensor::zeros({0, 3, 4, 6}));
  BOOST_TEST((tape.gradient(sum(max_pool2d(v, 2)), v).shape() == v.shape()));
}

BOOST_AUTO_TEST_CASE(what_max_pooling_keeps_is_a_byte_an_output) {
  Tape tape;
  const Tensor v = tape.variable(Tensor::zeros({1, 64, 64, 64}));
  const std::int64_t before = pool::statistics().in_use;
  const Tensor y = max_pool2d(v + 1, 2);  // the sum is a temporary
  const std::int64_t kept = pool::statistics().in_use - before;
  BOOST_TEST(kept >= y.size() * 5);
  BOOST_TEST(kept < v.size() * 4);
}

// ---- errors -------------------------------------------------------------------------------------------------------------------------

namespace {

const Tensor image = Tensor::zeros({1, 2, 5, 6});
const std::string described = "(1, 2, 5, 6) float32 made at test_pooling.cpp:" + std::to_string(__LINE__ - 1);
constexpr Index kHuge = std::numeric_limits<Index>::max();

}  // namespace

BOOST_AUTO_TEST_CASE(windows_that_do_not_fit_are_explained) {
  const auto refuses = [](HeightWidth kernel, const MaxPool2dOptions& options, const std::string& what) {
    Tape tape;
    BOOST_TEST(text_of<ShapeError>([&] { return max_pool2d(tape.variable(image), kernel, options); }) ==
               "max_pool2d: " + described + ": " + what);
    BOOST_TEST(tape.nodes() == 0u);
  };
  refuses(0, {}, "the kernel of the height must be at least 1, not 0");
  refuses(2, {.stride = {1, -1}}, "the stride of the width must be at least 1, not -1");
  refuses(2, {.padding = -1}, "the padding of the height must be at least 0, not -1");
  refuses(2, {.padding = 2}, "padding 2 of the height is more than half the kernel 2");
  refuses(2, {.dilation = 0}, "the dilation of the height must be at least 1, not 0");
  refuses({6, 1}, {}, "a kernel of 6 is larger than the height 5 with padding 0");
  refuses({2, 3}, {.dilation = 4}, "a kernel of 3 with dilation 4 is larger than the width 6 with padding 0");
  refuses({1, 2}, {.padding = {0, 1}, .dilation = {1, 7}}, "window 0 of the width lies entirely in the padding");
  refuses(kHuge, {.padding = kHuge / 4, .ceil_mode = true},
          "a height with kernel 9223372036854775807 and padding 2305843009213693951 overflows");
  refuses(Index(1) << 40, {.stride = Index(1) << 41, .ceil_mode = true},
          "a window of 1099511627776 x 1099511627776 has too many positions");
}

BOOST_AUTO_TEST_CASE(other_operands_that_do_not_fit_are_explained) {
  BOOST_TEST(text_of<ShapeError>([] { return avg_pool2d(image, 2, {.padding = 2}); }) ==
             "avg_pool2d: " + described + ": padding 2 of the height is more than half the kernel 2");
  BOOST_TEST(text_of<ShapeError>([] { return max_pool1d(image, 2); }) ==
             "max_pool1d: the input must be (n, channels, length): input " + described);
  BOOST_TEST(contains(message_of<ShapeError>([] {
                        return max_pool2d(Tensor::zeros({2, 5, 6}), 2);
                      }),
                      "; hint: unsqueeze(input, 0) makes a batch of one"));
  BOOST_TEST(contains(message_of<ShapeError>([] {
                        return avg_pool1d(Tensor::zeros({1, 2, 3}), 4);
                      }),
                      "a kernel of 4 is larger than the length 3 with padding 0"));
  BOOST_TEST(contains(message_of<ShapeError>([] { return max_pool2d(Tensor::zeros({1, 2, 0, 3}), 1); }), "the height is 0"));
  BOOST_TEST(text_of<ShapeError>([] {
               return adaptive_avg_pool2d(image, {3, 0});
             }) == "adaptive_avg_pool2d: " + described + " to 3 x 0: all sizes must be at least 1");
  BOOST_TEST(contains(message_of<ShapeError>([] { return adaptive_avg_pool2d(image, kHuge); }), "adaptive_avg_pool2d: "));
  BOOST_TEST(contains(message_of<DtypeError>([] { return max_pool2d(image.to(int64), 2); }), "max_pool2d: "));
  BOOST_TEST(contains(message_of<DtypeError>([] { return avg_pool2d(image.to(boolean), 2); }), "avg_pool2d: "));
}
