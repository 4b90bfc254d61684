#pragma once
// Printing to streams: std::cout << x.
#include <iosfwd>
#include <string>

#include "autodiff/functions/dual.h"
#include "autodiff/scalar/eager_scalar.h"
#include "autodiff/scalar/scalar.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

namespace detail {
template <class Stream, class T> Stream& read_number(Stream& in, T& x) {
  double value = 0;
  if (in >> value) x = value;
  return in;
}
}  // namespace detail

/// The elements as nested lists with shape and dtype, columns aligned:
///     [[1, 2.5],
///      [3,   4]] (2, 2) float32
/// Numbers have as many digits as are needed to read the same value back. For more than 1000 elements, only three at each end of each
/// dimension are shown.
std::string to_string(const Tensor& t);

/// Writes what to_string returns to a stream.
std::ostream& operator<<(std::ostream& out, Dtype dtype);
std::ostream& operator<<(std::ostream& out, const Shape& shape);
std::ostream& operator<<(std::ostream& out, const Tensor& t);
namespace numeric {
/// The value, formatted with the stream's settings.
template <class C, class Traits, class V>
std::basic_ostream<C, Traits>& operator<<(std::basic_ostream<C, Traits>& out, const BasicScalar<V>& s) {
  return out << detail::plain(s);
}
template <class C, class Traits, ScalarExpression E>
std::basic_ostream<C, Traits>& operator<<(std::basic_ostream<C, Traits>& out, const E& e) {
  return out << detail::plain(e);
}
template <class C, class Traits, class V>
std::basic_ostream<C, Traits>& operator<<(std::basic_ostream<C, Traits>& out, const BasicEagerScalar<V>& s) {
  return out << detail::plain(s);
}
template <class C, class Traits, int N> std::basic_ostream<C, Traits>& operator<<(std::basic_ostream<C, Traits>& out, const Dual<N>& x) {
  return out << x.v;
}
/// Reads a number: a constant.
template <class C, class Traits, class V> std::basic_istream<C, Traits>& operator>>(std::basic_istream<C, Traits>& in, BasicScalar<V>& s) {
  return detail::read_number(in, s);
}
template <class C, class Traits, class V>
std::basic_istream<C, Traits>& operator>>(std::basic_istream<C, Traits>& in, BasicEagerScalar<V>& s) {
  return detail::read_number(in, s);
}
template <class C, class Traits, int N> std::basic_istream<C, Traits>& operator>>(std::basic_istream<C, Traits>& in, Dual<N>& x) {
  return detail::read_number(in, x);
}
}  // namespace numeric

}  // namespace wengert
