#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <array>
#include <cstdio>
#include <filesystem>
using namespace wengert;

// [stateful]
struct Amplifier : nn::Module {
  nn::LSTMCell lstm{1, 32};
  nn::Linear out{32, 1};
  Tensor operator()(const Tensor& x, LstmState& state) const {
    state = lstm(x, state);
    return out(state.h) + x;
  }
  void visit(nn::Visitor& v) override {
    v("lstm", lstm);
    v("out", out);
  }
};
// [stateful]

int main() {
  // [freeze]
  nn::Sequential model{nn::Linear(3, 16), nn::Tanh(), nn::Linear(16, 2)};
  Frozen frozen = nn::freeze(model, {1, 3});
  const std::array x{0.5f, -1.0f, 0.25f};
  std::array<float, 2> y;
  frozen(x, y);
  // [freeze]
  const Tensor same = model(Tensor::from({0.5, -1, 0.25}, Shape{1, 3}));
  std::printf("frozen %.4f %.4f\nmodel  %.4f %.4f\n", static_cast<double>(y[0]),
              static_cast<double>(y[1]), same.at({0, 0}), same.at({0, 1}));

  // [stream]
  Amplifier amplifier;
  Frozen stream = nn::freeze<LstmState>(amplifier, {1, 1});
  std::array sound{0.1f, 0.2f, 0.3f, 0.2f};
  for (float& sample : sound) stream(std::span(&sample, 1), std::span(&sample, 1));
  stream.reset();
  // [stream]
  std::printf("sound  %.4f %.4f %.4f %.4f\n", static_cast<double>(sound[0]),
              static_cast<double>(sound[1]), static_cast<double>(sound[2]),
              static_cast<double>(sound[3]));

  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  // [source]
  nn::to_cpp<LstmState>(amplifier, {1, 1}, folder / "amplifier.h");
  // [source]
  std::filesystem::remove(folder / "amplifier.h");
}
