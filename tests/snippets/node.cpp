#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  const double x[] = {-2, -1, 0, 2}, y[] = {0, 0, 1, 1};
  double w = 0, b = 0;  // y_hat = sigmoid(w x + b)
  for (int epoch = 0; epoch <= 60; ++epoch) {
    Tape tape;  // recording starts
    const Scalar W = tape.variable(w), B = tape.variable(b);
    Scalar E = 0;
    for (int i = 0; i < 4; ++i) E += 0.5 * square(y[i] - sigmoid(W * x[i] + B));
    const auto [dE_dw, dE_db] = tape.gradient(E, W, B);
    if (epoch % 20 == 0)
      std::printf("epoch %2d  E %.4f  dE/dw %+.4f  dE/db %+.4f\n", epoch, E.value(),
                  dE_dw, dE_db);
    w -= 0.5 * dE_dw;
    b -= 0.5 * dE_db;
  }
}
