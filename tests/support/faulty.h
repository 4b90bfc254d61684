#pragma once
// An operation that squares, with a selectable fault that the gradient checker must find.
#include "autodiff/ops.h"
#include "autodiff/tape/records.h"

namespace wengert {

enum class Fault { none, reverse, forward, second_order, not_repeatable, not_zero_for_zero, not_a_number };

class FaultySquare : public Operation {
 public:
  explicit FaultySquare(Fault fault) : fault_(fault) {}
  const char* name() const override { return "faulty"; }
  ValueSet saved_for(int) const override { return input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    static int calls = 0;
    Tensor g = 2 * s.x() * y_bar[0];
    if (fault_ == Fault::reverse) g = g * 1.01;
    if (fault_ == Fault::second_order) g = 2 * s.x().constant() * y_bar[0];
    if (fault_ == Fault::not_repeatable) g = g * (1 + 1e-15 * ++calls);
    if (fault_ == Fault::not_zero_for_zero) g = g + 1e-300;
    if (fault_ == Fault::not_a_number) g = g / 0 * 0;
    x_bar[0] = g;
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = (fault_ == Fault::forward ? 2.02 : 2) * s.x() * x_dot[0];
  }

 private:
  Fault fault_;
};

inline Tensor faulty(const Tensor& x, Fault fault, Location site = Location::here()) {
  const Tensor y = x.constant() * x.constant();
  return record(FaultySquare(fault), site, {&x}, y);
}

}  // namespace wengert
