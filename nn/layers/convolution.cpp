#include "nn/layers/convolution.h"

#include <fmt/format.h>

#include <cmath>

#include "nn/module/optional_parameter.h"

namespace wengert::nn {
namespace {

bool is(HeightWidth a, Index both) { return a.height == both && a.width == both; }

std::string text(HeightWidth a) { return a.height == a.width ? std::to_string(a.height) : fmt::format("({}, {})", a.height, a.width); }

/// "Conv2d(1, 16, kernel 5" and so on: what differs from the default is named.
class Label {
 public:
  explicit Label(std::string begin) : text_(std::move(begin)) {}
  Label& add(const char* name, HeightWidth value, Index usual) {
    if (!is(value, usual)) text_ += fmt::format(", {} {}", name, text(value));
    return *this;
  }
  Label& add(const char* name, bool differs) {
    if (differs) text_ += fmt::format(", {}", name);
    return *this;
  }
  operator std::string() const { return text_ + ')'; }

 private:
  std::string text_;
};

/// Sizes that make a weight; a ShapeError otherwise, before random numbers are drawn.
void check_sizes(const char* layer, Index in, Index out, HeightWidth kernel, Index groups) {
  std::string wrong;
  if (in < 0 || out < 0)
    wrong = "sizes cannot be negative";
  else if (kernel.height < 1 || kernel.width < 1)
    wrong = fmt::format("the kernel must be at least 1, not {}; give it, as in {{.kernel = 3}}", text(kernel));
  else if (groups < 1 || in % groups != 0 || out % groups != 0)
    wrong = fmt::format("{} groups do not divide the channels", groups);
  if (!wrong.empty()) throw ShapeError(fmt::format("{}({}, {}): {}", layer, in, out, wrong));
}

/// Weight and bias uniform on [-k, k), k = 1 / sqrt(fan), where the fan is what one position of the weight's first dimension holds.
void initialise(Parameter& weight, Parameter& bias, const Shape& shape, Index out, bool with_bias, Generator& generator) {
  checked_size("convolution layer", shape);
  Index fan = 1;
  for (int d = 1; d < shape.rank(); ++d) fan *= shape[d];
  const double k = fan > 0 ? 1 / std::sqrt(static_cast<double>(fan)) : 0;
  weight = Parameter(generator.uniform(shape, -k, k));
  if (with_bias) bias = Parameter(generator.uniform({out}, -k, k));
}

void check_input(const Module& layer, const Tensor& x, int rank, Index channels, const char* form, Location site) {
  if (x.rank() == rank && x.size(1) == channels) return;
  throw ShapeError(fmt::format("{} at {}: the input must be (n, {}, {}), but it is {}{}", layer.label(), to_string(site), channels, form,
                               describe(x), x.rank() == rank - 1 ? "; did you mean unsqueeze(input, 0)?" : ""));
}

}  // namespace

Conv1d::Conv1d(Index in, Index out, Conv1dOptions options, Generator& generator) : options(options) {
  check_sizes("Conv1d", in, out, options.kernel, options.groups);
  initialise(weight, bias, {out, in / options.groups, options.kernel}, out, options.bias, generator);
}

Tensor Conv1d::operator()(const Tensor& x, Location site) const {
  check_input(*this, x, 3, in(), "length", site);
  return conv1d(x, weight, or_undefined(bias),
                {.stride = options.stride, .padding = options.padding, .dilation = options.dilation, .groups = options.groups}, site);
}

std::string Conv1d::label() const {
  return Label(fmt::format("Conv1d({}, {}, kernel {}", in(), out(), options.kernel))
      .add("stride", options.stride, 1)
      .add("padding", options.padding, 0)
      .add("dilation", options.dilation, 1)
      .add("groups", options.groups, 1)
      .add("no bias", !options.bias);
}

Conv2d::Conv2d(Index in, Index out, Conv2dOptions options, Generator& generator) : options(options) {
  check_sizes("Conv2d", in, out, options.kernel, options.groups);
  initialise(weight, bias, {out, in / options.groups, options.kernel.height, options.kernel.width}, out, options.bias, generator);
}

namespace {

wengert::Conv2dOptions of_operation(const Conv2dOptions& o) {
  return {.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups};
}

}  // namespace

Tensor Conv2d::operator()(const Tensor& x, Location site) const {
  check_input(*this, x, 4, in(), "height, width", site);
  return conv2d(x, weight, or_undefined(bias), of_operation(options), site);
}

Tensor Conv2d::with_relu(const Tensor& x, Index pool, Location site) const {
  check_input(*this, x, 4, in(), "height, width", site);
  return conv2d_relu(x, weight, or_undefined(bias), of_operation(options), pool, site);
}

std::string Conv2d::label() const {
  return Label(fmt::format("Conv2d({}, {}, kernel {}", in(), out(), text(options.kernel)))
      .add("stride", options.stride, 1)
      .add("padding", options.padding, 0)
      .add("dilation", options.dilation, 1)
      .add("groups", options.groups, 1)
      .add("no bias", !options.bias);
}

ConvTranspose2d::ConvTranspose2d(Index in, Index out, ConvTranspose2dOptions options, Generator& generator) : options(options) {
  check_sizes("ConvTranspose2d", in, out, options.kernel, options.groups);
  initialise(weight, bias, {in, out / options.groups, options.kernel.height, options.kernel.width}, out, options.bias, generator);
}

Tensor ConvTranspose2d::operator()(const Tensor& x, Location site) const {
  check_input(*this, x, 4, in(), "height, width", site);
  return conv_transpose2d(x, weight, or_undefined(bias),
                          {.stride = options.stride,
                           .padding = options.padding,
                           .output_padding = options.output_padding,
                           .dilation = options.dilation,
                           .groups = options.groups},
                          site);
}

std::string ConvTranspose2d::label() const {
  return Label(fmt::format("ConvTranspose2d({}, {}, kernel {}", in(), out(), text(options.kernel)))
      .add("stride", options.stride, 1)
      .add("padding", options.padding, 0)
      .add("output padding", options.output_padding, 0)
      .add("dilation", options.dilation, 1)
      .add("groups", options.groups, 1)
      .add("no bias", !options.bias);
}

std::string MaxPool2d::label() const {
  return Label(fmt::format("MaxPool2d({}", text(kernel)))
      .add("stride", options.stride, 0)
      .add("padding", options.padding, 0)
      .add("dilation", options.dilation, 1)
      .add("ceil mode", options.ceil_mode);
}

std::string AvgPool2d::label() const {
  return Label(fmt::format("AvgPool2d({}", text(kernel)))
      .add("stride", options.stride, 0)
      .add("padding", options.padding, 0)
      .add("ceil mode", options.ceil_mode)
      .add("padding not counted", !options.count_include_pad);
}

std::string AdaptiveAvgPool2d::label() const { return fmt::format("AdaptiveAvgPool2d({})", text(size)); }

}  // namespace wengert::nn
