// exp, tanh and the logistic function of float32 vectors, for each SIMD target (see tile-inl.h about the guard). The formulas are those of
// exponential.h; here products and sums are fused where the target can. They are right for all arguments: NaN, infinities, and results that
// underflow.
#if defined(WENGERT_EXPONENTIAL_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef WENGERT_EXPONENTIAL_INL_H
#undef WENGERT_EXPONENTIAL_INL_H
#else
#define WENGERT_EXPONENTIAL_INL_H
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace wengert::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

/// p 2^k for whole numbers k, as a product of two, because 2^128 is no float and denormal results must be rounded once.
template <class D, class V = hn::Vec<D>> HWY_INLINE V scale(D d, V p, V k) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (hn::MaxLanes(D()) == 16) return V{_mm512_scalef_ps(p.raw, k.raw)};
#endif
  const hn::RebindToSigned<D> integers;
  const auto exponent = hn::ConvertTo(integers, k), half = hn::ShiftRight<1>(exponent), bias = hn::Set(integers, 127);
  const V first = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V second = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(exponent, half), bias)));
  return hn::Mul(hn::Mul(p, first), second);
}

/// x, but at least `low` and at most `high`; NaN passes. (Of x86's minimum and maximum it is the second operand that passes then; of
/// AArch64's it is the number.)
template <class D, class V = hn::Vec<D>> HWY_INLINE V clamp(D d, V x, float low, float high) {
  const V least = hn::Set(d, low), most = hn::Set(d, high);
#if HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3
  return hn::Max(least, hn::Min(most, x));
#else
  return hn::IfThenElse(hn::Gt(x, most), most, hn::IfThenElse(hn::Lt(x, least), least, x));
#endif
}

/// e^x within 1 ULP.
template <class D, class V = hn::Vec<D>> HWY_INLINE V exp(D d, V x) {
  x = clamp(d, x, -104, 89);  // e^89 is infinite and e^-104 is 0
  const V k = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  const V r = hn::NegMulAdd(k, hn::Set(d, -2.12194440e-4f), hn::NegMulAdd(k, hn::Set(d, 0.693359375f), x));
  V p = hn::MulAdd(hn::Set(d, 1.9875691500e-4f), r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.f));
  return scale(d, p, k);
}

/// 1 / (1 + e^-x)
template <class D, class V = hn::Vec<D>> HWY_INLINE V logistic(D d, V x) {
  const V one = hn::Set(d, 1.f);
  return hn::Div(one, hn::Add(one, exp(d, hn::Neg(x))));
}

/// tanh(x) within 2 ULP: a polynomial near 0, elsewhere 1 - 2 / (e^(2|x|) + 1) with the sign of x.
template <class D, class V = hn::Vec<D>> HWY_INLINE V tanh(D d, V x) {
  const V z = hn::Mul(x, x), magnitude = hn::Abs(x), two = hn::Set(d, 2.f), one = hn::Set(d, 1.f);
  V p = hn::MulAdd(hn::Set(d, -5.70498872745e-3f), z, hn::Set(d, 2.06390887954e-2f));
  p = hn::MulAdd(p, z, hn::Set(d, -5.37397155531e-2f));
  p = hn::MulAdd(p, z, hn::Set(d, 1.33314422036e-1f));
  p = hn::MulAdd(p, z, hn::Set(d, -3.33332819422e-1f));
  const V near = hn::MulAdd(hn::Mul(p, z), x, x);
  const V far = hn::CopySign(hn::Sub(one, hn::Div(two, hn::Add(exp(d, hn::Add(magnitude, magnitude)), one))), x);
  return hn::IfThenElse(hn::Gt(magnitude, hn::Set(d, 0.625f)), far, near);
}

}  // namespace wengert::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
