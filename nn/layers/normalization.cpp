#include "nn/layers/normalization.h"

#include <fmt/format.h>

#include "nn/module/optional_parameter.h"

namespace wengert::nn {

LayerNorm::LayerNorm(const Shape& normalized, LayerNormOptions options) : normalized(normalized), eps(options.eps) {
  if (options.affine) weight = Parameter(Tensor::ones(normalized));
  if (options.affine && options.bias) bias = Parameter(Tensor::zeros(normalized));
}

Tensor LayerNorm::operator()(const Tensor& x, Location site) const {
  return layer_norm(x, normalized, {.weight = or_undefined(weight), .bias = or_undefined(bias), .eps = eps}, site);
}

std::string LayerNorm::label() const { return fmt::format("LayerNorm({})", to_string(normalized)); }

GroupNorm::GroupNorm(Index groups, Index channels, GroupNormOptions options) : groups(groups), channels(channels), eps(options.eps) {
  if (groups < 1 || channels % groups != 0) throw ShapeError(fmt::format("GroupNorm({}, {}): no equal groups", groups, channels));
  if (!options.affine) return;
  weight = Parameter(Tensor::ones({channels}));
  bias = Parameter(Tensor::zeros({channels}));
}

Tensor GroupNorm::operator()(const Tensor& x, Location site) const {
  if (x.rank() < 2 || x.size(1) != channels)
    throw ShapeError(
        fmt::format("{} at {}: the input must be (n, {}, ...), but it is {}", label(), to_string(site), channels, describe(x)));
  return group_norm(x, groups, {.weight = or_undefined(weight), .bias = or_undefined(bias), .eps = eps}, site);
}

std::string GroupNorm::label() const { return fmt::format("GroupNorm({}, {})", groups, channels); }

BatchNorm::BatchNorm(Index channels, int least_rank, int most_rank, BatchNormOptions options)
    : channels(channels), eps(options.eps), momentum(options.momentum), least_rank_(least_rank), most_rank_(most_rank) {
  if (options.affine) {
    weight = Parameter(Tensor::ones({channels}));
    bias = Parameter(Tensor::zeros({channels}));
  }
  if (options.running_stats) {
    running_mean = Tensor::zeros({channels});
    running_var = Tensor::ones({channels});
    num_batches_tracked = Tensor::zeros({}, int64);
  }
}

BatchNormResult BatchNorm::normalized(const Tensor& x, bool by_batch, Location site) const {
  if (x.rank() < least_rank_ || x.rank() > most_rank_ || x.size(1) != channels) {
    const char* const further = most_rank_ == 4 ? ", height, width" : " or (n, channels, length";
    throw ShapeError(fmt::format("{} at {}: the input must be (n, channels{}) with {} channels, but it is {}", label(), to_string(site),
                                 most_rank_ == 4 ? further : fmt::format("){}", further), channels, describe(x)));
  }
  return batch_norm(x, running_mean, running_var,
                    {.weight = or_undefined(weight), .bias = or_undefined(bias), .training = by_batch, .momentum = momentum, .eps = eps},
                    site);
}

Tensor BatchNorm::operator()(const Tensor& x, Location site) {
  const bool tracks = running_mean.defined();
  BatchNormResult result = normalized(x, training() || !tracks, site);
  if (training() && tracks) {
    running_mean = result.running_mean;
    running_var = result.running_var;
    num_batches_tracked = Tensor::full({}, num_batches_tracked.item() + 1, int64);
  }
  return std::move(result.y);
}

Tensor BatchNorm::operator()(const Tensor& x, Location site) const {
  if (training())
    throw Error(fmt::format("{} at {}: the layer is const and in training mode, where it would change its running statistics; call eval()",
                            label(), to_string(site)));
  return normalized(x, !running_mean.defined(), site).y;
}

std::string BatchNorm::label() const { return fmt::format("{}({})", most_rank_ == 4 ? "BatchNorm2d" : "BatchNorm1d", channels); }

}  // namespace wengert::nn
