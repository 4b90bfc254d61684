#pragma once
// What an operation of the tensor side is to the tape, and how it gets recorded. Included by the files of ops/ and by tape.cpp.
#include <cstdint>
#include <initializer_list>
#include <span>

#include "autodiff/ops.h"
#include "autodiff/tape/pending_product.h"

namespace wengert {

/// A set of inputs and outputs of an operation.
using ValueSet = std::uint32_t;
constexpr ValueSet kNoValues = 0;
constexpr ValueSet input(int i) { return ValueSet(1) << i; }
constexpr ValueSet output(int j = 0) { return ValueSet(1) << (24 + j); }

namespace detail {
class TapeState;
struct Call;
}  // namespace detail

/// What a rule may read: the inputs x and outputs y that were kept because a rule that may be asked for reads them (`reads`); the
/// others are undefined. Shapes and dtypes of the tracked inputs are always there.
class Saved {
 public:
  Saved(const detail::TapeState& tape, const detail::Call& call) : tape_(tape), call_(call) {}
  const Tensor& x(int i = 0) const;
  const Tensor& y(int j = 0) const;
  const Shape& x_shape(int i = 0) const;
  Dtype x_dtype(int i = 0) const;
  const Shape& y_shape(int j = 0) const;
  int inputs() const;

 private:
  const detail::TapeState& tape_;
  const detail::Call& call_;
};

namespace detail {
/// Which inputs may have a cotangent that is a product nobody has multiplied yet, and the one that a rule has left for one of them.
struct WelcomeProduct {
  ValueSet inputs = 0;
  int input = -1;
  PendingProduct product;
};
}  // namespace detail

/// Where a reverse rule puts the cotangents of the inputs that somebody asked for. They may still have the shape to which the input
/// was broadcast: the sweep sums it away.
class Cotangents {
 public:
  Cotangents(Tensor* x_bar, const bool* wanted, detail::WelcomeProduct* welcome = nullptr)
      : x_bar_(x_bar), wanted_(wanted), welcome_(welcome) {}
  bool wants(int i) const { return wanted_[i]; }
  Tensor& operator[](int i) { return x_bar_[i]; }
  /// Offers left^T right, of matrices (k, m) and (k, n), as the cotangent of input i. False: it is not welcome, and the rule multiplies.
  bool put_product(int i, const Tensor& left, const Tensor& right) {
    if (!welcome_ || !(welcome_->inputs & input(i)) || welcome_->product.defined() || !detail::PendingProduct::fits(left, right))
      return false;
    welcome_->input = i;
    welcome_->product = {left, right};
    return true;
  }

 private:
  Tensor* x_bar_;
  const bool* wanted_;
  detail::WelcomeProduct* welcome_;
};

/// An operation: its name and its derivative rules. Options (dimensions, strides, ...) are data members. Rules are pure, and they are
/// written in public operations, so that recording a sweep gives the next order of derivative.
class Operation {
 public:
  constexpr Operation() = default;
  static void* operator new(std::size_t bytes) { return pool::allocate(bytes); }
  static void operator delete(void* p, std::size_t bytes) { pool::release(p, bytes); }

  virtual const char* name() const = 0;
  /// With # for an operand, #1, #2, ... where there are several; empty if the name in upright letters will do.
  virtual const char* latex() const { return ""; }
  /// What the rules for input i read.
  virtual ValueSet reads(int i) const = 0;
  /// Reverse mode. y_bar[j] is undefined where no cotangent reached output j (never for an operation of one output).
  virtual void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const = 0;
  /// Forward mode. x_dot[i] is undefined where input i does not change; at least one does.
  virtual void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const = 0;
  /// x_bar[i] += the rule's result, in place, for rules whose result is mostly zeros or that can add while they compute; false: not
  /// offered. Called outside recording only. x_bar is dense and owned by the sweep alone.
  virtual bool add_vjp(const Saved&, std::span<const Tensor>, int, Tensor&) const { return false; }
  /// Ends an operation that a call owns.
  virtual void dispose() const {}

 protected:
  ~Operation() = default;
};

}  // namespace wengert
