#pragma once
#include <cstddef>
#include <random>
#include <vector>

namespace wengert::testing {

/// n numbers, uniform between -1 and 1.
inline std::vector<double> numbers(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<double> x(n);
  for (double& e : x) e = uniform(random);
  return x;
}

}  // namespace wengert::testing
