#pragma once
// Internal.
// What a tape shows, while it records, to whoever explains it: the tape's only interface to explain/, which implements it. A tape without
// .formulas and .check_finite has no watch.
#include <cstdint>
#include <memory>
#include <span>

#include "autodiff/scalar/higher_order.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

struct TapeOptions;
class Operation;

namespace detail {

class TapeState;
struct Source;

class TapeWatch {
 public:
  TapeWatch(bool formulas, bool check_finite) : formulas(formulas), check_finite(check_finite) {}
  TapeWatch(const TapeWatch&) = delete;
  TapeWatch& operator=(const TapeWatch&) = delete;
  virtual ~TapeWatch() = default;

  const bool formulas, check_finite;

  // Calls named `before` come before anything is recorded, and may throw. Those named `after` may not.

  /// A tensor operation with its operands and results, which after it have their numbers.
  virtual void before_operation(TapeState& tape, const Operation& operation, Location site, std::span<const Tensor* const> x,
                                std::span<const Tensor> y) = 0;
  virtual void after_operation(TapeState& tape, std::span<const Tensor* const> x, std::span<const Tensor> y) noexcept = 0;
  /// Scalars that became the elements of y.
  virtual void before_stack(TapeState& tape, std::span<const double> x, const Tensor& y, Location site) = 0;
  virtual void after_stack(TapeState& tape, std::span<const double> x, const Tensor& y) noexcept = 0;
  /// An element that became the scalar `index`.
  virtual void before_element(TapeState& tape, const Tensor& x, Location site) = 0;
  virtual void after_element(TapeState& tape, const Tensor& x, std::uint32_t index, double value) noexcept = 0;
  /// A statement of the tape: its expression. `index`: the scalar that it defines.
  virtual void before_statement(TapeState& tape, std::span<const ExpressionStep> steps, Location site) = 0;
  virtual void after_statement(TapeState& tape, std::uint32_t index, std::span<const ExpressionStep> steps, Location site) noexcept = 0;
  /// Independent values.
  virtual void variable(TapeState& tape, std::uint32_t index, double value, Location site) = 0;
  virtual void variable(TapeState& tape, const Tensor& value, Location site) = 0;
  /// A sweep has reached all sources, and the records are still there. Throws if a gradient is not finite.
  virtual void after_sweep(TapeState& tape, const Source& target, std::uint32_t target_index, const Tensor& seed,
                           std::span<const Source> sources) = 0;
  /// The records are dropped.
  virtual void discard() noexcept = 0;
};

/// Null if the options ask for nothing.
std::unique_ptr<TapeWatch> make_watch(const TapeOptions& options);

/// Whether tapes that the calling thread opens inside others check their values as with .check_finite, whatever their options.
inline thread_local constinit bool checking_inner_tapes = false;

}  // namespace detail
}  // namespace wengert
