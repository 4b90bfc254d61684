#include "optim/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <utility>

#include "autodiff/check_option.h"

namespace wengert::optim {
namespace {

std::string name_of(const ParameterState& parameter, std::size_t i) {
  return parameter.name.empty() ? fmt::format("parameter {}", i) : fmt::format("parameter {}", parameter.name);
}

}  // namespace

Optimizer::Optimizer(const char* name, const ParameterList& parameters, double learning_rate, std::size_t states)
    : name_(name), parameters_(parameters), states_each_(states), states_(states * parameters.size()), counts_(parameters.size()) {
  if (parameters.empty()) throw Error(fmt::format("{}: there are no parameters; hint: does the model's visit name its members?", name_));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (std::find(parameters.begin(), parameters.begin() + i, parameters[i]) != parameters.begin() + i) {
      throw Error(fmt::format("{}: {} is there twice", name_, name_of(*parameters[i].get(), i)));
    }
  }
  set_learning_rate(learning_rate);
}

void Optimizer::require(bool condition, const char* problem) const {
  if (!condition) throw ValueError(fmt::format("{}: {}", name_, problem));
}

void Optimizer::require_not_negative(const char* option, double value) const { wengert::detail::check_not_negative(name_, option, value); }
void Optimizer::require_unit_interval(const char* option, double value) const {
  wengert::detail::check_unit_interval(name_, option, value);
}
void Optimizer::require_decay(const char* option, double value) const { wengert::detail::check_decay(name_, option, value); }

void Optimizer::add_state() {
  pool::Vector<Tensor> more((states_each_ + 1) * parameters_.size());
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    std::copy_n(states_.begin() + static_cast<std::ptrdiff_t>(i * states_each_), states_each_,
                more.begin() + static_cast<std::ptrdiff_t>(i * (states_each_ + 1)));
  states_ = std::move(more);
  ++states_each_;
}

void Optimizer::set_learning_rate(double rate) {
  require_not_negative("the learning rate", rate);
  learning_rate_ = rate;
}

void Optimizer::step(const Gradients& gradients) {
  const NoRecord pause;
  pool::Vector<detail::Cotangent> given(parameters_.size());  // nothing for frozen parameters
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const ParameterState& parameter = *parameters_[i].get();
    if (parameter.frozen) continue;
    given[i] = checked_gradient(parameter, i, gradients.cotangent(place_of(parameter, i, gradients)));
    prepare_state(parameter, i);
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!given[i].defined()) continue;
    given[i].dtype() == float32 ? update_one<float>(i, given[i]) : update_one<double>(i, given[i]);
  }
}

// Usually the lists agree; otherwise the gradient is looked for.
std::size_t Optimizer::place_of(const ParameterState& parameter, std::size_t i, const Gradients& gradients) const {
  std::size_t at = i < gradients.size() && gradients.parameter(i) == &parameter ? i : 0;
  while (at < gradients.size() && gradients.parameter(at) != &parameter) ++at;
  if (at < gradients.size() && gradients.cotangent(at).defined()) return at;
  throw TapeError(fmt::format("{}: there is no gradient of {}; hint: ask for those of the parameters that the optimizer was made with",
                              name_, name_of(parameter, i)));
}

detail::Cotangent Optimizer::checked_gradient(const ParameterState& parameter, std::size_t i, const detail::Cotangent& gradient) const {
  const auto do_not_fit = [&] {
    return fmt::format("{}: {} is {}, but its gradient is {}", name_, name_of(parameter, i), describe(parameter.value),
                       describe(gradient.value()));
  };
  if (gradient.shape() != parameter.value.shape()) throw ShapeError(do_not_fit());
  if (gradient.dtype() != parameter.value.dtype() || !is_floating(gradient.dtype())) throw DtypeError(do_not_fit());
  return gradient.is_product() ? gradient : gradient.value().contiguous();
}

void Optimizer::prepare_state(const ParameterState& parameter, std::size_t i) {
  const Tensor& value = parameter.value;
  for (std::size_t k = 0; k < states_each_; ++k) {
    Tensor& state = states_[i * states_each_ + k];
    if (!state.defined()) {
      state = Tensor::zeros(value.shape(), value.dtype());
    } else if (state.shape() != value.shape() || state.dtype() != value.dtype()) {
      const std::string changed = fmt::format(
          "{}: {} was {} {} at the previous steps and is {} {} now; hint: make a new optimizer after such a change", name_,
          name_of(parameter, i), to_string(state.shape()), to_string(state.dtype()), to_string(value.shape()), to_string(value.dtype()));
      if (state.shape() != value.shape()) throw ShapeError(changed);
      throw DtypeError(changed);
    }
  }
}

// The one way in which parameters change: in place where the parameter alone has its elements, otherwise in a copy, which mutable_data
// makes.
template <class T> Optimizer::Update<T> Optimizer::begin_update(std::size_t i) {
  Update<T> u{};
  u.parameter = parameters_[i]->value.mutable_data<T>();
  for (std::size_t k = 0; k < states_each_; ++k) u.state[k] = states_[i * states_each_ + k].mutable_data<T>();
  u.size = parameters_[i]->value.size();
  u.count = ++counts_[i];
  return u;
}

template <class T> void Optimizer::update_part(Update<T> u, Index first, Index count, const T* gradient) const {
  u.parameter += first;
  u.gradient = gradient;
  for (std::size_t k = 0; k < states_each_; ++k) u.state[k] += first;
  u.size = count;
  update(u);
}

template <class T> void Optimizer::update_one(std::size_t i, const detail::Cotangent& gradient) {
  const Update<T> whole = begin_update<T>(i);
  if constexpr (std::is_same_v<T, float>)
    if (gradient.is_product() && is_plain_descent()) return gradient.subtract_from(whole.parameter, static_cast<float>(learning_rate()));
  gradient.for_each_block<T>([&](Index first, Index count, const T* elements) { update_part(whole, first, count, elements); });
}

}  // namespace wengert::optim
