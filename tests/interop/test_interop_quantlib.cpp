// What autodiff/interop/quantlib.h gives to QuantLib, without QuantLib: `scripts/quantlib` runs QuantLib's own test suite.
#include <autodiff/autodiff.h>
#include <autodiff/interop/quantlib.h>

#include <boost/test/unit_test.hpp>
#include <boost/type_traits.hpp>
#include <random>
#include <type_traits>

using namespace wengert;
using Real = QL_REAL;
using NullReal = QuantLib::Null<Real>;

BOOST_AUTO_TEST_CASE(number_type) {
  BOOST_TEST((std::is_same_v<Real, EagerScalar>));
  BOOST_TEST(boost::is_arithmetic<Real>::value);
  Tape tape;
  const Real x = tape.variable(0.5);
  const auto plain = value(x * 3);
  BOOST_TEST((std::is_same_v<decltype(plain), const double>));
  BOOST_TEST(plain == 1.5);
}

BOOST_AUTO_TEST_CASE(limits_are_doubles) {
  constexpr double tolerance = 42 * QL_EPSILON;
  BOOST_TEST(tolerance == 42 * std::numeric_limits<double>::epsilon());
  BOOST_TEST(QL_MAX_REAL == std::numeric_limits<double>::max());
  BOOST_TEST(QL_MIN_REAL == std::numeric_limits<double>::lowest());
  BOOST_TEST(QL_MIN_POSITIVE_REAL == std::numeric_limits<double>::min());
}

BOOST_AUTO_TEST_CASE(null) {
  const Real unset = NullReal(), x = 2;
  const unsigned long seed = 0;
  BOOST_TEST((unset == NullReal() && NullReal() == unset && !(unset != NullReal())));
  BOOST_TEST((x != NullReal() && seed != NullReal() && NullReal() != seed));
  BOOST_TEST(value(-NullReal()) == -static_cast<double>(std::numeric_limits<float>::max()));
}

BOOST_AUTO_TEST_CASE(draws_are_those_of_doubles) {
  std::mt19937 ours(1), doubles(1);
  const auto check = [&](auto of_reals, auto of_doubles) {
    of_reals.reset();
    const Real drawn = of_reals(ours);
    BOOST_TEST(value(drawn) == of_doubles(doubles));
  };
  const Real a = 1.5, b = 2.5;
  check(std::uniform_real_distribution<Real>(a, b), std::uniform_real_distribution<double>(1.5, 2.5));
  check(std::normal_distribution<Real>(a, b), std::normal_distribution<double>(1.5, 2.5));
  check(std::gamma_distribution<Real>(a, b), std::gamma_distribution<double>(1.5, 2.5));
  check(std::cauchy_distribution<Real>(a, 2.5), std::cauchy_distribution<double>(1.5, 2.5));
  check(std::exponential_distribution<Real>(a), std::exponential_distribution<double>(1.5));
  check(std::normal_distribution<Real>(), std::normal_distribution<double>());
}
