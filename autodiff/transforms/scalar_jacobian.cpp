#include "autodiff/transforms/scalar_jacobian.h"

#include <fmt/format.h>

namespace wengert::detail {

void throw_number_of_results(std::size_t first, std::size_t now) {
  throw ShapeError(
      fmt::format("jacobian: the function returned {} results, then {}; hint: its number of results must not change", first, now));
}
void throw_number_of_parameters(std::size_t wanted, std::size_t given) {
  throw ShapeError(fmt::format("cost_function: the blocks have {} parameters together, but x has {}", wanted, given));
}
void throw_no_residuals() { throw ValueError("cost_function: the functor returned false, so there are no residuals at this point"); }

}  // namespace wengert::detail
