#include "nn/losses.h"

#include <fmt/format.h>

namespace wengert::nn {
namespace {

/// prediction - target
Tensor difference(const char* loss, const Tensor& prediction, const Tensor& target, Location where) {
  if (prediction.shape() != target.shape()) {
    const char* const hint = prediction.size() == target.size() ? "; hint: reshape(target, prediction.shape())" : "";
    throw ShapeError(fmt::format("{} at {}: the shapes differ: prediction {}, target {}{}", loss, to_string(where), describe(prediction),
                                 describe(target), hint));
  }
  return Operand(prediction, where) - target;
}

Tensor reduce(const Tensor& losses, Reduction reduction, Location where) {
  switch (reduction) {
    case Reduction::mean:
      return mean(losses, where);
    case Reduction::sum:
      return sum(losses, where);
    case Reduction::none:
      break;
  }
  return losses;
}

}  // namespace

Tensor half_squared_error(const Tensor& prediction, const Tensor& target, LossOptions options, Location where) {
  Tensor losses = Operand(0.5, where) * square(difference("half_squared_error", prediction, target, where), where);
  if (losses.rank() > 1) losses = sum(flatten(losses, 1, -1, where), 1, false, where);
  return reduce(losses, options.reduction, where);
}

Tensor mse(const Tensor& prediction, const Tensor& target, LossOptions options, Location where) {
  return reduce(square(difference("mse", prediction, target, where), where), options.reduction, where);
}

}  // namespace wengert::nn
