#pragma once
// Programs that are generic in their number type, run with double and with this library's numbers: values are compared with those of
// double, derivatives with differences.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>

namespace wengert::testing {

/// Runs f with numbers of type T on a tape, at (0.7, 1.3). Compares its value with `value`, its derivatives with differences of `plain`,
/// which is f of two doubles.
template <class T, class F, class Plain> void compare_program(const char* name, const F& f, double value, const Plain& plain) {
  const double at_x = 0.7, at_y = 1.3, h = 1e-6, tolerance = 1e-7;
  Tape tape;
  const Scalar x = tape.variable(at_x), y = tape.variable(at_y);
  const Scalar z = T(f(T(x), T(y)));
  const auto [dx, dy] = tape.gradient(z, wrt(x, y), {.unreached = Unreached::zero});
  BOOST_TEST_CONTEXT(name) {
    BOOST_TEST(z.value() == value, boost::test_tools::tolerance(1e-14));
    BOOST_TEST(std::abs(dx - (plain(at_x + h, at_y) - plain(at_x - h, at_y)) / (2 * h)) <= tolerance * (1 + std::abs(dx)));
    BOOST_TEST(std::abs(dy - (plain(at_x, at_y + h) - plain(at_x, at_y - h)) / (2 * h)) <= tolerance * (1 + std::abs(dy)));
  }
}
/// A program is a generic callable f(x, y) of two numbers of one type. It is run with each type T and with double.
template <class... T, class F> void check_program(const char* name, const F& f) {
  const auto plain = [&](double x, double y) { return static_cast<double>(f(x, y)); };
  (compare_program<T>(name, f, plain(0.7, 1.3), plain), ...);
}
/// With the value that doubles gave, for programs that take long to compile for doubles, too. Differences are of Scalars off the tape.
template <class F> void check_program_by_value(const char* name, double value, const F& f) {
  compare_program<Scalar>(name, f, value, [&](double x, double y) { return f(Scalar(x), Scalar(y)).value(); });
}

}  // namespace wengert::testing

/// PROGRAM(name, statements): the statements see x, y and their type T, and return a T.
#define PROGRAM_BODY(...)               \
  [](auto x, [[maybe_unused]] auto y) { \
    using T = decltype(x);              \
    static_cast<void>(sizeof(T));       \
    __VA_ARGS__                         \
  }
#define PROGRAM(name, ...) wengert::testing::check_program<wengert::Scalar, wengert::EagerScalar>(#name, PROGRAM_BODY(__VA_ARGS__))
#define EAGER_PROGRAM(name, ...) wengert::testing::check_program<wengert::EagerScalar>(#name, PROGRAM_BODY(__VA_ARGS__))
/// SCALAR_PROGRAM(name, value, statements): with Scalars alone, and the value that doubles gave.
#define SCALAR_PROGRAM(name, value, ...) wengert::testing::check_program_by_value(#name, value, PROGRAM_BODY(__VA_ARGS__))
