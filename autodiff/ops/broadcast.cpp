#include "autodiff/ops/broadcast.h"

#include <fmt/format.h>

#include <algorithm>

namespace wengert::detail {

Shape broadcast_shape(const char* operation, const Tensor& a, const Tensor& b) {
  const Shape &s = a.shape(), &t = b.shape();
  if (s == t) return s;
  Shape r;
  r.resize(std::max(s.rank(), t.rank()));
  for (int i = 1; i <= r.rank(); ++i) {  // from the last dimension
    const Index p = i <= s.rank() ? s[s.rank() - i] : 1, q = i <= t.rank() ? t[t.rank() - i] : 1;
    if (p != q && p != 1 && q != 1) {
      throw ShapeError(fmt::format("{}: {} and {} do not broadcast: sizes {} and {} in dimension {}; left made at {}, right at {}",
                                   operation, to_string(s), to_string(t), p, q, -i, to_string(a.made_at()), to_string(b.made_at())));
    }
    r[r.rank() - i] = p == 1 ? q : p;
  }
  return r;
}

bool broadcasts_to(const Tensor& x, const Shape& shape) {
  const int added = shape.rank() - x.rank();
  bool fits = added >= 0;
  for (int d = 0; fits && d < x.rank(); ++d) fits = x.shape()[d] == 1 || x.shape()[d] == shape[d + added];
  return fits;
}

Shape broadcast_strides(const Tensor& x, const Shape& shape) {
  Shape r;
  r.resize(shape.rank());
  const int added = shape.rank() - x.rank();
  for (int i = 0; i < shape.rank(); ++i) r[i] = i < added || x.shape()[i - added] == 1 ? 0 : x.strides()[i - added];
  return r;
}

void check_floating(const char* operation, const Tensor& x) {
  if (x.dtype() == boolean)
    throw DtypeError(
        fmt::format("{}: {} is boolean, which has no arithmetic; combine with &&, || and !, reduce with any and all, select with "
                    "where, count with sum, or convert with .to(float32)",
                    operation, describe(x)));
  if (!is_floating(x.dtype()))
    throw DtypeError(fmt::format("{}: {} is not floating; convert it with .to(float32) or .to(float64)", operation, describe(x)));
}

void check_probability(const char* operation, double p, const Tensor& x) {
  if (!(p >= 0 && p <= 1)) throw ShapeError(fmt::format("{}: {} is no probability of dropout; the input is {}", operation, p, describe(x)));
}
void check_same_dtype(const char* operation, const Tensor& a, const Tensor& b) {
  if (a.dtype() == b.dtype()) return;
  throw DtypeError(fmt::format("{}: the dtypes differ: left {}, right {}; convert one with .to({})", operation, describe(a), describe(b),
                               is_floating(a.dtype()) || !is_floating(b.dtype()) ? to_string(a.dtype()) : to_string(b.dtype())));
}

}  // namespace wengert::detail
