#pragma once
// The training steps that are compared, independent of any library: sizes, initial weights and data, the same for every side.
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace wengert::benchmark {

/// Uniform on [low, high), from splitmix64: equal for every side and on every machine.
class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : state_(seed) {}
  double uniform(double low, double high) { return low + (high - low) * 0x1p-53 * static_cast<double>(bits() >> 11); }
  template <class T> std::vector<T> uniform(std::int64_t count, double low, double high) {
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& v : values) v = static_cast<T>(uniform(low, high));
    return values;
  }
  std::vector<std::int64_t> labels(std::int64_t count, std::int64_t classes) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(count));
    for (std::int64_t& v : values) v = static_cast<std::int64_t>(bits() % static_cast<std::uint64_t>(classes));
    return values;
  }

 private:
  std::uint64_t bits() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::uint64_t state_;
};

/// 784-256-128-10 with relu, mean cross-entropy, SGD.
struct MlpWork {
  static constexpr std::array<std::int64_t, 4> kSizes{784, 256, 128, 10};
  static constexpr std::size_t kLayers = kSizes.size() - 1;
  static constexpr double kRate = 0.1;
  static constexpr std::array<std::int64_t, 3> kBatches{1, 64, 256};
  static constexpr std::array<std::int64_t, 2> kClippedBatches{1, 64};
  static constexpr double kMaxNorm = 0.1;  // of these batches' gradients, which are larger at every step

  explicit MlpWork(std::int64_t batch) : batch(batch) {
    Numbers numbers(1);
    for (std::size_t l = 0; l < kLayers; ++l) {
      weight[l] = numbers.uniform<float>(kSizes[l] * kSizes[l + 1], -0.05, 0.05);
      bias[l] = numbers.uniform<float>(kSizes[l + 1], -0.05, 0.05);
    }
    x = numbers.uniform<float>(batch * kSizes[0], 0, 1);
    labels = numbers.labels(batch, kSizes.back());
  }
  /// FLOPs of matrix products in the forward pass; flops() includes the gradients, of which the input needs none.
  static double forward_flops(std::int64_t batch) {
    double products = 0;
    for (std::size_t l = 0; l < kLayers; ++l) products += static_cast<double>(kSizes[l] * kSizes[l + 1]);
    return 2 * static_cast<double>(batch) * products;
  }
  static double flops(std::int64_t batch) { return 3 * forward_flops(batch) - 2 * static_cast<double>(batch * kSizes[0] * kSizes[1]); }

  std::int64_t batch;
  std::array<std::vector<float>, kLayers> weight, bias;  // weight[l]: (out, in)
  std::vector<float> x;                                  // (batch, in)
  std::vector<std::int64_t> labels;
};

/// A convolution of an image network: from `channels` to `outputs` channels of `size` x `size` pixels.
struct ConvolutionWork {
  std::int64_t channels, outputs, kernel, size;
  std::int64_t weights() const { return outputs * channels * kernel * kernel; }
  double products() const { return static_cast<double>(weights() * size * size); }
};

/// Convolutions with relu and pooling, a hidden layer with relu, ten outputs; mean cross-entropy, Adam.
struct ImageWork {
  static constexpr double kRate = 1e-3;
  std::int64_t batch, channels, size;  // of the images
  std::vector<ConvolutionWork> convolutions;
  std::int64_t features, hidden;
  std::vector<std::vector<float>> weight, bias;  // of the convolutions, then of the two layers: (out, in)
  std::vector<float> x;
  std::vector<std::int64_t> labels;

  ImageWork(std::int64_t batch, std::int64_t channels, std::int64_t size, std::vector<ConvolutionWork> list, std::int64_t features,
            std::int64_t hidden)
      : batch(batch), channels(channels), size(size), convolutions(std::move(list)), features(features), hidden(hidden) {
    Numbers numbers(5);
    for (const ConvolutionWork& c : convolutions) add_layer(numbers, c.outputs, c.weights() / c.outputs);
    add_layer(numbers, hidden, features);
    add_layer(numbers, 10, hidden);
    x = numbers.uniform<float>(batch * channels * size * size, 0, 1);
    labels = numbers.labels(batch, 10);
  }
  /// FLOPs of convolutions and layers in the forward pass; flops() includes the gradients, of which the input needs none.
  double forward_flops() const {
    double products = static_cast<double>(features * hidden + hidden * 10);
    for (const ConvolutionWork& c : convolutions) products += c.products();
    return 2 * static_cast<double>(batch) * products;
  }
  double flops() const { return 3 * forward_flops() - 2 * static_cast<double>(batch) * convolutions[0].products(); }

 private:
  void add_layer(Numbers& numbers, std::int64_t out, std::int64_t in) {
    const double k = 1 / std::sqrt(static_cast<double>(in));
    weight.push_back(numbers.uniform<float>(out * in, -k, k));
    bias.push_back(numbers.uniform<float>(out, -k, k));
  }
};

/// 28 x 28: 16 @ 5x5, pool, 32 @ 5x5, pool, 128, 10.
inline ImageWork mnist_cnn(std::int64_t batch = 128) { return {batch, 1, 28, {{1, 16, 5, 24}, {16, 32, 5, 8}}, 512, 128}; }
/// 3 x 32 x 32: 32, 32 @ 3x3, pool, 64, 64 @ 3x3, pool, 256, 10; convolutions pad by 1.
inline ImageWork rgb_cnn() { return {64, 3, 32, {{3, 32, 3, 32}, {32, 32, 3, 32}, {32, 64, 3, 16}, {64, 64, 3, 16}}, 4096, 256}; }

/// Layers with relu between them, on one row of inputs.
struct LayersWork {
  explicit LayersWork(std::vector<std::int64_t> list) : sizes(std::move(list)) {
    Numbers numbers(7);
    for (std::size_t l = 0; l + 1 < sizes.size(); ++l) {
      const double k = 1 / std::sqrt(static_cast<double>(sizes[l]));
      weight.push_back(numbers.uniform<float>(sizes[l] * sizes[l + 1], -k, k));
      bias.push_back(numbers.uniform<float>(sizes[l + 1], -k, k));
    }
    x = numbers.uniform<float>(sizes[0], -1, 1);
  }
  double flops() const {
    double products = 0;
    for (const auto& w : weight) products += static_cast<double>(w.size());
    return 2 * products;
  }
  std::vector<std::int64_t> sizes;
  std::vector<std::vector<float>> weight, bias;  // weight[l]: (out, in)
  std::vector<float> x;
};
inline LayersWork dense_64() { return LayersWork({64, 64}); }
inline LayersWork small_mlp() { return LayersWork({8, 32, 32, 1}); }

/// An LSTM cell on one number a step, which keeps its state.
struct CellWork {
  static constexpr std::int64_t kHidden = 32, kGates = 4 * kHidden;
  static constexpr double kFlops = 2 * kGates * (1 + kHidden);
  static constexpr float kInput = 0.25F;

  CellWork() {
    Numbers numbers(8);
    const double k = 1 / std::sqrt(static_cast<double>(kHidden));
    for (const std::int64_t count : {kGates, kGates * kHidden, kGates, kGates}) parameters.push_back(numbers.uniform<float>(count, -k, k));
  }
  std::vector<std::vector<float>> parameters;  // W_ih (gates, 1), W_hh (gates, hidden), b_ih, b_hh
};

/// Two LSTM layers on one-hot symbols, a linear layer on the last step's output; mean cross-entropy, RMSprop.
struct LstmWork {
  static constexpr std::int64_t kSymbols = 38, kHidden = 128, kLayers = 2, kSteps = 128, kGates = 4 * kHidden;
  static constexpr double kRate = 5e-3;
  static constexpr std::array<std::int64_t, 2> kBatches{32, 256};

  explicit LstmWork(std::int64_t batch) : batch(batch), x(static_cast<std::size_t>(batch * kSteps * kSymbols)) {
    Numbers numbers(6);
    const double k = 1 / std::sqrt(static_cast<double>(kHidden));
    const auto add = [&](std::int64_t count) { parameters.push_back(numbers.uniform<float>(count, -k, k)); };
    for (std::int64_t layer = 0; layer < kLayers; ++layer) {
      add(kGates * (layer == 0 ? kSymbols : kHidden));
      add(kGates * kHidden);
      add(kGates);
      add(kGates);
    }
    add(kSymbols * kHidden);
    add(kSymbols);
    std::size_t first = 0;
    for (const std::int64_t symbol : numbers.labels(batch * kSteps, kSymbols)) {
      x[first + static_cast<std::size_t>(symbol)] = 1;
      first += kSymbols;
    }
    labels = numbers.labels(batch, kSymbols);
  }
  /// FLOPs of matrix products in the forward pass; flops() includes the gradients, of which the input needs none.
  static double forward_flops(std::int64_t batch) {
    const std::int64_t products = kSteps * kGates * (kSymbols + kHidden + 2 * kHidden * (kLayers - 1)) + kHidden * kSymbols;
    return 2 * static_cast<double>(batch * products);
  }
  static double flops(std::int64_t batch) { return 3 * forward_flops(batch) - 2 * static_cast<double>(batch * kSteps * kGates * kSymbols); }

  std::int64_t batch;
  std::vector<std::vector<float>> parameters;  // of each layer W_ih (gates, in), W_hh (gates, hidden), b_ih, b_hh; of the linear one W, b
  std::vector<float> x;                        // (batch, steps, symbols)
  std::vector<std::int64_t> labels;
};

/// h = tanh(x_t Wx + h Wh + b), unrolled over T steps from matrix products, sums and tanh; mean square of h Wo - y; SGD.
struct UnrolledRnnWork {
  static constexpr std::int64_t kBatch = 16, kHidden = 32, kInputs = 8, kSteps = 100;
  static constexpr double kRate = 0.01;
  static constexpr double kFlops = static_cast<double>(2 * kBatch * kHidden * kSteps * (3 * kHidden + 2 * kInputs) + 6 * kBatch * kHidden);

  UnrolledRnnWork() {
    Numbers numbers(2);
    wx = numbers.uniform<float>(kInputs * kHidden, -0.2, 0.2);
    wh = numbers.uniform<float>(kHidden * kHidden, -0.2, 0.2);
    b = numbers.uniform<float>(kHidden, -0.1, 0.1);
    wo = numbers.uniform<float>(kHidden, -0.2, 0.2);
    for (std::int64_t t = 0; t < kSteps; ++t) x.push_back(numbers.uniform<float>(kBatch * kInputs, -1, 1));
    y = numbers.uniform<float>(kBatch, -1, 1);
  }
  std::vector<float> wx, wh, b, wo;   // (inputs, hidden), (hidden, hidden), (hidden), (hidden, 1)
  std::vector<std::vector<float>> x;  // of each step, (batch, inputs)
  std::vector<float> y;               // (batch, 1)
};

/// h = h c + a, repeated on a few numbers; the gradient of sum(h) with respect to a. c is near 1, so that nothing becomes denormal.
struct TinyOpsWork {
  static constexpr std::int64_t kSize = 16;
  static constexpr int kRounds = 1000;

  TinyOpsWork() {
    Numbers numbers(3);
    a = numbers.uniform<float>(kSize, 0.5, 1);
    c = numbers.uniform<float>(kSize, 0.99, 1.01);
  }
  std::vector<float> a, c;
};

/// One sigmoid neuron on one feature, in double: E = mean of (y - sigmoid(x w + b))^2 / 2; SGD.
struct LogisticWork {
  static constexpr std::int64_t kRecords = 1000;
  static constexpr double kRate = 5;

  LogisticWork() {
    x = Numbers(4).uniform<double>(kRecords, 0, 1);
    for (double v : x) y.push_back(v < 0.5);
  }
  std::vector<double> x, y;
};

inline std::string row_name(const char* kind, std::int64_t batch) { return kind + std::to_string(batch); }

}  // namespace wengert::benchmark
