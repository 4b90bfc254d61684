#include <autodiff/autodiff.h>
#include <autodiff/kernels/convolution.h>
#include <autodiff/runtime.h>
#include <autodiff/transforms/gradcheck.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of, testing::text_of;

namespace {

using kernels::Convolution;
using kernels::WindowAxis;

// ---- a naive version of the kernels ------------------------------------------------------------------------------------------------

// f(position in x, position in the weight, position in y, output channel) for every product of the form.
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

// Multiples of 1/8 up to 1: sums of them are exact in both precisions.
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

// The three kernels against sums in the order of the formula. All sums are exact.
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
  // With more channels in a group.
  for (int i = 0; i < 40; ++i) {
    const Index groups = 1 + below(2);
    check_both({1 + below(3), groups * (1 + below(8)), groups * (5 + below(4)), groups, random_axis(), random_axis()});
  }
}

BOOST_AUTO_TEST_CASE(kernels_at_sizes_of_networks) {
  const WindowAxis same = axis(9, 3, 1, 1, 1), one = axis(7, 1, 1, 0, 1);
  check_both({3, 16, 32, 1, same, same});  // 3 x 3, padded
  check_both({11, 1, 16, 1, axis(12, 5, 1, 0, 1), axis(12, 5, 1, 0, 1)});
  check_both({2, 32, 16, 1, one, one});     // pointwise
  check_both({2, 24, 24, 24, same, same});  // depthwise
  check_both({2, 3, 6, 3, axis(70, 3, 1, 1, 1), axis(70, 5, 1, 2, 1)});
  check_both({2, 3, 3, 3, axis(70, 5, 2, 2, 1), axis(131, 3, 2, 1, 1)});
  check_both({2, 8, 8, 1, axis(16, 4, 2, 1, 1), axis(16, 4, 2, 1, 1)});
  // Batches of images that are so small that several are taken together.
  check_both({37, 6, 10, 1, axis(8, 4, 2, 1, 1), axis(8, 4, 2, 1, 1)});
  check_both({20, 10, 20, 2, axis(5, 3, 2, 1, 1), axis(7, 3, 1, 0, 2)});
  check_both({70, 3, 5, 1, axis(4, 1, 1, 0, 1), axis(3, 1, 1, 0, 1)});
}

// A single row of the matrix of columns may be too long for a tile.
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

// ---- operations ---------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(sequences_are_images_of_height_1) {
  Generator random(3);
  const Tensor x = random.normal({2, 4, 9}), w = random.normal({6, 2, 3}), b = random.normal({6});
  const Tensor y = conv1d(x, w, b, {.stride = 2, .padding = 3, .dilation = 2, .groups = 2});
  const Tensor image = conv2d(unsqueeze(x, 2), unsqueeze(w, 2), b, {.stride = {1, 2}, .padding = {0, 3}, .dilation = {1, 2}, .groups = 2});
  BOOST_TEST((y.shape() == Shape{2, 6, 6}));
  BOOST_TEST(y.to_vector<float>() == squeeze(image, 2).to_vector<float>(), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(results_have_the_same_bits_for_any_number_of_threads) {
  Generator random(3);
  const Tensor x = random.normal({9, 8, 14, 14}), b = random.normal({16});
  const auto results = [&](int threads, const Tensor& w, const Conv2dOptions& options) {
    set_num_threads(threads);
    Tape tape;
    const Tensor v = tape.variable(x), u = tape.variable(w), t = tape.variable(b);
    const Tensor y = max_pool2d(conv2d(v, u, t, options), 2);
    const auto [dx, dw, db] = tape.gradient(sum(square(y)), v, u, t);
    std::vector<float> all = y.to_vector<float>();
    for (const Tensor& g : {dx, dw, db}) {
      const auto values = g.to_vector<float>();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  for (const auto& [channels, options] : {std::pair<Index, Conv2dOptions>{8, {.padding = 1}},
                                          {8, {.stride = 2, .padding = 1}},
                                          {1, {.padding = 1, .groups = 8}},
                                          {1, {.stride = 2, .groups = 8}}}) {
    const Tensor w = random.normal({16, channels, 3, 3});
    const auto one = results(1, w, options);
    BOOST_TEST(results(2, w, options) == one, boost::test_tools::per_element());
    BOOST_TEST(results(5, w, options) == one, boost::test_tools::per_element());
    BOOST_TEST(results(16, w, options) == one, boost::test_tools::per_element());
  }
  set_num_threads(2);
}

BOOST_AUTO_TEST_CASE(batches_of_nothing_have_shapes_and_zero_gradients) {
  const Tensor x = Tensor::zeros({0, 2, 5, 5}), w = Tensor::ones({3, 2, 3, 3}), b = Tensor::ones({3});
  Tape tape;
  const Tensor v = tape.variable(x), u = tape.variable(w), t = tape.variable(b);
  const Tensor y = conv2d(v, u, t, {.stride = 2});
  BOOST_TEST((y.shape() == Shape{0, 3, 2, 2}));
  const auto [dx, dw, db] = tape.gradient(sum(y), v, u, t);
  BOOST_TEST((dx.shape() == x.shape()));
  BOOST_TEST(max(abs(dw)).item() == 0);
  BOOST_TEST(max(abs(db)).item() == 0);
  BOOST_TEST((conv_transpose2d(Tensor::zeros({0, 3, 2, 2}), w).shape() == Shape{0, 2, 4, 4}));
  BOOST_TEST((conv2d(Tensor::zeros({2, 0, 5, 5}), Tensor::zeros({3, 0, 3, 3}), b).to_vector<float>() == std::vector<float>(54, 1)));
}

BOOST_AUTO_TEST_CASE(a_stride_beyond_the_input_takes_one_window) {
  const Tensor x = Tensor::ones({1, 1, 3, 3}), w = Tensor::ones({1, 1, 2, 2});
  constexpr Index huge = std::numeric_limits<Index>::max();
  BOOST_TEST(conv2d(x, w, {.stride = huge}).item() == 4);
  BOOST_TEST(conv2d(x, Tensor::ones({1, 1, 1, 1}), {.dilation = huge}).size() == 9);
  BOOST_TEST(conv_transpose2d(Tensor::ones({1, 1, 1, 1}), w, {.stride = huge}).size() == 4);
  // With channels enough for other kernels, and with gradients.
  const Tensor wide = Tensor::ones({1, 8, 3, 12}), of_wide = Tensor::ones({8, 8, 2, 3});
  const auto gradients = [&](Index stride) {
    Tape tape;
    const Tensor a = tape.variable(wide), b = tape.variable(of_wide);
    const auto [a_bar, b_bar] = tape.gradient(sum(conv2d(a, b, {.stride = {stride, 1}})), a, b);
    return concat({flatten(a_bar), flatten(b_bar)}).to_vector<float>();
  };
  BOOST_TEST(gradients(huge) == gradients(2), boost::test_tools::per_element());
  BOOST_TEST(conv2d(wide, Tensor::ones({8, 8, 1, 3}), {.dilation = {huge, 1}}).size() == 8 * 3 * 10);
  BOOST_TEST(conv2d(Tensor::ones({0, 8, 30, 30}), of_wide, {.stride = 2}).size() == 0);
}

BOOST_AUTO_TEST_CASE(the_bias_alone_and_the_weight_alone) {
  Generator random(3);
  const Tensor x = random.normal({2, 2, 4, 4}, 0, 1, float64), w = random.normal({3, 2, 2, 2}, 0, 1, float64);
  const Tensor b = random.normal({3}, 0, 1, float64);
  const auto of = [&](auto&& f, const Tensor& at) { return check_gradient(f, {at}); };
  for (const auto& check :
       {of([&](const Tensor& t) { return conv2d(x, w, t); }, b), of([&](const Tensor& t) { return conv2d(x, t, b); }, w),
        of([&](const Tensor& t) { return conv2d(t, w, b); }, x),
        of([&](const Tensor& t) { return conv_transpose2d(x, transpose(w, 0, 1), t, {.stride = 2}); }, b),
        of([&](const Tensor& t) { return conv_transpose2d(x, t); }, transpose(w, 0, 1))})
    BOOST_TEST(check.passed(), check.to_string());
}

// The gradient with respect to the bias, which is computed with that of the weight, differentiated with respect to only one of the
// operands.
BOOST_AUTO_TEST_CASE(second_derivatives_through_the_gradient_of_the_bias) {
  Generator random(3);
  const Tensor x = random.normal({2, 2, 4, 4}, 0, 1, float64), w = random.normal({3, 2, 2, 2}, 0, 1, float64);
  const Tensor b = random.normal({3}, 0, 1, float64);
  Tape tape;
  const Tensor u = tape.variable(w), t = tape.variable(b);
  const auto [dw, db] = tape.differentiable_gradient(sum(exp(conv2d(x, u, t))), u, t);
  const auto [dbw, dbb] = tape.gradient(sum(db), u, t);
  // d/db sum(db) = sum over all outputs of exp(y) = db itself; by the weight it is dw of the same sum.
  const auto close = [](const Tensor& p, const Tensor& q) {
    const Tensor difference = abs(p.constant() - q.constant());
    return max(difference).item() <= 1e-12 * max(abs(q.constant())).item();
  };
  BOOST_TEST(close(dbb, db));
  BOOST_TEST(close(dbw, dw));
}

// ---- errors -------------------------------------------------------------------------------------------------------------------------

namespace {

const Tensor image = Tensor::zeros({1, 4, 8, 6});
const std::string image_made = "test_convolution.cpp:" + std::to_string(__LINE__ - 1);
const Tensor filters = Tensor::zeros({6, 4, 3, 3});
const std::string filters_made = "test_convolution.cpp:" + std::to_string(__LINE__ - 1);
constexpr Index kHuge = std::numeric_limits<Index>::max();

// The whole message of a ShapeError, but for the line of the call.
void check_refused(const std::string& expected, const std::function<Tensor()>& call) {
  Tape tape;
  BOOST_TEST(text_of<ShapeError>(call) == expected);
  BOOST_TEST(tape.nodes() == 0u);
}

std::string conv2d_refused(const std::string& what) {
  return "conv2d: " + what + ": input (1, 4, 8, 6) float32 made at " + image_made + ", weight (6, 4, 3, 3) float32 made at " + filters_made;
}

}  // namespace

BOOST_AUTO_TEST_CASE(convolutions_that_do_not_fit_are_explained) {
  const auto conv2d_with = [](const Conv2dOptions& options) { return [options] { return conv2d(image, filters, options); }; };
  check_refused(conv2d_refused("the stride of the width must be at least 1, not 0"), conv2d_with({.stride = {1, 0}}));
  check_refused(conv2d_refused("the padding of the height must be at least 0, not -1"), conv2d_with({.padding = -1}));
  check_refused(conv2d_refused("the dilation of the height must be at least 1, not 0"), conv2d_with({.dilation = 0}));
  check_refused(conv2d_refused("4 input and 6 output channels cannot be divided into 0 groups"), conv2d_with({.groups = 0}));
  check_refused(conv2d_refused("4 input and 6 output channels cannot be divided into 4 groups"), conv2d_with({.groups = 4}));
  check_refused(conv2d_refused("the input has 4 channels, 2 in each group, but the weight takes 4"), conv2d_with({.groups = 2}));
  check_refused(conv2d_refused("a kernel of 3 with dilation 3 is larger than the width 6 with padding 0"), conv2d_with({.dilation = 3}));
  check_refused(conv2d_refused("a kernel of 3 with dilation 9223372036854775807 is larger than the height 8 with padding 1"),
                conv2d_with({.padding = 1, .dilation = kHuge}));
  check_refused(conv2d_refused("a height with kernel 3 and padding 9223372036854775807 overflows"), conv2d_with({.padding = kHuge}));
  BOOST_TEST(contains(message_of<ShapeError>(conv2d_with({.padding = Index(1) << 40})), "conv2d: "));
  const Tensor bias = Tensor::zeros({4});
  check_refused(conv2d_refused("the bias must have the shape (6,)") + ", bias " + describe(bias),
                [&] { return conv2d(image, filters, bias); });
  const Tensor one_image = Tensor::zeros({4, 8, 6});
  const std::string message = message_of<ShapeError>([&] { return conv2d(one_image, filters); });
  BOOST_TEST(contains(message,
                      "conv2d: input and weight must be (n, in, height, width) and (out, in / groups, kernel height, kernel width): input "
                      "(4, 8, 6) float32 made at test_convolution.cpp:"));
  BOOST_TEST(contains(message, "; hint: unsqueeze(input, 0) makes a batch of one"));
  BOOST_TEST(contains(message_of<ShapeError>([] { return conv2d(Tensor::zeros({1, 4, 0, 6}), filters); }), "the height is 0"));
  BOOST_TEST(contains(message_of<ShapeError>([] {
                        return conv2d(image, Tensor::zeros({6, 4, 3, 0}));
                      }),
                      "the kernel of the width must be at least 1, not 0"));
  BOOST_TEST(contains(message_of<ShapeError>([] {
                        return conv1d(Tensor::zeros({1, 2, 4}), Tensor::zeros({1, 2, 5}));
                      }),
                      "conv1d: a kernel of 5 is larger than the length 4 with padding 0: input (1, 2, 4) float32 made at"));
  BOOST_TEST(contains(message_of<ShapeError>([] { return conv1d(image, filters); }),
                      "input and weight must be (n, in, length) and (out, in / groups, kernel): input"));
}

BOOST_AUTO_TEST_CASE(transposed_convolutions_that_do_not_fit_are_explained) {
  const auto refuses = [](const ConvTranspose2dOptions& options, const std::string& what) {
    const std::string message = message_of<ShapeError>([&] { return conv_transpose2d(image, transpose(filters, 0, 1), options); });
    BOOST_TEST(contains(message, "conv_transpose2d: " + what + ": input (1, 4, 8, 6) float32 made at "));
  };
  refuses({.output_padding = 1}, "output_padding 1 of the height must be at least 0 and smaller than the stride 1 or the dilation 1");
  refuses({.stride = 2, .output_padding = {0, -1}},
          "output_padding -1 of the width must be at least 0 and smaller than the stride 2 or the dilation 1");
  refuses({.padding = {0, 4}}, "padding 4 leaves nothing of the width");
  refuses({.groups = 3}, "4 input channels cannot be divided into 3 groups");
  refuses({.stride = kHuge}, "the height of the result overflows");
  refuses({.dilation = kHuge}, "the height of the result overflows");
  refuses({.stride = -1}, "the stride of the height must be at least 1, not -1");
  BOOST_TEST(contains(message_of<ShapeError>([] { return conv_transpose2d(image, filters); }),
                      "the input has 4 channels, but the weight takes 6"));
  BOOST_TEST(contains(message_of<ShapeError>([] {
                        return conv_transpose2d(Tensor::zeros({1, 0, 2, 2}), Tensor::zeros({0, 4, 2, 2}), {.groups = kHuge});
                      }),
                      "the number of output channels overflows"));
  BOOST_TEST(contains(message_of<ShapeError>([] { return conv_transpose2d(image, transpose(filters, 0, 1), Tensor::zeros({4})); }),
                      "the bias must have the shape (6,)"));
}

BOOST_AUTO_TEST_CASE(dtypes_that_do_not_fit_are_explained) {
  BOOST_TEST(contains(message_of<DtypeError>([] { return conv2d(image, filters.to(float64)); }), "conv2d: the dtypes differ"));
  BOOST_TEST(
      contains(message_of<DtypeError>([] { return conv2d(image, filters, Tensor::zeros({6}, float64)); }), "conv2d: the dtypes differ"));
  BOOST_TEST(contains(message_of<DtypeError>([] { return conv2d(image.to(int64), filters.to(int64)); }), "conv2d: "));
}
