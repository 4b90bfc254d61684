#include "nn/layers/convolution.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "autodiff/tape/tape.h"
#include "nn/layers/basic.h"
#include "nn/layers/sequential.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of;

namespace {

std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }

/// Within 1% of the bounds, and not beyond them.
void check_uniform(const Parameter& p, double bound) {
  const auto v = values(p.value());
  const auto [low, high] = std::minmax_element(v.begin(), v.end());
  BOOST_TEST(*low >= -bound);
  BOOST_TEST(*high < bound);
  BOOST_TEST(*low < -0.99 * bound);
  BOOST_TEST(*high > 0.99 * bound);
}

}  // namespace

BOOST_AUTO_TEST_CASE(layers_are_their_operations) {
  Generator random(5);
  const Tensor sequence = random.normal({2, 4, 9}), image = random.normal({2, 4, 9, 7});
  const nn::Conv1d one(4, 6, {.kernel = 3, .stride = 2, .padding = 1, .dilation = 2, .groups = 2});
  BOOST_TEST(values(one(sequence)) ==
             values(conv1d(sequence, one.weight, one.bias, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2})));
  const nn::Conv2d two(4, 6, {.kernel = {3, 2}, .stride = 2, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2});
  BOOST_TEST(values(two(image)) ==
             values(conv2d(image, two.weight, two.bias, {.stride = 2, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2})));
  const nn::ConvTranspose2d up(4, 6, {.kernel = 3, .stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
  BOOST_TEST(values(up(image)) ==
             values(conv_transpose2d(image, up.weight, up.bias, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2})));
  BOOST_TEST(values(nn::MaxPool2d(3, {.stride = 2, .padding = 1})(image)) == values(max_pool2d(image, 3, {.stride = 2, .padding = 1})));
  BOOST_TEST(values(nn::AvgPool2d(2, {.ceil_mode = true})(image)) == values(avg_pool2d(image, 2, {.ceil_mode = true})));
  BOOST_TEST(values(nn::AdaptiveAvgPool2d({3, 1})(image)) == values(adaptive_avg_pool2d(image, {3, 1})));
}

BOOST_AUTO_TEST_CASE(weights_have_the_layouts_of_pytorch) {
  BOOST_TEST((nn::Conv1d(4, 6, {.kernel = 3, .groups = 2}).weight.shape() == Shape{6, 2, 3}));
  BOOST_TEST((nn::Conv2d(4, 6, {.kernel = {3, 5}, .groups = 2}).weight.shape() == Shape{6, 2, 3, 5}));
  const nn::ConvTranspose2d up(4, 6, {.kernel = {3, 5}, .groups = 2});
  BOOST_TEST((up.weight.shape() == Shape{4, 3, 3, 5}));
  BOOST_TEST((up.bias.shape() == Shape{6}));
  BOOST_TEST(up.in() == 4);
  BOOST_TEST(up.out() == 6);
}

BOOST_AUTO_TEST_CASE(layers_without_bias) {
  const Tensor image = Tensor::ones({1, 2, 4, 4});
  const nn::Conv2d layer(2, 3, {.kernel = 3, .bias = false});
  BOOST_TEST(layer.parameters().size() == 1u);
  BOOST_TEST(values(layer(image)) == values(conv2d(image, layer.weight)));
  const nn::ConvTranspose2d up(2, 3, {.kernel = 3, .bias = false});
  BOOST_TEST(values(up(image)) == values(conv_transpose2d(image, up.weight)));
  BOOST_TEST(nn::Conv1d(2, 3, {.kernel = 3, .bias = false}).parameters().size() == 1u);
}

// PyTorch's first values: uniform up to 1 / sqrt(fan), where a transposed convolution's fan counts its output channels.
BOOST_AUTO_TEST_CASE(parameters_start_uniform) {
  Generator random(5);
  const nn::Conv2d two(8, 500, {.kernel = {5, 10}, .groups = 2}, random);
  check_uniform(two.weight, 1 / std::sqrt(200.0));
  check_uniform(two.bias, 1 / std::sqrt(200.0));
  const nn::Conv1d one(25, 500, {.kernel = 4}, random);
  check_uniform(one.weight, 0.1);
  const nn::ConvTranspose2d up(10, 400, {.kernel = 5}, random);
  check_uniform(up.weight, 0.01);
  check_uniform(up.bias, 0.01);
  Generator again(5);
  BOOST_TEST(values(nn::Conv2d(8, 500, {.kernel = {5, 10}, .groups = 2}, again).weight.value()) == values(two.weight.value()));
}

BOOST_AUTO_TEST_CASE(parameters_get_gradients) {
  nn::Conv2d layer(1, 2, {.kernel = 2});
  Tape tape;
  const Tensor x = Tensor::from({1, 2, 3, 4}, {1, 1, 2, 2});
  const auto [w_bar, b_bar] = tape.gradient(sum(layer(x) * Tensor::from({1, 10}, {2, 1, 1})), layer.weight, layer.bias);
  BOOST_TEST(values(w_bar) == (std::vector<double>{1, 2, 3, 4, 10, 20, 30, 40}));
  BOOST_TEST(values(b_bar) == (std::vector<double>{1, 10}));
}

BOOST_AUTO_TEST_CASE(a_copy_has_parameters_and_options_of_its_own) {
  nn::Conv2d layer(1, 1, {.kernel = 2, .stride = 2}), other(1, 1, {.kernel = 2});
  const nn::Conv2d copy = layer;
  layer.weight = Tensor::ones({1, 1, 2, 2});
  BOOST_TEST(values(copy.weight.value()) != values(layer.weight.value()));
  other = layer;
  const Tensor x = Tensor::ones({1, 1, 4, 4});
  BOOST_TEST(values(other(x)) == values(layer(x)));
}

BOOST_AUTO_TEST_CASE(layers_describe_themselves_and_their_outputs) {
  const nn::Sequential model(nn::Conv2d(1, 16, {.kernel = 5}), nn::ReLU(), nn::MaxPool2d(2),
                             nn::Conv2d(16, 8, {.kernel = {3, 1}, .stride = {1, 2}, .padding = 1, .groups = 4, .bias = false}),
                             nn::ConvTranspose2d(8, 4, {.kernel = 2, .stride = 2, .output_padding = 1}),
                             nn::AvgPool2d({2, 3}, {.stride = 1, .count_include_pad = false}), nn::AdaptiveAvgPool2d(1), nn::Flatten());
  const std::string expected =
      "   layer                                                                      output           parameters\n"
      "   input                                                                      (8, 1, 28, 28)\n"
      "0  Conv2d(1, 16, kernel 5)                                                    (8, 16, 24, 24)         416\n"
      "1  ReLU                                                                       (8, 16, 24, 24)           0\n"
      "2  MaxPool2d(2)                                                               (8, 16, 12, 12)           0\n"
      "3  Conv2d(16, 8, kernel (3, 1), stride (1, 2), padding 1, groups 4, no bias)  (8, 8, 12, 7)            96\n"
      "4  ConvTranspose2d(8, 4, kernel 2, stride 2, output padding 1)                (8, 4, 25, 15)          132\n"
      "5  AvgPool2d((2, 3), stride 1, padding not counted)                           (8, 4, 24, 13)            0\n"
      "6  AdaptiveAvgPool2d(1)                                                       (8, 4, 1, 1)              0\n"
      "7  Flatten                                                                    (8, 4)                    0\n"
      "   total                                                                      (8, 4)                  644";
  BOOST_TEST(model.summary({8, 1, 28, 28}) == expected);
  BOOST_TEST(nn::Conv1d(2, 3, {.kernel = 4, .dilation = 2}).label() == "Conv1d(2, 3, kernel 4, dilation 2)");
  BOOST_TEST(nn::MaxPool2d(3, {.padding = 1, .dilation = 2, .ceil_mode = true}).label() ==
             "MaxPool2d(3, padding 1, dilation 2, ceil mode)");
}

BOOST_AUTO_TEST_CASE(layers_name_themselves_and_the_input_in_errors) {
  const nn::Conv2d layer(3, 16, {.kernel = 5});
  const std::string message = message_of<ShapeError>([&] { static_cast<void>(layer(Tensor::zeros({1, 28, 28}))); });
  BOOST_TEST(contains(message, "Conv2d(3, 16, kernel 5) at test_convolution_layers.cpp:"));
  BOOST_TEST(
      contains(message, ": the input must be (n, 3, height, width), but it is (1, 28, 28) float32 made at test_convolution_layers.cpp:"));
  BOOST_TEST(contains(message, "; did you mean unsqueeze(input, 0)?"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { static_cast<void>(layer(Tensor::zeros({1, 1, 28, 28}))); }), "(n, 3, height, width)"));
  BOOST_TEST(contains(message_of<ShapeError>([&] {
                        static_cast<void>(layer(Tensor::zeros({1, 3, 4, 28})));
                      }),
                      "conv2d: a kernel of 5 is larger than the height 4 with padding 0: input (1, 3, 4, 28)"));
  BOOST_TEST(contains(message_of<ShapeError>([] {
                        static_cast<void>(nn::Conv1d(2, 3, {.kernel = 3})(Tensor::zeros({2, 2, 5, 5})));
                      }),
                      "the input must be (n, 2, length)"));
}

BOOST_AUTO_TEST_CASE(sizes_that_make_no_layer_are_refused) {
  const auto refuses = [](auto&& make, const std::string& expected) { BOOST_TEST(message_of<ShapeError>(make) == expected); };
  refuses([] { nn::Conv2d(1, 16, {}); }, "Conv2d(1, 16): the kernel must be at least 1, not 0; give it, as in {.kernel = 3}");
  refuses([] { nn::Conv2d(3, 16, {.kernel = 3, .groups = 2}); }, "Conv2d(3, 16): 2 groups do not divide the channels");
  refuses([] { nn::Conv1d(-1, 16, {.kernel = 3}); }, "Conv1d(-1, 16): sizes cannot be negative");
  refuses(
      [] {
        nn::ConvTranspose2d(4, 6, {.kernel = {2, -3}});
      },
      "ConvTranspose2d(4, 6): the kernel must be at least 1, not (2, -3); give it, as in {.kernel = 3}");
}

BOOST_AUTO_TEST_CASE(images_without_channels) {
  const nn::Conv2d layer(0, 8, {.kernel = 3});
  const Tensor y = layer(Tensor::zeros({1, 0, 8, 8}));
  BOOST_TEST((y.shape() == Shape{1, 8, 6, 6}));
}
