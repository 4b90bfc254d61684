#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

void backpropagation() {
  // [backpropagation]
  // XOR: four examples, one a row.
  const Tensor X = Tensor::from({{0, 0}, {0, 1}, {1, 0}, {1, 1}}, float64);
  const Tensor Y = Tensor::from({{0}, {1}, {1}, {0}}, float64);
  Generator generator(1);
  const Parameter W1(generator.normal({2, 3}, 0, 1, float64), "W1");
  const Parameter W2(generator.normal({3, 1}, 0, 1, float64), "W2");

  Tape tape;
  const Tensor H = tanh(matmul(X, W1));  // (4, 3), the hidden layer
  const Tensor Y_hat = matmul(H, W2);    // (4, 1)
  const Tensor E = 0.5 * sum(square(Y - Y_hat));
  const auto [W1_bar, W2_bar] = tape.gradient(E, W1, W2);

  // The same by hand, from the output backwards.
  const Tensor w2 = W2.value(), h = H.constant();
  const Tensor Y_hat_bar = Y_hat.constant() - Y;
  const Tensor W2_by_hand = matmul(transpose(h), Y_hat_bar);
  const Tensor H_bar = matmul(Y_hat_bar, transpose(w2));
  const Tensor W1_by_hand = matmul(transpose(X), H_bar * (1 - square(h)));
  for (Index i = 0; i < 3; ++i)
    std::printf("W2_bar by the tape %+.6f, by hand %+.6f\n", W2_bar.element(i),
                W2_by_hand.element(i));
  for (Index i = 0; i < 6; ++i)
    std::printf("W1_bar by the tape %+.6f, by hand %+.6f\n", W1_bar.element(i),
                W1_by_hand.element(i));
  // [backpropagation]
}

void training() {
  // [training]
  const Tensor X = Tensor::from({{0, 0}, {0, 1}, {1, 0}, {1, 1}}, float64);
  const Tensor Y = Tensor::from({{0}, {1}, {1}, {0}}, float64);
  Generator generator(1);
  nn::Sequential net(nn::Linear(2, 3, {}, generator), nn::Tanh(),
                     nn::Linear(3, 1, {}, generator));
  net.to(float64);
  optim::SGD sgd(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  for (int epoch = 0; epoch <= 300; ++epoch) {
    Tape tape;
    const Tensor loss = nn::half_squared_error(net(X), Y);
    if (epoch % 100 == 0) std::printf("epoch %3d  E %.5f\n", epoch, loss.item());
    sgd.step(tape.gradient(loss, net.parameters()));
  }
  for (Index i = 0; i < 4; ++i)
    std::printf("%.0f xor %.0f: %.3f\n", X.at({i, 0}), X.at({i, 1}),
                std::abs(net(X).at({i, 0})));
  // [training]
}

int main() {
  backpropagation();
  training();
}
