#pragma once
// QuantLib with Real = EagerScalar. Needs QuantLib 1.29 or later, and Boost 1.75 or later, which the program brings. Include it before
// QuantLib's headers, and compile QuantLib itself with `-include autodiff/interop/quantlib.h`: all files must see the same Real.
//
// Without a tape, prices are those of doubles. With one, the tape records what QuantLib computes from variables of the tape; see
// docs/quantlib.md for what QuantLib keeps from one calculation to the next.
#include "autodiff/error.h"  // first: without C++20 its message is the one to see

#if !__has_include(<ql/qldefines.hpp>)
#error "autodiff/interop/quantlib.h needs QuantLib: add the folder that contains ql/ to the include path"
#endif
#if defined(quantlib_defines_hpp) || defined(quantlib_types_hpp)
#error "include autodiff/interop/quantlib.h before QuantLib's headers, which must see the type of numbers (and not by QL_INCLUDE_FIRST)"
#endif
#include <boost/type_traits/is_arithmetic.hpp>
#include <limits>
#include <random>

#include "autodiff/interop/boost.h"
#include "autodiff/print.h"
#include "autodiff/scalar/complex.h"

/// What QuantLib's Real is.
#define QL_REAL wengert::EagerScalar

namespace wengert::numeric {
/// The value as a number, as QuantLib's test suite asks for it.
template <class V> double value(const BasicEagerScalar<V>& x) { return detail::plain(x); }
}  // namespace wengert::numeric

/// By which QuantLib's regressions tell numbers from arrays.
template <class V> struct boost::is_arithmetic<wengert::BasicEagerScalar<V>> : boost::true_type {};

// The standard library's distributions, which QuantLib's annealing and catastrophe models draw Reals from. Draws are constants.
#define WENGERT_DISTRIBUTION(name)                                                                               \
  template <class V> class std::name<wengert::BasicEagerScalar<V>> : public std::name<double> {                  \
   public:                                                                                                       \
    using result_type = wengert::BasicEagerScalar<V>;                                                            \
    explicit name(auto... parameters) : std::name<double>(static_cast<double>(parameters)...) {}                 \
    template <class Generator> result_type operator()(Generator& g) { return std::name<double>::operator()(g); } \
  };
WENGERT_DISTRIBUTION(cauchy_distribution)
WENGERT_DISTRIBUTION(exponential_distribution)
WENGERT_DISTRIBUTION(gamma_distribution)
WENGERT_DISTRIBUTION(normal_distribution)
WENGERT_DISTRIBUTION(uniform_real_distribution)
#undef WENGERT_DISTRIBUTION

#include <ql/qldefines.hpp>

// Limits are constants of doubles in QuantLib: `constexpr double tolerance = 42 * QL_EPSILON`.
#undef QL_MIN_REAL
#undef QL_MAX_REAL
#undef QL_MIN_POSITIVE_REAL
#undef QL_EPSILON
#define QL_MIN_REAL (-(std::numeric_limits<double>::max)())
#define QL_MAX_REAL ((std::numeric_limits<double>::max)())
#define QL_MIN_POSITIVE_REAL ((std::numeric_limits<double>::min)())
#define QL_EPSILON ((std::numeric_limits<double>::epsilon)())

#ifndef QL_NULL_AS_FUNCTIONS
namespace QuantLib {
template <class T> class Null;
/// "No number", which is the same one as that of doubles.
template <class V> class Null<wengert::BasicEagerScalar<V>> {
 public:
  Null() = default;
  operator wengert::BasicEagerScalar<V>() const { return std::numeric_limits<float>::max(); }
  friend wengert::BasicEagerScalar<V> operator-(const Null& null) { return -wengert::BasicEagerScalar<V>(null); }
  template <wengert::Number N> friend bool operator==(N x, const Null& null) { return x == wengert::BasicEagerScalar<V>(null); }
};
}  // namespace QuantLib
#endif
