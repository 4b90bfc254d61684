#include <autodiff/autodiff.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [program]
  Parameter w(Tensor::from({1, 2, 3}));
  optim::SGD sgd({w}, {.lr = 1});
  Tape tape;
  const Tensor p = softmax(w, 0);
  const Tensor E = -log(p[2]);
  sgd.step(tape.gradient(E, {w}));
  // [program]
  const Tensor before = p.constant(),
               after = w.value();  // the step has consumed the records of p
  for (int i = 0; i < 3; ++i)
    std::printf("p %.6f   w after the step %.6f\n", before(i).value(),
                after(i).value());
}
