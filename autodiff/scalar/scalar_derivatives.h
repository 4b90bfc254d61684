#pragma once
// First and second derivatives of scalar programs. A program is a callable f(x) of a std::span<const T>, generic in its scalar type T:
//
//     auto f = [](auto x) { return x[0] * x[0] + exp(x[1]); };
//     std::vector<double> g = gradient(f, x), h = hessian(f, x);
//
// Second derivatives are forward mode over reverse mode: the tape records dual numbers, so each adjoint carries its tangents.
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "autodiff/functions/dual.h"
#include "autodiff/scalar/statements.h"

namespace wengert {

/// A tape of scalars with any value type V. (For doubles there is Tape, which records tensors as well.) It is the calling thread's active
/// tape for V until its scope ends.
template <class V> class BasicTape {
 public:
  BasicTape() : outer_(active_writer<V>) {
    records_.start(false);
    if (outer_) outer_->close();
    active_writer<V> = &records_;
  }
  ~BasicTape() {
    active_writer<V> = outer_;
    records_.end();
  }
  BasicTape(const BasicTape&) = delete;
  BasicTape& operator=(const BasicTape&) = delete;

  BasicScalar<V> variable(const V& value) { return records_.variable(value); }

  /// dy/dx for every x; 0 where y does not depend on it. The records are kept until the tape ends.
  void gradient(const BasicScalar<V>& y, std::span<const BasicScalar<V>> x, std::span<V> x_bar) {
    records_.close();
    for (V& bar : x_bar) bar = V{};
    const std::uint32_t target = records_.index_of(y.number());
    if (!target) return;
    V* adjoints = records_.adjoints();
    adjoints[target] = V(1);
    ReverseStatements<V>(records_, adjoints, false).down_to(1);
    for (std::size_t i = 0; i < x.size(); ++i)
      if (const std::uint32_t index = records_.index_of(x[i].number())) x_bar[i] = adjoints[index];
    records_.clear_adjoints(adjoints);
  }

  std::size_t statements() const { return records_.statements(); }

 private:
  StatementList<V> records_;
  StatementWriter<V>* outer_;
};

namespace detail {

/// Value and gradient of f at x as dual numbers, with tangents in N directions.
template <int N, class F>
Dual<N> dual_gradient(F& f, std::span<const double> x, std::span<const std::array<double, N>> changes, std::span<Dual<N>> x_bar) {
  using T = BasicScalar<Dual<N>>;
  BasicTape<Dual<N>> tape;
  std::vector<T> variables;
  variables.reserve(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) variables.push_back(tape.variable({x[i], changes[i]}));
  const T y = f(std::span<const T>(variables));
  tape.gradient(y, variables, x_bar);
  return y.value();
}

}  // namespace detail

/// A callable of a std::span of scalars.
template <class F> concept ScalarProgram = std::invocable<F&, std::span<const BasicScalar<Dual<1>>>>;
/// An array of numbers. ScalarProgram is checked only if x is one: checking it for a generic lambda of tensors would not compile.
template <class X> concept ScalarPoint = std::convertible_to<const X&, std::span<const double>>;

/// The derivative of f at x in the direction v: forward mode, without a tape.
template <class F> double directional_derivative(F&& f, std::span<const double> x, std::span<const double> v) {
  std::vector<Dual<1>> variables;
  variables.reserve(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) variables.push_back({x[i], {v[i]}});
  return Dual<1>(f(std::span<const Dual<1>>(variables))).d[0];
}

/// f(x) and its gradient.
template <class F, ScalarPoint X>
requires ScalarProgram<F> std::pair<double, std::vector<double>> value_and_gradient(F&& f, const X& point) {
  const std::span<const double> x(point);
  std::vector<Dual<0>> x_bar(x.size());
  const std::vector<std::array<double, 0>> changes(x.size());
  const double y = detail::dual_gradient<0>(f, x, changes, x_bar).v;
  std::vector<double> gradient;
  gradient.reserve(x.size());
  for (const Dual<0>& g : x_bar) gradient.push_back(g.v);
  return {y, std::move(gradient)};
}
/// The gradient of f at x.
template <class F, ScalarPoint X>
requires ScalarProgram<F> std::vector<double> gradient(F&& f, const X& x) { return value_and_gradient(f, x).second; }

/// H v, the derivative of f's gradient at x in the direction v, in one sweep: about the time of three gradients.
template <class F, ScalarPoint X>
requires ScalarProgram<F> std::vector<double> hvp(F&& f, const X& point, std::span<const double> v) {
  const std::span<const double> x(point);
  std::vector<std::array<double, 1>> changes(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) changes[i][0] = v[i];
  std::vector<Dual<1>> x_bar(x.size());
  detail::dual_gradient<1>(f, x, changes, x_bar);
  std::vector<double> product;
  product.reserve(x.size());
  for (const Dual<1>& g : x_bar) product.push_back(g.d[0]);
  return product;
}

/// The n x n matrix of second derivatives at x, row by row. One sweep computes eight columns.
template <class F, ScalarPoint X>
requires ScalarProgram<F> std::vector<double> hessian(F&& f, const X& point) {
  const std::span<const double> x(point);
  constexpr int kColumns = 8;
  const std::size_t n = x.size();
  std::vector<double> h(n * n);
  std::vector<Dual<kColumns>> x_bar(n);
  for (std::size_t first = 0; first < n; first += kColumns) {
    const std::size_t columns = n - first < kColumns ? n - first : kColumns;
    std::vector<std::array<double, kColumns>> changes(n);
    for (std::size_t k = 0; k < columns; ++k) changes[first + k][k] = 1;
    detail::dual_gradient<kColumns>(f, x, changes, x_bar);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t k = 0; k < columns; ++k) h[i * n + first + k] = x_bar[i].d[k];
  }
  return h;
}

}  // namespace wengert
