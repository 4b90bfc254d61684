// g6_nn
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {
namespace {

// x W^T + b, the bias optional.
Tensor linear(In in) {
  const Tensor y = matmul(in[0], transpose(in[1]));
  return in.size() > 2 ? y + in[2] : y;
}

HeightWidth pair(At at, const char* name) {
  const Shape list = at.list(name);
  return {list[0], list[1]};
}
Index single(At at, const char* name) { return at.list(name)[0]; }

// Operands x, weight and, if there is one, bias.
template <class F, class Options> Tensor with_bias(F&& f, In in, const Options& options) {
  return in.size() > 2 ? f(in[0], in[1], in[2], options) : f(in[0], in[1], Tensor(), options);
}

Tensor convolution_1d(In in, At at) {
  return with_bias([](const auto&... a) { return conv1d(a...); }, in,
                   Conv1dOptions{.stride = single(at, "stride"),
                                 .padding = single(at, "padding"),
                                 .dilation = single(at, "dilation"),
                                 .groups = at.integer("groups")});
}
Tensor convolution_2d(In in, At at) {
  return with_bias(
      [](const auto&... a) { return conv2d(a...); }, in,
      Conv2dOptions{
          .stride = pair(at, "stride"), .padding = pair(at, "padding"), .dilation = pair(at, "dilation"), .groups = at.integer("groups")});
}
Tensor transposed_convolution_2d(In in, At at) {
  return with_bias([](const auto&... a) { return conv_transpose2d(a...); }, in,
                   ConvTranspose2dOptions{.stride = pair(at, "stride"),
                                          .padding = pair(at, "padding"),
                                          .output_padding = pair(at, "output_padding"),
                                          .dilation = pair(at, "dilation"),
                                          .groups = at.integer("groups")});
}

Outputs maxima_2d(In in, At at) {
  auto [values, indices] = max_pool2d_with_indices(
      in[0], pair(at, "kernel"),
      {.stride = pair(at, "stride"), .padding = pair(at, "padding"), .dilation = pair(at, "dilation"), .ceil_mode = at.flag("ceil_mode")});
  return {std::move(values), std::move(indices)};
}
Tensor means_2d(In in, At at) {
  return avg_pool2d(in[0], pair(at, "kernel"),
                    {.stride = pair(at, "stride"),
                     .padding = pair(at, "padding"),
                     .ceil_mode = at.flag("ceil_mode"),
                     .count_include_pad = at.flag("count_include_pad")});
}

}  // namespace

std::span<const Operation> network_operations() {
  static constexpr Operation kTable[] = {
      {"linear", [](In in, At) -> Outputs { return linear(in); }},
      {"conv1d", [](In in, At at) -> Outputs { return convolution_1d(in, at); }},
      {"conv2d", [](In in, At at) -> Outputs { return convolution_2d(in, at); }},
      {"conv_transpose2d", [](In in, At at) -> Outputs { return transposed_convolution_2d(in, at); }},
      {"max_pool2d", [](In in, At at) -> Outputs { return maxima_2d(in, at); }},
      {"avg_pool2d", [](In in, At at) -> Outputs { return means_2d(in, at); }},
      {"adaptive_avg_pool2d", [](In in, At at) -> Outputs { return adaptive_avg_pool2d(in[0], pair(at, "output_size")); }},
      {"max_pool1d",
       [](In in, At at) -> Outputs {
         return max_pool1d(in[0], single(at, "kernel"), {.stride = single(at, "stride"), .padding = single(at, "padding")});
       }},
      {"avg_pool1d",
       [](In in, At at) -> Outputs {
         return avg_pool1d(in[0], single(at, "kernel"), {.stride = single(at, "stride"), .padding = single(at, "padding")});
       }},
      {"softmax", [](In in, At at) -> Outputs { return softmax(in[0], at.integer("dim")); }},
      {"log_softmax", [](In in, At at) -> Outputs { return log_softmax(in[0], at.integer("dim")); }},
  };
  return kTable;
}

}  // namespace wengert::golden
