#pragma once
// Checkpoints: a part of a program of which only the inputs are saved, and which runs again when the reverse sweep reaches it.
//
//     for (int t = 0; t < 1000; t += 32)  // memory for 32 steps and 32 states instead of 1000 steps
//       h = checkpoint([&, t](const Tensor& h) { return thirty_two_steps(h, t); })(h);
#include <array>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/ops.h"

namespace wengert {
namespace detail {

/// A function of tensors with one or more results. Nodes share it.
class Block {
 public:
  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  virtual pool::Vector<Tensor> operator()(std::span<const Tensor> x) const = 0;

 protected:
  ~Block() = default;
};

/// f(x), recorded on the active tape as one node.
pool::Vector<Tensor> checkpointed(const std::shared_ptr<const Block>& f, std::span<const Tensor> x, Location site);

template <class Y> concept TupleOfTensors = requires { std::tuple_size<Y>::value; };

/// The result of a function (a tensor, or an array, a pair, a tuple or a vector of tensors) as a list.
template <class Y> pool::Vector<Tensor> list_of(Y&& y) {
  using Result = std::remove_cvref_t<Y>;
  pool::Vector<Tensor> list;
  if constexpr (std::is_convertible_v<Result, Tensor>) {
    list.push_back(y);
  } else if constexpr (TupleOfTensors<Result>) {
    std::apply([&](const auto&... each) { (list.push_back(each), ...); }, y);
  } else {
    list.assign(y.begin(), y.end());
  }
  return list;
}
/// The reverse of list_of.
template <class Result> Result from_list(pool::Vector<Tensor>& list) {
  if constexpr (std::is_convertible_v<Result, Tensor>) {
    return std::move(list[0]);
  } else if constexpr (TupleOfTensors<Result>) {
    return [&]<std::size_t... i>(std::index_sequence<i...>)->Result { return {std::move(list[i])...}; }
    (std::make_index_sequence<std::tuple_size_v<Result>>{});
  } else {
    return Result(list.begin(), list.end());
  }
}

template <class F, std::size_t n> class BlockOf final : public Block {
 public:
  explicit BlockOf(F f) : f_(std::move(f)) {}
  pool::Vector<Tensor> operator()(std::span<const Tensor> x) const override {
    return [&]<std::size_t... i>(std::index_sequence<i...>) { return list_of(f_(x[i]...)); }
    (std::make_index_sequence<n>{});
  }

 private:
  mutable F f_;
};

template <std::size_t> using TensorArgument = const Tensor&;

}  // namespace detail

/// The result of `checkpoint`: a function that is called with tensors, as f is.
template <class F> class CheckpointedFunction {
 public:
  CheckpointedFunction(F f, Location site) : f_(std::move(f)), site_(site) {}

  /// f(x...): a tensor, or an array, a pair, a tuple or a vector of tensors.
  template <class... X>
  requires(std::is_convertible_v<const X&, Tensor>&&...) auto operator()(const X&... x) const {
    using Call = detail::BlockOf<F, sizeof...(X)>;
    using Result = std::remove_cvref_t<decltype(std::declval<F&>()(std::declval<detail::TensorArgument<sizeof(X)>>()...))>;
    const std::array<Tensor, sizeof...(X)> inputs{Tensor(x)...};
    const std::shared_ptr<const detail::Block> block = std::allocate_shared<Call>(pool::Allocator<Call>(), f_);
    pool::Vector<Tensor> results = detail::checkpointed(block, inputs, site_);
    return detail::from_list<Result>(results);
  }

 private:
  F f_;
  Location site_;
};

/// f as a function that saves only its inputs under a tape, and none of its intermediate values: the reverse sweep calls f again. This
/// costs one more forward pass of f.
///
/// - f is called with tensors. It may read Parameters; they get gradients, even if new values have been assigned to them since. Other
///   tracked values must be passed as inputs: capturing one is a TapeError.
/// - f must do the same on every call, and whatever it captures must live until the sweep. Random numbers are repeated, whichever generator
///   they come from. Side effects, such as updates of running statistics, happen on every call.
/// - Checkpoints nest. Gradients of gradients work to any order; each order recomputes f.
template <class F> CheckpointedFunction<std::decay_t<F>> checkpoint(F&& f, Location site = Location::here()) {
  return {std::forward<F>(f), site};
}

}  // namespace wengert
