#pragma once
// Printing to streams: std::cout << x.
#include <iosfwd>
#include <string>

#include "autodiff/scalar/scalar.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

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
/// The value, formatted with the stream's settings.
template <class V> std::ostream& operator<<(std::ostream& out, const BasicScalar<V>& s) { return out << s.value(); }
template <ScalarExpression E> std::ostream& operator<<(std::ostream& out, const E& e) { return out << e.value(); }

}  // namespace wengert
