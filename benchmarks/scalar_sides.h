#pragma once
// The contestants that compute the gradients of the scalar programs. Each has its own source file, because their headers may conflict.
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace wengert::benchmark {

/// The gradient of one of the programs: x -> x_bar.
using GradientFunction = std::function<void(std::span<const double> x, std::span<double> x_bar)>;

struct Side {
  std::string name;
  std::vector<GradientFunction> gradients;  // in the order of for_each_function
};

Side adolc();
Side sacado();
Side prototype();

}  // namespace wengert::benchmark
