// Values and derivatives where formulas break: at infinities, at the ends of a dtype's range, beside masked and ignored entries, for
// numbers that a double cannot hold, and for very many terms.
#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "tests/support/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor vector(std::initializer_list<double> values) { return Tensor::from(values, float64); }
Tensor integers(std::initializer_list<std::int64_t> values) { return Tensor::from(std::vector<std::int64_t>(values)); }
std::vector<std::int64_t> exact(const Tensor& t) { return t.to_vector<std::int64_t>(); }

}  // namespace

// ---- numbers beside int64 ----------------------------------------------------------------------------------------------------------

constexpr std::int64_t kBig = (std::int64_t(1) << 53) + 1;  // no double
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max(), kSmallest = std::numeric_limits<std::int64_t>::min();

BOOST_AUTO_TEST_CASE(integers_beside_int64_keep_all_digits) {
  using List = std::vector<std::int64_t>;
  const Tensor x = integers({kBig, kBig - 1, 0});
  BOOST_TEST(exact(x == kBig) == (List{1, 0, 0}));
  BOOST_TEST(exact(x >= kBig) == (List{1, 0, 0}));
  BOOST_TEST(exact(kBig > x) == (List{0, 1, 1}));
  BOOST_TEST(exact(x + kBig) == (List{2 * kBig, 2 * kBig - 1, kBig}));
  BOOST_TEST(exact(x - 1) == (List{kBig - 1, kBig - 2, -1}));
  BOOST_TEST(exact(maximum(x, kBig)) == (List{kBig, kBig, kBig}));
  BOOST_TEST(exact(where(x == 0, kBig, x)) == (List{kBig, kBig - 1, kBig}));
  BOOST_TEST(exact(masked_fill(x, x == 0, kLargest)) == (List{kBig, kBig - 1, kLargest}));
  BOOST_TEST(exact(pad(integers({1}), {1}, {0}, kBig)) == (List{kBig, 1}));
  BOOST_TEST(exact(Tensor::full({1}, kSmallest, int64)) == List{kSmallest});
  BOOST_TEST(exact(full_like(integers({0}), kBig)) == List{kBig});
  BOOST_TEST(exact(slice_update(integers({0, 0}), {1}, kBig)) == (List{0, kBig}));
  Tensor y = integers({0});
  y.set({0}, kBig);
  BOOST_TEST(exact(y) == List{kBig});
}

BOOST_AUTO_TEST_CASE(int64_compares_with_numbers_beyond_its_range) {
  const Tensor x = integers({kSmallest, 0, kLargest});
  for (const double above : {kInfinity, 1e30, 0x1p63, static_cast<double>(std::numeric_limits<std::uint64_t>::max())}) {
    check_numbers(numbers(x < above), {1, 1, 1});
    check_numbers(numbers(x >= above), {0, 0, 0});
    check_numbers(numbers(above > x), {1, 1, 1});
    check_numbers(numbers(x == above), {0, 0, 0});
    check_numbers(numbers(x != above), {1, 1, 1});
  }
  for (const double below : {-kInfinity, -1e30}) {
    check_numbers(numbers(x > below), {1, 1, 1});
    check_numbers(numbers(below >= x), {0, 0, 0});
  }
  check_numbers(numbers(x <= -0x1p63), {1, 0, 0});
  BOOST_CHECK_THROW(static_cast<void>(x < 0.5), DtypeError);
  BOOST_CHECK_THROW(static_cast<void>(x == kNaN), DtypeError);
}

BOOST_AUTO_TEST_CASE(int64_refuses_numbers_that_it_cannot_hold) {
  const Tensor x = integers({0, 1});
  for (const double v : {kInfinity, -kInfinity, 1e30, kNaN, 0x1p63, 0.5}) {
    BOOST_CHECK_THROW(Tensor::full({1}, v, int64), ValueError);
    BOOST_CHECK_THROW(full_like(x, v), ValueError);
    BOOST_CHECK_THROW(x + v, DtypeError);
    BOOST_CHECK_THROW(maximum(v, x), DtypeError);
    BOOST_CHECK_THROW(where(x == 0, v, x), DtypeError);
    BOOST_CHECK_THROW(masked_fill(x, x == 0, v), DtypeError);
    BOOST_CHECK_THROW(pad(x, {1}, {1}, v), DtypeError);
    if (v == 0.5) continue;
    BOOST_CHECK_THROW(Tensor::from({v}, int64), ValueError);
    BOOST_CHECK_THROW(Tensor::from({{v}}, int64), ValueError);
    BOOST_CHECK_THROW(vector({v}).to(int64), ValueError);
    BOOST_CHECK_THROW(vector({v}).to(float32).to(int64), ValueError);
    BOOST_CHECK_THROW(vector({v}).to_vector<std::int64_t>(), ValueError);
  }
  BOOST_CHECK_THROW(Tensor::arange(1e30, 1.1e30, 5e28, int64), ValueError);
  BOOST_CHECK_THROW(Tensor::linspace(0, 1e30, 2, int64), ValueError);
  BOOST_TEST(exact(vector({-1.9, 2.9, -0x1p63}).to(int64)) == (std::vector<std::int64_t>{-1, 2, kSmallest}));
  BOOST_TEST(begins_at(message_of<ValueError>([] { Tensor::full({1}, 1e30, int64); }), "test_extremes.cpp", "full: "));
}

// ---- masked and ignored entries ------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_class_of_probability_0_may_have_the_logit_minus_infinity) {
  for (const Dtype dtype : {float32, float64}) {
    const double tolerance = dtype == float32 ? 1e-6 : 1e-14;
    const Tensor logits = Tensor::from({{1, 2, -kInfinity}}, dtype), p = Tensor::from({{0.5, 0.5, 0}}, dtype);
    const auto loss = [&](const Tensor& x) { return cross_entropy(x, p); };
    const double a = 1 / (1 + std::exp(1.0));  // softmax: a, 1 - a, 0
    check_numbers(numbers(loss(logits)), {std::log(std::exp(1.0) + std::exp(2.0)) - 1.5}, tolerance);
    check_numbers(gradient_of(loss, logits), {a - 0.5, 0.5 - a, 0}, tolerance);
    check_numbers(hessian_times(loss, logits, Tensor::from({{1, 0, 0}}, dtype)), {a * (1 - a), -a * (1 - a), 0}, tolerance);
    check_numbers(numbers(jvp(loss, logits, Tensor::from({{1, 0, 7}}, dtype))), {a - 0.5}, tolerance);
    const Tensor weight = Tensor::from({1, 1, 0}, dtype);
    check_numbers(numbers(cross_entropy(logits, Tensor::from({{0.5, 0.25, 0.25}}, dtype), {.class_weight = weight})),
                  {0.75 * std::log(std::exp(1.0) + std::exp(2.0)) - 1}, tolerance);
    check_numbers(numbers(cross_entropy(logits, p, {.label_smoothing = 0.1})), {kInfinity});
  }
}

BOOST_AUTO_TEST_CASE(an_ignored_row_may_hold_anything) {
  const Tensor label = integers({-100, 1}), v = Tensor::ones({2, 2}, float64);
  const double p = 1 / (1 + std::exp(1.0));
  for (const double held : {kNaN, kInfinity, -kInfinity}) {
    const Tensor logits = Tensor::from({{held, held}, {1, 2}}, float64);
    for (const double smoothing : {0.0, 0.1}) {
      for (const Tensor& weight : {Tensor(), vector({1, 3})}) {
        const auto loss = [&](const Tensor& x) { return cross_entropy(x, label, {.class_weight = weight, .label_smoothing = smoothing}); };
        const auto alone = [&](const Tensor& x) {
          return cross_entropy(x, integers({1}), {.class_weight = weight, .label_smoothing = smoothing});
        };
        const Tensor row = Tensor::from({{1, 2}}, float64), direction = Tensor::from({{1, 0}}, float64);
        const Numbers slope = gradient_of(alone, row), curvature = hessian_times(alone, row, direction);
        check_numbers(numbers(loss(logits)), numbers(alone(row)));
        check_numbers(gradient_of(loss, logits), {0, 0, slope[0], slope[1]});
        check_numbers(hessian_times(loss, logits, Tensor::from({{1, 0}, {1, 0}}, float64)), {0, 0, curvature[0], curvature[1]}, 1e-13);
        check_numbers(numbers(jvp(loss, logits, Tensor::from({{kNaN, 1}, {1, 0}}, float64))), numbers(jvp(alone, row, direction)), 1e-13);
      }
    }
    const auto of_logarithms = [&](const Tensor& x) { return nll(x, label); };
    check_numbers(numbers(of_logarithms(logits)), {-2});
    check_numbers(gradient_of(of_logarithms, logits), {0, 0, 0, -1});
  }
  BOOST_TEST(p < 0.5);
}

BOOST_AUTO_TEST_CASE(a_class_of_weight_0_may_be_impossible) {
  const Tensor logits = Tensor::from({{0, -kInfinity}, {1, 2}}, float64), labels = integers({1, 1}), none = integers({1, 0});
  const Tensor weight = vector({1, 0});
  check_numbers(numbers(cross_entropy(logits, none, {.class_weight = weight})), {std::log1p(std::exp(1.0))});
  check_numbers(numbers(cross_entropy(logits, labels, {.reduction = Reduction::sum, .class_weight = weight})), {0});
}

// For each way to hide a key: the value, and derivatives with respect to query, key and value.
BOOST_AUTO_TEST_CASE(a_hidden_key_may_hold_anything) {
  Generator random(5);
  for (const Dtype dtype : {float32, float64}) {
    const double tolerance = dtype == float32 ? 2e-6 : 1e-14;
    const Tensor q = random.normal({2, 3}).to(dtype), k = random.normal({4, 3}).to(dtype), v = random.normal({4, 2}).to(dtype);
    const Tensor seen = Tensor::from({{1, 1, 1, 0}, {1, 1, 1, 0}}) != 0;
    for (const double held : {kNaN, kInfinity, -kInfinity, dtype == float32 ? 3e38 : 1e308}) {
      Tensor bad_k = k.clone(), bad_v = v.clone();
      bad_k.set({3, 1}, held);
      bad_v.set({3, 0}, held);
      for (const Tensor& mask : {seen, where(seen, 0, -kInfinity).to(dtype)}) {
        const auto attend = [&](const Tensor& q, const Tensor& k, const Tensor& v) {
          return scaled_dot_product_attention(q, k, v, {.mask = mask}).output;
        };
        const auto alone = [&](const Tensor& q) { return scaled_dot_product_attention(q, slice(k, 0, 0, 3), slice(v, 0, 0, 3)).output; };
        check_sums(numbers(attend(q, bad_k, bad_v)), numbers(alone(q)), tolerance);
        const auto of_query = [&](const Tensor& q) { return attend(q, bad_k, bad_v); };
        check_sums(gradient_of(of_query, q), gradient_of(alone, q), tolerance);
        check_sums(numbers(jvp(of_query, q, q)), numbers(jvp(alone, q, q)), 10 * tolerance);
        check_sums(hessian_times(of_query, q, q), hessian_times(alone, q, q), 100 * tolerance);
        const Numbers of_key = gradient_of([&](const Tensor& k) { return attend(q, k, bad_v); }, bad_k);
        check_sums(of_key, gradient_of([&](const Tensor& k) { return attend(q, k, v); }, k), tolerance);
        const Numbers of_value = gradient_of([&](const Tensor& v) { return attend(q, bad_k, v); }, bad_v);
        check_sums(of_value, gradient_of([&](const Tensor& v) { return attend(q, k, v); }, v), tolerance);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(an_earlier_query_does_not_feel_later_keys) {
  Generator random(6);
  const Tensor q = random.normal({3, 2}).to(float64), k = random.normal({3, 2}).to(float64), v = random.normal({3, 2}).to(float64);
  for (const double held : {kNaN, kInfinity}) {
    Tensor bad_k = k.clone(), bad_v = v.clone();
    bad_k.set({2, 0}, held);
    bad_v.set({2, 0}, held);
    const auto attend = [](const Tensor& q, const Tensor& k, const Tensor& v) {
      return scaled_dot_product_attention(q, k, v, {.causal = true}).output;
    };
    const Tensor good = attend(q, k, v);
    for (const Tensor& y : {attend(q, bad_k, v), attend(q, k, bad_v)}) {
      check_numbers(numbers(slice(y, 0, 0, 2)), numbers(slice(good, 0, 0, 2)), 1e-13);
      if (std::isnan(held)) BOOST_TEST(std::isnan(y.at({2, 0})));  // the last query sees it
    }
    const auto first = [&](const Tensor& q) { return slice(attend(q, bad_k, bad_v), 0, 0, 1); };
    check_numbers(numbers(slice(jvp(first, q, q), 0, 0, 1)), {0, 0});  // its only key has the weight 1, whatever the query
  }
}

BOOST_AUTO_TEST_CASE(padding_may_hold_anything) {
  Generator random(7);
  const Tensor x = random.normal({4, 2, 4}).to(float64), in = random.normal({12, 4}).to(float64), out = random.normal({4, 4}).to(float64);
  const Tensor padding = Tensor::from({{0, 0, 0, 1}, {0, 0, 0, 0}}) != 0;
  for (const double held : {kNaN, kInfinity}) {
    Tensor bad = x.clone();
    bad.set({3, 0, 1}, held);
    for (const Tensor& mask : {Tensor(), Tensor::from({{0, 1, 0, 0}, {0, 0, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 0}}) != 0}) {
      const auto attend = [&](const Tensor& x, const Tensor& in) {
        const Tensor y =
            multihead_attention(x, x, x, {in, {}, out, {}}, {.heads = 2, .attention_mask = mask, .padding_mask = padding}).output;
        return slice(y, 0, 0, 3);
      };
      check_numbers(numbers(attend(bad, in)), numbers(attend(x, in)), 1e-13);
      const auto of_weight = [&](const Tensor& x) { return gradient_of([&](const Tensor& w) { return attend(x, w); }, in); };
      check_numbers(of_weight(bad), of_weight(x), 1e-12);
      check_numbers(gradient_of([&](const Tensor& x) { return attend(x, in); }, bad),
                    gradient_of([&](const Tensor& x) { return attend(x, in); }, x), 1e-12);
    }
  }
}

BOOST_AUTO_TEST_CASE(an_infinite_input_does_not_reach_the_slope_of_prelu) {
  const Tensor x = vector({kInfinity, -2});
  check_numbers(gradient_of([&](const Tensor& w) { return prelu(x, w); }, vector({0.25})), {-2});
  check_numbers(gradient_of([&](const Tensor& v) { return prelu(v, vector({0.25})); }, x), {1, 0.25});
}

// ---- ends of the range -----------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(standard_deviations_whose_squares_leave_the_range) {
  const auto f = [](const Tensor& x) { return stddev(x); };
  for (const auto& [dtype, spread, tolerance] :
       {std::tuple(float32, 0x1p66, 1e-6), std::tuple(float32, 0x1p-80, 1e-6), std::tuple(float64, 0x1p660, 1e-14),
        std::tuple(float64, 0x1p-660, 1e-14), std::tuple(float64, 1.0, 1e-14)}) {
    const Tensor x = Tensor::from({spread, 2 * spread, 3 * spread}, dtype);
    check_numbers(numbers(f(x)), {spread}, tolerance);
    check_numbers(gradient_of(f, x), {-0.5, 0, 0.5}, tolerance);
    check_numbers(numbers(jvp(f, x, Tensor::from({0, 0, 1}, dtype))), {0.5}, tolerance);
    check_numbers(hessian_times(f, x, Tensor::from({0, spread, 0}, dtype)), {-1.0 / 6, 1.0 / 3, -1.0 / 6}, 10 * tolerance);
  }
  check_numbers(numbers(stddev(vector({5}))), {kNaN});
  check_numbers(gradient_of(f, vector({2, 2})), {0, 0});
}

BOOST_AUTO_TEST_CASE(a_mean_of_numbers_whose_sum_overflows) {
  const Tensor x = Tensor::full({4}, 3e38);
  check_numbers(numbers(mean(x)), {static_cast<double>(3e38f)});
  check_numbers(gradient_of([](const Tensor& v) { return mean(v); }, x), {0.25, 0.25, 0.25, 0.25});
  check_numbers(numbers(mean(reshape(x, {2, 2}), 0)), {static_cast<double>(3e38f), static_cast<double>(3e38f)});
  check_numbers(numbers(jvp([](const Tensor& v) { return mean(v, 0); }, vector({1, 3}), vector({1, 2}))), {1.5});
}

BOOST_AUTO_TEST_CASE(norms_of_rows_whose_squares_leave_the_range) {
  for (const double size : {1e20, 1e-24}) {  // in float32
    const Tensor x = Tensor::from({{size, -size}}), direction = Tensor::from({{size, 0}});
    const NormalizationOptions options{.eps = 0};
    const auto by_root = [&](const Tensor& v) { return rms_norm(v, options); };
    check_numbers(numbers(by_root(x)), {1, -1}, 1e-6);
    check_numbers(numbers(jvp(by_root, x, direction)), {0.5, 0.5}, 1e-6);  // y = x / r with r = size: (dx - y (y . dx) / 2) / size
    check_numbers(numbers(layer_norm(x, {2}, options)), {1, -1}, 1e-6);
  }
  check_numbers(numbers(rms_norm(Tensor::from({{1e-30, 1e-30}}))), {1e-30 / std::sqrt(1e-5), 1e-30 / std::sqrt(1e-5)}, 1e-6);
  for (const double size : {1e200, 1e-200}) {
    const Tensor x = Tensor::from({{size, 3 * size}}, float64);
    const NormalizationOptions options{.eps = 0};
    check_numbers(numbers(layer_norm(x, {2}, options)), {-1, 1});
    check_numbers(numbers(rms_norm(x, options)), {1 / std::sqrt(5), 3 / std::sqrt(5)});
    check_numbers(numbers(batch_norm(transpose(x), {}, {}, {.training = true, .eps = 0}).y), {-1, 1});
    const auto slope = gradient_of([&](const Tensor& v) { return select(rms_norm(v, options), 1, 1) * size; }, x);
    check_numbers(slope, {-1.5 / std::pow(5, 1.5), 0.5 / std::pow(5, 1.5)}, 1e-13);  // -x_0 x_1 / (2 r^3), 1 / r - x_1^2 / (2 r^3)
  }
  const Tensor running = batch_norm(Tensor::from({{1e200}, {3e200}}, float64), vector({0}), vector({1}), {.training = true}).running_mean;
  check_numbers(numbers(running), {2e199});
}

// f(c x) = f(x) for eps = 0, so that its second derivative at c x, along c v, is that at x along v divided by c.
BOOST_AUTO_TEST_CASE(second_derivatives_of_normalizations_of_huge_and_tiny_numbers) {
  const NormalizationOptions options{.eps = 0};
  for (const Dtype dtype : {float32, float64}) {
    const Tensor x = Tensor::from({{1, 2, 4, 3}, {2, -1, 0.5, 1}}, dtype), v = Tensor::from({{1, 0, -1, 2}, {0, 1, 1, 3}}, dtype);
    const Tensor w = Tensor::from({{3, 1, 2, -1}, {1, 0.5, -2, 1}}, dtype);
    const auto check = [&](const auto& f) {
      const auto weighted = [&](const Tensor& at) { return f(at) * w; };
      const Numbers expected = hessian_times(weighted, x, v), pushed = numbers(jvp(weighted, x, v));
      for (const double c : dtype == float32 ? Numbers{0x1p70, 0x1p-70, 0x1p-110} : Numbers{0x1p520, 0x1p-520, 0x1p-900}) {
        Numbers found = hessian_times(weighted, x * c, v * c);
        for (double& number : found) number *= c;
        check_numbers(found, expected, dtype == float32 ? 1e-4 : 1e-12);
        check_numbers(numbers(jvp(weighted, x * c, v * c)), pushed, dtype == float32 ? 1e-4 : 1e-12);
      }
    };
    check([&](const Tensor& at) { return layer_norm(at, {4}, options); });
    const NormalizationOptions scaled{.weight = Tensor::from({1, -2, 3, 0.5}, dtype), .bias = Tensor::ones({4}, dtype), .eps = 0};
    check([&](const Tensor& at) { return layer_norm(at, {4}, scaled); });
    check([&](const Tensor& at) { return group_norm(at, 2, scaled); });
    check([&](const Tensor& at) { return group_norm(at, 2, options); });
    check([&](const Tensor& at) { return rms_norm(at, options); });
    check([&](const Tensor& at) { return transpose(batch_norm(transpose(at), {}, {}, {.training = true, .eps = 0}).y); });
  }
}

BOOST_AUTO_TEST_CASE(normalizations_refuse_an_eps_that_makes_no_sense) {
  const Tensor x = Tensor::ones({2, 4});
  for (const double eps : {-1.0, kNaN, kInfinity}) {
    BOOST_CHECK_THROW(layer_norm(x, {4}, {.eps = eps}), ValueError);
    BOOST_CHECK_THROW(rms_norm(x, {.eps = eps}), ValueError);
    BOOST_CHECK_THROW(group_norm(x, 2, {.eps = eps}), ValueError);
    BOOST_CHECK_THROW(instance_norm(x, {.eps = eps}), ValueError);
    BOOST_CHECK_THROW(batch_norm(x, {}, {}, {.training = true, .eps = eps}), ValueError);
  }
  for (const double momentum : {-0.1, 1.1, kNaN})
    BOOST_CHECK_THROW(batch_norm(x, {}, {}, {.training = true, .momentum = momentum}), ValueError);
}

// ---- very many terms -------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(long_float32_products_keep_their_digits) {
  const Index n = 1'000'003;
  const Tensor a = Tensor::full({n}, 0.1), one = Tensor::ones({n});
  const double sum = static_cast<double>(n) * static_cast<double>(0.1f);
  check_numbers(numbers(dot(a, one)), {sum}, 1e-7);
  check_numbers(numbers(einsum("i,i->", {a, one})), {sum}, 1e-7);
  check_numbers(numbers(matmul(expand(a, {2, n}), one)), {sum, sum}, 1e-4);
  check_numbers(numbers(matmul(expand(a, {3, n}), transpose(expand(one, {2, n})))), Numbers(6, sum), 1e-4);
  check_numbers(numbers(linear(expand(a, {2, n}), reshape(one, {1, n}), Tensor::full({1}, 1000))), {sum + 1000, sum + 1000}, 1e-4);
}

BOOST_AUTO_TEST_CASE(many_equal_indices_add_up_exactly) {
  const Index n = 1'000'000;
  const double sum = static_cast<double>(n) * static_cast<double>(0.1f);
  const Tensor index = Tensor::full({n}, 1, int64), terms = Tensor::full({n}, 0.1);
  check_numbers(numbers(index_add(Tensor::zeros({3}), 0, index, terms)), {0, sum, 0}, 1e-7);
  check_numbers(numbers(scatter_add(Tensor::ones({3}), 0, index, terms)), {1, sum + 1, 1}, 1e-7);
  check_numbers(numbers(slice(scatter_add(Tensor::zeros({8 * n}), 0, index, terms), 0, 0, 3)), {0, sum, 0}, 1e-7);
  const auto rows = [&](const Tensor& weight) { return embedding(index, weight) * 0.1; };
  check_numbers(gradient_of(rows, Tensor::zeros({3, 2})), {0, 0, sum, sum, 0, 0}, 1e-7);
  const auto columns = [&](const Tensor& x) { return index_select(x, 1, index) * 0.1; };
  check_numbers(gradient_of(columns, Tensor::zeros({2, 3})), {0, sum, 0, 0, sum, 0}, 1e-7);
  const auto gathered = [&](const Tensor& x) { return gather(x, 0, index) * 0.1; };
  check_numbers(gradient_of(gathered, Tensor::zeros({3})), {0, sum, 0}, 1e-7);
}

// As in IEEE 754's maximum and minimum; also of views, whose lines are not dense, and over dimensions that are not neighbours.
BOOST_AUTO_TEST_CASE(zero_is_larger_than_negative_zero_in_any_order) {
  const Tensor x = Tensor::from({-0.0, 0.0, 0.0, -0.0}, float64);
  const Tensor m = reshape(x, {2, 2}), cube = reshape(concat({x, x}, 0), {2, 2, 2});
  for (const Tensor& y :
       {max(x), max(m, 0), max(m, 1), max(transpose(m), 0), max(transpose(m), 1), max(flip(x, {0})), max(cube, Dims{0, 2})})
    for (Index i = 0; i < y.size(); ++i) BOOST_TEST(!std::signbit(y.element(i)));
  for (const Tensor& y :
       {min(x), min(m, 0), min(m, 1), min(transpose(m), 0), min(transpose(m), 1), min(flip(x, {0})), min(cube, Dims{0, 2})})
    for (Index i = 0; i < y.size(); ++i) BOOST_TEST(std::signbit(y.element(i)));
}
