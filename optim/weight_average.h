#pragma once
// Averages of the weights over the steps of a training, which often generalise better than the last ones.
#include <span>
#include <string>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/named_tensor.h"
#include "autodiff/tensor/storage.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::optim {

/// What EMA and SWA share:
///
///     optim::EMA average(net.parameters(), {.decay = 0.999});
///     ...
///       adam.step(gradients);
///       average.update();
///     ...
///     average.exchange();  // net has the averages
///     evaluate(net);
///     average.exchange();  // and goes on training
///
/// Parameters alone are averaged, not running statistics.
class WeightAverage {
 public:
  virtual ~WeightAverage() = default;
  WeightAverage(const WeightAverage&) = delete;
  WeightAverage& operator=(const WeightAverage&) = delete;

  /// Takes the parameters' present values into the average; the first time the average is these values. A ShapeError or DtypeError names a
  /// parameter that has another shape or dtype than the time before, and an Error says that the weights are exchanged; nothing has changed
  /// then.
  void update();
  /// Exchanges the parameters' values and the averages. An Error before the first update.
  void exchange();
  bool exchanged() const { return exchanged_; }
  Index updates() const { return updates_; }
  /// Of the ith parameter; undefined before the first update. While they are exchanged, the values that the parameter had.
  const Tensor& average(std::size_t i) const { return averages_[i]; }
  const ParameterList& parameters() const { return parameters_; }

  /// As those of Optimizer: "EMA.updates", "EMA.parameters.out.weight.average", ... An Error while the weights are exchanged.
  std::vector<NamedTensor> state() const;
  void load_state(std::span<const NamedTensor> state, const std::string& source = "load_state");

 protected:
  WeightAverage(const char* name, const ParameterList& parameters);
  /// How much the nth update, from 2 on, moves the average towards the values: average += weight (value - average).
  virtual double weight(Index n) const = 0;

 private:
  void require_own() const;

  const char* name_;
  ParameterList parameters_;
  pool::Vector<Tensor> averages_;
  Index updates_ = 0;
  bool exchanged_ = false;
};

struct EMAOptions {
  double decay = 0.999;  ///< in [0, 1)
  /// Whether the decay of the nth update is at most n / (n + 9), so that the first values are soon forgotten.
  bool warmup = false;
};

/// An exponential moving average (Polyak and Juditsky 1992 for the idea): a = decay a + (1 - decay) p.
class EMA final : public WeightAverage {
 public:
  /// An Error without parameters; a ValueError unless the decay is in [0, 1).
  explicit EMA(const ParameterList& parameters, EMAOptions options = {});

 private:
  double weight(Index n) const override;
  EMAOptions options_;
};

/// Stochastic weight averaging (Izmailov et al. 2018): the mean of the values at all updates, for instance one each epoch at a constant
/// learning rate. Running statistics belong to the last weights: with batch normalisation pass the training data through the network once
/// more, in training mode, after the exchange.
class SWA final : public WeightAverage {
 public:
  explicit SWA(const ParameterList& parameters) : WeightAverage("SWA", parameters) {}

 private:
  double weight(Index n) const override { return 1 / static_cast<double>(n); }
};

}  // namespace wengert::optim
