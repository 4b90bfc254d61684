#include "autodiff/kernels/direct_convolution.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/kernels/isa.h"
#include "autodiff/runtime.h"
#include "autodiff/tensor/random.h"
#include "tests/support/every_isa.h"

using namespace wengert;
using kernels::Convolution;
using testing::on_every_isa;

namespace {

Convolution sizes(Index batch, Index in, Index out, Index height, Index width, Index kernel_height, Index kernel_width, Index padding) {
  return {batch,
          in,
          out,
          1,
          {height, height + 2 * padding - kernel_height + 1, kernel_height, 1, padding, 1},
          {width, width + 2 * padding - kernel_width + 1, kernel_width, 1, padding, 1}};
}

// The same kernel and image with other strides and dilations.
Convolution spread(Convolution c, Index stride, Index across, Index dilation, Index dilation_across) {
  const auto set = [](kernels::WindowAxis& axis, Index stride, Index dilation) {
    axis.stride = stride;
    axis.dilation = dilation;
    axis.out = (axis.in + 2 * axis.padding - dilation * (axis.kernel - 1) - 1) / stride + 1;
  };
  set(c.height, stride, dilation);
  set(c.width, across, dilation_across);
  return c;
}
Convolution grouped(Convolution c, Index groups) {
  c.groups = groups;
  return c;
}
// The last row and column of results left out.
Convolution shortened(Convolution c) {
  --c.height.out, --c.width.out;
  return c;
}

// Tails of every kind: channels that fill no vector, odd sizes, kernels that are not square, paddings up to the kernel, strides that leave
// pixels out or have more phases than there are weights, and phases of the size of kernels that take Winograd's way, which phases do not.
std::vector<Convolution> all_sizes() {
  return {spread(sizes(2, 9, 17, 9, 13, 3, 3, 1), 2, 2, 1, 1),
          spread(sizes(2, 16, 8, 10, 12, 3, 3, 1), 2, 2, 1, 1),
          spread(sizes(2, 8, 40, 11, 12, 5, 5, 2), 2, 2, 1, 1),
          spread(sizes(1, 12, 16, 12, 14, 4, 4, 1), 2, 2, 1, 1),
          spread(sizes(1, 33, 16, 8, 9, 2, 2, 0), 2, 2, 1, 1),
          spread(sizes(1, 32, 32, 12, 12, 6, 6, 2), 2, 2, 1, 1),
          sizes(2, 32, 40, 7, 7, 3, 3, 1),
          spread(sizes(1, 8, 8, 6, 12, 1, 3, 0), 2, 1, 1, 2),
          sizes(1, 48, 32, 9, 6, 3, 3, 1),
          sizes(1, 32, 32, 8, 13, 3, 3, 0),
          spread(sizes(2, 16, 24, 9, 7, 1, 1, 0), 2, 2, 1, 1),
          spread(sizes(1, 8, 9, 20, 20, 7, 7, 3), 2, 2, 1, 1),
          spread(sizes(2, 10, 8, 7, 9, 3, 1, 0), 2, 2, 1, 1),
          spread(sizes(3, 8, 16, 1, 33, 1, 5, 0), 1, 4, 1, 1),
          spread(sizes(1, 8, 16, 5, 30, 3, 2, 1), 1, 3, 1, 1),
          spread(sizes(2, 9, 17, 9, 13, 3, 3, 2), 1, 1, 2, 2),
          spread(sizes(2, 32, 33, 10, 10, 3, 3, 3), 1, 1, 3, 2),
          spread(sizes(2, 1, 16, 1, 30, 1, 4, 0), 1, 1, 1, 5),
          spread(sizes(1, 8, 8, 12, 11, 3, 3, 2), 2, 1, 1, 2),
          spread(sizes(1, 8, 8, 13, 11, 3, 3, 1), 1, 1, 2, 1),
          grouped(sizes(2, 18, 34, 6, 7, 3, 3, 1), 2),
          grouped(sizes(1, 96, 96, 6, 6, 3, 3, 1), 3),
          grouped(spread(sizes(3, 32, 32, 9, 8, 3, 3, 1), 2, 2, 1, 1), 4),
          shortened(sizes(2, 9, 8, 6, 8, 3, 3, 1)),
          shortened(spread(sizes(2, 9, 8, 11, 13, 5, 5, 2), 2, 2, 1, 1)),
          sizes(2, 1, 16, 10, 12, 5, 5, 0),
          sizes(2, 9, 8, 6, 7, 3, 3, 1),
          sizes(1, 33, 17, 5, 9, 3, 3, 1),
          sizes(3, 16, 32, 8, 8, 5, 5, 0),
          sizes(2, 3, 40, 7, 6, 3, 2, 1),
          sizes(9, 8, 9, 4, 5, 1, 3, 0),
          sizes(2, 12, 64, 6, 6, 3, 3, 2),
          sizes(1, 64, 70, 4, 4, 3, 3, 1),
          sizes(1, 32, 48, 14, 12, 3, 3, 1)};
}

struct Operands {
  explicit Operands(const Convolution& c) {
    Generator generator(11);
    const auto draw = [&](Index n) { return generator.uniform({n}, -1, 1).to_vector<float>(); };
    x = draw(c.batch * c.image_size());
    weight = draw(c.weight_size());
    bias = draw(c.out_channels);
    x_bias = draw(c.in_channels);
    y_bar = draw(c.batch * c.output_size());
  }
  std::vector<float> x, weight, bias, x_bias, y_bar;
};

// f(index of y, index of x, index of the weight) for everything that the formula multiplies.
template <class F> void for_each_product(const Convolution& c, F&& f) {
  const Index channels = c.in_channels / c.groups;
  for (Index n = 0; n < c.batch; ++n)
    for (Index o = 0; o < c.out_channels; ++o)
      for (Index i = 0, first = o / (c.out_channels / c.groups) * channels; i < c.height.out; ++i)
        for (Index j = 0; j < c.width.out; ++j)
          for (Index k = 0; k < channels; ++k)
            for (Index r = 0; r < c.height.kernel; ++r)
              for (Index s = 0; s < c.width.kernel; ++s) {
                const Index h = c.height.input(i, r), w = c.width.input(j, s);
                if (h < 0 || w < 0 || h >= c.height.in || w >= c.width.in) continue;
                f(static_cast<std::size_t>(((n * c.out_channels + o) * c.height.out + i) * c.width.out + j),
                  static_cast<std::size_t>(((n * c.in_channels + first + k) * c.height.in + h) * c.width.in + w),
                  static_cast<std::size_t>(((o * channels + k) * c.height.kernel + r) * c.width.kernel + s));
              }
}

using Doubles = std::vector<double>;

Doubles naive_sums(const Convolution& c, const Operands& o) {
  Doubles y(o.y_bar.size());
  const Index plane = c.height.out * c.width.out;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = o.bias[static_cast<std::size_t>(static_cast<Index>(i) / plane % c.out_channels)];
  for_each_product(c, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w) {
    y[at_y] += static_cast<double>(o.x[at_x]) * static_cast<double>(o.weight[at_w]);
  });
  return y;
}

void check_near(const std::vector<float>& ours, const Doubles& expected, const std::string& what) {
  BOOST_REQUIRE(ours.size() == expected.size());
  double worst = 0, largest = 1;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(ours[i]) - expected[i]));
    largest = std::max(largest, std::abs(expected[i]));
  }
  BOOST_TEST(worst <= 2e-6 * largest, what << ": off by " << worst << " of " << largest);
}

std::string text(const Convolution& c) {
  return std::to_string(c.in_channels) + " -> " + std::to_string(c.out_channels) + " in " + std::to_string(c.groups) + " groups, " +
         std::to_string(c.height.kernel) + " x " + std::to_string(c.width.kernel) + " on " + std::to_string(c.height.in) + " x " +
         std::to_string(c.width.in) + ", strides " + std::to_string(c.height.stride) + " and " + std::to_string(c.width.stride) +
         ", dilations " + std::to_string(c.height.dilation) + " and " + std::to_string(c.width.dilation);
}

struct Results {
  std::vector<float> y, x_bar, w_bar, b_bar;
};
Results results_of(const Convolution& c, const Operands& o) {
  Results r{std::vector<float>(o.y_bar.size()), std::vector<float>(o.x.size()), std::vector<float>(o.weight.size()),
            std::vector<float>(o.bias.size())};
  kernels::direct_convolution(c, {}, o.x.data(), o.weight.data(), o.bias.data(), r.y.data(), nullptr);
  kernels::direct_gradients(c, {}, o.x.data(), o.weight.data(), nullptr, nullptr, o.y_bar.data(),
                            {r.x_bar.data(), r.w_bar.data(), r.b_bar.data(), o.x_bias.data()});
  return r;
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_and_gradients_are_those_of_the_loops_on_every_instruction_set) {
  for (const Convolution& c : all_sizes()) {
    const Operands o(c);
    BOOST_TEST(kernels::has_direct_data_gradient(c) == (c.in_channels / c.groups >= 8 && c.width.out >= 4), text(c));
    const Doubles y = naive_sums(c, o);
    Doubles x_bar(o.x.size()), w_bar(o.weight.size()), b_bar(o.bias.size());
    for_each_product(c, [&](std::size_t at_y, std::size_t at_x, std::size_t at_w) {
      x_bar[at_x] += static_cast<double>(o.y_bar[at_y]) * static_cast<double>(o.weight[at_w]);
      w_bar[at_w] += static_cast<double>(o.y_bar[at_y]) * static_cast<double>(o.x[at_x]);
    });
    const Index plane = c.height.out * c.width.out, pixels = c.height.in * c.width.in;
    for (std::size_t i = 0; i < x_bar.size(); ++i)
      x_bar[i] += static_cast<double>(o.x_bias[static_cast<std::size_t>(static_cast<Index>(i) / pixels % c.in_channels)]);
    for (std::size_t i = 0; i < o.y_bar.size(); ++i)
      b_bar[static_cast<std::size_t>(static_cast<Index>(i) / plane % c.out_channels)] += static_cast<double>(o.y_bar[i]);
    on_every_isa([&] {
      const Results r = results_of(c, o);
      check_near(r.y, y, text(c));
      check_near(r.x_bar, x_bar, text(c) + ", by x");
      check_near(r.w_bar, w_bar, text(c) + ", by the weight");
      check_near(r.b_bar, b_bar, text(c) + ", by the bias");
    });
  }
}

BOOST_AUTO_TEST_CASE(bits_do_not_depend_on_the_number_of_threads) {
  const Convolution plain = sizes(13, 9, 20, 8, 8, 3, 3, 1);
  for (const Convolution& c : {plain, spread(plain, 2, 2, 1, 1), spread(plain, 1, 1, 2, 2), grouped(sizes(13, 16, 16, 8, 8, 3, 3, 1), 2)}) {
    const Operands o(c);
    set_num_threads(1);
    const Results one = results_of(c, o);
    for (const int threads : {2, 3, 16}) {
      set_num_threads(threads);
      const Results r = results_of(c, o);
      BOOST_TEST((r.y == one.y && r.x_bar == one.x_bar && r.w_bar == one.w_bar && r.b_bar == one.b_bar));
    }
  }
  set_num_threads(1);
}

BOOST_AUTO_TEST_CASE(groups_are_pooled_like_convolutions_of_their_own) {
  const Convolution c = grouped(sizes(2, 4, 24, 9, 10, 2, 3, 0), 2);
  Convolution one = c;
  one.batch = one.groups = 1, one.in_channels = 2, one.out_channels = 12;
  const Operands o(c);
  const auto pixels = static_cast<std::size_t>(c.height.out / 2 * (c.width.out / 2));
  std::vector<float> y(48 * pixels), x_bar(o.x.size()), y_bar(o.y_bar.begin(), o.y_bar.begin() + static_cast<std::ptrdiff_t>(y.size()));
  std::vector<std::uint8_t> at(static_cast<std::size_t>(c.batch * kernels::pooled_positions(c)));
  kernels::direct_convolution(c, {true, true}, o.x.data(), o.weight.data(), o.bias.data(), y.data(), at.data());
  kernels::direct_gradients(c, {true, true}, o.x.data(), o.weight.data(), nullptr, at.data(), y_bar.data(), {.x = x_bar.data()});
  std::vector<float> y_of_one(12 * pixels), x_bar_of_one(static_cast<std::size_t>(one.image_size()));
  std::vector<std::uint8_t> at_of_one(static_cast<std::size_t>(kernels::pooled_positions(one)));
  for (std::size_t item = 0; item < 4; ++item) {
    const std::size_t group = item % 2;
    const float* const weight = o.weight.data() + group * static_cast<std::size_t>(one.weight_size());
    kernels::direct_convolution(one, {true, true}, o.x.data() + item * x_bar_of_one.size(), weight, o.bias.data() + 12 * group,
                                y_of_one.data(), at_of_one.data());
    kernels::direct_gradients(one, {true, true}, nullptr, weight, nullptr, at_of_one.data(), y_bar.data() + item * y_of_one.size(),
                              {.x = x_bar_of_one.data()});
    BOOST_TEST(std::equal(y_of_one.begin(), y_of_one.end(), y.begin() + static_cast<std::ptrdiff_t>(item * y_of_one.size())));
    BOOST_TEST(
        std::equal(x_bar_of_one.begin(), x_bar_of_one.end(), x_bar.begin() + static_cast<std::ptrdiff_t>(item * x_bar_of_one.size())));
    for (Index channel = 0; channel < 12; ++channel) {
      const Index of_all = kernels::pooled_position(c, 12 * static_cast<Index>(group) + channel, 1, 2);
      BOOST_TEST(at[item / 2 * static_cast<std::size_t>(kernels::pooled_positions(c)) + static_cast<std::size_t>(of_all)] ==
                 at_of_one[static_cast<std::size_t>(kernels::pooled_position(one, channel, 1, 2))]);
    }
  }
}

BOOST_AUTO_TEST_CASE(pooling_takes_the_first_of_equal_maxima_and_keeps_nan) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const Convolution c = sizes(1, 1, 8, 2, 9, 1, 2, 0);  // two rows of 8 results: 4 windows
  std::vector<float> x{1, 1, 0, 0, -1, -2, 0, nan, 5, /**/ 0, 1, 0, 3, -1, -1, 0, 0, 0}, weight(16), bias(8), y(8 * 4);
  for (std::size_t o = 0; o < 8; ++o) weight[2 * o] = 1;  // the result is x without its last column, and NaN before a NaN
  on_every_isa([&] {
    std::vector<std::uint8_t> at(static_cast<std::size_t>(kernels::pooled_positions(c)));
    kernels::direct_convolution(c, {true, true}, x.data(), weight.data(), bias.data(), y.data(), at.data());
    const auto position = [&](Index column) {
      return static_cast<int>(at[static_cast<std::size_t>(kernels::pooled_position(c, 7, 0, column))]);
    };
    BOOST_TEST(y[28] == 1);
    BOOST_TEST(position(0) == 0);
    BOOST_TEST(y[29] == 3);
    BOOST_TEST(position(1) == 3);
    BOOST_TEST(y[30] == 0);
    BOOST_TEST(position(2) == 4);  // relu lets nothing through
    BOOST_TEST(std::isnan(y[31]));
    BOOST_TEST(position(3) == 0);
  });
}

// ---- the operation ------------------------------------------------------------------------------------------------------------------

namespace {

using Images = std::array<Tensor, 3>;  // x, weight, bias

Images images(const Convolution& c, Dtype dtype = float32) {
  Generator generator(5);
  return {generator.uniform({c.batch, c.in_channels, c.height.in, c.width.in}, -1, 1, dtype),
          generator.uniform({c.out_channels, c.in_channels, c.height.kernel, c.width.kernel}, -0.5, 0.5, dtype),
          generator.uniform({c.out_channels}, -0.5, 0.5, dtype)};
}

void check_same(const Tensor& a, const Tensor& b) {
  BOOST_REQUIRE((a.shape() == b.shape()));
  const auto p = a.to_vector<float>(), q = b.to_vector<float>();
  for (std::size_t i = 0; i < p.size(); ++i) BOOST_TEST(std::abs(p[i] - q[i]) <= 1e-4 * (1 + std::abs(q[i])));
}

// Value, tangent, gradients and gradients of gradients.
template <class F> std::vector<Tensor> derivatives(const Images& at, F&& f) {
  Tape tape;
  const Tensor x = tape.variable(at[0]), w = tape.variable(at[1]), b = tape.variable(at[2]);
  const Tensor y = f(x, w, b);
  std::vector<Tensor> all{y.constant(), tape.jvp(y, wrt(x, w, b), {at[0] * at[0], at[1] * 2, at[2] * 3})};
  const auto [dx, dw, db] = tape.differentiable_gradient(sum(sin(y)), x, w, b);
  for (const Tensor& t : {dx, dw, db}) all.push_back(t.constant());
  const auto [ddx, ddw, ddb] = tape.gradient(sum(square(dx)) + sum(square(dw)) + sum(square(db)), x, w, b);
  for (const Tensor& t : {ddx, ddw, ddb}) all.push_back(t);
  return all;
}

template <class F> std::vector<Tensor> gradients(const Images& at, F&& f) {
  Tape tape;
  const Tensor x = tape.variable(at[0]), w = tape.variable(at[1]), b = tape.variable(at[2]);
  const auto [dx, dw, db] = tape.gradient(sum(sin(f(x, w, b))), x, w, b);
  return {dx, dw, db};
}

}  // namespace

BOOST_AUTO_TEST_CASE(conv2d_relu_is_its_parts_to_second_order) {
  for (const Index pool : {1, 2})
    for (const bool takes : {true, false}) {  // with 3 channels the kernel gives no gradient by x, so it is composed
      const Convolution c = sizes(2, takes ? 9 : 3, 10, 6, 8, 3, 3, 1);
      const Images at = images(c);
      const auto fused = [&](const Tensor& x, const Tensor& w, const Tensor& b) { return conv2d_relu(x, w, b, {.padding = 1}, pool); };
      const auto parts = [&](const Tensor& x, const Tensor& w, const Tensor& b) {
        const Tensor y = relu(conv2d(x, w, b, {.padding = 1}));
        return pool == 1 ? y : max_pool2d(y, pool);
      };
      const auto ours = derivatives(at, fused), expected = derivatives(at, parts);
      for (std::size_t i = 0; i < ours.size(); ++i) check_same(ours[i], expected[i]);
      const auto first = gradients(at, fused), first_expected = gradients(at, parts);
      for (std::size_t i = 0; i < first.size(); ++i) check_same(first[i], first_expected[i]);
    }
}

BOOST_AUTO_TEST_CASE(conv2d_relu_without_bias_and_with_constant_images) {
  const Images at = images(sizes(2, 3, 10, 6, 8, 3, 3, 1));
  const auto gradient = [&](auto&& f) {
    Tape tape;
    const Tensor w = tape.variable(at[1]);
    return tape.gradient(sum(sin(f(at[0], w))), w);
  };
  check_same(gradient([](const Tensor& x, const Tensor& w) { return conv2d_relu(x, w, Tensor(), {}, 2); }),
             gradient([](const Tensor& x, const Tensor& w) { return max_pool2d(relu(conv2d(x, w)), 2); }));
}

BOOST_AUTO_TEST_CASE(conv2d_relu_keeps_little) {
  const Images at = images(sizes(8, 16, 16, 16, 16, 3, 3, 1));
  pool::reset_peak();
  const auto before = pool::statistics().in_use;
  {
    Tape tape;
    const Tensor w = tape.variable(at[1]);
    const Tensor y = conv2d_relu(at[0], w, at[2], {.padding = 1}, 2);
    const auto kept = pool::statistics().in_use - before;
    BOOST_TEST(kept < 8 * 16 * 8 * 8 * (4 + 1) + 200'000);  // y, a byte for each of its elements, and the tape
  }
}

BOOST_AUTO_TEST_CASE(conv2d_relu_refuses_what_conv2d_refuses) {
  const Images at = images(sizes(2, 9, 10, 6, 8, 3, 3, 1));
  BOOST_CHECK_THROW(conv2d_relu(at[0], at[0], at[2]), ShapeError);
  BOOST_CHECK_THROW(conv2d_relu(at[0], at[1], at[1]), ShapeError);
  BOOST_CHECK_THROW(conv2d_relu(at[0], at[1].to(float64), at[2]), DtypeError);
  BOOST_CHECK_THROW(conv2d_relu(at[0], at[1], at[2], {}, 0), ShapeError);
}
