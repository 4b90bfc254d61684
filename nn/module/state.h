#pragma once
// What a model has learnt: by name, and in files.
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "autodiff/tensor/named_tensor.h"
#include "nn/module/module.h"

namespace wengert::nn {

/// Values of all parameters and running statistics, by dotted path, in the order of `visit`. The tensors share the module's elements until
/// either changes.
std::vector<NamedTensor> state(const Module& module);

struct LoadOptions {
  /// Whether missing and unexpected names are errors. Otherwise they are skipped, and returned.
  bool strict = true;
  /// Begins the messages: where the state comes from.
  std::string source = "load_state";
};

/// Names on one side only; empty after a strict load.
struct StateDifference {
  std::vector<std::string> missing;     ///< the module has them, the state does not; they keep their values
  std::vector<std::string> unexpected;  ///< the state has them, the module does not
};

/// Gives the module the values of a state. They are copied, and parameters keep their identity, so that optimizers stay valid. The module's
/// dtypes stay: floating values are converted to them (float64 to float32 rounds), while integers and booleans must match exactly.
/// A DataError lists missing and unexpected names (if strict), wrong shapes and wrong dtypes all together; nothing has changed then.
StateDifference load_state(Module& module, std::span<const NamedTensor> state, const LoadOptions& options = {});

/// Writes the module's state, and texts of the caller's choice, as a safetensors file. It appears whole or, on a DataError, not at all.
void save(const Module& module, const std::string& path, std::span<const std::pair<std::string, std::string>> metadata = {});

/// `load_state` from a safetensors file, which is mapped, not read: every element is read once. If the file is damaged
/// or does not fit the module, one DataError names the file and everything that is wrong, and nothing has changed.
StateDifference load(Module& module, const std::string& path, const LoadOptions& options = {});

}  // namespace wengert::nn
