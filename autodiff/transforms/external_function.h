#pragma once
// External functions: blocks of a scalar program with a forward and a reverse pass of their own, and state of any kind between the two.
#include <concepts>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "autodiff/tape/tape.h"

namespace wengert {

/// What external_function() takes; its comment says what the members do.
template <class B> concept ExternalBlock = requires(B& block, const double* numbers, double* results) {
  { block.name } -> std::convertible_to<const char*>;
  { block.forward(std::span(numbers, 1)) } -> std::convertible_to<std::vector<double>>;
  block.vjp(std::span(numbers, 1), std::span(results, 1));
};

namespace detail {

/// A block as the tape calls it.
class ExternalCall {
 public:
  ExternalCall() = default;
  ExternalCall(const ExternalCall&) = delete;
  ExternalCall& operator=(const ExternalCall&) = delete;
  virtual ~ExternalCall() = default;

  virtual const char* name() const = 0;
  virtual std::vector<double> forward(std::span<const double> x) = 0;
  virtual void vjp(std::span<const double> y_bar, std::span<double> x_bar) = 0;
  virtual bool has_jvp() const = 0;
  virtual void jvp(std::span<const double> x_dot, std::span<double> y_dot) = 0;
};

template <class B> class ExternalCallOf final : public ExternalCall {
 public:
  explicit ExternalCallOf(B block) : block_(std::move(block)) {}
  const char* name() const override { return block_.name; }
  std::vector<double> forward(std::span<const double> x) override { return block_.forward(x); }
  void vjp(std::span<const double> y_bar, std::span<double> x_bar) override { block_.vjp(y_bar, x_bar); }
  bool has_jvp() const override { return kHasJvp; }
  void jvp([[maybe_unused]] std::span<const double> x_dot, [[maybe_unused]] std::span<double> y_dot) override {
    if constexpr (kHasJvp) block_.jvp(x_dot, y_dot);
  }

 private:
  static constexpr bool kHasJvp = requires(B & block, std::span<const double> x_dot, std::span<double> y_dot) { block.jvp(x_dot, y_dot); };
  B block_;
};

/// call->forward(x), recorded on the active tape, which keeps the call, if one of x is tracked there.
std::vector<Scalar> call_external(std::unique_ptr<ExternalCall> call, std::span<const Scalar> x, Location site);

}  // namespace detail

/// Calls block.forward with the values of x and records the call as one operation of the active tape. The block moves into the tape: its
/// members are what the forward pass keeps for the reverse pass, values, factors, files, handles of another program. They are destroyed
/// with the records. A block has
///
///     const char* name;                                                       // for errors and listings; must outlive the tape
///     std::vector<double> forward(std::span<const double> x);                 // called once; nothing that it computes is recorded
///     void vjp(std::span<const double> y_bar, std::span<double> x_bar);       // x_bar = J^T y_bar; x_bar is 0 before the call
///     void jvp(std::span<const double> x_dot, std::span<double> y_dot);       // y_dot = J x_dot; optional: Tape::jvp needs it
///
/// where J is the Jacobian at the x of the forward pass. vjp and jvp are called once for each sweep that reaches a result, on the thread of
/// the tape. They may open a tape of their own, `Tape tape({.isolated = true})`. Blocks have first derivatives: a recorded sweep (a
/// gradient of a gradient) is a TapeError, and forward mode without a jvp is an Error of Tape::jvp.
///
///     struct Solver {                                        // A x = b, with the factors of a library of yours
///       static constexpr const char* name = "solver";
///       std::shared_ptr<Factors> factors;
///       std::vector<double> forward(std::span<const double> b) { return factors->solve(b); }
///       void vjp(std::span<const double> x_bar, std::span<double> b_bar) { factors->solve_transposed(x_bar, b_bar); }
///     };
///     std::vector<Scalar> x = external_function(Solver{factors}, b);
template <ExternalBlock B> std::vector<Scalar> external_function(B block, std::span<const Scalar> x, Location site = Location::here()) {
  return detail::call_external(std::make_unique<detail::ExternalCallOf<B>>(std::move(block)), x, site);
}

}  // namespace wengert
