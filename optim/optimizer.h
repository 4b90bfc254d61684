#pragma once
// What all optimizers share: their parameters, the learning rate, and the way in which parameters change.
#include <array>
#include <cstddef>

#include "autodiff/tape/parameter.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/storage.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::optim {

/// Changes parameters by their gradients: `optimizer.step(tape.gradient(loss, model.parameters()))`.
///
/// An optimizer refers to its parameters and keeps tensors of state for them. Assigning to a model (`model = best`) leaves it valid;
/// changing a parameter's shape or dtype does not. A step takes nothing from the heap once every parameter has its state.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update of all parameters. It is not recorded, also under a live tape, and tensors that were taken from the parameters before keep
  /// their values. Frozen parameters and their state stay as they are. The gradients may be of more parameters and in another order. An
  /// Error names a parameter that has no gradient, or that does not fit its gradient or its state; then nothing has changed.
  void step(const Gradients& gradients);

  double learning_rate() const { return learning_rate_; }
  /// From the next step on. A ValueError if it is negative or not finite.
  void set_learning_rate(double rate);
  const ParameterList& parameters() const { return parameters_; }

 protected:
  static constexpr std::size_t kMaxStates = 3;

  /// One parameter in a step: dense elements of it, of its gradient and of its state, all in the same order.
  template <class T> struct Update {
    T* parameter;
    const T* gradient;
    std::array<T*, kMaxStates> state;  ///< zeros before the first update
    Index size;
    Index count;  ///< of the parameter's updates, this one included
  };
  /// The published formula, in one pass over the elements. Also called for parts of a parameter, by several threads at once.
  virtual void update(const Update<float>& u) const = 0;
  virtual void update(const Update<double>& u) const = 0;
  /// Whether the update is parameter -= learning_rate() * gradient and nothing else, which a gradient that is still a product can do as it
  /// finishes each element.
  virtual bool is_plain_descent() const { return false; }

  /// `states` tensors are kept for each parameter. An Error, which begins with `name`, if there are no parameters or one is there twice.
  Optimizer(const char* name, const ParameterList& parameters, double learning_rate, std::size_t states);
  /// A ValueError, which begins with the optimizer's name, unless the condition holds.
  void require(bool condition, const char* problem) const;
  /// The same for an option's value: finite and >= 0, in [0, 1], in [0, 1).
  void require_not_negative(const char* option, double value) const;
  void require_unit_interval(const char* option, double value) const;
  void require_decay(const char* option, double value) const;
  /// How many tensors of state each parameter has.
  std::size_t states() const { return states_each_; }
  /// Appends a tensor of state to those of each parameter: zeros before the next update.
  void add_state();

 private:
  std::size_t place_of(const ParameterState& parameter, std::size_t i, const Gradients& gradients) const;
  detail::Cotangent checked_gradient(const ParameterState& parameter, std::size_t i, const detail::Cotangent& gradient) const;
  void prepare_state(const ParameterState& parameter, std::size_t i);
  /// All but the gradient.
  template <class T> Update<T> begin_update(std::size_t i);
  template <class T> void update_part(Update<T> u, Index first, Index count, const T* gradient) const;
  template <class T> void update_one(std::size_t i, const detail::Cotangent& gradient);

  const char* name_;
  ParameterList parameters_;
  double learning_rate_ = 0;
  std::size_t states_each_;
  pool::Vector<Tensor> states_;  // states_each_ for each parameter, undefined before its first update
  pool::Vector<Index> counts_;   // of updates
};

}  // namespace wengert::optim
