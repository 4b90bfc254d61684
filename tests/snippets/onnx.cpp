#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
using namespace wengert;

int main() {
  Generator generator(1);
  nn::Sequential net(nn::Linear(4, 16, {}, generator), nn::ReLU(),
                     nn::Linear(16, 3, {}, generator));
  // [export]
  nn::export_onnx(net, Tensor::zeros({1, 4}), "net.onnx");
  // [export]

  // [import]
  nn::OnnxModel model = nn::import_onnx("net.onnx");
  const Tensor x = generator.normal({8, 4});
  std::printf("difference %g\n", max(abs(model(x) - net(x))).item());
  for (const nn::NamedParameter& p : model.named_parameters())
    std::printf("%s %s\n", p.name.c_str(),
                to_string(p.parameter->value.shape()).c_str());
  // [import]

  // [train]
  const Tensor labels = generator.integers({8}, 0, 3);
  model.train();
  optim::Adam adam(model.parameters(), {.lr = 0.01});
  for (int step = 0; step <= 100; ++step) {
    Tape tape;
    const Tensor loss = cross_entropy(model(x), labels);
    if (step % 50 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item());
    adam.step(tape.gradient(loss, model.parameters()));
  }
  // [train]

  // [refused]
  struct Clipped : nn::Stateless {
    Tensor operator()(const Tensor& x) const { return where(x > 0, x, 0.1 * x); }
  };
  try {
    nn::export_onnx(Clipped(), Tensor::ones({1, 4}), "clipped.onnx");
  } catch (const Error& error) {
    std::printf("%s\n", error.what());
  }
  // [refused]
  std::remove("net.onnx");
}
