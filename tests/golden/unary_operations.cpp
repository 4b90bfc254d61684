// g1_unary
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {

std::span<const Operation> unary_operations() {
  static constexpr Operation kTable[] = {
      {"exp", [](In in, At) -> Outputs { return exp(in[0]); }},
      {"log", [](In in, At) -> Outputs { return log(in[0]); }},
      {"sqrt", [](In in, At) -> Outputs { return sqrt(in[0]); }},
      {"square", [](In in, At) -> Outputs { return square(in[0]); }},
      {"abs", [](In in, At) -> Outputs { return abs(in[0]); }},
      {"neg", [](In in, At) -> Outputs { return -in[0]; }},
      {"reciprocal", [](In in, At) -> Outputs { return 1 / in[0]; }},
      {"sin", [](In in, At) -> Outputs { return sin(in[0]); }},
      {"cos", [](In in, At) -> Outputs { return cos(in[0]); }},
      {"tanh", [](In in, At) -> Outputs { return tanh(in[0]); }},
      {"sigmoid", [](In in, At) -> Outputs { return sigmoid(in[0]); }},
      {"relu", [](In in, At) -> Outputs { return relu(in[0]); }},
      {"softplus", [](In in, At at) -> Outputs { return softplus(in[0], at.number("beta")); }},
  };
  return kTable;
}

}  // namespace wengert::golden
