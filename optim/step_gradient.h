#pragma once
// Internal. The first line of almost every optimizer's formula: direction and weight decay.

namespace wengert::optim {

/// g, or -g to maximize, with weight decay: + lambda p.
template <class T> struct StepGradient {
  T lambda;
  bool maximize;

  __attribute__((always_inline)) T operator()(T gradient, T parameter) const {
    const T g = maximize ? -gradient : gradient;
    return lambda != 0 ? g + lambda * parameter : g;
  }
};

}  // namespace wengert::optim
