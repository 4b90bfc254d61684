// g7_optim: optimizers fed with the recorded gradients, clipping, learning-rate schedules.
#include <autodiff/autodiff.h>
#include <optim/optim.h>

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

// Takes the recorded steps: parameters p0, p1, ... begin at the first of their recorded values, and the gradients are g0, g1, ...
Values run(optim::Optimizer& optimizer, const std::vector<Parameter>& parameters, const Values& given) {
  const std::vector<Tensor> g = numbered(given, "g");
  std::vector<std::vector<Tensor>> paths;
  for (const Parameter& p : parameters) paths.push_back({p.value()});
  for (Index step = 0; step < g[0].size(0); ++step) {
    std::vector<Tensor> gradients;
    for (const Tensor& all : g) gradients.push_back(select(all, 0, step));
    optimizer.step(as_gradients(gradients, parameters));
    for (std::size_t k = 0; k < parameters.size(); ++k) paths[k].push_back(parameters[k].value());
  }
  Values results;
  for (std::size_t k = 0; k < paths.size(); ++k) results.emplace("p" + std::to_string(k), stack(paths[k]));
  return results;
}

struct Start {
  std::vector<Parameter> parameters;
  ParameterList list;
  explicit Start(const Values& given) {
    for (const Tensor& path : numbered(given, "p")) parameters.emplace_back(select(path, 0, 0));
    for (const Parameter& p : parameters) list.add(p);
  }
};

Values sgd(const Case& c, const Values& given) {
  const Start start(given);
  const Attributes& a = c.attributes;
  optim::SGD optimizer(start.list, {.lr = a.number("lr"),
                                    .momentum = a.number("momentum"),
                                    .dampening = a.number("dampening"),
                                    .weight_decay = a.number("weight_decay"),
                                    .nesterov = a.flag("nesterov"),
                                    .maximize = a.flag("maximize")});
  return run(optimizer, start.parameters, given);
}

Values adam(const Case& c, const Values& given) {
  const Start start(given);
  const Attributes& a = c.attributes;
  const std::vector<double> betas = a.numbers("betas");
  optim::Adam optimizer(start.list, {.lr = a.number("lr"),
                                     .beta1 = betas.at(0),
                                     .beta2 = betas.at(1),
                                     .eps = a.number("eps"),
                                     .weight_decay = a.number("weight_decay"),
                                     .amsgrad = a.flag("amsgrad"),
                                     .maximize = a.flag("maximize")});
  return run(optimizer, start.parameters, given);
}

Values rmsprop(const Case& c, const Values& given) {
  const Start start(given);
  const Attributes& a = c.attributes;
  optim::RMSprop optimizer(start.list, {.lr = a.number("lr"),
                                        .alpha = a.number("alpha"),
                                        .eps = a.number("eps"),
                                        .weight_decay = a.number("weight_decay"),
                                        .momentum = a.number("momentum"),
                                        .centered = a.flag("centered"),
                                        .maximize = a.flag("maximize")});
  return run(optimizer, start.parameters, given);
}

struct Recipe {
  const char* name;
  Values (*compute)(const Case& c, const Values& given);
};
constexpr Recipe kRecipes[] = {
    {"adam", adam}, {"clip_grad_norm", clip}, {"clip_grad_value", clip}, {"rmsprop", rmsprop}, {"sgd", sgd},
};

}  // namespace

Values compute_trajectory(const Case& c, const Values& given) {
  const auto recipe = std::find_if(std::begin(kRecipes), std::end(kRecipes), [&](const Recipe& r) { return c.op == r.name; });
  if (recipe == std::end(kRecipes)) throw Missing{c.op};
  return recipe->compute(c, given);
}

}  // namespace wengert::golden
