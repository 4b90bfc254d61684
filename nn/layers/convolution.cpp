#include "nn/layers/convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/error_text.h"
#include "nn/layers/layer_checks.h"
#include "nn/module/optional_parameter.h"

namespace wengert::nn {
namespace {

bool is(HeightWidth a, Index both) { return a.height == both && a.width == both; }

// "Conv2d(1, 16, kernel 5)" and so on: lists the options that differ from their defaults.
class Label {
 public:
  explicit Label(std::string begin) : text_(std::move(begin)) {}
  Label& add(const char* name, HeightWidth value, Index usual) {
    if (!is(value, usual)) text_ += fmt::format(", {} {}", name, to_text(value));
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

// The weight's shape, (out, in / groups, kernel...) or (in, out / groups, kernel...) of a transposed layer. A ShapeError for options that
// are out of range, before random numbers are drawn.
template <class Options> Shape weight_shape(const std::string& label, Index in, Index out, std::initializer_list<Index> kernel,
                                            const Options& options, bool transposed, Location site) {
  const OptionChecks checks(label, site);
  checks.at_least(0, "in", in).at_least(0, "out", out);
  for (const Index size : kernel) checks.at_least(1, "kernel", size);
  checks.at_least(1, "stride", options.stride).at_least(0, "padding", options.padding).at_least(1, "dilation", options.dilation);
  checks.divides("groups", options.groups, {in, out}, "the channels");
  if constexpr (requires { options.output_padding; }) {
    const HeightWidth extra = options.output_padding, stride = options.stride, dilation = options.dilation;
    checks.at_least(0, "output_padding", extra);
    if (extra.height >= std::max(stride.height, dilation.height) || extra.width >= std::max(stride.width, dilation.width))
      checks.size_error(fmt::format("output_padding must be less than the stride or the dilation, but it is {}", to_text(extra)));
  }
  const bool forward = !transposed;
  std::vector<Index> sizes{forward ? out : in, (forward ? in : out) / options.groups};
  sizes.insert(sizes.end(), kernel);
  Shape shape(sizes);
  checked_size(label.c_str(), shape);
  return shape;
}

// A remedy for an input that is not (n, channels, ...): the batch or the channels are missing, or the channels come last.
std::string hint(const Shape& x, int rank, Index channels) {
  const auto is = [&](int d) { return x[d] == channels; };
  const bool images = rank == 4;
  if (x.rank() == rank && is(rank - 1)) return images ? "permute(input, {0, 3, 1, 2})" : "transpose(input, 1, 2)";
  if (x.rank() == rank - 1) {
    if (is(0)) return "unsqueeze(input, 0)";
    if (channels == 1) return "unsqueeze(input, 1)";
    if (is(rank - 2)) return images ? "unsqueeze(permute(input, {2, 0, 1}), 0)" : "unsqueeze(transpose(input), 0)";
  }
  if (x.rank() == 2 && images) {
    const bool one_image = channels == 1 && x[0] == x[1];
    return one_image ? fmt::format("reshape(input, {{1, 1, {}, {}}}) for one image", x[0], x[1])
                     : fmt::format("reshape(input, {{{}, {}, height, width}})", x[0], channels);
  }
  return "";
}

template <class Options> std::string label_of(const char* layer, Index in, Index out, HeightWidth kernel, const Options& options) {
  Label label(fmt::format("{}({}, {}, kernel {}", layer, in, out, to_text(kernel)));
  label.add("stride", options.stride, 1).add("padding", options.padding, 0);
  if constexpr (requires { options.output_padding; }) label.add("output padding", options.output_padding, 0);
  return label.add("dilation", options.dilation, 1).add("groups", options.groups, 1).add("no bias", !options.bias);
}

}  // namespace

template <class Options> ConvolutionLayer::Plan ConvolutionLayer::plan_of(const char* layer, Index in, Index out, HeightWidth kernel,
                                                                          std::initializer_list<Index> kernel_sizes, const Options& options,
                                                                          bool transposed, Location site) {
  const std::string label = label_of(layer, in, out, kernel, options);
  return {weight_shape(label, in, out, kernel_sizes, options, transposed, site), out, options.bias, label};
}

ConvolutionLayer::ConvolutionLayer(const Plan& plan, Generator& generator, Location site) {
  const Index n = plan.weight.size(1, plan.weight.rank());
  const double k = n > 0 ? 1 / std::sqrt(static_cast<double>(n)) : 0;
  weight = new_parameter(generator.uniform(plan.weight, -k, k, float32, site), "weight", plan.label);
  if (plan.bias) bias = new_parameter(generator.uniform({plan.out}, -k, k, float32, site), "bias", plan.label);
}

void ConvolutionLayer::check_input(const Tensor& x, Index channels, Location site) const {
  const int rank = weight.shape().rank();
  if (x.rank() == rank && x.size(1) == channels) return check_input_dtype(*this, x, weight, "weight", site);
  throw ShapeError(wengert::detail::ErrorText(label(), "the input must be (n, {}, {})", channels, rank == 4 ? "height, width" : "length")
                       .operand("input", x)
                       .hint(hint(x.shape(), rank, channels)),
                   CallSite::of(site));
}

Conv1d::Conv1d(Index in, Index out, Index kernel, Conv1dLayerOptions options, Generator& generator, Location site)
    : ConvolutionLayer(plan_of("Conv1d", in, out, kernel, {kernel}, options, false, site), generator, site), options(options) {}

Tensor Conv1d::operator()(const Tensor& x, Location site) const {
  check_input(x, in(), site);
  return conv1d(x, weight, or_undefined(bias),
                {.stride = options.stride, .padding = options.padding, .dilation = options.dilation, .groups = options.groups}, site);
}

std::string Conv1d::label() const { return label_of("Conv1d", in(), out(), kernel(), options); }

Conv2d::Conv2d(Index in, Index out, HeightWidth kernel, Conv2dLayerOptions options, Generator& generator, Location site)
    : ConvolutionLayer(plan_of("Conv2d", in, out, kernel, {kernel.height, kernel.width}, options, false, site), generator, site),
      options(options) {}

namespace {

Conv2dOptions of_operation(const Conv2dLayerOptions& o) {
  return {.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups};
}

}  // namespace

Tensor Conv2d::operator()(const Tensor& x, Location site) const {
  check_input(x, in(), site);
  return conv2d(x, weight, or_undefined(bias), of_operation(options), site);
}

Tensor Conv2d::with_relu(const Tensor& x, Index pool, Location site) const {
  check_input(x, in(), site);
  return conv2d_relu(x, weight, or_undefined(bias), of_operation(options), pool, site);
}

std::string Conv2d::label() const { return label_of("Conv2d", in(), out(), kernel(), options); }

ConvTranspose2d::ConvTranspose2d(Index in, Index out, HeightWidth kernel, ConvTranspose2dLayerOptions options, Generator& generator,
                                 Location site)
    : ConvolutionLayer(plan_of("ConvTranspose2d", in, out, kernel, {kernel.height, kernel.width}, options, true, site), generator, site),
      options(options) {}

Tensor ConvTranspose2d::operator()(const Tensor& x, Location site) const {
  check_input(x, in(), site);
  return conv_transpose2d(x, weight, or_undefined(bias),
                          {.stride = options.stride,
                           .padding = options.padding,
                           .output_padding = options.output_padding,
                           .dilation = options.dilation,
                           .groups = options.groups},
                          site);
}

std::string ConvTranspose2d::label() const { return label_of("ConvTranspose2d", in(), out(), kernel(), options); }

namespace {

// The options that both kinds of pooling share. A stride of 0 stands for the kernel.
void check_windows(const std::string& label, HeightWidth kernel, HeightWidth stride, HeightWidth padding, Location site) {
  const OptionChecks checks(label, site);
  checks.at_least(1, "kernel", kernel).at_least(0, "stride", stride).at_least(0, "padding", padding);
  if (2 * padding.height > kernel.height || 2 * padding.width > kernel.width)
    checks.size_error(fmt::format("padding must be at most half the kernel, but it is {}", to_text(padding)));
}

}  // namespace

MaxPool2d::MaxPool2d(HeightWidth kernel, MaxPool2dOptions options, Location site) : kernel(kernel), options(options) {
  check_windows(MaxPool2d::label(), kernel, options.stride, options.padding, site);
  OptionChecks(MaxPool2d::label(), site).at_least(1, "dilation", options.dilation);
}

AvgPool2d::AvgPool2d(HeightWidth kernel, AvgPool2dOptions options, Location site) : kernel(kernel), options(options) {
  check_windows(AvgPool2d::label(), kernel, options.stride, options.padding, site);
}

AdaptiveAvgPool2d::AdaptiveAvgPool2d(HeightWidth size, Location site) : size(size) {
  OptionChecks(AdaptiveAvgPool2d::label(), site).at_least(1, "size", size);
}

std::string MaxPool2d::label() const {
  return Label(fmt::format("MaxPool2d({}", to_text(kernel)))
      .add("stride", options.stride, 0)
      .add("padding", options.padding, 0)
      .add("dilation", options.dilation, 1)
      .add("ceil mode", options.ceil_mode);
}

std::string AvgPool2d::label() const {
  return Label(fmt::format("AvgPool2d({}", to_text(kernel)))
      .add("stride", options.stride, 0)
      .add("padding", options.padding, 0)
      .add("ceil mode", options.ceil_mode)
      .add("padding not counted", !options.count_include_pad);
}

std::string AdaptiveAvgPool2d::label() const { return fmt::format("AdaptiveAvgPool2d({})", to_text(size)); }

}  // namespace wengert::nn
