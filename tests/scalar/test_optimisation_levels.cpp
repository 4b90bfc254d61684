// What is promised of a user's scalars at other levels of optimisation (docs/conventions.md, Reproducibility).
#include <boost/test/unit_test.hpp>

#include "tests/support/optimisation_level.h"

using namespace wengert::testing;

namespace {

template <class Check> void compare_levels(ValueAndSlope (*const (&at_level)[4])(double), Check&& check) {
  for (int i = 0; i < 200; ++i) {
    const double x = 0.1 + 0.017 * i;
    const ValueAndSlope first = at_level[0](x);
    for (int level = 1; level < 4; ++level) {
      BOOST_TEST_CONTEXT("at " << x << " compiled with -O" << level) check(at_level[level](x), first);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_have_the_same_bits_and_gradients_the_same_terms) {
  compare_levels({level_0::any_program, level_1::any_program, level_2::any_program, level_3::any_program},
                 [](const ValueAndSlope& found, const ValueAndSlope& expected) {
                   BOOST_TEST(found.value == expected.value);
                   BOOST_TEST(found.slope == expected.slope, boost::test_tools::tolerance(1e-11));
                 });
}

BOOST_AUTO_TEST_CASE(gradients_have_the_same_bits_where_the_order_of_their_terms_is_written_down) {
  compare_levels({level_0::ordered_program, level_1::ordered_program, level_2::ordered_program, level_3::ordered_program},
                 [](const ValueAndSlope& found, const ValueAndSlope& expected) {
                   BOOST_TEST(found.value == expected.value);
                   BOOST_TEST(found.slope == expected.slope);
                 });
}
