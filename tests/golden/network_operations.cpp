// g6_nn
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {
namespace {

// x W^T + b, the bias optional.
Tensor linear(In in) {
  const Tensor y = matmul(in[0], transpose(in[1]));
  return in.size() > 2 ? y + in[2] : y;
}

}  // namespace

std::span<const Operation> network_operations() {
  static constexpr Operation kTable[] = {
      {"linear", [](In in, At) -> Outputs { return linear(in); }},
      {"softmax", [](In in, At at) -> Outputs { return softmax(in[0], at.integer("dim")); }},
      {"log_softmax", [](In in, At at) -> Outputs { return log_softmax(in[0], at.integer("dim")); }},
  };
  return kTable;
}

}  // namespace wengert::golden
