// g8_second: derivatives of derivatives.
#include <autodiff/autodiff.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "operations.h"

namespace wengert::golden {
namespace {

// d target / d source for every source, recorded, so that it can be differentiated again. The library refuses to differentiate constants;
// here their derivatives are 0 (as for the slope of a linear function).
std::vector<Tensor> derivatives(Tape& tape, const Tensor& target, std::span<const Tensor> sources) {
  if (target.number() != 0) return tape.gradient(target, sources, {.differentiable = true, .unreached = Unreached::zero});
  std::vector<Tensor> zeros;
  for (const Tensor& source : sources) zeros.push_back(Tensor::zeros(source.shape(), source.dtype()));
  return zeros;
}
Tensor derivative(Tape& tape, const Tensor& target, const Tensor& source) { return derivatives(tape, target, std::span(&source, 1))[0]; }

// The rows d target_i / d source of a vector's Jacobian.
Tensor jacobian(Tape& tape, const Tensor& target, const Tensor& source) {
  std::vector<Tensor> rows;
  for (Index i = 0; i < target.size(0); ++i) rows.push_back(derivative(tape, select(target, 0, i), source));
  return stack(rows);
}

// ---- functions of one vector x, with the case's other tensors as data ------------------------------------------------------------------

struct Function {
  const char* name;
  Tensor (*value)(const Tensor& x, const Values& data, At at);
};

Tensor element(const Tensor& x, Index i) { return select(x, 0, i); }

// mean_i (w2 . tanh(W1 x_i + b1) + b2 - y_i)^2, theta = [W1 (h, d) row-major, b1 (h), w2 (h), b2]
Tensor small_network(const Tensor& theta, const Values& data, At at) {
  const Index h = at.integer("hidden"), d = at.integer("in");
  const Tensor w1 = reshape(slice(theta, 0, 0, h * d), {h, d});
  const Tensor b1 = slice(theta, 0, h * d, h * d + h);
  const Tensor w2 = slice(theta, 0, h * d + h, h * d + 2 * h);
  const Tensor b2 = element(theta, h * d + 2 * h);
  const Tensor hidden = tanh(matmul(data.at("X"), transpose(w1)) + b1);
  return mean(square(matmul(hidden, w2) + b2 - data.at("y")));
}

Tensor rosenbrock(const Tensor& x) {
  const Tensor next = slice(x, 0, 1, x.size(0)), here = slice(x, 0, 0, -1);
  return sum(100 * square(next - square(here)) + square(1 - here));
}

Tensor sin_exp(const Tensor& x) {
  const Tensor x0 = element(x, 0), x1 = element(x, 1), x2 = element(x, 2);
  return sin(x0 * x1) + exp(x1 * x2) * square(x0) + log(1 + square(x2)) / (1 + square(x0));
}

Tensor softmax_regression(const Tensor& w, const Values& data, At at) {
  const Tensor& x = data.at("X");
  return cross_entropy(matmul(x, transpose(reshape(w, {at.integer("classes"), x.size(1)}))), data.at("target"));
}

Tensor matmul_chain(const Tensor& x) {
  const Tensor m = reshape(x, {2, 2});
  return sum(matmul(matmul(m, m), transpose(m)));
}

Tensor normalized(const Tensor& x, At at) { return layer_norm(x, {x.size(-1)}, {.eps = at.number("eps")}); }
Tensor cubed(const Tensor& x) { return x * x * x; }

Tensor self_attention(const Tensor& x, At at) {
  const Tensor z = reshape(x, at.list("shape"));
  const Tensor weights = softmax(matmul(z, transpose(z)) / std::sqrt(static_cast<double>(z.size(1))), -1);
  return sum(square(matmul(weights, z)));
}

Tensor conv_gelu(const Tensor& x, const Values& data, At at) {
  return sum(gelu(conv2d(reshape(x, {1, 1, 3, 3}), data.at("w"), {.padding = at.integer("padding")})));
}

Tensor affine(const Tensor& x, const Values& data) { return matmul(data.at("A"), x) + data.at("b"); }

std::span<const Function> hessian_functions() {
  static constexpr Function kTable[] = {
      {"logistic",
       [](const Tensor& w, const Values& data, At at) {
         return mean(softplus(-data.at("y") * matmul(data.at("X"), w))) + 0.5 * at.number("lambda") * sum(square(w));
       }},
      {"mlp", small_network},
      {"rosenbrock", [](const Tensor& x, const Values&, At) { return rosenbrock(x); }},
      {"softmax_ce", softmax_regression},
      {"sin_exp", [](const Tensor& x, const Values&, At) { return sin_exp(x); }},
      {"norm", [](const Tensor& x, const Values&, At) { return norm(x); }},
      {"pow", [](const Tensor& x, const Values&, At) { return pow(element(x, 0), element(x, 2)) + pow(element(x, 1), element(x, 3)); }},
      {"prod", [](const Tensor& x, const Values&, At) { return prod(x); }},
      {"prod_zero", [](const Tensor& x, const Values&, At) { return prod(x); }},
      {"logsumexp_affine", [](const Tensor& x, const Values& data, At) { return logsumexp(affine(x, data)); }},
      {"matmul_chain", [](const Tensor& x, const Values&, At) { return matmul_chain(x); }},
      {"layer_norm",
       [](const Tensor& x, const Values&, At at) {
         return sum(cubed(normalized(reshape(x, {2, x.size(0) / 2}), at)));
       }},
      {"self_attention", [](const Tensor& x, const Values&, At at) { return self_attention(x, at); }},
      {"relu_mlp", [](const Tensor& x, const Values& data, At) { return sum(square(relu(affine(x, data)))); }},
      {"linear", [](const Tensor& x, const Values& data, At) { return matmul(data.at("b"), x) + 0 * sum(square(x)); }},
      {"conv_gelu", conv_gelu},
  };
  return kTable;
}

Tensor polar(const Tensor& x) {
  const Tensor r = element(x, 0), t = element(x, 1);
  return stack({r * cos(t), r * sin(t)});
}

// X = x as (2, k), Z = (x as (k, 2))^T: flatten(X * column sums of Z)
Tensor broadcast_mix(const Tensor& x) {
  const Index k = x.size(0) / 2;
  return flatten(reshape(x, {2, k}) * sum(transpose(reshape(x, {k, 2})), 0));
}

// The kernel is not among the case's tensors, because the cotangent has the same name. It is read from the Jacobian: from the first row
// whose window begins with the sequence.
Tensor sequence_convolution(const Tensor& x, const Values& data, At at) {
  const Index padding = at.integer("padding"), size = x.size() + 2 * padding + 1 - data.at("out").size();
  const Tensor kernel = slice(select(data.at("jacobian"), 0, padding), 0, 0, size).to(x.dtype());
  return flatten(conv1d(reshape(x, {1, 1, -1}), reshape(kernel, {1, 1, -1}), {.padding = padding}));
}

std::span<const Function> jacobian_functions() {
  static constexpr Function kTable[] = {
      {"softmax_affine", [](const Tensor& x, const Values& data, At) { return softmax(affine(x, data)); }},
      {"mlp_tanh", [](const Tensor& x, const Values& data, At) { return matmul(transpose(data.at("A")), tanh(affine(x, data))); }},
      {"polar", [](const Tensor& x, const Values&, At) { return polar(x); }},
      {"normalize", [](const Tensor& x, const Values&, At) { return x / norm(x); }},
      {"layer_norm", [](const Tensor& x, const Values&, At at) { return normalized(x, at); }},
      {"cumprod", [](const Tensor& x, const Values&, At) { return cumprod(x, 0); }},
      {"outer_flat", [](const Tensor& x, const Values&, At) { return flatten(unsqueeze(x, 1) * unsqueeze(exp(x), 0)); }},
      {"broadcast_mix", [](const Tensor& x, const Values&, At) { return broadcast_mix(x); }},
      {"conv1d", sequence_convolution},
  };
  return kTable;
}

// ---- functions of several operands, other than the operations of g1 to g6
// -----------------------------------------------------------------

HeightWidth kernel(At at) {
  const Shape list = at.list("kernel");
  return {list[0], list[1]};
}

std::span<const Operation> gradgrad_functions() {
  static constexpr Operation kTable[] = {
      {"avg_pool2d", [](In in, At at) -> Outputs { return avg_pool2d(square(in[0]), kernel(at)); }},
      {"max_pool2d", [](In in, At at) -> Outputs { return max_pool2d(in[0] * square(in[0]), kernel(at)); }},
      {"mean_square", [](In in, At at) -> Outputs { return mean(square(in[0]), at.integer("dim")); }},
      {"layer_norm",
       [](In in, At at) -> Outputs { return layer_norm(in[0], in[1].shape(), {.weight = in[1], .bias = in[2], .eps = at.number("eps")}); }},
      {"batch_norm",
       [](In in, At at) -> Outputs {
         return batch_norm(in[0], {}, {}, {.weight = in[1], .bias = in[2], .training = at.flag("training"), .eps = at.number("eps")}).y;
       }},
      {"gather",
       [](In in, At) -> Outputs {
         return gather(square(in[0]), 1, Tensor::from({{0, 2, 0}, {1, 1, 2}}, int64));
       }},
      {"reshape_transpose",
       [](In in, At) -> Outputs {
         return transpose(reshape(in[0], {3, 2})) * reshape(in[0], {2, 3});
       }},
  };
  return kTable;
}

// ---- the families ---------------------------------------------------------------------------------------------------------------------

// "hessian_norm" -> "norm"
std::string_view function_name(const Case& c) { return std::string_view(c.op).substr(c.op.find('_') + 1); }

template <class Entry> const Entry* find(std::span<const Entry> table, std::string_view name) {
  const auto found = std::find_if(table.begin(), table.end(), [&](const Entry& entry) { return name == entry.name; });
  return found == table.end() ? nullptr : &*found;
}

template <class Entry> const Entry& named(std::span<const Entry> table, const Case& c) {
  const Entry* found = find(table, function_name(c));
  if (!found) throw Missing{c.op};
  return *found;
}

const Operation& gradgrad_operation(const Case& c) {
  const Operation* found = find(gradgrad_functions(), function_name(c));
  return found ? *found : operation_named(function_name(c));
}

Values hessian(const Case& c, const Values& given) {
  const Function& f = named(hessian_functions(), c);
  Tape tape;
  const Tensor x = tape.variable(given.at("x"));
  const Tensor& v = given.at("v");
  const Tensor value = f.value(x, given, c.attributes);
  const Tensor gradient = derivative(tape, value, x);
  const Tensor hv = derivative(tape, sum(gradient * v), x);
  return {{"value", value},
          {"grad", gradient},
          {"hessian", jacobian(tape, gradient, x)},
          {"hv", hv},
          {"third_vv", derivative(tape, sum(hv * v), x)}};
}

// "hv" and 2 -> "hv2"
std::string numbered(const char* name, std::size_t k) { return fmt::format("{}{}", name, k); }

// L = sum(gout * op(in...)); hv_k = sum_j d2L / (d in_k d in_j) v_j
Values double_backward(const Case& c, const Values& given) {
  const Operation& operation = gradgrad_operation(c);
  Tape tape;
  std::vector<Tensor> in;
  for (std::size_t k = 0; k < c.attributes.texts("args").size(); ++k) in.push_back(tape.variable(given.at(numbered("in", k))));
  const Tensor out = operation.apply(in, c.attributes)[0];
  const std::vector<Tensor> gradients = derivatives(tape, sum(given.at("gout") * out), in);
  Tensor along = sum(gradients[0] * given.at("v0"));
  for (std::size_t k = 1; k < in.size(); ++k) along = along + sum(gradients[k] * given.at(numbered("v", k)));
  const std::vector<Tensor> hv = derivatives(tape, along, in);
  Values results{{"out", out}};
  for (std::size_t k = 0; k < in.size(); ++k) {
    results.emplace(numbered("grad_in", k), gradients[k]);
    results.emplace(numbered("hv", k), hv[k]);
  }
  return results;
}

Values jacobian_products(const Case& c, const Values& given) {
  const Function& f = named(jacobian_functions(), c);
  Tape tape;
  const Tensor x = tape.variable(given.at("x"));
  const Tensor out = f.value(x, given, c.attributes);
  const Tensor jvp = tape.jvp(out, wrt(x), {given.at("v")});
  const Tensor rows = jacobian(tape, out, x);
  return {{"out", out}, {"jacobian", rows}, {"jvp", jvp}, {"vjp", tape.gradient(out, wrt(x), {.seed = given.at("w")})}};
}

Values three_derivatives(const Case& c, const Values& given) {
  const Operation& operation = operation_named(function_name(c));
  Tape tape;
  const Tensor x = tape.variable(given.at("x"));
  const Tensor d0 = operation.apply(std::span(&x, 1), c.attributes)[0];
  const Tensor d1 = derivative(tape, sum(d0), x);
  const Tensor d2 = derivative(tape, sum(d1), x);
  return {{"d0", d0}, {"d1", d1}, {"d2", d2}, {"d3", derivative(tape, sum(d2), x)}};
}

// f_i = w2 . tanh(W1 x_i + b1); penalty = mean_i (||d f_i / d x_i|| - 1)^2
Values gradient_penalty(const Case&, const Values& given) {
  Tape tape;
  const auto variable = [&](const char* name) { return tape.variable(given.at(name)); };
  const Tensor x = variable("X"), w1 = variable("W1"), b1 = variable("b1"), w2 = variable("w2");
  const Tensor f = matmul(tanh(matmul(x, transpose(w1)) + b1), w2);
  const Tensor slopes = derivative(tape, sum(f), x);
  const Tensor penalty = mean(square(sqrt(sum(square(slopes), 1)) - 1));
  const auto [w1_bar, b1_bar, w2_bar, x_bar] = tape.gradient(penalty, w1, b1, w2, x);
  return {{"f", f},         {"grad_x", slopes}, {"penalty", penalty}, {"grad_W1", w1_bar}, {"grad_b1", b1_bar}, {"grad_w2", w2_bar},
          {"grad_X", x_bar}};
}

// inner(p) = ||A p - b||^2 + sum p^4; p1 = p0 - lr inner'(p0); outer = sum sin(p1)^2
Values maml_step(const Case& c, const Values& given) {
  Tape tape;
  const Tensor p0 = tape.variable(given.at("p0"));
  const Tensor inner = sum(square(matmul(given.at("A"), p0) - given.at("b"))) + sum(square(square(p0)));
  const Tensor p1 = p0 - c.attributes.number("lr") * derivative(tape, inner, p0);
  const Tensor outer = sum(square(sin(p1)));
  return {{"p1", p1}, {"outer", outer}, {"grad_p0", tape.gradient(outer, p0)}};
}

struct Family {
  const char* prefix;
  Values (*compute)(const Case& c, const Values& given);
};
constexpr Family kFamilies[] = {
    {"hessian_", hessian},        {"gradgrad_", double_backward},         {"jvp_", jacobian_products},
    {"d123_", three_derivatives}, {"gradient_penalty", gradient_penalty}, {"maml_step", maml_step},
};

}  // namespace

Values compute_second_order(const Case& c, const Values& given) {
  const auto family = std::find_if(std::begin(kFamilies), std::end(kFamilies), [&](const Family& f) { return c.op.starts_with(f.prefix); });
  if (family == std::end(kFamilies)) throw Missing{c.op};
  return family->compute(c, given);
}

}  // namespace wengert::golden
