#pragma once
// The mean loss and the metrics over the batches so far.
#include <cstddef>
#include <span>
#include <vector>

#include "autodiff/tensor/named_tensor.h"
#include "nn/data/loader.h"
#include "nn/training/metric.h"

namespace wengert::nn {

inline Index rows_of(const Batch& batch) { return batch.x.rank() == 0 ? 1 : batch.x.size(0); }

// Reads numbers one after the other.
class NumberReader {
 public:
  explicit NumberReader(std::span<const double> numbers) : rest_(numbers) {}
  double next() { return next(1)[0]; }
  std::span<const double> next(std::size_t n) {
    const std::span<const double> first = rest_.first(n);
    rest_ = rest_.subspan(n);
    return first;
  }

 private:
  std::span<const double> rest_;
};

class RunningValues {
 public:
  explicit RunningValues(std::span<const Metric> metrics) : metrics_(metrics), sums_(metrics.size()) {}

  void add(double loss, const Batch& batch, const Tensor& prediction) {
    const auto rows = static_cast<double>(rows_of(batch));
    loss_ += rows * loss;
    rows_ += rows;
    for (std::size_t i = 0; i < metrics_.size(); ++i) metrics_[i].add(sums_[i], prediction, batch.y);
  }
  // What others have added, behind what is here.
  void merge(const RunningValues& other) {
    loss_ += other.loss_;
    rows_ += other.rows_;
    for (std::size_t i = 0; i < metrics_.size(); ++i) metrics_[i].merge(sums_[i], other.sums_[i]);
  }

  double rows() const { return rows_; }
  double loss() const;
  std::vector<double> metrics() const;

  // For checkpoints; `load_state` takes what `state` gave.
  std::vector<NamedTensor> state() const;
  void load_state(std::span<const NamedTensor> state);

  // For other ranks.
  void append_to(std::vector<double>& numbers) const;
  void read(NumberReader& numbers);

 private:
  std::span<const Metric> metrics_;
  double loss_ = 0, rows_ = 0;
  std::vector<Metric::Sums> sums_;
};

}  // namespace wengert::nn
