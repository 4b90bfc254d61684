#include "nn/losses.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/error_text.h"

namespace wengert::nn {
namespace {

using wengert::detail::ErrorText;
using wengert::detail::weighted, wengert::detail::without_ignored;

void check_shapes(const char* loss, const Tensor& prediction, const Tensor& target) {
  wengert::detail::check_defined(loss, prediction, "the prediction");
  wengert::detail::check_defined(loss, target, "the target");
  if (prediction.shape() == target.shape()) return;
  throw ShapeError(ErrorText(loss, "the shapes differ")
                       .operand("prediction", prediction)
                       .operand("target", target)
                       .hint(prediction.size() == target.size() ? "reshape(target, prediction.shape())" : ""));
}

// Losses that consist of several operations check everything first, so that nothing is recorded of a loss that is refused.
void check_dtypes(const char* loss, const char* what, const Tensor& other, const Tensor& prediction) {
  if (!other.defined() || other.dtype() == prediction.dtype()) return;
  throw DtypeError(ErrorText(loss, "the {} must have the dtype of the prediction", what)
                       .operand("prediction", prediction)
                       .operand(what, other)
                       .hint(fmt::format("convert the {} with .to({})", what, to_string(prediction.dtype()))));
}

// A weight is undefined, or broadcasts to the prediction.
void check_weight(const char* loss, const char* what, const Tensor& weight, const Tensor& prediction) {
  if (!weight.defined()) return;
  check_dtypes(loss, what, weight, prediction);
  const int added = prediction.rank() - weight.rank();
  bool fits = added >= 0;
  for (int d = 0; fits && d < weight.rank(); ++d) fits = weight.shape()[d] == 1 || weight.shape()[d] == prediction.shape()[d + added];
  if (!fits)
    throw ShapeError(
        ErrorText(loss, "the {} does not broadcast to the prediction", what).operand("prediction", prediction).operand(what, weight));
}

Tensor times(const Tensor& losses, const Tensor& weight) { return weight.defined() ? weighted(losses, weight) : losses; }

Tensor counted(const Tensor& x, const Tensor& weight) { return weight.defined() ? without_ignored(x, weight) : x; }

Tensor reduce(const Tensor& losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::mean:
      return mean(losses);
    case Reduction::sum:
      return sum(losses);
    case Reduction::batch_mean:
      return sum(losses) / (losses.rank() > 0 ? losses.size(0) : 1);
    case Reduction::none:
      break;
  }
  return losses;
}

template <class T> void check_probabilities(const char* loss, const Tensor& prediction) {
  const Tensor x = prediction.constant().contiguous();
  const T* const p = x.data<T>();
  bool outside = false;
  for (Index i = 0; i < x.size(); ++i) outside |= (p[i] < 0) | (p[i] > 1);  // NaN is not outside
  if (!outside) [[likely]]
    return;
  const T* const first = std::find_if(p, p + x.size(), [](T v) { return v < 0 || v > 1; });
  throw ValueError(ErrorText(loss, "the prediction must be probabilities in [0, 1], but it has {}", *first)
                       .operand("prediction", prediction)
                       .hint("bce_with_logits takes logits of any size, or apply sigmoid first"));
}

// ln x and ln(1 - x), but -100 with slope 0 where they would be less. (The inner selections avoid 1 / 0 in the slopes.)
struct ClampedLogs {
  explicit ClampedLogs(const Tensor& x) {
    static const double min = std::exp(-100.0);
    const Tensor low = x <= min, high = 1 - x <= min;  // both false for NaN, which stays NaN
    of_x = where(low, -100, log(where(low, 1, x)));
    of_rest = where(high, -100, log1p(-where(high, 0, x)));
  }
  Tensor of_x, of_rest;
};

}  // namespace

Tensor half_squared_error(const Tensor& prediction, const Tensor& target, LossOptions options, Location site) {
  const CallSite scope(site);
  check_shapes("half_squared_error", prediction, target);
  Tensor losses = 0.5 * square(prediction - target);
  if (losses.rank() > 1) losses = sum(flatten(losses, 1), 1);
  return reduce(losses, options.reduction);
}

Tensor mse(const Tensor& prediction, const Tensor& target, LossOptions options, Location site) {
  const CallSite scope(site);
  check_shapes("mse", prediction, target);
  return reduce(square(prediction - target), options.reduction);
}

Tensor l1(const Tensor& prediction, const Tensor& target, LossOptions options, Location site) {
  const CallSite scope(site);
  check_shapes("l1", prediction, target);
  return reduce(abs(prediction - target), options.reduction);
}

Tensor smooth_l1(const Tensor& prediction, const Tensor& target, SmoothL1Options options, Location site) {
  const CallSite scope(site);
  const char* const loss = "smooth_l1";
  const double beta = options.beta;
  if (!(beta >= 0 && std::isfinite(beta)))
    throw ValueError(fmt::format("{}: beta must be finite and not negative, but it is {}", loss, beta));
  check_shapes(loss, prediction, target);
  const Tensor d = prediction - target, size = abs(d);
  if (beta == 0) return reduce(size, options.reduction);
  const Tensor is_near = size < beta;
  const Tensor near = 0.5 / beta * square(where(is_near, d, 0)), far = size - 0.5 * beta;  // far ones would overflow as squares
  return reduce(where(is_near, near, far), options.reduction);
}

Tensor huber(const Tensor& prediction, const Tensor& target, HuberOptions options, Location site) {
  const CallSite scope(site);
  const char* const loss = "huber";
  const double delta = options.delta;
  if (!(delta > 0 && std::isfinite(delta)))
    throw ValueError(fmt::format("{}: delta must be finite and positive, but it is {}", loss, delta));
  check_shapes(loss, prediction, target);
  const Tensor d = prediction - target, size = abs(d);
  const Tensor is_near = size <= delta;
  const Tensor near = 0.5 * square(where(is_near, d, 0)), far = delta * (size - 0.5 * delta);
  return reduce(where(is_near, near, far), options.reduction);
}

Tensor bce(const Tensor& prediction, const Tensor& target, const BceOptions& options, Location site) {
  const CallSite scope(site);
  const char* const loss = "bce";
  check_shapes(loss, prediction, target);
  check_dtypes(loss, "target", target, prediction);
  check_weight(loss, "weight", options.weight, prediction);
  prediction.dtype() == float32 ? check_probabilities<float>(loss, prediction) : check_probabilities<double>(loss, prediction);
  const ClampedLogs log(counted(prediction, options.weight));
  const Tensor t = counted(target, options.weight), yes = t * log.of_x, no = (1 - t) * log.of_rest;
  return reduce(times(-(yes + no), options.weight), options.reduction);
}

Tensor bce_with_logits(const Tensor& logits, const Tensor& target, const BceWithLogitsOptions& options, Location site) {
  const CallSite scope(site);
  const char* const loss = "bce_with_logits";
  check_shapes(loss, logits, target);
  check_dtypes(loss, "target", target, logits);
  check_weight(loss, "weight", options.weight, logits);
  check_weight(loss, "pos_weight", options.pos_weight, logits);
  const Tensor x = counted(logits, options.weight), t = counted(target, options.weight);
  const Tensor yes = weighted(softplus(-x), t), no = weighted(softplus(x), 1 - t);
  return reduce(times(times(yes, options.pos_weight) + no, options.weight), options.reduction);
}

Tensor kl_div(const Tensor& log_prediction, const Tensor& target, KlDivOptions options, Location site) {
  const CallSite scope(site);
  const char* const loss = "kl_div";
  check_shapes(loss, log_prediction, target);
  check_dtypes(loss, "target", target, log_prediction);
  if (!options.log_target) return reduce(xlogy(target, target) - weighted(log_prediction, target), options.reduction);
  const Tensor probable = target != -HUGE_VAL;  // elsewhere the target is 0, and so is its loss
  const Tensor difference = where(probable, target, 0) - where(probable, log_prediction, 0);
  return reduce(weighted(difference, exp(target)), options.reduction);
}

}  // namespace wengert::nn
