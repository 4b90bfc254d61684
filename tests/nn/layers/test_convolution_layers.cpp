#include "nn/layers/convolution.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "autodiff/tape/tape.h"
#include "nn/layers/basic.h"
#include "nn/layers/sequential.h"
#include "tests/support/layers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::begins_at, testing::contains;
using testing::check_layer;
using testing::message_of;

namespace {

std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }

// Within 1% of the bounds, and not beyond them.
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
  const nn::Conv1d one(4, 6, 3, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2});
  BOOST_TEST(values(one(sequence)) ==
             values(conv1d(sequence, one.weight, one.bias, {.stride = 2, .padding = 1, .dilation = 2, .groups = 2})));
  const nn::Conv2d two(4, 6, {3, 2}, {.stride = 2, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2});
  BOOST_TEST(values(two(image)) ==
             values(conv2d(image, two.weight, two.bias, {.stride = 2, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2})));
  const nn::ConvTranspose2d up(4, 6, 3, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2});
  BOOST_TEST(values(up(image)) ==
             values(conv_transpose2d(image, up.weight, up.bias, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2})));
  BOOST_TEST(values(nn::MaxPool2d(3, {.stride = 2, .padding = 1})(image)) == values(max_pool2d(image, 3, {.stride = 2, .padding = 1})));
  BOOST_TEST(values(nn::AvgPool2d(2, {.ceil_mode = true})(image)) == values(avg_pool2d(image, 2, {.ceil_mode = true})));
  BOOST_TEST(values(nn::AdaptiveAvgPool2d({3, 1})(image)) == values(adaptive_avg_pool2d(image, {3, 1})));
}

BOOST_AUTO_TEST_CASE(weights_have_the_layouts_of_pytorch) {
  BOOST_TEST((nn::Conv1d(4, 6, 3, {.groups = 2}).weight.shape() == Shape{6, 2, 3}));
  BOOST_TEST((nn::Conv2d(4, 6, {3, 5}, {.groups = 2}).weight.shape() == Shape{6, 2, 3, 5}));
  const nn::ConvTranspose2d up(4, 6, {3, 5}, {.groups = 2});
  BOOST_TEST((up.weight.shape() == Shape{4, 3, 3, 5}));
  BOOST_TEST((up.bias.shape() == Shape{6}));
  BOOST_TEST(up.in() == 4);
  BOOST_TEST(up.out() == 6);
}

BOOST_AUTO_TEST_CASE(layers_without_bias) {
  const Tensor image = Tensor::ones({1, 2, 4, 4});
  const nn::Conv2d layer(2, 3, 3, {.bias = false});
  BOOST_TEST(layer.parameters().size() == 1u);
  BOOST_TEST(values(layer(image)) == values(conv2d(image, layer.weight)));
  const nn::ConvTranspose2d up(2, 3, 3, {.bias = false});
  BOOST_TEST(values(up(image)) == values(conv_transpose2d(image, up.weight)));
  BOOST_TEST(nn::Conv1d(2, 3, 3, {.bias = false}).parameters().size() == 1u);
}

// PyTorch's first values: uniform up to 1 / sqrt(fan), where a transposed convolution's fan counts its output channels.
BOOST_AUTO_TEST_CASE(parameters_start_uniform) {
  Generator random(5);
  const nn::Conv2d two(8, 500, {5, 10}, {.groups = 2}, random);
  check_uniform(two.weight, 1 / std::sqrt(200.0));
  check_uniform(two.bias, 1 / std::sqrt(200.0));
  const nn::Conv1d one(25, 500, 4, {}, random);
  check_uniform(one.weight, 0.1);
  const nn::ConvTranspose2d up(10, 400, 5, {}, random);
  check_uniform(up.weight, 0.01);
  check_uniform(up.bias, 0.01);
  Generator again(5);
  BOOST_TEST(values(nn::Conv2d(8, 500, {5, 10}, {.groups = 2}, again).weight.value()) == values(two.weight.value()));
}

BOOST_AUTO_TEST_CASE(parameters_get_gradients) {
  nn::Conv2d layer(1, 2, 2);
  Tape tape;
  const Tensor x = Tensor::from({1, 2, 3, 4}, {1, 1, 2, 2});
  const auto [w_bar, b_bar] = tape.gradient(sum(layer(x) * Tensor::from({1, 10}, {2, 1, 1})), layer.weight, layer.bias);
  BOOST_TEST(values(w_bar) == (std::vector<double>{1, 2, 3, 4, 10, 20, 30, 40}));
  BOOST_TEST(values(b_bar) == (std::vector<double>{1, 10}));
}

BOOST_AUTO_TEST_CASE(a_copy_has_parameters_and_options_of_its_own) {
  nn::Conv2d layer(1, 1, 2, {.stride = 2}), other(1, 1, 2);
  const nn::Conv2d copy = layer;
  layer.weight = Tensor::ones({1, 1, 2, 2});
  BOOST_TEST(values(copy.weight.value()) != values(layer.weight.value()));
  other = layer;
  const Tensor x = Tensor::ones({1, 1, 4, 4});
  BOOST_TEST(values(other(x)) == values(layer(x)));
}

BOOST_AUTO_TEST_CASE(layers_describe_themselves_and_their_outputs) {
  const nn::Sequential model(nn::Conv2d(1, 16, 5), nn::ReLU(), nn::MaxPool2d(2),
                             nn::Conv2d(16, 8, {3, 1}, {.stride = {1, 2}, .padding = 1, .groups = 4, .bias = false}),
                             nn::ConvTranspose2d(8, 4, 2, {.stride = 2, .output_padding = 1}),
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
  BOOST_TEST(nn::Conv1d(2, 3, 4, {.dilation = 2}).label() == "Conv1d(2, 3, kernel 4, dilation 2)");
  BOOST_TEST(nn::MaxPool2d(3, {.padding = 1, .dilation = 2, .ceil_mode = true}).label() ==
             "MaxPool2d(3, padding 1, dilation 2, ceil mode)");
}

BOOST_AUTO_TEST_CASE(layers_name_themselves_and_the_input_in_errors) {
  const nn::Conv2d layer(3, 16, 5);
  const std::string message = message_of<ShapeError>([&] { static_cast<void>(layer(Tensor::zeros({1, 28, 28}))); });
  BOOST_TEST(begins_at(message, "test_convolution_layers.cpp", "Conv2d(3, 16, kernel 5): "));
  BOOST_TEST(
      contains(message, ": the input must be (n, 3, height, width): input (1, 28, 28) float32 made at test_convolution_layers.cpp:"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { static_cast<void>(layer(Tensor::zeros({1, 1, 28, 28}))); }), "(n, 3, height, width)"));
  BOOST_TEST(contains(message_of<ShapeError>([&] {
                        static_cast<void>(layer(Tensor::zeros({1, 3, 4, 28})));
                      }),
                      "conv2d: a kernel of 5 is larger than the height 4 with padding 0: input (1, 3, 4, 28)"));
  BOOST_TEST(contains(message_of<ShapeError>([] {
                        static_cast<void>(nn::Conv1d(2, 3, 3)(Tensor::zeros({2, 2, 5, 5})));
                      }),
                      "the input must be (n, 2, length)"));
}

// The usual mistakes with images: no batch, no channels, channels last, all of it.
BOOST_AUTO_TEST_CASE(errors_say_how_the_input_becomes_one_that_fits) {
  const auto hint = [](const auto& layer, const Shape& input) {
    const std::string message = message_of<ShapeError>([&] { static_cast<void>(layer(Tensor::zeros(input))); });
    const std::size_t at = message.find("; hint: ");
    return at == std::string::npos ? "" : message.substr(at + 8);
  };
  const nn::Conv2d gray(1, 8, 3), colour(3, 8, 3);
  BOOST_TEST(hint(gray, {64, 28, 28}) == "unsqueeze(input, 1)");
  BOOST_TEST(hint(gray, {1, 28, 28}) == "unsqueeze(input, 0)");
  BOOST_TEST(hint(gray, {64, 28, 28, 1}) == "permute(input, {0, 3, 1, 2})");
  BOOST_TEST(hint(gray, {28, 28}) == "reshape(input, {1, 1, 28, 28}) for one image");
  BOOST_TEST(hint(gray, {64, 784}) == "reshape(input, {64, 1, height, width})");
  BOOST_TEST(hint(colour, {3, 32, 32}) == "unsqueeze(input, 0)");
  BOOST_TEST(hint(colour, {4, 32, 32, 3}) == "permute(input, {0, 3, 1, 2})");
  BOOST_TEST(hint(colour, {32, 32, 3}) == "unsqueeze(permute(input, {2, 0, 1}), 0)");
  BOOST_TEST(hint(colour, {64, 3072}) == "reshape(input, {64, 3, height, width})");
  BOOST_TEST(hint(colour, {4, 1, 32, 32}) == "");
  BOOST_TEST(hint(colour, {64, 28, 28}) == "");
  const nn::Conv1d sequences(2, 8, 3), one(1, 8, 3);
  BOOST_TEST(hint(sequences, {5, 9, 2}) == "transpose(input, 1, 2)");
  BOOST_TEST(hint(sequences, {2, 9}) == "unsqueeze(input, 0)");
  BOOST_TEST(hint(sequences, {9, 2}) == "unsqueeze(transpose(input), 0)");
  BOOST_TEST(hint(one, {5, 9}) == "unsqueeze(input, 1)");
}

BOOST_AUTO_TEST_CASE(the_input_must_have_the_dtype_of_the_weight) {
  const nn::Conv2d layer(3, 8, 3);
  const std::string message = message_of<DtypeError>([&] { static_cast<void>(layer(Tensor::zeros({1, 3, 9, 9}, float64))); });
  BOOST_TEST(begins_at(message, "test_convolution_layers.cpp", "Conv2d(3, 8, kernel 3): "));
  BOOST_TEST(contains(message, "weight of Conv2d(3, 8, kernel 3) (8, 3, 3, 3) float32"));
  BOOST_TEST(contains(message, "; hint: input.to(float32), or model.to(float64)"));
}

BOOST_AUTO_TEST_CASE(layers_visit_all_that_they_read) {
  const Tensor sequence = Tensor::ones({2, 4, 9}), image = Tensor::ones({2, 4, 9, 7});
  check_layer(nn::Conv1d(4, 6, 3), sequence);
  check_layer(nn::Conv2d(4, 6, 3, {.groups = 2}), image);
  check_layer(nn::Conv2d(4, 6, {3, 1}, {.bias = false}), image);
  check_layer(nn::ConvTranspose2d(4, 6, 3, {.stride = 2}), image);
  check_layer(nn::MaxPool2d(2), image);
  check_layer(nn::AvgPool2d(2), image);
  check_layer(nn::AdaptiveAvgPool2d(1), image);
}

BOOST_AUTO_TEST_CASE(sizes_that_make_no_layer_are_refused) {
  const auto refuses = [](auto&& make, const std::string& layer, const std::string& problem) {
    const std::string message = message_of<ShapeError>(make);
    BOOST_TEST(begins_at(message, "test_convolution_layers.cpp", layer + ": "));
    BOOST_TEST(contains(message, ": " + problem));
  };
  refuses([] { nn::Conv2d(1, 16, 0); }, "Conv2d(1, 16, kernel 0)", "kernel must be at least 1, but it is 0");
  refuses([] { nn::Conv2d(3, 16, 3, {.groups = 2}); }, "Conv2d(3, 16, kernel 3, groups 2)",
          "groups = 2 must divide the channels, and 3 is not a multiple of it");
  refuses([] { nn::Conv1d(-1, 16, 3); }, "Conv1d(-1, 16, kernel 3)", "in must be at least 0, but it is -1");
  refuses([] { nn::Conv2d(1, 16, 3, {.stride = 0}); }, "Conv2d(1, 16, kernel 3, stride 0)", "stride must be at least 1, but it is 0");
  refuses([] { nn::Conv2d(1, 16, 3, {.padding = -1}); }, "Conv2d(1, 16, kernel 3, padding -1)", "padding must be at least 0, but it is -1");
  refuses([] { nn::Conv1d(1, 16, 3, {.dilation = 0}); }, "Conv1d(1, 16, kernel 3, dilation 0)", "dilation must be at least 1, but it is 0");
  refuses([] { nn::ConvTranspose2d(4, 6, {2, -3}); }, "ConvTranspose2d(4, 6, kernel (2, -3))", "kernel must be at least 1, but it is -3");
  refuses([] { nn::ConvTranspose2d(4, 6, 3, {.output_padding = 1}); }, "ConvTranspose2d(4, 6, kernel 3, output padding 1)",
          "output_padding must be less than the stride or the dilation, but it is 1");
  refuses([] { nn::MaxPool2d(0); }, "MaxPool2d(0)", "kernel must be at least 1, but it is 0");
  refuses([] { nn::MaxPool2d(2, {.padding = 2}); }, "MaxPool2d(2, padding 2)", "padding must be at most half the kernel, but it is 2");
  refuses([] { nn::MaxPool2d(2, {.dilation = 0}); }, "MaxPool2d(2, dilation 0)", "dilation must be at least 1, but it is 0");
  refuses([] { nn::AvgPool2d(2, {.stride = -1}); }, "AvgPool2d(2, stride -1)", "stride must be at least 0, but it is -1");
  refuses([] { nn::AdaptiveAvgPool2d(0); }, "AdaptiveAvgPool2d(0)", "size must be at least 1, but it is 0");
}

BOOST_AUTO_TEST_CASE(images_without_channels) {
  const nn::Conv2d layer(0, 8, 3);
  const Tensor y = layer(Tensor::zeros({1, 0, 8, 8}));
  BOOST_TEST((y.shape() == Shape{1, 8, 6, 6}));
}
