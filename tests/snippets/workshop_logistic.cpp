#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

// [logistic]
int main() {
  // Hours of study, and whether the examination was passed.
  const double hours[] = {0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5};
  const double passed[] = {0, 0, 0, 1, 0, 1, 0, 1, 1, 1};
  double w = 0, b = 0;
  for (int epoch = 0; epoch <= 400; ++epoch) {
    Tape tape;
    const Scalar W = tape.variable(w), B = tape.variable(b);
    Scalar E = 0;  // cross-entropy: -ln of the probability given to what happened
    for (int i = 0; i < 10; ++i) {
      const Scalar p = sigmoid(W * hours[i] + B);
      E -= passed[i] * log(p) + (1 - passed[i]) * log(1 - p);
    }
    const auto [dE_dw, dE_db] = tape.gradient(E, W, B);
    double by_hand = 0;  // sum of (p - y) x: the factor f' has cancelled
    for (int i = 0; i < 10; ++i) {
      const double p = 1 / (1 + std::exp(-(w * hours[i] + b)));
      by_hand += (p - passed[i]) * hours[i];
    }
    if (epoch % 100 == 0)
      std::printf("epoch %3d  E %.4f  dE/dw %+.5f (by hand %+.5f)  w %.3f  b %.3f\n",
                  epoch, E.value(), dE_dw, by_hand, w, b);
    w -= 0.05 * dE_dw;
    b -= 0.05 * dE_db;
  }
}
// [logistic]
