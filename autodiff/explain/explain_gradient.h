#pragma once
// Why a gradient is zero, missing or tiny.
#include <cstdint>
#include <string>

#include "autodiff/tape/tape.h"

namespace wengert {

/// Why the gradient of a loss with respect to w is what it is.
enum class GradientReason : std::uint8_t {
  flows,  ///< nothing is wrong: the gradient is there and not small
  // Not recorded.
  constant,       ///< w is a constant: made outside the tape, while recording was suspended, or by .constant()
  integer,        ///< w is of integers or conditions, which have no derivative
  ended,          ///< w belongs to a tape that has ended
  consumed,       ///< w belongs to records that gradient() has consumed
  other_tape,     ///< w belongs to another live tape
  not_read,       ///< a parameter that the tape never read: what was computed from it was computed before the tape, or is not used
  frozen,         ///< a frozen parameter
  loss_constant,  ///< the loss itself is not on the tape
  // Recorded, without a way to the loss.
  no_path,  ///< nothing that the loss depends on was computed from w
  cut,      ///< what was computed from w reaches the loss as a constant: .constant(), NoRecord
  rounded,  ///< ... as integers or conditions: a cast, a comparison, argmax
  // Zeroed, or nearly so, on the way.
  dead,           ///< relu and its like, where their operand is in the flat part
  saturated,      ///< sigmoid or tanh at its limit
  step_function,  ///< sign, floor, round: the slope is 0 everywhere
  zero_factor,    ///< multiplied by an exact zero, such as a weight
  not_selected,   ///< where(), max, or a part of a tensor that leaves these elements out
  underflow,      ///< the product of cotangent and slope is too small for the dtype
  cancelled,      ///< terms along several ways add to 0
  blocked,        ///< another operation with the slope 0 here
  tiny,           ///< not 0, but below 1e-8 in magnitude
};
/// "dead", "zero_factor", ...
const char* to_string(GradientReason reason);

/// What explain_gradient() found.
struct GradientExplanation {
  GradientReason reason = GradientReason::flows;
  Location site = {};     ///< the line of the operation to blame; line 0 if there is none
  double share = 0;       ///< of an elementwise operation: of the elements at which it passes nothing, or (saturated) less than 0.1%
  double largest = 0;     ///< the largest magnitude of the gradient
  std::string text = {};  ///< all of it for people, with source lines
};

namespace detail {
GradientExplanation explain_gradient(Tape& tape, const Source& loss, const Tensor& value, const Source& w);
}  // namespace detail

/// Says why d loss / d w is zero, missing or tiny. The tape must still hold its records; nothing changes. w may be a Parameter, a tensor or
/// a Scalar, of this tape or not. With Scalars, a tape with {.formulas = true} is needed to name functions and lines.
template <Differentiable W> GradientExplanation explain_gradient(Tape& tape, const Tensor& loss, const W& w) {
  return detail::explain_gradient(tape, detail::Source(loss), loss, detail::Source(w));
}
template <Differentiable W> GradientExplanation explain_gradient(Tape& tape, const Scalar& loss, const W& w) {
  return detail::explain_gradient(tape, detail::Source(loss), Tensor::full({}, loss.value(), float64), detail::Source(w));
}

}  // namespace wengert
