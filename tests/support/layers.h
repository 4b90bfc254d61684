#pragma once
// Inputs, the names of states, and the check that every layer must pass.
#include <nn/module/check.h>
#include <nn/module/state.h>

#include <boost/test/unit_test.hpp>
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

/// A failed check with all that `nn::check` finds, for a layer that takes these inputs.
template <nn::ModuleType M, class... Input> void check_layer(M layer, const Input&... inputs) {
  try {
    nn::check(layer, [&](M& m) { return m(inputs...); });
    BOOST_TEST(true);
  } catch (const Error& e) {
    BOOST_ERROR(e.what());
  }
}

}  // namespace wengert::testing
