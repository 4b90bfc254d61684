#pragma once
// Values as they are written in C++.
#include <autodiff/autodiff.h>
#include <fmt/format.h>

#include <concepts>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wengert::fuzz {

/// Exactly this double: "1.5", "2.0", "NAN", "-INFINITY".
std::string literal(double value);
inline std::string literal(std::integral auto value) { return fmt::format("{}", value); }
/// Code as it is.
inline std::string literal(std::string_view text) { return std::string(text); }
inline std::string literal(char symbol) { return std::string(1, symbol); }
inline std::string literal(Dtype dtype) { return to_string(dtype); }
/// "{2, 3}": a Shape or Dims.
std::string literal(const Shape& shape);
/// "{1, 2}"
std::string literal(HeightWidth pair);
/// "0", "Ellipsis", "Range(0, End, 2)"
std::string literal(const Subscript& index);

/// The literals of all elements, with commas.
template <class T> std::string list(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) {
    if (!text.empty()) text += ", ";
    text += literal(value);
  }
  return text;
}
template <class T> std::string literal(const std::vector<T>& values) { return fmt::format("{{{}}}", list(values)); }

template <class T> using Literal = decltype(literal(std::declval<const T&>()));
/// A line of C++ with the literals of the arguments: code("sum({}, {})", x, dims). The pattern is fmt's: {{ and }} are braces.
template <class... A> std::string code(fmt::format_string<Literal<A>...> pattern, const A&... arguments) {
  return fmt::format(pattern, literal(arguments)...);
}

/// What a call calls: the code without its arguments and numbers. "sum()" for "sum(v1, {0})", "v+v" for "v1 + v2".
std::string outline(std::string_view call);

/// A function of a printed program.
struct PrintedProgram {
  std::uint64_t number;
  std::string lines;
};
/// A whole C++ program, which runs these, prints each difference, and ends with status 1 if there is one.
std::string cpp(std::span<const PrintedProgram> programs);

}  // namespace wengert::fuzz
