#pragma once
// Inputs and the names of states, for the tests of layers.
#include <nn/module/state.h>

#include <cstdint>
#include <string>
#include <vector>

#include <autodiff/tensor/random.h>

namespace wengert::testing {

inline Tensor random_numbers(const Shape& shape, std::uint64_t seed, Dtype dtype = float32) {
  Generator generator(seed);
  return generator.uniform(shape, -1, 1, dtype);
}

inline std::vector<std::string> names_of(const nn::Module& m) {
  std::vector<std::string> names;
  for (const auto& entry : nn::state(m)) names.push_back(entry.name);
  return names;
}

}  // namespace wengert::testing
