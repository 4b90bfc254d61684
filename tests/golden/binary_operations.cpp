// g2_binary
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {
namespace {

Tensor where_sqrt_safe(const Tensor& x) {
  const Tensor positive = x > 0;
  return where(positive, sqrt(where(positive, x, 1)), 0);
}

}  // namespace

std::span<const Operation> binary_operations() {
  static constexpr Operation kTable[] = {
      {"add", [](In in, At) -> Outputs { return in[0] + in[1]; }},
      {"sub", [](In in, At) -> Outputs { return in[0] - in[1]; }},
      {"mul", [](In in, At) -> Outputs { return in[0] * in[1]; }},
      {"div", [](In in, At) -> Outputs { return in[0] / in[1]; }},
      {"pow", [](In in, At) -> Outputs { return pow(in[0], in[1]); }},
      {"maximum", [](In in, At) -> Outputs { return maximum(in[0], in[1]); }},
      {"minimum", [](In in, At) -> Outputs { return minimum(in[0], in[1]); }},
      {"atan2", [](In in, At) -> Outputs { return atan2(in[0], in[1]); }},
      {"hypot", [](In in, At) -> Outputs { return hypot(in[0], in[1]); }},
      {"logaddexp", [](In in, At) -> Outputs { return logaddexp(in[0], in[1]); }},
      {"where", [](In in, At) -> Outputs { return where(in[0], in[1], in[2]); }},
      {"add_scalar", [](In in, At at) -> Outputs { return in[0] + at.number("scalar"); }},
      {"rsub_scalar", [](In in, At at) -> Outputs { return at.number("scalar") - in[0]; }},
      {"mul_scalar", [](In in, At at) -> Outputs { return in[0] * at.number("scalar"); }},
      {"div_scalar", [](In in, At at) -> Outputs { return in[0] / at.number("scalar"); }},
      {"rdiv_scalar", [](In in, At at) -> Outputs { return at.number("scalar") / in[0]; }},
      {"pow_scalar", [](In in, At at) -> Outputs { return pow(in[0], at.number("scalar")); }},
      {"rpow_scalar", [](In in, At at) -> Outputs { return pow(at.number("scalar"), in[0]); }},
      {"where_sqrt_naive", [](In in, At) -> Outputs { return where(in[0] > 0, sqrt(in[0]), 0); }},
      {"where_sqrt_safe", [](In in, At) -> Outputs { return where_sqrt_safe(in[0]); }},
  };
  return kTable;
}

}  // namespace wengert::golden
