// g5_linalg
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {

std::span<const Operation> linear_algebra() {
  static constexpr Operation kTable[] = {
      {"matmul", [](In in, At) -> Outputs { return matmul(in[0], in[1]); }},
      {"dot", [](In in, At) -> Outputs { return matmul(in[0], in[1]); }},
      {"bmm", [](In in, At) -> Outputs { return matmul(in[0], in[1]); }},
      {"outer", [](In in, At) -> Outputs { return matmul(unsqueeze(in[0], 1), unsqueeze(in[1], 0)); }},
      {"addmm", [](In in, At at) -> Outputs { return at.number("beta") * in[0] + at.number("alpha") * matmul(in[1], in[2]); }},
  };
  return kTable;
}

}  // namespace wengert::golden
