// Operations on boolean tensors: logic, any, all, and the positions of true elements. None of them is differentiated.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>

#include "autodiff/kernels/nonzero.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

void check_boolean(const char* operation, const Tensor& x, const char* example) {
  detail::check_defined(operation, x);
  if (x.dtype() != boolean) throw DtypeError(fmt::format("{}: {} is not boolean; compare it, as in {}", operation, describe(x), example));
}

template <class F> Tensor combine(const char* operation, const LogicalOperand& a, const LogicalOperand& b, F&& f) {
  const CallSite scope(a.site);
  check_boolean(operation, a.tensor, "x != 0");
  check_boolean(operation, b.tensor, "x != 0");
  Tensor y = Tensor::uninitialized(detail::broadcast_shape(operation, a.tensor, b.tensor), boolean, a.site);
  detail::elementwise_into<bool, bool>(y, f, a.tensor, b.tensor);
  return y;
}

// f(x) for each element of a floating tensor; `otherwise` for other dtypes.
template <class F> Tensor classify(const char* operation, const Tensor& x, bool otherwise, Location site, F&& f) {
  const CallSite scope(site);
  detail::check_defined(operation, x);
  if (!is_floating(x.dtype())) return Tensor::full(x.shape(), otherwise, boolean, site);
  Tensor y = Tensor::uninitialized(x.shape(), boolean, site);
  detail::dispatch_floating(x.dtype(), [&](auto zero) { detail::elementwise_into<decltype(zero), bool>(y, f, x); });
  return y;
}

// Whether any (or all) of the reduced elements are true.
Tensor reduce(const char* operation, const Tensor& x, const Dims& dims, const ReductionOptions& options, bool any, Location site) {
  const CallSite scope(site);
  check_boolean(operation, x, any ? "any(x != 0)" : "all(x != 0)");
  const detail::Reduced r = detail::reduce_over(operation, x, dims);
  Tensor y = Tensor::full(options.keepdim ? r.kept : r.dropped, !any, boolean, site);
  bool* out = detail::data<bool>(y);
  if (const auto lines = detail::lines_of(x, r.kept)) {
    const bool* in = x.data<bool>();
    kernels::sum_all_lines(
        *lines, kernels::cost::kCopy<float>,
        [ in, any ](Index at, Index) __attribute__((always_inline)) { return static_cast<Index>(in[at] == any); },
        [ out, any ](Index line, Index found) __attribute__((always_inline)) { out[line] = (found > 0) == any; });
    return y;
  }
  detail::for_each_reduced<bool>(x, r, [&](Index at, bool v) {
    if (v == any) out[at] = any;
  });
  return y;
}

}  // namespace

// (Without short circuits, loops over them are SIMD.)
Tensor logical_and(const LogicalOperand& a, const LogicalOperand& b) {
  return combine("logical_and", a, b, [](bool p, bool q) -> bool { return p & q; });
}
Tensor logical_or(const LogicalOperand& a, const LogicalOperand& b) {
  return combine("logical_or", a, b, [](bool p, bool q) -> bool { return p | q; });
}
Tensor logical_xor(const LogicalOperand& a, const LogicalOperand& b) { return combine("logical_xor", a, b, std::not_equal_to<>()); }
Tensor logical_not(const LogicalOperand& a) {
  check_boolean("logical_not", a.tensor, "x == 0");
  Tensor y = Tensor::uninitialized(a.tensor.shape(), boolean, a.site);
  using Byte = std::uint8_t;  // of which the compiler makes SIMD
  detail::elementwise_into<Byte, Byte>(
      y, [](Byte p) -> Byte { return p ^ 1; }, a.tensor);
  return y;
}
Tensor operator&&(const LogicalOperand& a, const LogicalOperand& b) { return logical_and(a, b); }
Tensor operator||(const LogicalOperand& a, const LogicalOperand& b) { return logical_or(a, b); }
Tensor operator!(const LogicalOperand& a) { return logical_not(a); }
Tensor operator&(const LogicalOperand& a, const LogicalOperand& b) { return logical_and(a, b); }
Tensor operator|(const LogicalOperand& a, const LogicalOperand& b) { return logical_or(a, b); }
Tensor operator^(const LogicalOperand& a, const LogicalOperand& b) { return logical_xor(a, b); }

Tensor isnan(const Tensor& x, Location site) {
  return classify("isnan", x, false, site, [](auto v) { return std::isnan(v); });
}
Tensor isinf(const Tensor& x, Location site) {
  return classify("isinf", x, false, site, [](auto v) { return std::isinf(v); });
}
Tensor isfinite(const Tensor& x, Location site) {
  return classify("isfinite", x, true, site, [](auto v) { return std::isfinite(v); });
}

Tensor any(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  return reduce("any", x, dims, options, true, site);
}
Tensor any(const Tensor& x, Location site) { return any(x, detail::all_dims("any", x), {}, site); }
Tensor all(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  return reduce("all", x, dims, options, false, site);
}
Tensor all(const Tensor& x, Location site) { return all(x, detail::all_dims("all", x), {}, site); }

Tensor nonzero(const Tensor& x, Location site) {
  const CallSite scope(site);
  detail::check_defined("nonzero", x);
  const Tensor dense = x.constant().contiguous(site);
  const int rank = x.rank();
  return detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* const v = dense.data<T>();
    const kernels::Nonzero<T> found(v, dense.size());
    Tensor y = Tensor::uninitialized({found.count(), rank}, int64, site);
    std::int64_t* const out = y.mutable_data<std::int64_t>();
    found.for_each_block([&, out](Index i, Index, Index k, Index end) {
      if (rank == 0) return;  // one position without coordinates, or none
      if (rank == 1) {
        for (; k < end; k += v[i++] != T(0)) out[k] = i;
        return;
      }
      Shape at = x.shape();  // where the row with element i begins
      Index rest = i;
      for (int d = rank; d-- > 0; rest /= x.shape()[d]) at[d] = rest % x.shape()[d];
      const Index n = x.shape()[rank - 1];
      for (Index column = std::exchange(at[rank - 1], 0); k < end; column = 0) {
        for (; column < n && k < end; k += v[i++] != T(0), ++column) {
          for (int d = 0; d < rank - 1; ++d) out[k * rank + d] = at[d];
          out[k * rank + rank - 1] = column;
        }
        for (int d = rank - 1; d-- > 0 && ++at[d] == x.shape()[d];) at[d] = 0;
      }
    });
    return y;
  });
}

}  // namespace wengert
