#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/lstm_gates.cpp"
#include "autodiff/kernels/simd.h"

#include <algorithm>

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "autodiff/kernels/exponential-inl.h"
#include "autodiff/kernels/lstm_gates.h"
#include "autodiff/kernels/run_elements.h"

#ifndef WENGERT_LSTM_GATES_ONCE
#define WENGERT_LSTM_GATES_ONCE
namespace wengert::kernels {

// A row of each operand.
struct GatesRow {
  const float *sums, *c;
  float *s, *h_next, *c_next;

  GatesRow next(Index hidden) const { return {sums + 4 * hidden, c + hidden, s + 4 * hidden, h_next + hidden, c_next + hidden}; }
};
struct GatesVjpRow {
  const float *s, *c, *c_next, *h_next_bar, *c_next_bar;
  float *sums_bar, *c_bar;

  GatesVjpRow next(Index hidden) const {
    return {s + 4 * hidden, c + hidden, c_next + hidden, h_next_bar + hidden, c_next_bar + hidden, sums_bar + 4 * hidden, c_bar + hidden};
  }
};

}  // namespace wengert::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {

// The elements from j on that are a vector of d.
template <class D> HWY_INLINE void compute(D d, Index hidden, Index j, const GatesRow& row) {
  const auto i = logistic(d, hn::LoadU(d, row.sums + j)), f = logistic(d, hn::LoadU(d, row.sums + hidden + j));
  const auto g = tanh(d, hn::LoadU(d, row.sums + 2 * hidden + j)), o = logistic(d, hn::LoadU(d, row.sums + 3 * hidden + j));
  const auto c = hn::MulAdd(f, hn::LoadU(d, row.c + j), hn::Mul(i, g));
  hn::StoreU(i, d, row.s + j);
  hn::StoreU(f, d, row.s + hidden + j);
  hn::StoreU(g, d, row.s + 2 * hidden + j);
  hn::StoreU(o, d, row.s + 3 * hidden + j);
  hn::StoreU(c, d, row.c_next + j);
  hn::StoreU(hn::Mul(o, tanh(d, c)), d, row.h_next + j);
}

template <class D> HWY_INLINE void compute(D d, Index hidden, Index j, const GatesVjpRow& row) {
  const auto i = hn::LoadU(d, row.s + j), f = hn::LoadU(d, row.s + hidden + j), g = hn::LoadU(d, row.s + 2 * hidden + j),
             o = hn::LoadU(d, row.s + 3 * hidden + j), h_bar = hn::LoadU(d, row.h_next_bar + j), t = tanh(d, hn::LoadU(d, row.c_next + j)),
             one = hn::Set(d, 1.f);
  const auto total = hn::MulAdd(hn::Mul(h_bar, o), hn::NegMulAdd(t, t, one), hn::LoadU(d, row.c_next_bar + j));
  const auto total_i = hn::Mul(total, i), total_f = hn::Mul(total, f);
  hn::StoreU(hn::Mul(hn::Mul(total_i, g), hn::Sub(one, i)), d, row.sums_bar + j);
  hn::StoreU(hn::Mul(hn::Mul(total_f, hn::LoadU(d, row.c + j)), hn::Sub(one, f)), d, row.sums_bar + hidden + j);
  hn::StoreU(hn::Mul(total_i, hn::NegMulAdd(g, g, one)), d, row.sums_bar + 2 * hidden + j);
  hn::StoreU(hn::Mul(hn::Mul(h_bar, t), hn::Mul(o, hn::Sub(one, o))), d, row.sums_bar + 3 * hidden + j);
  hn::StoreU(total_f, d, row.c_bar + j);
}

template <class Row> HWY_INLINE void compute_rows(Index rows, Index hidden, Row row) {
  const hn::ScalableTag<float> d;
  const hn::CappedTag<float, 1> single;
  const Index lanes = static_cast<Index>(hn::Lanes(d));
  for (Index r = 0; r < rows; ++r, row = row.next(hidden)) {
    Index j = 0;
    for (; j + lanes <= hidden; j += lanes) compute(d, hidden, j, row);
    for (; j < hidden; ++j) compute(single, hidden, j, row);
  }
}

void gates(Index rows, Index hidden, const GatesRow& first) { compute_rows(rows, hidden, first); }
void gates_vjp(Index rows, Index hidden, const GatesVjpRow& first) { compute_rows(rows, hidden, first); }

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {

template <> void lstm_gates(Index rows, Index hidden, const float* sums, const float* c, float* s, float* h_next, float* c_next) {
  WENGERT_BEST_TARGET(gates)(rows, hidden, {sums, c, s, h_next, c_next});
}

template <> void lstm_gates_vjp(Index rows, Index hidden, const float* s, const float* c, const float* c_next, const float* h_next_bar,
                                const float* c_next_bar, float* sums_bar, float* c_bar) {
  WENGERT_BEST_TARGET(gates_vjp)(rows, hidden, {s, c, c_next, h_next_bar, c_next_bar, sums_bar, c_bar});
}

// float64, of which the compiler makes SIMD: short loops that each write one array.

template <> void lstm_gates(Index rows, Index hidden, const double* sums, const double* c, double* s, double* h_next, double* c_next) {
  if (s != sums) std::copy_n(sums, rows * 4 * hidden, s);
  run_elements<double>([=]() __attribute__((always_inline)) {
    for (Index row = 0; row < rows; ++row) {
      double *const i = s + row * 4 * hidden, *const f = i + hidden, *const g = f + hidden, *const o = g + hidden;
      for (Index j = 0; j < 2 * hidden; ++j) i[j] = logistic(i[j]);
      for (Index j = 0; j < hidden; ++j) g[j] = fn::straight::tanh(g[j]);
      for (Index j = 0; j < hidden; ++j) o[j] = logistic(o[j]);
      const double* const before = c + row * hidden;
      double *const h = h_next + row * hidden, *const after = c_next + row * hidden;
      for (Index j = 0; j < hidden; ++j) after[j] = f[j] * before[j] + i[j] * g[j];
      for (Index j = 0; j < hidden; ++j) h[j] = o[j] * fn::straight::tanh(after[j]);
    }
  });
}

template <> void lstm_gates_vjp(Index rows, Index hidden, const double* s, const double* c, const double* c_next, const double* h_next_bar,
                                const double* c_next_bar, double* sums_bar, double* c_bar) {
  run_elements<double>([=]() __attribute__((always_inline)) {
    constexpr Index kBlock = 64;
    for (Index row = 0; row < rows; ++row)
      for (Index begin = 0; begin < hidden; begin += kBlock) {
        const Index n = std::min(kBlock, hidden - begin), at = row * hidden + begin, gate = row * 4 * hidden + begin;
        const double *const i = s + gate, *const f = i + hidden, *const g = f + hidden, *const o = g + hidden;
        const double *const before = c + at, *const after = c_next + at, *const h_bar = h_next_bar + at, *const after_bar = c_next_bar + at;
        double t[kBlock], total[kBlock];
        for (Index j = 0; j < n; ++j) t[j] = fn::straight::tanh(after[j]);
        for (Index j = 0; j < n; ++j) total[j] = after_bar[j] + h_bar[j] * o[j] * (1 - t[j] * t[j]);
        double* const bar = sums_bar + gate;
        for (Index j = 0; j < n; ++j) bar[j] = total[j] * g[j] * i[j] * (1 - i[j]);
        for (Index j = 0; j < n; ++j) bar[hidden + j] = total[j] * before[j] * f[j] * (1 - f[j]);
        for (Index j = 0; j < n; ++j) bar[2 * hidden + j] = total[j] * i[j] * (1 - g[j] * g[j]);
        for (Index j = 0; j < n; ++j) bar[3 * hidden + j] = h_bar[j] * t[j] * o[j] * (1 - o[j]);
        for (Index j = 0; j < n; ++j) c_bar[at + j] = total[j] * f[j];
      }
  });
}

}  // namespace wengert::kernels
#endif
