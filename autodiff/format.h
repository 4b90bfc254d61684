#pragma once
// Printing with fmt, where it is installed: formatters of Scalar, Tensor, Shape and Dtype. Not part of autodiff.h, because fmt costs
// compile time; autodiff.h has printing to streams.
#include <string>

#include "autodiff/print.h"

#if __has_include(<fmt/core.h>)
#include <fmt/core.h>
#endif

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
