// Norms of gradients, clipping and scaling: passes over all elements, in parts of fixed size on the threads of the pool. The sums of the
// parts are added in order, so the bits are the same for any number of threads. Short products stay products: their elements are computed
// part by part for a norm, and a factor waits until they are multiplied.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/kernels/norms.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/tape/gradients.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert {
namespace {

using detail::Gradient;

// The elements of gradients: row-major tensors and short products. A DtypeError unless all are floating.
class Parts {
 public:
  void add(const Tensor& t) {
    detail::dispatch_floating(t.dtype(), [&](auto zero) { add_elements(t.data<decltype(zero)>(), t.size()); });
  }
  void add(const Gradient& product) {
    cut(product.shape().size(), [&](Index first) { return Part{.product = &product, .first = first}; });
  }
  std::size_t count() const { return parts_.size(); }

  // f(i, elements, n) for the ith part, which has n elements, float or double.
  template <class F> void for_each(F&& f) const {
    const auto visit = [&](Index i) {
      const Part& part = parts_[static_cast<std::size_t>(i)];
      if (part.product) {
        const kernels::Scratch<float> elements(part.n);
        part.product->copy_elements(part.first, part.n, elements.data());
        f(static_cast<std::size_t>(i), static_cast<const float*>(elements.data()), part.n);
      } else if (part.floats) {
        f(static_cast<std::size_t>(i), part.floats, part.n);
      } else {
        f(static_cast<std::size_t>(i), part.doubles, part.n);
      }
    };
    const Index parts = static_cast<Index>(parts_.size());
    if (size_ > kSize) return parallel_blocks(parts, visit);
    for (Index i = 0; i < parts; ++i) visit(i);  // too little work to wake another thread
  }

 private:
  static constexpr Index kSize = 16384;  // elements: about 3 us
  struct Part {
    const float* floats = nullptr;      // of a float32 tensor
    const double* doubles = nullptr;    // of a float64 tensor
    const Gradient* product = nullptr;  // whose elements begin at `first`
    Index first = 0, n = 0;
  };
  void add_elements(const float* elements, Index n) {
    cut(n, [=](Index first) { return Part{.floats = elements + first}; });
  }
  void add_elements(const double* elements, Index n) {
    cut(n, [=](Index first) { return Part{.doubles = elements + first}; });
  }
  template <class F> void cut(Index n, F&& part_at) {
    for (Index first = 0; first < n; first += kSize) parts_.emplace_back(part_at(first)).n = std::min(kSize, n - first);
    size_ += n;
  }
  pool::Vector<Part> parts_;
  Index size_ = 0;
};

// The gradients as tensors; deferred products are multiplied in place, but for those that `keep` accepts. A TapeError if one was recorded:
// changing it would silently lose derivatives.
template <class Keep> pool::Vector<Tensor*> changeable(const char* operation, pool::Vector<Gradient>& gradients, Keep&& keep) {
  pool::Vector<Tensor*> tensors;
  tensors.reserve(gradients.size());
  for (Gradient& c : gradients) {
    if (keep(c)) continue;
    Tensor& g = c.tensor();
    if (recording() && detail::active_tape()->holds(g))
      throw TapeError(fmt::format(
          "{}: the gradient {} was recorded (.differentiable), and its derivatives would be lost; hint: compute with the tensors instead",
          operation, describe(g)));
    tensors.push_back(&g);
  }
  return tensors;
}

// f(elements, n) for all elements of the gradients. Shared elements are copied first; if memory does not suffice, nothing has changed.
template <class F> void change(const pool::Vector<Tensor*>& gradients, F&& f) {
  pool::Vector<Tensor> tensors;
  tensors.reserve(gradients.size());
  for (Tensor* g : gradients) {
    detail::dispatch_floating(g->dtype(), [&](auto zero) { g->mutable_data<decltype(zero)>(); });
    tensors.push_back(*g);
  }
  Parts parts;
  for (const Tensor& t : tensors) parts.add(t);
  parts.for_each([&]<class T>(std::size_t, const T* elements, Index n) { f(const_cast<T*>(elements), n); });
}

// Computes norms, in one or two passes over the elements.
class Norm {
 public:
  explicit Norm(const Gradients& gradients) {
    tensors_.reserve(gradients.size());
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const Gradient& c = gradients.gradient(i);
      if (c.is_short_product()) {
        parts_.add(c);
      } else {
        const Tensor g = c.value();
        parts_.add(tensors_.emplace_back(g.is_row_major() ? g : g.clone()));
      }
    }
    results_.resize(parts_.count());
  }

  double max() {
    run([](const auto* x, Index n) { return kernels::max_magnitude(x, n); });
    double max = 0;
    for (const double r : results_) max = r > max || std::isnan(r) ? r : max;  // a NaN stays: no number compares larger
    return max;
  }
  double sum() {
    return total([](const auto* x, Index n) { return kernels::sum_of_magnitudes(x, n); });
  }
  double euclidean() {
    // In a sum of at least this size, squares that underflowed are negligible.
    constexpr double kMin = 0x1p-900;
    const double squares = total([](const auto* x, Index n) { return kernels::sum_of_squares(x, n); });
    return squares >= kMin && std::isfinite(squares) ? std::sqrt(squares) : scaled_norm(2);
  }
  // Computed from magnitudes relative to the largest: their powers do not overflow, and not all of them underflow.
  double scaled_norm(double p) {
    const double unit = max();
    if (unit == 0 || !std::isfinite(unit)) return unit;
    return unit * std::pow(total([=](const auto* x, Index n) { return kernels::sum_of_powers(x, n, unit, p); }), 1 / p);
  }

 private:
  template <class F> void run(F&& f) {
    parts_.for_each([&](std::size_t i, const auto* elements, Index n) { results_[i] = f(elements, n); });
  }
  template <class F> double total(F&& f) {
    run(f);
    double sum = 0;
    for (const double r : results_) sum += r;
    return sum;
  }

  pool::Vector<Tensor> tensors_;
  Parts parts_;
  pool::Vector<double> results_;
};

void check_limit(const char* operation, double limit) {
  if (!(limit > 0)) throw ValueError(fmt::format("{}: the limit must be positive, but it is {}", operation, limit));
}

}  // namespace

double Gradients::norm(double p) const {
  if (!(p >= 1)) throw ValueError(fmt::format("norm: p must be at least 1, but it is {}", p));
  Norm norm(*this);
  return std::isinf(p) ? norm.max() : p == 1 ? norm.sum() : p == 2 ? norm.euclidean() : norm.scaled_norm(p);
}

double Gradients::clip_norm(double max, double p) {
  check_limit("clip_norm", max);
  changeable("clip_norm", gradients_, [](const Gradient& c) { return c.is_short_product(); });
  const double before = norm(p);
  if (before > max) *this *= max / (before + 1e-6);  // as PyTorch does
  return before;
}

Gradients& Gradients::clip_value(double limit) {
  check_limit("clip_value", limit);
  const auto none = [](const Gradient&) { return false; };
  change(changeable("clip_value", gradients_, none), [=](auto* elements, Index n) { kernels::clamp(elements, n, limit); });
  return *this;
}

Gradients& Gradients::operator*=(double factor) {
  const auto can_wait = [](const Gradient& c) { return c.is_short_product() && !c.is_scaled(); };
  change(changeable("*=", gradients_, can_wait), [=](auto* elements, Index n) { kernels::scale(elements, n, factor); });
  for (Gradient& c : gradients_)
    if (can_wait(c)) c.scale(factor);
  return *this;
}

}  // namespace wengert
