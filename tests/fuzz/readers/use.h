#pragma once
// What readers of tensors have in common.
#include <autodiff/ops.h>
#include <autodiff/tensor/named_tensor.h>

#include "targets.h"

namespace wengert::fuzz {

/// Looks at every element, so that one that lies outside the file is found.
inline void use(const Tensor& t) {
  if (t.dtype() == boolean) return static_cast<void>(any(t));
  if (t.size() > 0) static_cast<void>(t.element(t.size() - 1));
  static_cast<void>(t.to_vector<double>());
}
inline void use(std::span<const NamedTensor> tensors) {
  for (const NamedTensor& t : tensors) use(t.value);
}

}  // namespace wengert::fuzz
