#pragma once
// From a dtype at run time to a C++ type.
#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

/// f(T{}) for the C++ type of the dtype.
template <class F> decltype(auto) dispatch(Dtype dtype, F&& f) {
  switch (dtype) {
    case float32:
      return f(float{});
    case float64:
      return f(double{});
    case int64:
      return f(std::int64_t{});
    case boolean:
      break;
  }
  return f(bool{});
}
/// The same for floating dtypes; the caller has checked that the dtype is one.
template <class F> decltype(auto) dispatch_floating(Dtype dtype, F&& f) { return dtype == float32 ? f(float{}) : f(double{}); }

}  // namespace wengert::detail
