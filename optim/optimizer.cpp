#include "optim/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "autodiff/check_option.h"
#include "autodiff/tensor/call_site.h"
#include "optim/parameter_checks.h"
#include "optim/state_reader.h"

namespace wengert::optim {
void Optimizer::add_group(const ParameterList& parameters) {
  check_parameters(name_, parameters, parameters_, groups_ > 0 ? fmt::format(" in group {}", groups_) : "");
  for (const ParameterRef& parameter : parameters) {
    parameters_.add(parameter);
    group_of_.push_back(groups_);
  }
  ++groups_;
  counts_.resize(parameters_.size());
  states_.resize(parameters_.size() * state_names_.size());
}

std::string Optimizer::title(std::size_t group) const { return groups_ > 1 ? fmt::format("{}, group {}", name_, group) : name_; }

void Optimizer::check_setting(std::size_t group, const char* setting, SettingRange range, double value) const {
  switch (range) {
    case SettingRange::not_negative:
      return wengert::detail::check_not_negative(title(group), setting, value);
    case SettingRange::positive:
      return wengert::detail::check_positive(title(group), setting, value);
    case SettingRange::unit_interval:
      return wengert::detail::check_unit_interval(title(group), setting, value);
    case SettingRange::decay:
      return wengert::detail::check_decay(title(group), setting, value);
  }
}

void Optimizer::check_group(std::size_t group) const {
  if (group >= groups_) throw ShapeError(fmt::format("{}: there is no group {}; the number of groups is {}", name_, group, groups_));
}

// Everything that can be wrong is looked at before anything changes.
void Optimizer::step(const Gradients& gradients, const StepOptions& options, Location site) {
  const CallSite scope(site);
  const NoRecord pause;
  Given g = given(gradients);
  apply_options(g, options);
  for (const std::size_t i : g.places) prepare_state(*parameters_[i].get(), i);
  // All copies of what others share are made before the first update: if memory runs out, nothing has changed.
  for (const std::size_t i : g.places) make_writable(i);
  for (std::size_t k = 0; k < g.places.size(); ++k) {
    const detail::Gradient& gradient = g.gradients.gradient(k);
    gradient.dtype() == float32 ? update_one<float>(g.places[k], gradient) : update_one<double>(g.places[k], gradient);
  }
}

Optimizer::Given Optimizer::given(const Gradients& gradients) const {
  Given g;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const ParameterState& parameter = *parameters_[i].get();
    if (parameter.frozen) continue;
    g.gradients.add(checked_gradient(parameter, i, gradients.gradient(place_of(parameter, i, gradients))), &parameter);
    g.places.push_back(i);
  }
  return g;
}

void Optimizer::apply_options(Given& given, const StepOptions& options) const {
  const auto check_limit = [&](const char* option, double limit) {
    if (!(limit > 0)) wengert::detail::option_error(name_, option, "positive", limit);
  };
  check_limit("clip_value", options.clip_value);
  check_limit("clip_norm", options.clip_norm);
  for (std::size_t k = 0; options.check_finite && k < given.places.size(); ++k) {
    const ParameterState& parameter = *parameters_[given.places[k]].get();
    Gradients one;
    one.add(given.gradients.gradient(k), &parameter);
    const double largest = one.norm(std::numeric_limits<double>::infinity());
    if (!std::isfinite(largest)) {
      throw ValueError(fmt::format("{}: the gradient of {} has elements that are not finite; the largest magnitude is {}", name_,
                                   name_of(parameter, given.places[k]), largest));
    }
  }
  if (std::isfinite(options.clip_value)) given.gradients.clip_value(options.clip_value);
  if (std::isfinite(options.clip_norm)) given.gradients.clip_norm(options.clip_norm);
}

// Usually the lists have the same order; otherwise searches for the gradient.
std::size_t Optimizer::place_of(const ParameterState& parameter, std::size_t i, const Gradients& gradients) const {
  std::size_t at = i < gradients.size() && gradients.parameter(i) == &parameter ? i : 0;
  while (at < gradients.size() && gradients.parameter(at) != &parameter) ++at;
  if (at < gradients.size() && gradients.gradient(at).defined()) return at;
  throw TapeError(
      fmt::format("{}: there is no gradient of {}; hint: take the gradient with respect to the parameters that the optimizer was made with",
                  name_, name_of(parameter, i)));
}

detail::Gradient Optimizer::checked_gradient(const ParameterState& parameter, std::size_t i, const detail::Gradient& gradient) const {
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
  for (std::size_t k = 0; k < state_names_.size(); ++k) {
    Tensor& state = state_of(i, k);
    if (!state.defined()) {
      if (keeps(k, group_of_[i])) state = Tensor::zeros(value.shape(), value.dtype());
    } else if (state.shape() != value.shape() || state.dtype() != value.dtype()) {
      const std::string changed = fmt::format(
          "{}: {} was {} {} at the previous steps and is {} {} now; hint: make a new optimizer after such a change", name_,
          name_of(parameter, i), to_string(state.shape()), to_string(state.dtype()), to_string(value.shape()), to_string(value.dtype()));
      if (state.shape() != value.shape()) throw ShapeError(changed);
      throw DtypeError(changed);
    }
  }
}

void Optimizer::make_writable(std::size_t i) {
  const auto copy_if_shared = [](Tensor& t) {
    if (!t.sole_owner()) t.dtype() == float32 ? static_cast<void>(t.mutable_data<float>()) : static_cast<void>(t.mutable_data<double>());
  };
  copy_if_shared(parameters_[i]->value);
  for (std::size_t k = 0; k < state_names_.size(); ++k)
    if (Tensor& state = state_of(i, k); state.defined()) copy_if_shared(state);
}

// The only place that changes parameters: in place if no other handle shares the elements, otherwise in a copy made by mutable_data.
template <class T> Optimizer::Update<T> Optimizer::begin_update(std::size_t i) {
  Update<T> u{};
  u.parameter = parameters_[i]->value.mutable_data<T>();
  for (std::size_t k = 0; k < state_names_.size(); ++k)
    if (Tensor& state = state_of(i, k); state.defined()) u.state[k] = state.mutable_data<T>();
  u.size = parameters_[i]->value.size();
  u.count = ++counts_[i];
  u.group = group_of_[i];
  return u;
}

template <class T> void Optimizer::update_part(Update<T> u, Index first, Index count, const T* gradient) const {
  u.parameter += first;
  u.gradient = gradient;
  for (T*& state : u.state)
    if (state) state += first;
  u.size = count;
  update(u);
}

template <class T> void Optimizer::update_one(std::size_t i, const detail::Gradient& gradient) {
  const Update<T> whole = begin_update<T>(i);
  if constexpr (std::is_same_v<T, float>) {
    const bool has_state = std::any_of(whole.state.begin(), whole.state.end(), [](const T* state) { return state != nullptr; });
    if (gradient.is_product() && !gradient.is_scaled() && !has_state && is_plain_descent(whole.group))
      return gradient.subtract_from(whole.parameter, static_cast<float>(learning_rate(whole.group)));
  }
  gradient.for_each_block<T>([&](Index first, Index count, const T* elements) { update_part(whole, first, count, elements); });
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> state;
  for (std::size_t group = 0; group < groups_; ++group)
    for (const SettingValue& setting : settings(group))
      state.push_back(named_number(fmt::format("{}.settings.{}.{}", name_, group, setting.name), setting.value));
  const std::vector<std::string> names = state_names(parameters_);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string prefix = fmt::format("{}.parameters.{}.", name_, names[i]);
    state.push_back(named_integer(prefix + "position", static_cast<Index>(i)));
    state.push_back(named_integer(prefix + "updates", counts_[i]));
    for (std::size_t k = 0; k < state_names_.size(); ++k)
      if (const Tensor& kept = states_[i * state_names_.size() + k]; kept.defined()) state.push_back({prefix + state_names_[k], kept});
  }
  return state;
}

void Optimizer::load_state(std::span<const NamedTensor> state, const std::string& source) {
  const NoRecord pause;
  StateReader reader(name_, source, state);
  std::vector<std::vector<double>> values(groups_);
  for (std::size_t group = 0; group < groups_; ++group) {
    for (const auto& [setting, current, is_flag] : settings(group)) {
      const std::string name = fmt::format("settings.{}.{}", group, setting);
      const double value = reader.number(name);
      if (is_flag && value != 0 && value != 1) reader.complain(fmt::format("{}.{} is {}, but 0 or 1 is needed", name_, name, value));
      values[group].push_back(value);
    }
  }
  const std::vector<std::string> names = reader.names_of(parameters_);
  pool::Vector<Tensor> states(states_.size());
  pool::Vector<Index> counts(counts_.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Tensor& own = parameters_[i]->value;
    counts[i] = reader.integer(fmt::format("parameters.{}.updates", names[i]));
    for (std::size_t k = 0; k < state_names_.size(); ++k) {
      const std::string name = fmt::format("parameters.{}.{}", names[i], state_names_[k]);
      if (reader.has(name) || (counts[i] > 0 && keeps(k, values[group_of_[i]])))
        states[i * state_names_.size() + k] = reader.tensor(name, own.shape(), own.dtype());
    }
  }
  reader.finish();
  try {
    for (std::size_t group = 0; group < groups_; ++group) check_settings(group, values[group]);
  } catch (const ValueError& e) {
    throw DataError(fmt::format("{}: {}", source, e.what()));
  }
  for (std::size_t group = 0; group < groups_; ++group) set_settings(group, values[group]);
  states_ = std::move(states);
  counts_ = std::move(counts);
}

}  // namespace wengert::optim
