#include <autodiff/autodiff.h>

#include <iostream>
using namespace wengert;

int main() {
  const Tensor x = reshape(Tensor::arange(0, 12), {3, 4});
  std::cout << "row 0      " << x[0] << '\n';
  std::cout << "column 1   " << x(All, 1) << '\n';
  std::cout << "a part     " << x(Range(1, End), Range(0, 4, 2)) << '\n';
  Scalar total = 0;
  for (const Tensor row : x) total += row(-1);
  std::cout << "last column summed: " << total << '\n';

  const Tensor between =
      (x > 2) && !isnan(x) && (x < 8);  // a mask: boolean, of x's shape
  std::cout << "between    " << masked_select(x, between) << ", " << sum(between).item()
            << " of them\n";
  std::cout << "rows with a number above 10: " << any(x > 10, 1) << '\n';

  // Assignment is a function: it returns a new tensor and is differentiable.
  const auto f = [&](const Tensor& v) {
    return sum(square(slice_update(x, {All, 1}, v)));
  };
  std::cout << "derivative " << gradient(f, Tensor::from({1, 2, 3})) << '\n';
}
