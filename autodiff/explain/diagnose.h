#pragma once
// Where a NaN or an infinity comes from, and what an exception is about.
#include <string>
#include <vector>

#include "autodiff/tape/tape.h"

namespace wengert {

/// The first operation, in program order, whose result is not finite although its operands are; or whose derivative is not.
struct Diagnosis {
  bool found = false;
  bool backward = false;              ///< a cotangent is not finite, although the values and the cotangents before it are
  std::string operation = {};         ///< "log", or the name of a custom operation
  Location site = {};                 ///< the line that called it; line 0 if unknown
  std::string element = {};           ///< of the result, or of the cotangent of an operand: "(0, 1)"; empty for a Scalar
  double value = 0;                   ///< of that element
  std::vector<double> operands = {};  ///< what the element was computed from, where the operation is elementwise
  std::string text = {};              ///< all of it for people: the line, shapes, the road to the loss, advice
};

/// Says where a loss, or its gradient, became NaN or infinite. Sweeps the tape, which must still hold its records (`.retain`), and changes
/// nothing. Operations inside checkpoints and custom operations are found too.
///
/// A tape keeps what its rules read. Where that does not decide which operation it was, the text says which it may have been; with
/// `Tape tape({.formulas = true})` the answer is always exact. Scalars need such a tape, because statements do not keep their values.
/// A TapeError if the loss is not on the tape.
Diagnosis diagnose(Tape& tape, const Tensor& loss);
Diagnosis diagnose(Tape& tape, const Scalar& loss);

/// An exception as a compiler would print it: what is wrong, the source line of the call, below it the shapes of the operands with the
/// lines where they were made, and the remedy. Only `what()`, and a newline, if the source file cannot be read.
std::string diagnose(const Error& error);

/// What a tape with .check_finite throws.
struct FoundNotFinite : NotFiniteError {
  explicit FoundNotFinite(Diagnosis d) : NotFiniteError(d.text, Location()), diagnosis(std::move(d)) {}
  Diagnosis diagnosis;
};

}  // namespace wengert
