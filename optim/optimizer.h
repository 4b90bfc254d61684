#pragma once
// What all optimizers share: their parameters and options, their state, and the way in which parameters change.
#include <array>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/named_tensor.h"
#include "autodiff/tensor/storage.h"
#include "autodiff/tensor/tensor.h"
#include "optim/parameter_group.h"

namespace wengert::optim {

/// What happens to the gradients within a step; the caller's stay as they are.
struct StepOptions {
  /// Bring every element into [-clip_value, clip_value], first of all. Positive.
  double clip_value = std::numeric_limits<double>::infinity();
  /// Scale all gradients of the optimizer's parameters together so that their norm is at most this, as Gradients::clip_norm. Positive.
  double clip_norm = std::numeric_limits<double>::infinity();
  /// A ValueError names the first parameter whose gradient has a NaN or an infinity. A pass over the gradients.
  bool check_finite = false;
};

/// Changes parameters by their gradients: `optimizer.step(tape.gradient(loss, model.parameters()))`.
///
/// An optimizer refers to its parameters and keeps tensors of state for them. Assigning to a model (`model = best`) leaves it valid;
/// changing a parameter's shape or dtype does not. A step takes nothing from the heap once every parameter has its state.
///
/// Parameters may be in groups, each with options of its own. `options(group)` and `set_options` of an optimizer read and change them.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update of all parameters. It is not recorded, also under a live tape, and tensors that were taken from the parameters before keep
  /// their values. Frozen parameters and their state stay as they are. The gradients may be of more parameters and in another order. An
  /// Error names a parameter that has no gradient, or that does not fit its gradient or its state; then nothing has changed. If memory runs
  /// out nothing has changed either, unless that is while the gradient of a large weight is multiplied, as the step reaches it.
  void step(const Gradients& gradients, const StepOptions& options = {}, Location site = Location::here());

  /// Of a group.
  virtual double learning_rate(std::size_t group = 0) const = 0;
  /// Of all groups, or of one, from the next step on. A ValueError if it is negative or not finite.
  virtual void set_learning_rate(double rate) = 0;
  virtual void set_learning_rate(double rate, std::size_t group) = 0;

  /// Of all groups, one after the other.
  const ParameterList& parameters() const { return parameters_; }
  std::size_t groups() const { return groups_; }

  /// All that a training needs to go on as if it had never stopped: "Adam.settings.0.lr" for each setting of each group, and for each
  /// parameter its position, the number of its updates and its tensors, "Adam.parameters.out.weight.m". Parameters go by their names, or by
  /// their positions where one has no name or two have the same. The tensors share the optimizer's elements until one of both sides
  /// changes.
  std::vector<NamedTensor> state() const;
  /// Takes the settings and tensors of a state, as copies. A DataError, which begins with `source`, lists what is missing, unexpected or
  /// of another shape or dtype, and settings out of range; a state of another optimizer is refused as well. Nothing has changed then.
  /// Parameters are found by name, in any order; by position if they, or those of the state, have no names.
  void load_state(std::span<const NamedTensor> state, const std::string& source = "load_state");

  static constexpr std::size_t kMaxStates = 3;

 protected:
  /// One parameter in a step: dense elements of it, of its gradient and of its state, all in the same order.
  template <class T> struct Update {
    T* parameter;
    const T* gradient;
    std::array<T*, kMaxStates> state;  ///< zeros before the first update; null where the options have never asked for it
    Index size;
    Index count;        ///< of the parameter's updates, this one included
    std::size_t group;  ///< whose options apply
  };
  /// Applies the formula, in one pass over the elements. Also called for parts of a parameter, by several threads at once.
  virtual void update(const Update<float>& u) const = 0;
  virtual void update(const Update<double>& u) const = 0;
  /// Whether a group's update, if nothing is kept, is parameter -= learning rate * gradient and nothing else, which a gradient that is
  /// still a product can do as it finishes each element.
  virtual bool is_plain_descent(std::size_t /*group*/) const { return false; }

  /// `name` begins all messages; `state` says what is kept for each parameter. Both must outlive the optimizer, as literals do.
  Optimizer(const char* name, std::span<const char* const> state) : name_(name), state_names_(state) {}
  /// An Error if there are none, or one is listed twice.
  void add_group(const ParameterList& parameters);
  /// "Adam", or "Adam, group 1" where there are several.
  std::string title(std::size_t group) const;
  /// A ValueError unless the value of a setting is in its range.
  void check_setting(std::size_t group, const char* setting, SettingRange range, double value) const;
  void check_group(std::size_t group) const;

  /// A setting of a group, as states hold it.
  struct SettingValue {
    const char* name;
    double value;
    bool is_flag;  ///< 0 or 1
  };
  virtual std::vector<SettingValue> settings(std::size_t group) const = 0;
  /// A ValueError unless a group could have these values of its settings.
  virtual void check_settings(std::size_t group, std::span<const double> values) const = 0;
  virtual void set_settings(std::size_t group, std::span<const double> values) = 0;
  /// Whether a group needs the kth tensor of state, with its options or with those values. What a parameter once has it keeps.
  virtual bool keeps(std::size_t k, std::size_t group) const = 0;
  virtual bool keeps(std::size_t k, std::span<const double> values) const = 0;

 private:
  std::size_t place_of(const ParameterState& parameter, std::size_t i, const Gradients& gradients) const;
  detail::Gradient checked_gradient(const ParameterState& parameter, std::size_t i, const detail::Gradient& gradient) const;
  void prepare_state(const ParameterState& parameter, std::size_t i);
  void make_writable(std::size_t i);
  Tensor& state_of(std::size_t i, std::size_t k) { return states_[i * state_names_.size() + k]; }
  /// The gradients of the parameters that are not frozen, and their places.
  struct Given {
    Gradients gradients;
    pool::Vector<std::size_t> places;
  };
  Given given(const Gradients& gradients) const;
  void apply_options(Given& given, const StepOptions& options) const;
  /// All but the gradient.
  template <class T> Update<T> begin_update(std::size_t i);
  template <class T> void update_part(Update<T> u, Index first, Index count, const T* gradient) const;
  template <class T> void update_one(std::size_t i, const detail::Gradient& gradient);

  const char* name_;
  std::span<const char* const> state_names_;
  std::size_t groups_ = 0;
  ParameterList parameters_;
  pool::Vector<std::size_t> group_of_;  // each parameter
  pool::Vector<Tensor> states_;         // state_names_.size() for each parameter, undefined until it is kept
  pool::Vector<Index> counts_;          // of updates
};

/// An optimizer whose options are of that type: what `Adam` and the others derive from.
template <class Options> class OptimizerWith : public Optimizer {
 public:
  const Options& options(std::size_t group = 0) const {
    check_group(group);
    return options_[group];
  }
  /// From the next step on; the state stays what it is. A ValueError for options that are out of range; then nothing has changed.
  void set_options(const Options& options, std::size_t group = 0) {
    check_group(group);
    check(options, group);
    options_[group] = options;
  }
  double learning_rate(std::size_t group = 0) const override { return options(group).lr; }
  void set_learning_rate(double rate) override {
    change_all([rate](Options& o) { o.lr = rate; });
  }
  void set_learning_rate(double rate, std::size_t group) override {
    Options changed = options(group);
    changed.lr = rate;
    set_options(changed, group);
  }

 protected:
  /// An Error if there are no parameters or one is listed twice; a ValueError for options that are out of range.
  OptimizerWith(const Specification<Options>& specification, const ParameterGroups<Options>& groups)
      : Optimizer(specification.name, specification.state), specification_(specification) {
    for (const ParameterGroup<Options>& group : groups) {
      add_group(group.parameters);
      options_.push_back(group.options);
    }
    if (groups.empty()) add_group({});  // which refuses
    for (std::size_t i = 0; i < options_.size(); ++i) check(options_[i], i);
  }
  /// Changes the options of every group, or of none if the result is out of range.
  template <class Change> void change_all(Change&& change) {
    pool::Vector<Options> changed(options_);
    for (std::size_t i = 0; i < changed.size(); ++i) {
      change(changed[i]);
      check(changed[i], i);
    }
    options_ = std::move(changed);
  }

 private:
  void check(const Options& options, std::size_t group) const {
    for (const Setting<Options>& s : specification_.settings)
      if (s.number) check_setting(group, s.name, s.range, options.*s.number);
    if (specification_.check) specification_.check(options);
  }
  std::vector<SettingValue> settings(std::size_t group) const override {
    std::vector<SettingValue> list;
    const Options& o = options_[group];
    for (const Setting<Options>& s : specification_.settings)
      list.push_back({s.name, s.number ? o.*s.number : static_cast<double>(o.*s.flag), s.flag != nullptr});
    return list;
  }
  Options made_of(std::span<const double> values) const {
    Options o;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Setting<Options>& s = specification_.settings[i];
      if (s.number) {
        o.*s.number = values[i];
      } else {
        o.*s.flag = values[i] != 0;
      }
    }
    return o;
  }
  void check_settings(std::size_t group, std::span<const double> values) const override { check(made_of(values), group); }
  void set_settings(std::size_t group, std::span<const double> values) override { options_[group] = made_of(values); }
  bool keeps(std::size_t k, const Options& options) const { return !specification_.keeps || specification_.keeps(k, options); }
  bool keeps(std::size_t k, std::size_t group) const override { return keeps(k, options_[group]); }
  bool keeps(std::size_t k, std::span<const double> values) const override { return keeps(k, made_of(values)); }

  const Specification<Options>& specification_;
  pool::Vector<Options> options_;  // of each group
};

}  // namespace wengert::optim
