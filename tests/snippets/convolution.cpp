#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

int main() {
  // 64 images of 8 x 8: noise with a vertical (0) or horizontal (1) bar.
  Generator generator(1);
  Tensor images = generator.normal({64, 1, 8, 8}, 0, 0.3),
         labels = Tensor::zeros({64}, int64);
  float* const pixels = images.mutable_data<float>();
  for (Index i = 0; i < 64; ++i) {
    const Index lies = i % 2, at = i / 2 % 8;
    labels.mutable_data<std::int64_t>()[i] = lies;
    for (Index k = 0; k < 8; ++k)
      pixels[64 * i + (lies ? 8 * at + k : 8 * k + at)] += 1;
  }

  nn::Sequential net(nn::Conv2d(1, 4, 3, {.padding = 1}, generator), nn::ReLU(),
                     nn::AdaptiveAvgPool2d(1), nn::Flatten(),
                     nn::Linear(4, 2, {}, generator));
  std::puts(net.summary({64, 1, 8, 8}).c_str());
  optim::Adam adam(net.parameters(), {.lr = 0.02});
  for (int step = 0; step < 200; ++step) {
    Tape tape;
    adam.step(tape.gradient(nn::cross_entropy(net(images), labels), net.parameters()));
  }
  std::printf("right: %.0f of 64\n", 64 * nn::accuracy(net(images), labels));
}
