#include "operations.h"

#include <autodiff/autodiff.h>

#include <algorithm>

namespace wengert::golden {
namespace {

const Operation* find_operation(std::string_view name) {
  for (const auto table : {unary_operations(), binary_operations(), reductions(), shape_operations(), linear_algebra(),
                           network_operations(), layer_operations(), losses()}) {
    const auto found = std::find_if(table.begin(), table.end(), [&](const Operation& o) { return name == o.name; });
    if (found != table.end()) return &*found;
  }
  return nullptr;
}

// The operands in call order. A name that occurs twice is one variable, with the total gradient.
std::vector<Tensor> operands(Tape& tape, const Case& c, const Values& given) {
  Values variables;
  std::vector<Tensor> list;
  for (const Input& input : c.inputs) {
    const Tensor& value = given.at(input.name);
    if (!variables.contains(input.name)) variables.emplace(input.name, input.differentiable ? tape.variable(value) : value);
    list.push_back(variables.at(input.name));
  }
  return list;
}

// The gradients of L, the sum of all differentiable outputs times their cotangents. For a single output, the cotangent is the seed.
std::vector<Tensor> pull_back(Tape& tape, const Case& c, const Values& given, const Outputs& outputs, std::span<const Tensor> sources) {
  if (outputs.size() == 1) {
    return tape.gradient(outputs[0], sources, {.seed = given.at(c.outputs[0].cotangent), .unreached = Unreached::zero});
  }
  Tensor total;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (!c.outputs[k].differentiable) continue;
    const Tensor term = sum(outputs[k] * given.at(c.outputs[k].cotangent));
    total = total.defined() ? total + term : term;
  }
  return tape.gradient(total, sources, {.unreached = Unreached::zero});
}

}  // namespace

const Operation& operation_named(std::string_view name) {
  const Operation* found = find_operation(name);
  if (!found) throw Missing{std::string(name)};
  return *found;
}

Values compute(const Case& c, const Values& given) {
  if (c.group == "g7_optim") return compute_trajectory(c, given);
  if (c.group == "g8_second") return compute_second_order(c, given);
  return compute_vjp(c, given);
}

Values compute_vjp(const Case& c, const Values& given) {
  const Operation& operation = operation_named(c.op);
  Tape tape;
  const std::vector<Tensor> in = operands(tape, c, given);
  const Outputs outputs = operation.apply(in, c.attributes);
  if (outputs.size() != c.outputs.size())
    throw ShapeError(c.op + ": gives " + std::to_string(outputs.size()) + " tensors, expected " + std::to_string(c.outputs.size()));
  Values results;
  for (std::size_t k = 0; k < outputs.size(); ++k) results.emplace(c.outputs[k].name, outputs[k].constant());
  std::vector<Tensor> sources;
  std::vector<std::string> names;
  for (std::size_t k = 0; k < in.size(); ++k) {
    if (!c.inputs[k].differentiable || results.contains(c.inputs[k].gradient)) continue;
    results.emplace(c.inputs[k].gradient, Tensor());
    names.push_back(c.inputs[k].gradient);
    sources.push_back(in[k]);
  }
  if (sources.empty()) return results;
  const std::vector<Tensor> gradients = pull_back(tape, c, given, outputs, sources);
  for (std::size_t k = 0; k < names.size(); ++k) results.at(names[k]) = gradients[k];
  return results;
}

}  // namespace wengert::golden
