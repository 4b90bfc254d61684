// g3_reduce
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {
namespace {

Outputs both(ValuesAndIndices result) { return {std::move(result.values), std::move(result.indices)}; }

}  // namespace

std::span<const Operation> reductions() {
  static constexpr Operation kTable[] = {
      {"sum", [](In in, At at) -> Outputs { return sum(in[0], at.list("dims"), {.keepdim = at.flag("keepdim")}); }},
      {"mean", [](In in, At at) -> Outputs { return mean(in[0], at.list("dims"), {.keepdim = at.flag("keepdim")}); }},
      {"prod", [](In in, At at) -> Outputs { return prod(in[0], at.list("dims"), {.keepdim = at.flag("keepdim")}); }},
      {"prod_all", [](In in, At) -> Outputs { return prod(in[0]); }},
      {"logsumexp", [](In in, At at) -> Outputs { return logsumexp(in[0], at.list("dims"), {.keepdim = at.flag("keepdim")}); }},
      {"var",
       [](In in, At at) -> Outputs {
         return var(in[0], at.list("dims"), {.keepdim = at.flag("keepdim"), .correction = at.integer("correction")});
       }},
      {"std",
       [](In in, At at) -> Outputs {
         return stddev(in[0], at.list("dims"), {.keepdim = at.flag("keepdim"), .correction = at.integer("correction")});
       }},
      {"norm", [](In in, At at) -> Outputs { return norm(in[0], at.number("p"), at.list("dims"), {.keepdim = at.flag("keepdim")}); }},
      {"amax", [](In in, At at) -> Outputs { return max(in[0], at.list("dims"), {.keepdim = at.flag("keepdim")}); }},
      {"amin", [](In in, At at) -> Outputs { return min(in[0], at.list("dims"), {.keepdim = at.flag("keepdim")}); }},
      {"max_all", [](In in, At) -> Outputs { return max(in[0]); }},
      {"min_all", [](In in, At) -> Outputs { return min(in[0]); }},
      {"max_dim", [](In in, At at) -> Outputs { return both(max_dim(in[0], at.integer("dim"), {.keepdim = at.flag("keepdim")})); }},
      {"min_dim", [](In in, At at) -> Outputs { return both(min_dim(in[0], at.integer("dim"), {.keepdim = at.flag("keepdim")})); }},
      {"argmax", [](In in, At at) -> Outputs { return argmax(in[0], at.integer("dim"), {.keepdim = at.flag("keepdim")}); }},
      {"argmin", [](In in, At at) -> Outputs { return argmin(in[0], at.integer("dim"), {.keepdim = at.flag("keepdim")}); }},
      {"argmax_all", [](In in, At) -> Outputs { return argmax(in[0]); }},
      {"cumsum", [](In in, At at) -> Outputs { return cumsum(in[0], at.integer("dim")); }},
      {"cumprod", [](In in, At at) -> Outputs { return cumprod(in[0], at.integer("dim")); }},
      {"logcumsumexp", [](In in, At at) -> Outputs { return logcumsumexp(in[0], at.integer("dim")); }},
  };
  return kTable;
}

}  // namespace wengert::golden
