#include "nn/layers/normalization.h"

#include <fmt/format.h>

#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/error_text.h"
#include "nn/layers/layer_checks.h"
#include "nn/module/optional_parameter.h"

namespace wengert::nn {

LayerNorm::LayerNorm(const Shape& normalized, LayerNormOptions options, Location site) : normalized(normalized), eps(options.eps) {
  const std::string name = LayerNorm::label();
  OptionChecks(name, site).not_negative("eps", eps);
  if (options.affine) weight = new_parameter(Tensor::ones(normalized, float32, site), "weight", name);
  if (options.affine && options.bias) bias = new_parameter(Tensor::zeros(normalized, float32, site), "bias", name);
}

LayerNorm::LayerNorm(Index features, LayerNormOptions options, Location site) : LayerNorm(Shape{features}, options, site) {}

Tensor LayerNorm::operator()(const Tensor& x, Location site) const {
  check_input_dtype(*this, x, weight, "weight", site);
  return layer_norm(x, normalized, {.weight = or_undefined(weight), .bias = or_undefined(bias), .eps = eps}, site);
}

std::string LayerNorm::label() const { return fmt::format("LayerNorm({})", to_string(normalized)); }

GroupNorm::GroupNorm(Index groups, Index channels, GroupNormOptions options, Location site)
    : groups(groups), channels(channels), eps(options.eps) {
  const std::string name = GroupNorm::label();
  OptionChecks(name, site).at_least(0, "channels", channels).divides("groups", groups, {channels}, "the channels").not_negative("eps", eps);
  if (!options.affine) return;
  weight = new_parameter(Tensor::ones({channels}, float32, site), "weight", name);
  bias = new_parameter(Tensor::zeros({channels}, float32, site), "bias", name);
}

Tensor GroupNorm::operator()(const Tensor& x, Location site) const {
  if (x.rank() < 2 || x.size(1) != channels)
    throw ShapeError(wengert::detail::ErrorText(label(), "the input must be (n, {}, ...)", channels).operand("input", x),
                     CallSite::of(site));
  check_input_dtype(*this, x, weight, "weight", site);
  return group_norm(x, groups, {.weight = or_undefined(weight), .bias = or_undefined(bias), .eps = eps}, site);
}

std::string GroupNorm::label() const { return fmt::format("GroupNorm({}, {})", groups, channels); }

BatchNorm::BatchNorm(Index channels, int min_rank, int max_rank, BatchNormLayerOptions options, Location site)
    : channels(channels), eps(options.eps), momentum(options.momentum), min_rank_(min_rank), max_rank_(max_rank) {
  const std::string name = BatchNorm::label();
  OptionChecks(name, site).at_least(0, "channels", channels).not_negative("eps", eps).unit_interval("momentum", momentum);
  if (options.affine) {
    weight = new_parameter(Tensor::ones({channels}, float32, site), "weight", name);
    bias = new_parameter(Tensor::zeros({channels}, float32, site), "bias", name);
  }
  if (options.running_stats) {
    running_mean = Tensor::zeros({channels}, float32, site);
    running_var = Tensor::ones({channels}, float32, site);
    num_batches_tracked = Tensor::zeros({}, int64, site);
  }
}

BatchNormResult BatchNorm::normalized(const Tensor& x, bool by_batch, Location site) const {
  if (x.rank() < min_rank_ || x.rank() > max_rank_ || x.size(1) != channels) {
    const bool images = max_rank_ == 4, channels_last = x.rank() >= 3 && x.rank() <= max_rank_ && x.shape().back() == channels;
    const std::string form =
        images ? fmt::format("(n, {}, height, width)", channels) : fmt::format("(n, {0}) or (n, {0}, length)", channels);
    throw ShapeError(wengert::detail::ErrorText(label(), "the input must be {}", form)
                         .operand("input", x)
                         .hint(!channels_last  ? ""
                               : x.rank() == 4 ? "permute(input, {0, 3, 1, 2})"
                               : images        ? ""
                                               : "transpose(input, 1, 2)"),
                     CallSite::of(site));
  }
  check_input_dtype(*this, x, weight, "weight", site);
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
    throw Error(label() + ": the layer is const and in training mode, where it would change its running statistics; call eval()",
                CallSite::of(site));
  return normalized(x, !running_mean.defined(), site).y;
}

std::string BatchNorm::label() const { return fmt::format("{}({})", max_rank_ == 4 ? "BatchNorm2d" : "BatchNorm1d", channels); }

}  // namespace wengert::nn
