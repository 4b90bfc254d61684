#include "nn/onnx/translate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "autodiff/error.h"
#include "autodiff/ops.h"

namespace wengert::nn::onnx {
namespace {

constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();  // of any dimension

using Integers = std::vector<std::int64_t>;
using Names = std::vector<std::string>;

Tensor list(const Integers& values) { return Tensor::from(values); }

// One operation on its way into the graph.
class Call {
 public:
  Call(GraphWriter& graph, int at) : graph_(graph), at_(at), op_(graph.traces().first().operations[static_cast<std::size_t>(at)]) {}

  const TracedOperation& op() const { return op_; }
  std::size_t operands() const { return op_.operands.size(); }
  bool given(int i) const { return static_cast<std::size_t>(i) < operands() && operand(i).given(); }
  const Operand& operand(int i) const { return op_.operands[static_cast<std::size_t>(i)]; }
  const Shape& shape(int i = 0) const { return operand(i).shape; }
  Dtype dtype() const { return graph_.traces().first().results[static_cast<std::size_t>(op_.results[0])].dtype; }
  std::vector<Shape> shapes(int i = 0) const { return graph_.traces().shapes(at_, i); }
  std::vector<Shape> result_shapes(int k = 0) const { return graph_.traces().result_shapes(op_.results[static_cast<std::size_t>(k)]); }
  std::size_t runs() const { return graph_.traces().size(); }
  const OperationOptions& options(std::size_t run = 0) const { return graph_.traces().options(run, at_); }

  std::string x(int i = 0) const { return graph_.value(operand(i)); }
  std::string node(std::string_view operation, Names inputs, std::vector<Attribute> attributes = {}) const {
    return graph_.node(operation, std::move(inputs), std::move(attributes), 1)[0];
  }
  Names nodes(std::string_view operation, Names inputs, std::vector<Attribute> attributes, int outputs) const {
    return graph_.node(operation, std::move(inputs), std::move(attributes), outputs);
  }
  std::string constant(const Tensor& t) const { return graph_.constant(t); }
  std::string integers(const Integers& values) const { return constant(list(values)); }
  // A number beside the operands.
  std::string number(double v) const { return constant(Tensor::full({}, v, operand(0).dtype)); }
  GraphWriter& graph() const { return graph_; }

  void result(std::string value, int k = 0) const { graph_.bind(op_.results[static_cast<std::size_t>(k)], std::move(value)); }
  bool is_needed(int k) const { return graph_.is_needed(op_.results[static_cast<std::size_t>(k)]); }

  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(fmt::format("export_onnx: {}: {}", graph_.traces().describe(at_), what));
  }

  // x in the shape that has these sizes in the runs: an operand of Reshape.
  std::string reshape(const std::string& value, std::span<const Shape> from, std::span<const Shape> to) const {
    Integers sizes;
    bool open = false;
    for (int d = 0; d < to[0].rank(); ++d) {
      if (is_fixed(to, d)) {
        sizes.push_back(to[0][d]);
        continue;
      }
      bool kept = d < from[0].rank();
      for (std::size_t run = 0; kept && run < to.size(); ++run) kept = from[run][d] == to[run][d];
      if (!kept && open)
        refuse("more than one size of the new shape depends on the size of the input; hint: name fewer dynamic dimensions (.dynamic)");
      open |= !kept;
      sizes.push_back(kept ? 0 : -1);
    }
    return node("Reshape", {value, integers(sizes)});
  }

 private:
  GraphWriter& graph_;
  int at_;
  const TracedOperation& op_;
};

Integers as_integers(std::span<const Index> values) { return {values.begin(), values.end()}; }
Integers dims_of(const Call& c) {
  Integers dims = as_integers(c.options().integers("dims"));
  for (std::int64_t& d : dims)
    if (d < 0) d += c.shape().rank();
  std::sort(dims.begin(), dims.end());
  return dims;
}
bool keeps_dims(const Call& c) { return c.result_shapes()[0].rank() == c.shape().rank(); }
Integers twice(const Integers& v) {
  Integers both = v;
  both.insert(both.end(), v.begin(), v.end());
  return both;
}
float number(double v) { return static_cast<float>(v); }

// ---- elementwise functions -----------------------------------------------------------------------------------------------------------

struct SameName {
  std::string_view name;
  const char* operation;
};
// Functions that ONNX has as they are.
constexpr SameName kElementwise[] = {
    {"exp", "Exp"},
    {"log", "Log"},
    {"sqrt", "Sqrt"},
    {"reciprocal", "Reciprocal"},
    {"abs", "Abs"},
    {"negative", "Neg"},
    {"sign", "Sign"},
    {"floor", "Floor"},
    {"ceil", "Ceil"},
    {"round", "Round"},
    {"sin", "Sin"},
    {"cos", "Cos"},
    {"tan", "Tan"},
    {"asin", "Asin"},
    {"acos", "Acos"},
    {"atan", "Atan"},
    {"sinh", "Sinh"},
    {"cosh", "Cosh"},
    {"tanh", "Tanh"},
    {"asinh", "Asinh"},
    {"acosh", "Acosh"},
    {"atanh", "Atanh"},
    {"sigmoid", "Sigmoid"},
    {"softsign", "Softsign"},
    {"relu", "Relu"},
    {"selu", "Selu"},
    {"hardswish", "HardSwish"},
    {"erf", "Erf"},
    {"add", "Add"},
    {"subtract", "Sub"},
    {"multiply", "Mul"},
    {"divide", "Div"},
    {"pow", "Pow"},
    {"maximum", "Max"},
    {"minimum", "Min"},
    {"matmul", "MatMul"},
    {"where", "Where"},
};

// x limited to [low, high].
void clip(const Call& c, double low, double high) {
  c.result(c.node("Clip", {c.x(), std::isinf(low) ? "" : c.number(low), std::isinf(high) ? "" : c.number(high)}));
}

void softplus(const Call& c) {
  const double beta = c.options().number("first");
  if (beta == 1) return c.result(c.node("Softplus", {c.x()}));
  c.result(c.node("Div", {c.node("Softplus", {c.node("Mul", {c.x(), c.number(beta)})}), c.number(beta)}));
}
void softshrink(const Call& c) {
  const float lambda = number(c.options().number("first"));
  c.result(c.node("Shrink", {c.x()}, {attribute("lambd", lambda), attribute("bias", lambda)}));
}
void gelu(const Call& c) {  // x / 2 (1 + erf(x / sqrt 2))
  const std::string x = c.x(), inner = c.node("Erf", {c.node("Div", {x, c.number(std::sqrt(2.0))})});
  c.result(c.node("Mul", {c.node("Mul", {x, c.node("Add", {inner, c.number(1)})}), c.number(0.5)}));
}
void gelu_tanh(const Call& c) {  // x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  const std::string x = c.x(), cube = c.node("Mul", {c.node("Mul", {x, x}), x});
  const std::string sum = c.node("Add", {x, c.node("Mul", {cube, c.number(0.044715)})});
  const std::string inner = c.node("Tanh", {c.node("Mul", {sum, c.number(std::sqrt(2 / std::acos(-1.0)))})});
  c.result(c.node("Mul", {c.node("Mul", {x, c.node("Add", {inner, c.number(1)})}), c.number(0.5)}));
}
void logaddexp(const Call& c) {  // max(a, b) + ln(1 + e^-|a - b|)
  const std::string a = c.x(0), b = c.x(1), distance = c.node("Abs", {c.node("Sub", {a, b})});
  c.result(c.node("Add", {c.node("Max", {a, b}), c.node("Softplus", {c.node("Neg", {distance})})}));
}

// ---- products ------------------------------------------------------------------------------------------------------------------------

// x W^T + b: Gemm for matrices; for other ranks a product and a sum.
std::string affine(const Call& c) {
  const bool bias = c.given(2);
  if (c.shape().rank() == 2) {
    Names inputs{c.x(0), c.x(1)};
    if (bias) inputs.push_back(c.x(2));
    return c.node("Gemm", std::move(inputs), {attribute("transB", std::int64_t{1})});
  }
  const std::string product = c.node("MatMul", {c.x(0), c.node("Transpose", {c.x(1)}, {attribute("perm", Integers{1, 0})})});
  return bias ? c.node("Add", {product, c.x(2)}) : product;
}

// The gates of a cell before their activation: x, W, h, U and perhaps the bias.
void gate_sum(const Call& c) {
  const Attribute transposed = attribute("transB", std::int64_t{1});
  Names inputs{c.x(0), c.x(1)};
  if (c.given(4)) inputs.push_back(c.x(4));
  const std::string left = c.node("Gemm", std::move(inputs), {transposed}), right = c.node("Gemm", {c.x(2), c.x(3)}, {transposed});
  c.result(c.node("Add", {left, right}));
}

// The parts of (n, gates hidden).
Names gates_of(const Call& c, int operand, int count) {
  const Integers sizes(static_cast<std::size_t>(count), c.shape(operand)[1] / count);
  return c.nodes("Split", {c.x(operand), c.integers(sizes)}, {attribute("axis", std::int64_t{1})}, count);
}
void lstm_cell(const Call& c) {  // c' = f c + i g, h' = o tanh(c')
  const Names s = gates_of(c, 0, 4);
  const std::string kept = c.node("Mul", {c.node("Sigmoid", {s[1]}), c.x(1)});
  const std::string added = c.node("Mul", {c.node("Sigmoid", {s[0]}), c.node("Tanh", {s[2]})});
  const std::string next = c.node("Add", {kept, added});
  c.result(c.node("Mul", {c.node("Sigmoid", {s[3]}), c.node("Tanh", {next})}), 0);
  c.result(next, 1);
}
void gru_cell(const Call& c) {  // h' = (1 - z) n + z h
  const Names a = gates_of(c, 0, 3), b = gates_of(c, 1, 3);
  const auto gate = [&](std::size_t k) { return c.node("Sigmoid", {c.node("Add", {a[k], b[k]})}); };
  const std::string r = gate(0), z = gate(1), n = c.node("Tanh", {c.node("Add", {a[2], c.node("Mul", {r, b[2]})})});
  const std::string added = c.node("Mul", {c.node("Sub", {c.number(1), z}), n});
  c.result(c.node("Add", {added, c.node("Mul", {z, c.x(2)})}), 0);
}

// ---- convolution and pooling ---------------------------------------------------------------------------------------------------------

Names with_bias(const Call& c) {
  Names inputs{c.x(0), c.x(1)};
  if (c.given(2)) inputs.push_back(c.x(2));
  return inputs;
}
Integers kernel_of(const Call& c) {
  Integers kernel;
  for (int d = 2; d < c.shape(1).rank(); ++d) kernel.push_back(c.shape(1)[d]);
  return kernel;
}
std::vector<Attribute> convolution_attributes(const Call& c) {
  const OperationOptions& o = c.options();
  return {attribute("kernel_shape", kernel_of(c)), attribute("strides", as_integers(o.integers("stride"))),
          attribute("pads", twice(as_integers(o.integers("padding")))), attribute("dilations", as_integers(o.integers("dilation"))),
          attribute("group", std::int64_t{o.integer("groups")})};
}
void convolution(const Call& c) { c.result(c.node("Conv", with_bias(c), convolution_attributes(c))); }
std::string convolution_relu(const Call& c) {
  return c.node(
      "Relu", {c.node("Conv", with_bias(c),
                      {attribute("kernel_shape", kernel_of(c)), attribute("pads", twice(as_integers(c.options().integers("padding"))))})});
}
void transposed_convolution(const Call& c) {
  const OperationOptions& o = c.options();
  Integers output_padding;
  for (std::size_t d = 0; d < o.integers("stride").size(); ++d) {
    const int at = static_cast<int>(d) + 2;
    const Index least =
        (c.shape()[at] - 1) * o.integers("stride")[d] - 2 * o.integers("padding")[d] + o.integers("dilation")[d] * (c.shape(1)[at] - 1) + 1;
    output_padding.push_back(c.result_shapes()[0][at] - least);
  }
  std::vector<Attribute> attributes = convolution_attributes(c);
  attributes.push_back(attribute("output_padding", output_padding));
  c.result(c.node("ConvTranspose", with_bias(c), std::move(attributes)));
}

// Whether windows that hang over the end count: the number of windows says it.
bool has_hanging_windows(const Call& c) {
  const OperationOptions& o = c.options();
  const std::vector<Shape> from = c.shapes(), to = c.result_shapes();
  bool floor = true, ceiling = true;
  for (std::size_t run = 0; run < c.runs(); ++run)
    for (std::size_t d = 0; d < o.integers("kernel").size(); ++d) {
      const int at = static_cast<int>(d) + 2;
      const Index room = from[run][at] + 2 * o.integers("padding")[d] - o.integers("dilation")[d] * (o.integers("kernel")[d] - 1) - 1;
      const Index stride = o.integers("stride")[d];
      floor &= to[run][at] == room / stride + 1;
      ceiling &= to[run][at] == (room + stride - 1) / stride + 1;
    }
  if (!floor && !ceiling) c.refuse("ONNX has no windows that hang over the end in one dimension alone");
  return !floor;
}
std::vector<Attribute> window_attributes(const Call& c) {
  const OperationOptions& o = c.options();
  return {attribute("kernel_shape", as_integers(o.integers("kernel"))), attribute("strides", as_integers(o.integers("stride"))),
          attribute("pads", twice(as_integers(o.integers("padding"))))};
}
void max_pool(const Call& c) {
  std::vector<Attribute> attributes = window_attributes(c);
  attributes.push_back(attribute("dilations", as_integers(c.options().integers("dilation"))));
  if (has_hanging_windows(c)) attributes.push_back(attribute("ceil_mode", std::int64_t{1}));
  c.result(c.node("MaxPool", {c.x()}, std::move(attributes)));
}
void adaptive_average(const Call& c) {
  const std::vector<Shape> from = c.shapes(), to = c.result_shapes();
  bool global = true, even = is_fixed(from, 2) && is_fixed(from, 3);
  Integers window;
  for (const int d : {2, 3}) {
    global &= to[0][d] == 1;
    even &= from[0][d] % to[0][d] == 0;
    window.push_back(from[0][d] / to[0][d]);
  }
  if (global) return c.result(c.node("GlobalAveragePool", {c.x()}));
  if (!even) c.refuse("ONNX has only windows of one size, and these sizes do not divide those of the image");
  c.result(c.node("AveragePool", {c.x()}, {attribute("kernel_shape", window), attribute("strides", window)}));
}
void average_pool(const Call& c) {
  if (c.options().flag("adaptive")) return adaptive_average(c);
  if (has_hanging_windows(c)) c.refuse("means of windows that hang over the end (ceil_mode) differ in ONNX");
  std::vector<Attribute> attributes = window_attributes(c);
  attributes.push_back(attribute("count_include_pad", std::int64_t{c.options().flag("count_include_pad")}));
  c.result(c.node("AveragePool", {c.x()}, std::move(attributes)));
}

// ---- reductions ----------------------------------------------------------------------------------------------------------------------

void sum(const Call& c) {  // the axes are an operand since version 13
  c.result(c.node("ReduceSum", {c.x(), c.integers(dims_of(c))},
                  {attribute("keepdims", std::int64_t{keeps_dims(c)}), attribute("noop_with_empty_axes", std::int64_t{1})}));
}
template <const char* const& kName> void reduction(const Call& c) {
  if (dims_of(c).empty()) return c.result(c.x());
  c.result(c.node(kName, {c.x()}, {attribute("axes", dims_of(c)), attribute("keepdims", std::int64_t{keeps_dims(c)})}));
}
const char *const kMean = "ReduceMean", *const kMax = "ReduceMax", *const kMin = "ReduceMin", *const kLogSumExp = "ReduceLogSumExp",
                  *const kProd = "ReduceProd", *const kL2 = "ReduceL2";

void norm(const Call& c) {
  if (dims_of(c).empty()) return c.result(c.node("Abs", {c.x()}));
  reduction<kL2>(c);
}

void running_sum(const Call& c) {
  c.result(c.node("CumSum", {c.x(), c.constant(Tensor::full({}, c.options().integer("dim"), int64))},
                  {attribute("reverse", std::int64_t{c.options().flag("backwards")})}));
}

// A reduction for each element of a dimension, of it and those before: no operation of ONNX runs along. So the elements stand in rows, in
// which those that come later are replaced by `neutral`.
std::string rows_so_far(const Call& c, int dim, double neutral) {
  if (!is_fixed(c.shapes(), dim)) c.refuse("its number of terms depends on the input; hint: name fewer dynamic dimensions (.dynamic)");
  const Index n = c.shape()[dim];
  Shape rows{n, n};
  for (int d = dim + 1; d < c.shape().rank(); ++d) rows.push_back(1);
  const Tensor later = reshape(triu(Tensor::ones({n, n}), 1) != 0, rows);
  return c.node("Where",
                {c.constant(later), c.constant(Tensor::full({}, neutral, c.dtype())), c.node("Unsqueeze", {c.x(), c.integers({dim})})});
}
void running_logsumexp(const Call& c) {
  const int last = c.shape().rank() - 1;
  const std::string rows = rows_so_far(c, last, -std::numeric_limits<double>::infinity());
  c.result(c.node(kLogSumExp, {rows}, {attribute("axes", Integers{last + 1}), attribute("keepdims", std::int64_t{0})}));
}
void running_product(const Call& c) {
  const auto dim = static_cast<int>(c.options().integer("dim"));
  const std::string rows = rows_so_far(c, dim, 1);
  c.result(c.node(kProd, {rows}, {attribute("axes", Integers{dim + 1}), attribute("keepdims", std::int64_t{0})}));
}

// ---- shapes --------------------------------------------------------------------------------------------------------------------------

void transpose(const Call& c) {
  Integers order;
  for (int d = 0; d < c.shape().rank(); ++d) order.push_back(d);
  std::swap(order[static_cast<std::size_t>(c.options().integer("dim0"))], order[static_cast<std::size_t>(c.options().integer("dim1"))]);
  c.result(c.node("Transpose", {c.x()}, {attribute("perm", order)}));
}
void expand(const Call& c) {
  const std::vector<Shape> from = c.shapes(), to = c.result_shapes();
  Integers sizes;
  for (int d = 0; d < to[0].rank(); ++d) {
    const int source = d - (to[0].rank() - from[0].rank());
    bool kept = source >= 0;
    for (std::size_t run = 0; kept && run < to.size(); ++run) kept = from[run][source] == to[run][d];
    if (!kept && !is_fixed(to, d))
      c.refuse("the new shape depends on the size of the input; hint: name no dynamic dimension (.dynamic = {})");
    sizes.push_back(kept ? 1 : to[0][d]);
  }
  c.result(c.node("Expand", {c.x(), c.integers(sizes)}));
}

// A position along a dimension that is the same in all runs, from the front or, negative, from the end.
std::int64_t position(const Call& c, int dim, const std::vector<Index>& at) {
  const std::vector<Shape> shapes = c.shapes();
  bool front = true, back = true;
  for (std::size_t run = 0; run < c.runs(); ++run) {
    front &= at[run] == at[0];
    back &= at[run] - shapes[run][dim] == at[0] - shapes[0][dim];
  }
  if (front) return at[0];
  if (!back) c.refuse("the position depends on the size of the input; hint: name no dynamic dimension (.dynamic = {})");
  const std::int64_t from_end = at[0] - shapes[0][dim];
  return from_end == 0 ? kEnd : from_end;
}
template <class F> std::vector<Index> in_all_runs(const Call& c, const F& f) {
  std::vector<Index> values;
  for (std::size_t run = 0; run < c.runs(); ++run) values.push_back(f(run));
  return values;
}
void select(const Call& c) {
  const auto dim = static_cast<int>(c.options().integer("dim"));
  const std::int64_t index = position(c, dim, in_all_runs(c, [&](std::size_t run) { return c.options(run).integer("index"); }));
  c.result(c.node("Gather", {c.x(), c.constant(Tensor::full({}, index, int64))}, {attribute("axis", std::int64_t{dim})}));
}
void slice(const Call& c) {
  const auto dim = static_cast<int>(c.options().integer("dim"));
  const Index step = c.options().integer("step");
  const std::vector<Shape> to = c.result_shapes(), from = c.shapes();
  const std::vector<Index> starts = in_all_runs(c, [&](std::size_t run) { return c.options(run).integer("start"); });
  const std::vector<Index> stops = in_all_runs(c, [&](std::size_t run) {
    const Index stop = starts[run] + to[run][dim] * step;
    return std::min(stop, from[run][dim]);
  });
  c.result(c.node("Slice", {c.x(), c.integers({position(c, dim, starts)}), c.integers({position(c, dim, stops)}), c.integers({dim}),
                            c.integers({step})}));
}
void flip(const Call& c) {
  const Integers dims = dims_of(c);
  const Integers back(dims.size(), -1), start(dims.size(), -1), stop(dims.size(), std::numeric_limits<std::int64_t>::min());
  c.result(c.node("Slice", {c.x(), c.integers(start), c.integers(stop), c.integers(dims), c.integers(back)}));
}
void concat(const Call& c) {
  Names inputs;
  for (std::size_t i = 0; i < c.operands(); ++i) inputs.push_back(c.x(static_cast<int>(i)));
  c.result(c.node("Concat", std::move(inputs), {attribute("axis", std::int64_t{c.options().integer("dim")})}));
}
void pad(const Call& c) {
  Integers widths = as_integers(c.options().integers("before"));
  for (const Index w : c.options().integers("after")) widths.push_back(w);
  c.result(c.node("Pad", {c.x(), c.integers(widths), c.number(c.options().number("value"))}));
}

// ---- layers that are composed of operations ------------------------------------------------------------------------------------------

void embedding(const Call& c) { c.result(c.node("Gather", {c.x(1), c.x(0)}, {attribute("axis", std::int64_t{0})})); }

// (c) as (c, 1, ...), which broadcasts along the channels of x.
std::string along_channels(const Call& c, int operand) {
  Integers sizes{c.shape(operand)[0]};
  for (int d = 2; d < c.shape().rank(); ++d) sizes.push_back(1);
  return sizes.size() == 1 ? c.x(operand) : c.node("Reshape", {c.x(operand), c.integers(sizes)});
}
void prelu(const Call& c) { c.result(c.node("PRelu", {c.x(), c.shape(1)[0] == 1 ? c.x(1) : along_channels(c, 1)})); }

void layer_norm(const Call& c) {
  const Shape normalized{std::span<const Index>(c.options().integers("normalized"))};
  Names inputs{c.x(), c.given(1) ? c.x(1) : c.constant(Tensor::ones(normalized, c.dtype()))};
  if (c.given(2)) inputs.push_back(c.x(2));
  c.result(c.node("LayerNormalization", std::move(inputs),
                  {attribute("axis", std::int64_t{-normalized.rank()}), attribute("epsilon", number(c.options().number("eps")))}));
}

// InstanceNormalization of (n, groups, ...), without the weights of channels, which multiply and shift its result.
void group_norm(const Call& c) {
  const Index groups = c.options().integer("groups");
  const std::vector<Shape> full = c.shapes();
  std::vector<Shape> grouped;
  grouped.reserve(full.size());
  for (const Shape& s : full) grouped.push_back({s[0], groups, groups > 0 ? s.size() / std::max<Index>(1, s[0] * groups) : 0});
  std::string y = c.node(
      "InstanceNormalization",
      {c.reshape(c.x(), full, grouped), c.constant(Tensor::ones({groups}, c.dtype())), c.constant(Tensor::zeros({groups}, c.dtype()))},
      {attribute("epsilon", number(c.options().number("eps")))});
  y = c.reshape(y, grouped, full);
  if (c.given(1)) y = c.node("Mul", {y, along_channels(c, 1)});
  if (c.given(2)) y = c.node("Add", {y, along_channels(c, 2)});
  c.result(y);
}

void batch_norm(const Call& c) {
  const Shape channels{c.shape()[1]};
  c.result(c.node("BatchNormalization",
                  {c.x(), c.given(1) ? c.x(1) : c.constant(Tensor::ones(channels, c.dtype())),
                   c.given(2) ? c.x(2) : c.constant(Tensor::zeros(channels, c.dtype())), c.x(3), c.x(4)},
                  {attribute("epsilon", number(c.options().number("eps"))),
                   attribute("momentum", number(1 - c.options().number("momentum")))}));  // ONNX weighs the old statistics
}

// Operands of a recurrence: x (t, n, in), initial states, lengths, then weight_ih, weight_hh, bias_ih, bias_hh of each layer and direction.
struct Recurrence {
  const char* operation;
  int states;                // of a cell
  std::vector<Index> order;  // the gates of ONNX, by their positions in ours
};

class RecurrenceWriter {
 public:
  RecurrenceWriter(const Call& c, const Recurrence& kind)
      : c_(c), kind_(kind), directions_(c.options().flag("bidirectional") ? 2 : 1), first_(2 + kind.states) {}

  void write() {
    const int layers = (static_cast<int>(c_.operands()) - first_) / 4 / directions_;
    std::string x = c_.x(0);
    std::vector<Names> last(static_cast<std::size_t>(kind_.states));
    for (int layer = 0; layer < layers; ++layer) {
      Names outputs = write_layer(x, layer);
      x = joined(outputs[0]);
      for (std::size_t k = 0; k < last.size(); ++k) last[k].push_back(outputs[k + 1]);
    }
    c_.result(x, 0);
    for (int k = 0; k < kind_.states; ++k) {
      const Names& of_layers = last[static_cast<std::size_t>(k)];
      if (c_.is_needed(k + 1))
        c_.result(layers == 1 ? of_layers[0] : c_.node("Concat", of_layers, {attribute("axis", std::int64_t{0})}), k + 1);
    }
  }

 private:
  int weights_at(int layer, int direction) const { return first_ + 4 * (layer * directions_ + direction); }

  Names write_layer(const std::string& x, int layer) {
    const int at = weights_at(layer, 0);
    Names inputs{x, weight("W", layer, 0), weight("R", layer, 1), c_.given(at + 2) ? bias(layer) : ""};
    const int lengths = 1 + kind_.states;
    inputs.push_back(c_.given(lengths) ? c_.node("Cast", {c_.x(lengths)}, {attribute("to", std::int64_t{6})}) : "");  // int32
    for (int k = 0; k < kind_.states; ++k) inputs.push_back(c_.given(1 + k) ? initial(1 + k, layer) : "");
    while (inputs.back().empty()) inputs.pop_back();
    const Index hidden = c_.shape(at + 1)[1];
    std::vector<Attribute> attributes{attribute("hidden_size", std::int64_t{hidden}),
                                      attribute("direction", directions_ == 2 ? "bidirectional" : "forward")};
    if (std::string_view(kind_.operation) == "GRU") attributes.push_back(attribute("linear_before_reset", std::int64_t{1}));
    if (std::string_view(kind_.operation) == "RNN" && c_.options().flag("relu")) {
      Attribute activations{.name = "activations", .kind = Attribute::Kind::texts};
      activations.texts.assign(static_cast<std::size_t>(directions_), "Relu");
      attributes.push_back(std::move(activations));
    }
    return c_.nodes(kind_.operation, std::move(inputs), std::move(attributes), 1 + kind_.states);
  }

  // (t, directions, n, hidden) as (t, n, directions hidden).
  std::string joined(const std::string& y) const {
    if (directions_ == 1) return c_.node("Squeeze", {y, c_.integers({1})});
    const std::string turned = c_.node("Transpose", {y}, {attribute("perm", Integers{0, 2, 1, 3})});
    return c_.node("Reshape", {turned, c_.integers({0, 0, -1})});
  }

  // The initial state of a layer: (directions, n, hidden).
  std::string initial(int operand, int layer) const {
    const std::int64_t from = layer * directions_;
    return c_.node("Slice", {c_.x(operand), c_.integers({from}), c_.integers({from + directions_}), c_.integers({0})});
  }

  // The rows of a weight or bias (gates hidden, ...) in ONNX's order of the gates.
  Tensor in_order(const Operand& o) const {
    if (o.kind != Operand::Kind::state && o.kind != Operand::Kind::constant)
      c_.refuse("its weights are computed by the model; ONNX needs them as they are");
    const Index hidden = o.shape[0] / static_cast<Index>(kind_.order.size());
    std::vector<Tensor> gates;
    for (const Index gate : kind_.order) gates.push_back(wengert::narrow(o.value, 0, gate * hidden, hidden));
    return wengert::concat(gates);
  }

  // The name of a layer's tensor, from that of its first weight: "lstm.weight_ih_l0" -> "lstm.W_l0".
  std::string name(const char* what, int layer) const {
    static constexpr std::string_view kWeight = "weight_ih";
    const Operand& o = c_.operand(weights_at(layer, 0));
    std::string name =
        o.kind == Operand::Kind::state ? c_.graph().traces().first().state[static_cast<std::size_t>(o.index)].name : std::string();
    const std::size_t found = name.rfind(kWeight);
    return found == std::string::npos ? std::string() : name.replace(found, kWeight.size(), what);
  }
  // As a trained tensor if its source has a name, else as a constant.
  std::string stored(const char* what, int layer, const Tensor& value) const {
    const std::string called = name(what, layer);
    return called.empty() ? c_.constant(value) : c_.graph().initializer(called, value);
  }

  std::string weight(const char* what, int layer, int which) const {
    std::vector<Tensor> of_directions(static_cast<std::size_t>(directions_));
    for (int d = 0; d < directions_; ++d) of_directions[static_cast<std::size_t>(d)] = in_order(c_.operand(weights_at(layer, d) + which));
    return stored(what, layer, wengert::stack(of_directions));
  }
  std::string bias(int layer) const {
    std::vector<Tensor> of_directions(static_cast<std::size_t>(directions_));
    for (int d = 0; d < directions_; ++d)
      of_directions[static_cast<std::size_t>(d)] =
          wengert::concat({in_order(c_.operand(weights_at(layer, d) + 2)), in_order(c_.operand(weights_at(layer, d) + 3))});
    return stored("B", layer, wengert::stack(of_directions));
  }

  const Call& c_;
  const Recurrence& kind_;
  int directions_, first_;
};

void lstm(const Call& c) { RecurrenceWriter(c, {"LSTM", 2, {0, 3, 1, 2}}).write(); }  // i f g o -> i o f c
void gru(const Call& c) { RecurrenceWriter(c, {"GRU", 1, {1, 0, 2}}).write(); }       // r z n -> z r h
void rnn(const Call& c) { RecurrenceWriter(c, {"RNN", 1, {0}}).write(); }

// ---- the list ------------------------------------------------------------------------------------------------------------------------

struct Translation {
  std::string_view name;
  void (*write)(const Call& c);
};
const Translation kTranslations[] = {
    {"linear", [](const Call& c) { c.result(affine(c)); }},
    {"linear_relu", [](const Call& c) { c.result(c.node("Relu", {affine(c)})); }},
    {"recurrent_gates", gate_sum},
    {"lstm_cell", lstm_cell},
    {"gru_cell", gru_cell},
    {"conv1d", convolution},
    {"conv2d", convolution},
    {"conv2d_relu", [](const Call& c) { c.result(convolution_relu(c)); }},
    {"conv2d_relu_max_pool2d",
     [](const Call& c) {
       c.result(
           c.node("MaxPool", {convolution_relu(c)}, {attribute("kernel_shape", Integers{2, 2}), attribute("strides", Integers{2, 2})}));
     }},
    {"conv_transpose2d", transposed_convolution},
    {"max_pool1d", max_pool},
    {"max_pool2d", max_pool},
    {"max_pool2d_with_indices", max_pool},
    {"avg_pool1d", average_pool},
    {"avg_pool2d", average_pool},
    {"adaptive_avg_pool2d", average_pool},
    {"sum", sum},
    {"mean", reduction<kMean>},
    {"max", reduction<kMax>},
    {"min", reduction<kMin>},
    {"logsumexp", reduction<kLogSumExp>},
    {"prod", reduction<kProd>},
    {"norm", norm},
    {"cumsum", running_sum},
    {"cumprod", running_product},
    {"logcumsumexp", running_logsumexp},
    {"softmax", [](const Call& c) { c.result(c.node("Softmax", {c.x()}, {attribute("axis", std::int64_t{c.options().integer("dim")})})); }},
    {"log_softmax",
     [](const Call& c) { c.result(c.node("LogSoftmax", {c.x()}, {attribute("axis", std::int64_t{c.options().integer("dim")})})); }},
    {"reshape", [](const Call& c) { c.result(c.reshape(c.x(), c.shapes(), c.result_shapes())); }},
    {"contiguous", [](const Call& c) { c.result(c.x()); }},
    {"permute",
     [](const Call& c) { c.result(c.node("Transpose", {c.x()}, {attribute("perm", as_integers(c.options().integers("dims")))})); }},
    {"transpose", transpose},
    {"expand", expand},
    {"select", select},
    {"slice", slice},
    {"flip", flip},
    {"concat", concat},
    {"pad", pad},
    {"index_select",
     [](const Call& c) {
       c.result(c.node("Gather", {c.x(0), c.x(1)}, {attribute("axis", std::int64_t{c.options().integer("dim")})}));
     }},
    {"gather",
     [](const Call& c) {
       c.result(c.node("GatherElements", {c.x(0), c.x(1)}, {attribute("axis", std::int64_t{c.options().integer("dim")})}));
     }},
    {"to", [](const Call& c) { c.result(c.node("Cast", {c.x()}, {attribute("to", std::int64_t{c.dtype() == float32 ? 1 : 11})})); }},
    {"embedding", embedding},
    {"prelu", prelu},
    {"scale_and_shift",
     [](const Call& c) {
       const std::string from_center = c.operands() > 3 ? c.node("Sub", {c.x(0), c.x(3)}) : c.x(0);
       c.result(c.node("Add", {c.node("Mul", {from_center, c.x(1)}), c.x(2)}));
     }},
    {"layer_norm", layer_norm},
    {"group_norm", group_norm},
    {"instance_norm", group_norm},
    {"batch_norm", batch_norm},
    {"lstm", lstm},
    {"gru", gru},
    {"rnn", rnn},
    // Functions with numbers, and those that are composed in ONNX.
    {"leaky_relu",
     [](const Call& c) { c.result(c.node("LeakyRelu", {c.x()}, {attribute("alpha", number(c.options().number("first")))})); }},
    {"elu", [](const Call& c) { c.result(c.node("Elu", {c.x()}, {attribute("alpha", number(c.options().number("first")))})); }},
    {"hardsigmoid",
     [](const Call& c) {
       c.result(c.node("HardSigmoid", {c.x()}, {attribute("alpha", 1.0F / 6), attribute("beta", 0.5F)}));
     }},
    {"relu6", [](const Call& c) { clip(c, 0, 6); }},
    {"clamp", [](const Call& c) { clip(c, c.options().number("first"), c.options().number("second")); }},
    {"hardtanh", [](const Call& c) { clip(c, c.options().number("first"), c.options().number("second")); }},
    {"softplus", softplus},
    {"softshrink", softshrink},
    {"exp2",
     [](const Call& c) {
       c.result(c.node("Pow", {c.number(2), c.x()}));
     }},
    {"expm1",
     [](const Call& c) {
       c.result(c.node("Sub", {c.node("Exp", {c.x()}), c.number(1)}));
     }},
    {"log1p",
     [](const Call& c) {
       c.result(c.node("Log", {c.node("Add", {c.x(), c.number(1)})}));
     }},
    {"log2",
     [](const Call& c) {
       c.result(c.node("Div", {c.node("Log", {c.x()}), c.number(std::log(2.0))}));
     }},
    {"log10",
     [](const Call& c) {
       c.result(c.node("Div", {c.node("Log", {c.x()}), c.number(std::log(10.0))}));
     }},
    {"rsqrt", [](const Call& c) { c.result(c.node("Reciprocal", {c.node("Sqrt", {c.x()})})); }},
    {"square",
     [](const Call& c) {
       c.result(c.node("Mul", {c.x(), c.x()}));
     }},
    {"step",
     [](const Call& c) {
       const std::string at_least = c.node("GreaterOrEqual", {c.x(), c.number(0)});
       c.result(c.node("Cast", {at_least}, {attribute("to", std::int64_t{c.dtype() == float32 ? 1 : 11})}));
     }},
    {"log_sigmoid", [](const Call& c) { c.result(c.node("Neg", {c.node("Softplus", {c.node("Neg", {c.x()})})})); }},
    {"logit",
     [](const Call& c) {
       c.result(c.node("Log", {c.node("Div", {c.x(), c.node("Sub", {c.number(1), c.x()})})}));
     }},
    {"silu",
     [](const Call& c) {
       c.result(c.node("Mul", {c.x(), c.node("Sigmoid", {c.x()})}));
     }},
    {"mish",
     [](const Call& c) {
       c.result(c.node("Mul", {c.x(), c.node("Tanh", {c.node("Softplus", {c.x()})})}));
     }},
    {"gelu", gelu},
    {"gelu_tanh", gelu_tanh},
    {"erfc",
     [](const Call& c) {
       c.result(c.node("Sub", {c.number(1), c.node("Erf", {c.x()})}));
     }},
    {"hypot",
     [](const Call& c) {
       const auto squared = [&](int i) { return c.node("Mul", {c.x(i), c.x(i)}); };
       c.result(c.node("Sqrt", {c.node("Add", {squared(0), squared(1)})}));
     }},
    {"logaddexp", logaddexp},
};

constexpr std::string_view kCompositions[] = {"embedding", "layer_norm", "group_norm", "instance_norm", "batch_norm", "lstm", "gru", "rnn"};

}  // namespace

std::span<const std::string_view> known_compositions() { return kCompositions; }

void translate(GraphWriter& graph, int operation) {
  const Call c(graph, operation);
  const std::string& name = c.op().name;
  const auto same = std::find_if(std::begin(kElementwise), std::end(kElementwise), [&](const SameName& s) { return s.name == name; });
  if (same != std::end(kElementwise)) {
    Names inputs;
    for (std::size_t i = 0; i < c.operands(); ++i) inputs.push_back(c.x(static_cast<int>(i)));
    return c.result(c.node(same->operation, std::move(inputs)));
  }
  const auto found = std::find_if(std::begin(kTranslations), std::end(kTranslations), [&](const Translation& t) { return t.name == name; });
  if (found == std::end(kTranslations))
    c.refuse("it has no counterpart in ONNX; hint: write the model with operations that have one (docs/onnx.md lists them)");
  found->write(c);
}

// ---- the graph -----------------------------------------------------------------------------------------------------------------------

GraphWriter::GraphWriter(const Traces& traces) : traces_(traces), results_(traces.first().results.size()), needed_(results_.size()) {
  find_needed();
}

void GraphWriter::find_needed() {
  const auto need = [&](const Operand& o) {
    if (o.kind == Operand::Kind::result) needed_[static_cast<std::size_t>(o.index)] = true;
  };
  for (const Operand& o : traces_.first().outputs) need(o);
  const std::vector<TracedOperation>& operations = traces_.first().operations;
  for (std::size_t i = operations.size(); i-- > 0;) {
    const auto& results = operations[i].results;
    if (std::any_of(results.begin(), results.end(), [&](int r) { return is_needed(r); }))
      for (const Operand& o : operations[i].operands) need(o);
  }
}

Graph GraphWriter::finish() {
  const Trace& trace = traces_.first();
  graph_.inputs.push_back({"input", trace.input_dtype, traces_.input_dimensions()});
  for (std::size_t i = 0; i < trace.operations.size(); ++i) {
    const auto& results = trace.operations[i].results;
    if (std::any_of(results.begin(), results.end(), [&](int r) { return is_needed(r); })) translate(*this, static_cast<int>(i));
  }
  add_outputs();
  return std::move(graph_);
}

void GraphWriter::add_outputs() {
  const Trace& trace = traces_.first();
  for (std::size_t k = 0; k < trace.outputs.size(); ++k) {
    const Operand& o = trace.outputs[k];
    const std::string &name = trace.output_names[k], from = value(o);
    std::vector<Shape> shapes;
    for (std::size_t run = 0; run < traces_.size(); ++run) shapes.push_back(traces_.output_shape(run, k));
    graph_.outputs.push_back({name, o.dtype, traces_.dimensions(shapes)});
    graph_.nodes.push_back({.operation = "Identity", .name = "Identity_" + name, .inputs = {from}, .outputs = {name}});
  }
  // A value that becomes one output takes its name, and needs no node for that.
  for (std::size_t k = graph_.nodes.size() - trace.outputs.size(); k < graph_.nodes.size();) {
    const std::string from = graph_.nodes[k].inputs[0], to = graph_.nodes[k].outputs[0];
    const bool computed = std::any_of(graph_.nodes.begin(), graph_.nodes.begin() + static_cast<std::ptrdiff_t>(k), [&](const Node& n) {
      return std::find(n.outputs.begin(), n.outputs.end(), from) != n.outputs.end();
    });
    const bool taken = std::any_of(graph_.outputs.begin(), graph_.outputs.end(), [&](const Value& v) { return v.name == from; });
    if (!computed || taken) {
      ++k;
      continue;
    }
    graph_.nodes.erase(graph_.nodes.begin() + static_cast<std::ptrdiff_t>(k));
    for (Node& n : graph_.nodes) {
      std::replace(n.inputs.begin(), n.inputs.end(), from, to);
      std::replace(n.outputs.begin(), n.outputs.end(), from, to);
    }
  }
}

std::string GraphWriter::value(const Operand& o) {
  switch (o.kind) {
    case Operand::Kind::none:
      return "";
    case Operand::Kind::input:
      return "input";
    case Operand::Kind::state:
      return initializer(traces_.first().state[static_cast<std::size_t>(o.index)].name, o.value);
    case Operand::Kind::constant: {
      const auto same = [&](const auto& known) {
        const Tensor& t = known.first;
        return t.elements() == o.value.elements() && t.shape() == o.value.shape() && t.strides() == o.value.strides();
      };
      const auto found = std::find_if(constants_.begin(), constants_.end(), same);
      if (found != constants_.end()) return found->second;
      return constants_.emplace_back(o.value, constant(o.value)).second;
    }
    case Operand::Kind::result:
      break;
  }
  return results_[static_cast<std::size_t>(o.index)];
}

std::vector<std::string> GraphWriter::node(std::string_view operation, std::vector<std::string> inputs, std::vector<Attribute> attributes,
                                           int outputs) {
  const std::string name = fmt::format("{}_{}", operation, counts_[std::string(operation)]++);
  Names results;
  for (int k = 0; k < outputs; ++k) results.push_back(outputs == 1 ? name : fmt::format("{}_{}", name, k));
  graph_.nodes.push_back({std::string(operation), name, std::move(inputs), results, std::move(attributes)});
  return results;
}

std::string GraphWriter::constant(const Tensor& value) { return node("Constant", {}, {attribute("value", value)}, 1)[0]; }

std::string GraphWriter::initializer(const std::string& name, const Tensor& value) {
  const bool known =
      std::any_of(graph_.initializers.begin(), graph_.initializers.end(), [&](const NamedTensor& t) { return t.name == name; });
  if (!known) graph_.initializers.push_back({name, value.constant()});
  return name;
}

}  // namespace wengert::nn::onnx
