#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "autodiff/ops.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert {

Gradients::Gradients() = default;
Gradients::Gradients(const Gradients& o) : gradients_(o.all()), parameters_(o.parameters_) {}
Gradients::Gradients(Gradients&& o) noexcept
    : gradients_(std::move(o.gradients_)),
      products_(std::move(o.products_)),
      some_pending_(o.some_pending_.exchange(false)),
      parameters_(std::move(o.parameters_)) {}
Gradients& Gradients::operator=(const Gradients& o) { return *this = Gradients(o); }
Gradients& Gradients::operator=(Gradients&& o) noexcept {
  gradients_ = std::move(o.gradients_);
  products_ = std::move(o.products_);
  some_pending_ = o.some_pending_.exchange(false);
  parameters_ = std::move(o.parameters_);
  return *this;
}
Gradients::~Gradients() = default;

void Gradients::add(Tensor gradient, const ParameterState* parameter) {
  gradients_.push_back(std::move(gradient));
  parameters_.push_back(parameter);
}

void Gradients::add(detail::PendingProduct gradient, const ParameterState* parameter) {
  products_.emplace_back(size(), std::move(gradient));
  add(Tensor(), parameter);
  some_pending_ = true;
}

namespace {
std::mutex looking;  // held while products are looked for or multiplied
}  // namespace

detail::PendingProduct Gradients::pending(std::size_t i) const {
  if (!some_pending_.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(looking);
  const auto found = std::find_if(products_.begin(), products_.end(), [&](const auto& entry) { return entry.first == i; });
  return found == products_.end() ? detail::PendingProduct() : found->second;
}

void Gradients::multiply(std::size_t first, std::size_t last) const {
  const std::lock_guard lock(looking);
  for (auto at = products_.begin(); at != products_.end();) {
    const auto& [i, product] = *at;
    if (i < first || i >= last) {
      ++at;
      continue;
    }
    gradients_[i] = product.multiply();
    at = products_.erase(at);
  }
  some_pending_.store(!products_.empty(), std::memory_order_release);
}

const Tensor& Gradients::of(const ParameterState* p) const {
  const auto found = std::find(parameters_.begin(), parameters_.end(), p);
  if (!p || found == parameters_.end())
    throw TapeError(fmt::format("Gradients: no gradient of the parameter {}; it was not among the sources",
                                p ? (p->name.empty() ? describe(p->value) : p->name) : "(none)"));
  return (*this)[static_cast<std::size_t>(found - parameters_.begin())];
}

namespace {

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
  if (p == 2) return std::sqrt(fold(all(), [](double s, double v) { return s + v * v; }));
  if (p == 1) return fold(all(), [](double s, double v) { return s + std::abs(v); });
  // max(NaN, x) would be x: a NaN, once it is there, stays.
  const double largest = fold(gradients_, [](double s, double v) { return std::abs(v) <= s || std::isnan(s) ? s : std::abs(v); });
  if (std::isinf(p) || largest == 0 || !std::isfinite(largest)) return largest;
  return largest * std::pow(fold(gradients_, [&](double s, double v) { return s + std::pow(std::abs(v) / largest, p); }), 1 / p);
}
double Gradients::clip_norm(double max, double p) {
  const double n = norm(p);
  const double scale = max / (n + 1e-6);  // as the field does it: a norm of 0 needs no case of its own
  if (scale < 1) *this *= scale;
  return n;
}
Gradients& Gradients::clip_value(double limit) {
  all();
  for (Tensor& g : gradients_)
    change(g, [=](auto v) { return std::clamp(v, static_cast<decltype(v)>(-limit), static_cast<decltype(v)>(limit)); });
  return *this;
}
Gradients& Gradients::operator*=(double factor) {
  all();
  for (Tensor& g : gradients_) change(g, [=](auto v) { return static_cast<decltype(v)>(v * factor); });
  return *this;
}
Gradients& Gradients::operator+=(const Gradients& o) {
  if (parameters_ != o.parameters_)
    throw TapeError(fmt::format(
        "Gradients: += of gradients of {} sources to gradients of {} others; both must be of the same sources in the same order", o.size(),
        size()));
  NoRecord pause;
  for (std::size_t i = 0; i < size(); ++i) gradients_[i] = ((*this)[i] + o[i]).constant();
  return *this;
}

}  // namespace wengert
