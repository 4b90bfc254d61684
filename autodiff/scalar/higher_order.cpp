#include "autodiff/scalar/higher_order.h"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "autodiff/scalar/scalar.h"
#include "autodiff/tensor/storage.h"

namespace wengert::detail {

ExpressionList::~ExpressionList() { pool::release(steps_, static_cast<std::size_t>(capacity_) * sizeof(ExpressionStep)); }

void ExpressionList::push(const ExpressionStep& step) {
  if (size_ == capacity_) {
    const int capacity = std::max(16, 2 * capacity_);
    auto* grown = static_cast<ExpressionStep*>(pool::allocate(static_cast<std::size_t>(capacity) * sizeof(ExpressionStep)));
    std::uninitialized_copy_n(steps_, size_, grown);
    pool::release(steps_, static_cast<std::size_t>(capacity_) * sizeof(ExpressionStep));
    steps_ = grown;
    capacity_ = capacity;
  }
  ::new (steps_ + size_++) ExpressionStep(step);
}

void ExpressionList::apply(const ListedFunction& f, const void* object) {
  // The operands' values: the last subtrees of the list end at its end and before that of the last operand.
  std::array<double, 2> x{};
  int at = size_ - 1;
  for (int k = f.operands; k-- > 0;) {
    x[static_cast<std::size_t>(k)] = steps_[at].value;
    for (int missing = 1; missing > 0; --at) missing += (steps_[at].function ? steps_[at].function->operands : 0) - 1;
  }
  push({.function = &f, .object = object, .value = f.value(object, x.data())});
}

std::uint64_t ExpressionList::record_on_tensors(Location site) const {
  pool::Vector<Tensor> stack;
  for (const ExpressionStep& step : steps()) {
    if (!step.function) {
      stack.push_back(step.literal ? Tensor::full({}, step.value, float64, site)
                                   : scalar_to_tensor(step.value, step.number, float64, site));
      continue;
    }
    const auto operands = static_cast<std::size_t>(step.function->operands);
    Tensor result = step.function->on_tensors(step.object, stack.data() + stack.size() - operands, site);
    stack.resize(stack.size() - operands);
    stack.push_back(std::move(result));
  }
  return tensor_to_scalar(stack[0], 0, site);
}

namespace {

template <class F> void options_at(const void* function, double* to) {
  if constexpr (sizeof(F) == 2 * sizeof(double)) {
    const auto& [p, q] = *static_cast<const F*>(function);
    to[0] = p;
    to[1] = q;
  } else if constexpr (sizeof(F) == sizeof(double)) {
    const auto& [p] = *static_cast<const F*>(function);
    to[0] = p;
    to[1] = 0;
  } else {
    to[0] = to[1] = 0;
  }
}

template <class F> constexpr bool kTwoOperands = requires { F::reads_left; };

template <class F> constexpr ListedFunction listed() {
  return {.name = F::name,
          .operands = kTwoOperands<F> ? 2 : 1,
          .value = [](const void* function, const double* x) -> double {
            const F& f = *static_cast<const F*>(function);
            if constexpr (kTwoOperands<F>) {
              return f.value(x[0], x[1]);
            } else {
              return fn::call(f, x[0]);
            }
          },
          .on_tensors = [](const void* function, const Tensor* x, Location site) -> Tensor {
            const F& f = *static_cast<const F*>(function);
            if constexpr (kTwoOperands<F>) {
              return zip(f, x[0], x[1], site);
            } else {
              return map(f, x[0], site);
            }
          },
          .options = &options_at<F>};
}

template <class F> constexpr ListedFunction kListed = listed<F>();

}  // namespace

template <class F> const ListedFunction& listed_function() { return kListed<F>; }

#define WENGERT_FUNCTION(F, ...) template const ListedFunction& listed_function<fn::F>();
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
WENGERT_ARITHMETIC(WENGERT_FUNCTION)
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

}  // namespace wengert::detail
