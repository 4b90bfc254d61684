// The weights of a block of outputs lie behind its biases, input by input, so that a product reads all memory once and in order. A block is
// up to eight vectors wide: as many sums run beside each other as it takes for none to wait for its last term.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/packed_layer.cpp"
#include "autodiff/kernels/simd.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "autodiff/kernels/packed_layer.h"

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using Floats = hn::CappedTag<float, 16>;
constexpr Index kLanes = hn::MaxLanes(Floats());

// The vectors of the next block of `left` outputs: 8, 4, 2 or 1.
constexpr Index vectors_of_block(Index left) {
  Index vectors = 8;
  while (vectors > 1 && left <= (vectors / 2) * kLanes) vectors /= 2;
  return vectors;
}

// Floats of the packed layer.
Index packed_layer_size(Index out, Index in, Index hidden) {
  Index size = 0;
  for (Index first = 0; first < out;) {
    const Index width = vectors_of_block(out - first) * kLanes;
    size += width * (1 + in + hidden);
    first += width;
  }
  return size;
}

void pack_layer(const PackedLayer::Sizes& s, const MatrixView<float>& w, const MatrixView<float>& v, const float* bias, float* to) {
  for (Index first = 0; first < s.out;) {
    const Index width = vectors_of_block(s.out - first) * kLanes, used = HWY_MIN(width, s.out - first);
    for (Index j = 0; j < width; ++j) *to++ = bias && j < used ? bias[first + j] : 0;
    for (Index k = 0; k < s.in; ++k)
      for (Index j = 0; j < width; ++j) *to++ = j < used ? w.data[(first + j) * w.row + k * w.column] : 0;
    for (Index k = 0; k < s.hidden; ++k)
      for (Index j = 0; j < width; ++j) *to++ = j < used ? v.data[(first + j) * v.row + k * v.column] : 0;
    first += width;
  }
}

// sum += x W for n elements of x; returns what follows W. Four elements are loaded at once: the first cache gives two vectors a cycle, and
// the products need both for weights.
template <int vectors> HWY_INLINE const float* add_products(Index n, const float* x, const float* w, hn::Vec<Floats>* sum) {
  const Floats d;
  Index k = 0;
#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128
  for (; k + 4 <= n; k += 4, w += 4 * vectors * kLanes) {
    const auto four = hn::LoadDup128(d, x + k);
    const hn::Vec<Floats> left[4] = {hn::Broadcast<0>(four), hn::Broadcast<1>(four), hn::Broadcast<2>(four), hn::Broadcast<3>(four)};
    HWY_UNROLL(4)
    for (int step = 0; step < 4; ++step) {
      HWY_UNROLL(8)
      for (int i = 0; i < vectors; ++i) sum[i] = hn::MulAdd(left[step], hn::Load(d, w + (step * vectors + i) * kLanes), sum[i]);
    }
  }
#endif
  for (; k < n; ++k, w += vectors * kLanes) {
    const auto left = hn::Set(d, x[k]);
    HWY_UNROLL(8)
    for (int i = 0; i < vectors; ++i) sum[i] = hn::MulAdd(left, hn::Load(d, w + i * kLanes), sum[i]);
  }
  return w;
}

// One block; returns what follows it.
template <int vectors> HWY_INLINE const float* multiply_block(const PackedLayer::Sizes& s, const float* from, const float* x,
                                                              const float* h, float* y, Index room) {
  const Floats d;
  hn::Vec<Floats> sum[vectors];
  HWY_UNROLL(8)
  for (int i = 0; i < vectors; ++i) sum[i] = hn::Load(d, from + i * kLanes);
  from = add_products<vectors>(s.in, x, from + vectors * kLanes, sum);
  from = add_products<vectors>(s.hidden, h, from, sum);
  if (s.relu) {
    HWY_UNROLL(8)
    for (int i = 0; i < vectors; ++i) sum[i] = hn::IfThenZeroElse(hn::Le(sum[i], hn::Zero(d)), sum[i]);
  }
  HWY_UNROLL(8)
  for (int i = 0; i < vectors; ++i) {
    if (vectors > 1 && i * kLanes >= room) break;
    hn::StoreU(sum[i], d, y + i * kLanes);
  }
  return from;
}

// A block as wide as vectors_of_block says, and those after it.
void run_layer(const PackedLayer::Sizes& s, const float* packed, const float* x, const float* h, float* y) {
  Index left = s.out;
  for (; left > 4 * kLanes; left -= 8 * kLanes, y += 8 * kLanes) packed = multiply_block<8>(s, packed, x, h, y, left);
  if (left > 2 * kLanes) {
    multiply_block<4>(s, packed, x, h, y, left);
  } else if (left > kLanes) {
    multiply_block<2>(s, packed, x, h, y, left);
  } else if (left > 0) {
    multiply_block<1>(s, packed, x, h, y, left);
  }
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {

PackedLayer::PackedLayer(Index out, Index in, const MatrixView<float>& w, Index hidden, const MatrixView<float>& v, const float* bias,
                         bool relu)
    : sizes_{out, in, hidden, relu},
      run_(WENGERT_BEST_TARGET(run_layer)),
      memory_(std::make_shared<const Scratch<float>>(WENGERT_BEST_TARGET(packed_layer_size)(out, in, hidden))),
      data_(memory_->data()) {
  WENGERT_BEST_TARGET(pack_layer)(sizes_, w, v, bias, memory_->data());
}

}  // namespace wengert::kernels
#endif
