#pragma once
// Boost.Test assertions about derivatives, for tests of programs that use this library.
#include <boost/test/unit_test.hpp>

#include "autodiff/transforms/gradcheck.h"

/// Checks derivatives as `check_gradient` does, with the same arguments; a failure prints the whole table.
///
///     WENGERT_CHECK_GRADIENT([](const Tensor& x) { return sum(square(x)); }, {x});
///     WENGERT_CHECK_GRADIENT([](const Scalar& x) -> Scalar { return exp(x) * x; }, {0.5}, {.order = 1});
#define WENGERT_CHECK_GRADIENT(...)                                                        \
  do {                                                                                     \
    const ::wengert::GradientCheck wengert_check = ::wengert::check_gradient(__VA_ARGS__); \
    BOOST_CHECK_MESSAGE(wengert_check.passed(), wengert_check.to_string());                \
  } while (false)
/// The same, but a failure ends the test case.
#define WENGERT_REQUIRE_GRADIENT(...)                                                      \
  do {                                                                                     \
    const ::wengert::GradientCheck wengert_check = ::wengert::check_gradient(__VA_ARGS__); \
    BOOST_REQUIRE_MESSAGE(wengert_check.passed(), wengert_check.to_string());              \
  } while (false)
