#pragma once
// Jacobians of scalar programs with several results. A program is a callable f(x) of a std::span<const T> that returns a std::array or a
// std::vector of T, generic in its scalar type T:
//
//     auto f = []<class T>(std::span<const T> x) { return std::array<T, 2>{x[0] * x[1], sin(x[0])}; };
//     std::vector<double> j = jacobian(f, x);  // 2 x n, row by row
//
// With n numbers x and m results, forward mode computes eight columns at once, and reverse mode eight rows.
#include <array>
#include <concepts>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/functions/dual.h"
#include "autodiff/scalar/scalar_derivatives.h"
#include "autodiff/tape/tape.h"

namespace wengert {

namespace detail {

/// Columns of a forward pass.
inline constexpr int kJacobianColumns = 8;
/// Once a program has been recorded, a sweep for eight rows takes less time than a forward pass. So reverse mode goes on with up to this
/// many results for each variable.
inline constexpr std::size_t kRecordedResults = 4;
using JacobianNumber = Dual<kJacobianColumns>;

/// Results of type T, one after another.
template <class R, class T> concept ListOf = requires(const R& r) {
  { r.size() } -> std::convertible_to<std::size_t>;
  { r[0] } -> std::convertible_to<T>;
};
template <class F, class T> concept ListProgram = requires(F& f, std::span<const T> x) {
  { f(x) } -> ListOf<T>;
};

[[noreturn]] void throw_number_of_results(std::size_t first, std::size_t now);
[[noreturn]] void throw_number_of_parameters(std::size_t wanted, std::size_t given);
[[noreturn]] void throw_no_residuals();

/// f(x) and its Jacobian, row by row.
using ValueAndJacobian = std::pair<std::vector<double>, std::vector<double>>;

template <class F> ValueAndJacobian forward_jacobian(F& f, std::span<const double> x) {
  constexpr std::size_t kColumns = kJacobianColumns;
  const std::size_t n = x.size();
  std::vector<JacobianNumber> variables(x.begin(), x.end());
  ValueAndJacobian result;
  auto& [y, j] = result;
  std::size_t first = 0;
  do {
    const std::size_t columns = n - first < kColumns ? n - first : kColumns;
    for (std::size_t k = 0; k < columns; ++k) variables[first + k].d[k] = 1;
    const auto results = f(std::span<const JacobianNumber>(variables));
    const std::size_t m = results.size();
    if (first == 0) {
      y.resize(m);
      j.resize(m * n);
    } else if (m != y.size()) {
      throw_number_of_results(y.size(), m);
    }
    for (std::size_t i = 0; i < m; ++i) {
      const JacobianNumber r(results[i]);
      y[i] = r.v;
      for (std::size_t k = 0; k < columns; ++k) j[i * n + first + k] = r.d[k];
    }
    for (std::size_t k = 0; k < columns; ++k) variables[first + k].d[k] = 0;
    first += kColumns;
  } while (first < n);
  return result;
}

/// By a tape of its own. Gives up, without a Jacobian, if there are more results than `most`.
template <class F> std::optional<ValueAndJacobian> reverse_jacobian(F& f, std::span<const double> x, std::size_t most) {
  Tape tape({.isolated = true});
  const std::vector<Scalar> variables = tape.variables(x);
  const auto results = f(std::span<const Scalar>(variables));
  const std::size_t m = results.size();
  if (m > most) return std::nullopt;
  std::vector<Scalar> y;
  ValueAndJacobian result;
  y.reserve(m);
  result.first.reserve(m);
  for (std::size_t i = 0; i < m; ++i) {
    y.emplace_back(results[i]);
    result.first.push_back(y[i].value());
  }
  result.second = tape.jacobian(y, variables);
  return result;
}

template <class F> ValueAndJacobian value_and_jacobian(F& f, std::span<const double> x) {
  constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();
  const std::size_t n = x.size();
  if constexpr (!ListProgram<F, JacobianNumber>) {
    return *reverse_jacobian(f, x, kAny);
  } else {
    using Results = std::remove_cvref_t<decltype(f(std::span<const JacobianNumber>()))>;
    if constexpr (requires { std::tuple_size<Results>::value; }) {  // the number of results is known
      return n < std::tuple_size<Results>::value ? forward_jacobian(f, x) : *reverse_jacobian(f, x, kAny);
    } else {
      if (n <= kJacobianColumns) return forward_jacobian(f, x);
      auto result = reverse_jacobian(f, x, kRecordedResults * n);
      return result ? *std::move(result) : forward_jacobian(f, x);
    }
  }
}

}  // namespace detail

/// A callable of a std::span of scalars that returns a list of them. If it takes any scalar type, the cheaper mode is chosen; if it takes a
/// std::span<const Scalar> only, the mode is reverse.
template <class F> concept VectorProgram = detail::ListProgram<F, Scalar>;

/// f(x), with m results, and its Jacobian d f(x)[i] / d x[j], an m x n matrix row by row. Forward mode, without a tape, calls f once for
/// eight columns; reverse mode records f on a tape of its own and takes a sweep for eight rows. Of a std::array of results it is forward
/// mode if n < m. A std::vector has a length that f must tell first: then it is forward mode also if n <= 8, and reverse mode if m <= 4 n
/// otherwise. Nothing is recorded on a live tape, whose values are constants for f.
template <class F, ScalarPoint X>
requires VectorProgram<F> std::pair<std::vector<double>, std::vector<double>> value_and_jacobian(F&& f, const X& x) {
  return detail::value_and_jacobian(f, std::span<const double>(x));
}
/// The Jacobian of f at x, row by row.
template <class F, ScalarPoint X>
requires VectorProgram<F> std::vector<double> jacobian(F&& f, const X& x) { return value_and_jacobian(f, x).second; }

// ---- functors in the style of Ceres Solver ----------------------------------------------------------------------------------------

/// See cost_function().
template <class Functor, std::size_t kResiduals, std::size_t... kBlocks> struct CostFunction {
  Functor functor;

  template <class T> std::array<T, kResiduals> operator()(std::span<const T> x) const {
    if (x.size() != (kBlocks + ...)) detail::throw_number_of_parameters((kBlocks + ...), x.size());
    std::array<T, kResiduals> residuals{};
    const T* block = x.data();
    const auto next = [&](std::size_t size) { return std::exchange(block, block + size); };
    const std::array<const T*, sizeof...(kBlocks)> blocks{next(kBlocks)...};
    if (!std::apply([&](auto... b) { return functor(b..., residuals.data()); }, blocks)) detail::throw_no_residuals();
    return residuals;
  }
};

/// A functor as ceres::AutoDiffCostFunction<Functor, kResiduals, kBlocks...> takes it, as a program for jacobian():
///
///     struct Residuals {
///       template <class T> bool operator()(const T* camera, const T* point, T* residuals) const;
///     };
///     std::vector<double> j = jacobian(cost_function<2, 9, 3>(Residuals()), x);  // 2 x 12
///
/// x holds the blocks of parameters one after another; with another number of parameters it is a ShapeError. If the functor returns false,
/// it is a ValueError.
template <std::size_t kResiduals, std::size_t... kBlocks, class Functor>
requires(sizeof...(kBlocks) > 0) CostFunction<Functor, kResiduals, kBlocks...> cost_function(Functor functor) {
  return {std::move(functor)};
}

}  // namespace wengert
