#pragma once
// How a tape came to a gradient: the forward list, the chain rule step by step, and the formula that it gives.
#include <string>
#include <vector>

#include "autodiff/tape/tape.h"

namespace wengert {

/// An equation: `left = symbols = numbers = value`.
struct Equation {
  std::string left = {}, symbols = {}, numbers = {};  ///< as plain text; `numbers` is empty where it says no more than the symbols
  std::string left_latex = {}, symbols_latex = {}, numbers_latex = {};
  std::string value = {};  ///< "0.75", or the shape of a tensor
  std::string note = {};   ///< where it comes from: "node.cpp:12", "for i = 1 ... 8"
};

/// A derivation by hand, as the tape did it.
struct Derivation {
  std::vector<Equation> forward;    ///< what was computed, in order
  std::vector<Equation> backward;   ///< the derivative with respect to each of these values, from the last to the first
  std::vector<Equation> collected;  ///< the derivative with respect to each source as one formula
  std::vector<Equation> where;      ///< what stands in them: f'(h) = f(h) (1 - f(h))
  std::vector<std::string> remarks;

  std::string text() const;      ///< for a terminal
  std::string markdown() const;  ///< with $$ ... $$
  std::string latex() const;     ///< align environments, for a document with amsmath
  std::string html() const;      ///< one page, which needs no other file and no network
};

namespace detail {
Derivation explain(Tape& tape, const Source& target, const Tensor& value, std::span<const Source> sources);
}  // namespace detail

/// Writes how d target / d source follows from what the tape recorded. The tape must have been opened with {.formulas = true}, and must
/// still hold its records; nothing changes. Values have the names of `named`, of their parameters, or those that the source gives them
/// where it can be read. For Scalars the chain rule is in derivatives, for tensors in cotangents: W_bar = H_bar^T X.
/// A TapeError if the target or a source is not on the tape, or if the tape keeps no formulas.
template <Differentiable... W> Derivation explain(Tape& tape, const Scalar& target, const W&... sources) {
  const detail::Source list[] = {detail::Source(sources)...};
  return detail::explain(tape, detail::Source(target), Tensor::full({}, target.value(), float64), list);
}
template <Differentiable... W> Derivation explain(Tape& tape, const Tensor& target, const W&... sources) {
  const detail::Source list[] = {detail::Source(sources)...};
  return detail::explain(tape, detail::Source(target), target, list);
}

}  // namespace wengert
