#include "autodiff/transforms/derivatives.h"

#include <fmt/format.h>

#include "autodiff/ops.h"
#include "autodiff/tape/forward_sweep.h"
#include "autodiff/tape/reverse_sweep.h"
#include "autodiff/tape/sweep_operations.h"

namespace wengert::detail {
namespace {

// y = x, as a new recorded value.
class Identity : public Operation {
 public:
  const char* name() const override { return "identity"; }
  const char* latex() const override { return "#"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = y_bar[0]; }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = x_dot[0]; }
};

// Takes derivatives: on the tape that records, where they are recorded, or else on a tape of its own, where they are constants.
class Derivatives {
 public:
  // `name`: the function that the user called, for errors.
  explicit Derivatives(const char* name, bool of_gradients = false) : name_(name) {
    if (!recording()) own_.emplace(TapeOptions{.higher_order = of_gradients, .isolated = true});
    tape_ = active_tape();
  }

  // x as a new variable: uses of x other than through f's argument, such as captures, are not differentiated.
  Tensor variable(const Tensor& x) {
    if (own_ || tape_->slot_of(x) == kNoIndex) return tape_->variable(x);
    return record(Identity(), x.made_at(), {&x}, x.constant());
  }

  // J^T y_bar; y_bar may be left out if y has one element. On a tape of its own, this call must be the last.
  Tensor pull(const Tensor& y, const Tensor& x, const Tensor& y_bar = {}) {
    check_cotangent(y, y_bar);
    return sweep(y, x, {.seed = y_bar, .differentiable = !own_, .unreached = Unreached::zero});
  }
  // The same, recorded.
  Tensor recorded_pull(const Tensor& y, const Tensor& x, const Tensor& y_bar = {}) {
    check_cotangent(y, y_bar);
    return sweep(y, x, {.seed = y_bar, .differentiable = true, .unreached = Unreached::zero});
  }
  // The gradients of y, which has one element, with respect to parameters.
  Gradients gradients(const Tensor& y, const ParameterList& parameters, bool recorded = false) {
    check_cotangent(y, {});
    return sweep(y, parameters, {.differentiable = recorded || !own_, .unreached = Unreached::zero});
  }

  // J x_dot. Forward sweeps cannot be recorded. Where the result must be, J x_dot is the derivative of J^T u with respect to u, which is
  // linear in u.
  Tensor push(const Tensor& y, const Tensor& x, const Tensor& x_dot) {
    check_like("tangent", x_dot, x);
    if (!tracked(y)) return Tensor::zeros(y.shape(), y.dtype());
    if (!own_) return pull_of_pull(y, x)(x_dot);
    const Source source(x);
    return sweep_forward(*tape_, Source(y), {&source, 1}, {&x_dot, 1});
  }

  // dy/dx, in the shape of y followed by that of x.
  Tensor jacobian(const Tensor& y, const Tensor& x) {
    Shape shape = y.shape();
    for (const Index size : x.shape()) shape.push_back(size);
    checked_size("jacobian", shape);
    if (!tracked(y) || shape.size() == 0) return Tensor::zeros(shape, y.dtype());
    return reshape(y.size() <= x.size() ? rows(y, x) : columns(y, x), shape);
  }

  // dy/dp for each parameter p, in the shape of y followed by that of p.
  std::vector<Tensor> jacobian(const Tensor& y, const ParameterList& parameters) {
    std::vector<std::vector<Tensor>> rows(parameters.size());
    for (Index i = 0; i < y.size(); ++i) {
      const GradientOptions options{.seed = unit(y, i), .retain = true, .differentiable = !own_, .unreached = Unreached::zero};
      const Gradients row = sweep(y, parameters, options);
      for (std::size_t k = 0; k < rows.size(); ++k) rows[k].push_back(row[k]);
    }
    std::vector<Tensor> all;
    for (std::size_t k = 0; k < rows.size(); ++k) all.push_back(stack_parts(rows[k], y.shape(), parameters[k]->value));
    return all;
  }

  // A ShapeError or a DtypeError unless t is like `model`.
  void check_like(const char* what, const Tensor& t, const Tensor& model) const {
    if (!(t.shape() == model.shape()))
      throw ShapeError(fmt::format("{}: the {} {} must have the shape of {}", name_, what, describe(t), describe(model)));
    if (t.dtype() != model.dtype())
      throw DtypeError(fmt::format("{}: the {} {} must have the dtype of {}", name_, what, describe(t), describe(model)));
  }
  // A ShapeError unless y has one element, as the value of a function needs for a gradient.
  void check_one_element(const Tensor& y) const {
    if (y.size() != 1)
      throw ShapeError(fmt::format("{}: the function's value {} has {} elements, not one; hint: reduce it with sum or mean", name_,
                                   describe(y), y.size()));
  }

  // Parts in the shape of p, stacked to a tensor in the leading shape followed by that of p.
  static Tensor stack_parts(const std::vector<Tensor>& parts, const Shape& leading, const Tensor& p) {
    Shape shape = leading;
    for (const Index size : p.shape()) shape.push_back(size);
    checked_size("jacobian", shape);
    return parts.empty() ? Tensor::zeros(shape, p.dtype()) : reshape(stack(std::span<const Tensor>(parts)), shape);
  }

  // The result for the user: recorded, or a constant.
  Tensor result(const Tensor& t) const { return own_ ? t.constant() : t; }

 private:
  // Computes J x_dot for any number of x_dot after one recorded sweep, which records J^T u.
  struct PullOfPull {
    Derivatives* at;
    Tensor u, x_bar;
    Tensor operator()(const Tensor& x_dot) const { return at->recorded_pull(x_bar, u, x_dot); }
  };
  PullOfPull pull_of_pull(const Tensor& y, const Tensor& x) {
    const Tensor u = tape_->variable(Tensor::zeros(y.shape(), y.dtype()));
    return {this, u, recorded_pull(y, x, u)};
  }

  bool tracked(const Tensor& t) const { return tape_->slot_of(t) != kNoIndex; }

  Tensor sweep(const Tensor& y, const Tensor& x, const GradientOptions& options) {
    const Source source(x);
    return sweep_back(*tape_, Source(y), {&source, 1}, options)[0];
  }

  Gradients sweep(const Tensor& y, const ParameterList& parameters, const GradientOptions& options) {
    pool::Vector<Source> sources;
    for (const ParameterRef& p : parameters) sources.push_back(Source(p));
    return sweep_back(*tape_, Source(y), sources, options);
  }

  void check_cotangent(const Tensor& y, const Tensor& y_bar) const {
    if (y_bar.defined()) {
      check_like("cotangent", y_bar, y);
    } else {
      check_one_element(y);
    }
  }

  static Tensor unit(const Tensor& like, Index flat) {
    return scatter_element(Tensor::ones({}, like.dtype()), like.shape(), flat, like.made_at());
  }

  // (size of y, size of x)
  Tensor rows(const Tensor& y, const Tensor& x) {
    std::vector<Tensor> all;
    for (Index i = 0; i < y.size(); ++i) {
      const Tensor row = sweep(y, x, {.seed = unit(y, i), .retain = true, .differentiable = !own_, .unreached = Unreached::zero});
      all.push_back(reshape(row, {-1}));
    }
    return stack(all);
  }
  Tensor columns(const Tensor& y, const Tensor& x) {
    std::vector<Tensor> all;
    std::optional<PullOfPull> recorded;
    if (!own_) recorded = pull_of_pull(y, x);
    for (Index j = 0; j < x.size(); ++j) {
      const Tensor e = unit(x, j);
      all.push_back(reshape(recorded ? (*recorded)(e) : push(y, x, e), {-1}));
    }
    return stack(all, 1);
  }

  const char* name_;
  std::optional<Tape> own_;
  TapeState* tape_;
};

// The inner product of the gradients and v; undefined if all gradients are constants.
Tensor inner_product(const Gradients& g, std::span<const Tensor> v) {
  Tensor total;
  for (std::size_t k = 0; k < g.size(); ++k) {
    if (!g[k].number()) continue;
    const Tensor term = sum(g[k] * v[k]).to(float64);
    total = total.defined() ? total + term : term;
  }
  return total;
}

}  // namespace

std::pair<Tensor, Tensor> value_and_gradient(const char* name, FunctionOfTensor f, const Tensor& x) {
  Derivatives at(name);
  const Tensor v = at.variable(x), y = f(v);
  return {at.result(y), at.result(at.pull(y, v))};
}

Tensor vjp(FunctionOfTensor f, const Tensor& x, const Tensor& y_bar) {
  Derivatives at("vjp");
  const Tensor v = at.variable(x);
  return at.result(at.pull(f(v), v, y_bar));
}

Tensor jvp(FunctionOfTensor f, const Tensor& x, const Tensor& x_dot) {
  check_defined("jvp", x_dot, "the tangent");
  Derivatives at("jvp");
  const Tensor v = at.variable(x);
  return at.result(at.push(f(v), v, x_dot));
}

Tensor jacobian(FunctionOfTensor f, const Tensor& x) {
  Derivatives at("jacobian");
  const Tensor v = at.variable(x);
  return at.result(at.jacobian(f(v), v));
}

//  H v: the derivative of the gradient along v
Tensor hvp(FunctionOfTensor f, const Tensor& x, const Tensor& v) {
  check_defined("hvp", v, "the direction");
  Derivatives at("hvp", true);
  const Tensor variable = at.variable(x);
  return at.result(at.push(at.recorded_pull(f(variable), variable), variable, v));
}

Tensor hessian(FunctionOfTensor f, const Tensor& x) {
  Derivatives at("hessian", true);
  const Tensor v = at.variable(x);
  return at.result(at.jacobian(at.recorded_pull(f(v), v), v));
}

// ---- with respect to parameters ---------------------------------------------------------------------------------------------------

std::pair<Tensor, Gradients> value_and_gradient(const char* name, FunctionOfParameters f, const ParameterList& parameters) {
  Derivatives at(name);
  const Tensor y = f();
  Gradients g = at.gradients(y, parameters);
  return {at.result(y), std::move(g)};
}

//  H v: the gradient of <g, v>, since H is symmetric
Gradients hvp(FunctionOfParameters f, const ParameterList& parameters, std::span<const Tensor> v) {
  Derivatives at("hvp", true);
  if (v.size() != parameters.size())
    throw ShapeError(fmt::format("hvp: v has {} tensors for {} parameters, but it must have one for each", v.size(), parameters.size()));
  for (std::size_t k = 0; k < v.size(); ++k) at.check_like("factor", v[k], parameters[k]->value);
  const Tensor product = inner_product(at.gradients(f(), parameters, true), v);
  return at.gradients(product.defined() ? product : Tensor::zeros({}), parameters);
}

std::vector<Tensor> jacobian(FunctionOfParameters f, const ParameterList& parameters) {
  Derivatives at("jacobian");
  return at.jacobian(f(), parameters);
}

std::vector<std::vector<Tensor>> hessian(FunctionOfParameters f, const ParameterList& parameters) {
  Derivatives at("hessian", true);
  const Gradients g = at.gradients(f(), parameters, true);
  std::vector<std::vector<Tensor>> blocks;
  for (const Tensor& row : g) blocks.push_back(at.jacobian(row, parameters));
  return blocks;
}

std::vector<Tensor> per_example_gradients(FunctionRef<Tensor(std::span<const Tensor>)> loss, const ParameterList& parameters,
                                          std::span<const Tensor> batch) {
  for (const Tensor& t : batch)
    if (t.rank() == 0 || t.shape()[0] != batch[0].shape()[0])
      throw ShapeError(
          fmt::format("per_example_gradients: {} and {} must have the same number of examples, which is the size of dimension 0",
                      describe(batch[0]), describe(t)));
  const Index n = batch[0].shape()[0];
  std::vector<std::vector<Tensor>> examples(parameters.size());
  for (Index i = 0; i < n; ++i) {
    Derivatives at("per_example_gradients");
    std::vector<Tensor> example;
    for (const Tensor& t : batch) example.push_back(narrow(t, 0, i, 1));
    const Gradients g = at.gradients(loss(example), parameters);
    for (std::size_t k = 0; k < g.size(); ++k) examples[k].push_back(g[k]);
  }
  std::vector<Tensor> all;
  for (std::size_t k = 0; k < examples.size(); ++k) all.push_back(Derivatives::stack_parts(examples[k], {n}, parameters[k]->value));
  return all;
}

}  // namespace wengert::detail
