#pragma once
// The exception of iterations.
#include "autodiff/error.h"

namespace wengert {

/// An iteration that did not reach its tolerance: Newton's method, a fixed point, an integral, the steps of a differential equation. The
/// message says where it stood, and what to change.
struct ConvergenceError : Error {
  using Error::Error;
};

}  // namespace wengert
