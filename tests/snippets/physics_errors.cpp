#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

int main() {
  // [errors]
  // The focal length of a lens, 1/f = 1/g + 1/b, from two measured distances in cm.
  const double g_value = 30.0, g_error = 0.5, b_value = 20.0, b_error = 0.3;
  Tape tape;
  const Scalar g = tape.variable(g_value), b = tape.variable(b_value);
  const Scalar f = 1 / (1 / g + 1 / b);
  const auto [df_dg, df_db] = tape.gradient(f, g, b);
  const double error = std::hypot(df_dg * g_error, df_db * b_error);
  std::printf("f = (%.2f +- %.2f) cm\n", f.value(), error);
  std::printf("from g: %.3f cm, from b: %.3f cm\n", df_dg * g_error, df_db * b_error);
  // [errors]
}
