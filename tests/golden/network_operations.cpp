// g6_nn
#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <algorithm>

#include "operations.h"

namespace wengert::golden {
namespace {

// x W^T + b, the bias optional.
Tensor linear(In in) {
  const Tensor y = matmul(in[0], transpose(in[1]));
  return in.size() > 2 ? y + in[2] : y;
}

nn::LossOptions loss_options(At at) {
  const std::string reduction = at.text("reduction");
  return {.reduction = reduction == "none" ? nn::Reduction::none : reduction == "sum" ? nn::Reduction::sum : nn::Reduction::mean};
}

Tensor mean_cross_entropy(In in, At at) {
  const Tensor &logits = in[0], &labels = in[1];
  if (at.text("reduction") != "mean") throw Missing{"cross_entropy with reduction " + at.text("reduction")};
  if (at.flag("has_weight")) throw Missing{"cross_entropy with class weights"};
  if (at.number("label_smoothing") != 0) throw Missing{"cross_entropy with label smoothing"};
  if (logits.rank() != 2) throw Missing{"cross_entropy of logits of rank " + std::to_string(logits.rank())};
  const auto values = labels.to_vector<std::int64_t>();
  if (std::find(values.begin(), values.end(), at.integer("ignore_index")) != values.end())
    throw Missing{"cross_entropy with ignored labels"};
  return cross_entropy(logits, labels);
}

}  // namespace

std::span<const Operation> network_operations() {
  static constexpr Operation kTable[] = {
      {"linear", [](In in, At) -> Outputs { return linear(in); }},
      {"softmax", [](In in, At at) -> Outputs { return softmax(in[0], at.integer("dim")); }},
      {"log_softmax", [](In in, At at) -> Outputs { return log_softmax(in[0], at.integer("dim")); }},
      {"cross_entropy", [](In in, At at) -> Outputs { return mean_cross_entropy(in, at); }},
      {"mse_loss", [](In in, At at) -> Outputs { return nn::mse(in[0], in[1], loss_options(at)); }},
  };
  return kTable;
}

}  // namespace wengert::golden
