#pragma once
// What the steps on libtorch's side share.
#include <torch/torch.h>

#include <vector>

namespace wengert::benchmark {

template <class T> torch::Tensor tensor(const std::vector<T>& values, at::IntArrayRef shape) {
  return torch::from_blob(const_cast<T*>(values.data()), shape, c10::CppTypeToScalarType<T>::value).clone();
}

/// The rest of a step after the forward pass. Returns the loss.
inline double update(torch::optim::Optimizer& descent, const torch::Tensor& loss) {
  loss.backward();
  descent.step();
  return loss.item<double>();
}

}  // namespace wengert::benchmark
