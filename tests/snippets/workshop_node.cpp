#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [node]
  const double x = 2, y = 1;  // one example
  double w = 0.5, b = -0.25;
  for (int step = 0; step <= 4; ++step) {
    Tape tape;
    const Scalar W = tape.variable(w), B = tape.variable(b);
    const Scalar h = W * x + B;
    const Scalar y_hat = sigmoid(h);
    const Scalar E = 0.5 * square(y - y_hat);
    const auto [dE_dw, dE_db] = tape.gradient(E, W, B);

    const double f = y_hat.value(), f_prime = f * (1 - f);  // the formula, by hand
    const double by_hand = -(y - f) * f_prime * x;
    std::printf("step %d  E %.6f  dE/dw %+.6f (by hand %+.6f)  dE/db %+.6f\n", step,
                E.value(), dE_dw, by_hand, dE_db);
    const double eta = 2;  // the learning rate
    w -= eta * dE_dw;
    b -= eta * dE_db;
  }
  // [node]
}
