#pragma once
// Custom scalar functions, and blocks of a program, as one statement each.
#include <array>
#include <concepts>
#include <span>
#include <utility>
#include <vector>

#include "autodiff/tape/tape.h"

namespace wengert {

/// A Scalar with this value whose derivative with respect to x[i] is partials[i]: recorded as one statement (one for every 127 operands).
/// The rest of this file is built on it. A TapeError on a tape with `.higher_order`, because the derivatives of the partials are unknown; a
/// ShapeError if the lengths differ.
Scalar with_partials(double value, std::span<const Scalar> x, std::span<const double> partials);

/// A function given by its value and its slope. See scalar_function.
template <class Value, class Slope> struct ScalarFunction {
  Value value;
  Slope slope;

  template <ScalarOperand... X> Scalar operator()(X&&... x) const {
    const std::array<Scalar, sizeof...(X)> operands{Scalar(std::forward<X>(x))...};
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
      const std::array<double, sizeof...(X)> partials{slope(operands[i].value()...)};
      return with_partials(value(operands[i].value()...), operands, partials);
    }
    (std::index_sequence_for<X...>{});
  }
};
/// A custom function from two callables of doubles: value(x...), and slope(x...), its derivative (for n > 1 operands a
/// std::array<double, n> of partial derivatives).
///
///     const auto bessel = scalar_function([](double x) { return j0(x); }, [](double x) { return -j1(x); });
///     Scalar y = bessel(2 * x) + 1;
template <class Value, class Slope> ScalarFunction<Value, Slope> scalar_function(Value value, Slope slope) {
  return {std::move(value), std::move(slope)};
}

/// A block with a custom reverse rule: value(x) takes a std::span<const double> and returns a double; reverse(x, y, x_bar) writes the
/// derivatives of y to x_bar, which is initially zero. The rule runs at once, so nothing has to be saved.
template <std::invocable<std::span<const double>> Value, std::invocable<std::span<const double>, double, std::span<double>> Reverse>
Scalar scalar_block(std::span<const Scalar> x, Value&& value, Reverse&& reverse) {
  std::vector<double> values, x_bar(x.size());
  values.reserve(x.size());
  for (const Scalar& s : x) values.push_back(s.value());
  const double y = value(std::span<const double>(values));
  reverse(std::span<const double>(values), y, std::span<double>(x_bar));
  return with_partials(y, x, x_bar);
}

namespace detail {

/// The block's derivatives, from an inner tape that ends before the statements are recorded.
struct BlockDerivatives {
  std::vector<double> partials;

  template <class Outputs> void compute(Tape& tape, const Outputs& y, std::span<const Scalar> inputs) {
    const std::size_t n = inputs.size();
    partials.resize(y.size() * n);
    for (std::size_t j = 0; j < y.size(); ++j)
      if (y[j].number()) tape.gradient(y[j], inputs, std::span(partials).subspan(j * n, n), {.retain = true, .unreached = Unreached::zero});
  }
};

}  // namespace detail

/// Runs f(x), a block of many statements with few inputs and few outputs, on an inner tape, and records one statement for each of its
/// outputs. f takes a std::span<const Scalar> and returns a Scalar, or a std::array or std::vector of them. Using any other recorded Scalar
/// in f is a TapeError.
template <std::invocable<std::span<const Scalar>> F> auto preaccumulate(F&& f, std::span<const Scalar> x) {
  using Result = std::invoke_result_t<F, std::span<const Scalar>>;
  constexpr bool kOne = std::convertible_to<Result, Scalar>;
  using Outputs = std::conditional_t<kOne, std::array<Scalar, 1>, std::remove_cvref_t<Result>>;
  Outputs y;
  detail::BlockDerivatives derivatives;
  if (recording()) {
    Tape tape({.isolated = true, .reject_outer_values = true});
    std::vector<double> values;
    values.reserve(x.size());
    for (const Scalar& s : x) values.push_back(s.value());
    const std::vector<Scalar> inputs = tape.variables(values);
    y = Outputs{f(std::span<const Scalar>(inputs))};
    derivatives.compute(tape, y, inputs);
  } else {
    y = Outputs{f(x)};
    derivatives.partials.resize(y.size() * x.size());
  }
  for (std::size_t j = 0; j < y.size(); ++j)
    y[j] = with_partials(y[j].value(), x, std::span(derivatives.partials).subspan(j * x.size(), x.size()));
  if constexpr (kOne) {
    return y[0];
  } else {
    return y;
  }
}

}  // namespace wengert
