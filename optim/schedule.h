#pragma once
// Learning rates that change during a training.
#include <concepts>
#include <cstdint>
#include <vector>

#include "autodiff/tensor/shape.h"

namespace wengert::optim {

/// A schedule is a function: the learning rate of step 0, 1, 2, ..., where a step may be a batch or an epoch, whatever the program counts.
///
///     const optim::CosineSchedule schedule{.lr = 0.1, .steps = epochs};
///     for (int epoch = 0; epoch < epochs; ++epoch) {
///       optimizer.set_learning_rate(schedule(epoch));
///
/// It has no state, so a training that goes on from a checkpoint goes on with its schedule. (PlateauSchedule must look at results and is
/// the exception.) t is the step; a negative one, and fields that make no schedule, are an Error. Definitions are PyTorch's.
template <class S> concept Schedule = requires(const S& schedule, Index step) {
  { schedule(step) } -> std::convertible_to<double>;
};

/// lr factor before step `steps`, then lr.
struct ConstantSchedule {
  double lr = 0;
  double factor = 1.0 / 3;
  Index steps = 5;
  double operator()(Index step) const;
};

/// lr gamma^floor(t / every): a drop every so many steps.
struct StepSchedule {
  double lr = 0;
  Index every = 1;
  double gamma = 0.1;
  double operator()(Index step) const;
};

/// lr gamma^n, n being how many milestones are <= t; one that is there twice counts twice.
struct MultiStepSchedule {
  double lr = 0;
  std::vector<Index> milestones = {};
  double gamma = 0.1;
  double operator()(Index step) const;
};

/// lr gamma^t
struct ExponentialSchedule {
  double lr = 0;
  double gamma = 0.95;
  double operator()(Index step) const;
};

/// From lr start to lr end along a line in `steps` steps; then it stays.
struct LinearSchedule {
  double lr = 0;
  double start = 1.0 / 3, end = 1;
  Index steps = 5;
  double operator()(Index step) const;
};

/// lr (1 - t / steps)^power, and 0 from `steps` on.
struct PolynomialSchedule {
  double lr = 0;
  Index steps = 5;
  double power = 1;
  double operator()(Index step) const;
};

/// least + (lr - least) (1 + cos(pi t / steps)) / 2: half a wave down to step `steps`; beyond it the wave goes on, up again.
/// (Loshchilov and Hutter 2017)
struct CosineSchedule {
  double lr = 0;
  Index steps = 1;
  double least = 0;
  double operator()(Index step) const;
};

/// The same, begun anew at lr after `steps` steps, then after `steps` `times`, `steps` `times`^2, ... more.
struct CosineRestartsSchedule {
  double lr = 0;
  Index steps = 1;
  Index times = 1;
  double least = 0;
  double operator()(Index step) const;
};

/// From lr start up to lr along a line in `warm_up` steps, then CosineSchedule over `steps` more.
struct WarmUpCosineSchedule {
  double lr = 0;
  Index warm_up = 0, steps = 1;
  double start = 0.1, least = 0;
  double operator()(Index step) const;
};

/// One cycle over `steps` steps: from lr / initial_divisor up to lr during the share `rise` of them, then down to lr / initial_divisor /
/// final_divisor. A step from `steps` on is an Error. (Smith and Topin 2019)
struct OneCycleSchedule {
  double lr = 0;  ///< the largest
  Index steps = 2;
  double rise = 0.3, initial_divisor = 25, final_divisor = 1e4;
  enum class Curve : std::uint8_t { cosine, line } curve = Curve::cosine;
  double low_momentum = 0.85, high_momentum = 0.95;
  double operator()(Index step) const;
  /// The momentum (beta1 of Adam) that belongs to it: high where the rate is low.
  double momentum(Index step) const;

 private:
  double cycle(Index step, double low, double high, double last) const;
};

struct PlateauOptions {
  enum class Mode : std::uint8_t { least, largest } mode = Mode::least;  ///< which results are the better ones
  double factor = 0.1;                                                   ///< of a reduction
  Index patience = 10;                                                   ///< how many results without progress are borne
  double threshold = 1e-4;                                               ///< what counts as progress
  bool relative_threshold = true;                                        ///< whether that is a share of the best result
  Index cooldown = 0;                                                    ///< results after a reduction that are not held against it
  double least = 0;                                                      ///< the rate does not fall below
};

/// A rate that is reduced when results stop to improve: `optimizer.set_learning_rate(plateau(validation_loss))` after each epoch.
class PlateauSchedule {
 public:
  /// An Error if a rate is negative or the factor is not in (0, 1).
  explicit PlateauSchedule(double lr, const PlateauOptions& options = {});

  /// Takes the next result and gives the rate from now on. NaN is no progress.
  double operator()(double result);
  double learning_rate() const { return lr_; }

 private:
  bool better(double result) const;

  PlateauOptions options_;
  double lr_, best_;
  Index bad_ = 0, cooling_ = 0;
};

}  // namespace wengert::optim
