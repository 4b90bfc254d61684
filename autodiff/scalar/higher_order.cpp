#include "autodiff/scalar/higher_order.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "autodiff/scalar/scalar.h"
#include "autodiff/tensor/storage.h"

namespace wengert::detail {

ExpressionOnTensors::ExpressionOnTensors() : stack_(nullptr), capacity_(0) {}
ExpressionOnTensors::~ExpressionOnTensors() {
  while (size_ > 0) stack_[--size_].~Tensor();
  pool::release(stack_, static_cast<std::size_t>(capacity_) * sizeof(Tensor));
}

void ExpressionOnTensors::push(Tensor t) {
  if (size_ == capacity_) {
    const int capacity = std::max(8, 2 * capacity_);
    auto* grown = static_cast<Tensor*>(pool::allocate(static_cast<std::size_t>(capacity) * sizeof(Tensor)));
    std::uninitialized_move_n(stack_, size_, grown);
    pool::release(stack_, static_cast<std::size_t>(capacity_) * sizeof(Tensor));
    stack_ = grown;
    capacity_ = capacity;
  }
  ::new (stack_ + size_++) Tensor(std::move(t));
}

void ExpressionOnTensors::leaf(double value, std::uint64_t number) { push(scalar_to_tensor(value, number, float64, {})); }
void ExpressionOnTensors::literal(double value) { push(Tensor::full({}, value, float64, {})); }

void ExpressionOnTensors::apply(FunctionOnTensors call, const void* function, int operands) {
  Tensor result = call(function, stack_ + size_ - operands);
  for (; operands > 0; --operands) stack_[--size_].~Tensor();
  push(std::move(result));
}

std::uint64_t ExpressionOnTensors::record_top() { return tensor_to_scalar(stack_[0], 0, {}); }

template <class F> Tensor call_on_tensors(const void* function, const Tensor* operands) {
  const F& f = *static_cast<const F*>(function);
  if constexpr (requires { F::reads_left; }) {
    return zip(f, operands[0], operands[1], {});
  } else {
    return map(f, operands[0], {});
  }
}

#define WENGERT_FUNCTION(F, ...) template Tensor call_on_tensors<fn::F>(const void*, const Tensor*);
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
WENGERT_ARITHMETIC(WENGERT_FUNCTION)
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

}  // namespace wengert::detail
