// The usual mistakes and their messages, for docs/errors.md.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <cstdio>
#include <sstream>
#include <string>
using namespace wengert;

// Prints a line in pieces of at most 92 columns.
void print_wrapped(const std::string& text) {
  std::size_t begin = 0;
  while (text.size() - begin > 90) {
    const std::size_t end = text.rfind(' ', begin + 90);
    std::printf("%s%s\n", begin ? "    " : "  ",
                text.substr(begin, end - begin).c_str());
    begin = end + 1;
  }
  std::printf("%s%s\n", begin ? "    " : "  ", text.substr(begin).c_str());
}

int number = 0;

template <class F> void mistake(const char* title, const F& call) {
  std::printf("%s%d. %s\n", number ? "\n" : "", number + 1, title);
  ++number;
  std::string text = "no error";
  try {
    call();
    // [catch]
  } catch (const Error& error) {
    text = diagnose(error);
  }
  // [catch]
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) print_wrapped(line);
}

int main() {
  const Tensor x = Tensor::zeros({32, 784}), W = Tensor::zeros({128, 784});
  const Tensor image = Tensor::zeros({3, 32, 32}), nhwc = Tensor::zeros({8, 32, 32, 3});
  const Tensor logits = Tensor::zeros({32, 10}), labels = Tensor::zeros({32}, int64);
  nn::Linear layer(400, 10), unused(400, 10);
  nn::Conv2d convolution(3, 16, 5);
  nn::LSTM lstm(8, 16);
  nn::BatchNorm1d norm(4);

  // The output quotes the lines, so each call has one of its own.
  // clang-format off
  mistake("A weight that is transposed", [&] {
    return matmul(x, W);
  });
  mistake("... and in a linear layer", [&] {
    return linear(x, transpose(W));
  });
  mistake("No batch dimension", [&] {
    return convolution(image);
  });
  mistake("Channels last", [&] {
    return convolution(nhwc);
  });
  mistake("Another size after flattening", [&] {
    return layer(flatten(nhwc));
  });
  mistake("Labels as floating-point numbers", [&] {
    return cross_entropy(logits, labels.to(float32));
  });
  mistake("Labels with a dimension too many", [&] {
    return cross_entropy(logits, unsqueeze(labels, 1));
  });
  mistake("A label outside the classes", [&] {
    return cross_entropy(logits, labels + 10);
  });
  mistake("A column of predictions, a row of targets", [&] {
    return nn::mse(Tensor::zeros({32, 1}), Tensor::zeros({32}));
  });
  mistake("Sizes that do not broadcast", [&] {
    return x + Tensor::zeros({32});
  });
  mistake("float32 and float64", [&] {
    return x + Tensor::zeros({32, 784}, float64);
  });
  mistake("A shape with another number of elements", [&] {
    return reshape(x, {32, 28, 27});
  });
  mistake("Parts that do not fit together", [&] {
    return concat({x, logits}, 0);
  });
  mistake("stack of different shapes", [&] {
    return stack({x, logits});
  });
  mistake("A dimension that is not there", [&] {
    return sum(x, 2);
  });
  mistake("An index beyond the end", [&] {
    return x(32, 0);
  });
  mistake("A mask of another shape", [&] {
    return where(logits > 0, x, 0);
  });
  mistake("One letter, two sizes", [&] {
    return einsum("ij,jk->ik", {x, logits});
  });
  mistake("Features that are not the last dimension", [&] {
    return lstm(Tensor::zeros({32, 8, 20}));
  });
  mistake("Heads that do not divide the width", [&] {
    nn::MultiheadAttention(10, 3);
  });
  mistake("Batch normalization of a single example", [&] {
    return norm(Tensor::zeros({1, 4}));
  });
  {
    Tape tape;
    const Tensor z = tape.variable(logits);
    mistake("softmax before cross_entropy", [&] {
      return cross_entropy(softmax(z, 1), labels);
    });
    mistake("A target of many elements", [&] {
      return tape.gradient(z * z, z);
    });
    mistake("A variable of integers", [&] {
      return tape.variable(labels);
    });
    mistake("A tape inside a tape", [&] {
      Tape second;
    });
    const Tensor y = sum(z * z);
    mistake("A parameter that was not used", [&] {
      return tape.gradient(y, layer.parameters());
    });
    static_cast<void>(tape.gradient(y, z));
    mistake("A second gradient from the same records", [&] {
      return tape.gradient(y, z);
    });
  }
  Tensor w, y;
  {
    Tape tape;
    w = tape.variable(Tensor::ones({3}));
    y = sum(w * w);
  }
  Tape tape;
  mistake("A gradient after the tape has ended", [&] {
    return tape.gradient(y, w);
  });
  optim::SGD sgd(unused.parameters());
  const Tensor loss = sum(layer(Tensor::ones({1, 400})));
  mistake("An optimizer for another model", [&] {
    sgd.step(tape.gradient(loss, layer.parameters()));
  });
  // clang-format on
}
