// g7_optim: optimizers fed with the recorded gradients, clipping, learning-rate schedules.
#include <autodiff/autodiff.h>

#include <algorithm>

#include "operations.h"

namespace wengert::golden {
namespace {

// The named tensors name0, name1, ... of a case.
std::vector<Tensor> numbered(const Values& given, const std::string& name) {
  std::vector<Tensor> list;
  for (auto found = given.find(name + "0"); found != given.end(); found = given.find(name + std::to_string(list.size())))
    list.push_back(found->second);
  return list;
}

// g0, g1, ... as the gradients of parameters made for the purpose.
Gradients as_gradients(const std::vector<Tensor>& tensors, const std::vector<Parameter>& parameters) {
  Gradients gradients;
  for (std::size_t k = 0; k < tensors.size(); ++k) gradients.add(tensors[k], parameters[k].ref().get());
  return gradients;
}

Values clip(const Case& c, const Values& given) {
  const std::vector<Tensor> g = numbered(given, "g");
  const std::vector<Parameter> parameters(g.begin(), g.end());
  Gradients gradients = as_gradients(g, parameters);
  Values results;
  if (c.op == "clip_grad_norm") {
    if (c.attributes.number("norm_type") != 2) throw Missing{"clip_grad_norm by another norm than the Euclidean"};
    results.emplace("total_norm", Tensor::full({}, gradients.clip_norm(c.attributes.number("max_norm")), g[0].dtype()));
  } else {
    gradients.clip_value(c.attributes.number("clip_value"));
  }
  for (std::size_t k = 0; k < g.size(); ++k) results.emplace("out" + std::to_string(k), gradients[k]);
  return results;
}

struct Recipe {
  const char* name;
  Values (*compute)(const Case& c, const Values& given);
};
constexpr Recipe kRecipes[] = {
    {"clip_grad_norm", clip},
    {"clip_grad_value", clip},
};

}  // namespace

Values compute_trajectory(const Case& c, const Values& given) {
  const auto recipe = std::find_if(std::begin(kRecipes), std::end(kRecipes), [&](const Recipe& r) { return c.op == r.name; });
  if (recipe == std::end(kRecipes)) throw Missing{c.op};
  return recipe->compute(c, given);
}

}  // namespace wengert::golden
