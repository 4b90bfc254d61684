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

// An expression kept in `auto` holds its Scalars as they were, which `+=` may have changed since.
Scalar kept(Tape& tape, Scalar x, const Tensor& t) {
#ifdef WRONG_kept_operand  // error: write `Scalar z = x * x`
  auto z = x * x;
#else
  Scalar z = x * x;
#endif
  Scalar y = z + 1;
#ifdef WRONG_kept_both_operands  // error: write `Scalar z = x * x`
  const auto a = x * x, b = y * y;
#else
  const Scalar a = x * x, b = y * y;
#endif
  y = a * b;
#ifdef WRONG_kept_argument  // error: write `Scalar z = x * x`
  auto c = 2 * x;
#else
  Scalar c = 2 * x;
#endif
  y = exp(c);
#ifdef WRONG_kept_power  // error: write `Scalar z = x * x`
  auto d = 2 * x;
#else
  Scalar d = 2 * x;
#endif
  y = pow(2, d);
#ifdef WRONG_kept_assigned  // error: write `Scalar z = x * x`
  auto e = 2 * x;
#else
  Scalar e = 2 * x;
#endif
  y = e;
#ifdef WRONG_kept_added  // error: write `Scalar z = x * x`
  auto f = 2 * x;
#else
  Scalar f = 2 * x;
#endif
  y += f;
#ifdef WRONG_kept_converted  // error: write `Scalar z = x * x`
  auto g = 2 * x;
#else
  Scalar g = 2 * x;
#endif
  y = Scalar(g);
#ifdef WRONG_kept_beside_a_tensor  // error: write `Scalar z = x * x`
  auto h = 2 * x;
#else
  Scalar h = 2 * x;
#endif
  y = Scalar(t * h);
#ifdef WRONG_kept_sign  // error: write `Scalar z = x * x`
  auto k = 2 * x;
#else
  Scalar k = 2 * x;
#endif
  y = +k;
#ifdef WRONG_kept_target  // error: write `Scalar z = x * x`
  auto l = 2 * x;
#else
  Scalar l = 2 * x;
#endif
  y = tape.gradient(l, x);
  return y;
}

// Expressions have types of their own, so ?: needs a Scalar on one side.
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
#ifdef WRONG_expression_or_number  // error: write Scalar(...) around one of the sides
  x = c ? x * x : 0;
#else
  x = c ? x * x : Scalar(0);
#endif
#ifdef WRONG_number_or_function  // error: write Scalar(...) around one of the sides
  x = c ? 1.5 : exp(x);
#else
  x = c ? Scalar(1.5) : exp(x);
#endif
#ifdef WRONG_condition  // error: converts only to Scalar
  if (x * x) return a;
#else
  if (x * x != 0) return a;
#endif
  return c ? a : 2 * a;
}

// C++17 is refused before anything else.
#ifdef WRONG_standard  // error (-std=c++17): Wengert needs C++20: compile with -std=c++20
#endif
