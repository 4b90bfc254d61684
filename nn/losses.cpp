#include "nn/losses.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

namespace wengert::nn {
namespace {

void check_shapes(const char* loss, const Tensor& prediction, const Tensor& target, Location where) {
  if (prediction.shape() == target.shape()) return;
  const char* const hint = prediction.size() == target.size() ? "; hint: reshape(target, prediction.shape())" : "";
  throw ShapeError(fmt::format("{} at {}: the shapes differ: prediction {}, target {}{}", loss, to_string(where), describe(prediction),
                               describe(target), hint));
}

/// Losses of several steps ask beforehand what each step would ask: nothing is recorded of a loss that is refused.
void check_dtypes(const char* loss, const char* what, const Tensor& other, const Tensor& prediction, Location where) {
  if (!other.defined() || other.dtype() == prediction.dtype()) return;
  throw DtypeError(fmt::format("{} at {}: the {} {} must have the dtype of the prediction {}; hint: .to({})", loss, to_string(where), what,
                               describe(other), describe(prediction), to_string(prediction.dtype())));
}

/// prediction - target
Tensor difference(const char* loss, const Tensor& prediction, const Tensor& target, Location where) {
  check_shapes(loss, prediction, target, where);
  return Operand(prediction, where) - target;
}

/// A weight is undefined, or broadcasts to the prediction.
void check_weight(const char* loss, const char* what, const Tensor& weight, const Tensor& prediction, Location where) {
  if (!weight.defined()) return;
  check_dtypes(loss, what, weight, prediction, where);
  const int added = prediction.rank() - weight.rank();
  bool fits = added >= 0;
  for (int d = 0; fits && d < weight.rank(); ++d) fits = weight.shape()[d] == 1 || weight.shape()[d] == prediction.shape()[d + added];
  if (!fits)
    throw ShapeError(fmt::format("{} at {}: the {} {} does not broadcast to the prediction {}", loss, to_string(where), what,
                                 describe(weight), describe(prediction)));
}

Tensor times(const Tensor& losses, const Tensor& weight, Location where) {
  return weight.defined() ? Operand(losses, where) * weight : losses;
}

Tensor reduce(const Tensor& losses, Reduction reduction, Location where) {
  switch (reduction) {
    case Reduction::mean:
      return mean(losses, where);
    case Reduction::sum:
      return sum(losses, where);
    case Reduction::batch_mean:
      return Operand(sum(losses, where), where) / (losses.rank() > 0 ? losses.size(0) : 1);
    case Reduction::none:
      break;
  }
  return losses;
}

/// ln x and ln(1 - x), but -100 with slope 0 where they would be less. (The inner selections keep 1 / 0 out of the slopes.)
struct ClampedLogs {
  ClampedLogs(const Tensor& x, Location where) {
    static const double least = std::exp(-100.0);
    const Tensor low = Operand(x, where) <= least, high = (Operand(1, where) - x) <= least;  // both false for NaN, which stays NaN
    of_x = wengert::where(low, -100, Operand(log(wengert::where(low, 1, Operand(x, where)), where), where));
    of_rest = wengert::where(high, -100, Operand(log1p(negative(wengert::where(high, 0, Operand(x, where)), where), where), where));
  }
  Tensor of_x, of_rest;
};

}  // namespace

Tensor half_squared_error(const Tensor& prediction, const Tensor& target, LossOptions options, Location where) {
  Tensor losses = Operand(0.5, where) * square(difference("half_squared_error", prediction, target, where), where);
  if (losses.rank() > 1) losses = sum(flatten(losses, 1, -1, where), 1, false, where);
  return reduce(losses, options.reduction, where);
}

Tensor mse(const Tensor& prediction, const Tensor& target, LossOptions options, Location where) {
  return reduce(square(difference("mse", prediction, target, where), where), options.reduction, where);
}

Tensor l1(const Tensor& prediction, const Tensor& target, LossOptions options, Location where) {
  return reduce(abs(difference("l1", prediction, target, where), where), options.reduction, where);
}

Tensor smooth_l1(const Tensor& prediction, const Tensor& target, SmoothL1Options options, Location where) {
  const double beta = options.beta;
  if (!(beta >= 0)) throw ShapeError(fmt::format("smooth_l1 at {}: beta = {} must not be negative", to_string(where), beta));
  const Tensor d = difference("smooth_l1", prediction, target, where), size = abs(d, where);
  if (beta == 0) return reduce(size, options.reduction, where);
  const Tensor near = Operand(0.5 / beta, where) * square(d, where), far = Operand(size, where) - 0.5 * beta;
  return reduce(wengert::where(Operand(size, where) < beta, Operand(near, where), far), options.reduction, where);
}

Tensor huber(const Tensor& prediction, const Tensor& target, HuberOptions options, Location where) {
  const double delta = options.delta;
  if (!(delta > 0)) throw ShapeError(fmt::format("huber at {}: delta = {} must be positive", to_string(where), delta));
  const Tensor d = difference("huber", prediction, target, where), size = abs(d, where);
  const Tensor near = Operand(0.5, where) * square(d, where);
  const Tensor far = Operand(delta, where) * (Operand(size, where) - 0.5 * delta);
  return reduce(wengert::where(Operand(size, where) <= delta, Operand(near, where), far), options.reduction, where);
}

Tensor bce(const Tensor& prediction, const Tensor& target, const BceOptions& options, Location where) {
  check_shapes("bce", prediction, target, where);
  check_dtypes("bce", "target", target, prediction, where);
  check_weight("bce", "weight", options.weight, prediction, where);
  const ClampedLogs log(prediction, where);
  const Tensor yes = Operand(target, where) * log.of_x, no = (Operand(1, where) - target) * log.of_rest;
  return reduce(times(negative(Operand(yes, where) + no, where), options.weight, where), options.reduction, where);
}

Tensor bce_with_logits(const Tensor& logits, const Tensor& target, const BceWithLogitsOptions& options, Location where) {
  check_shapes("bce_with_logits", logits, target, where);
  check_dtypes("bce_with_logits", "target", target, logits, where);
  check_weight("bce_with_logits", "weight", options.weight, logits, where);
  check_weight("bce_with_logits", "pos_weight", options.pos_weight, logits, where);
  const Tensor yes = Operand(target, where) * softplus(negative(logits, where), 1, where);
  const Tensor no = (Operand(1, where) - target) * softplus(logits, 1, where);
  return reduce(times(Operand(times(yes, options.pos_weight, where), where) + no, options.weight, where), options.reduction, where);
}

Tensor kl_div(const Tensor& log_prediction, const Tensor& target, KlDivOptions options, Location where) {
  check_shapes("kl_div", log_prediction, target, where);
  check_dtypes("kl_div", "target", target, log_prediction, where);
  const Tensor losses = options.log_target
                            ? Operand(exp(target, where), where) * (Operand(target, where) - log_prediction)
                            : Operand(xlogy(Operand(target, where), target), where) - (Operand(target, where) * log_prediction);
  return reduce(losses, options.reduction, where);
}

}  // namespace wengert::nn
