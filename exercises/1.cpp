#include <1.h>

#include <autodiff/autodiff.h>

#include "exercises/verdict.h"
using namespace wengert;

int main() {
  Verdict verdict(1);
  for (const double w : {-1.0, 0.5}) {
    for (const double x : {-2.0, 0.3, 1.0}) {
      Tape tape;
      const Scalar W = tape.variable(w), B = tape.variable(0.2);
      const Scalar E = 0.5 * square(0.7 - tanh(W * x + B));
      const auto [by_w, by_b] = tape.gradient(E, W, B);
      verdict.compare("dE/dw", dE_dw(w, 0.2, x, 0.7), by_w, {{"w", w}, {"b", 0.2}, {"x", x}, {"y", 0.7}});
      verdict.compare("dE/db", dE_db(w, 0.2, x, 0.7), by_b, {{"w", w}, {"b", 0.2}, {"x", x}, {"y", 0.7}});
    }
  }
  return verdict.status();
}
