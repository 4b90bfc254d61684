// One tape for several translation units that are compiled with different floating-point flags.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <vector>

#include "autodiff/ops.h"
#include "tests/support/scalar_unit.h"

using namespace wengert;
namespace tt = boost::test_tools;

namespace {

const std::vector<double> kPoint = {0.4, 1.3, 0.7, 2.2};

template <class F> std::vector<double> gradient_of(F&& f) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint);
  std::vector<double> g(x.size());
  tape.gradient(f(std::span<const Scalar>(x)), x, g);
  return g;
}

}  // namespace

BOOST_AUTO_TEST_CASE(units_agree_under_plain_and_fast_mathematics) {
  const std::vector<double> plain = gradient_of(testing::program_compiled_plainly);
  const std::vector<double> fast = gradient_of(testing::program_compiled_with_fast_math);
  BOOST_TEST(fast == plain, tt::tolerance(1e-12) << tt::per_element());
  for (std::size_t i = 0; i < kPoint.size(); ++i) {
    const double h = 1e-6;
    std::vector<double> up = kPoint, down = kPoint;
    up[i] += h;
    down[i] -= h;
    const double difference =
        (testing::user_program(std::span<const double>(up)) - testing::user_program(std::span<const double>(down))) / (2 * h);
    BOOST_TEST(plain[i] == difference, tt::tolerance(1e-7));
  }
}

BOOST_AUTO_TEST_CASE(units_share_one_tape) {
  Tape tape;
  const std::vector<Scalar> x = tape.variables(kPoint);
  Scalar s = testing::program_compiled_plainly(x);
  s -= testing::program_compiled_with_fast_math(x);
  s += x[0] * 3;
  std::vector<double> g(x.size());
  tape.gradient(s, x, g);
  BOOST_TEST(g[0] == 3, tt::tolerance(1e-12));
  BOOST_TEST(std::abs(g[1]) < 1e-12);
}

BOOST_AUTO_TEST_CASE(constants_and_ended_tapes_under_fast_mathematics) {
  const std::vector<Scalar> constants = {0.4, 1.3};
  BOOST_TEST(testing::program_compiled_with_fast_math(constants).number() == 0u);
  std::vector<Scalar> stale;
  {
    Tape tape;
    stale = tape.variables(kPoint);
  }
  Tape tape;
  BOOST_TEST(testing::program_compiled_with_fast_math(stale).number() == 0u);
}
