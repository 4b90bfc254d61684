// The equations of einsum.
#include <autodiff/ops.h>

#include <algorithm>
#include <string>
#include <vector>

#include "targets.h"
#include "use.h"

namespace wengert::fuzz::readers {

void equation(Bytes input) {
  const std::string text(input.begin(), input.end());
  const Tensor a = Tensor::ones({2, 3}), b = Tensor::ones({3, 2}), c = Tensor::ones({2});
  const std::vector<std::vector<Tensor>> operands{{a}, {a, b}, {a, b, c}};
  const auto commas = static_cast<std::size_t>(std::count(text.begin(), text.end(), ','));
  use(einsum(text, operands[std::min<std::size_t>(commas, 2)]));
}

}  // namespace wengert::fuzz::readers
