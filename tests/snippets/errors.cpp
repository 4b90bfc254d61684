// The usual mistakes and their messages, for docs/errors.md.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
#include <functional>
#include <sstream>
#include <string>
using namespace wengert;

void print_wrapped(const std::string& text) {
  std::istringstream words(text);
  std::string line = "  ", word;
  while (words >> word) {
    if (line.size() + word.size() > 110) {
      std::printf("%s\n", line.c_str());
      line = "    ";
    }
    line += (line.back() == ' ' ? "" : " ") + word;
  }
  std::printf("%s\n", line.c_str());
}

void print_mistake(const char* title, const char* code,
                   const std::function<void()>& mistake) {
  static int number = 0;
  std::printf("%d. %s\n  > %s\n", ++number, title, code);
  try {
    mistake();
    std::printf("  no error\n");
  } catch (const Error& e) {
    print_wrapped(e.what());
  }
}
#define MISTAKE(title, ...) print_mistake(title, #__VA_ARGS__, [&] { __VA_ARGS__; })

int main() {
  const Tensor x = Tensor::zeros({32, 784}), W = Tensor::zeros({128, 784});
  const Tensor image = Tensor::zeros({3, 32, 32}), nhwc = Tensor::zeros({8, 32, 32, 3});
  const Tensor logits = Tensor::zeros({32, 10}), labels = Tensor::zeros({32}, int64);
  nn::Linear layer(400, 10), unused(400, 10);
  nn::Conv2d convolution(3, 16, 5);
  nn::LSTM lstm(8, 16);
  nn::BatchNorm1d norm(4);

  MISTAKE("A weight that is transposed", matmul(x, W));
  MISTAKE("... and in a linear layer", linear(x, transpose(W)));
  MISTAKE("No batch dimension", convolution(image));
  MISTAKE("Channels last", convolution(nhwc));
  MISTAKE("Another size after flattening", layer(flatten(nhwc)));
  MISTAKE("Labels as floating-point numbers",
          cross_entropy(logits, labels.to(float32)));
  MISTAKE("Labels with a dimension too many",
          cross_entropy(logits, unsqueeze(labels, 1)));
  MISTAKE("A label outside the classes", cross_entropy(logits, labels + 10));
  MISTAKE("A column of predictions, a row of targets",
          nn::mse(Tensor::zeros({32, 1}), Tensor::zeros({32})));
  MISTAKE("Sizes that do not broadcast", x + Tensor::zeros({32}));
  MISTAKE("float32 and float64", x + Tensor::zeros({32, 784}, float64));
  MISTAKE("A shape with another number of elements", reshape(x, {32, 28, 27}));
  MISTAKE("Parts that do not fit together", concat({x, logits}, 0));
  MISTAKE("stack of different shapes", stack({x, logits}));
  MISTAKE("A dimension that is not there", sum(x, 2));
  MISTAKE("An index beyond the end", x(32, 0));
  MISTAKE("A mask of another shape", where(logits > 0, x, 0));
  MISTAKE("One letter, two sizes", einsum("ij,jk->ik", {x, logits}));
  MISTAKE("Features that are not the last dimension", lstm(Tensor::zeros({32, 8, 20})));
  MISTAKE("Heads that do not divide the width", nn::MultiheadAttention(10, 3));
  MISTAKE("Batch normalization of a single example", norm(Tensor::zeros({1, 4})));
  {
    Tape tape;
    const Tensor z = tape.variable(logits);
    MISTAKE("softmax before cross_entropy", cross_entropy(softmax(z, 1), labels));
    MISTAKE("A target of many elements", tape.gradient(z * z, z));
    MISTAKE("A variable of integers", tape.variable(labels));
    MISTAKE("A tape inside a tape", Tape second);
    const Tensor y = sum(z * z);
    MISTAKE("A parameter that was not used", tape.gradient(y, layer.parameters()));
    static_cast<void>(tape.gradient(y, z));
    MISTAKE("A second gradient from the same records", tape.gradient(y, z));
  }
  Tensor w, y;
  {
    Tape tape;
    w = tape.variable(Tensor::ones({3}));
    y = sum(w * w);
  }
  Tape tape;
  MISTAKE("A gradient after the tape has ended", tape.gradient(y, w));
  optim::SGD sgd(unused.parameters());
  const Tensor loss = sum(layer(Tensor::ones({1, 400})));
  MISTAKE("An optimizer for another model",
          sgd.step(tape.gradient(loss, layer.parameters())));
}
