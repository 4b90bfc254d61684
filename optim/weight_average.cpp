#include "optim/weight_average.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "autodiff/check_option.h"
#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/target.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/dispatch.h"
#include "optim/parameter_checks.h"
#include "optim/state_reader.h"

namespace wengert::optim {
namespace {

// a += weight (p - a)
template <class T> void move_towards(T* a, const T* p, Index size, double weight) {
  constexpr Index kUnit = 1024;
  kernels::for_blocks_of(size, kernels::cost::kCopy<T>, kUnit, [&](Index first, Index last) {
    kernels::run_on_best_target([&]() __attribute__((always_inline)) {
      const T w(weight);
      for (Index i = first; i < last; ++i) a[i] += w * (p[i] - a[i]);
    });
  });
}

}  // namespace

WeightAverage::WeightAverage(const char* name, const ParameterList& parameters)
    : name_(name), parameters_(parameters), averages_(parameters.size()) {
  check_parameters(name, parameters);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (const Tensor& value = parameters[i]->value; !is_floating(value.dtype()))
      throw DtypeError(fmt::format("{}: {} is {}, which has no average", name, name_of(*parameters[i].get(), i), describe(value)));
  }
}

void WeightAverage::require_own() const {
  if (exchanged_) throw Error(fmt::format("{}: the parameters have the averages now; hint: exchange() them back first", name_));
}

void WeightAverage::update() {
  const NoRecord pause;
  require_own();
  if (updates_ == 0) {
    pool::Vector<Tensor> copies;
    for (const ParameterRef& p : parameters_) copies.push_back(p->value.clone());
    averages_ = std::move(copies);
    updates_ = 1;
    return;
  }
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor &value = parameters_[i]->value, &average = averages_[i];
    const auto changed = [&] {
      return fmt::format("{}: {} is {} {} and its average {} {}", name_, name_of(*parameters_[i].get(), i), to_string(value.shape()),
                         to_string(value.dtype()), to_string(average.shape()), to_string(average.dtype()));
    };
    if (value.shape() != average.shape()) throw ShapeError(changed());
    if (value.dtype() != average.dtype()) throw DtypeError(changed());
  }
  const double w = weight(++updates_);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor value = parameters_[i]->value.contiguous();
    wengert::detail::dispatch_floating(value.dtype(), [&](auto zero) {
      using T = decltype(zero);
      move_towards(averages_[i].mutable_data<T>(), value.data<T>(), value.size(), w);
    });
  }
}

void WeightAverage::exchange() {
  if (updates_ == 0) throw Error(fmt::format("{}: there is no average before the first update()", name_));
  for (std::size_t i = 0; i < parameters_.size(); ++i) std::swap(parameters_[i]->value, averages_[i]);
  exchanged_ = !exchanged_;
}

std::vector<NamedTensor> WeightAverage::state() const {
  require_own();
  std::vector<NamedTensor> state{named_integer(fmt::format("{}.updates", name_), updates_)};
  const std::vector<std::string> names = state_names(parameters_);
  for (std::size_t i = 0; i < names.size() && updates_ > 0; ++i) {
    const std::string prefix = fmt::format("{}.parameters.{}.", name_, names[i]);
    state.push_back(named_integer(prefix + "position", static_cast<Index>(i)));
    state.push_back({prefix + "average", averages_[i]});
  }
  return state;
}

void WeightAverage::load_state(std::span<const NamedTensor> state, const std::string& source) {
  const NoRecord pause;
  require_own();
  StateReader reader(name_, source, state);
  const Index updates = reader.integer("updates");
  pool::Vector<Tensor> averages(parameters_.size());
  const std::vector<std::string> names = updates > 0 ? reader.names_of(parameters_) : std::vector<std::string>();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Tensor& own = parameters_[i]->value;
    averages[i] = reader.tensor(fmt::format("parameters.{}.average", names[i]), own.shape(), own.dtype());
  }
  reader.finish();
  averages_ = std::move(averages);
  updates_ = updates;
}

EMA::EMA(const ParameterList& parameters, EMAOptions options) : WeightAverage("EMA", parameters), options_(options) {
  wengert::detail::check_decay("EMA", "decay", options.decay);
}

double EMA::weight(Index n) const {
  const auto updates = static_cast<double>(n);
  return 1 - (options_.warmup ? std::min(options_.decay, updates / (updates + 9)) : options_.decay);
}

}  // namespace wengert::optim
