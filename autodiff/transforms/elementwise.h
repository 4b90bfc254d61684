#pragma once
// Tensor operations from functions of numbers.
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "autodiff/ops.h"
#include "autodiff/program/recorded.h"

namespace wengert {
namespace detail {

/// A function of numbers, as an elementwise operation calls it to record it.
class ElementFunction {
 public:
  explicit ElementFunction(const char* name, int operands) : name(name), operands(operands) {}
  ElementFunction(const ElementFunction&) = delete;
  ElementFunction& operator=(const ElementFunction&) = delete;
  virtual ~ElementFunction() = default;
  virtual Recorded call(std::span<const Recorded> x) const = 0;

  const char* const name;
  const int operands;
};
template <class F, class I> class ElementFunctionOf;
template <class F, std::size_t... i> class ElementFunctionOf<F, std::index_sequence<i...>> final : public ElementFunction {
 public:
  ElementFunctionOf(const char* name, F f) : ElementFunction(name, static_cast<int>(sizeof...(i))), f_(std::move(f)) {}
  Recorded call(std::span<const Recorded> x) const override { return f_(x[i]...); }

 private:
  F f_;
};

/// The programs of an elementwise operation, which are recorded when they are needed first.
class ElementwisePrograms;
std::shared_ptr<ElementwisePrograms> make_elementwise(std::shared_ptr<const ElementFunction> f);
Tensor apply_elementwise(const std::shared_ptr<ElementwisePrograms>& programs, std::span<Operand* const> x);

/// How many numbers F takes; 0 if none of up to eight.
template <class F, class... Leading> constexpr std::size_t numbers_of() {
  constexpr std::size_t kMost = 8;
  if constexpr (std::is_invocable_v<const F&, const Leading&..., const Recorded&>) {
    return sizeof...(Leading) + 1;
  } else if constexpr (sizeof...(Leading) + 1 < kMost) {
    return numbers_of<F, Leading..., Recorded>();
  } else {
    return 0;
  }
}

template <std::size_t> using ElementwiseOperand = Operand;
template <std::size_t> using RecordedElement = Recorded;

/// What F returns for the numbers 0 to n - 1.
template <class F, class I> struct ElementResult;
template <class F, std::size_t... i> struct ElementResult<F, std::index_sequence<i...>>
    : std::invoke_result<const F&, const RecordedElement<i>&...> {};

}  // namespace detail

/// What `elementwise` returns: a function of as many tensors as its function takes numbers. Copies share what they have recorded.
template <class I> class Elementwise;
template <std::size_t... i> class Elementwise<std::index_sequence<i...>> {
 public:
  template <class F> Elementwise(const char* name, F f)
      : programs_(detail::make_elementwise(std::make_shared<detail::ElementFunctionOf<F, std::index_sequence<i...>>>(name, std::move(f)))) {
  }
  Tensor operator()(detail::ElementwiseOperand<i>... x) const {
    Operand* const operands[] = {&x...};
    return detail::apply_elementwise(programs_, operands);
  }

 private:
  std::shared_ptr<detail::ElementwisePrograms> programs_;
};

/// A tensor operation out of a function of one to eight numbers that is generic in their type and returns a number:
///
///     const auto swish = elementwise([](auto x, auto beta) { return x * sigmoid(beta * x); });
///     Tensor y = swish(x, 1.5);
///
/// Operands are tensors of one floating dtype, Scalars or numbers, and broadcast as those of + do. The elements are computed in one pass,
/// however many operations the function has, and so are the derivatives with respect to all operands. Derivatives of any order, in reverse
/// and forward mode, come from the function's operations by the rules of functions.h.
///
/// The function is recorded as a Program (program/program.h) at an element, so it must do the same whenever it has the same inputs, and
/// whatever it refers to must live as long as the operation and the tapes on which it is. It may branch on its numbers: elements for which
/// a branch turns out otherwise are sorted out and computed by a recording of their own. `where(condition, a, b)` is faster than `if`.
///
/// Errors are as those of +, and a ValueError if the elements take more than 256 ways through the function. They, and what lists a tape,
/// call the operation by its name, which must outlive the tapes.
template <class F> auto elementwise(const char* name, F f) {
  constexpr std::size_t n = detail::numbers_of<F>();
  static_assert(n > 0, "the function of elementwise must take one to eight numbers of any type: [](auto x, auto y) { ... }");
  if constexpr (n > 0) {
    using Result = typename detail::ElementResult<F, std::make_index_sequence<n>>::type;
    static_assert(std::convertible_to<Result, Recorded>, "the function of elementwise must return one number");
    return Elementwise<std::make_index_sequence<n>>(name, std::move(f));
  }
}
template <class F> auto elementwise(F f) { return elementwise("elementwise", std::move(f)); }

}  // namespace wengert
