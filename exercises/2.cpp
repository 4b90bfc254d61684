#include <2.h>

#include <autodiff/autodiff.h>

#include "exercises/verdict.h"
using namespace wengert;

int main() {
  Verdict verdict(2);
  for (const double y : {0.0, 1.0}) {
    for (const double x : {-2.0, 0.3, 1.0}) {
      Tape tape;
      const Scalar W = tape.variable(0.8);
      const Scalar p = sigmoid(W * x - 0.3);
      const Scalar E = -(y * log(p) + (1 - y) * log(1 - p));
      verdict.compare("dE/dw", dE_dw(0.8, -0.3, x, y), tape.gradient(E, W), {{"w", 0.8}, {"b", -0.3}, {"x", x}, {"y", y}});
    }
  }
  return verdict.status();
}
