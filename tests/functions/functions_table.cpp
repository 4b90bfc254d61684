// Prints docs/functions.md: every function of one operand of autodiff/functions/functions.h with its formula and its worst errors.
#include <fmt/format.h>

#include <string>

#include "tests/support/accuracy.h"

namespace {

std::string error(const wengert::accuracy::Error& e) {
  if (e.ulps < 0) return "|";
  if (e.ulps == 0) return "0 |";
  return fmt::format("{:.2f}{} | {:.3g}", e.ulps, e.allowed >= 4.05 ? fmt::format(" of {:.1f}", e.allowed) : "", e.x);
}

template <class F> void print() {
  using namespace wengert;
  const auto* reference = reference::find(reference::unary(), F::name);
  const accuracy::Row row = accuracy::measure<F>(*reference, 5000);
  fmt::print("{} {} | {} |\n", accuracy::head_of_line(row, *reference), error(row.value), error(row.slope));
}

}  // namespace

int main() {
  fmt::print(R"(# Elementwise functions: accuracy

The table lists the largest error of each unary function in float64, in units in the last place (ULP), and the x at which it occurs. Each
function is evaluated at 10 000 points or more: evenly spaced over the range, at powers of ten, and close to 1, where many functions have a
zero. Values are compared with long double references (`tests/support/reference_functions.h`), slopes with their own formula in long double.
Of a Scalar the elementary functions are those of the C library (here glibc 2.36 on x86-64; others differ by a few tenths of a ULP). Of
tensors and programs they are the library's own straight formulas (`autodiff/functions/straight.h`), which run on the SIMD units and give
the same bits on every processor. The table has the larger error of the two; values of Scalars and of the others may differ by their sum.
In float32, values of tensors are within 4 ULP, and within 1.6 for exp, log, tanh, sin and cos.

The library guarantees, and the tests check, at most 4 ULP for the value, or twice the condition number $|x f'(x) / f(x)|$ where that is
more: in the tail of gelu, and near the zeros of lgamma, digamma and the logarithms. For functions of the form $f(x) = x g(x)$, such as
gelu, the condition number is that of g, whose argument is scaled and rounded: half a ULP there moves the result that far. The largest
error is the one that is largest relative to this bound; "2.5 of 7.1" means that the bound is 7.1 at this point. The bound for slopes is
three times as large. digamma and polygamma, and therefore the slope of lgamma, are the library's own: of Scalars, of tensors at x <= 0 and
of orders n > 2 they are computed in long double. Of the functions of two operands, atan2 of tensors is within 2 ULP in both dtypes, hypot
within 1.2, pow within 1.9.

`./dev tables` generates this page.

| function | value | range | worst value | at | worst slope | at |
|---|---|---|---|---|---|---|
)");
#define WENGERT_FUNCTION(F, ...) print<wengert::fn::F>();
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
}
