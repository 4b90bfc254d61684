// Normalisation, noise, words, attention and recurrence against loops over elements. Their derivatives are tested with those of all
// operations, in test_ops.
#include <autodiff/autodiff.h>
#include <autodiff/runtime.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <tuple>
#include <vector>

#include "tests/support/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::check_numbers, testing::contains, testing::message_of, testing::Numbers, testing::numbers;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor random_numbers(const Shape& shape, std::uint64_t seed, Dtype dtype = float64) {
  Generator generator(seed);
  return generator.uniform(shape, -1, 1, dtype);
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

// The gradient of sum(w y) with respect to x, for distinct weights.
template <class F> Numbers weighted_gradient(F&& f, const Tensor& x) {
  return testing::gradient_of([&](const Tensor& v) { return f(v) * random_numbers(f(v).shape(), 99, v.dtype()); }, x);
}

}  // namespace

// ---- normalisation ----------------------------------------------------------------------------------------------------------------------

namespace {

// (x - mean) / sqrt(variance + eps) over the elements for which group_of(flat position) is the same.
template <class F> Numbers standardized(const Tensor& x, double eps, F&& group_of) {
  const Numbers v = numbers(x);
  Numbers y(v.size());
  for (std::size_t i = 0; i < v.size(); ++i) {
    double n = 0, mean = 0, variance = 0;
    for (std::size_t j = 0; j < v.size(); ++j)
      if (group_of(j) == group_of(i)) n += 1, mean += v[j];
    mean /= n;
    for (std::size_t j = 0; j < v.size(); ++j)
      if (group_of(j) == group_of(i)) variance += (v[j] - mean) * (v[j] - mean) / n;
    y[i] = (v[i] - mean) / std::sqrt(variance + eps);
  }
  return y;
}

}  // namespace

BOOST_AUTO_TEST_CASE(normalisation_against_loops) {
  for (const Dtype dtype : {float64, float32}) {
    const double tolerance = dtype == float64 ? 1e-12 : 1e-5;
    const Tensor x = random_numbers({3, 4, 5}, 1, dtype), turned = transpose(transpose(x, 0, 2).contiguous(), 0, 2);
    check_numbers(numbers(layer_norm(turned, {5})), standardized(x, 1e-5, [](std::size_t i) { return i / 5; }), tolerance);
    check_numbers(numbers(layer_norm(x, {4, 5}, {.eps = 0.5})), standardized(x, 0.5, [](std::size_t i) { return i / 20; }), tolerance);
    check_numbers(numbers(group_norm(turned, 2)), standardized(x, 1e-5, [](std::size_t i) { return i / 10; }), tolerance);
    check_numbers(numbers(instance_norm(x)), standardized(x, 1e-5, [](std::size_t i) { return i / 5; }), tolerance);
    check_numbers(numbers(batch_norm(turned, {}, {}, {.training = true}).y), standardized(x, 1e-5, [](std::size_t i) { return i / 5 % 4; }),
                  tolerance);
  }
}

// Groups that are the columns of a matrix.
BOOST_AUTO_TEST_CASE(batch_norm_of_a_matrix_against_loops) {
  for (const Dtype dtype : {float64, float32})
    for (const Shape& shape : {Shape{2, 1}, Shape{7, 3}, Shape{300, 70}}) {
      const Tensor x = random_numbers(shape, 1, dtype), scale = random_numbers({shape[1]}, 2, dtype),
                   shift = random_numbers({shape[1]}, 3, dtype);
      const auto group_of = [n = static_cast<std::size_t>(shape[1])](std::size_t i) { return i % n; };
      const auto normalized = [&](const Tensor& v, const NormalizationOptions& o) {
        return batch_norm(v, {}, {}, {.weight = o.weight, .bias = o.bias, .training = true}).y;
      };
      const double tolerance = dtype == float64 ? 1e-9 : 1e-3;
      const Tensor y = normalized(x, {});
      check_numbers(numbers(y), standardized(x, 1e-5, group_of), tolerance);
      check_numbers(numbers(normalized(x, {.weight = scale, .bias = shift})), numbers(y * scale + shift), 0);
      // The same elements with each channel in a row of its own.
      const auto in_rows = [&](const Tensor& v) { return transpose(layer_norm(transpose(v), {shape[0]})); };
      const Numbers found = weighted_gradient([&](const Tensor&v) { return normalized(v, {}); }, x),
                    expected = weighted_gradient(in_rows, x);
      double largest = 0;
      for (const double v : expected) largest = std::max(largest, std::abs(v));
      for (std::size_t i = 0; i < found.size(); ++i)
        BOOST_TEST(std::abs(found[i] - expected[i]) <= largest * (dtype == float64 ? 1e-13 : 2e-6));
    }
}

BOOST_AUTO_TEST_CASE(rms_norm_has_the_same_bits_whether_or_not_it_is_recorded) {
  for (const Dtype dtype : {float64, float32})
    for (const Shape& shape : {Shape{5}, Shape{3, 4}, Shape{40, 3, 333}, Shape{2, 70000}})
      for (const double size : {1.0, 1e-30, 1e30}) {
        const Tensor x = random_numbers(shape, 1, dtype) * size, turned = transpose(x, 0, -1);
        for (const Tensor& v : {x, turned})
          for (const Tensor& weight : {Tensor(), random_numbers({v.shape().back()}, 2, dtype)}) {
            Tape tape;
            const NormalizationOptions options{.weight = weight};
            check_numbers(numbers(rms_norm(v, options)), numbers(rms_norm(tape.variable(v), options)), 0);
          }
      }
  Tensor x = random_numbers({3, 4}, 1);
  x = x * where(x == x(1, 2), std::numeric_limits<double>::quiet_NaN(), Tensor::ones({}, float64));
  const Numbers y = numbers(rms_norm(x));
  for (std::size_t i = 0; i < y.size(); ++i) BOOST_TEST(std::isnan(y[i]) == (i / 4 == 1));
}

// Of rows and of channels, with runs of one element and of more, of a tensor that is dense and of one that is not.
BOOST_AUTO_TEST_CASE(scaling_and_shifting_against_what_it_is_composed_of) {
  for (const Dtype dtype : {float64, float32})
    for (const Shape& shape : {Shape{3, 4}, Shape{3, 4, 5}, Shape{40, 4, 20, 7}})
      for (const bool dense : {true, false}) {
        const Tensor given = random_numbers(shape, 1, dtype), x = dense ? given : transpose(transpose(given, 0, -1).contiguous(), 0, -1);
        const Index n = shape[shape.rank() - 1];
        const Tensor row_scale = random_numbers({n}, 2, dtype), row_shift = random_numbers({2 * n}, 3, dtype)(Range(0, 2 * n, 2));
        check_numbers(numbers(layer_norm(x, {n}, {.weight = row_scale, .bias = row_shift})),
                      numbers(layer_norm(x, {n}) * row_scale + row_shift), 0);
        const Tensor scale = random_numbers({4}, 4, dtype), shift = random_numbers({8}, 5, dtype)(Range(0, 8, 2)),
                     mean = random_numbers({4}, 6, dtype), variance = random_numbers({4}, 7, dtype) + 2;
        Shape channels{4};
        for (int d = 2; d < shape.rank(); ++d) channels.push_back(1);
        const auto along = [&](const Tensor& v) { return reshape(v, channels); };
        check_numbers(numbers(group_norm(x, 2, {.weight = scale, .bias = shift})), numbers(group_norm(x, 2) * along(scale) + along(shift)),
                      0);
        check_numbers(numbers(batch_norm(x, mean, variance, {.weight = scale, .bias = shift}).y),
                      numbers((x - along(mean)) * (along(scale) * rsqrt(along(variance) + 1e-5)) + along(shift)), 0);
      }
}

namespace {

// f(x, weight, bias) against g of the same, and their gradients with respect to some of the three.
template <class F, class G> void check_same_gradients(const F& f, const G& g, const std::vector<Tensor>& x) {
  const Tensor seed = random_numbers(f(x).shape(), 9, x[0].dtype());
  for (unsigned some = 1; some < 8; ++some) {
    const auto gradients = [&](const auto& function) {
      Tape tape;
      std::vector<Tensor> operands = x, sources;
      for (std::size_t i = 0; i < 3; ++i)
        if (some >> i & 1) sources.push_back(operands[i] = tape.variable(x[i]));
      std::vector<Numbers> found;
      for (const Tensor& bar : tape.gradient(function(operands), sources, {.seed = seed})) found.push_back(numbers(bar));
      return found;
    };
    const std::vector<Numbers> found = gradients(f), expected = gradients(g);
    for (std::size_t i = 0; i < found.size(); ++i) {
      BOOST_REQUIRE_EQUAL(found[i].size(), expected[i].size());
      double error = 0, largest = 0;
      for (std::size_t k = 0; k < found[i].size(); ++k) {
        error = std::max(error, std::abs(found[i][k] - expected[i][k]));
        largest = std::max(largest, std::abs(expected[i][k]));
      }
      BOOST_TEST(error <= largest * (x[0].dtype() == float64 ? 1e-13 : 2e-6));
    }
  }
}

}  // namespace

// Few rows and many, which are added up in blocks; channels of one element and of more; tensors that are not dense.
BOOST_AUTO_TEST_CASE(gradients_of_normalisation_with_weights_against_those_of_its_parts) {
  for (const Dtype dtype : {float64, float32})
    for (const Shape& shape : {Shape{3, 4}, Shape{700, 52}, Shape{3, 4, 5}, Shape{40, 4, 20, 7}, Shape{2, 8, 130}})
      for (const bool dense : {true, false}) {
        const Tensor given = random_numbers(shape, 1, dtype), x = dense ? given : transpose(transpose(given, 0, -1).contiguous(), 0, -1);
        const Index n = shape[shape.rank() - 1], channels = shape[1];
        check_same_gradients([&](const auto& v) { return layer_norm(v[0], {n}, {.weight = v[1], .bias = v[2]}); },
                             [&](const auto& v) { return layer_norm(v[0], {n}) * v[1] + v[2]; },
                             {x, random_numbers({n}, 2, dtype), random_numbers({2 * n}, 3, dtype)(Range(0, 2 * n, 2))});
        Shape each{channels};
        for (int d = 2; d < shape.rank(); ++d) each.push_back(1);
        const std::vector<Tensor> operands{x, random_numbers({channels}, 4, dtype), random_numbers({channels}, 5, dtype)};
        check_same_gradients([&](const auto& v) { return group_norm(v[0], 2, {.weight = v[1], .bias = v[2]}); },
                             [&](const auto& v) { return group_norm(v[0], 2) * reshape(v[1], each) + reshape(v[2], each); }, operands);
        check_same_gradients(
            [&](const auto& v) { return batch_norm(v[0], {}, {}, {.weight = v[1], .bias = v[2], .training = true}).y; },
            [&](const auto& v) { return batch_norm(v[0], {}, {}, {.training = true}).y * reshape(v[1], each) + reshape(v[2], each); },
            operands);
      }
}

BOOST_AUTO_TEST_CASE(gradients_do_not_lose_digits_to_a_large_common_offset) {
  const Tensor small = Tensor::from({{0.25, 1, -0.5, 2}, {1, -2, 0.75, 0}}), weight = Tensor::from({3, 1, -2, 1}),
               m = random_numbers({2, 4}, 1, float32);
  const auto gradients = [&](double offset) {
    Tape tape;
    const Tensor x = tape.variable(small + offset), w = tape.variable(weight), b = tape.variable(weight);
    const std::vector<Tensor> found = tape.gradient(sum(layer_norm(x, {4}, {.weight = w, .bias = b}) * m), std::vector{x, w, b});
    return std::vector{numbers(found[0]), numbers(found[1]), numbers(found[2])};
  };
  for (int i = 0; i < 3; ++i) check_numbers(gradients(0x1p20)[i], gradients(0)[i], 2e-6);
}

BOOST_AUTO_TEST_CASE(a_large_common_offset_costs_no_digits) {
  const Tensor x = Tensor::from({1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4}, float64);
  check_numbers(numbers(layer_norm(x, {4}, {.eps = 0})), numbers(layer_norm(x - 1e9, {4}, {.eps = 0})), 1e-12);
}

// Of floats in rows long enough for their squares to be added in groups: all these numbers are floats, with the offset as without.
BOOST_AUTO_TEST_CASE(a_large_common_offset_costs_no_digits_in_long_rows) {
  const Tensor x = round(random_numbers({60, 1000}, 1) * 16) / 8, with_offset = (x + 0x1p20).to(float32), without = x.to(float32);
  const auto check = [&](const auto& normalized) { check_numbers(numbers(normalized(with_offset)), numbers(normalized(without)), 2e-6); };
  check([](const Tensor& v) { return layer_norm(v, {1000}); });
  check([](const Tensor& v) { return instance_norm(reshape(v, {20, 3, 1000})); });
  check([](const Tensor& v) { return batch_norm(v, {}, {}, {.training = true}).y; });
}

BOOST_AUTO_TEST_CASE(equal_numbers_are_normalised_to_zero) {
  const Tensor x = Tensor::full({2, 3}, 7, float64);
  check_numbers(numbers(layer_norm(x, {3})), Numbers(6, 0));
  const Numbers gradient = weighted_gradient([](const Tensor& v) { return layer_norm(v, {3}); }, x);
  for (const double g : gradient) BOOST_TEST(std::isfinite(g));
  BOOST_TEST(std::abs(gradient[0] + gradient[1] + gradient[2]) < 1e-9);
}

BOOST_AUTO_TEST_CASE(normalisation_of_nothing) {
  BOOST_TEST((layer_norm(Tensor::zeros({0, 3}), {3}).shape() == Shape{0, 3}));
  BOOST_TEST((layer_norm(Tensor::zeros({2, 0}), {0}).shape() == Shape{2, 0}));
  BOOST_TEST((group_norm(Tensor::zeros({0, 4, 2}), 2).shape() == Shape{0, 4, 2}));
  BOOST_TEST((rms_norm(Tensor::zeros({0, 4})).shape() == Shape{0, 4}));
}

BOOST_AUTO_TEST_CASE(batch_norm_moves_the_running_statistics_and_evaluates_with_them) {
  const Tensor x = Tensor::from({{1, 10}, {3, 30}, {5, 20}, {7, 40}}, float64);
  const Tensor mean = Tensor::from({1, 2}, float64), var = Tensor::from({1, 1}, float64);
  const BatchNormResult r = batch_norm(x, mean, var, {.training = true, .momentum = 0.25});
  check_numbers(numbers(r.running_mean), {0.75 * 1 + 0.25 * 4, 0.75 * 2 + 0.25 * 25});
  check_numbers(numbers(r.running_var), {0.75 + 0.25 * 20 / 3, 0.75 + 0.25 * 500 / 3}, 1e-13);
  check_numbers(numbers(mean), {1, 2});  // the given ones stay
  const BatchNormResult e = batch_norm(x, Tensor::from({1, 20}, float64), Tensor::from({4, 100}, float64), {.eps = 0});
  check_numbers(numbers(e.y), {0, -1, 1, 1, 2, 0, 3, 2});
  check_numbers(numbers(e.running_mean), {1, 20});
  BOOST_TEST(!batch_norm(x, {}, {}, {.training = true}).running_mean.defined());
}

BOOST_AUTO_TEST_CASE(normalisation_refuses_what_does_not_fit) {
  const Tensor x = Tensor::zeros({2, 6, 5}), flat = Tensor::zeros({4});
  const auto told = [](auto&& f) { return message_of<ShapeError>(f); };
  BOOST_TEST(contains(told([&] { layer_norm(x, {6}); }), "layer_norm: the input (2, 6, 5) float32 made at test_layer_operations.cpp:"));
  BOOST_TEST(contains(told([&] { layer_norm(x, {6}); }), "does not end in the dimensions (6,)"));
  BOOST_TEST(contains(told([&] { layer_norm(x, {}); }), "does not end in the dimensions ()"));
  BOOST_TEST(contains(told([&] { layer_norm(x, {5}, {.weight = flat}); }),
                      "layer_norm: the weight must have the shape (5,): weight (4,) float32"));
  BOOST_TEST(contains(told([&] { layer_norm(x, {5}, {.bias = flat}); }), "must have the shape (5,)"));
  BOOST_TEST(contains(told([&] { group_norm(x, 4); }), "group_norm: 6 channels cannot be divided into 4 groups: input (2, 6, 5)"));
  BOOST_TEST(contains(told([&] { group_norm(x, 0); }), "cannot be divided into 0 groups"));
  BOOST_TEST(contains(told([&] { group_norm(flat, 2); }), "must be (n, channels, ...)"));
  BOOST_TEST(contains(told([&] { instance_norm(flat); }), "instance_norm: the input (4,)"));
  BOOST_TEST(contains(told([&] { rms_norm(x, {.weight = flat}); }), "rms_norm: the weight must have the shape (5,): weight (4,)"));
  BOOST_TEST(
      contains(told([&] { batch_norm(x, flat, flat); }), "batch_norm: the running mean must have the shape (6,): running mean (4,)"));
  BOOST_TEST(contains(message_of<ValueError>([&] { batch_norm(x, {}, {}); }), "hint: .training = true"));
  BOOST_TEST(
      contains(message_of<DtypeError>([&] { layer_norm(x, {5}, {.weight = Tensor::zeros({5}, float64)}); }), "layer_norm: the dtypes"));
  BOOST_TEST(contains(message_of<DtypeError>([&] { rms_norm(Tensor::zeros({2}, int64)); }), "rms_norm"));
}

// Edge case 88: one value has no variance.
BOOST_AUTO_TEST_CASE(batch_norm_refuses_to_train_on_a_batch_of_one) {
  const std::string told = message_of<ShapeError>([] { batch_norm(Tensor::zeros({1, 3}), {}, {}, {.training = true}); });
  BOOST_TEST(contains(told, "batch_norm: training needs more than one value for each channel, and there is 1: input (1, 3) float32"));
  BOOST_TEST(contains(told, "hint: use a larger batch"));
  BOOST_CHECK_NO_THROW(batch_norm(Tensor::zeros({1, 3, 2}), {}, {}, {.training = true}));
}

// ---- noise, words -----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(dropout_keeps_the_mean_and_repeats_with_the_generator) {
  const Tensor x = Tensor::ones({100, 100});
  Generator first(3), second(3);
  const Tensor y = dropout(x, 0.25, first);
  BOOST_TEST(numbers(y) == numbers(dropout(x, 0.25, second)));
  BOOST_TEST(first.counter() == second.counter());
  BOOST_TEST(first.counter() > 0u);
  for (const double v : numbers(y)) BOOST_TEST((v == 0 || v == static_cast<double>(1 / 0.75f)));
  BOOST_TEST(std::abs(mean(y).item() - 1) < 0.05);
  BOOST_TEST(numbers(dropout(x, 0.25, first)) != numbers(y));
}

BOOST_AUTO_TEST_CASE(dropout_has_the_same_bits_on_any_number_of_threads) {
  const Tensor x = random_numbers({1000, 1000}, 2, float32);
  const int threads = num_threads();
  set_num_threads(1);
  Generator one(8);
  const Numbers with_one = numbers(dropout(x, 0.5, one));
  set_num_threads(4);
  Generator four(8);
  BOOST_TEST((numbers(dropout(x, 0.5, four)) == with_one));
  set_num_threads(threads);
}

BOOST_AUTO_TEST_CASE(dropout_at_its_limits) {
  const Tensor x = Tensor::from({1, -2, kInfinity}, float64);
  Generator generator(1);
  BOOST_TEST(dropout(x, 0, generator).elements() == x.elements());
  BOOST_TEST(generator.counter() == 0u);
  const auto all = [&](const Tensor& v) { return dropout(v, 1, generator); };
  check_numbers(numbers(all(x)), {0, 0, 0});
  check_numbers(testing::gradient_of(all, x), {0, 0, 0});
  BOOST_TEST(contains(message_of<ValueError>([&] { dropout(x, 1.5, generator); }),
                      "dropout: the dropout probability 1.5 is not in [0, 1]: input (3,)"));
  BOOST_CHECK_THROW(dropout(x, std::nan(""), generator), ValueError);
  BOOST_CHECK_THROW(dropout(Tensor::zeros({2}, int64)), DtypeError);
}

BOOST_AUTO_TEST_CASE(prelu_has_a_slope_for_each_channel) {
  const Tensor x = Tensor::from({{-1, 2, -3}, {4, 0, -6}}, float64), weight = Tensor::from({0.5, 0.25, 2}, float64);
  check_numbers(numbers(prelu(x, weight)), {-0.5, 2, -6, 4, 0, -12});
  check_numbers(testing::gradient_of([&](const Tensor& v) { return prelu(v, weight); }, x), {0.5, 1, 2, 1, 0.25, 2});
  BOOST_TEST(
      contains(message_of<ShapeError>([&] { prelu(x, Tensor::zeros({2}, float64)); }), "(dimension 1) of the input: input (2, 3) float64"));
  BOOST_CHECK_THROW(prelu(Tensor::zeros({3}), Tensor::zeros({3})), ShapeError);
  BOOST_CHECK_THROW(prelu(x, Tensor::zeros({3})), DtypeError);
}

BOOST_AUTO_TEST_CASE(embedding_takes_rows_and_leaves_the_padding_alone) {
  const Tensor weight = Tensor::from({{1, 2}, {3, 4}, {5, 6}}, float64), index = Tensor::from({{2, 0}, {2, 1}}, int64);
  const Tensor y = embedding(index, weight);
  BOOST_TEST((y.shape() == Shape{2, 2, 2}));
  check_numbers(numbers(y), {5, 6, 1, 2, 5, 6, 3, 4});
  check_numbers(numbers(embedding(index, weight, 2)), numbers(y));
  check_numbers(testing::gradient_of([&](const Tensor& w) { return embedding(index, w); }, weight), {1, 1, 1, 1, 2, 2});
  check_numbers(testing::gradient_of([&](const Tensor& w) { return embedding(index, w, 2); }, weight), {1, 1, 1, 1, 0, 0});
  BOOST_TEST((embedding(Tensor::zeros({0}, int64), weight).shape() == Shape{0, 2}));
}

// Edge case 86.
BOOST_AUTO_TEST_CASE(embedding_refuses_an_index_out_of_range) {
  const Tensor weight = Tensor::zeros({3, 2});
  const auto told = [&](double i) { return message_of<ShapeError>([&] { embedding(Tensor::from({0, i}, int64), weight); }); };
  BOOST_TEST(contains(told(3), "embedding: index 3 at position 1 of (2,) int64"));
  BOOST_TEST(contains(told(-1), "embedding: index -1 at position 1"));
  BOOST_TEST(contains(told(3), "is not in [0, 3)"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { embedding(Tensor::zeros({1}, int64), weight, 3); }), "embedding: the padding row 3"));
  BOOST_CHECK_THROW(embedding(Tensor::zeros({1}), weight), DtypeError);
  BOOST_CHECK_THROW(embedding(Tensor::zeros({1}, int64), Tensor::zeros({3})), ShapeError);
}

// ---- attention --------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(attention_against_loops) {
  const Tensor q = random_numbers({2, 3, 2}, 1), k = random_numbers({2, 4, 2}, 2), v = random_numbers({2, 4, 3}, 3);
  const Attention a = scaled_dot_product_attention(q, k, v, {.causal = true});
  for (Index b = 0; b < 2; ++b)
    for (Index i = 0; i < 3; ++i) {
      double total = 0, weight[4] = {}, output[3] = {};
      for (Index j = 0; j <= i; ++j) {
        weight[j] = std::exp((q.at({b, i, 0}) * k.at({b, j, 0}) + q.at({b, i, 1}) * k.at({b, j, 1})) / std::sqrt(2));
        total += weight[j];
      }
      for (Index j = 0; j < 4; ++j) {
        BOOST_TEST(std::abs(a.weights.at({b, i, j}) - weight[j] / total) < 1e-14);
        for (Index d = 0; d < 3; ++d) output[d] += weight[j] / total * v.at({b, j, d});
      }
      for (Index d = 0; d < 3; ++d) BOOST_TEST(std::abs(a.output.at({b, i, d}) - output[d]) < 1e-14);
    }
}

BOOST_AUTO_TEST_CASE(boolean_and_added_masks_say_the_same) {
  const Tensor q = random_numbers({3, 2}, 1), k = random_numbers({3, 2}, 2), v = random_numbers({3, 2}, 3);
  const Tensor visible = Tensor::from({{1, 0, 1}, {0, 1, 0}, {1, 1, 1}}, boolean), added = where(visible, 0.0, -kInfinity);
  check_numbers(numbers(scaled_dot_product_attention(q, k, v, {.mask = visible}).output),
                numbers(scaled_dot_product_attention(q, k, v, {.mask = added}).output));
}

// Edge case 60: a row of only -inf.
BOOST_AUTO_TEST_CASE(a_query_that_sees_no_key_gives_zeros) {
  const Tensor q = random_numbers({2, 2}, 1), k = random_numbers({3, 2}, 2), v = random_numbers({3, 2}, 3);
  const Tensor mask = Tensor::from({{0, 0, 0}, {1, 0, 1}}, boolean);
  const auto output = [&](const Tensor& x) { return scaled_dot_product_attention(x, k, v, {.mask = mask}).output; };
  const Numbers y = numbers(output(q)), gradient = weighted_gradient(output, q);
  BOOST_TEST((y[0] == 0 && y[1] == 0));
  BOOST_TEST((gradient[0] == 0 && gradient[1] == 0));
  BOOST_TEST((std::isfinite(y[2]) && std::isfinite(gradient[2]) && gradient[2] != 0));
}

BOOST_AUTO_TEST_CASE(multihead_attention_treats_one_tensor_like_three_equal_ones) {
  const Tensor x = random_numbers({3, 2, 4}, 1);
  const MultiheadWeights w{random_numbers({12, 4}, 2), random_numbers({12}, 3), random_numbers({4, 4}, 4), random_numbers({4}, 5)};
  const Attention one = multihead_attention(x, x, x, w, {.heads = 2}),
                  three = multihead_attention(x, x.clone(), x.clone(), w, {.heads = 2});
  check_numbers(numbers(one.output), numbers(three.output), 1e-13);
  BOOST_TEST((one.weights.shape() == Shape{2, 3, 3}));
  check_numbers(numbers(sum(one.weights, -1)), Numbers(6, 1), 1e-14);
}

BOOST_AUTO_TEST_CASE(hidden_keys_are_as_if_they_were_not_there) {
  const Tensor query = random_numbers({2, 1, 4}, 1), keys = random_numbers({3, 1, 4}, 2), fewer = narrow(keys, 0, 0, 2);
  const MultiheadWeights w{random_numbers({12, 4}, 2), {}, random_numbers({4, 4}, 4), {}};
  const Numbers expected = numbers(multihead_attention(query, fewer, fewer, w, {.heads = 2}).output);
  const Tensor padding = Tensor::from({{0, 0, 1}}, boolean), mask = Tensor::from({{0, 0, 1}, {0, 0, 1}}, boolean);
  check_numbers(numbers(multihead_attention(query, keys, keys, w, {.heads = 2, .padding_mask = padding}).output), expected, 1e-13);
  check_numbers(numbers(multihead_attention(query, keys, keys, w, {.heads = 2, .attention_mask = mask}).output), expected, 1e-13);
}

BOOST_AUTO_TEST_CASE(attention_refuses_what_does_not_fit) {
  const Tensor x = Tensor::zeros({3, 2, 4}), matrix = Tensor::zeros({4, 4}), in = Tensor::zeros({12, 4});
  const auto told = [](auto&& f) { return message_of<ShapeError>(f); };
  BOOST_TEST(contains(told([&] { scaled_dot_product_attention(x, matrix, x); }), "(..., s, d) and (..., s, e): query (3, 2, 4)"));
  BOOST_TEST(contains(told([&] {
                        multihead_attention(x, x, x, {in, {}, matrix, {}}, {.heads = 3});
                      }),
                      "4 features cannot be divided among 3 heads: query (3, 2, 4)"));
  BOOST_TEST(contains(told([&] { multihead_attention(x, x, x, {matrix, {}, matrix, {}}, {.heads = 2}); }), "must be (12, 4) and (4, 4)"));
  BOOST_TEST(contains(told([&] { multihead_attention(x, matrix, x, {in, {}, matrix, {}}, {.heads = 2}); }), "key (4, 4)"));
  BOOST_TEST(contains(told([&] {
                        multihead_attention(x, x, x, {in, {}, matrix, {}}, {.heads = 2, .attention_mask = matrix});
                      }),
                      "the mask (4, 4)"));
  BOOST_TEST(contains(told([&] {
                        multihead_attention(x, x, x, {in, {}, matrix, {}}, {.heads = 2, .padding_mask = matrix});
                      }),
                      "the padding mask"));
}

// ---- recurrence -------------------------------------------------------------------------------------------------------------------------

namespace {

RecurrentWeights weights_of(Index gates, Index in, Index hidden, std::uint64_t seed, Dtype dtype = float64) {
  const Index rows = gates * hidden;
  return {random_numbers({rows, in}, seed, dtype), random_numbers({rows, hidden}, seed + 1, dtype), random_numbers({rows}, seed + 2, dtype),
          random_numbers({rows}, seed + 3, dtype)};
}

// Row `row` of x W_ih^T + b_ih, or of h W_hh^T + b_hh.
double product(const Tensor& x, const Tensor& w, const Tensor& b, Index row, Index gate) {
  double total = b.at({gate});
  for (Index j = 0; j < w.size(1); ++j) total += x.at({row, j}) * w.at({gate, j});
  return total;
}

}  // namespace

BOOST_AUTO_TEST_CASE(cells_against_loops) {
  for (const Dtype dtype : {float64, float32}) {
    const Index n = 3, in = 2, hidden = 5;
    const double tolerance = dtype == float64 ? 1e-14 : 1e-5;
    const Tensor x = random_numbers({n, in}, 1, dtype), h = random_numbers({n, hidden}, 2, dtype),
                 c = random_numbers({n, hidden}, 3, dtype);
    const RecurrentWeights simple = weights_of(1, in, hidden, 10, dtype), three = weights_of(3, in, hidden, 20, dtype),
                           four = weights_of(4, in, hidden, 30, dtype);
    const Tensor by_tanh = rnn_cell(x, h, simple), by_relu = rnn_cell(x, h, simple, Nonlinearity::relu), by_gru = gru_cell(x, h, three);
    const LstmState by_lstm = lstm_cell(x, {h, c}, four);
    const auto near = [&](double a, double b) { BOOST_TEST(std::abs(a - b) <= tolerance); };
    for (Index row = 0; row < n; ++row)
      for (Index j = 0; j < hidden; ++j) {
        const auto left = [&](const RecurrentWeights& w, Index gate) { return product(x, w.weight_ih, w.bias_ih, row, gate * hidden + j); };
        const auto right = [&](const RecurrentWeights& w, Index gate) {
          return product(h, w.weight_hh, w.bias_hh, row, gate * hidden + j);
        };
        const auto both = [&](const RecurrentWeights& w, Index gate) { return left(w, gate) + right(w, gate); };
        near(by_tanh.at({row, j}), std::tanh(both(simple, 0)));
        near(by_relu.at({row, j}), std::max(0.0, both(simple, 0)));
        const double r = logistic(both(three, 0)), z = logistic(both(three, 1)), next = std::tanh(left(three, 2) + r * right(three, 2));
        near(by_gru.at({row, j}), (1 - z) * next + z * h.at({row, j}));
        const double cell = logistic(both(four, 1)) * c.at({row, j}) + logistic(both(four, 0)) * std::tanh(both(four, 2));
        near(by_lstm.c.at({row, j}), cell);
        near(by_lstm.h.at({row, j}), logistic(both(four, 3)) * std::tanh(cell));
      }
  }
}

// The fused rules against those of a composition; float32 also exercises the vectorized loops and their tails.
BOOST_AUTO_TEST_CASE(gradients_of_cells_are_those_of_their_parts) {
  const Index n = 4, in = 3, hidden = 37;
  for (const Dtype dtype : {float64, float32}) {
    const Tensor x0 = random_numbers({n, in}, 1, dtype), h0 = random_numbers({n, hidden}, 2, dtype),
                 c0 = random_numbers({n, hidden}, 3, dtype);
    const auto gate = [&](const Tensor& a, Index i) { return narrow(a, 1, i * hidden, hidden); };
    const auto sums = [](const Tensor& x, const Tensor& h, const RecurrentWeights& w) {
      return matmul(x, transpose(w.weight_ih)) + w.bias_ih + matmul(h, transpose(w.weight_hh)) + w.bias_hh;
    };
    const auto composed_lstm = [&](const Tensor& x, const Tensor& h, const Tensor& c, const RecurrentWeights& w) {
      const Tensor a = sums(x, h, w);
      const Tensor next = sigmoid(gate(a, 1)) * c + sigmoid(gate(a, 0)) * tanh(gate(a, 2));
      return concat({sigmoid(gate(a, 3)) * tanh(next), next}, 1);
    };
    const auto fused_lstm = [](const Tensor& x, const Tensor& h, const Tensor& c, const RecurrentWeights& w) {
      const LstmState s = lstm_cell(x, {h, c}, w);
      return concat({s.h, s.c}, 1);
    };
    const auto composed_gru = [&](const Tensor& x, const Tensor& h, const Tensor&, const RecurrentWeights& w) {
      const Tensor a = matmul(x, transpose(w.weight_ih)) + w.bias_ih, b = matmul(h, transpose(w.weight_hh)) + w.bias_hh;
      const Tensor r = sigmoid(gate(a, 0) + gate(b, 0)), z = sigmoid(gate(a, 1) + gate(b, 1));
      return (1 - z) * tanh(gate(a, 2) + r * gate(b, 2)) + z * h;
    };
    const auto fused_gru = [](const Tensor& x, const Tensor& h, const Tensor&, const RecurrentWeights& w) { return gru_cell(x, h, w); };
    const auto gradients = [&](auto&& f, const RecurrentWeights& w) {
      Tape tape;
      const Tensor x = tape.variable(x0), h = tape.variable(h0), c = tape.variable(c0);
      const RecurrentWeights v{tape.variable(w.weight_ih), tape.variable(w.weight_hh), tape.variable(w.bias_ih), tape.variable(w.bias_hh)};
      const Tensor y = f(x, h, c, v);
      const Tensor sources[] = {x, h, c, v.weight_ih, v.weight_hh, v.bias_ih, v.bias_hh};
      return tape.gradient(y, sources, {.seed = random_numbers(y.shape(), 7, dtype), .unreached = Unreached::zero});
    };
    const auto compare = [&](auto&& f, auto&& g, Index gates) {
      const RecurrentWeights w = weights_of(gates, in, hidden, 40, dtype);
      const auto a = gradients(f, w), b = gradients(g, w);
      for (std::size_t k = 0; k < a.size(); ++k) {
        const double worst = a[k].size() > 0 ? max(abs(a[k] - b[k])).item() : 0;
        BOOST_TEST(worst <= (dtype == float64 ? 1e-13 : 2e-5));
      }
    };
    compare(fused_lstm, composed_lstm, 4);
    compare(fused_gru, composed_gru, 3);
  }
}

BOOST_AUTO_TEST_CASE(sequences_are_loops_over_cells) {
  const Index steps = 4, n = 2, in = 3, hidden = 2;
  const Tensor x = random_numbers({steps, n, in}, 1);
  const std::vector<RecurrentWeights> w{weights_of(4, in, hidden, 10), weights_of(4, in, hidden, 20)};
  const LstmSequence s = lstm(x, {}, w, {.bidirectional = true});
  LstmState forward{Tensor::zeros({n, hidden}, float64), Tensor::zeros({n, hidden}, float64)}, backward = forward;
  for (Index t = 0; t < steps; ++t) {
    forward = lstm_cell(select(x, 0, t), forward, w[0]);
    check_numbers(numbers(narrow(select(s.output, 0, t), 1, 0, hidden)), numbers(forward.h));
    const Index back = steps - 1 - t;
    backward = lstm_cell(select(x, 0, back), backward, w[1]);
    check_numbers(numbers(narrow(select(s.output, 0, back), 1, hidden, hidden)), numbers(backward.h));
  }
  check_numbers(numbers(s.state.h), numbers(stack({forward.h, backward.h})));
  check_numbers(numbers(s.state.c), numbers(stack({forward.c, backward.c})));
}

// With lengths, the loop over cells runs; these lengths change nothing. With 100 sequences the gradients of the weights are computed in
// parts.
BOOST_AUTO_TEST_CASE(a_layer_as_one_operation_has_the_gradients_of_the_loop) {
  const Index steps = 7, n = 100, in = 3, hidden = 5;
  using Layer = std::function<Sequence(const Tensor& x, const Tensor& h, std::span<const RecurrentWeights> w, const RecurrentOptions& o)>;
  const auto by_lstm = [](const Tensor& x, const Tensor& h, std::span<const RecurrentWeights> w, const RecurrentOptions& o) {
    const LstmSequence s = lstm(x, {h, 2 * h}, w, o);
    return Sequence{s.output, concat({s.state.h, s.state.c})};
  };
  const auto by_rnn = [](Nonlinearity f) -> Layer {
    return [f](const Tensor& x, const Tensor& h, std::span<const RecurrentWeights> w, const RecurrentOptions& o) {
      return rnn(x, h, w, f, o);
    };
  };
  const auto by_gru = [](const Tensor& x, const Tensor& h, std::span<const RecurrentWeights> w, const RecurrentOptions& o) {
    return gru(x, h, w, o);
  };
  const std::tuple<const char*, Layer, Index> layers[] = {
      {"lstm", by_lstm, 4}, {"gru", by_gru, 3}, {"rnn", by_rnn(Nonlinearity::tanh), 1}, {"relu", by_rnn(Nonlinearity::relu), 1}};
  for (const auto& [name, layer, gates] : layers)
    for (const Dtype dtype : {float64, float32})
      for (const bool bias : {true, false}) {
        const std::vector<RecurrentWeights> w{weights_of(gates, in, hidden, 10, dtype), weights_of(gates, in, hidden, 20, dtype)};
        const Tensor x0 = random_numbers({steps, n, in}, 1, dtype), h0 = random_numbers({2, n, hidden}, 2, dtype);
        const auto gradients = [&, &layer = layer](const Tensor& lengths) {
          Tape tape;
          std::vector<Tensor> sources{tape.variable(x0), tape.variable(h0)};
          std::vector<RecurrentWeights> v;
          for (const RecurrentWeights& each : w) {
            const auto variable = [&](const Tensor& t) { return sources.emplace_back(tape.variable(t)); };
            v.push_back({variable(each.weight_ih), variable(each.weight_hh), {}, {}});
            if (bias) v.back().bias_ih = variable(each.bias_ih), v.back().bias_hh = variable(each.bias_hh);
          }
          const Sequence s = layer(sources[0], sources[1], v, {.bidirectional = true, .lengths = lengths});
          const auto weighted = [&](const Tensor& y, std::uint64_t seed) { return sum(y * random_numbers(y.shape(), seed, dtype)); };
          return tape.gradient(weighted(s.output, 5) + weighted(s.h, 6), sources);
        };
        const auto one = gradients({}), loop = gradients(Tensor::full({n}, steps, int64));
        for (std::size_t k = 0; k < one.size(); ++k) {
          const double worst = max(abs(one[k] - loop[k])).item(), size = max(abs(loop[k])).item();
          BOOST_TEST(worst <= (dtype == float64 ? 1e-13 : 1e-5) * size, name << ", source " << k << ": " << worst);
        }
      }
}

// Rows of a batch that does not lie densely, and gradients of some operands alone.
BOOST_AUTO_TEST_CASE(layers_take_views_and_leave_out_what_nobody_wants) {
  const Tensor wide = random_numbers({5, 6, 7}, 1);
  const std::vector<RecurrentWeights> three{weights_of(3, 4, 3, 10)}, one{weights_of(1, 4, 3, 10)};
  const auto check = [&](auto&& layer) {
    const Tensor view = narrow(slice(wide, 1, 0, 6, 2), 2, 1, 4), copy = view.contiguous();
    check_numbers(numbers(layer(view)), numbers(layer(copy)));
    const auto gradient = [&](auto&& part_of, const Tensor& x) {
      Tape tape;
      const Tensor v = tape.variable(x);
      return tape.gradient(sum(square(layer(part_of(v)))), v);
    };
    const auto part = [](const Tensor& x) { return narrow(slice(x, 1, 0, 6, 2), 2, 1, 4); };
    const Tensor whole = gradient(part, wide), dense = gradient([](const Tensor&x) { return x; }, copy);
    check_numbers(numbers(part(whole)), numbers(dense));
  };
  check([&](const Tensor& x) { return gru(x, {}, three).output; });
  check([&](const Tensor& x) { return rnn(x, {}, one, Nonlinearity::tanh).output; });
}

BOOST_AUTO_TEST_CASE(layers_feed_each_other_and_states_go_on) {
  const Index steps = 5, n = 2, in = 3, hidden = 2;
  const Tensor x = random_numbers({steps, n, in}, 1);
  const std::vector<RecurrentWeights> w{weights_of(3, in, hidden, 10), weights_of(3, hidden, hidden, 20)};
  const Sequence both = gru(x, {}, w);
  const Sequence below = gru(x, {}, std::span(w).first(1)), above = gru(below.output, {}, std::span(w).last(1));
  check_numbers(numbers(both.output), numbers(above.output));
  check_numbers(numbers(both.h), numbers(concat({below.h, above.h})));
  const Sequence first = gru(narrow(x, 0, 0, 2), {}, w), second = gru(narrow(x, 0, 2, 3), first.h, w);
  check_numbers(numbers(concat({first.output, second.output})), numbers(both.output));
  check_numbers(numbers(second.h), numbers(both.h));
}

BOOST_AUTO_TEST_CASE(the_batch_may_come_first) {
  const Tensor x = random_numbers({2, 4, 3}, 1);
  const std::vector<RecurrentWeights> w{weights_of(1, 3, 2, 10)};
  const Sequence a = rnn(x, {}, w, Nonlinearity::relu, {.batch_first = true}), b = rnn(transpose(x, 0, 1), {}, w, Nonlinearity::relu);
  check_numbers(numbers(a.output), numbers(transpose(b.output, 0, 1)));
  check_numbers(numbers(a.h), numbers(b.h));
}

BOOST_AUTO_TEST_CASE(padded_sequences_are_as_if_they_were_alone) {
  const Index steps = 4;
  const Tensor x = random_numbers({steps, 3, 2}, 1), lengths = Tensor::from({2, 4, 0}, int64);
  const std::vector<RecurrentWeights> w{weights_of(4, 2, 3, 10), weights_of(4, 2, 3, 20), weights_of(4, 6, 3, 30), weights_of(4, 6, 3, 40)};
  const LstmSequence all = lstm(x, {}, w, {.bidirectional = true, .lengths = lengths});
  for (Index i = 0; i < 3; ++i) {
    const Index length = static_cast<Index>(lengths.element(i));
    const LstmSequence alone = lstm(narrow(narrow(x, 1, i, 1), 0, 0, length), {}, w, {.bidirectional = true});
    check_numbers(numbers(narrow(narrow(all.output, 1, i, 1), 0, 0, length)), numbers(alone.output));
    check_numbers(numbers(narrow(all.state.h, 1, i, 1)), numbers(alone.state.h));
    check_numbers(numbers(narrow(all.state.c, 1, i, 1)), numbers(alone.state.c));
    const Tensor beyond = narrow(narrow(all.output, 1, i, 1), 0, length, steps - length);
    check_numbers(numbers(beyond), Numbers(static_cast<std::size_t>(beyond.size()), 0));
  }
}

BOOST_AUTO_TEST_CASE(dropout_between_layers_alone) {
  const Tensor x = random_numbers({3, 2, 2}, 1);
  const std::vector<RecurrentWeights> w{weights_of(1, 2, 2, 10), weights_of(1, 2, 2, 20)};
  Generator generator(4), same(4);
  const Sequence dropped = rnn(x, {}, w, Nonlinearity::tanh, {.dropout = 0.5, .generator = &generator});
  const Sequence below = rnn(x, {}, std::span(w).first(1), Nonlinearity::tanh, {.dropout = 0.5, .generator = &generator});
  check_numbers(numbers(below.output), numbers(rnn(x, {}, std::span(w).first(1), Nonlinearity::tanh).output));
  const Sequence above = rnn(dropout(below.output, 0.5, same), {}, std::span(w).last(1), Nonlinearity::tanh);
  check_numbers(numbers(dropped.output), numbers(above.output));
}

BOOST_AUTO_TEST_CASE(recurrence_refuses_what_does_not_fit) {
  const Tensor x = Tensor::zeros({2, 3}), h = Tensor::zeros({2, 4}), sequence = Tensor::zeros({5, 2, 3});
  const RecurrentWeights w = weights_of(4, 3, 4, 1, float32);
  const std::vector<RecurrentWeights> layers{w};
  const auto told = [](auto&& f) { return message_of<ShapeError>(f); };
  BOOST_TEST(contains(told([&] { lstm_cell(Tensor::zeros({3}), {h, h}, w); }), "lstm_cell: the input (3,)"));
  BOOST_TEST(contains(told([&] { lstm_cell(h, {h, h}, w); }), "input (2, 4) float32 made at test_layer_operations.cpp:"));
  BOOST_TEST(
      contains(told([&] {
                 lstm_cell(h, {h, h}, w);
               }),
               "lstm_cell: weight_ih must be (16, 4), weight_hh (16, 4) and biases (16,) for 4 features of the input and a state of 4"));
  BOOST_TEST(contains(told([&] { lstm_cell(x, {x, h}, w); }), "lstm_cell: the state h must have the shape (2, 4): h (2, 3)"));
  BOOST_TEST(contains(told([&] { lstm_cell(x, {h, x}, w); }), "the state c must have the shape (2, 4): c (2, 3)"));
  BOOST_TEST(contains(told([&] { gru_cell(x, h, w); }), "gru_cell: weight_ih must be (12, 3)"));
  BOOST_TEST(contains(message_of<ValueError>([&] { rnn_cell(x, h, {}); }), "rnn_cell: weight_ih and weight_hh must be given"));
  BOOST_TEST(contains(message_of<ValueError>([&] {
                        lstm_cell(x, {h, h}, {w.weight_ih, w.weight_hh, w.bias_ih, {}});
                      }),
                      "both biases must be given, or neither"));
  BOOST_TEST(contains(told([&] { lstm(x, {}, layers); }), "lstm: the input (2, 3)"));
  BOOST_TEST(contains(told([&] { lstm(sequence, {}, {}); }), "lstm: 0 sets of weights"));
  BOOST_TEST(contains(told([&] { lstm(sequence, {}, layers, {.bidirectional = true}); }), "cannot be divided into layers of 2 directions"));
  BOOST_TEST(contains(told([&] { lstm(sequence, {h, {}}, layers); }), "the state h must have the shape (1, 2, 4): h (2, 4)"));
  BOOST_TEST(contains(told([&] { lstm(sequence, {h, {}}, layers); }), "must have the shape (1, 2, 4)"));
  const auto with_lengths = [&](const Tensor& lengths) { return lstm(sequence, {}, layers, {.lengths = lengths}); };
  BOOST_TEST(contains(told([&] { with_lengths(Tensor::from({1, 6}, int64)); }), "lstm: length 6 of sequence 1 is not in [0, 5]"));
  BOOST_TEST(contains(told([&] { with_lengths(Tensor::from({1}, int64)); }), "must have the shape (2,)"));
  BOOST_CHECK_THROW(with_lengths(Tensor::from({1, 2})), DtypeError);
  BOOST_CHECK_THROW(lstm_cell(x.to(float64), {h, h}, w), DtypeError);
}

BOOST_AUTO_TEST_CASE(sequences_of_no_steps_leave_the_state) {
  const std::vector<RecurrentWeights> w{weights_of(3, 2, 4, 1)};
  const Tensor h = random_numbers({1, 3, 4}, 9);
  const Sequence s = gru(Tensor::zeros({0, 3, 2}, float64), h, w);
  BOOST_TEST((s.output.shape() == Shape{0, 3, 4}));
  check_numbers(numbers(s.h), numbers(h));
}

// ---- losses of classes ------------------------------------------------------------------------------------------------------------------

// Edge case 65.
BOOST_AUTO_TEST_CASE(without_a_label_that_counts_the_mean_is_nan_and_the_gradient_zero) {
  const Tensor x = random_numbers({2, 3}, 1), labels = Tensor::from({-100, -100}, int64);
  const auto loss = [&](const Tensor& v) { return cross_entropy(v, labels); };
  BOOST_TEST(std::isnan(loss(x).item()));
  check_numbers(testing::gradient_of(loss, x), Numbers(6, 0));
  BOOST_TEST(cross_entropy(x, labels, {.reduction = Reduction::sum}).item() == 0);
  const auto by_nll = [&](const Tensor& v) { return nll(log_softmax(v), labels); };
  check_numbers(testing::gradient_of(by_nll, x), Numbers(6, 0));
}

BOOST_AUTO_TEST_CASE(ignored_rows_may_be_infinite) {
  const Tensor log_p = Tensor::from({{-kInfinity, 0}, {-0.5, -1}}, float64), labels = Tensor::from({-100, 1}, int64);
  BOOST_TEST(nll(log_p, labels).item() == 1);
  check_numbers(testing::gradient_of([&](const Tensor& v) { return nll(v, labels); }, log_p), {0, 0, 0, -1});
}

BOOST_AUTO_TEST_CASE(losses_of_classes_refuse_what_does_not_fit) {
  const Tensor x = Tensor::zeros({2, 3}), labels = Tensor::from({0, 2}, int64);
  const auto told = [](auto&& f) { return message_of<ShapeError>(f); };
  BOOST_TEST(contains(told([&] {
                        nll(x, Tensor::from({0, 3}, int64));
                      }),
                      "nll: label 3 at position 1 is neither in [0, 3) nor the ignored -100: labels (2,) int64"));
  BOOST_TEST(contains(told([&] { nll(x, Tensor::from({0, -1}, int64)); }), "is neither in [0, 3) nor the ignored -100"));
  BOOST_TEST(contains(told([&] { nll(x, Tensor::from({0}, int64)); }), "further dimensions: logits (2, 3) float32"));
  BOOST_TEST(contains(told([&] { cross_entropy(x, labels, {.class_weight = Tensor::zeros({2})}); }),
                      "the class weights must have the shape (3,), one for each class: weights (2,)"));
  BOOST_TEST(
      contains(message_of<ValueError>([&] { cross_entropy(x, labels, {.label_smoothing = 2}); }), "label_smoothing 2 is not in [0, 1]"));
  BOOST_CHECK_THROW(cross_entropy(x, labels, {.class_weight = Tensor::zeros({3}, float64)}), DtypeError);
  BOOST_CHECK_THROW(nll(x, Tensor::zeros({2})), DtypeError);
  BOOST_CHECK_THROW(cross_entropy(x, Tensor::zeros({2, 3}, float64)), DtypeError);
}
