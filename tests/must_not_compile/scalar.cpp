// Mistakes with Scalars (`run` says how to read this file).
#include <autodiff/autodiff.h>

#include <cmath>
#include <utility>
#include <vector>
using namespace wengert;

// An element of a tensor is read as a Scalar, which is a copy: assigning to it would change nothing.
void elements(Tensor x, Scalar y) {
  Scalar element = x(0, 1);
#ifdef WRONG_assign_number  // error: assigns to a temporary Scalar
  x(0, 1) = 3.0;
#else
  element = 3.0;
#endif
#ifdef WRONG_assign_scalar  // error: assigns to a temporary Scalar
  x(0, 1) = y;
#else
  element = y;
#endif
#ifdef WRONG_assign_moved  // error: assigns to a temporary Scalar
  x(0, 1) = std::move(y);
#else
  element = std::move(y);
#endif
#ifdef WRONG_assign_expression  // error: assigns to a temporary Scalar
  x(0, 1) = y * y;
#else
  element = y * y;
#endif
#ifdef WRONG_add  // error: assigns to a temporary Scalar
  x(1, 1) += 5;
#else
  element += 5;
#endif
#ifdef WRONG_subtract  // error: assigns to a temporary Scalar
  x(1, 1) -= y;
#else
  element -= y;
#endif
#ifdef WRONG_multiply  // error: assigns to a temporary Scalar
  x(1, 1) *= y * 2;
#else
  element *= y * 2;
#endif
#ifdef WRONG_divide  // error: assigns to a temporary Scalar
  x(1, 1) /= 2;
#else
  element /= 2;
#endif
}

// Two expressions have two types, so ?: between them needs a Scalar on one side. (A number beside an expression is fine.)
Scalar choices(bool c, Scalar a) {
#ifdef WRONG_choice_of_expressions  // error: write Scalar(...) around one of the sides
  Scalar x = c ? 2 * a : 3 * a + 1;
#else
  Scalar x = c ? Scalar(2 * a) : 3 * a + 1;
#endif
#ifdef WRONG_choice_of_functions  // error: write Scalar(...) around one of the sides
  x += c ? exp(a) : sin(a);
#else
  x += c ? exp(a) : Scalar(sin(a));
#endif
#ifdef WRONG_power_or_number  // error: write Scalar(...) around one of the sides
  x = c ? pow(x, 2) : 0;
#else
  x = c ? pow(x, 2) : Scalar(0);
#endif
  x = c ? x * x : 0;
  return c ? a : 2 * a;
}

// A derivative is never dropped without a cast.
double values(const Scalar& x) {
#ifdef WRONG_implicit_value  // error: cannot convert | no viable conversion
  const double value = x;
#else
  const double value = x.value();
#endif
#ifdef WRONG_implicit_value_of_an_expression  // error: cannot convert | no viable conversion
  return x * value;
#else
  return static_cast<double>(x * value);
#endif
}

// C++17 is refused before anything else.
#ifdef WRONG_standard  // error (-std=c++17): Wengert needs C++20: compile with -std=c++20
#endif
