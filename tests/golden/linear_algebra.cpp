// g5_linalg
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {

std::span<const Operation> linear_algebra() {
  static constexpr Operation kTable[] = {
      {"matmul", [](In in, At) -> Outputs { return matmul(in[0], in[1]); }},
      {"dot", [](In in, At) -> Outputs { return dot(in[0], in[1]); }},
      {"bmm", [](In in, At) -> Outputs { return bmm(in[0], in[1]); }},
      {"outer", [](In in, At) -> Outputs { return outer(in[0], in[1]); }},
      {"addmm", [](In in, At at) -> Outputs { return addmm(in[0], in[1], in[2], at.number("alpha"), at.number("beta")); }},
      {"einsum", [](In in, At at) -> Outputs { return einsum(at.text("equation"), in); }},
      {"inverse", [](In in, At) -> Outputs { return inverse(in[0]); }},
      {"solve", [](In in, At) -> Outputs { return solve(in[0], in[1]); }},
      {"solve_triangular", [](In in, At at) -> Outputs { return solve_triangular(in[0], in[1], at.flag("upper")); }},
      {"det", [](In in, At) -> Outputs { return det(in[0]); }},
      {"slogdet",
       [](In in, At) -> Outputs {
         const auto [sign, logarithm] = slogdet(in[0]);
         return {sign, logarithm};
       }},
      {"logdet", [](In in, At) -> Outputs { return logdet(in[0]); }},
      {"cholesky", [](In in, At) -> Outputs { return cholesky(in[0]); }},
  };
  return kTable;
}

}  // namespace wengert::golden
