#pragma once
// The gradients of a list of parameters, as a value.
#include <cstddef>
#include <iterator>

#include "autodiff/tape/cotangent.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/storage.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

/// The gradients of a list of parameters: a value, by position and by parameter, that adds, scales, clips and reduces as a whole. The
/// gradient of large weights may still be the product of two matrices. It is multiplied whenever it is read, so a gradient that is read
/// often should be kept (`const Tensor g = gradients[w]`); an optimizer multiplies it while it updates and never stores it. Any number of
/// threads may read at the same time.
class Gradients {
 public:
  Gradients();
  Gradients(const Gradients&);
  Gradients(Gradients&&) noexcept;
  Gradients& operator=(const Gradients&);
  Gradients& operator=(Gradients&&) noexcept;
  ~Gradients();

  std::size_t size() const { return parameters_.size(); }
  bool empty() const { return parameters_.empty(); }
  Tensor operator[](std::size_t i) const { return cotangents_[i].value(); }
  /// A TapeError if the gradients are not of this parameter.
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
    explicit Iterator(const detail::Cotangent* at) : at_(at) {}
    Tensor operator*() const { return at_->value(); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return Iterator(at_++); }
    friend bool operator==(Iterator a, Iterator b) { return a.at_ == b.at_; }

   private:
    const detail::Cotangent* at_ = nullptr;
  };
  Iterator begin() const { return Iterator(cotangents_.data()); }
  Iterator end() const { return Iterator(cotangents_.data() + cotangents_.size()); }

  /// The p-norm of all elements together (computed in double), by default Euclid's; for p = infinity the largest magnitude. NaN if an
  /// element is. A ValueError unless p >= 1.
  double norm(double p = 2) const;
  /// Scales all by max / (norm(p) + 1e-6) if norm(p) > max, and returns the norm before. A ValueError unless max > 0; a NaN norm changes
  /// nothing.
  double clip_norm(double max, double p = 2);
  /// Brings every element into [-limit, limit]; a NaN stays. A ValueError unless limit > 0.
  Gradients& clip_value(double limit);
  Gradients& operator*=(double factor);
  /// Both must be of the same parameters in the same order, or one of them empty, which stands for zeros: `Gradients total; total += ...`.
  /// Otherwise a TapeError.
  Gradients& operator+=(const Gradients& o);

  /// Appends the gradient of a parameter, or of none (null).
  void add(Tensor gradient, const ParameterState* parameter);

  /// @name For sweeps and optimizers
  /// @{
  void add(detail::Cotangent gradient, const ParameterState* parameter);
  const detail::Cotangent& cotangent(std::size_t i) const { return cotangents_[i]; }
  /// @}

 private:
  pool::Vector<detail::Cotangent> cotangents_;
  pool::Vector<const ParameterState*> parameters_;
};

}  // namespace wengert
