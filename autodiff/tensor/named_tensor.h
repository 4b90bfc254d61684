#pragma once
// A tensor and what it is called: in a model's state, in a file.
#include <string>

#include "autodiff/tensor/tensor.h"

namespace wengert {

struct NamedTensor {
  std::string name;  ///< of a model's member: its dotted path
  Tensor value;
};

}  // namespace wengert
