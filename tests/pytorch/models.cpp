// The library's side of round_trip.py: three models whose state files PyTorch reads and writes.
//   models write DIR   writes NAME.safetensors (the state) and NAME-run.safetensors (input x, output y) of each
//   models check DIR   reads both as PyTorch wrote them, and prints for each model its name and the largest difference between the outputs
#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <cstdio>
#include <cstring>
#include <string>

#include <autodiff/io/safetensors.h>

using namespace wengert;

namespace {

struct Cnn : nn::Module {
  explicit Cnn(Generator& g)
      : layers(nn::Conv2d(2, 6, 3, {.padding = 1}, g), nn::BatchNorm2d(6), nn::ReLU(), nn::MaxPool2d(2),
               nn::Conv2d(6, 4, {3, 1}, {.stride = {1, 2}, .groups = 2}, g), nn::ReLU(), nn::Flatten(), nn::Linear(16, 5, {}, g)) {}
  Tensor operator()(const Tensor& x) { return layers(x); }
  void visit(nn::Visitor& v) override { layers.visit(v); }

  nn::Sequential layers;
};

struct Lstm : nn::Module {
  explicit Lstm(Generator& g) : lstm(7, 9, {.layers = 2, .bidirectional = true}, g), head(18, 4, {}, g) {}
  Tensor operator()(const Tensor& x) const { return head(lstm(x).output); }
  void visit(nn::Visitor& v) override {
    v("lstm", lstm);
    v("head", head);
  }

  nn::LSTM lstm;
  nn::Linear head;
};

struct Encoder : nn::Module {
  explicit Encoder(Generator& g) : encoder(12, 3, {.feedforward = 20, .gelu = true}, g) {}
  Tensor operator()(const Tensor& x) const { return encoder(x); }
  void visit(nn::Visitor& v) override { v("encoder", encoder); }

  nn::TransformerEncoderLayer encoder;
};

// Updates BatchNorm's statistics, which would otherwise have their initial values.
template <class Model> void see_some_data(Model& model, const Tensor& x) {
  model.train();
  static_cast<void>(model(x * 2 + 0.5));
  model.eval();
}

template <class Model> void write(const char* name, const Shape& input, const std::string& folder) {
  Generator g(3);
  Model model(g);
  const Tensor x = g.normal(input);
  see_some_data(model, x);
  nn::save(model, folder + "/" + name + ".safetensors");
  write_safetensors(folder + "/" + name + "-run.safetensors", std::vector<NamedTensor>{{"x", x}, {"y", model(x)}});
}

template <class Model> void check(const char* name, const Shape&, const std::string& folder) {
  Generator g(4);
  Model model(g);
  nn::load(model, folder + "/" + name + ".safetensors");
  model.eval();
  const Safetensors run = read_safetensors(folder + "/" + name + "-run.safetensors");
  std::printf("%s %.3g\n", name, max(abs(model(*run.find("x")) - *run.find("y"))).item());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string folder = argv[2];
  if (std::strcmp(argv[1], "write") == 0) {
    write<Cnn>("cnn", {3, 2, 8, 8}, folder);
    write<Lstm>("lstm", {6, 3, 7}, folder);
    write<Encoder>("encoder", {5, 2, 12}, folder);
  } else {
    check<Cnn>("cnn", {}, folder);
    check<Lstm>("lstm", {}, folder);
    check<Encoder>("encoder", {}, folder);
  }
}
