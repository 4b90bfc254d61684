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

// Adam and AdamW have the same options.
template <class Optimizer, class Options> std::unique_ptr<optim::Optimizer> make_moments(const ParameterList& p, const Settings& s) {
  return std::make_unique<Optimizer>(p, Options{.lr = s.number("lr"),
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

std::unique_ptr<optim::Optimizer> make_adagrad(const ParameterList& p, const Settings& s) {
  return std::make_unique<optim::Adagrad>(p, optim::AdagradOptions{.lr = s.number("lr"),
                                                                   .lr_decay = s.number("lr_decay"),
                                                                   .initial_sum = s.number("initial_accumulator_value"),
                                                                   .eps = s.number("eps"),
                                                                   .weight_decay = s.number("weight_decay"),
                                                                   .maximize = s.flag("maximize")});
}

std::unique_ptr<optim::Optimizer> make_adadelta(const ParameterList& p, const Settings& s) {
  return std::make_unique<optim::Adadelta>(p, optim::AdadeltaOptions{.lr = s.number("lr"),
                                                                     .rho = s.number("rho"),
                                                                     .eps = s.number("eps"),
                                                                     .weight_decay = s.number("weight_decay"),
                                                                     .maximize = s.flag("maximize")});
}

std::unique_ptr<optim::Optimizer> make_nadam(const ParameterList& p, const Settings& s) {
  return std::make_unique<optim::NAdam>(p, optim::NAdamOptions{.lr = s.number("lr"),
                                                               .beta1 = s.number("betas", 0),
                                                               .beta2 = s.number("betas", 1),
                                                               .eps = s.number("eps"),
                                                               .weight_decay = s.number("weight_decay"),
                                                               .momentum_decay = s.number("momentum_decay")});
}

// RAdam and Adamax have the same options.
template <class Optimizer, class Options> std::unique_ptr<optim::Optimizer> make_plain(const ParameterList& p, const Settings& s) {
  return std::make_unique<Optimizer>(p, Options{.lr = s.number("lr"),
                                                .beta1 = s.number("betas", 0),
                                                .beta2 = s.number("betas", 1),
                                                .eps = s.number("eps"),
                                                .weight_decay = s.number("weight_decay"),
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

// Steps with the recorded gradients. Also computes the gradients of the objective, which should equal the recorded ones, and its value.
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

// LBFGS evaluates the objective itself.
Values follow_lbfgs(const Case& c, const Values& given) {
  const Objective& objective = objective_of(c);
  const std::vector<Tensor> p = all_numbered(given, "p"), start = at_step(p, 0);
  const std::vector<Parameter> parameters(start.begin(), start.end());
  ParameterList all;
  for (const Parameter& parameter : parameters) all.add(parameter);
  const Attributes& a = c.attributes;
  optim::LBFGS lbfgs(all, {.lr = a.number("lr"),
                           .max_iterations = a.integer("max_iter"),
                           .max_evaluations = a.integer("max_eval"),
                           .tolerance_grad = a.number("tolerance_grad"),
                           .tolerance_change = a.number("tolerance_change"),
                           .history_size = a.integer("history_size"),
                           .line_search = a.has("line_search_fn")});
  std::vector<std::vector<Tensor>> seen(p.size());
  const auto look = [&] {
    for (std::size_t k = 0; k < p.size(); ++k) seen[k].push_back(parameters[k].value());
  };
  std::vector<Tensor> losses;
  std::vector<std::int64_t> calls;
  look();
  for (Index t = 0; t < a.integer("steps"); ++t) {
    const Index before = lbfgs.evaluations();
    losses.push_back(Tensor::full({}, lbfgs.step([&] { return objective.value(parameters, given); }), p[0].dtype()));
    calls.push_back(lbfgs.evaluations() - before);
    look();
  }
  Values results{
      {"loss", stack(losses)}, {"n_closure_calls", Tensor::from(calls)}, {"final_loss", objective.value(parameters, given).constant()}};
  for (std::size_t k = 0; k < p.size(); ++k) results.emplace(numbered("p", k), stack(seen[k]));
  return results;
}

// ---- clipping --------------------------------------------------------------------------------------------------------------------------

Values clip(const Case& c, const Values& given) {
  const std::vector<Tensor> g = all_numbered(given, "g");
  const std::vector<Parameter> parameters(g.begin(), g.end());
  Gradients gradients = as_gradients(g, parameters);
  Values results;
  if (c.op == "clip_grad_norm") {
    const double norm = gradients.clip_norm(c.attributes.number("max_norm"), c.attributes.number("norm_type"));
    results.emplace("total_norm", Tensor::full({}, norm, g[0].dtype()));
  } else {
    gradients.clip_value(c.attributes.number("clip_value"));
  }
  for (std::size_t k = 0; k < g.size(); ++k) results.emplace(numbered("out", k), gradients[k]);
  return results;
}

// ---- schedules -------------------------------------------------------------------------------------------------------------------------

// The rates of steps 0, 1, ..., in the precision of the run.
template <class F> Tensor rates(const Case& c, const Values& given, F&& rate) {
  std::vector<double> list;
  for (Index t = 0; t <= c.attributes.integer("steps"); ++t) list.push_back(rate(t));
  return Tensor::from(list).to(given.at("lr").dtype());
}

Values schedule(const Case& c, const Values& given) {
  const Attributes& a = c.attributes;
  const double lr = a.number("base_lr");
  if (c.op == "sched_step")
    return {{"lr", rates(c, given, optim::StepSchedule{.lr = lr, .step_size = a.integer("step_size"), .gamma = a.number("gamma")})}};
  if (c.op == "sched_multistep") {
    optim::MultiStepSchedule steps{.lr = lr, .gamma = a.number("gamma")};
    for (const double milestone : a.numbers("milestones")) steps.milestones.push_back(static_cast<Index>(milestone));
    return {{"lr", rates(c, given, steps)}};
  }
  if (c.op == "sched_exponential") return {{"lr", rates(c, given, optim::ExponentialSchedule{.lr = lr, .gamma = a.number("gamma")})}};
  if (c.op == "sched_cosine")
    return {{"lr", rates(c, given, optim::CosineSchedule{.lr = lr, .steps = a.integer("T_max"), .min_lr = a.number("eta_min")})}};
  if (c.op == "sched_linear")
    return {{"lr", rates(c, given,
                         optim::LinearSchedule{.lr = lr,
                                               .start_factor = a.number("start_factor"),
                                               .end_factor = a.number("end_factor"),
                                               .steps = a.integer("total_iters")})}};
  if (c.op == "sched_constant")
    return {{"lr", rates(c, given, optim::ConstantSchedule{.lr = lr, .factor = a.number("factor"), .steps = a.integer("total_iters")})}};
  if (c.op == "sched_polynomial")
    return {{"lr", rates(c, given, optim::PolynomialSchedule{.lr = lr, .steps = a.integer("total_iters"), .power = a.number("power")})}};
  if (c.op == "sched_cosine_restarts")
    return {{"lr", rates(c, given,
                         optim::CosineRestartsSchedule{
                             .lr = lr, .steps = a.integer("T_0"), .multiplier = a.integer("T_mult"), .min_lr = a.number("eta_min")})}};
  return {{"lr", rates(c, given,
                       optim::WarmupCosineSchedule{.lr = lr,
                                                   .warmup_steps = a.integer("warmup_iters"),
                                                   .steps = a.integer("T_max"),
                                                   .start_factor = a.number("start_factor"),
                                                   .min_lr = a.number("eta_min")})}};
}

Values one_cycle(const Case& c, const Values& given) {
  const Attributes& a = c.attributes;
  using Curve = optim::OneCycleSchedule::Curve;
  const bool line = a.has("anneal_strategy") && a.text("anneal_strategy") == "linear";
  const optim::OneCycleSchedule cycle{.lr = a.number("max_lr"),
                                      .steps = a.integer("total_steps"),
                                      .warmup_fraction = a.number_or("pct_start", 0.3),
                                      .curve = line ? Curve::linear : Curve::cosine};
  return {{"lr", rates(c, given, cycle)}, {"momentum", rates(c, given, [&](Index t) { return cycle.momentum(t); })}};
}

Values plateau(const Case& c, const Values& given) {
  const Attributes& a = c.attributes;
  using Mode = optim::PlateauOptions::Mode;
  optim::PlateauSchedule schedule(a.number("base_lr"), {.mode = a.text("mode") == "min" ? Mode::min : Mode::max,
                                                        .factor = a.number("factor"),
                                                        .patience = a.integer("patience"),
                                                        .threshold = a.number("threshold"),
                                                        .relative_threshold = a.text("threshold_mode") == "rel",
                                                        .cooldown = a.integer("cooldown"),
                                                        .min_lr = a.number("min_lr")});
  const Tensor& results = given.at("metric");
  return {{"lr", rates(c, given, [&](Index t) { return t == 0 ? schedule.learning_rate() : schedule(results.element(t - 1)); })}};
}

// An optimizer on the quadratic, its rate given by a schedule.
template <class S>
Values train(const Case& c, const Values& given, const std::vector<Parameter>& p, optim::Optimizer& optimizer, const S& schedule) {
  std::vector<Tensor> seen;
  for (Index t = 0; t < c.attributes.integer("steps"); ++t) {
    seen.push_back(p[0].value());
    optimizer.set_learning_rate(schedule(t));
    Tape tape;
    optimizer.step(tape.gradient(objective_of(c).value(p, given), ParameterList{p[0]}));
  }
  seen.push_back(p[0].value());
  return {{"p0", stack(seen)}, {"lr", rates(c, given, schedule)}};
}

Values train_with_schedule(const Case& c, const Values& given) {
  const Attributes& a = c.attributes;
  const double lr = a.number("base_lr");
  const std::vector<Parameter> p(1, Parameter(select(given.at("p0"), 0, 0)));
  if (c.op == "sgd_with_step_lr") {
    optim::SGD sgd({p[0]}, {.lr = lr, .momentum = a.number("momentum")});
    return train(c, given, p, sgd, optim::StepSchedule{.lr = lr, .step_size = a.integer("sched_step_size"), .gamma = a.number("gamma")});
  }
  optim::Adam adam({p[0]}, {.lr = lr});
  return train(c, given, p, adam, optim::CosineSchedule{.lr = lr, .steps = a.integer("sched_T_max")});
}

struct Recipe {
  const char* name;
  Values (*compute)(const Case& c, const Values& given);
};
constexpr Recipe kRecipes[] = {
    {"sgd", follow_with<make_sgd>},
    {"sgd_groups", follow_with<make_sgd>},
    {"adam", follow_with<make_moments<optim::Adam, optim::AdamOptions>>},
    {"adamw", follow_with<make_moments<optim::AdamW, optim::AdamWOptions>>},
    {"adamw_groups", follow_with<make_moments<optim::AdamW, optim::AdamWOptions>>},
    {"rmsprop", follow_with<make_rmsprop>},
    {"adagrad", follow_with<make_adagrad>},
    {"adadelta", follow_with<make_adadelta>},
    {"nadam", follow_with<make_nadam>},
    {"radam", follow_with<make_plain<optim::RAdam, optim::RAdamOptions>>},
    {"adamax", follow_with<make_plain<optim::Adamax, optim::AdamaxOptions>>},
    {"lbfgs", follow_lbfgs},
    {"clip_grad_norm", clip},
    {"clip_grad_value", clip},
    {"sched_step", schedule},
    {"sched_multistep", schedule},
    {"sched_exponential", schedule},
    {"sched_cosine", schedule},
    {"sched_linear", schedule},
    {"sched_constant", schedule},
    {"sched_polynomial", schedule},
    {"sched_cosine_restarts", schedule},
    {"sched_warmup_cosine", schedule},
    {"sched_onecycle", one_cycle},
    {"sched_plateau", plateau},
    {"sgd_with_step_lr", train_with_schedule},
    {"adam_with_cosine_lr", train_with_schedule},
};

}  // namespace

Values compute_trajectory(const Case& c, const Values& given) {
  const auto recipe = std::find_if(std::begin(kRecipes), std::end(kRecipes), [&](const Recipe& r) { return c.op == r.name; });
  if (recipe == std::end(kRecipes)) throw Missing{c.op};
  return recipe->compute(c, given);
}

}  // namespace wengert::golden
