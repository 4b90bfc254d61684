#include "nn/training/gradient_norms.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "autodiff/tape/tape.h"

namespace wengert::nn {

std::vector<double> gradient_norms(std::span<const Tensor> gradients) {
  std::vector<double> norms;
  for (const Tensor& gradient : gradients) {
    Gradients one;
    one.add(gradient, nullptr);
    norms.push_back(one.norm());
  }
  return norms;
}

PictureOutcome plot_gradient_norms(std::span<const Column> curves, const std::string& png_path) {
  if (curves.empty()) throw Error("plot_gradient_norms: there are no curves");
  constexpr const char* step = "time step";
  std::size_t steps = 0;
  for (const Column& curve : curves) steps = std::max(steps, curve.values.size());
  Figure figure;
  figure.columns.push_back({step, std::vector<double>(steps)});
  std::iota(figure.columns[0].values.begin(), figure.columns[0].values.end(), 1.0);
  Panel panel{.title = "gradients with respect to the state at each time step",
              .x_label = step,
              .y_label = "norm",
              .curves = {},
              .logarithmic = true};
  for (const Column& curve : curves) {
    figure.columns.push_back(curve);
    std::vector<double>& values = figure.columns.back().values;
    std::replace(values.begin(), values.end(), 0.0, std::numeric_limits<double>::quiet_NaN());
    panel.curves.push_back({.x = step, .y = curve.name});
  }
  figure.panels.push_back(std::move(panel));
  return write_figure(figure, png_path);
}

}  // namespace wengert::nn
