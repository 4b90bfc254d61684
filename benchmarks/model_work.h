#pragma once
// Models of other kinds than those of train_work.h, and a training step of each, independent of any library: sizes, initial weights and
// data, the same for every side.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "benchmarks/train_work.h"

namespace wengert::benchmark {

/// The first values of a model's parameters, drawn in their order, which is the same on every side.
class FirstValues {
 public:
  /// Uniform on [-k, k) with k = 1 / sqrt(inputs of a neuron); around 1 for the weights of norms, small for vectors.
  template <class T> std::vector<T> of(std::string_view name, std::span<const std::int64_t> shape) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) count *= size;
    if (shape.size() > 1) {
      const double k = 1 / std::sqrt(static_cast<double>(count / shape[0]));
      return numbers_.uniform<T>(count, -k, k);
    }
    return name.ends_with("weight") ? numbers_.uniform<T>(count, 0.5, 1.5) : numbers_.uniform<T>(count, -0.1, 0.1);
  }

 private:
  Numbers numbers_{11};
};

/// Inputs and labels of a classification.
struct LabelledData {
  LabelledData(std::int64_t inputs, std::int64_t labels, std::int64_t classes) {
    Numbers numbers(12);
    x = numbers.uniform<float>(inputs, -1, 1);
    this->labels = numbers.labels(labels, classes);
  }
  std::vector<float> x;
  std::vector<std::int64_t> labels;
};
/// Inputs and targets of a regression.
template <class T> struct TargetData {
  TargetData(std::int64_t inputs, std::int64_t targets, double low = -1) {
    Numbers numbers(12);
    x = numbers.uniform<T>(inputs, low, 1);
    y = numbers.uniform<T>(targets, low, 1);
  }
  std::vector<T> x, y;
};

/// Images through a convolution and two residual blocks, each two 3 x 3 convolutions with batch norm; the mean of each channel, a linear
/// layer; mean cross-entropy, SGD.
struct ResidualWork : LabelledData {
  static constexpr std::int64_t kBatch = 32, kColours = 3, kSize = 16, kChannels = 32, kClasses = 10;
  static constexpr double kRate = 0.05;
  ResidualWork() : LabelledData(kBatch * kColours * kSize * kSize, kBatch, kClasses) {}
};

/// One layer of a transformer's encoder with gelu and without dropout, on (length, batch, features); mean square error, SGD.
struct TransformerWork : TargetData<float> {
  static constexpr std::int64_t kBatch = 16, kLength = 64, kFeatures = 128, kHeads = 4, kFeedforward = 512;
  static constexpr double kRate = 0.05;
  TransformerWork() : TargetData(kLength * kBatch * kFeatures, kLength * kBatch * kFeatures) {}
};

/// A layer of GRU cells on (batch, steps, inputs), a linear layer on the last output; mean cross-entropy, Adam.
struct GruWork : LabelledData {
  static constexpr std::int64_t kBatch = 32, kSteps = 50, kInputs = 32, kHidden = 128, kClasses = 10;
  static constexpr double kRate = 1e-3;
  GruWork() : LabelledData(kBatch * kSteps * kInputs, kBatch, kClasses) {}
};

/// 784-128-32-128-784 with relu, and a sigmoid at the end; mean square error to the input, Adam.
struct AutoencoderWork : TargetData<float> {
  static constexpr std::int64_t kBatch = 64, kInputs = 784, kHidden = 128, kCode = 32;
  static constexpr double kRate = 1e-3;
  AutoencoderWork() : TargetData(kBatch * kInputs, 0, 0) {}
};

/// u(x) by a 2-32-32-1 network with tanh, in double, as the solution of Helmholtz' equation: the mean square of (Laplacian of u) + u - f
/// over points of the plane, the loss of a physics-informed network; Adam.
struct LaplacianWork : TargetData<double> {
  static constexpr std::int64_t kPoints = 256, kDimensions = 2, kHidden = 32;
  static constexpr double kRate = 1e-3;
  LaplacianWork() : TargetData(kPoints * kDimensions, kPoints) {}
};

/// A 3 x 3 convolution with stride 2, then two pairs of a depthwise 3 x 3 and a 1 x 1 convolution, the second with stride 2, relu after
/// each; the mean of each channel, a linear layer; mean cross-entropy, SGD.
struct DepthwiseWork : LabelledData {
  static constexpr std::int64_t kBatch = 16, kColours = 3, kSize = 64, kChannels = 32, kClasses = 10;
  static constexpr double kRate = 0.05;
  DepthwiseWork() : LabelledData(kBatch * kColours * kSize * kSize, kBatch, kClasses) {}
};

/// Sequences of 8 channels through three convolutions of width 5, the last two with stride 2, relu after each; the mean of each channel, a
/// linear layer; mean cross-entropy, Adam.
struct Conv1dWork : LabelledData {
  static constexpr std::int64_t kBatch = 32, kChannels = 8, kLength = 256, kWidth = 5, kClasses = 10;
  static constexpr double kRate = 1e-3;
  Conv1dWork() : LabelledData(kBatch * kChannels * kLength, kBatch, kClasses) {}
};

/// A code of 64 numbers to an image of 32 x 32: a linear layer to 64 images of 4 x 4, three transposed convolutions that double the size,
/// relu between them and sigmoid at the end; mean square error, Adam.
struct TransposedWork : TargetData<float> {
  static constexpr std::int64_t kBatch = 32, kCode = 64, kChannels = 64, kSize = 4, kImage = 32;
  static constexpr double kRate = 1e-3;
  TransposedWork() : TargetData(kBatch * kCode, kBatch * kImage * kImage, 0) {}
};

/// The mean of the embeddings of a text's words, 64-64-4 with relu; mean cross-entropy, Adam.
struct EmbeddingWork {
  static constexpr std::int64_t kBatch = 64, kLength = 32, kWords = 2000, kFeatures = 64, kClasses = 4;
  static constexpr double kRate = 1e-3;
  EmbeddingWork() {
    Numbers numbers(12);
    words = numbers.labels(kBatch * kLength, kWords);
    labels = numbers.labels(kBatch, kClasses);
  }
  std::vector<std::int64_t> words, labels;
};

/// 4-64-64-2 with tanh; mean square error, Adam.
struct SmallMlpWork : TargetData<float> {
  static constexpr std::int64_t kBatch = 32, kInputs = 4, kHidden = 64, kOutputs = 2;
  static constexpr double kRate = 1e-3;
  SmallMlpWork() : TargetData(kBatch * kInputs, kBatch * kOutputs) {}
};

/// layer_norm(softmax(gelu(x s))) with a factor for each column, so that all of the chain is differentiated; mean square error, SGD.
struct ChainWork : TargetData<float> {
  static constexpr std::int64_t kRows = 256, kColumns = 512;
  static constexpr double kRate = 0.05;
  ChainWork() : TargetData(kRows * kColumns, kRows * kColumns) {}
};

}  // namespace wengert::benchmark
