#include "nn/module/module.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "autodiff/tape/tape.h"
#include "nn/module/table.h"

namespace wengert::nn {
namespace {

// Names are for messages. Threads may list the parameters of one model at the same time, hence the lock. Listing the parameters of a part
// of a model keeps the longer names that the whole model gave, and listing those of a single layer keeps "weight of Linear(2, 1)".
std::mutex naming;

void name_parameter(ParameterState& parameter, std::string_view path) {
  const std::string_view old = parameter.name;
  const bool whole = old.ends_with(path) && (old.size() == path.size() || old[old.size() - path.size() - 1] == '.');
  const bool first = old.starts_with(path) && old.substr(path.size()).starts_with(" of ");
  if (!whole && !first) parameter.rename(path);
}

struct CollectParameters final : Visitor {
  ParameterList list;
  void parameter(Parameter& p) override {
    name_parameter(*p.ref().get(), path());
    list.add(p);
  }
};

struct CollectNamed final : Visitor {
  std::vector<NamedParameter> list;
  void parameter(Parameter& p) override { list.push_back({std::string(path()), p.ref()}); }
};

struct CollectGenerators final : Visitor {
  std::vector<NamedGenerator> list;
  void generator(Generator& g) override { list.push_back({std::string(path()), &g}); }
};

struct Count final : Visitor {
  Index count = 0;
  void parameter(Parameter& p) override { count += p.size(); }
};

struct Convert final : Visitor {
  Dtype dtype;
  explicit Convert(Dtype dtype) : dtype(dtype) {}
  void parameter(Parameter& p) override { p.set(p.value().to(dtype, p.value().made_at())); }
  void state(Tensor& t) override {
    if (is_floating(t.dtype())) t = t.to(dtype, t.made_at());
  }
};

struct Freeze final : Visitor {
  bool on;
  explicit Freeze(bool on) : on(on) {}
  void parameter(Parameter& p) override { p.freeze(on); }
};

struct CollectRows final : Visitor {
  std::vector<std::vector<std::string>> rows;
  void module(Module& m) override {
    rows.push_back({std::string(path()), m.label(), std::to_string(m.parameter_count())});
    m.visit(*this);
  }
};

}  // namespace

std::string detail::type_name(const std::type_info& type) {
  const auto free = [](char* p) { std::free(p); };  // __cxa_demangle takes its memory from malloc
  const std::unique_ptr<char, decltype(free)> demangled(abi::__cxa_demangle(type.name(), nullptr, nullptr, nullptr), free);
  std::string_view name = demangled ? demangled.get() : type.name();
  name.remove_prefix(name.substr(0, name.find('<')).rfind(':') + 1);  // npos + 1 is 0: a name without namespaces stays whole
  return std::string(name);
}

void Visitor::module(Module& member) { member.visit(*this); }

detail::Digits::Digits(std::size_t number)
    : size_(static_cast<std::size_t>(std::to_chars(std::begin(digits_), std::end(digits_), number).ptr - digits_)) {}

void Visitor::visit_parameter(std::string_view name, Parameter& member) {
  if (!member.ref().get()) return;
  const Level level(*this, name);
  parameter(member);
}

void Visitor::visit_state(std::string_view name, Tensor& member) {
  if (!member.defined()) return;
  const Level level(*this, name);
  state(member);
}

void Visitor::visit_module(std::string_view name, Module& member) {
  const Level level(*this, name);
  module(member);
}

struct Module::SetMode final : Visitor {
  bool on;
  explicit SetMode(bool on) : on(on) {}
  void module(Module& m) override {
    m.training_ = on;
    m.visit(*this);
  }
};

std::string Module::label() const { return detail::type_name(typeid(*this)); }

ParameterList Module::parameters() const {
  CollectParameters collect;
  const std::lock_guard lock(naming);
  inspect(collect);
  return std::move(collect.list);
}

std::vector<NamedParameter> Module::named_parameters() const {
  CollectNamed collect;
  inspect(collect);
  return std::move(collect.list);
}

std::vector<NamedGenerator> Module::generators() {
  CollectGenerators collect;
  visit(collect);
  return std::move(collect.list);
}

Index Module::parameter_count() const {
  Count count;
  inspect(count);
  return count.count;
}

void Module::train(bool on) {
  training_ = on;
  SetMode set(on);
  visit(set);
}

void Module::to(Dtype dtype) {
  if (!is_floating(dtype)) throw DtypeError(fmt::format("{}: a model's dtype is float32 or float64, not {}", label(), to_string(dtype)));
  const NoRecord pause;
  Convert convert(dtype);
  visit(convert);
}

void Module::freeze(bool on) {
  Freeze freeze(on);
  visit(freeze);
}

std::string to_string(const Module& module) {
  CollectRows collect;
  module.inspect(collect);
  collect.rows.insert(collect.rows.begin(), {"", module.label(), std::to_string(module.parameter_count())});
  return format_table(collect.rows);
}

}  // namespace wengert::nn
