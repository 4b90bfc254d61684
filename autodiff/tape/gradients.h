#pragma once
// The gradients of a list of parameters, as a value.
#include <cstddef>
#include <iterator>

#include "autodiff/tape/gradient.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/storage.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

/// The gradients of a list of parameters, indexed by position or by parameter: a value that can be added, scaled and clipped as a whole.
/// The gradient of large weights may be a deferred product of two matrices, which is multiplied whenever it is read. Keep a gradient that
/// you read often (`const Tensor g = gradients[w]`); an optimizer multiplies it while it updates and never stores it. Any number of threads
/// may read at the same time.
class Gradients {
 public:
  Gradients();
  Gradients(const Gradients&);
  Gradients(Gradients&&) noexcept;
  Gradients& operator=(const Gradients&);
  Gradients& operator=(Gradients&&) noexcept;
  ~Gradients();

  /// How many gradients there are, one for each parameter, and the ith of them.
  std::size_t size() const { return parameters_.size(); }
  bool empty() const { return parameters_.empty(); }
  Tensor operator[](std::size_t i) const { return gradients_[i].value(); }
  /// The gradient of the parameter. A TapeError if it was not among the sources.
  Tensor operator[](const Parameter& p) const { return of(p.ref().get()); }
  Tensor of(const ParameterState* p) const;
  const ParameterState* parameter(std::size_t i) const { return parameters_[i]; }

  /// Walks the gradients by position.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Tensor;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = Tensor;
    Iterator() = default;
    explicit Iterator(const detail::Gradient* at) : at_(at) {}
    Tensor operator*() const { return at_->value(); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return Iterator(at_++); }
    friend bool operator==(Iterator a, Iterator b) { return a.at_ == b.at_; }

   private:
    const detail::Gradient* at_ = nullptr;
  };
  Iterator begin() const { return Iterator(gradients_.data()); }
  Iterator end() const { return Iterator(gradients_.data() + gradients_.size()); }

  /// The p-norm of all elements together (computed in double), by default the Euclidean norm; for p = infinity the largest magnitude.
  /// NaN if an element is NaN. A ValueError unless p >= 1.
  double norm(double p = 2) const;
  /// Scales all gradients by max / (norm(p) + 1e-6) if norm(p) > max, and returns the norm before scaling. A ValueError unless max > 0; a
  /// NaN norm changes nothing.
  double clip_norm(double max, double p = 2);
  /// `clip_value` clamps every element to [-limit, limit]; NaN stays NaN; a ValueError unless limit > 0. `*=` scales all gradients.
  Gradients& clip_value(double limit);
  Gradients& operator*=(double factor);
  /// Both sides must be of the same parameters in the same order; otherwise a TapeError. Empty gradients count as zeros, as in
  /// `Gradients total; total += ...`.
  Gradients& operator+=(const Gradients& o);

  /// Appends the gradient of a parameter, or of another source (null).
  void add(Tensor gradient, const ParameterState* parameter);

  /// @name For sweeps and optimizers
  /// @{
  /// For operations: appends a gradient, maybe one that is still a product.
  void add(detail::Gradient gradient, const ParameterState* parameter);
  const detail::Gradient& gradient(std::size_t i) const { return gradients_[i]; }
  /// @}

 private:
  pool::Vector<detail::Gradient> gradients_;
  pool::Vector<const ParameterState*> parameters_;
};

}  // namespace wengert
