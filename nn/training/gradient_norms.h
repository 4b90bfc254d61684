#pragma once
// How gradients vanish or explode over the time steps of a recurrent network.
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"
#include "nn/training/figure.h"

namespace wengert::nn {

/// The Euclidean norm of each gradient. For the states h_1, h_2, ... of an unrolled recurrent network, which the program keeps in a vector:
///
///     const std::vector<double> norms = nn::gradient_norms(tape.gradient(loss, states));
std::vector<double> gradient_norms(std::span<const Tensor> gradients);

/// Plots norms over the time step 1, 2, ..., on a logarithmic axis, one curve for each network: a line that falls to the left is a gradient
/// that vanishes, one that rises to the left a gradient that explodes. A norm of 0, for which such an axis has no place, is a gap. Files
/// and outcome as of write_figure. An Error if there is no curve.
PictureOutcome plot_gradient_norms(std::span<const Column> curves, const std::string& png_path);

}  // namespace wengert::nn
