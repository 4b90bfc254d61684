#include "autodiff/tape/gradients.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/tape/records.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert {

Gradients::Gradients() = default;
Gradients::Gradients(const Gradients&) = default;
Gradients::Gradients(Gradients&&) noexcept = default;
Gradients& Gradients::operator=(const Gradients&) = default;
Gradients& Gradients::operator=(Gradients&&) noexcept = default;
Gradients::~Gradients() = default;

void Gradients::add(detail::Cotangent gradient, const ParameterState* parameter) {
  cotangents_.push_back(std::move(gradient));
  parameters_.push_back(parameter);
}
void Gradients::add(Tensor gradient, const ParameterState* parameter) { add(detail::Cotangent(std::move(gradient)), parameter); }

Tensor Gradients::of(const ParameterState* p) const {
  const auto found = std::find(parameters_.begin(), parameters_.end(), p);
  if (!p || found == parameters_.end())
    throw TapeError(fmt::format("Gradients: there is no gradient of the parameter {}; it was not among the sources",
                                p ? (p->name.empty() ? describe(p->value) : p->name) : "(none)"));
  return (*this)[static_cast<std::size_t>(found - parameters_.begin())];
}

Gradients& Gradients::operator+=(const Gradients& o) {
  if (o.empty()) return *this;
  if (empty()) return *this = o;
  if (parameters_ != o.parameters_)
    throw TapeError(
        fmt::format("Gradients: gradients of {} sources were added to gradients of {} others; both must be of the same sources in the same "
                    "order",
                    o.size(), size()));
  pool::Vector<detail::Cotangent> sums;  // all or, after an exception, none
  sums.reserve(size());
  for (std::size_t i = 0; i < size(); ++i) sums.emplace_back(detail::add((*this)[i], o[i], Location::here()));
  cotangents_ = std::move(sums);
  return *this;
}

namespace {

/// Tensors that can be changed in place. A TapeError where that would lose derivatives in silence.
pool::Vector<Tensor*> changeable(pool::Vector<detail::Cotangent>& cotangents, const char* operation) {
  pool::Vector<Tensor*> tensors;
  tensors.reserve(cotangents.size());
  for (detail::Cotangent& c : cotangents) {
    Tensor& t = c.tensor();
    if (recording() && detail::active_tape()->holds(t))
      throw TapeError(
          fmt::format("Gradients: {}: the gradient {} was recorded (.differentiable), and its derivatives would be lost; "
                      "compute with the tensors instead",
                      operation, describe(t)));
    tensors.push_back(&t);
  }
  return tensors;
}

/// f(element&) for every element of the gradient, which is made this handle's own first.
template <class F> void change(Tensor& g, F&& f) {
  detail::dispatch_floating(g.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* p = g.mutable_data<T>();
    for (Index i = 0, n = g.size(); i < n; ++i) p[i] = f(p[i]);
  });
}

/// s = f(s, element) over all elements, from s = 0 on.
template <class F> double fold(const pool::Vector<Tensor>& gradients, F&& f) {
  double s = 0;
  for (const Tensor& given : gradients) {
    const Tensor g = given.is_row_major() ? given : given.clone();
    detail::dispatch_floating(g.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T* p = g.data<T>();
      for (Index i = 0, n = g.size(); i < n; ++i) s = f(s, static_cast<double>(p[i]));
    });
  }
  return s;
}

}  // namespace

double Gradients::norm(double p) const {
  if (!(p >= 1)) throw Error(fmt::format("Gradients: {} makes no norm; p must be 1 or more", p));
  const pool::Vector<Tensor> all(begin(), end());
  if (p == 2) return std::sqrt(fold(all, [](double s, double v) { return s + v * v; }));
  if (p == 1) return fold(all, [](double s, double v) { return s + std::abs(v); });
  // max(NaN, x) would be x: a NaN, once it is there, stays.
  const double largest = fold(all, [](double s, double v) { return std::abs(v) <= s || std::isnan(s) ? s : std::abs(v); });
  if (std::isinf(p) || largest == 0 || !std::isfinite(largest)) return largest;
  return largest * std::pow(fold(all, [&](double s, double v) { return s + std::pow(std::abs(v) / largest, p); }), 1 / p);
}
double Gradients::clip_norm(double max, double p) {
  changeable(cotangents_, "clip_norm");
  const double n = norm(p);
  const double scale = max / (n + 1e-6);  // as PyTorch does; a norm of 0 needs no case of its own
  if (scale < 1) *this *= scale;
  return n;
}
Gradients& Gradients::clip_value(double limit) {
  for (Tensor* g : changeable(cotangents_, "clip_value"))
    change(*g, [=](auto v) { return std::clamp(v, static_cast<decltype(v)>(-limit), static_cast<decltype(v)>(limit)); });
  return *this;
}
Gradients& Gradients::operator*=(double factor) {
  for (Tensor* g : changeable(cotangents_, "*=")) change(*g, [=](auto v) { return static_cast<decltype(v)>(v * factor); });
  return *this;
}

}  // namespace wengert
