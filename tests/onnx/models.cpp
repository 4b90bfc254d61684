// The library's side of compare.py: models DIR writes ONNX files NAME.onnx, and for each NAME-0.safetensors and NAME-1.safetensors, an
// input x and the outputs that the library computes for it. The second input has other sizes in the dynamic dimensions.
#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <string>
#include <vector>

#include <autodiff/io/safetensors.h>

using namespace wengert;

namespace {

// Any function as a model.
template <class F> struct Computes : nn::Stateless {
  explicit Computes(F f) : f(f) {}
  Tensor operator()(const Tensor& x) const { return f(x); }
  F f;
};

struct SequenceModel : nn::Module {
  explicit SequenceModel(Generator& g)
      : words(11, 6, {}, g), lstm(6, 5, {.layers = 2, .batch_first = true, .bidirectional = true}, g), head(10, 3, {}, g) {}
  Tensor operator()(const Tensor& tokens) const { return head(select(lstm(words(tokens)).output, 1, -1)); }
  void visit(nn::Visitor& v) override {
    v("words", words);
    v("lstm", lstm);
    v("head", head);
  }

  nn::Embedding words;
  nn::LSTM lstm;
  nn::Linear head;
};

struct Cells : nn::Module {
  explicit Cells(Generator& g) : lstm(4, 5, {}, g), gru(5, 3, {}, g), rnn(3, 2, {}, g) {}
  Tensor operator()(const Tensor& x) const {
    nn::LstmState state;
    Tensor h, r;
    for (Index t = 0; t < x.size(0); ++t) {
      state = lstm(select(x, 0, t), state);
      h = gru(state.h, h);
      r = rnn(h, r);
    }
    return r;
  }
  void visit(nn::Visitor& v) override {
    v("lstm", lstm);
    v("gru", gru);
    v("rnn", rnn);
  }

  nn::LSTMCell lstm;
  nn::GRUCell gru;
  nn::RNNCell rnn;
};

Tensor functions(const Tensor& x) {
  const Tensor y = x * 4 - 2;  // of both signs
  const std::vector<Tensor> values{exp(x),
                                   exp2(x),
                                   expm1(y),
                                   log(x),
                                   log2(x),
                                   log10(x),
                                   log1p(x),
                                   sqrt(x),
                                   rsqrt(x),
                                   reciprocal(x),
                                   square(y),
                                   abs(y),
                                   -y,
                                   sign(y),
                                   floor(y),
                                   ceil(y),
                                   round(y),
                                   step(y),
                                   sin(y),
                                   cos(y),
                                   tan(x),
                                   asin(x),
                                   acos(x),
                                   atan(y),
                                   sinh(y),
                                   cosh(y),
                                   tanh(y),
                                   asinh(y),
                                   acosh(x + 1),
                                   atanh(x),
                                   sigmoid(y),
                                   log_sigmoid(y),
                                   logit(x),
                                   softsign(y),
                                   hardsigmoid(2 * y),
                                   relu(y),
                                   relu6(5 * y),
                                   selu(y),
                                   gelu(y),
                                   gelu_tanh(y),
                                   silu(y),
                                   hardswish(2 * y),
                                   mish(y),
                                   erf(y),
                                   erfc(y),
                                   leaky_relu(y, 0.2),
                                   elu(y, 0.7),
                                   softplus(y),
                                   softplus(y, 2),
                                   softshrink(y, 0.3),
                                   clamp(y, -0.5, 0.8),
                                   hardtanh(y, -0.4, 0.6),
                                   pow(x, y),
                                   maximum(x, y),
                                   minimum(x, y),
                                   hypot(x, y),
                                   logaddexp(x, y),
                                   x / (y + 5),
                                   x - y};
  return stack(values, 1);
}

Tensor shapes(const Tensor& x) {  // (n, 4, 6)
  const Tensor a = permute(flip(x, {2}), {0, 2, 1});
  const Tensor b = pad(slice(a, 1, 1, 6, 2), {0, 1, 0}, {0, 1, 2}, 0.5);
  const Tensor c = concat({cumsum(x, 2), narrow(x, 2, 0, 3)}, 2);
  const Tensor d = sum(c, {1}) + mean(c, 1) + max(c, 1) + min(c, 1) + logsumexp(c, {-2}) + prod(c, {1}) + norm(c, 2, {1});
  const Tensor e = einsum("nij,nkj->nik", {x, x});
  const Tensor f = sqrt(var(x, 2, {.keepdim = true})) * softmax(x, 1) + log_softmax(x, 2) + tril(Tensor::ones({4, 6})) + cumprod(x, 2);
  const Tensor g = select(x, 0, -1) - select(x, 0, 0);
  const Tensor h = expand(unsqueeze(g, 0), {1, 4, 6}) + x;
  return concat({flatten(b, 1), flatten(d, 1), flatten(e, 1), flatten(f, 1), flatten(h, 1)}, 1);
}

// A Tensor, or the first output of a recurrent layer.
std::vector<NamedTensor> run(auto& model, const Tensor& x) { return nn::detail::onnx_outputs(model(x)); }

template <class Model> void write(const std::string& folder, const std::string& name, Model model, const Tensor& x, const Tensor& other,
                                  const nn::OnnxOptions& options = {}) {
  if constexpr (requires { model(x * 2.0); })
    if (is_floating(x.dtype())) static_cast<void>(model(x * 2 + 0.5));  // moves statistics away from their first values
  model.eval();
  nn::export_onnx(model, x, folder + "/" + name + ".onnx", options);
  int k = 0;
  for (const Tensor* input : {&x, &other}) {
    std::vector<NamedTensor> tensors{{"input", *input}};
    for (NamedTensor& y : run(model, *input)) tensors.push_back(std::move(y));
    write_safetensors(folder + "/" + name + "-" + std::to_string(k++) + ".safetensors", tensors);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::string folder = argv[1];
  Generator g(7);
  const auto tokens = [&](const Shape& shape) { return g.integers(shape, 0, 11); };
  write(folder, "mlp",
        nn::Sequential{nn::Linear(5, 16, {}, g), nn::ReLU(), nn::Linear(16, 16, {}, g), nn::Tanh(), nn::Linear(16, 3, {}, g)},
        g.normal({4, 5}), g.normal({7, 5}));
  write(folder, "cnn",
        nn::Sequential{nn::Conv2d(2, 6, 3, {.padding = 1}, g), nn::BatchNorm2d(6), nn::ReLU(), nn::MaxPool2d(2),
                       nn::Conv2d(6, 8, 3, {.padding = 1}, g), nn::ReLU(), nn::MaxPool2d(2),
                       nn::Conv2d(8, 4, {3, 1}, {.stride = {1, 2}, .groups = 2}, g), nn::ReLU(), nn::Flatten(), nn::Linear(16, 5, {}, g)},
        g.normal({3, 2, 16, 16}), g.normal({2, 2, 16, 16}));
  write(folder, "windows",
        nn::Sequential{nn::ConvTranspose2d(3, 4, 3, {.stride = 2, .padding = 1, .output_padding = 1}, g), nn::GroupNorm(2, 4),
                       nn::PReLU({.channels = 4}), nn::AvgPool2d(3, {.stride = 2, .padding = 1}),
                       nn::MaxPool2d({3, 2}, {.stride = 2, .padding = 1, .dilation = 1, .ceil_mode = true}), nn::AdaptiveAvgPool2d({2, 1}),
                       nn::Flatten(2), nn::Conv1d(4, 5, 2, {.padding = 1, .dilation = 2}, g), nn::BatchNorm1d(5), nn::LayerNorm(2)},
        g.normal({3, 3, 7, 8}), g.normal({5, 3, 7, 8}));
  write(folder, "lstm", nn::LSTM(7, 9, {.layers = 2, .bidirectional = true}, g), g.normal({6, 3, 7}), g.normal({8, 2, 7}),
        {.dynamic = {0, 1}});
  write(folder, "gru", nn::GRU(7, 9, {.layers = 2, .bidirectional = true}, g), g.normal({6, 3, 7}), g.normal({8, 2, 7}),
        {.dynamic = {0, 1}});
  write(folder, "rnn", nn::RNN(4, 3, nn::Nonlinearity::relu, {.bias = false}, g), g.normal({6, 3, 4}), g.normal({8, 2, 4}),
        {.dynamic = {0, 1}});
  write(folder, "words", SequenceModel(g), tokens({4, 6}), tokens({3, 9}), {.dynamic = {0, 1}});
  write(folder, "cells", Cells(g), g.normal({5, 3, 4}), g.normal({5, 3, 4}), {.dynamic = {}});
  write(folder, "encoder", nn::TransformerEncoderLayer(12, 3, {.feedforward = 20}, g), g.normal({5, 2, 12}), g.normal({7, 3, 12}),
        {.dynamic = {0, 1}});
  write(folder, "encoder_gelu",
        nn::TransformerEncoderLayer(12, 3, {.feedforward = 20, .gelu = true, .batch_first = true, .norm_first = true}, g),
        g.normal({5, 2, 12}), g.normal({3, 2, 12}));
  write(folder, "residual", nn::Sequential{nn::Residual(nn::Sequential{nn::Linear(6, 6, {}, g), nn::SiLU()}), nn::Softmax()},
        g.normal({3, 6}), g.normal({1, 6}));
  write(folder, "functions", Computes(functions), g.uniform({4, 9}, 0.1, 0.9), g.uniform({6, 9}, 0.1, 0.9));
  write(folder, "shapes", Computes(shapes), g.normal({3, 4, 6}), g.normal({5, 4, 6}));
}
