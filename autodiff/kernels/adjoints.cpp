#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "autodiff/kernels/adjoints.cpp"
#include "autodiff/kernels/simd.h"

#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "autodiff/kernels/adjoints.h"

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

//     adjoint of argument += partial * adjoint of statement
// where the latter is not zero: a zero adjoint propagates nothing, not even where the partial derivative is infinite. (A sweep is bound by
// latency, so that the masks cost nothing.)
char* reverse_statements_of_rows(const std::uint16_t* lengths, double* HWY_RESTRICT adjoints, char* args, std::size_t from, std::size_t to,
                                 bool clear) {
  const hn::CappedTag<double, kSweepRows> d;
  constexpr std::size_t kLanes = hn::MaxLanes(d), kVectors = kSweepRows / kLanes;
  constexpr std::size_t kArgumentBytes = sizeof(double) + sizeof(std::uint32_t);
  using Vector = hn::Vec<decltype(d)>;
  const Vector zero = hn::Zero(d);
  for (std::size_t s = from; s-- > to;) {
    const char *p = args, *begin = args -= lengths[s];
    asm("" : "+r"(begin));  // as in scalar/statements.h
    double* const own = adjoints + s * kSweepRows;
    Vector adjoint[kVectors];
    hn::Mask<decltype(d)> is_zero[kVectors];  // (Ne, which is false for NaN on some targets, is not the opposite)
    for (std::size_t k = 0; k < kVectors; ++k) {
      adjoint[k] = hn::Load(d, own + k * kLanes);
      is_zero[k] = hn::Eq(adjoint[k], zero);
    }
    auto all = is_zero[0];
    for (std::size_t k = 1; k < kVectors; ++k) all = hn::And(all, is_zero[k]);
    if (hn::AllTrue(d, all)) continue;
    if (clear)
      for (std::size_t k = 0; k < kVectors; ++k) hn::Store(zero, d, own + k * kLanes);
    do {
      double partial;
      std::uint32_t i;
      p -= kArgumentBytes;
      std::memcpy(&partial, p, sizeof partial);
      std::memcpy(&i, p + sizeof partial, sizeof i);
      const Vector slope = hn::Set(d, partial);
      double* const sum = adjoints + i * kSweepRows;
      for (std::size_t k = 0; k < kVectors; ++k) {
        const Vector before = hn::Load(d, sum + k * kLanes);
        hn::Store(hn::IfThenElse(is_zero[k], before, hn::MulAdd(slope, adjoint[k], before)), d, sum + k * kLanes);
      }
    } while (p >= begin + kArgumentBytes);
    if (p != begin) {
      std::uint32_t i;
      std::memcpy(&i, begin, sizeof i);
      double* const sum = adjoints + i * kSweepRows;
      for (std::size_t k = 0; k < kVectors; ++k) {
        const Vector before = hn::Load(d, sum + k * kLanes);
        hn::Store(hn::IfThenElse(is_zero[k], before, hn::Add(before, adjoint[k])), d, sum + k * kLanes);
      }
    }
  }
  return args;
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wengert::kernels {
namespace {

// At least what gives the bits of the sweep for one target, which is fused wherever the processor can do it.
Isa isa_of_sweep() {
  const Isa best = best_isa();
  return std::max(isa(), best == Isa::neon ? best : std::min(best, Isa::avx2));
}

}  // namespace

char* reverse_statements(const std::uint16_t* lengths, double* adjoints, char* args, std::size_t from, std::size_t to, bool clear) {
  return WENGERT_TARGET(reverse_statements_of_rows, isa_of_sweep())(lengths, adjoints, args, from, to, clear);
}

}  // namespace wengert::kernels
#endif
