#pragma once
// Losses as values: what `fit` makes small.
#include <concepts>
#include <type_traits>
#include <utility>

#include "autodiff/error.h"
#include "autodiff/tensor/tensor.h"
#include "nn/training/shared_function.h"

namespace wengert::nn {

/// The mean over a batch of what is to be small: (prediction, target) -> a tensor of one element. `nn::mse`, `nn::cross_entropy`, or a
/// lambda.
class Loss {
 public:
  template <class... Rest> using FunctionWith = Tensor (*)(const Tensor&, const Tensor&, Rest...);  ///< with further parameters

  template <class F>
  requires(!std::same_as<F, Loss> && std::is_invocable_r_v<Tensor, const F&, const Tensor&, const Tensor&>)
      Loss(F function)  // NOLINT(google-explicit-constructor): fit takes losses as they are
      : function_(std::move(function)) {}
  /// A function with further parameters, which have their defaults: the losses of the library. Its errors name the line of `site`.
  template <class... Rest>
  requires(sizeof...(Rest) > 0) Loss(FunctionWith<Rest...> function,  // NOLINT(google-explicit-constructor)
                                     Location site = Location::here())
      : function_([function, site](const Tensor& prediction, const Tensor& target) {
          return function(prediction, target, default_of<std::remove_cvref_t<Rest>>(site)...);
        }) {}

  Tensor operator()(const Tensor& prediction, const Tensor& target) const { return function_(prediction, target); }

 private:
  template <class T> static T default_of(Location site) {
    if constexpr (std::is_same_v<T, Location>) {
      return site;
    } else {
      return T();
    }
  }

  SharedFunction<Tensor(const Tensor&, const Tensor&)> function_;
};

}  // namespace wengert::nn
