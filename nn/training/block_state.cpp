#include "nn/training/block_state.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "autodiff/tensor/dispatch.h"

namespace wengert::nn {
namespace {

constexpr int kBitsOfABlock = 40;  // of a generator's counter: a block draws less than 2^40 times 16 bytes

struct CollectStatistics final : Visitor {
  std::vector<Tensor*> list;
  void state(Tensor& t) override { list.push_back(&t); }
};

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && wengert::detail::dispatch(a.dtype(), [&](auto zero) {
           using T = decltype(zero);
           const Tensor x = a.contiguous(), y = b.contiguous();
           return x.size() == 0 || std::memcmp(x.data<T>(), y.data<T>(), static_cast<std::size_t>(x.size()) * sizeof(T)) == 0;
         });
}

Tensor of_numbers(const std::vector<double>& numbers, const Tensor& like) { return Tensor::from(numbers, like.shape()).to(like.dtype()); }

}  // namespace

BlockState::BlockState(Module& module, const std::vector<Generator*>& generators) : generators_(generators) {
  CollectStatistics collect;
  module.visit(collect);
  for (Tensor* t : collect.list) statistics_.push_back({t, *t, {}, {}});
  for (const NamedGenerator& g : module.generators())
    if (std::find(generators_.begin(), generators_.end(), g.generator) == generators_.end()) generators_.push_back(g.generator);
  for (Generator* g : generators_) {
    streams_.push_back(g->fork());
    after_.push_back(*g);
  }
}

void BlockState::begin(Index block) {
  for (const Statistic& s : statistics_) *s.tensor = s.before;
  for (std::size_t i = 0; i < generators_.size(); ++i)
    *generators_[i] = Generator(streams_[i].seed(), static_cast<std::uint64_t>(block) << kBitsOfABlock);
}

void BlockState::append_to(std::vector<double>& numbers) const {
  for (const Statistic& s : statistics_) {
    const bool changed = !same_bits(*s.tensor, s.before);
    numbers.push_back(changed ? 1 : 0);
    if (!changed) continue;
    const std::vector<double> values = s.tensor->to_vector<double>();
    numbers.insert(numbers.end(), values.begin(), values.end());
  }
}

void BlockState::read(NumberReader& numbers, double weight) {
  weight_ += weight;
  for (Statistic& s : statistics_) {
    if (numbers.next() == 0) continue;
    const std::span<const double> values = numbers.next(static_cast<std::size_t>(s.before.size()));
    if (!is_floating(s.before.dtype())) {
      if (s.first.empty()) s.first.assign(values.begin(), values.end());
      continue;
    }
    const std::vector<double> before = s.before.to_vector<double>();
    s.change.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) s.change[i] += weight * (values[i] - before[i]);
  }
}

void BlockState::finish() {
  for (Statistic& s : statistics_) {
    *s.tensor = s.before;
    if (!s.first.empty()) *s.tensor = of_numbers(s.first, s.before);
    if (s.change.empty() || weight_ == 0) continue;
    std::vector<double> values = s.before.to_vector<double>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] += s.change[i] / weight_;
    *s.tensor = of_numbers(values, s.before);
  }
  for (std::size_t i = 0; i < generators_.size(); ++i) *generators_[i] = after_[i];
}

}  // namespace wengert::nn
