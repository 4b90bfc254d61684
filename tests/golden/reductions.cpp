// g3_reduce
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {

std::span<const Operation> reductions() {
  static constexpr Operation kTable[] = {
      {"sum", [](In in, At at) -> Outputs { return sum(in[0], at.list("dims"), at.flag("keepdim")); }},
      {"mean", [](In in, At at) -> Outputs { return mean(in[0], at.list("dims"), at.flag("keepdim")); }},
      {"amax", [](In in, At at) -> Outputs { return max(in[0], at.list("dims"), at.flag("keepdim")); }},
      {"max_all", [](In in, At) -> Outputs { return max(in[0]); }},
      {"argmax", [](In in, At at) -> Outputs { return argmax(in[0], at.integer("dim"), at.flag("keepdim")); }},
      {"argmax_all", [](In in, At) -> Outputs { return argmax(flatten(in[0]), 0); }},
  };
  return kTable;
}

}  // namespace wengert::golden
