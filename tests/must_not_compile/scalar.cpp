// Mistakes with Scalars (`run` says how to read this file).
#include <autodiff/autodiff.h>

#include <cmath>
#include <utility>
#include <vector>
using namespace wengert;

// An element of a tensor is read as a Scalar, a copy: assigning to it would change nothing.
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
