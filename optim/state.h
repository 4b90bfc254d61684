#pragma once
// What optimizers and averages of weights keep, in files.
#include <concepts>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/io/safetensors.h"
#include "autodiff/tensor/named_tensor.h"

namespace wengert::optim {

/// Optimizers, LBFGS and averages of weights.
template <class T> concept HasState = requires(const T& from, T& to, std::span<const NamedTensor> state, const std::string& source) {
  { from.state() } -> std::same_as<std::vector<NamedTensor>>;
  to.load_state(state, source);
};

/// Writes the state, and texts of the caller's choice, as a safetensors file. It appears whole or, on a DataError, not at all.
template <HasState T>
void save(const T& from, const std::string& path, std::span<const std::pair<std::string, std::string>> metadata = {}) {
  write_safetensors(path, from.state(), metadata);
}

/// `load_state` from a safetensors file. What is wrong with the file, or does not fit, is a DataError that names the file; nothing has
/// changed then.
template <HasState T> void load(T& to, const std::string& path) {
  const MappedSafetensors file(path);
  to.load_state(file.contents().tensors, path);
}

}  // namespace wengert::optim
