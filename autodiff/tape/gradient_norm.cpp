// Norms of gradients, clipping and scaling: passes over all elements, in parts of fixed size on the threads of the pool. The sums of the
// parts are added in order, so the bits are the same for any number of threads.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/kernels/norms.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/tape/gradients.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert {
namespace {

// The elements of row-major tensors. A DtypeError unless all are floating.
class Parts {
 public:
  explicit Parts(const pool::Vector<Tensor>& tensors) {
    for (const Tensor& t : tensors) detail::dispatch_floating(t.dtype(), [&](auto zero) { add(t.data<decltype(zero)>(), t.size()); });
  }
  std::size_t count() const { return parts_.size(); }

  // f(i, elements, n) for the ith part, which has n elements, float or double.
  template <class F> void for_each(F&& f) const {
    const auto visit = [&](Index i) {
      const Part& part = parts_[static_cast<std::size_t>(i)];
      if (part.floats) {
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
    const float* floats;    // null for float64
    const double* doubles;  // null for float32
    Index n;
  };
  void add(const float* elements, Index n) {
    for (Index first = 0; first < n; first += kSize) parts_.push_back({elements + first, nullptr, std::min(kSize, n - first)});
    size_ += n;
  }
  void add(const double* elements, Index n) {
    for (Index first = 0; first < n; first += kSize) parts_.push_back({nullptr, elements + first, std::min(kSize, n - first)});
    size_ += n;
  }
  pool::Vector<Part> parts_;
  Index size_ = 0;
};

// The gradients as row-major tensors; copies where they are not.
pool::Vector<Tensor> row_major(const Gradients& gradients) {
  pool::Vector<Tensor> result;
  result.reserve(gradients.size());
  for (const Tensor& g : gradients) result.push_back(g.is_row_major() ? g : g.clone());
  return result;
}

// The gradients as tensors; deferred products are multiplied in place. A TapeError if one was recorded: changing it would silently lose
// derivatives.
pool::Vector<Tensor*> changeable(const char* operation, pool::Vector<detail::Cotangent>& cotangents) {
  pool::Vector<Tensor*> tensors;
  tensors.reserve(cotangents.size());
  for (detail::Cotangent& c : cotangents) {
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
  Parts(tensors).for_each([&]<class T>(std::size_t, const T* elements, Index n) { f(const_cast<T*>(elements), n); });
}

// Computes norms, in one or two passes over the elements.
class Norm {
 public:
  explicit Norm(const Gradients& gradients) : tensors_(row_major(gradients)), parts_(tensors_), results_(parts_.count()) {}

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
  changeable("clip_norm", cotangents_);
  const double before = norm(p);
  if (before > max) *this *= max / (before + 1e-6);  // as PyTorch does
  return before;
}

Gradients& Gradients::clip_value(double limit) {
  check_limit("clip_value", limit);
  change(changeable("clip_value", cotangents_), [=](auto* elements, Index n) { kernels::clamp(elements, n, limit); });
  return *this;
}

Gradients& Gradients::operator*=(double factor) {
  change(changeable("*=", cotangents_), [=](auto* elements, Index n) { kernels::scale(elements, n, factor); });
  return *this;
}

}  // namespace wengert
