#pragma once
// Internal.
// Expressions of Scalars as lists, for tapes that need more than their partial derivatives. All of this is out of line, so that it costs
// nothing where expressions become statements.
//
// A tape opened with {.higher_order = true} records expressions as operations on tensors of rank 0, whose rules can be differentiated to
// any order: a statement holds the partial derivatives of an expression, not the expression, so it can be differentiated only once. A tape
// with {.formulas = true} or {.check_finite = true} records statements and shows each expression to its watch (tape/watch.h).
#include <cstdint>
#include <span>

#include "autodiff/tensor/tensor.h"

namespace wengert {

template <class V> struct StatementWriter;

namespace detail {

template <class V> struct StatementArguments;

/// An elementwise operation on tensors, for every struct of functions.h.
template <class F> Tensor map(const F& f, const Tensor& x, Location site);
template <class F> Tensor zip(const F& f, const Tensor& a, const Tensor& b, Location site);

/// A function of an expression. Only the callees know its type.
struct ListedFunction {
  const char* name;
  int operands;
  double (*value)(const void* function, const double* operands);
  Tensor (*on_tensors)(const void* function, const Tensor* operands, Location site);
  void (*options)(const void* function, double* to);  ///< its numbers, at most two; the others are 0
};
template <class F> const ListedFunction& listed_function();

/// A node of an expression.
struct ExpressionStep {
  const ListedFunction* function = nullptr;  ///< null for a leaf and a literal
  const void* object = nullptr;              ///< the function's own, in the expression
  double value = 0;
  std::uint64_t number = 0;  ///< of a leaf
  bool literal = false;
};

/// The nodes of an expression in postfix order: operands first.
class ExpressionList {
 public:
  template <class E> __attribute__((noinline, cold)) explicit ExpressionList(const E& e) { e.list(*this); }
  ~ExpressionList();
  ExpressionList(const ExpressionList&) = delete;
  void leaf(double value, std::uint64_t number) { push({.value = value, .number = number}); }
  void literal(double value) { push({.value = value, .literal = true}); }
  template <class F> void apply(const F& f, int /*operands*/) { apply(listed_function<F>(), &f); }

  std::span<const ExpressionStep> steps() const { return {steps_, static_cast<std::size_t>(size_)}; }
  /// Records the expression as operations on tensors. Returns the number of its value.
  std::uint64_t record_on_tensors(Location site) const;

 private:
  void apply(const ListedFunction& f, const void* object);
  void push(const ExpressionStep& step);

  ExpressionStep* steps_ = nullptr;
  int size_ = 0, capacity_ = 0;
};

/// An expression, whose type only the callee of `list` knows.
struct ExpressionRef {
  template <class E> ExpressionRef(const E& e)
      : object(&e), value(e.v), list([](const void* e) { return ExpressionList(*static_cast<const E*>(e)); }) {}
  const void* object;
  double value;
  ExpressionList (*list)(const void* object);
};

/// Records an expression on a tape that needs more than its partial derivatives: as operations on tensors, or as a statement that the
/// tape's watch is shown (before it is recorded, when an error may be thrown, and after it). Returns the number of its value.
std::uint64_t record_expression(StatementWriter<double>& writer, const ExpressionRef& e, const StatementArguments<double>& arguments,
                                Location site);

}  // namespace detail
}  // namespace wengert
