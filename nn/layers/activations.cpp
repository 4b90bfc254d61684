#include "nn/layers/activations.h"

#include <fmt/format.h>

#include <cmath>

#include "nn/layers/layer_checks.h"

namespace wengert::nn {

PReLU::PReLU(PReLUOptions options, Location site) {
  OptionChecks("PReLU", site).at_least(1, "channels", options.channels);
  weight = new_parameter(Tensor::full({options.channels}, options.start, float32, site), "weight", "PReLU");
}

Softplus::Softplus(SoftplusOptions options, Location site) : beta(options.beta) {
  if (!std::isfinite(beta) || beta == 0)
    OptionChecks("Softplus", site).value_error(fmt::format("beta must be finite and not 0, but it is {}", beta));
}

Softshrink::Softshrink(double lambda, Location site) : lambda(lambda) {
  OptionChecks(fmt::format("Softshrink({})", lambda), site).not_negative("lambda", lambda);
}

Hardtanh::Hardtanh(HardtanhOptions options, Location site) : low(options.low), high(options.high) {
  const OptionChecks checks("Hardtanh", site);
  if (!(low < high)) checks.value_error(fmt::format("low must be less than high, but they are {} and {}", low, high));
}

}  // namespace wengert::nn
