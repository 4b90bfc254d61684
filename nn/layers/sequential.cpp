#include "nn/layers/sequential.h"

#include <fmt/format.h>

#include <utility>

#include "autodiff/tape/tape.h"
#include "autodiff/tensor/error_text.h"
#include "nn/layers/basic.h"
#include "nn/layers/convolution.h"
#include "nn/module/table.h"

namespace wengert::nn {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// The layer as an L; null if it is of another type, even one derived from L, which may compute something else.
template <class L> L* exactly(Module* layer) { return layer && typeid(*layer) == typeid(L) ? static_cast<L*>(layer) : nullptr; }

// The size of a MaxPool2d's windows if they are square and do not overlap; else 0.
Index simple_window(const MaxPool2d& pool) {
  const auto is = [](HeightWidth p, Index size) { return p.height == size && p.width == size; };
  const Index size = pool.kernel.height;
  const MaxPool2dOptions& o = pool.options;
  const bool simple =
      is(pool.kernel, size) && (is(o.stride, 0) || is(o.stride, size)) && is(o.padding, 0) && is(o.dilation, 1) && !o.ceil_mode;
  return simple ? size : 0;
}

// Runs layer `i` and those after it as one operation, if there is one for them: the result, with `i` set to the last of these layers.
// Undefined if there is no such operation.
template <class Layers> Tensor call_fused(const Layers& layers, std::size_t& i, const Tensor& x, Location site) {
  const auto at = [&](std::size_t k) { return k < layers.size() ? &layers[k]->module() : nullptr; };
  if (!exactly<ReLU>(at(i + 1))) return {};
  if (const auto* const linear = exactly<Linear>(at(i))) {
    i += 1;
    return linear->with_relu(x, site);
  }
  const auto* const convolution = exactly<Conv2d>(at(i));
  if (!convolution) return {};
  const auto* const pool = exactly<MaxPool2d>(at(i + 2));
  const Index window = pool ? simple_window(*pool) : 0;
  i += window > 0 ? 2 : 1;
  return convolution->with_relu(x, window > 0 ? window : 1, site);
}

// Runs the layers on x and adds a row for each; those of a Sequential inside are listed below its own.
Tensor run(Sequential& model, Tensor x, const std::string& prefix, Rows& rows, Location site) {
  for (std::size_t i = 0; i < model.size(); ++i) {
    const std::string name = prefix + std::to_string(i);
    Module& layer = model[i];
    const std::size_t row = rows.size();
    rows.push_back({name, layer.label(), "?", std::to_string(layer.parameter_count())});
    auto* const inner = dynamic_cast<Sequential*>(&layer);
    x = inner ? run(*inner, x, name + ".", rows, site) : model.call(i, x, site);
    rows[row][2] = to_string(x.shape());
  }
  return x;
}

// Whether a message that names a layer helps.
bool is_about_operands(const Error& error) {
  return typeid(error) == typeid(ShapeError) || typeid(error) == typeid(DtypeError) || typeid(error) == typeid(ValueError);
}

// Runs the layers on x, one after the other or several as one operation. An error names the layer.
template <class Layers, class Call> Tensor run_layers(const Layers& layers, const Tensor& x, const Call& call, Location site) {
  Tensor y = x;
  std::size_t i = 0;
  try {
    for (; i < layers.size(); ++i) {
      std::size_t last = i;
      Tensor fused = call_fused(layers, last, y, site);
      y = fused.defined() ? std::move(fused) : call(*layers[i], y);
      i = last;
    }
  } catch (const Error& error) {
    if (!is_about_operands(error)) throw;
    wengert::detail::throw_again(error, "", fmt::format("; in layer {} of the Sequential, {}", i, layers[i]->module().label()));
  }
  return y;
}

// Runs the layers of a Sequential, const or not, on x, and appends the output of each.
template <class Model>
Tensor run_named(Model& model, Tensor x, const std::string& prefix, std::vector<NamedTensor>& activations, Location site) {
  for (std::size_t i = 0; i < model.size(); ++i) {
    const std::string name = prefix + std::to_string(i);
    if (auto* const inner = dynamic_cast<Model*>(&model[i])) {
      x = run_named(*inner, x, name + ".", activations, site);
    } else {
      x = model.call(i, x, site);
      activations.push_back({name, x});
    }
  }
  return x;
}

}  // namespace

namespace detail {

void needs_mutable(const Module& layer) {
  throw Error(fmt::format(
      "Sequential: a const model cannot run {}, whose operator() is not const; hint: declare that const, or run a copy of the model",
      layer.label()));
}

}  // namespace detail

Sequential::Sequential(const Sequential& o) : Module(o) {
  layers_.reserve(o.layers_.size());
  for (const auto& layer : o.layers_) layers_.push_back(layer->copy());
}

Sequential& Sequential::operator=(const Sequential& o) {
  if (this == &o) return *this;
  Sequential copy(o);  // all allocations come first; o may be one of these layers
  if (layers_.size() != copy.layers_.size()) {
    layers_ = std::move(copy.layers_);
    return *this;
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i]->assign(*copy.layers_[i])) layers_[i] = std::move(copy.layers_[i]);
  }
  return *this;
}

Tensor Sequential::operator()(const Tensor& x, Location site) {
  return run_layers(
      layers_, x, [&](detail::AnyLayer& layer, const Tensor& y) { return layer.call(y, site); }, site);
}

Tensor Sequential::operator()(const Tensor& x, Location site) const {
  return run_layers(
      layers_, x, [&](const detail::AnyLayer& layer, const Tensor& y) { return layer.call_const(y, site); }, site);
}

std::vector<NamedTensor> Sequential::activations(const Tensor& x, Location site) {
  std::vector<NamedTensor> list;
  run_named(*this, x, "", list, site);
  return list;
}

std::vector<NamedTensor> Sequential::activations(const Tensor& x, Location site) const {
  std::vector<NamedTensor> list;
  run_named(*this, x, "", list, site);
  return list;
}

Tensor Sequential::call(std::size_t i, const Tensor& x, Location site) { return layer_at(i).call(x, site); }
Tensor Sequential::call(std::size_t i, const Tensor& x, Location site) const { return std::as_const(layer_at(i)).call_const(x, site); }

void Sequential::visit(Visitor& visitor) {
  for (std::size_t i = 0; i < layers_.size(); ++i) visitor(i, layers_[i]->module());
}

std::string Sequential::summary(const Shape& input, Location site) const {
  const ParameterList list = parameters();
  return summary(input, list.empty() ? float32 : list[0]->value.dtype(), site);
}

std::string Sequential::summary(const Shape& input, Dtype dtype, Location site) const {
  const NoRecord pause;
  Sequential copy(*this);
  copy.eval();
  Rows rows{{"", "layer", "output", "parameters"}, {"", "input", to_string(input), ""}};
  try {
    const Tensor y = run(copy, Tensor::zeros(input, dtype, site), "", rows, site);
    rows.push_back({"", "total", to_string(y.shape()), std::to_string(parameter_count())});
  } catch (const Error& error) {
    wengert::detail::throw_again(error, "", "\n" + format_table(rows));
  }
  return format_table(rows);
}

detail::AnyLayer& Sequential::layer_at(std::size_t i) const {
  if (i >= layers_.size()) throw ShapeError(fmt::format("Sequential: there is no layer {}, only {} layers", i, layers_.size()));
  return *layers_[i];
}

void Sequential::wrong_type(std::size_t i, const std::type_info& wanted) const {
  throw Error(fmt::format("Sequential: layer {} is {}, not a {}", i, (*this)[i].label(), detail::type_name(wanted)));
}

}  // namespace wengert::nn
