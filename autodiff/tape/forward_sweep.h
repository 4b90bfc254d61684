#pragma once
// Internal.
// The forward sweep: carries tangents through all records.
#include <span>

#include "autodiff/tape/records.h"

namespace wengert::detail {

/// The error of an operation without a rule for forward mode.
struct NoForwardMode final : TapeError {
  using TapeError::TapeError;
};

/// The tangent of the target for the given tangents of the sources; implements Tape::jvp.
Tensor sweep_forward(TapeState& tape, const Source& target, std::span<const Source> sources, std::span<const Tensor> tangents);

}  // namespace wengert::detail
