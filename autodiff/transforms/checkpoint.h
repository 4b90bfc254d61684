#pragma once
// Recomputing instead of storing: a part of a program that keeps its inputs alone, and runs once more when the sweep comes to it.
//
//     for (int t = 0; t < 1000; t += 32)  // memory for 32 steps and for 32 states, instead of 1000 steps
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

/// A function of tensors with one or more results. Records share it.
class Block {
 public:
  Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  virtual pool::Vector<Tensor> operator()(std::span<const Tensor> x) const = 0;

 protected:
  ~Block() = default;
};

/// f(x), of which the active tape records one call.
pool::Vector<Tensor> checkpointed(const std::shared_ptr<const Block>& f, std::span<const Tensor> x, Location site);

template <class Y> concept TupleOfTensors = requires { std::tuple_size<Y>::value; };

/// The results of a function as a list: of a tensor, an array, a pair, a tuple, or a vector of them.
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
/// And back.
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

/// What `checkpoint` returns: a function to be called with tensors, as f is.
template <class F> class Checkpoint {
 public:
  Checkpoint(F f, Location site) : f_(std::move(f)), site_(site) {}

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

/// f as a function that, under a tape, keeps its inputs but nothing that it computes on the way: the sweep calls it once more. The price
/// is one more forward computation.
///
/// - f is called with tensors, and may read Parameters, which get their gradients, also if they have been given other values since. Of
///   other tracked values it must have them as inputs: a captured one is a TapeError.
/// - It must do the same each time, and live, with what it captures, until the sweep. Random numbers are the same again, whichever
///   generator they come from; what f writes elsewhere, such as running statistics, is written twice.
/// - Checkpoints nest. Gradients of gradients work, to any order, and recompute at each.
template <class F> Checkpoint<std::decay_t<F>> checkpoint(F&& f, Location site = Location::here()) { return {std::forward<F>(f), site}; }

}  // namespace wengert
