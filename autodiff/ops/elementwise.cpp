// Operators and functions of two operands, and sums in place. (The formulas: elementwise.h.)
#include <fmt/format.h>

#include <cmath>

#include "autodiff/ops/broadcast.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace detail {

Tensor add(const Tensor& a, const Tensor& b, Location site) { return zip(fn::Add{}, a, b, site); }

void add_in_place(Tensor& into, const Tensor& x) {
  const auto add = [](Index n, auto* __restrict to, const auto* from) __attribute__((always_inline)) {
    for (Index i = 0; i < n; ++i) to[i] += from[i];
  };
  floating_into(into, {&x}, kernels::dense_loop_of<float, float>(add), kernels::dense_loop_of<double, double>(add));
}

}  // namespace detail

const Tensor& Operand::as(Dtype dtype, const char* operation) {
  if (tensor_) {
    detail::check_defined(operation, *tensor_, "an operand");
    return *tensor_;
  }
  if (!is_floating(dtype) && !value_.integer())
    throw DtypeError(
        fmt::format("{}: the number {} cannot be combined with a tensor of {}; hint: convert the tensor with .to(float32) or .to(float64)",
                    operation, value_.value(), to_string(dtype)));
  own_ = number_ ? detail::scalar_to_tensor(value_.value(), number_, dtype, site) : Tensor::full({}, value_, dtype, site);
  tensor_ = &own_;
  return own_;
}

namespace {

template <class F> Tensor zip(Operand& a, Operand& b) {
  const CallSite scope(a.site);
  const Dtype dtype = detail::common_dtype(F::name, a, b);
  return detail::zip(F{}, a.as(dtype, F::name), b.as(dtype, F::name), a.site);
}

}  // namespace

#define WENGERT_OPERATOR(F, op)                                         \
  Tensor operator op(Operand a, Operand b) { return zip<fn::F>(a, b); } \
  Tensor& operator op##=(Tensor& a, Operand b) {                        \
    Operand left(a, b.site);                                            \
    return a = zip<fn::F>(left, b);                                     \
  }
WENGERT_ARITHMETIC(WENGERT_OPERATOR)
#undef WENGERT_OPERATOR
#define WENGERT_FUNCTION(F, name) \
  Tensor name(Operand a, Operand b) { return zip<fn::F>(a, b); }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

}  // namespace wengert
