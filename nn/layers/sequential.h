#pragma once
// Layers one after the other.
#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include "autodiff/tensor/named_tensor.h"
#include "nn/module/module.h"

namespace wengert::nn {

/// What a Sequential is made of: a module, a lambda or a function that takes a tensor and returns one.
template <class L> concept Layer = std::copy_constructible<std::remove_const_t<L>> && requires(L& layer, const Tensor& x) {
  { layer(x) } -> std::convertible_to<Tensor>;
};

namespace detail {

/// Says, in one sentence, why something is no layer.
template <class L> struct LayerCheck {
  static_assert(
      requires(L & layer, const Tensor& x) { layer(x); },
      "a layer has `Tensor operator()(const Tensor& x)`, but this cannot be called with one Tensor");
  static_assert(
      requires(L & layer, const Tensor& x) { Tensor(layer(x)); },
      "a layer returns a Tensor; take one out of what returns more: [lstm](const Tensor& x) { return lstm(x).output; }");
  static_assert(std::copy_constructible<std::remove_const_t<L>>, "a layer can be copied, as a copy of the model copies its layers");
  static constexpr bool kPassed = true;
};

}  // namespace detail

/// A lambda or a function as a module.
template <Layer F> class Function final : public Stateless {
 public:
  explicit Function(F function) : function_(std::move(function)) {}
  Tensor operator()(const Tensor& x) { return function_(x); }
  Tensor operator()(const Tensor& x) const requires Layer<const F> { return function_(x); }
  std::string label() const override { return "Function"; }

 private:
  F function_;
};

namespace detail {

/// Calls a layer, with the caller's line if the layer takes one.
template <class L> Tensor call(L& layer, const Tensor& x, Location site) {
  if constexpr (std::invocable<L&, const Tensor&, Location>) {
    return layer(x, site);
  } else {
    return layer(x);
  }
}

[[noreturn]] void needs_mutable(const Module& layer);

/// A layer of any type.
class AnyLayer {
 public:
  virtual ~AnyLayer() = default;
  virtual Tensor call(const Tensor& x, Location site) = 0;
  virtual Tensor call_const(const Tensor& x, Location site) const = 0;
  virtual std::unique_ptr<AnyLayer> copy() const = 0;
  /// Assigns the other layer's values if it is of this type and can be assigned, as lambdas with captures cannot.
  virtual bool assign(const AnyLayer& other) = 0;
  virtual Module& module() = 0;
};

template <ModuleType M> class LayerOf final : public AnyLayer {
 public:
  explicit LayerOf(M module) : module_(std::move(module)) {}
  Tensor call(const Tensor& x, Location site) override { return detail::call(module_, x, site); }
  Tensor call_const(const Tensor& x, Location site) const override {
    if constexpr (Layer<const M>) {
      return detail::call(module_, x, site);
    } else {
      needs_mutable(module_);
    }
  }
  std::unique_ptr<AnyLayer> copy() const override { return std::make_unique<LayerOf>(module_); }
  bool assign(const AnyLayer& other) override {
    if constexpr (std::is_copy_assignable_v<M>) {
      if (const auto* same = dynamic_cast<const LayerOf*>(&other)) {
        module_ = same->module_;
        return true;
      }
    }
    return false;
  }
  Module& module() override { return module_; }

 private:
  M module_;
};

template <class L> std::unique_ptr<AnyLayer> make_layer(L&& layer) {
  using D = std::decay_t<L>;
  if constexpr (ModuleType<D>) {
    static_assert(std::is_copy_assignable_v<D>, "a layer must be assignable, so that `model = best` keeps its parameters' identities");
    return std::make_unique<LayerOf<D>>(std::forward<L>(layer));
  } else {
    return std::make_unique<LayerOf<Function<D>>>(Function<D>(std::forward<L>(layer)));
  }
}

}  // namespace detail

/// Layers by value, each applied to the result of the one before it. Layers are modules, lambdas and functions; a Sequential may be one
/// of them. Their names are 0, 1, ...
///
///     nn::Sequential model(nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), [](const Tensor& x) { return 2 * x; });
///
/// (In parentheses the compiler chooses the order in which the layers are made, and with it which of them draws which random weights. In
/// braces, `nn::Sequential model{nn::Linear(2, 8), ...}`, or with `add`, it is the order of the layers under every compiler.)
///
/// A Linear or a Conv2d and the ReLU after it run as one operation, and a MaxPool2d after that as well; `call` runs each layer by itself.
///
/// Copies copy every layer. Assignment from a Sequential of as many layers of the same types assigns layer by layer, so that optimizers
/// stay valid; layers of other types are replaced. `Sequential(s)` for one Sequential s is a copy; `Sequential().add(s)` puts it inside
/// another.
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class... L>
  requires(sizeof...(L) > 0 &&
           !(sizeof...(L) == 1 && (std::derived_from<std::decay_t<L>, Sequential> && ...))) explicit Sequential(L&&... layers) {
    layers_.reserve(sizeof...(L));
    (add(std::forward<L>(layers)), ...);
  }
  Sequential(const Sequential& o);
  Sequential(Sequential&&) = default;
  Sequential& operator=(const Sequential& o);
  ~Sequential() override = default;

  /// Appends a layer.
  template <class L> Sequential& add(L&& layer) {
    static_assert(detail::LayerCheck<std::decay_t<L>>::kPassed);
    layers_.push_back(detail::make_layer(std::forward<L>(layer)));
    return *this;
  }

  Tensor operator()(const Tensor& x, Location site = Location::here());
  /// The same for a const model, which several threads may use at once. An Error if a layer's operator() is not const.
  Tensor operator()(const Tensor& x, Location site = Location::here()) const;

  /// The outputs of all layers, the last one being the result: {{"0", ...}, {"1", ...}, ...}. A Sequential inside
  /// contributes its layers: "2.0", "2.1". Recorded as by operator(), so that one can differentiate with respect to them.
  std::vector<NamedTensor> activations(const Tensor& x, Location site = Location::here());
  std::vector<NamedTensor> activations(const Tensor& x, Location site = Location::here()) const;

  /// One layer alone, for programs that run the layers one by one.
  Tensor call(std::size_t i, const Tensor& x, Location site = Location::here());
  Tensor call(std::size_t i, const Tensor& x, Location site = Location::here()) const;

  /// The number of layers.
  std::size_t size() const { return layers_.size(); }
  /// A layer as a module; a ShapeError if there is none of that number.
  Module& operator[](std::size_t i) { return layer_at(i).module(); }
  const Module& operator[](std::size_t i) const { return layer_at(i).module(); }
  /// A layer with its type: model.layer<nn::Linear>(0).weight. An Error if it is something else.
  template <ModuleType L> L& layer(std::size_t i) {
    if (auto* found = dynamic_cast<L*>(&(*this)[i])) return *found;
    wrong_type(i, typeid(L));
  }
  template <ModuleType L> const L& layer(std::size_t i) const { return const_cast<Sequential*>(this)->layer<L>(i); }

  void visit(Visitor& visitor) override;

  /// A table of name, layer, output shape and parameter count, with a line for each layer and the totals. It runs a copy of the layers, in
  /// evaluation mode and unrecorded, on zeros of the given shape and dtype; without one they have the dtype of the first parameter. The
  /// Error of a layer that does not fit has the table up to that layer.
  std::string summary(const Shape& input, Location site = Location::here()) const;
  std::string summary(const Shape& input, Dtype dtype, Location site = Location::here()) const;

 private:
  detail::AnyLayer& layer_at(std::size_t i) const;
  [[noreturn]] void wrong_type(std::size_t i, const std::type_info& wanted) const;

  std::vector<std::unique_ptr<detail::AnyLayer>> layers_;
};

}  // namespace wengert::nn
