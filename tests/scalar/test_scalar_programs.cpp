// Random programs: copies, moves, swaps, self-reference, increments of open and of closed statements, constants, tensors in between.
// Their gradients are compared with forward mode, which shares no code with the library. Everything is repeated with chunks so small that
// nearly every statement begins a new one.
#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <random>
#include <thread>
#include <utility>

#include "autodiff/scalar/statements.h"
#include "autodiff/transforms/derivatives.h"
#include "tests/support/forward_number.h"
#include "tests/support/sanitizers.h"

using namespace wengert;
using wengert::testing::ForwardNumber;
using wengert::testing::kSanitizer;

namespace {

constexpr int kInputs = 4, kValues = 8;
constexpr double kPoint[kInputs] = {0.3, -0.4, 0.7, 1.1};

template <class T> T by_value(T x) { return x; }

// (a, b, c) -> (tanh(a c) + a, the sum of b times those of the three, c - b), on tensors.
template <class T> void through_tensors(T& a, T& b, T& c) {
  const T u = tanh(a * c) + a, v = tanh(b * c) + b, w = tanh(c * c) + c;
  const T sum = (u + v + w) * b, difference = c - b;
  a = u;
  b = sum;
  c = difference;
}
template <> void through_tensors(Scalar& a, Scalar& b, Scalar& c) {
  const Tensor t = stack({a, b, c}, float64);
  const Tensor u = tanh(t * c) + t;
  const Tensor s = sum(u) * b;
  c = (t(2) - b) * 1;
  a = u(0);
  b = Scalar(s);
}

// One of the steps that make up a program. `c` is a factor that keeps values small.
template <class T> void step(unsigned which, std::array<T, kValues>& a, T& result, std::size_t i, std::size_t j, std::size_t k, double c) {
  switch (which) {
    case 0:
      a[i] = a[j] * a[k] + c;
      break;
    case 1:
      a[i] = tanh(a[j] * c);
      break;
    case 2:
      a[i] += a[j] * a[k] * 0.1;
      break;
    case 3:
      a[i] -= tanh(a[j]) * c;
      break;
    case 4:
      a[i] = a[j];
      break;
    case 5: {
      T t = a[j];
      t += a[k] * c;
      a[i] = t;
      break;
    }
    case 6:
      std::swap(a[i], a[j]);
      break;
    case 7:
      a[i] = c;
      break;
    case 8:
      a[i] += a[j];
      break;
    case 9:
      a[i] -= a[i] * 0.5;
      break;
    case 10: {  // a sum that is copied and then goes on
      T s = a[i];
      for (const T& v : a) s += v * (c * 0.2);
      a[k] = tanh(s);
      a[j] = s;
      s += a[i] * c;
      result += s * 0.01;
      break;
    }
    case 11:
      result += a[i] * a[i] * c * 0.01;
      break;
    case 12:
      a[i] += a[i];
      a[i] = tanh(a[i]);
      break;
    case 13:
      a[i] += c;
      break;
    case 14: {
      T t = std::move(a[i]);
      a[i] = t * c;
      t += a[j];
      a[k] = tanh(t);
      break;
    }
    case 15: {
      T b = result;
      b += a[i];
      result += tanh(b) * 0.1;
      break;
    }
    case 16: {  // the copy of an open statement
      T s = 0.0;
      s += a[i] * c;
      T copy = s;
      s += a[j] * copy;
      a[k] = tanh(s * copy);
      break;
    }
    case 17: {  // a moved-from value
      T s = a[i];
      s += a[j];
      T moved = std::move(s);
      moved += a[k];
      a[j] = tanh(moved * s);
      break;
    }
    case 18: {  // an increment by itself
      T s = a[i];
      s += a[j];
      s += s * c;
      s -= a[k] / (s * s + 1.5);
      a[i] = tanh(by_value(s));
      break;
    }
    case 19: {
      T s = a[i];
      s += a[j];
      a[k] = tanh(by_value(s));
      s += a[k];
      a[i] = tanh(s);
      break;
    }
    case 20: {  // a long extended statement
      T s = a[i];
      for (int n = 0; n < 70; ++n) s += a[j] * 0.01 - a[k] * 0.005;
      a[i] = tanh(s);
      break;
    }
    case 21:
      a[i] *= a[j];
      a[i] /= a[i] * a[i] + 2;
      break;
    case 22:
      a[i] = exp(-a[j] * a[j]) - sin(a[k]) / (1.5 + cos(a[i]));
      break;
    default:
      through_tensors(a[i], a[j], a[k]);
      break;
  }
}

template <class T> T program(const std::array<T, kInputs>& x, unsigned seed, int length) {
  std::mt19937 random(seed);
  std::array<T, kValues> a;
  for (std::size_t i = 0; i < kValues; ++i) a[i] = i < kInputs ? x[i] : T(0.3 * static_cast<double>(i));
  T result = 0.0;
  for (int n = 0; n < length; ++n) {
    const unsigned which = static_cast<unsigned>(random() % 24);
    const std::size_t i = random() % kValues, j = random() % kValues, k = random() % kValues;
    const double c = 0.1 * static_cast<double>(1 + random() % 7);
    if (which < 23 || (i != j && j != k && i != k)) step(which, a, result, i, j, k, c);
    if (n % 5 == 0)
      for (T& v : a) v = tanh(v);
  }
  for (std::size_t i = 0; i < kValues; ++i) result += a[i] * (0.1 * static_cast<double>(i + 1));
  return result;
}

using Row = std::array<double, kInputs>;

Row reference(unsigned seed, int length) {
  Row g;
  for (std::size_t i = 0; i < kInputs; ++i) {
    std::array<ForwardNumber<double>, kInputs> x;
    for (std::size_t j = 0; j < kInputs; ++j) x[j] = {kPoint[j], i == j ? 1.0 : 0.0};
    g[i] = program(x, seed, length).d;
  }
  return g;
}

bool close(const Row& got, const Row& wanted, double tolerance = 1e-9) {
  for (std::size_t i = 0; i < kInputs; ++i)
    if (!(std::abs(got[i] - wanted[i]) <= tolerance * (1 + std::abs(wanted[i])))) return false;
  return true;
}

// All inputs may have been overwritten; then the result is a constant.
Row gradient(Tape& tape, const Scalar& y, const std::array<Scalar, kInputs>& x, bool retain) {
  Row g{};
  if (y.number()) tape.gradient(y, x, g, {.retain = retain, .unreached = Unreached::zero});
  return g;
}

Row recorded(unsigned seed, int length) {
  Tape tape;
  std::array<Scalar, kInputs> x;
  if (seed % 2) {
    tape.variables(kPoint, x);
  } else {
    for (std::size_t i = 0; i < kInputs; ++i) x[i] = tape.variable(kPoint[i]);
  }
  const Scalar y = program(x, seed, length);
  if (seed % 3) return gradient(tape, y, x, false);
  const Row once = gradient(tape, y, x, true);
  const Scalar z = y * tape.variable(1);
  return gradient(tape, z, x, false) == once ? once : Row{};
}

int length_of(unsigned seed) { return 5 + static_cast<int>(seed % 60); }

// The number of programs that fail.
int failures(unsigned first, unsigned programs) {
  int wrong = 0;
  for (unsigned seed = first; seed < first + programs; ++seed)
    if (!close(recorded(seed, length_of(seed)), reference(seed, length_of(seed)))) ++wrong;
  return wrong;
}

// Runs f on a new thread, whose tapes have chunks of these sizes.
template <class F> void with_chunks(detail::ChunkSizes sizes, F&& f) {
  const detail::ChunkSizes usual = std::exchange(detail::chunk_sizes, sizes);
  std::thread(f).join();
  detail::chunk_sizes = usual;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_hundred_thousand_programs) { BOOST_TEST(failures(0, kSanitizer ? 2'000 : 100'000) == 0); }

BOOST_AUTO_TEST_CASE(programs_in_tiny_chunks) {
  for (std::uint32_t statements : {129u, 130u, 137u, 200u, 511u})
    with_chunks({.statements = statements, .nodes = 2}, [&] { BOOST_TEST(failures(statements, kSanitizer ? 200 : 2'000) == 0); });
}

BOOST_AUTO_TEST_CASE(programs_on_two_threads) {
  int wrong[2] = {};
  std::thread other([&] { wrong[0] = failures(5'000, 300); });
  wrong[1] = failures(5'000, 300);
  other.join();
  BOOST_TEST(wrong[0] == 0);
  BOOST_TEST(wrong[1] == 0);
}

BOOST_AUTO_TEST_CASE(programs_on_tapes_of_higher_order) {
  const unsigned programs = kSanitizer ? 60 : 600;
  for (unsigned seed = 0; seed < programs; ++seed) {
    const int length = length_of(seed) / 3 + 3;
    Tape tape({.higher_order = true});
    std::array<Scalar, kInputs> x;
    tape.variables(kPoint, x);
    const Scalar y = program(x, seed, length);
    BOOST_TEST_CONTEXT("program " << seed) BOOST_TEST(close(gradient(tape, y, x, false), reference(seed, length)));
  }
}

// The derivative of the gradient along a direction, against forward mode over forward mode.
BOOST_AUTO_TEST_CASE(second_derivatives_on_tapes_of_higher_order) {
  using Second = ForwardNumber<ForwardNumber<double>>;
  constexpr Row direction = {1, -2, 0.5, 3};
  const unsigned programs = kSanitizer ? 20 : 300;
  for (unsigned seed = 0; seed < programs; ++seed) {
    const int length = length_of(seed) / 4 + 3;
    Row wanted;
    for (std::size_t i = 0; i < kInputs; ++i) {
      std::array<Second, kInputs> x;
      for (std::size_t j = 0; j < kInputs; ++j) x[j] = {{kPoint[j], direction[j]}, {i == j ? 1.0 : 0.0, 0}};
      wanted[i] = program(x, seed, length).d.d;
    }
    Tape tape({.higher_order = true});
    std::array<Scalar, kInputs> x;
    tape.variables(kPoint, x);
    const Scalar y = program(x, seed, length) + (x[0] + x[1] + x[2] + x[3]);  // so that every source is reached
    const auto [g0, g1, g2, g3] = tape.differentiable_gradient(y, x[0], x[1], x[2], x[3]);
    const Scalar along = g0 * direction[0] + g1 * direction[1] + g2 * direction[2] + g3 * direction[3];
    BOOST_TEST_CONTEXT("program " << seed) BOOST_TEST(close(gradient(tape, along, x, false), wanted, 1e-8));
  }
}
