#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  {
    // [diagnose]
    Tape tape;
    const Tensor x = tape.variable(Tensor::from({{0.5, 2.0}, {1.0, 0.0}}, float64));
    const Tensor p = log(x);
    const Tensor loss = mean(p * x);

    std::printf("%s\n", diagnose(tape, loss).text.c_str());
    // [diagnose]
  }
  {
    // [check]
    Tape tape({.check_finite = true});
    const Tensor x = tape.variable(Tensor::from({4.0, 0.0}, float64));
    try {
      const Tensor loss = sum(where(x > 0, sqrt(x), Tensor::zeros({2}, float64)));
      static_cast<void>(tape.gradient(loss, x));
    } catch (const FoundNotFinite& e) {
      std::printf("%s\n", e.what());
    }
    // [check]
  }
  {
    // [zero]
    Tape tape;
    const Parameter w(Tensor::from({{0.5, -0.5}}, float64), "w");
    const Tensor x = Tensor::from({{1.0, 2.0}, {3.0, 4.0}}, float64);
    const Tensor h = relu(linear(x, w));
    std::printf("%s\n", explain_gradient(tape, sum(h), w).text.c_str());
    // [zero]
  }
  {
    // [derivation]
    Tape tape({.formulas = true});
    const double x = 2, y = 1;
    const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
    const Scalar h = w * x + b;
    const Scalar y_hat = sigmoid(h);
    const Scalar E = 0.5 * square(y - y_hat);

    std::printf("%s", explain(tape, E, w, b).text().c_str());
    // [derivation]
  }
}
