#pragma once
// Printing: operator<< for streams, and fmt where it is installed. Not part of autodiff.h, because it costs compile time.
#include <ostream>
#include <string>

#include "autodiff/scalar/scalar.h"
#include "autodiff/tensor/tensor.h"

#if __has_include(<fmt/core.h>)
#include <fmt/core.h>
#endif

namespace wengert {

/// The elements as nested lists with shape and dtype, columns aligned:
///     [[1, 2.5],
///      [3,   4]] (2, 2) float32
/// Numbers have as many digits as it takes to read the same value back. Of more than 1000 elements, three at both ends of each
/// dimension are shown.
std::string to_string(const Tensor& t);

inline std::ostream& operator<<(std::ostream& out, Dtype dtype) { return out << to_string(dtype); }
inline std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_string(shape); }
inline std::ostream& operator<<(std::ostream& out, const Tensor& t) { return out << to_string(t); }
/// The value, by the stream's own settings.
template <class V> std::ostream& operator<<(std::ostream& out, const BasicScalar<V>& s) { return out << s.value(); }

}  // namespace wengert

#if __has_include(<fmt/core.h>)
/// The value; format specifications are those of a number.
template <class V> struct fmt::formatter<wengert::BasicScalar<V>> : fmt::formatter<V> {
  template <class Context> auto format(const wengert::BasicScalar<V>& s, Context& context) const {
    return fmt::formatter<V>::format(s.value(), context);
  }
};
namespace wengert::detail {
template <class T> struct StringFormatter : fmt::formatter<fmt::string_view> {
  template <class Context> auto format(const T& value, Context& context) const {
    const std::string text = to_string(value);
    return fmt::formatter<fmt::string_view>::format(text, context);
  }
};
}  // namespace wengert::detail
template <> struct fmt::formatter<wengert::Dtype> : wengert::detail::StringFormatter<wengert::Dtype> {};
template <> struct fmt::formatter<wengert::Shape> : wengert::detail::StringFormatter<wengert::Shape> {};
template <> struct fmt::formatter<wengert::Tensor> : wengert::detail::StringFormatter<wengert::Tensor> {};
#endif
