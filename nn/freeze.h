#pragma once
// Trained networks for control and audio loops: frozen, and as source.
#include <string>
#include <type_traits>

#include "autodiff/freeze/frozen.h"
#include "nn/layers/recurrent.h"
#include "nn/module/module.h"

namespace wengert::nn {

namespace detail {

/// While it lives, modules that ask for their mode must be in evaluation mode.
class EvaluationOnly final : public ModeObserver {
 public:
  explicit EvaluationOnly(Location site);
  EvaluationOnly(const EvaluationOnly&) = delete;
  EvaluationOnly& operator=(const EvaluationOnly&) = delete;
  ~EvaluationOnly();
  void asked(const Module& module) override;

 private:
  Location site_;
  ModeObserver* outer_;
};

/// The header for `to_cpp`; its class is named as the file is without its extension.
void write_source(const Frozen& frozen, const std::string& path);

}  // namespace detail

/// A model's forward pass for inputs of one shape, as a Frozen (autodiff/freeze/frozen.h says what can be frozen): weights are copied and
/// packed once, and a call allocates nothing. Training the model afterwards does not change what was frozen.
///
///     auto frozen = nn::freeze(model, {1, 8});
///     frozen(x, y);  // std::array<float, 8>, std::array<float, 1>
///
/// RNNCell, GRUCell and LSTMCell keep their state from call to call; the result is h'. For a model with states, whose operator() takes
/// (x, state), the State is named, as `freeze` of a function says:
///
///     auto frozen = nn::freeze<LstmState>(model, {1, 1});  // Tensor operator()(const Tensor& x, LstmState& state)
///
/// A ValueError if a module that behaves otherwise in training (Dropout, BatchNorm ...) is in training mode.
template <class State = void, class M>
requires ModuleType<std::remove_cvref_t<M>> Frozen freeze(M&& model, const Shape& input, Location site = Location::here()) {
  using Model = std::remove_cvref_t<M>;
  const detail::EvaluationOnly scope(site);
  // With the caller's line, if the model takes one.
  const auto call = [&](const auto& x, auto&... state) {
    if constexpr (std::is_invocable_v<M&, decltype(x), decltype(state)..., Location>) {
      return model(x, state..., site);
    } else {
      return model(x, state...);
    }
  };
  if constexpr (std::is_base_of_v<LSTMCell, Model> && std::is_void_v<State>) {
    return wengert::freeze<LstmState>([&](const Tensor& x, LstmState& state) { return (state = call(x, state)).h; }, input, site);
  } else if constexpr (std::is_base_of_v<RecurrentCell, Model> && std::is_void_v<State>) {
    return wengert::freeze<Tensor>([&](const Tensor& x, Tensor& h) { return h = call(x, h); }, input, site);
  } else {
    return wengert::freeze<State>(call, input, site);
  }
}

/// Writes the forward pass of a model as a C++17 header that needs nothing but the C++ library, weights included: Frozen::to_cpp of what
/// `freeze` makes. The class is named as the file: "tone.h" holds `class tone`. The file is replaced whole or not at all.
///
/// Errors as `freeze`; a ValueError if the file's name is not one that a class can have, a DataError if it cannot be written.
template <class State = void, class M>
requires ModuleType<std::remove_cvref_t<M>>
void to_cpp(M&& model, const Shape& input, const std::string& path, Location site = Location::here()) {
  detail::write_source(nn::freeze<State>(model, input, site), path);
}

}  // namespace wengert::nn
