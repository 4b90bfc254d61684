#pragma once
// A naive reference for tensors and their operations: loops over positions, in double. Slow, but simple enough to be evidently right.
#include <autodiff/tensor/tensor.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace wengert::fuzz {

/// Thrown for arguments that the reference refuses; the library must refuse them with an Error.
struct Refused {};

struct Array {
  Shape shape;
  Dtype dtype = float64;
  std::vector<double> values;
  /// The scale of the rounding error of each value; empty: the values themselves.
  std::vector<double> magnitudes = {};

  Index size() const { return static_cast<Index>(values.size()); }
  int rank() const { return shape.rank(); }
  std::size_t flat(const Shape& position) const {
    Index k = 0;
    for (int d = 0; d < rank(); ++d) k = k * shape[d] + position[d];
    return static_cast<std::size_t>(k);
  }
  double at(const Shape& position) const { return values[flat(position)]; }
  double& at(const Shape& position) { return values[flat(position)]; }
};

inline Index count(const Shape& shape) {
  Index n = 1;
  for (const Index size : shape) n *= size;
  return n;
}

/// The value rounded to the dtype.
inline double rounded(double value, Dtype dtype) { return dtype == float32 ? static_cast<double>(static_cast<float>(value)) : value; }

/// Calls f(position) for all positions in row-major order.
template <class F> void for_each_position(const Shape& shape, F&& f) {
  const Index n = count(shape);
  Shape position = shape;
  for (Index k = 0; k < n; ++k) {
    Index rest = k;
    for (int d = shape.rank(); d-- > 0; rest /= shape[d]) position[d] = rest % shape[d];
    f(static_cast<const Shape&>(position));
  }
}

/// The array of f(position).
template <class F> Array array_of(const Shape& shape, Dtype dtype, F&& f) {
  Array y{shape, dtype, {}};
  for_each_position(shape, [&](const Shape& position) { y.values.push_back(rounded(f(position), dtype)); });
  return y;
}

inline void need(bool condition) {
  if (!condition) throw Refused();
}
inline void need_floating(const Array& x) { need(is_floating(x.dtype)); }

inline int dimension(Index given, int rank) {
  need(given >= -rank && given < rank);
  return static_cast<int>(given < 0 ? given + rank : given);
}

inline Shape broadcast(const Shape& a, const Shape& b) {
  Shape r;
  r.resize(std::max(a.rank(), b.rank()));
  for (int i = 1; i <= r.rank(); ++i) {
    const Index p = i <= a.rank() ? a[a.rank() - i] : 1, q = i <= b.rank() ? b[b.rank() - i] : 1;
    need(p == q || p == 1 || q == 1);
    r[r.rank() - i] = p == 1 ? q : p;
  }
  return r;
}
/// The element of x at a position of the shape to which x broadcasts.
inline double broadcast_at(const Array& x, const Shape& position) {
  Shape p = x.shape;
  for (int d = 0; d < p.rank(); ++d) p[d] = p[d] == 1 ? 0 : position[position.rank() - p.rank() + d];
  return x.at(p);
}
template <class F> Array zip(const Array& a, const Array& b, Dtype dtype, F&& f) {
  need(a.dtype == b.dtype);
  return array_of(broadcast(a.shape, b.shape), dtype, [&](const Shape& p) { return f(broadcast_at(a, p), broadcast_at(b, p)); });
}
template <class F> Array map(const Array& x, F&& f) {
  return array_of(x.shape, x.dtype, [&](const Shape& p) { return f(x.at(p)); });
}

/// Reduces some dimensions of x: f turns the values along them, in row-major order, into one value for each remaining position.
template <class F> Array reduce(const Array& x, const Dims& dims, bool keepdim, Dtype dtype, F&& f) {
  std::vector<bool> over(static_cast<std::size_t>(x.rank()));
  for (const Index given : dims) {
    const auto d = static_cast<std::size_t>(dimension(given, x.rank()));
    need(!over[d]);
    over[d] = true;
  }
  Shape kept = x.shape, inner = x.shape, result;
  for (int d = 0; d < x.rank(); ++d) {
    const bool reduced = over[static_cast<std::size_t>(d)];
    (reduced ? kept : inner)[d] = 1;
    if (!reduced || keepdim) result.push_back(reduced ? 1 : x.shape[d]);
  }
  Array y{result, dtype, {}, {}};
  for_each_position(kept, [&](const Shape& outer) {
    std::vector<double> list;
    double magnitude = 0;
    for_each_position(inner, [&](const Shape& in) {
      Shape p = outer;
      for (int d = 0; d < x.rank(); ++d) p[d] += in[d];
      list.push_back(x.at(p));
      magnitude += std::abs(x.at(p));
    });
    y.values.push_back(rounded(f(list), dtype));
    y.magnitudes.push_back(magnitude);
  });
  return y;
}

/// Replaces the values along a dimension by f(values), which has the same length.
template <class F> Array along(const Array& x, int dim, Dtype dtype, F&& f) {
  Array y{x.shape, dtype, std::vector<double>(x.values.size()), std::vector<double>(x.values.size())};
  Shape rows = x.shape;
  rows[dim] = 1;
  for_each_position(rows, [&](const Shape& row) {
    std::vector<double> list;
    double magnitude = 1;
    Shape p = row;
    for (p[dim] = 0; p[dim] < x.shape[dim]; ++p[dim]) {
      list.push_back(x.at(p));
      magnitude += std::abs(x.at(p));
    }
    const std::vector<double> result = f(list);
    for (p[dim] = 0; p[dim] < x.shape[dim]; ++p[dim]) {
      y.at(p) = rounded(result[static_cast<std::size_t>(p[dim])], dtype);
      y.magnitudes[y.flat(p)] = magnitude;
    }
  });
  return y;
}

inline Array matmul(const Array& a, const Array& b) {
  need(a.dtype == b.dtype);
  need_floating(a);
  need(a.rank() > 0 && b.rank() > 0);
  Array left = a, right = b;
  if (a.rank() == 1) left.shape = {1, a.shape[0]};
  if (b.rank() == 1) right.shape = {b.shape[0], 1};
  const Index m = left.shape[left.rank() - 2], inner = left.shape[left.rank() - 1], n = right.shape[right.rank() - 1];
  need(inner == right.shape[right.rank() - 2]);
  const auto leading = [](const Shape& s) { return Shape(std::span<const Index>(s).first(static_cast<std::size_t>(s.rank() - 2))); };
  Shape shape = broadcast(leading(left.shape), leading(right.shape));
  const int batch = shape.rank();
  shape.push_back(m);
  shape.push_back(n);
  Array y{shape, a.dtype, {}, {}};
  for_each_position(shape, [&](const Shape& p) {
    double total = 0, magnitude = 0;
    const auto position_in = [&](const Array& x, Index row, Index column) {
      Shape q = x.shape;
      for (int d = 0; d < q.rank() - 2; ++d) q[d] = q[d] == 1 ? 0 : p[batch - (q.rank() - 2) + d];
      q[q.rank() - 2] = row;
      q[q.rank() - 1] = column;
      return q;
    };
    for (Index k = 0; k < inner; ++k) {
      const double term = left.at(position_in(left, p[batch], k)) * right.at(position_in(right, k, p[batch + 1]));
      total += term;
      magnitude += std::abs(term);
    }
    y.values.push_back(rounded(total, a.dtype));
    y.magnitudes.push_back(magnitude);
  });
  if (a.rank() == 1 || b.rank() == 1) {
    Shape squeezed = leading(shape);
    if (a.rank() > 1) squeezed.push_back(m);
    if (b.rank() > 1) squeezed.push_back(n);
    y.shape = squeezed;
  }
  return y;
}

}  // namespace wengert::fuzz
