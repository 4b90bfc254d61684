#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <limits>

#include "tests/support/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor bools(std::initializer_list<double> values) { return Tensor::from(values, boolean); }

}  // namespace

BOOST_AUTO_TEST_CASE(truth_tables) {
  const Tensor a = bools({0, 0, 1, 1}), b = bools({0, 1, 0, 1});
  for (const bool dense : {true, false}) {
    const Tensor p = dense ? a : transpose(stack({a, a}, 1))[0], q = dense ? b : stack({b, b}, 1)(All, 1);
    check_numbers(numbers(p && q), {0, 0, 0, 1}, 0);
    check_numbers(numbers(p || q), {0, 1, 1, 1}, 0);
    check_numbers(numbers(!p), {1, 1, 0, 0}, 0);
    check_numbers(numbers(p & q), {0, 0, 0, 1}, 0);
    check_numbers(numbers(p | q), {0, 1, 1, 1}, 0);
    check_numbers(numbers(p ^ q), {0, 1, 1, 0}, 0);
    check_numbers(numbers(logical_and(p, q)), {0, 0, 0, 1}, 0);
    check_numbers(numbers(logical_or(p, q)), {0, 1, 1, 1}, 0);
    check_numbers(numbers(logical_xor(p, q)), {0, 1, 1, 0}, 0);
    check_numbers(numbers(logical_not(p)), {1, 1, 0, 0}, 0);
    check_numbers(numbers(p && true), {0, 0, 1, 1}, 0);
    check_numbers(numbers(false || p), {0, 0, 1, 1}, 0);
  }
  BOOST_TEST(((a && b).dtype() == boolean));
  BOOST_TEST(((unsqueeze(a, 1) || b).shape() == Shape{4, 4}));
  const Tensor x = Tensor::from({-1, 0.5, 2});
  check_numbers(numbers(where(x > 0 && x < 1, x, 0)), {0, 0.5, 0}, 0);
  check_numbers(numbers((x > 0) == bools({0, 1, 1})), {1, 1, 1}, 0);
}

BOOST_AUTO_TEST_CASE(any_and_all_against_loops) {
  Generator random(3);
  for (const Shape& shape : {Shape{2, 3, 4}, Shape{5}, Shape{2, 0}, Shape{0, 2}, Shape{}})
    for (const double share : {0.2, 0.8})
      for (const bool keepdim : {false, true}) {
        const Tensor m = random.bernoulli(shape, share, boolean), count = sum(m);
        BOOST_TEST((any(m).item() != 0) == (count.item() > 0));
        BOOST_TEST((all(m).item() != 0) == (count.item() == static_cast<double>(m.size())));
        for (Index d = 0; d < m.rank(); ++d) {
          const Tensor along = sum(m, d, {.keepdim = keepdim});
          check_numbers(numbers(any(m, d, {.keepdim = keepdim})), numbers(along > 0), 0);
          check_numbers(numbers(all(m, d - m.rank(), {.keepdim = keepdim})), numbers(along == m.size(d)), 0);
          BOOST_TEST((any(m, d, {.keepdim = keepdim}).shape() == along.shape()));
          BOOST_TEST((all(m, d, {.keepdim = keepdim}).dtype() == boolean));
        }
        if (m.rank() == 3) {
          check_numbers(numbers(any(m, {0, -1}, {.keepdim = keepdim})), numbers(sum(m, {0, 2}) > 0), 0);
          check_numbers(numbers(all(transpose(m), {0, -1})), numbers(sum(transpose(m), {0, 2}) == 6), 0);
        }
      }
}

BOOST_AUTO_TEST_CASE(kinds_of_numbers) {
  for (const Dtype dtype : {float32, float64}) {
    const Tensor x = Tensor::from({1, -0.0, kNaN, kInfinity, -kInfinity, 1e-30}, dtype);
    check_numbers(numbers(isnan(x)), {0, 0, 1, 0, 0, 0}, 0);
    check_numbers(numbers(isinf(x)), {0, 0, 0, 1, 1, 0}, 0);
    check_numbers(numbers(isfinite(x)), {1, 1, 0, 0, 0, 1}, 0);
    check_numbers(numbers(isnan(stack({x, x}, 1)(All, 1))), {0, 0, 1, 0, 0, 0}, 0);
    check_numbers(numbers(!isnan(x) && !isfinite(x)), numbers(isinf(x)), 0);
  }
  for (const Dtype dtype : {int64, boolean}) {
    const Tensor x = Tensor::from({1, 0}, dtype);
    check_numbers(numbers(isnan(x)), {0, 0}, 0);
    check_numbers(numbers(isinf(x)), {0, 0}, 0);
    check_numbers(numbers(isfinite(x)), {1, 1}, 0);
  }
}

BOOST_AUTO_TEST_CASE(positions_of_what_is_not_zero) {
  for (const Dtype dtype : {float32, float64, int64, boolean}) {
    const Tensor x = Tensor::from({{0, 1, 0}, {1, 0, 1}}, dtype);
    check_numbers(numbers(nonzero(x)), {0, 1, 1, 0, 1, 2}, 0);
    BOOST_TEST((nonzero(x).shape() == Shape{3, 2}));
    BOOST_TEST((nonzero(x).dtype() == int64));
    check_numbers(numbers(nonzero(transpose(x))), {0, 1, 1, 0, 2, 1}, 0);
  }
  check_numbers(numbers(nonzero(Tensor::from({0, kNaN, -0.0, -2}))), {1, 3}, 0);
  BOOST_TEST((nonzero(Tensor::zeros({2, 3})).shape() == Shape{0, 2}));
  BOOST_TEST((nonzero(Tensor::full({}, 1)).shape() == Shape{1, 0}));
  BOOST_TEST((nonzero(Tensor::full({}, 0)).shape() == Shape{0, 0}));
}

BOOST_AUTO_TEST_CASE(results_are_constants_under_a_tape) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({-1, 2}));
  for (const Tensor& t : {x > 0 && x < 3, isnan(x), any(x > 0), nonzero(x)}) BOOST_TEST(t.number() == 0u);
  check_numbers(numbers(tape.gradient(sum(where(x > 0 && !isnan(x), x * x, x)), x)), {1, 4}, 0);
}

BOOST_AUTO_TEST_CASE(what_is_refused_and_what_is_named_instead) {
  const Tensor x = Tensor::zeros({2, 3}), m = x > 0;
  const auto refused = [](const auto& f, std::initializer_list<const char*> told) {
    const std::string message = message_of<DtypeError>(f);
    for (const char* part : told) BOOST_TEST(contains(message, part));
  };
  refused([&] { x&& m; }, {"logical_and: ", "not boolean", "x != 0", "(2, 3) float32 made at test_logic.cpp"});
  refused([&] { m || x; }, {"logical_or: "});
  refused([&] { logical_xor(m, x); }, {"logical_xor: "});
  refused([&] { !x; }, {"logical_not: ", "x == 0"});
  refused([&] { any(x); }, {"any", "any(x != 0)"});
  refused([&] { all(x, 0); }, {"all", "all(x != 0)"});
  for (const std::string& message :
       {message_of<DtypeError>([&] { m* m; }), message_of<DtypeError>([&] { m + 1; }), message_of<DtypeError>([&] { exp(m); }),
        message_of<DtypeError>([&] { -m; }), message_of<DtypeError>([&] { mean(m); })})
    for (const char* part : {"boolean", "&&, || and !", "any and all", "where", "sum", ".to(float32)", "made at test_logic.cpp"})
      BOOST_TEST(contains(message, part));
  BOOST_TEST(contains(message_of<ShapeError>([&] { m && (Tensor::zeros({4}) > 0); }), "logical_and: the shapes do not broadcast"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { any(m, 2); }), "any: dimension 2"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { all(m, {0, 0}); }), "all: dimension 0"));
}
