#pragma once
// The common base of all optimizers: parameters, learning rate, state, and the update of parameters.
#include <array>
#include <cstddef>

#include "autodiff/tape/parameter.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/storage.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::optim {

/// Updates parameters with their gradients: `optimizer.step(tape.gradient(loss, model.parameters()))`.
///
/// An optimizer refers to its parameters and keeps state tensors for them. It stays valid if you assign to a model (`model = best`), but
/// not if you change a parameter's shape or dtype. Once every parameter has its state, a step allocates nothing from the heap.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates all parameters once. The update is never recorded, and tensors obtained from the parameters before keep their values. Frozen
  /// parameters and their state do not change. The gradients may include further parameters, in any order. An Error names a parameter that
  /// has no gradient, or that does not fit its gradient or its state; then nothing has changed.
  void step(const Gradients& gradients);

  double learning_rate() const { return learning_rate_; }
  /// From the next step on. A ValueError if it is negative or not finite.
  void set_learning_rate(double rate);
  const ParameterList& parameters() const { return parameters_; }

 protected:
  static constexpr std::size_t kMaxStates = 3;

  /// The update of one parameter: its elements, those of its gradient and those of its state, all dense and in the same order.
  template <class T> struct Update {
    T* parameter;
    const T* gradient;
    std::array<T*, kMaxStates> state;  ///< zeros before the first update
    Index size;
    Index count;  ///< number of the parameter's updates, including this one
  };
  /// Applies the formula, in one pass over the elements. Also called for parts of a parameter, by several threads at once.
  virtual void update(const Update<float>& u) const = 0;
  virtual void update(const Update<double>& u) const = 0;
  /// Whether the update is just parameter -= learning_rate() * gradient, which a deferred product can apply while it computes each element.
  virtual bool is_plain_descent() const { return false; }

  /// `states`: the number of state tensors for each parameter. An Error, which begins with `name`, if there are no parameters or one is
  /// listed twice.
  Optimizer(const char* name, const ParameterList& parameters, double learning_rate, std::size_t states);
  /// A ValueError, which begins with the optimizer's name, unless the condition holds.
  void require(bool condition, const char* problem) const;
  /// The same for the value of an option, which must be finite and >= 0, or in [0, 1], or in [0, 1).
  void require_not_negative(const char* option, double value) const;
  void require_unit_interval(const char* option, double value) const;
  void require_decay(const char* option, double value) const;
  /// The number of state tensors of each parameter.
  std::size_t states() const { return states_each_; }
  /// Adds a state tensor to each parameter: zeros before the next update.
  void add_state();

 private:
  std::size_t place_of(const ParameterState& parameter, std::size_t i, const Gradients& gradients) const;
  detail::Cotangent checked_gradient(const ParameterState& parameter, std::size_t i, const detail::Cotangent& gradient) const;
  void prepare_state(const ParameterState& parameter, std::size_t i);
  /// The update without the gradient.
  template <class T> Update<T> begin_update(std::size_t i);
  template <class T> void update_part(Update<T> u, Index first, Index count, const T* gradient) const;
  template <class T> void update_one(std::size_t i, const detail::Cotangent& gradient);

  const char* name_;
  ParameterList parameters_;
  double learning_rate_ = 0;
  std::size_t states_each_;
  pool::Vector<Tensor> states_;  // states_each_ for each parameter, undefined before its first update
  pool::Vector<Index> counts_;   // number of updates of each parameter
};

}  // namespace wengert::optim
