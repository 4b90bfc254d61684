#pragma once
// Internal.
// Scalars on a tape opened with {.higher_order = true}. A statement holds the partial derivatives of an expression, not the expression, so
// it can be differentiated only once. On such a tape, expressions are therefore recorded as operations on tensors of rank 0, whose rules
// can be differentiated to any order. All of this is out of line, so that it costs nothing where expressions become statements.
#include <cstdint>

#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// An elementwise operation on tensors, for every struct of functions.h.
template <class F> Tensor map(const F& f, const Tensor& x, Location site);
template <class F> Tensor zip(const F& f, const Tensor& a, const Tensor& b, Location site);

/// map or zip with the function at `function`; only the callee knows its type.
using FunctionOnTensors = Tensor (*)(const void* function, const Tensor* operands);
template <class F> Tensor call_on_tensors(const void* function, const Tensor* operands);

/// Evaluates an expression of Scalars on tensors: its nodes arrive in postfix order, operands first.
class ExpressionOnTensors {
 public:
  /// Records the expression. Returns the number of its value.
  template <class E> static std::uint64_t record(const E& e) {
    ExpressionOnTensors stack;
    e.list(stack);
    return stack.record_top();
  }

  ExpressionOnTensors();
  ~ExpressionOnTensors();
  ExpressionOnTensors(const ExpressionOnTensors&) = delete;
  void leaf(double value, std::uint64_t number);
  void literal(double value);
  template <class F> void apply(const F& f, int operands) { apply(&call_on_tensors<F>, &f, operands); }

 private:
  void apply(FunctionOnTensors call, const void* function, int operands);
  void push(Tensor t);
  std::uint64_t record_top();

  Tensor* stack_;
  int size_ = 0, capacity_;
};

}  // namespace wengert::detail
