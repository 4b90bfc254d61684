#pragma once
// Shortcuts around layers.
#include <type_traits>
#include <utility>

#include "autodiff/ops.h"
#include "nn/layers/sequential.h"
#include "nn/module/module.h"

namespace wengert::nn {

namespace detail {
/// x + y; a ShapeError that names both if they differ in shape.
Tensor residual_sum(const Tensor& x, const Tensor& y, Location site);
}  // namespace detail

/// x + inner(x), for an inner layer (a module, a lambda or a function) that keeps the shape.
///
///     nn::Residual block(nn::Sequential(nn::Linear(8, 8), nn::ReLU()));
template <class F> struct Residual : Module {
  static_assert(detail::LayerCheck<F>::kPassed);
  explicit Residual(F inner) : inner(std::move(inner)) {}

  Tensor operator()(const Tensor& x, Location site = Location::here()) {
    return detail::residual_sum(x, detail::call(inner, x, site), site);
  }
  Tensor operator()(const Tensor& x, Location site = Location::here()) const requires Layer<const F> {
    return detail::residual_sum(x, detail::call(inner, x, site), site);
  }
  void visit(Visitor& v) override {
    if constexpr (ModuleType<F>) v("inner", inner);
  }

  F inner;
};

}  // namespace wengert::nn
