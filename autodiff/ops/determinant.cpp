// Determinants, from LU factors with partial pivoting.
//
//   y = det A:        A_bar = y_bar C,               y_dot = sum(C A_dot),   C the matrix of cofactors
//   y = ln |det A|:   A_bar = y_bar C / det A
//
// C is det(A) A^-T. If A is singular, or small and so nearly singular that its inverse has no accurate digits, C is computed from the
// determinants of the minors: these are exact, and so are their derivatives, at a cost of n^5.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "autodiff/ops/composition.h"
#include "autodiff/ops/matrix.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// The determinant of each matrix.
struct Determinants {
  Tensor sign, logarithm;  // det = sign e^logarithm
  Tensor value;
  bool singular = false, nearly_singular = false;  // one of them
};

template <class T> void determinants(const detail::Factors& f, Index n, Determinants& d) {
  T *sign = d.sign.mutable_data<T>(), *logarithm = d.logarithm.mutable_data<T>(), *value = d.value.mutable_data<T>();
  const T* u = f.lu.data<T>();
  for (Index i = 0; i < d.value.size(); ++i, u += n * n) {
    double product = 1, sum = 0, smallest = HUGE_VAL, largest = 0;
    bool negative = false;
    for (Index k = 0; k < n; ++k) {
      const auto pivot = static_cast<double>(u[k * (n + 1)]);
      negative ^= (f.pivots[static_cast<std::size_t>(i * n + k)] != k + 1) ^ (pivot < 0);
      product *= std::abs(pivot);
      sum += std::log(std::abs(pivot));
      smallest = std::min(smallest, std::abs(pivot));
      largest = std::max(largest, std::abs(pivot));
    }
    value[i] = static_cast<T>(negative ? -product : product);
    sign[i] = std::isnan(sum) ? static_cast<T>(sum) : static_cast<T>(smallest == 0 ? 0 : negative ? -1 : 1);
    logarithm[i] = static_cast<T>(sum);
    d.singular |= smallest == 0;
    d.nearly_singular |= n > 0 && smallest <= largest * std::sqrt(static_cast<double>(std::numeric_limits<T>::epsilon())) * 1e-2;
  }
}

Determinants determinants_of(const Tensor& a) {
  const detail::Factors f = detail::factorize(a, {});
  Shape shape = a.shape();
  shape.resize(a.rank() - 2);
  const auto empty = [&] { return Tensor::uninitialized(shape, a.dtype()); };
  Determinants d{empty(), empty(), empty()};
  detail::dispatch_floating(a.dtype(), [&](auto zero) { determinants<decltype(zero)>(f, a.size(-1), d); });
  return d;
}

// (n, n - 1): row i holds every position except i.
Tensor all_but_one(Index n) {
  std::vector<std::int64_t> positions;
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < n; ++k)
      if (k != i) positions.push_back(k);
  return Tensor::from(positions);
}

// Element (i, j) is (-1)^(i + j) times the determinant of A without row i and column j.
Tensor cofactors_from_minors(const Tensor& a) {
  const Index n = a.size(-1);
  if (n < 2) return a * 0 + 1;
  const Tensor others = all_but_one(n);
  Shape shape = a.shape();
  shape.resize(a.rank() - 2);
  for (const Index size : {n, n - 1, n, n - 1}) shape.push_back(size);
  const Tensor minors = reshape(index_select(index_select(a, -2, others), -1, others), shape);  // (..., i, row, j, column)
  Tensor signs = Tensor::ones({n, n}, a.dtype());
  detail::dispatch_floating(a.dtype(), [&](auto zero) {
    auto* s = signs.mutable_data<decltype(zero)>();
    for (Index i = 0; i < n * n; ++i)
      if ((i / n + i % n) % 2) s[i] = -1;
  });
  return signs * det(transpose(minors, -3, -2));
}

// (...) as (..., 1, 1): one number for each matrix, which broadcasts with the matrices.
Tensor as_matrices(const Tensor& x) { return unsqueeze(unsqueeze(x, -1), -1); }

Tensor cofactors(const Tensor& a, const Tensor& determinant) {
  constexpr Index kSmall = 16;
  const Determinants d = determinants_of(a.constant());
  if (d.singular || (d.nearly_singular && a.size(-1) <= kSmall)) return cofactors_from_minors(a);
  return as_matrices(determinant) * transpose(inverse(a));
}

class Determinant : public Operation {
 public:
  const char* name() const override { return "det"; }
  const char* latex() const override { return R"(\det #)"; }
  ValueSet saved_for(int) const override { return input(0) | output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = as_matrices(y_bar[0]) * cofactors(s.x(), s.y());
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = sum(cofactors(s.x(), s.y()) * x_dot[0], {-2, -1});
  }
};

class LogDeterminant : public Operation {  // ln |det A|
 public:
  const char* name() const override { return "slogdet"; }
  const char* latex() const override { return R"(\ln\lvert\det #\rvert)"; }
  ValueSet saved_for(int) const override { return input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = as_matrices(y_bar[0]) * slope(s.x());
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = sum(slope(s.x()) * x_dot[0], {-2, -1});
  }

 private:
  static Tensor slope(const Tensor& a) {
    if (!determinants_of(a.constant()).singular) return transpose(inverse(a));
    return cofactors_from_minors(a) / as_matrices(det(a));
  }
};

}  // namespace

Tensor det(const Tensor& a, Location site) {
  const CallSite scope(site);
  detail::check_square("det", a);
  return record(Determinant(), site, {&a}, determinants_of(a.constant()).value);
}

SignAndLogarithm slogdet(const Tensor& a, Location site) {
  const CallSite scope(site);
  detail::check_square("slogdet", a);
  Determinants d = determinants_of(a.constant());
  return {std::move(d.sign), record(LogDeterminant(), site, {&a}, std::move(d.logarithm))};
}

Tensor logdet(const Tensor& a, Location site) {
  const CallSite scope(site);
  detail::check_square("logdet", a);
  const auto [sign, logarithm] = slogdet(a);
  return logarithm * where(sign < 0, std::numeric_limits<double>::quiet_NaN(), Tensor::ones({}, a.dtype()));
}

}  // namespace wengert
