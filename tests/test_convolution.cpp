#define BOOST_TEST_MODULE convolution
#include <autodiff/autodiff.h>
#include <autodiff/gradcheck.h>
#include <autodiff/kernels/convolution.h>
#include <autodiff/runtime.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of;

namespace {

using kernels::Convolution;
using kernels::WindowAxis;

// ---- the naive twin of the kernels -------------------------------------------------------------------------------------------------

/// f(position in x, position in the weight, position in y, output channel) for every product of the form.
template <class F> void for_each_product(const Convolution& c, F&& f) {
  const Index in = c.in_channels / c.groups, out = c.out_channels / c.groups;
  const WindowAxis &h = c.height, &w = c.width;
  for (Index n = 0; n < c.batch; ++n)
    for (Index o = 0; o < c.out_channels; ++o)
      for (Index i = 0; i < h.out; ++i)
        for (Index j = 0; j < w.out; ++j)
          for (Index k = 0; k < in; ++k)
            for (Index r = 0; r < h.kernel; ++r)
              for (Index s = 0; s < w.kernel; ++s) {
                const Index row = i * h.stride - h.padding + r * h.dilation, column = j * w.stride - w.padding + s * w.dilation;
                if (row < 0 || row >= h.in || column < 0 || column >= w.in) continue;
                f(((n * c.in_channels + o / out * in + k) * h.in + row) * w.in + column, ((o * in + k) * h.kernel + r) * w.kernel + s,
                  ((n * c.out_channels + o) * h.out + i) * w.out + j, o);
              }
}

using Numbers = std::vector<double>;

std::mt19937 random_bits(1);

Index below(Index n) { return static_cast<Index>(random_bits() % static_cast<std::uint64_t>(n)); }

/// Multiples of 1/8 up to 1: sums of them are exact in both precisions.
Numbers eighths(Index count) {
  Numbers values(static_cast<std::size_t>(count));
  for (double& v : values) v = (static_cast<double>(below(17)) - 8) / 8;
  return values;
}
template <class T> std::vector<T> as(const Numbers& x) { return {x.begin(), x.end()}; }

template <class T> void check_equal(const std::vector<T>& found, const Numbers& expected, const char* what) {
  BOOST_TEST_CONTEXT(what) BOOST_TEST(Numbers(found.begin(), found.end()) == expected, boost::test_tools::per_element());
}

template <class T> std::vector<T> unset(std::size_t n) { return std::vector<T>(n, std::numeric_limits<T>::quiet_NaN()); }

/// The three kernels against sums in the order of the formula. All sums are exact.
template <class T> void check_kernels(const Convolution& c) {
  const Numbers x = eighths(c.batch * c.image_size()), y = eighths(c.batch * c.output_size()), w = eighths(c.weight_size());
  const Numbers b = eighths(c.out_channels), b_of_x = eighths(c.in_channels);
  Numbers forward(y.size()), data(x.size()), weight(w.size()), bias(b.size());
  const std::size_t y_plane = static_cast<std::size_t>(c.height.out * c.width.out),
                    x_plane = static_cast<std::size_t>(c.height.in * c.width.in);
  for (std::size_t i = 0; i < y.size(); ++i) {
    forward[i] = b[i / y_plane % b.size()];
    bias[i / y_plane % b.size()] += y[i];
  }
  for (std::size_t i = 0; i < x.size(); ++i) data[i] = b_of_x[i / x_plane % b_of_x.size()];
  for_each_product(c, [&](Index p, Index q, Index r, Index) {
    const auto i = static_cast<std::size_t>(p), j = static_cast<std::size_t>(q), k = static_cast<std::size_t>(r);
    forward[k] += x[i] * w[j];
    data[i] += y[k] * w[j];
    weight[j] += x[i] * y[k];
  });
  auto found_y = unset<T>(y.size()), found_x = unset<T>(x.size()), found_w = unset<T>(w.size()), found_b = unset<T>(b.size());
  kernels::convolution_forward(c, as<T>(x).data(), as<T>(w).data(), as<T>(b).data(), found_y.data());
  kernels::convolution_data_gradient(c, as<T>(y).data(), as<T>(w).data(), as<T>(b_of_x).data(), found_x.data());
  kernels::convolution_weight_gradient(c, as<T>(x).data(), as<T>(y).data(), found_w.data(), found_b.data());
  check_equal(found_y, forward, "forward");
  check_equal(found_x, data, "data gradient");
  check_equal(found_w, weight, "weight gradient");
  check_equal(found_b, bias, "bias gradient");
  // Without a bias.
  auto without_y = unset<T>(y.size()), without_x = unset<T>(x.size()), without_w = unset<T>(w.size());
  kernels::convolution_forward<T>(c, as<T>(x).data(), as<T>(w).data(), nullptr, without_y.data());
  kernels::convolution_data_gradient<T>(c, as<T>(y).data(), as<T>(w).data(), nullptr, without_x.data());
  kernels::convolution_weight_gradient<T>(c, as<T>(x).data(), as<T>(y).data(), without_w.data(), nullptr);
  for (std::size_t i = 0; i < y.size(); ++i) forward[i] -= b[i / y_plane % b.size()];
  for (std::size_t i = 0; i < x.size(); ++i) data[i] -= b_of_x[i / x_plane % b_of_x.size()];
  check_equal(without_y, forward, "forward without a bias");
  check_equal(without_x, data, "data gradient without a bias");
  check_equal(without_w, weight, "weight gradient without a bias");
}

std::string text(const Convolution& c) {
  const auto axis = [](const WindowAxis& a) {
    return std::to_string(a.in) + "->" + std::to_string(a.out) + " k" + std::to_string(a.kernel) + " s" + std::to_string(a.stride) + " p" +
           std::to_string(a.padding) + " d" + std::to_string(a.dilation);
  };
  return std::to_string(c.batch) + " x " + std::to_string(c.in_channels) + "->" + std::to_string(c.out_channels) + " groups " +
         std::to_string(c.groups) + ", " + axis(c.height) + ", " + axis(c.width);
}

void check_both(const Convolution& c) {
  BOOST_TEST_CONTEXT(text(c)) {
    check_kernels<double>(c);
    check_kernels<float>(c);
  }
}

WindowAxis axis(Index in, Index kernel, Index stride, Index padding, Index dilation) {
  return {in, (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1, kernel, stride, padding, dilation};
}

WindowAxis random_axis() {
  for (;;) {
    const Index in = 1 + below(11), kernel = 1 + below(5), stride = 1 + below(3), padding = below(4), dilation = 1 + below(3);
    if (in + 2 * padding > dilation * (kernel - 1)) return axis(in, kernel, stride, padding, dilation);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(kernels_against_the_formula) {
  for (int i = 0; i < 120; ++i) {
    const Index groups = 1 + below(3);
    check_both({1 + below(4), groups * (1 + below(4)), groups * (1 + below(4)), groups, random_axis(), random_axis()});
  }
}

BOOST_AUTO_TEST_CASE(kernels_at_sizes_of_networks) {
  const WindowAxis same = axis(9, 3, 1, 1, 1), one = axis(7, 1, 1, 0, 1);
  check_both({3, 16, 32, 1, same, same});  // 3 x 3, padded
  check_both({11, 1, 16, 1, axis(12, 5, 1, 0, 1), axis(12, 5, 1, 0, 1)});
  check_both({2, 32, 16, 1, one, one});     // pointwise
  check_both({2, 24, 24, 24, same, same});  // depthwise
  check_both({2, 8, 8, 1, axis(16, 4, 2, 1, 1), axis(16, 4, 2, 1, 1)});
}

// A row of the matrix of columns alone may be too long for a tile.
BOOST_AUTO_TEST_CASE(kernels_where_a_tile_is_part_of_a_row) {
  check_both({2, 64, 2, 1, axis(1, 1, 1, 0, 1), axis(700, 9, 1, 4, 1)});
  check_both({1, 64, 2, 1, axis(3, 3, 1, 1, 1), axis(300, 3, 2, 1, 1)});
}

BOOST_AUTO_TEST_CASE(outputs_that_are_not_asked_for_are_not_there) {
  WindowAxis fewer = axis(9, 3, 2, 1, 1);
  --fewer.out;
  check_both({2, 2, 3, 1, fewer, axis(6, 2, 1, 0, 1)});
}

BOOST_AUTO_TEST_CASE(kernels_of_nothing) {
  const WindowAxis a = axis(4, 3, 1, 1, 1);
  for (const Convolution& c : {Convolution{0, 2, 3, 1, a, a}, Convolution{2, 0, 3, 1, a, a}, Convolution{2, 3, 0, 1, a, a}}) check_both(c);
}
