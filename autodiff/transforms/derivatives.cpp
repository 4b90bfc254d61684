#include "autodiff/transforms/derivatives.h"

#include <fmt/format.h>

#include "autodiff/tape/records.h"

namespace wengert::detail {
namespace {

/// y = x, as a value of its own.
class Identity : public Operation {
 public:
  const char* name() const override { return "identity"; }
  const char* latex() const override { return "#"; }
  ValueSet reads(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = y_bar[0]; }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = x_dot[0]; }
};

/// Where derivatives are taken: on the recording tape, recorded; or else on a tape of their own, as constants.
class Derivatives {
 public:
  explicit Derivatives(bool of_gradients = false) {
    if (!recording()) own_.emplace(TapeOptions{.higher_order = of_gradients, .isolated = true});
    tape_ = active_tape();
  }

  /// x as a value that nothing else has: what f reads of x otherwise, as by a capture, is not differentiated.
  Tensor variable(const Tensor& x) {
    if (own_ || tape_->slot_of(x) == kNoSlot) return tape_->variable(x);
    return record(Identity(), x.made_at(), {&x}, x.constant());
  }

  /// J^T y_bar; y_bar may be left out where y has one element. On a tape of its own the last that is asked for.
  Tensor pull(const Tensor& y, const Tensor& x, const Tensor& y_bar = {}) {
    return swept(y, x, {.seed = y_bar, .differentiable = !own_, .unreached = Unreached::zero});
  }
  /// The same, recorded.
  Tensor recorded_pull(const Tensor& y, const Tensor& x, const Tensor& y_bar = {}) {
    return swept(y, x, {.seed = y_bar, .differentiable = true, .unreached = Unreached::zero});
  }

  /// J x_dot. A push is not recorded; where it must be, J x_dot is the derivative of J^T u by u, which is linear.
  Tensor push(const Tensor& y, const Tensor& x, const Tensor& x_dot) {
    check_tangent(x, x_dot);
    if (!tracked(y)) return Tensor::zeros(y.shape(), y.dtype());
    if (!own_) return pull_of_pull(y, x)(x_dot);
    const Source source(x);
    return push_tangents(*tape_, Source(y), {&source, 1}, {&x_dot, 1});
  }

  /// d y / d x, y's shape and then x's.
  Tensor jacobian(const Tensor& y, const Tensor& x) {
    Shape shape = y.shape();
    for (const Index size : x.shape()) shape.push_back(size);
    checked_size("jacobian", shape);
    if (!tracked(y) || shape.size() == 0) return Tensor::zeros(shape, y.dtype());
    return reshape(y.size() <= x.size() ? rows(y, x) : columns(y, x), shape);
  }

  /// For the user: recorded, or a constant.
  Tensor result(const Tensor& t) const { return own_ ? t.constant() : t; }

 private:
  /// J x_dot for any x_dot after one recorded sweep: J^T u is recorded once.
  struct PullOfPull {
    Derivatives* at;
    Tensor u, x_bar;
    Tensor operator()(const Tensor& x_dot) const { return at->recorded_pull(x_bar, u, x_dot); }
  };
  PullOfPull pull_of_pull(const Tensor& y, const Tensor& x) {
    const Tensor u = tape_->variable(Tensor::zeros(y.shape(), y.dtype()));
    return {this, u, recorded_pull(y, x, u)};
  }

  bool tracked(const Tensor& t) const { return tape_->slot_of(t) != kNoSlot; }

  Tensor swept(const Tensor& y, const Tensor& x, const GradientOptions& options) {
    const Source source(x);
    return sweep(*tape_, Source(y), {&source, 1}, options)[0];
  }

  static void check_tangent(const Tensor& x, const Tensor& x_dot) {
    if (!(x.shape() == x_dot.shape()))
      throw ShapeError(fmt::format("jvp: the tangent {} must have the shape of {}", describe(x_dot), describe(x)));
    if (x.dtype() != x_dot.dtype())
      throw DtypeError(fmt::format("jvp: the tangent {} must have the dtype of {}", describe(x_dot), describe(x)));
  }

  static Tensor unit(const Tensor& like, Index flat) { return place(Tensor::ones({}, like.dtype()), like.shape(), flat, like.made_at()); }

  // (size of y, size of x)
  Tensor rows(const Tensor& y, const Tensor& x) {
    std::vector<Tensor> all;
    for (Index i = 0; i < y.size(); ++i) {
      const Tensor row = swept(y, x, {.seed = unit(y, i), .retain = true, .differentiable = !own_, .unreached = Unreached::zero});
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

  std::optional<Tape> own_;
  TapeState* tape_;
};

/// The gradient, recorded; a function of more than one element is an error also where it is constant.
Tensor recorded_gradient(Derivatives& at, const Tensor& y, const Tensor& x) {
  if (y.size() != 1) throw ShapeError(fmt::format("hessian: the function's value {} has {} elements, not one", describe(y), y.size()));
  return at.recorded_pull(y, x);
}

}  // namespace

std::pair<Tensor, Tensor> value_and_gradient(FunctionOfTensor f, const Tensor& x) {
  Derivatives at;
  const Tensor v = at.variable(x), y = f(v);
  return {at.result(y), at.result(at.pull(y, v))};
}

Tensor vjp(FunctionOfTensor f, const Tensor& x, const Tensor& y_bar) {
  Derivatives at;
  const Tensor v = at.variable(x);
  return at.result(at.pull(f(v), v, y_bar));
}

Tensor jvp(FunctionOfTensor f, const Tensor& x, const Tensor& x_dot) {
  Derivatives at;
  const Tensor v = at.variable(x);
  return at.result(at.push(f(v), v, x_dot));
}

Tensor jacobian(FunctionOfTensor f, const Tensor& x) {
  Derivatives at;
  const Tensor v = at.variable(x);
  return at.result(at.jacobian(f(v), v));
}

//  H v: the change of the gradient along v
Tensor hvp(FunctionOfTensor f, const Tensor& x, const Tensor& v) {
  Derivatives at(true);
  const Tensor variable = at.variable(x);
  return at.result(at.push(recorded_gradient(at, f(variable), variable), variable, v));
}

Tensor hessian(FunctionOfTensor f, const Tensor& x) {
  Derivatives at(true);
  const Tensor v = at.variable(x);
  return at.result(at.jacobian(recorded_gradient(at, f(v), v), v));
}

}  // namespace wengert::detail
