// Compiled several times, at the level of optimisation that WENGERT_LEVEL names. Without templates: of several functions of the same name
// the linker keeps one.
#include "optimisation_level.h"

#include "autodiff/autodiff.h"

namespace wengert::testing {
namespace {

Scalar wave(const Scalar& x, double k) { return sin(k * x) * x / (x + k); }
Scalar mixed(Scalar a, Scalar b) { return a * b + a; }

// A scalar that occurs more than once in a statement, and calls whose order C++ leaves open.
Scalar any_program(const Scalar& x) {
  Scalar y = 0;
  for (int i = 1; i < 30; ++i) y += mixed(wave(x, i), wave(x, i + 0.5)) * wave(x, 0.3 * i);
  return y;
}

// No statement has a scalar twice, or two calls that record.
Scalar ordered_program(const Scalar& x) {
  Scalar y = 0;
  for (int i = 1; i < 30; ++i) {
    const Scalar phase = i * x, sine = sin(phase), above = sine * x, below = x + 1.0 * i;
    const Scalar term = above / below;
    y += term * exp(phase * -0.1);
  }
  return y;
}

ValueAndSlope of(Scalar (*f)(const Scalar&), double at) {
  Tape tape;
  const Scalar x = tape.variable(at), y = f(x);
  return {y.value(), static_cast<double>(tape.gradient(y, wrt(x)))};
}

}  // namespace

namespace WENGERT_LEVEL {
ValueAndSlope any_program(double x) { return of(testing::any_program, x); }
ValueAndSlope ordered_program(double x) { return of(testing::ordered_program, x); }
}  // namespace WENGERT_LEVEL

}  // namespace wengert::testing
