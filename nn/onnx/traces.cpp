#include "nn/onnx/traces.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "autodiff/error.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert::nn::onnx {
namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  if (a.size() == 0) return true;
  const Tensor x = a.contiguous(), y = b.contiguous();
  return wengert::detail::dispatch(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return std::memcmp(x.data<T>(), y.data<T>(), static_cast<std::size_t>(x.size()) * sizeof(T)) == 0;
  });
}

// Options whose values count from one end of a dimension, and are compared by their users.
bool counts_positions(const std::string& operation) { return operation == "select" || operation == "slice"; }

}  // namespace

bool is_fixed(std::span<const Shape> shapes, int dim) {
  return std::all_of(shapes.begin(), shapes.end(), [&](const Shape& s) { return s[dim] == shapes[0][dim]; });
}
bool is_fixed(std::span<const Shape> shapes) {
  return std::all_of(shapes.begin(), shapes.end(), [&](const Shape& s) { return s == shapes[0]; });
}

Traces::Traces(std::vector<Trace> runs, Dims dynamic) : runs_(std::move(runs)), dynamic_(std::move(dynamic)) {
  for (std::size_t i = 1; i < runs_.size(); ++i) check_same(runs_[i]);
}

std::string Traces::describe(int operation) const {
  const TracedOperation& o = first().operations[static_cast<std::size_t>(operation)];
  return fmt::format("{} at {}", o.whole.empty() ? o.name : o.whole, to_string(o.site));
}

void Traces::check_same(const Trace& other) const {
  const Trace& one = first();
  const auto refuse = [&](int operation, const std::string& what) {
    throw Error(fmt::format("export_onnx: {}: {}", describe(operation), what));
  };
  const char* const hint =
      "; hint: compute it with differentiable operations, or, if only its size depends on the input, name no dynamic dimension "
      "(.dynamic = {})";
  for (std::size_t i = 0; i < std::min(one.operations.size(), other.operations.size()); ++i) {
    const TracedOperation &a = one.operations[i], &b = other.operations[i];
    const int at = static_cast<int>(i);
    if (a.name != b.name || a.operands.size() != b.operands.size() || a.results.size() != b.results.size())
      refuse(at, fmt::format("for another input the model computes {} instead: what it computes depends on its input", b.name));
    if (!counts_positions(a.name) && !(a.options == b.options))
      refuse(at, "an option depends on the size of the input; hint: name no dynamic dimension (.dynamic = {})");
    for (std::size_t k = 0; k < a.operands.size(); ++k) {
      const Operand &x = a.operands[k], &y = b.operands[k];
      if (x.kind != y.kind || x.index != y.index || x.shape.rank() != y.shape.rank())
        refuse(at,
               fmt::format("for another input its operand {} comes from elsewhere: what the model computes depends on its input", k + 1));
      if (x.kind == Operand::Kind::constant && !same_bits(x.value, y.value))
        refuse(at, fmt::format("operand {} depends on the input, but by operations that are not recorded{}", k + 1, hint));
    }
    for (std::size_t k = 0; k < a.results.size(); ++k)
      if (one.results[static_cast<std::size_t>(a.results[k])].shape.rank() !=
          other.results[static_cast<std::size_t>(b.results[k])].shape.rank())
        refuse(at, "for another input the result has another number of dimensions");
  }
  if (one.operations.size() != other.operations.size())
    throw Error(
        fmt::format("export_onnx: the model computes {} operations, but {} for another input: what it computes depends on its input",
                    one.operations.size(), other.operations.size()));
  for (std::size_t k = 0; k < one.outputs.size(); ++k) {
    const Operand &x = one.outputs[k], &y = other.outputs[k];
    const bool same = x.kind == y.kind && x.index == y.index && x.shape.rank() == y.shape.rank() &&
                      (x.kind != Operand::Kind::constant || same_bits(x.value, y.value));
    if (!same)
      throw Error(fmt::format("export_onnx: the output \"{}\" depends on the input, but by operations that are not recorded{}",
                              one.output_names[k], hint));
  }
}

const Operand& Traces::operand(std::size_t run, int operation, int operand) const {
  return runs_[run].operations[static_cast<std::size_t>(operation)].operands[static_cast<std::size_t>(operand)];
}

std::vector<Shape> Traces::shapes(int operation, int k) const {
  std::vector<Shape> shapes;
  for (std::size_t run = 0; run < runs_.size(); ++run) shapes.push_back(operand(run, operation, k).shape);
  return shapes;
}
std::vector<Shape> Traces::result_shapes(int result) const {
  std::vector<Shape> shapes;
  for (const Trace& run : runs_) shapes.push_back(run.results[static_cast<std::size_t>(result)].shape);
  return shapes;
}

std::vector<Dimension> Traces::dimensions(std::span<const Shape> shapes) const {
  std::vector<Dimension> list;
  for (int d = 0; d < shapes[0].rank(); ++d) {
    if (is_fixed(shapes, d)) {
      list.push_back({.size = shapes[0][d]});
      continue;
    }
    Dimension unknown;
    for (const Index of : dynamic_) {
      bool same = true;
      for (std::size_t run = 0; run < runs_.size(); ++run) same &= shapes[run][d] == runs_[run].input_shape[static_cast<int>(of)];
      if (same) unknown.name = fmt::format("size_{}", of);
    }
    list.push_back(unknown);
  }
  return list;
}

std::vector<Dimension> Traces::input_dimensions() const {
  std::vector<Shape> shapes;
  for (const Trace& run : runs_) shapes.push_back(run.input_shape);
  return dimensions(shapes);
}

}  // namespace wengert::nn::onnx
