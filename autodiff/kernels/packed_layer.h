#pragma once
// Linear layers that are applied to one row at a time: inference at batch 1.
#include <memory>

#include "autodiff/kernels/gemm.h"
#include "autodiff/kernels/scratch.h"

namespace wengert::kernels {

/// y = W x + V h + b, and then max(y, 0) with `relu`; or without V and h. W and V are copied once, into the order in which the products
/// read them, for the instruction set that isa() is then. Each element is one sum that starts with its bias and runs through x and then
/// through h in order: the sums of gemm with more than a few rows. A copy shares the weights, which never change.
class PackedLayer {
 public:
  /// What follows an element of y in memory that may be overwritten: so many floats.
  static constexpr Index kOverrun = 15;

  /// W is out x in, V is out x hidden or, with hidden = 0, not read; `bias` may be null.
  PackedLayer(Index out, Index in, const MatrixView<float>& w, Index hidden, const MatrixView<float>& v, const float* bias, bool relu);
  PackedLayer(Index out, Index in, const MatrixView<float>& w, const float* bias, bool relu) : PackedLayer(out, in, w, 0, {}, bias, relu) {}

  Index out() const { return sizes_.out; }
  Index in() const { return sizes_.in; }
  Index hidden() const { return sizes_.hidden; }
  /// Writes up to kOverrun floats behind y. `h` is not read if hidden() is 0. y must not overlap x or h.
  void operator()(const float* x, const float* h, float* y) const { run_(sizes_, data_, x, h, y); }

  struct Sizes {
    Index out, in, hidden;
    bool relu;
  };

 private:
  using Run = void (*)(const Sizes&, const float* packed, const float* x, const float* h, float* y);
  Sizes sizes_;
  Run run_;
  std::shared_ptr<const Scratch<float>> memory_;
  const float* data_;
};

}  // namespace wengert::kernels
