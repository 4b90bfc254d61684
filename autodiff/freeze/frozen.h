#pragma once
// Frozen inference: a function of one tensor as a fixed list of kernel calls, for control and audio loops.
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/tensor/storage.h"

namespace wengert {

namespace detail::frozen {
struct Plan;
}

/// A function of float32 elements that `freeze` has made: for inputs of one shape, with weights that were copied and packed. A call
/// allocates nothing, records nothing and takes no lock.
///
/// An object owns its memory, so only one thread may call it at a time. Copies are independent, states included, and share the weights,
/// which never change: give each thread a copy. The instruction set is that of the process when the function was frozen.
class Frozen {
 public:
  /// y = f(x), both row-major. A ShapeError unless the sizes are those of input() and output(). x and y may be the same memory.
  void operator()(std::span<const float> x, std::span<float> y);
  /// The same into memory of this object, which the next call writes again.
  std::span<const float> operator()(std::span<const float> x);

  const Shape& input() const;   ///< the shape of x
  const Shape& output() const;  ///< the shape of y

  /// Sets the states that are kept from call to call to 0, as they are at first.
  void reset();

  /// The function as the source of a C++17 header that needs nothing but the C++ library:
  ///
  ///     class NAME {
  ///      public:
  ///       static constexpr int inputs = ..., outputs = ...;
  ///       void operator()(const float* x, float* y) noexcept;
  ///       void reset() noexcept;
  ///     };
  ///
  /// The weights are in it, to the bit. It allocates nothing. Compiled for a processor with fused multiply-add (-mfma) and without
  /// -ffast-math and contraction (-ffp-contract=off) its layers, elementwise functions and cells have the bits of this object on such a
  /// processor; where there are convolutions, normalization, softmax or sums, which add in another order, the results differ by rounding.
  ///
  /// A ValueError if the name is not one that a class can have, or for a function that has no source (lgamma, digamma, polygamma).
  std::string to_cpp(std::string_view name) const;

  /// For `freeze`.
  explicit Frozen(std::shared_ptr<const detail::frozen::Plan> plan);

 private:
  std::shared_ptr<const detail::frozen::Plan> plan_;
  std::size_t x_size_;
  pool::Vector<float> memory_, result_;
};

namespace detail {

/// Calls f with each tensor of a state: a Tensor, an LstmState, or an array, pair or tuple of states.
template <class F> void for_each_state(Tensor& state, const F& f) { f(state); }
template <class F> void for_each_state(LstmState& state, const F& f) {
  f(state.h);
  f(state.c);
}
template <class State, class F> void for_each_state(State& states, const F& f) {
  std::apply([&](auto&... each) { (for_each_state(each, f), ...); }, states);
}

/// `run` computes y from x, and changes the tensors that `state` points to.
Frozen freeze(FunctionRef<Tensor(const Tensor&)> run, std::span<Tensor* const> state, const Shape& input, Location site);

}  // namespace detail

/// The function f from a float32 tensor of shape `input` to another, for calls without tensors. f is called a few times: on a tape, from
/// whose operations the list of kernel calls is read, and on other inputs, to compare. Whatever f reads beside x is a constant from then
/// on: training a model afterwards does not change what was frozen of it.
///
///     auto frozen = freeze([&](const Tensor& x) { return tanh(linear(x, w, b)); }, {1, 64});
///     frozen(x, y);  // std::vector<float>, std::array<float, 64> ...
///
/// With a State, f is called as f(x, state) and changes the state, which a Frozen keeps from call to call. It is a Tensor, an LstmState, or
/// a std::array, std::pair or std::tuple of these, undefined at first, as recurrent cells take it.
///
///     auto frozen = freeze<LstmState>([&](const Tensor& x, LstmState& s) { s = cell(x, s); return out(s.h); }, {1, 1});
///
/// Layers sum each element in one order, which is that of the library for a batch of more than a few rows, so results may differ from those
/// of f for one row by rounding; docs/inference.md has the bound. Elementwise operations, convolutions and pooling have the bits of f.
///
/// A ValueError names the operation that has no frozen form and the line that called it. There is one, too, if f takes elements out as
/// Scalars, and if on another input it does not compute what it did on the first one: f must do the same operations for all inputs. A
/// DtypeError for values other than float32.
template <class State = void, class F> Frozen freeze(F&& f, const Shape& input, Location site = Location::here()) {
  if constexpr (std::is_void_v<State>) {
    return detail::freeze([&](const Tensor& x) -> Tensor { return f(x); }, {}, input, site);
  } else {
    State state{};
    std::vector<Tensor*> parts;
    detail::for_each_state(state, [&](Tensor& part) { parts.push_back(&part); });
    return detail::freeze([&](const Tensor& x) -> Tensor { return f(x, state); }, parts, input, site);
  }
}

}  // namespace wengert
