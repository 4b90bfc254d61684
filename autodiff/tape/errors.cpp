// The errors of values that do not belong to the current records, and of tapes that are full.
#include <fmt/format.h>

#include <string>

#include "autodiff/tape/records.h"
#include "autodiff/tape/sweep_scope.h"

namespace wengert::detail {

void throw_too_many_statements() {
  throw TapeError(
      "tape: more than 2^31 scalars on one tape; hint: call gradient() more often, or record parts of the program on separate tapes");
}

void throw_too_many_records() {
  throw TapeError("tape: more than 2^32 tensor operations, inputs or results on one tape; hint: call gradient() more often");
}

void throw_too_many_values(const char* what, int i, int max) {
  throw Error(fmt::format("operation: {} {} cannot be saved for a rule, only the first {} can", what, i, max));
}

void throw_unusable_scalar(Unusable why) {
  switch (why) {
    case Unusable::consumed:
      throw TapeError("a Scalar was used after gradient() had consumed its records; hint: pass .retain = true, or use .constant()");
    case Unusable::of_another_thread:
      throw TapeError("a Scalar of another thread's live tape was used; hint: pass its value(), or use .constant()");
    case Unusable::of_the_outer_tape:
      break;
  }
  throw TapeError(
      "a Scalar of an outer tape was used on a tape with .reject_outer_values; hint: make it one of the inputs, or use .constant()");
}

std::uint32_t TapeState::resolve_other_tensor(const Tensor& x) const {
  const std::string who = x.defined() ? fmt::format("the tensor {}", describe(x)) : std::string("a tensor");
  if (tensor_numbers_.contains(x.number()))
    throw TapeError(who + " was used after gradient() had consumed its records; hint: pass .retain = true, or use .constant()");
  const Owner owner = owner_of(x.number());
  if (owner == Owner::another_thread) throw TapeError(who + " belongs to another thread's live tape; hint: use .constant()");
  if (owner == Owner::this_thread && reject_outer_values)
    throw TapeError(
        who + " belongs to an outer tape, and this one has .reject_outer_values; hint: make it one of the inputs, or use .constant()");
  return kNoIndex;
}

void check_unrecorded(std::uint64_t number) {
  if (number && !sweeping && owner_of(number) == Owner::another_thread)
    throw TapeError("a value of another thread's live tape was used; hint: use .constant()");
}

void throw_numbers_have_no_derivatives() {
  throw TapeError(
      "gradient(.differentiable): gradients with respect to Scalars are plain doubles here, which cannot be differentiated again; "
      "hint: use differentiable_gradient()");
}

}  // namespace wengert::detail
