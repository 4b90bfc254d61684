#pragma once
// Networks that are frozen and written as source.
#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <cstdint>
#include <vector>

namespace wengert::testing {

inline nn::Sequential mlp(std::uint64_t seed = 1) {
  Generator g(seed);
  return nn::Sequential{nn::Linear(8, 32, {}, g), nn::Tanh(), nn::Linear(32, 32, {}, g), nn::ReLU(), nn::Linear(32, 1, {}, g)};
}

/// Convolutions with batch normalisation, and every kind of pooling; 1 x 12 x 12 to 3 logits.
struct Cnn : nn::Module {
  explicit Cnn(std::uint64_t seed) : Cnn(Generator(seed)) {}
  explicit Cnn(Generator g)
      : first(1, 16, 3, {.padding = 1}, g),
        norm(16),
        second(16, 16, 3, {.padding = 1}, g),
        third(16, 8, 3, {.stride = 2}, g),
        out(8, 3, {}, g) {
    norm.weight.set(g.uniform({16}, 0.5, 1.5));
    norm.bias.set(g.uniform({16}, -0.5, 0.5));
    norm.running_mean = g.uniform({16}, -0.2, 0.2);
    norm.running_var = g.uniform({16}, 0.1, 0.4);
  }
  Tensor operator()(const Tensor& x) const {
    const Tensor a = max_pool2d(relu(norm(first(x))), 2);
    const Tensor b = second.with_relu(a, 2) + avg_pool2d(a, 2);
    return softmax(out(flatten(adaptive_avg_pool2d(silu(third(b)), 1), 1)), 1);
  }
  void visit(nn::Visitor& v) override {
    v("first", first);
    v("norm", norm);
    v("second", second);
    v("third", third);
    v("out", out);
  }
  nn::Conv2d first;
  nn::BatchNorm2d norm;
  nn::Conv2d second, third;
  nn::Linear out;
};

/// An LSTM cell and a layer on its output, as for a stream of sound: a sample at a time, with a path around both.
struct Amplifier : nn::Module {
  explicit Amplifier(std::uint64_t seed) : Amplifier(Generator(seed)) {}
  explicit Amplifier(Generator g) : lstm(1, 32, {}, g), out(32, 1, {}, g) {}
  Tensor operator()(const Tensor& x, LstmState& state) const {
    state = lstm(x, state);
    return out(state.h) + x;
  }
  void visit(nn::Visitor& v) override {
    v("lstm", lstm);
    v("out", out);
  }
  nn::LSTMCell lstm;
  nn::Linear out;
};

/// Layer normalisation, products of values and a path around them, over a sequence (1, 4, 8).
struct Block : nn::Module {
  explicit Block(std::uint64_t seed) : Block(Generator(seed)) {}
  explicit Block(Generator g) : norm(8), query(8, 8, {}, g), key(8, 8, {}, g), out(8, 8, {}, g) {}
  Tensor operator()(const Tensor& x) const {
    const Tensor n = norm(x);
    const Tensor weights = softmax(matmul(query(n), transpose(key(n), 1, 2)) * 0.25, 2);
    const Tensor y = x + gelu(out(matmul(weights, n)));
    return concat({mean(y, 1), sum(y, 1), select(y, 1, 3)}, 0);
  }
  void visit(nn::Visitor& v) override {
    v("norm", norm);
    v("query", query);
    v("key", key);
    v("out", out);
  }
  nn::LayerNorm norm;
  nn::Linear query, key, out;
};

}  // namespace wengert::testing
