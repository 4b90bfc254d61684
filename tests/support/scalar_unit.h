#pragma once
// A user's program in two translation units that are compiled with different flags. Both record on the caller's tape.
#include <span>

#include "autodiff/tape/tape.h"

namespace wengert::testing {

/// The same program everywhere.
Scalar program_compiled_plainly(std::span<const Scalar> x);
Scalar program_compiled_with_fast_math(std::span<const Scalar> x);

/// As user code might be written: with functions of std and of the library.
template <class T> T user_program(std::span<const T> x) {
  using std::abs;
  using std::cos;
  using std::exp;
  using std::log;
  using std::pow;
  using std::sqrt;
  using std::tanh;
  T s = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    T a = exp(-x[i]) * cos(x[i] * 2.0), b = log(1.0 + x[i] * x[i]) + sqrt(abs(x[i]));
    s += a * b / (1.0 + tanh(s * 0.1));
    if (s > a) s -= pow(b, 2.0) * 0.01;
  }
  return s;
}

}  // namespace wengert::testing
