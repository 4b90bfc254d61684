// g1_unary
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {

std::span<const Operation> unary_operations() {
  static constexpr Operation kTable[] = {
      {"exp", [](In in, At) -> Outputs { return exp(in[0]); }},
      {"log", [](In in, At) -> Outputs { return log(in[0]); }},
      {"log1p", [](In in, At) -> Outputs { return log1p(in[0]); }},
      {"expm1", [](In in, At) -> Outputs { return expm1(in[0]); }},
      {"sqrt", [](In in, At) -> Outputs { return sqrt(in[0]); }},
      {"rsqrt", [](In in, At) -> Outputs { return rsqrt(in[0]); }},
      {"reciprocal", [](In in, At) -> Outputs { return reciprocal(in[0]); }},
      {"square", [](In in, At) -> Outputs { return square(in[0]); }},
      {"abs", [](In in, At) -> Outputs { return abs(in[0]); }},
      {"neg", [](In in, At) -> Outputs { return -in[0]; }},
      {"sin", [](In in, At) -> Outputs { return sin(in[0]); }},
      {"cos", [](In in, At) -> Outputs { return cos(in[0]); }},
      {"tan", [](In in, At) -> Outputs { return tan(in[0]); }},
      {"asin", [](In in, At) -> Outputs { return asin(in[0]); }},
      {"acos", [](In in, At) -> Outputs { return acos(in[0]); }},
      {"atan", [](In in, At) -> Outputs { return atan(in[0]); }},
      {"sinh", [](In in, At) -> Outputs { return sinh(in[0]); }},
      {"cosh", [](In in, At) -> Outputs { return cosh(in[0]); }},
      {"tanh", [](In in, At) -> Outputs { return tanh(in[0]); }},
      {"asinh", [](In in, At) -> Outputs { return asinh(in[0]); }},
      {"acosh", [](In in, At) -> Outputs { return acosh(in[0]); }},
      {"atanh", [](In in, At) -> Outputs { return atanh(in[0]); }},
      {"sigmoid", [](In in, At) -> Outputs { return sigmoid(in[0]); }},
      {"relu", [](In in, At) -> Outputs { return relu(in[0]); }},
      {"leaky_relu", [](In in, At at) -> Outputs { return leaky_relu(in[0], at.number("negative_slope")); }},
      {"elu", [](In in, At at) -> Outputs { return elu(in[0], at.number_or("alpha", 1)); }},
      {"selu", [](In in, At) -> Outputs { return selu(in[0]); }},
      {"gelu", [](In in, At at) -> Outputs { return at.text("approximate") == "tanh" ? gelu_tanh(in[0]) : gelu(in[0]); }},
      {"silu", [](In in, At) -> Outputs { return silu(in[0]); }},
      {"softplus", [](In in, At at) -> Outputs { return softplus(in[0], at.number("beta")); }},
      {"softsign", [](In in, At) -> Outputs { return softsign(in[0]); }},
      {"hardtanh", [](In in, At at) -> Outputs { return hardtanh(in[0], at.number("min"), at.number("max")); }},
      {"erf", [](In in, At) -> Outputs { return erf(in[0]); }},
      {"erfc", [](In in, At) -> Outputs { return erfc(in[0]); }},
      {"lgamma", [](In in, At) -> Outputs { return lgamma(in[0]); }},
      {"log_sigmoid", [](In in, At) -> Outputs { return log_sigmoid(in[0]); }},
      {"clamp", [](In in, At at) -> Outputs { return clamp(in[0], at.number_or("min", -HUGE_VAL), at.number_or("max", HUGE_VAL)); }},
      {"exp2", [](In in, At) -> Outputs { return exp2(in[0]); }},
      {"log2", [](In in, At) -> Outputs { return log2(in[0]); }},
      {"log10", [](In in, At) -> Outputs { return log10(in[0]); }},
      {"mish", [](In in, At) -> Outputs { return mish(in[0]); }},
      {"logit", [](In in, At) -> Outputs { return logit(in[0]); }},
      {"relu6", [](In in, At) -> Outputs { return relu6(in[0]); }},
      {"hardsigmoid", [](In in, At) -> Outputs { return hardsigmoid(in[0]); }},
      {"hardswish", [](In in, At) -> Outputs { return hardswish(in[0]); }},
      {"softshrink", [](In in, At at) -> Outputs { return softshrink(in[0], at.number("lambd")); }},
      {"sign", [](In in, At) -> Outputs { return sign(in[0]); }},
      {"floor", [](In in, At) -> Outputs { return floor(in[0]); }},
      {"ceil", [](In in, At) -> Outputs { return ceil(in[0]); }},
  };
  return kTable;
}

}  // namespace wengert::golden
