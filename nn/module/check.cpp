#include "nn/module/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "autodiff/tape/records.h"
#include "nn/module/state.h"

namespace wengert::nn::detail {
namespace {

// All modules and parameters that `visit` names, with their paths.
struct Members final : Visitor {
  struct Member {
    std::string path;
    const ParameterState* parameter;
  };
  std::vector<Member> parameters;
  std::vector<std::string> names;  // of parameters and state
  std::set<const Module*> modules;

  explicit Members(const Module& model) {
    modules.insert(&model);
    model.inspect(*this);
  }
  void parameter(Parameter& p) override {
    parameters.push_back({std::string(path()), p.ref().get()});
    names.emplace_back(path());
  }
  void state(Tensor&) override { names.emplace_back(path()); }
  void module(Module& m) override {
    modules.insert(&m);
    m.visit(*this);
  }
};

// "weight of Linear(2, 3), (3, 2) float32 made at net.cpp:12". A parameter need not have a name.
std::string text_of(std::string_view name, const Tensor& value) {
  return fmt::format("{}, {} {} made at {}", name.empty() ? "a parameter without a name" : name, to_string(value.shape()),
                     to_string(value.dtype()), to_string(value.made_at()));
}

// ", read by multiply at net.cpp:15": the first operation that reads the leaf, which tells of a parameter without a name where it belongs.
std::string first_reader(const wengert::detail::TapeState& tape, std::uint32_t slot) {
  for (std::uint32_t k = 0; k < tape.nodes.size(); ++k) {
    const wengert::detail::TapeNode& node = tape.nodes[k];
    const auto reads = [&](const wengert::detail::Input& x) { return !x.scalar && x.index == slot; };
    if (tape.any_input(node, reads))
      return fmt::format(", read by {} at {}", node.operation ? node.operation->name() : "x(i, ...)", to_string(node.site()));
  }
  return "";
}

struct CollectModes final : Visitor {
  std::vector<char> modes;
  explicit CollectModes(Module& model) { CollectModes::module(model); }
  void module(Module& m) override {
    modes.push_back(m.training());
    m.visit(*this);
  }
};

// Outer modules first, because train() also sets the modes of the modules inside.
struct RestoreModes final : Visitor {
  const char* next;
  RestoreModes(Module& model, const std::vector<char>& modes) : next(modes.data()) { RestoreModes::module(model); }
  void module(Module& m) override {
    m.train(*next++);
    m.visit(*this);
  }
};

bool same_elements(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  return std::equal(x.begin(), x.end(), y.begin(), [](double p, double q) { return p == q || (std::isnan(p) && std::isnan(q)); });
}

}  // namespace

// What all runs have shown.
struct ModelCheck::Observation final : ModeObserver {
  std::set<const Module*> asked_now;              // in the current run
  std::vector<std::string> forgotten_modules;     // by label, each once
  std::vector<std::string> forgotten_parameters;  // by text, each once
  std::optional<std::vector<std::string>> never_read;
  std::optional<Tape> tape;
  ModeObserver* outer = nullptr;

  void asked(const Module& module) override { asked_now.insert(&module); }
};

ModelCheck::ModelCheck(const Module& model) : label_(model.label()), seen_(std::make_unique<Observation>()) {
  const Members members(model);
  std::set<std::string> names;
  for (const std::string& name : members.names)
    if (!names.insert(name).second) {
      names_are_unique_ = false;
      problem(fmt::format("visit gives the name {} twice", name));
    }
  std::set<const ParameterState*> parameters;
  for (const auto& [path, parameter] : members.parameters)
    if (!parameters.insert(parameter).second) problem(fmt::format("visit names one parameter twice, the second time as {}", path));
}

ModelCheck::~ModelCheck() {
  if (mode_observer == seen_.get()) mode_observer = seen_->outer;
}

void ModelCheck::problem(std::string text) { problems_.push_back(std::move(text)); }

void ModelCheck::begin(Module&) {
  seen_->asked_now.clear();
  seen_->outer = mode_observer;
  seen_->tape.emplace(TapeOptions{.isolated = true});
  mode_observer = seen_.get();
}

void ModelCheck::end(Module& model) {
  mode_observer = seen_->outer;
  const Members members(model);
  const wengert::detail::TapeState& tape = *wengert::detail::active_tape();
  std::set<const ParameterState*> read;
  for (const auto& leaf : tape.leaves.all()) read.insert(leaf.parameter.get());
  std::vector<std::string> unread;
  for (const auto& [path, parameter] : members.parameters) {
    if (!read.contains(parameter) && !parameter->frozen) unread.push_back(text_of(path, parameter->value));
    read.erase(parameter);
  }
  const auto add_once = [](std::vector<std::string>& list, std::string text) {
    if (std::find(list.begin(), list.end(), text) == list.end()) list.push_back(std::move(text));
  };
  for (const auto& leaf : tape.leaves.all())  // in the order of reading
    if (read.contains(leaf.parameter.get()))
      add_once(seen_->forgotten_parameters, text_of(leaf.parameter->name, leaf.parameter->value) + first_reader(tape, leaf.slot));
  if (seen_->never_read) {
    std::erase_if(*seen_->never_read,
                  [&](const std::string& text) { return std::find(unread.begin(), unread.end(), text) == unread.end(); });
  } else {
    seen_->never_read = std::move(unread);
  }
  for (const Module* module : seen_->asked_now)
    if (!members.modules.contains(module)) add_once(seen_->forgotten_modules, module->label());
  seen_->tape.reset();
}

void ModelCheck::compare_copy(const Module& model, const Module& copy) {
  const Members ours(model), theirs(copy);
  std::set<const ParameterState*> own;
  for (const auto& [path, parameter] : ours.parameters) own.insert(parameter);
  for (const auto& [path, parameter] : theirs.parameters)
    if (own.contains(parameter)) problem(fmt::format("a copy of the model shares the parameter {} with it", path));
  if (ours.names != theirs.names) return problem("a copy of the model has other names than the model");
  const std::vector<NamedTensor> a = state(model), b = state(copy);
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor &x = a[i].value, &y = b[i].value;
    if (!same_elements(x, y)) problem(fmt::format("{} differs in a copy of the model: {} and {}", a[i].name, describe(x), describe(y)));
  }
}

void ModelCheck::compare_assigned(const ParameterList& before, const Module& assigned) {
  const ParameterList after = assigned.parameters();
  const bool same = std::equal(before.begin(), before.end(), after.begin(), after.end());
  if (!same) problem("assigning to the model replaces parameters, where it must copy their values; optimizers would lose them");
}

void ModelCheck::compare_outputs(const Tensor& of_model, const Tensor& of_copy) {
  if (!of_model.defined() && !of_copy.defined()) return;
  copy_differs_ = !same_elements(of_model, of_copy);
}

bool ModelCheck::restore(Module& copy, const Module& trained) const {
  if (!names_are_unique_) return false;
  load_state(copy, state(trained), {.strict = false});
  return true;
}

void ModelCheck::compare_restored(const Tensor& of_trained, const Tensor& of_restored) {
  if (!of_trained.defined() && !of_restored.defined()) return;
  restored_differs_ = !same_elements(of_trained, of_restored);
}

void ModelCheck::finish() {
  for (const std::string& text : seen_->forgotten_parameters)
    problem(fmt::format("the forward pass reads, but visit does not name: {}", text));
  for (const std::string& text : seen_->never_read.value_or(std::vector<std::string>()))
    problem(fmt::format("visit names, but the forward pass does not read: {}", text));
  for (const std::string& label : seen_->forgotten_modules)
    problem(
        fmt::format("the behaviour of {} depends on the mode, but visit does not reach it: eval() would leave it in training mode", label));
  if (seen_->forgotten_modules.empty()) {  // they may be random, and then no two outputs agree
    if (copy_differs_) problem("in evaluation mode, a copy of the model gives another output than the model");
    if (restored_differs_)
      problem("training changes something that evaluation depends on, and that visit does not name: a saved model would lose it");
  }
  if (!problems_.empty()) throw Error(fmt::format("check of {}:\n  {}", label_, fmt::join(problems_, "\n  ")));
}

EvaluationMode::EvaluationMode(Module& model) : model_(model), modes_(CollectModes(model).modes) { model.eval(); }

EvaluationMode::~EvaluationMode() { RestoreModes(model_, modes_); }

}  // namespace wengert::nn::detail
