#include <autodiff/autodiff.h>

#include <cstdio>
#include <string>
using namespace wengert;

int main() {
  // [derivation]
  Tape tape({.formulas = true});
  const double u = 0.5, y = 0.5;
  const Scalar w = tape.variable(0.8);
  Scalar h = named("h_0", tape.variable(0));
  for (int t = 1; t <= 4; ++t) {
    const std::string step = "_" + std::to_string(t);
    const Scalar x = named("x" + step, tape.variable(t == 1));
    const Scalar a = named("a" + step, w * h + u * x);
    h = named("h" + step, tanh(a));
  }
  const Scalar E = 0.5 * square(y - h);

  Derivation d = explain(tape, E, w);
  d.collected.clear();  // one long formula: the sum over all steps
  for (auto* part : {&d.forward, &d.backward, &d.where})
    for (Equation& e : *part) e.numbers.clear();  // symbols and values only
  std::printf("%s", d.text().c_str());
  // [derivation]
}
