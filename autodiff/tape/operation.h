#pragma once
// The interface of tensor operations: a name and derivative rules.
#include <cstdint>
#include <span>

#include "autodiff/tape/cotangent.h"
#include "autodiff/tensor/storage.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

namespace detail {
class PendingProducts;
class TapeState;
struct TapeNode;
struct Slot;
[[noreturn]] void throw_too_many_values(const char* what, int i, int max);
}  // namespace detail

/// A set of inputs and outputs of an operation.
using ValueSet = std::uint32_t;
constexpr ValueSet kNoValues = 0;
/// Only the first inputs and outputs of an operation can be saved.
constexpr int kMaxSavedInputs = 24, kMaxSavedOutputs = 8;
/// The ith input. An Error unless it is one of the first kMaxSavedInputs.
constexpr ValueSet input(int i) {
  if (i < 0 || i >= kMaxSavedInputs) detail::throw_too_many_values("input", i, kMaxSavedInputs);
  return ValueSet(1) << i;
}
/// The jth output. An Error unless it is one of the first kMaxSavedOutputs.
constexpr ValueSet output(int j = 0) {
  if (j < 0 || j >= kMaxSavedOutputs) detail::throw_too_many_values("output", j, kMaxSavedOutputs);
  return ValueSet(1) << (kMaxSavedInputs + j);
}

/// What a rule may read: the inputs x and outputs y that were saved for it (Operation::saved_for); the others are undefined. Shapes and
/// dtypes of the tracked inputs and of all outputs are always available.
class Saved {
 public:
  Saved(const detail::TapeState& tape, const detail::TapeNode& node) : tape_(tape), node_(node) {}
  const Tensor& x(int i = 0) const;
  const Tensor& y(int j = 0) const;
  const Shape& x_shape(int i = 0) const;
  Dtype x_dtype(int i = 0) const;
  const Shape& y_shape(int j = 0) const;
  /// The number of input i, 0 for a constant. Available whether or not the input was saved.
  std::uint64_t x_number(int i) const;
  int inputs() const;

 private:
  const detail::TapeState& tape_;
  const detail::TapeNode& node_;
};

/// A factor of a product of matrices (..., m, n): the matrix or its transpose.
struct MatrixFactor {
  MatrixFactor(const Tensor& matrix, bool transposed = false) : matrix(matrix), transposed(transposed) {}
  const Tensor& matrix;
  bool transposed;
};
inline MatrixFactor transposed(const Tensor& matrix) { return {matrix, true}; }

/// Receives the cotangents that a reverse rule computes, for the inputs that need one: `x_bar[i] = ...`. They may have the shape to which
/// the input was broadcast; the sweep sums over the repetitions. Some terms can be added in place while they are computed.
class Cotangents {
 public:
  /// `products` collects products that are added together; null: each is added at once.
  Cotangents(Tensor* x_bar, detail::Slot* const* slots, bool recorded, detail::PendingProducts* products = nullptr)
      : x_bar_(x_bar), slots_(slots), products_(products), recorded_(recorded) {}
  /// Whether input i needs a cotangent.
  bool needs(int i) const { return slots_[i] != nullptr; }
  Tensor& operator[](int i) { return x_bar_[i]; }
  /// The cotangent of input i so far, row-major and of the input's shape, if the rule may add its term in place: for terms that are mostly
  /// zeros. Null if the rule must assign x_bar[i] instead: there is no cotangent yet, it is shared, or the sweep is recorded. Input i must
  /// need a cotangent.
  Tensor* accumulator(int i);
  /// Adds the product left right to the cotangent of input i: in place, deferred, or together with later ones where that is faster. Input i
  /// must need a cotangent.
  void add_product(int i, const MatrixFactor& left, const MatrixFactor& right);

 private:
  Tensor* x_bar_;
  detail::Slot* const* slots_;  // of the inputs that need a cotangent, else null
  detail::PendingProducts* products_;
  bool recorded_;
};

/// A tensor operation: its name and its derivative rules. Options (dimensions, strides, ...) are data members. Rules are pure functions
/// written in public operations, so that recording a sweep gives the next order of derivative.
class Operation {
 public:
  constexpr Operation() = default;
  static void* operator new(std::size_t bytes) { return pool::allocate(bytes); }
  static void operator delete(void* p, std::size_t bytes) { pool::release(p, bytes); }

  virtual const char* name() const = 0;
  /// Its formula, with # for the operand, or #1, #2, ... for several; empty for the name in upright letters.
  virtual const char* latex() const { return ""; }
  /// The inputs and outputs that the rules for input i read; they are saved.
  virtual ValueSet saved_for(int i) const = 0;
  /// Reverse mode. y_bar[j] is undefined where no cotangent reached output j (never for an operation with one output).
  virtual void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const = 0;
  /// Forward mode. x_dot[i] is undefined where input i does not change; at least one does.
  virtual void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const = 0;
  /// Deletes an operation that a node owns.
  virtual void dispose() const {}
  /// Computes the results again from all operands, recording what it computes; false if it cannot. For explanations alone.
  virtual bool recompute(std::span<const Tensor> /*x*/, std::span<Tensor> /*y*/) const { return false; }
  /// How many products of two numbers it adds up: those of matrix products and convolutions. For profiles alone.
  virtual double multiply_adds(const Saved& /*s*/) const { return 0; }

 protected:
  ~Operation() = default;
};

}  // namespace wengert
