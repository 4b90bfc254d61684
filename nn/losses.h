#pragma once
// Losses. Prediction and target have the same shape: there is no broadcasting here, where it would hide a mistake.
#include <cstdint>

#include "autodiff/ops.h"

namespace wengert::nn {

/// What becomes of the single losses.
enum class Reduction : std::uint8_t { mean, sum, none };

struct LossOptions {
  Reduction reduction = Reduction::mean;
};

/// The slides' E = 1/2 (y - y_hat)^2. A record is one position of the first dimension (everything, for rank 0), and its loss is the sum of
/// 1/2 (y - y_hat)^2 over its outputs. `mean` averages over the records, and not over the outputs; `sum` adds them up; `none` gives each
/// record's loss, shape (n,). So the gradient of the mean is the slides' mean gradient, (y_hat - y) / n for every output.
Tensor half_squared_error(const Tensor& prediction, const Tensor& target, LossOptions options = {}, Location where = Location::here());

/// (prediction - target)^2, averaged or summed over all elements; `none` keeps their shape.
Tensor mse(const Tensor& prediction, const Tensor& target, LossOptions options = {}, Location where = Location::here());

/// Logits (n, c), labels (n) int64 -> the mean over the rows of -log_softmax(logits)[i, labels[i]].
using wengert::cross_entropy;

}  // namespace wengert::nn
