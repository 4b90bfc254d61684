#pragma once
// Which learning rate to begin with.
#include <string>
#include <vector>

#include "nn/training/batches.h"
#include "nn/training/figure.h"
#include "nn/training/fit.h"
#include "nn/training/loss.h"
#include "optim/optimizer.h"

namespace wengert::nn {

struct LearningRateFinderOptions {
  double min_rate = 1e-7, max_rate = 10;
  Index steps = 100;  ///< at most; the data is gone through again where it ends
  /// Of the exponential mean of losses that is looked at, in [0, 1); 0: the losses themselves.
  double smoothing = 0.9;
  /// Ends the trial when the mean is so many times its minimum.
  double divergence = 4;
};

/// Losses at growing learning rates.
struct LearningRateTrial {
  std::vector<double> rates, losses, smoothed;
  /// The rate where the smoothed loss falls fastest over the logarithm of the rate, before its minimum; NaN if it never falls.
  double suggestion;

  /// The losses over log10 of the rate. Files and outcome as of write_figure.
  PictureOutcome plot(const std::string& png_path) const;
};

/// Trains for a few steps, the learning rate rising from step to step by the same factor (Smith 2017, section 3.3), and then gives the
/// model, the optimizer and all generators what they had before. A ValueError for options out of range, and if the first loss is not
/// finite.
LearningRateTrial find_learning_rate(const Forward& model, optim::Optimizer& optimizer, const Loss& loss, const Batches& data,
                                     const LearningRateFinderOptions& options = {});

}  // namespace wengert::nn
