#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "tests/support/every_isa.h"
#include "tests/support/threads.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains;
using testing::message_of;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(), kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kOrders[] = {1, 1.5, 2, 3, 7, kInf};

// For differences due to the order of additions in double.
const auto kRounding = boost::test_tools::tolerance(1e-14);

using List = std::vector<double>;

Gradients gradients_of(std::initializer_list<Tensor> tensors) {
  Gradients g;
  for (const Tensor& t : tensors) g.add(t, nullptr);
  return g;
}
Gradients doubles(const List& values) { return gradients_of({Tensor::from(values)}); }
Gradients floats(const List& values) { return gradients_of({Tensor::from(values).to(float32)}); }

// The elements of all gradients, concatenated.
List values(const Gradients& g) {
  List all;
  for (const Tensor& t : g) {
    const List own = t.to_vector<double>();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

// The definition, in long double, whose exponent has 15 bits.
double naive_norm(const List& values, double p) {
  long double sum = 0, max = 0;
  for (const double v : values) max = std::max<long double>(max, std::fabs(v));
  if (std::isinf(p) || max == 0) return static_cast<double>(max);
  for (const double v : values) sum += std::pow(std::fabs(static_cast<long double>(v)) / max, static_cast<long double>(p));
  return static_cast<double>(max * std::pow(sum, 1 / static_cast<long double>(p)));
}

// Sizes around those of a vector, the 32 parallel sums and a thread's part, in both dtypes, some not in row-major order.
Gradients of_many_sizes() {
  Generator random(7);
  Gradients g;
  for (const Index n : {0, 1, 3, 31, 32, 33, 100, 16383, 16384, 16385, 50000}) {
    g.add(random.normal({n}, 0, 2), nullptr);
    g.add(random.normal({n}, 0, 2).to(float64) * 1.1, nullptr);
  }
  g.add(transpose(random.normal({130, 170})), nullptr);
  g.add(expand(random.normal({1, 40}).to(float64), {30, 40}), nullptr);
  return g;
}

// The gradients of a layer's weights and bias, the former as a deferred product.
Gradients pending() {
  Generator random(5);
  const Parameter w(random.normal({190, 220}, 0, 0.1)), b(random.normal({190}, 0, 0.1));
  const Tensor x = random.normal({3, 220});
  Tape tape;
  Gradients g = tape.gradient(mean(square(linear_relu(x, w, b))), ParameterList{w, b});
  BOOST_TEST_REQUIRE(g.gradient(0).is_product());
  return g;
}
// The same values, as tensors.
Gradients looked_at() {
  const Gradients products = pending();
  Gradients g;
  for (std::size_t i = 0; i < products.size(); ++i) g.add(products[i], products.parameter(i));
  BOOST_TEST_REQUIRE(!g.gradient(0).is_product());
  return g;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_norm_is_what_its_definition_says) {
  const Gradients g = of_many_sizes();
  const List all = values(g);
  for (const double p : kOrders) BOOST_TEST_CONTEXT("p = " << p) {
      BOOST_TEST(g.norm(p) == naive_norm(all, p), kRounding);
    }
}

BOOST_AUTO_TEST_CASE(of_a_few_numbers) {
  BOOST_TEST(doubles({3, -4}).norm() == 5);
  BOOST_TEST(floats({3, -4}).norm() == 5);
  BOOST_TEST(doubles({3, -4}).norm(1) == 7);
  BOOST_TEST(doubles({3, -4}).norm(kInf) == 4);
  BOOST_TEST(doubles({3, -4}).norm(3) == std::cbrt(91), kRounding);
}

BOOST_AUTO_TEST_CASE(of_nothing_it_is_zero) {
  for (const double p : kOrders) {
    BOOST_TEST(Gradients().norm(p) == 0);
    BOOST_TEST(doubles({}).norm(p) == 0);
    BOOST_TEST(floats({0, -0.0}).norm(p) == 0);
  }
  Gradients none, zeros = doubles({0, 0});
  BOOST_TEST(none.clip_norm(1) == 0);
  BOOST_TEST(zeros.clip_norm(1) == 0);
  BOOST_TEST(values(zeros) == (List{0, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(powers_that_overflow_or_underflow_do_no_harm) {
  const auto check = [](const Gradients& g) {
    for (const double p : kOrders) BOOST_TEST_CONTEXT("p = " << p << " of " << values(g)[0] << "...") {
        BOOST_TEST(g.norm(p) == naive_norm(values(g), p), kRounding);
      }
  };
  for (const double unit : {1e-320, 1e-308, 1e-200, 1e-150, 1e-140, 1e150, 1e200, 1e307}) {
    BOOST_TEST_CONTEXT(unit) {
      BOOST_TEST(doubles({3 * unit, -4 * unit}).norm() == naive_norm({3 * unit, 4 * unit}, 2), kRounding);
      check(doubles(List(100, unit)));
    }
  }
  check(doubles({1e-200, 1e-300, 1e200}));
  check(doubles({0, 0, 5e-324}));
  check(floats({3e38, -3e38, 1e38}));
  check(floats({1e-45, -3e-45}));
  Gradients large = doubles({3e200, -4e200}), small = doubles({3e-200, -4e-200});
  BOOST_TEST(large.clip_norm(1e200) == 5e200, kRounding);
  BOOST_TEST(large.norm() == 1e200, kRounding);
  BOOST_TEST(small.clip_norm(1) == 5e-200, kRounding);
  BOOST_TEST(values(small) == (List{3e-200, -4e-200}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(infinities_and_nans_show) {
  for (const double p : kOrders) {
    for (const std::size_t at : {0, 1, 40, 50000}) {
      List infinite(50001, 1), nan(50001, 1), both(50001, kInf);
      infinite[at] = -kInf;
      both[at] = nan[at] = kNan;
      BOOST_TEST(doubles(infinite).norm(p) == kInf);
      BOOST_TEST(floats(infinite).norm(p) == kInf);
      for (const List& list : {nan, both}) {
        BOOST_TEST(std::isnan(doubles(list).norm(p)));
        BOOST_TEST(std::isnan(floats(list).norm(p)));
      }
    }
  }
  Gradients nan = doubles({1, kNan}), infinite = doubles({1, kInf});
  BOOST_TEST(std::isnan(nan.clip_norm(0.1)));
  BOOST_TEST(values(nan)[0] == 1);
  BOOST_TEST(infinite.clip_norm(0.1) == kInf);
  BOOST_TEST(values(infinite)[0] == 0);
}

BOOST_AUTO_TEST_CASE(clipping_bounds_the_norm) {
  for (const double p : kOrders) {
    Gradients g = of_many_sizes();
    const List before = values(g);
    const double norm = g.norm(p);
    BOOST_TEST(g.clip_norm(norm, p) == norm);
    BOOST_TEST((values(g) == before));
    BOOST_TEST(g.clip_norm(kInf, p) == norm);
    BOOST_TEST((values(g) == before));
    BOOST_TEST(g.clip_norm(norm / 3, p) == norm);
    BOOST_TEST(g.norm(p) == norm / 3, boost::test_tools::tolerance(1e-6));
  }
}

BOOST_AUTO_TEST_CASE(a_small_norm_below_the_limit_is_left_alone) {
  Gradients g = doubles({3e-7, 4e-7});
  BOOST_TEST(g.clip_norm(6e-7) == 5e-7, kRounding);
  BOOST_TEST(values(g) == (List{3e-7, 4e-7}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(values_are_clipped_and_scaled_one_by_one) {
  Gradients g = of_many_sizes();
  List expected = values(g);
  for (double& v : expected) v = std::clamp(v, -1.5, 1.5);
  g.clip_value(1.5);
  BOOST_TEST((values(g) == expected));
  g *= -0.5;
  for (double& v : expected) v *= -0.5;
  BOOST_TEST((values(g) == expected));

  Gradients special = doubles({kNan, kInf, -kInf, -0.0});
  special.clip_value(2);
  BOOST_TEST(std::isnan(values(special)[0]));
  BOOST_TEST(values(special)[1] == 2);
  BOOST_TEST(values(special)[2] == -2);
  BOOST_TEST(std::signbit(values(special)[3]));
}

BOOST_AUTO_TEST_CASE(copies_and_the_tensors_themselves_keep_their_values) {
  const Tensor t = Tensor::from(List{3, 4});
  Gradients g = gradients_of({t});
  const Gradients copy = g;
  g.clip_norm(1);
  BOOST_TEST(t.at({0}) == 3);
  BOOST_TEST(values(copy) == (List{3, 4}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(limits_that_are_none_are_refused) {
  for (const double limit : {0.0, -1.0, -kInf, kNan}) {
    Gradients g = pending();
    BOOST_TEST(contains(message_of<Error>([&] { g.clip_norm(limit); }), "clip_norm: the limit must be positive, but it is "));
    BOOST_TEST(contains(message_of<Error>([&] { g.clip_value(limit); }), "clip_value: the limit must be positive, but it is "));
    BOOST_TEST((values(g) == values(looked_at())));
  }
  for (const double p : {0.5, 0.0, -1.0, -kInf, kNan}) {
    Gradients g = pending();
    BOOST_TEST(contains(message_of<Error>([&] { g.norm(p); }), "norm: p must be at least 1, but it is "));
    BOOST_TEST(contains(message_of<Error>([&] { g.clip_norm(1e-9, p); }), "norm: p must be at least 1, but it is "));
    BOOST_TEST((values(g) == values(looked_at())));
  }
  BOOST_TEST(contains(message_of<Error>([] { doubles({1}).clip_norm(-2.5); }), "-2.5"));
}

BOOST_AUTO_TEST_CASE(integers_are_refused) {
  Gradients g = gradients_of({Tensor::from(List{3, 4}), Tensor::arange(0, 5, 1, int64)});
  BOOST_CHECK_THROW(g.norm(), DtypeError);
  BOOST_CHECK_THROW(g.clip_norm(1), DtypeError);
  BOOST_CHECK_THROW(g.clip_value(1), DtypeError);
  BOOST_CHECK_THROW(g *= 2, DtypeError);
  BOOST_TEST(values(g) == (List{3, 4, 0, 1, 2, 3, 4}), boost::test_tools::per_element());
}

// Each member of Gradients, with gradients that have not been read before.
BOOST_AUTO_TEST_CASE(products_that_nobody_has_multiplied_yet_are_the_same_to_every_member) {
  const Gradients expected = looked_at();
  for (const double p : kOrders) {
    BOOST_TEST(pending().norm(p) == expected.norm(p));
    Gradients g = pending(), other = expected;
    BOOST_TEST(g.clip_norm(0.01, p) == other.clip_norm(0.01, p));
    BOOST_TEST((values(g) == values(other)));
  }
  const std::function<void(Gradients&)> changes[] = {
      [](Gradients& g) { g.clip_value(0.001); },
      [](Gradients& g) { g *= 3; },
      [](Gradients& g) { g *= kNan; },
      [&](Gradients& g) { g += g; },
  };
  for (const auto& change : changes) {
    Gradients g = pending(), other = looked_at();
    change(g);
    change(other);
    const auto bits = [](const Gradients& gradients) {
      std::vector<float> all;
      for (const Tensor& t : gradients) {
        const std::vector<float> own = t.to_vector<float>();
        all.insert(all.end(), own.begin(), own.end());
      }
      return std::string(reinterpret_cast<const char*>(all.data()), all.size() * sizeof(float));
    };
    BOOST_TEST((bits(g) == bits(other)));
  }
}

BOOST_AUTO_TEST_CASE(the_same_bits_on_any_number_of_threads_and_every_instruction_set) {
  List norms, clipped;
  for (const int threads : {1, 2, 3, 8}) {
    const testing::Threads scope(threads);
    testing::on_every_isa([&] {
      List now;
      for (const double p : kOrders) now.push_back(of_many_sizes().norm(p));
      Gradients g = of_many_sizes();
      g.clip_norm(1);
      g.clip_value(0.01);
      if (norms.empty()) {
        norms = now;
        clipped = values(g);
      }
      BOOST_TEST((now == norms), threads << " threads");
      BOOST_TEST((values(g) == clipped), threads << " threads");
    });
  }
}
