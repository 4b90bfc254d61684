#pragma once
// Internal.
// What a frozen function does: steps in a fixed order, on memory whose layout is fixed.
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/kernels/convolution.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/packed_layer.h"
#include "autodiff/kernels/pooling.h"
#include "autodiff/ops/elementwise_operation.h"
#include "autodiff/tensor/shape.h"

namespace wengert::detail::frozen {

/// What offsets count from: the memory that calls write, the constants, the caller's input and output.
enum Base : std::uint8_t { kValues, kConstants, kInput, kOutput };
/// Where the elements of a value begin; they are row-major and dense.
struct Place {
  Index offset = 0;
  Base base = kValues;

  Place at(Index distance) const { return {offset + distance, base}; }
};

struct Memory {
  float *values, *output;
  std::array<const float*, 4> bases;

  const float* at(Place p) const { return bases[p.base] + p.offset; }
  float* to(Place p) const { return (p.base == kOutput ? output : values) + p.offset; }
};

class SourceWriter;

/// Knows how it runs and how it is written as C++ (freeze/to_cpp.cpp). Members are set once.
struct Step {
  Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;
  virtual ~Step() = default;
  virtual void run(const Memory& m) const = 0;
  virtual void write(SourceWriter& to) const = 0;
  /// Writes its `size` elements to the caller's output instead of to `from`; false if it cannot, or if these are not its elements.
  virtual bool redirect(Place /*from*/, Index /*size*/) { return false; }
};

/// The weights of a layer, row-major: w (out, in), v (out, hidden) or empty, bias (out) or empty.
struct LayerWeights {
  Index out, in, hidden;
  std::vector<float> w, v, bias;
};
/// y = relu or not of x W^T + h V^T + b, in rows.
struct Layer final : Step {
  Layer(Place x, Place h, Place y, Index rows, bool relu, LayerWeights weights);
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;
  bool redirect(Place from, Index size) override;

  Place x, h, y;
  Index rows;
  bool relu;
  LayerWeights weights;
  kernels::PackedLayer packed;
};

/// C = A B for matrices of a batch: a (batch, m, k), b (batch, k, n). Without b_batch all use the one b.
struct Product final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  Place a, b, c;
  Index batch, m, k, n;
  bool b_batch;
};

/// A constant that was repeated: element i is values[(i / inner) % values.size()]. Empty for what is computed.
struct Repeated {
  Index inner = 1;
  std::vector<float> values;
};
/// y[i] = f(x[0][i], ...).
struct Elementwise final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  std::string name;  ///< as in functions.h
  ElementwiseCall call;
  std::array<double, 2> options;
  int operands;
  std::array<Place, 2> x;
  std::array<Repeated, 2> repeated;  ///< what constant operands are made of
  Place y;
  Index size;
};

/// Copies elements: runs of `count` to consecutive places, from places `stride` apart.
struct Move final : Step {
  struct Run {
    Place from;
    Index stride, to, count;
  };
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  std::vector<Run> runs;
};

/// A convolution, followed by relu and pooling of 2 x 2 windows where asked.
struct Convolution final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  kernels::Convolution sizes;
  bool relu, pool;
  Place x, y;
  Place positions;  ///< bytes, with `pool`
  std::vector<float> weight, bias;
};

/// The windows of pooling and, for means, what they divide by. `maximum`: the divisor means nothing.
struct PoolingForm {
  kernels::Pooling sizes;
  bool maximum;
  kernels::Divisor divisor;
};

struct Pool final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  PoolingForm form;
  Place x, y;
  Place positions;  ///< of maxima
};

struct Softmax final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  kernels::Lines lines;
  bool logarithm;
  Place x, y;
};

/// Mean 0 and variance 1 in each group of (outer, groups, inner).
struct Normalization final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  Index outer, groups, inner;
  double eps;
  Place x, y;
};

/// y[i] = the sum of x[i n ...] / divisor, in double.
struct Sum final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  Index size, n;
  double divisor;
  Place x, y;
};

struct LstmGates final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  Index rows, hidden;
  Place sums, c, gates, h_next, c_next;
};

struct GruGates final : Step {
  void run(const Memory& m) const override;
  void write(SourceWriter& to) const override;

  Index rows, hidden;
  Place a, b, h, gates, h_next;
};

/// What is copied after all steps: the next states, to where the states are.
struct Kept {
  Place from, state;
  Index size;
};

/// All of a frozen function but the memory that calls write. Offsets of values are multiples of 16 floats, with room behind each.
struct Plan {
  Shape input, output;
  Place y;
  Index size = 0;  ///< of the memory, in floats; it begins with room for a copy of the input
  std::vector<float> constants;
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<Kept> kept;

  void run(float* values, const float* x, float* y) const;
  /// The forward pass as C++, freeze/to_cpp.cpp.
  std::string source(std::string_view name) const;
};

}  // namespace wengert::detail::frozen
