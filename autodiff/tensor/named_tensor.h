#pragma once
// A tensor with a name, as in a model's state or in a file.
#include <string>

#include "autodiff/tensor/tensor.h"

namespace wengert {

/// A tensor and its name in a file or a module.
struct NamedTensor {
  std::string name;  ///< for a member of a model: its dotted path
  Tensor value;
};

}  // namespace wengert
