#include <4.h>

#include <autodiff/autodiff.h>

#include "exercises/verdict.h"
using namespace wengert;

int main() {
  Verdict verdict(4);
  const std::vector<double> x{1, -2, 0.5, 3}, w{0.4, -0.7}, h_bar{1, 2, -1};
  Tape tape;
  const std::vector<Scalar> X = tape.variables(x), W = tape.variables(w);
  Scalar E = 0;
  for (int i = 0; i < 3; ++i) E += h_bar[i] * (W[0] * X[i] + W[1] * X[i + 1]);
  std::vector<double> by_w(2), by_x(4);
  tape.gradient(E, W, by_w, {.retain = true});
  tape.gradient(E, X, by_x);
  for (int k = 0; k < 2; ++k) verdict.compare("dE/dw[" + std::to_string(k) + "]", dE_dw(k, x, h_bar), by_w[k]);
  for (int j = 0; j < 4; ++j) verdict.compare("dE/dx[" + std::to_string(j) + "]", dE_dx(j, w, h_bar), by_x[j]);
  return verdict.status();
}
