#pragma once
// Internal.
// Lists of numbers as arguments of scalar programs: doubles, dual numbers and Scalars, mixed.
#include <concepts>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/functions/dual.h"
#include "autodiff/scalar/eager_scalar.h"

namespace wengert::detail {

/// The type that a program computes with for an argument of type T: double for a C++ number, BasicScalar for expressions and eager Scalars.
template <class T> struct ProgramNumber {};
template <Number T> struct ProgramNumber<T> { using type = double; };
template <int N> struct ProgramNumber<Dual<N>> { using type = Dual<N>; };
template <ScalarLike T> struct ProgramNumber<T> { using type = BasicScalar<typename T::Value>; };
template <EagerLike T> struct ProgramNumber<T> { using type = BasicScalar<typename T::Value>; };
template <class T> concept ProgramArgument = requires { typename ProgramNumber<std::remove_cvref_t<T>>::type; };
template <ProgramArgument T> using ProgramNumberOf = typename ProgramNumber<std::remove_cvref_t<T>>::type;

/// The type of a program with arguments of several types: that of those which are not C++ numbers.
template <class T, class... Rest> struct CommonNumber { using type = T; };
template <class U, class... Rest> struct CommonNumber<double, U, Rest...> : CommonNumber<U, Rest...> {};
template <class T, class U, class... Rest>
requires(!std::same_as<T, double> && (std::same_as<U, double> || std::same_as<U, T>)) struct CommonNumber<T, U, Rest...>
    : CommonNumber<T, Rest...> {
};
template <ProgramArgument... T> using CommonNumberOf = typename CommonNumber<ProgramNumberOf<T>...>::type;

/// A contiguous range of such arguments, such as a std::vector<Scalar>, a std::array<double, 2> or a span.
template <class R> using ElementOf = std::remove_cvref_t<decltype(*std::data(std::declval<const R&>()))>;
template <class R> concept NumberList = requires(const R& r) {
  { std::size(r) } -> std::convertible_to<std::size_t>;
  *std::data(r);
}
&&ProgramArgument<ElementOf<R>>;

template <class T, NumberList R> std::vector<T> list_as(const R& r) { return std::vector<T>(std::data(r), std::data(r) + std::size(r)); }

/// The values of numbers, without their derivatives.
template <class T> std::vector<double> values_of(std::span<const T> x) {
  std::vector<double> values;
  values.reserve(x.size());
  for (const T& e : x) values.push_back(plain(e));
  return values;
}

/// The results of a program, which may be expressions or numbers, as a list of T. (By implicit conversions: a Scalar is no double, so a
/// program for doubles that computes with captured Scalars does not compile.)
template <class T, class R> std::vector<T> results_as(const R& results) {
  std::vector<T> list;
  list.reserve(results.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const T& result = results[i];
    list.push_back(result);
  }
  return list;
}

}  // namespace wengert::detail
