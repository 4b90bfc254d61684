#include "autodiff/tape/sources.h"

#include <fmt/format.h>

#include <string>

namespace wengert::detail {
namespace {

std::string name_of(const Source& s, std::size_t i) {
  if (s.parameter && !s.parameter->name.empty()) return fmt::format("parameter {}", s.parameter->name);
  if (s.parameter) return fmt::format("source {}, the parameter {},", i, describe(s.parameter->value));
  if (s.tensor && s.tensor->defined()) return fmt::format("source {}, the tensor {},", i, describe(*s.tensor));
  return fmt::format("source {}", i);
}

bool has_statements(const TapeState& t) {
  bool any = false;
  t.for_each_segment([&](const Segment& s) { any |= s.args && s.end > s.first; });
  return any;
}

void check_recordable(const TapeState& t) {
  if (!t.higher_order && has_statements(t))
    throw TapeError(
        "gradient(.differentiable): the scalar statements of this tape hold first derivatives only; hint: open it with "
        "Tape tape({.higher_order = true})");
  if (active_tape() != &t)
    throw TapeError(
        "gradient(.differentiable): the sweep would be recorded on this tape, but recording is suspended or another tape is active");
}

void check_seed(const Source& target, const Slot& slot, const Tensor& seed) {
  if (!seed.defined() && slot.shape.size() != 1)
    throw ShapeError(
        fmt::format("gradient: the target {} has {} elements, not one; hint: reduce it with sum() or mean(), or pass .seed, the cotangent "
                    "in its shape",
                    describe(*target.tensor), slot.shape.size()));
  if (seed.defined() && seed.shape() != slot.shape)
    throw ShapeError(fmt::format("gradient: the seed {} must have the shape of the target {}", describe(seed), describe(*target.tensor)));
  if (seed.defined() && seed.dtype() != slot.dtype)
    throw DtypeError(fmt::format("gradient: the seed {} must have the dtype of the target {}", describe(seed), describe(*target.tensor)));
}

// The target is a constant to this tape.
[[noreturn]] void throw_not_recorded(const Source& target) {
  const std::uint64_t number = target.tensor ? target.tensor->number() : target.number;
  const bool ended = number && owner_of(number) == Owner::none;
  throw TapeError(fmt::format("gradient: the target{} was not recorded on this tape: {}; hint: {}",
                              target.tensor ? " " + describe(*target.tensor) : std::string(),
                              ended ? "it was recorded on one that has ended" : "it depends on no parameter and no variable of the tape",
                              ended ? "call gradient() on that tape, before its scope ends"
                                    : "open the tape first, then read parameters and make variables, and compute the target from them; "
                                      "pass .unreached = Unreached::zero if it may be constant"));
}

}  // namespace

std::uint32_t find(TapeState& t, const Source& s) {
  if (s.parameter) return t.find_leaf(*s.parameter);
  if (s.scalar) {
    const std::uint32_t index = s.number ? t.index_of(s.number) : 0;
    return index ? index : kNoIndex;
  }
  if (!s.tensor || !s.tensor->defined()) throw TapeError("a source or target is undefined: it was default-constructed, or moved from");
  return t.slot_of(*s.tensor);
}

void check_thread(const TapeState& t, const char* operation) {
  if (t.thread != this_thread())
    throw TapeError(fmt::format("{}: the tape opened at {} belongs to another thread", operation, to_string(t.opened_at)));
}

bool may_be_unreached(const Source& s, const GradientOptions& o) {
  return o.unreached == Unreached::zero || (s.parameter && s.parameter->frozen);
}

void throw_unreached(const Source& s, std::size_t i, Unknown why) {
  const std::string name = name_of(s, i);
  const std::string what = why == Unknown::not_on_tape ? fmt::format("{} is not on this tape, so the target does not depend on it", name)
                                                       : fmt::format("the target does not depend on {}", name);
  const char* const other = s.parameter ? "read the parameter itself in the forward pass, not its value() and not that of a copy, or " : "";
  throw TapeError(fmt::format("gradient: {}; hint: {}pass .unreached = Unreached::zero if that is intended", what, other));
}

std::uint32_t find_target(TapeState& t, const Source& target, const GradientOptions& o) {
  check_thread(t, "gradient");
  if (t.in_sweep) throw TapeError("gradient: this tape is in the middle of a sweep, and one of its rules called gradient() again");
  const std::uint32_t y = find(t, target);
  if (y == kNoIndex) {
    if (o.unreached == Unreached::zero) return kNoIndex;
    throw_not_recorded(target);
  }
  if (o.differentiable) check_recordable(t);
  if (target.scalar) {
    if (o.seed.defined() && o.seed.size() != 1)
      throw ShapeError(fmt::format("gradient: the seed {} of a scalar target must have one element", describe(o.seed)));
    return y;
  }
  const Slot& slot = t.slots[y];
  if (!is_floating(slot.dtype)) throw DtypeError(fmt::format("gradient: the target {} is not floating", describe(*target.tensor)));
  check_seed(target, slot, o.seed);
  return y;
}

}  // namespace wengert::detail
