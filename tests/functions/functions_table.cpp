// Prints docs/functions.md: every function of one operand of autodiff/functions/functions-inl.h with its formula and its worst errors.
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

The worst error of each function of one operand in float64, in units in the last place (ULP), and the x where it occurs; over 10 000 and
more points of the range: evenly spaced, by powers of ten, and close to 1, where many functions have a zero. Values are held against long
double (`tests/support/reference_functions.h`), slopes against their own formula in long double. Measured with glibc 2.36 on x86-64, which
computes the elementary functions; other C libraries differ by a few tenths.

What is promised, and tested, is 4 ULP for the value, or twice the condition number $|x f'(x) / f(x)|$ where that is more: in the tail of
gelu, near the zeros of lgamma, digamma and logarithms. For $f(x) = x g(x)$, as gelu is, it is the condition number of g, whose argument is
scaled and rounded: half an ULP there moves the result that far. The worst error is the one that is largest in proportion to this bound;
"2.5 of 7.1" says that 7.1 was allowed at this place. Slopes are held to three times as much. digamma and polygamma, and so the slope of
lgamma, are our own, computed in long double.

`./dev tables` writes this page.

| function | value | range | worst value | at | worst slope | at |
|---|---|---|---|---|---|---|
)");
#define WENGERT_FUNCTION(F, ...) print<wengert::fn::F>();
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
}
