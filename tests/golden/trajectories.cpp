// g7_optim: optimizers fed with the recorded gradients, clipping, learning-rate schedules.
#include <autodiff/autodiff.h>
#include <fmt/format.h>
#include <optim/optim.h>

#include <algorithm>
#include <memory>

#include "operations.h"

namespace wengert::golden {
namespace {

std::string numbered(const char* name, std::size_t k) { return fmt::format("{}{}", name, k); }

// The tensors name0, name1, ... of a case.
std::vector<Tensor> all_numbered(const Values& given, const char* name) {
  std::vector<Tensor> list;
  for (auto found = given.find(numbered(name, 0)); found != given.end(); found = given.find(numbered(name, list.size())))
    list.push_back(found->second);
  return list;
}

// A gradient for each parameter.
Gradients as_gradients(const std::vector<Tensor>& tensors, const std::vector<Parameter>& parameters) {
  Gradients gradients;
  for (std::size_t k = 0; k < tensors.size(); ++k) gradients.add(tensors[k], parameters[k].ref().get());
  return gradients;
}

std::vector<Tensor> at_step(const std::vector<Tensor>& series, Index t) {
  std::vector<Tensor> now;
  for (const Tensor& x : series) now.push_back(select(x, 0, t));
  return now;
}

// ---- optimizers ------------------------------------------------------------------------------------------------------------------------

// What was minimized, as a function of the parameters.
struct Objective {
  const char* name;
  Tensor (*value)(const std::vector<Parameter>& p, const Values& data);
};

Tensor rosenbrock(const Tensor& p) {
  const Tensor next = slice(p, 0, 1, p.size(0)), here = slice(p, 0, 0, -1);
  return sum(100 * square(next - square(here)) + square(1 - here));
}

constexpr Objective kObjectives[] = {
    {"quadratic",
     [](const std::vector<Parameter>& p, const Values& data) {
       const Tensor x = p[0];
       return 0.5 * matmul(x, matmul(data.at("A"), x)) - matmul(data.at("b"), x);
     }},
    {"rosenbrock", [](const std::vector<Parameter>& p, const Values&) { return rosenbrock(p[0]); }},
    {"mlp",
     [](const std::vector<Parameter>& p, const Values& data) {
       const Tensor hidden = tanh(matmul(data.at("X"), transpose(p[0])) + p[1]);
       return mean(square(matmul(hidden, transpose(p[2])) + p[3] - data.at("Y")));
     }},
};

const Objective& objective_of(const Case& c) {
  const std::string name = c.attributes.text("objective");
  const auto found = std::find_if(std::begin(kObjectives), std::end(kObjectives), [&](const Objective& o) { return name == o.name; });
  if (found == std::end(kObjectives)) throw Missing{"the objective " + name};
  return *found;
}

using Optimizers = std::vector<std::unique_ptr<optim::Optimizer>>;

// The options of one group of parameters: attributes with a prefix.
struct Settings {
  const Attributes& attributes;
  std::string prefix;

  double number(const char* name) const { return attributes.number((prefix + name).c_str()); }
  double number(const char* name, std::size_t i) const { return attributes.number((prefix + name).c_str(), i); }
  bool flag(const char* name) const { return attributes.flag((prefix + name).c_str()); }
};

std::unique_ptr<optim::Optimizer> make_sgd(const ParameterList& p, const Settings& s) {
  return std::make_unique<optim::SGD>(p, optim::SGDOptions{.lr = s.number("lr"),
                                                           .momentum = s.number("momentum"),
                                                           .dampening = s.number("dampening"),
                                                           .weight_decay = s.number("weight_decay"),
                                                           .nesterov = s.flag("nesterov"),
                                                           .maximize = s.flag("maximize")});
}

std::unique_ptr<optim::Optimizer> make_adam(const ParameterList& p, const Settings& s) {
  return std::make_unique<optim::Adam>(p, optim::AdamOptions{.lr = s.number("lr"),
                                                             .beta1 = s.number("betas", 0),
                                                             .beta2 = s.number("betas", 1),
                                                             .eps = s.number("eps"),
                                                             .weight_decay = s.number("weight_decay"),
                                                             .amsgrad = s.flag("amsgrad"),
                                                             .maximize = s.flag("maximize")});
}

std::unique_ptr<optim::Optimizer> make_rmsprop(const ParameterList& p, const Settings& s) {
  return std::make_unique<optim::RMSprop>(p, optim::RMSpropOptions{.lr = s.number("lr"),
                                                                   .alpha = s.number("alpha"),
                                                                   .eps = s.number("eps"),
                                                                   .weight_decay = s.number("weight_decay"),
                                                                   .momentum = s.number("momentum"),
                                                                   .centered = s.flag("centered"),
                                                                   .maximize = s.flag("maximize")});
}

using Make = std::unique_ptr<optim::Optimizer> (*)(const ParameterList& parameters, const Settings& settings);

// One optimizer for all parameters, or one for each group of them.
Optimizers make_optimizers(const Case& c, const std::vector<Parameter>& parameters, Make make) {
  Optimizers optimizers;
  if (!c.attributes.has("group0_params")) {
    ParameterList all;
    for (const Parameter& p : parameters) all.add(p);
    optimizers.push_back(make(all, {c.attributes, ""}));
    return optimizers;
  }
  for (const char* prefix : {"group0_", "group1_"}) {
    ParameterList group;
    for (const std::string& name : c.attributes.texts((std::string(prefix) + "params").c_str()))
      group.add(parameters.at(static_cast<std::size_t>(std::stoi(name.substr(1)))));
    optimizers.push_back(make(group, {c.attributes, prefix}));
  }
  return optimizers;
}

// Steps with the recorded gradients. On the way the gradients of the objective, which should be the recorded ones, and its value.
Values follow(const Case& c, const Values& given, Make make) {
  const Objective& objective = objective_of(c);
  const std::vector<Tensor> p = all_numbered(given, "p"), g = all_numbered(given, "g");
  const std::vector<Tensor> start = at_step(p, 0);
  const std::vector<Parameter> parameters(start.begin(), start.end());
  const Optimizers optimizers = make_optimizers(c, parameters, make);
  std::vector<std::vector<Tensor>> p_seen(p.size()), g_seen(p.size());
  std::vector<Tensor> losses;
  for (Index t = 0; t < c.attributes.integer("steps"); ++t) {
    Tape tape;
    const Tensor loss = objective.value(parameters, given);
    losses.push_back(loss.constant());
    ParameterList all;
    for (const Parameter& parameter : parameters) all.add(parameter);
    const Gradients gradients = tape.gradient(loss, all);
    for (std::size_t k = 0; k < p.size(); ++k) {
      p_seen[k].push_back(parameters[k].value());
      g_seen[k].push_back(gradients[k]);
    }
    for (const auto& optimizer : optimizers) optimizer->step(as_gradients(at_step(g, t), parameters));
  }
  Values results{{"loss", stack(losses)}};
  for (std::size_t k = 0; k < p.size(); ++k) {
    p_seen[k].push_back(parameters[k].value());
    results.emplace(numbered("p", k), stack(p_seen[k]));
    results.emplace(numbered("g", k), stack(g_seen[k]));
  }
  return results;
}

template <Make make> Values follow_with(const Case& c, const Values& given) { return follow(c, given, make); }

// ---- clipping
// ----------------------------------------------------------------------------------------------------------------------------

Values clip(const Case& c, const Values& given) {
  const std::vector<Tensor> g = all_numbered(given, "g");
  const std::vector<Parameter> parameters(g.begin(), g.end());
  Gradients gradients = as_gradients(g, parameters);
  Values results;
  if (c.op == "clip_grad_norm") {
    if (c.attributes.number("norm_type") != 2) throw Missing{"clip_grad_norm by another norm than the Euclidean"};
    results.emplace("total_norm", Tensor::full({}, gradients.clip_norm(c.attributes.number("max_norm")), g[0].dtype()));
  } else {
    gradients.clip_value(c.attributes.number("clip_value"));
  }
  for (std::size_t k = 0; k < g.size(); ++k) results.emplace(numbered("out", k), gradients[k]);
  return results;
}

struct Recipe {
  const char* name;
  Values (*compute)(const Case& c, const Values& given);
};
constexpr Recipe kRecipes[] = {
    {"sgd", follow_with<make_sgd>},   {"sgd_groups", follow_with<make_sgd>},
    {"adam", follow_with<make_adam>}, {"rmsprop", follow_with<make_rmsprop>},
    {"clip_grad_norm", clip},         {"clip_grad_value", clip},
};

}  // namespace

Values compute_trajectory(const Case& c, const Values& given) {
  const auto recipe = std::find_if(std::begin(kRecipes), std::end(kRecipes), [&](const Recipe& r) { return c.op == r.name; });
  if (recipe == std::end(kRecipes)) throw Missing{c.op};
  return recipe->compute(c, given);
}

}  // namespace wengert::golden
