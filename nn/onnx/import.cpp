#include "nn/onnx/import.h"

#include <fmt/format.h>

#include <utility>

#include "autodiff/error.h"
#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/error_text.h"
#include "nn/onnx/program.h"

namespace wengert::nn {
namespace {}  // namespace

OnnxModel::OnnxModel(const std::string& path) {
  onnx::LoadedProgram loaded = onnx::load_program(path, onnx::read_graph(path));
  for (NamedTensor& t : loaded.trained) {
    Parameter parameter(t.value, t.name);
    trained_.push_back({std::move(t.name), std::move(parameter)});
  }
  state_ = std::move(loaded.state);
  program_ = std::make_shared<const onnx::Program>(std::move(loaded.program));
  eval();
}

OnnxModel import_onnx(const std::string& path) { return OnnxModel(path); }

void OnnxModel::visit(Visitor& v) {
  for (Trained& t : trained_) v(t.name, t.parameter);
  for (NamedTensor& t : state_) v(t.name, t.value);
}

std::string OnnxModel::label() const { return fmt::format("OnnxModel({} nodes)", program_->steps.size()); }

const std::vector<std::string>& OnnxModel::inputs() const { return program_->inputs; }

Tensor OnnxModel::operator()(const Tensor& x, Location site) { return run(std::span(&x, 1), site)[0].value; }
Tensor OnnxModel::operator()(const Tensor& x, Location site) const { return run(std::span(&x, 1), site)[0].value; }

std::vector<NamedTensor> OnnxModel::run(std::span<const Tensor> inputs, Location site) { return run(inputs, state_, site); }
std::vector<NamedTensor> OnnxModel::run(std::span<const Tensor> inputs, Location site) const {
  if (training() && !state_.empty())
    throw Error(label() + ": the model is const and in training mode, where it would change its statistics; call eval()",
                CallSite::of(site));
  return run(inputs, std::span<NamedTensor>(), site);
}

std::vector<NamedTensor> OnnxModel::run(std::span<const Tensor> inputs, std::span<NamedTensor> changing, Location site) const {
  const onnx::Program& p = *program_;
  if (inputs.size() != p.inputs.size())
    throw ShapeError(fmt::format("{}: {} has {} inputs, but is given {}", label(), p.path, p.inputs.size(), inputs.size()),
                     CallSite::of(site));
  const CallSite scope(site);
  std::vector<Tensor> values(static_cast<std::size_t>(p.values));
  const auto value = [&](int v) -> Tensor& { return values[static_cast<std::size_t>(v)]; };
  for (std::size_t i = 0; i < inputs.size(); ++i) value(p.input_values[i]) = inputs[i];
  for (std::size_t i = 0; i < trained_.size(); ++i) value(p.trained[i]) = trained_[i].parameter;
  for (std::size_t i = 0; i < state_.size(); ++i) value(p.state[i]) = state_[i].value;
  for (const auto& [v, tensor] : p.constants) value(v) = tensor;
  onnx::RunContext context{.training = training(), .state = changing};
  std::vector<Tensor> x, y;
  for (const onnx::Step& step : p.steps) {
    x.clear();
    for (const int v : step.in) x.push_back(v < 0 ? Tensor() : value(v));
    y.assign(step.out.size(), Tensor());
    try {
      step.run(x, y, context);
    } catch (const Error& error) {
      wengert::detail::throw_again(error, fmt::format("{}: {}: ", p.path, step.what), "");
    }
    for (std::size_t k = 0; k < y.size(); ++k)
      if (step.out[k] >= 0) value(step.out[k]) = std::move(y[k]);
    for (const int v : step.last) value(v) = Tensor();
  }
  std::vector<NamedTensor> outputs;
  for (std::size_t k = 0; k < p.outputs.size(); ++k) outputs.push_back({p.outputs[k], value(p.output_values[k])});
  return outputs;
}

}  // namespace wengert::nn
