#include "nn/training/running_values.h"

#include <limits>

namespace wengert::nn {

double RunningValues::loss() const { return rows_ > 0 ? loss_ / rows_ : std::numeric_limits<double>::quiet_NaN(); }

std::vector<double> RunningValues::metrics() const {
  std::vector<double> values;
  for (std::size_t i = 0; i < metrics_.size(); ++i) values.push_back(metrics_[i].value(sums_[i]));
  return values;
}

std::vector<NamedTensor> RunningValues::state() const {
  std::vector<NamedTensor> state{{"sums.loss", Tensor::from(std::vector<double>{loss_, rows_})}};
  for (std::size_t i = 0; i < metrics_.size(); ++i) state.push_back({"sums." + metrics_[i].name(), Tensor::from(sums_[i])});
  return state;
}

void RunningValues::load_state(std::span<const NamedTensor> state) {
  const std::vector<double> loss = state[0].value.to_vector<double>();
  loss_ = loss[0];
  rows_ = loss[1];
  for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] = state[i + 1].value.to_vector<double>();
}

void RunningValues::append_to(std::vector<double>& numbers) const {
  numbers.push_back(loss_);
  numbers.push_back(rows_);
  for (const Metric::Sums& sums : sums_) {
    numbers.push_back(static_cast<double>(sums.size()));
    numbers.insert(numbers.end(), sums.begin(), sums.end());
  }
}

void RunningValues::read(NumberReader& numbers) {
  loss_ = numbers.next();
  rows_ = numbers.next();
  for (Metric::Sums& sums : sums_) {
    const std::span<const double> given = numbers.next(static_cast<std::size_t>(numbers.next()));
    sums.assign(given.begin(), given.end());
  }
}

}  // namespace wengert::nn
