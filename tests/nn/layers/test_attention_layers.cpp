#include "nn/layers/attention.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/transforms/gradcheck.h"
#include "nn/module/state.h"
#include "tests/support/derivatives.h"
#include "tests/support/layers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::begins_at, testing::check_numbers, testing::contains, testing::message_of, testing::numbers, testing::names_of,
    testing::random_numbers, testing::check_layer;

BOOST_AUTO_TEST_CASE(names_are_those_of_pytorch) {
  const std::vector<std::string> attention{"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"};
  BOOST_TEST(names_of(nn::MultiheadAttention(4, 2)) == attention, boost::test_tools::per_element());
  BOOST_TEST((names_of(nn::MultiheadAttention(4, 2, {.bias = false})) == std::vector<std::string>{"in_proj_weight", "out_proj.weight"}));
  const std::vector<std::string> encoder{"self_attn.in_proj_weight",
                                         "self_attn.in_proj_bias",
                                         "self_attn.out_proj.weight",
                                         "self_attn.out_proj.bias",
                                         "linear1.weight",
                                         "linear1.bias",
                                         "linear2.weight",
                                         "linear2.bias",
                                         "norm1.weight",
                                         "norm1.bias",
                                         "norm2.weight",
                                         "norm2.bias"};
  BOOST_TEST(names_of(nn::TransformerEncoderLayer(4, 2)) == encoder, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_layer_is_its_operation) {
  nn::MultiheadAttention layer(4, 2);
  layer.in_proj_bias = random_numbers({12}, 3);
  layer.out_proj.bias = random_numbers({4}, 4);
  const Tensor q = random_numbers({3, 2, 4}, 1), k = random_numbers({5, 2, 4}, 2);
  const Tensor padding = Tensor::from({{0, 0, 0, 0, 1}, {0, 0, 1, 1, 1}}, boolean);
  const MultiheadWeights w{layer.in_proj_weight, layer.in_proj_bias, layer.out_proj.weight, layer.out_proj.bias};
  const Attention expected = multihead_attention(q, k, k, w, {.heads = 2, .padding_mask = padding});
  const Attention found = layer(q, k, k, {.padding = padding});
  check_numbers(numbers(found.output), numbers(expected.output));
  check_numbers(numbers(found.weights), numbers(expected.weights));
  nn::MultiheadAttention turned(4, 2, {.batch_first = true});
  turned.in_proj_weight = layer.in_proj_weight;
  turned.in_proj_bias = layer.in_proj_bias;
  turned.out_proj = layer.out_proj;
  const Tensor k_turned = transpose(k, 0, 1);
  check_numbers(numbers(transpose(turned(transpose(q, 0, 1), k_turned, k_turned, {.padding = padding}).output, 0, 1)),
                numbers(expected.output), 1e-6);
}

BOOST_AUTO_TEST_CASE(the_encoder_layer_is_its_formula) {
  const Tensor x = random_numbers({3, 2, 4}, 1);
  for (const bool norm_first : {false, true})
    for (const bool gelu_in_place_of_relu : {false, true}) {
      nn::TransformerEncoderLayer layer(4, 2, {.feedforward = 7, .gelu = gelu_in_place_of_relu, .norm_first = norm_first});
      layer.eval();
      const auto attention = [&](const Tensor& v) { return layer.self_attn(v, v, v).output; };
      const auto feedforward = [&](const Tensor& v) {
        const Tensor hidden = layer.linear1(v);
        return layer.linear2(gelu_in_place_of_relu ? gelu(hidden) : relu(hidden));
      };
      const Tensor y = norm_first ? x + attention(layer.norm1(x)) : layer.norm1(x + attention(x));
      const Tensor z = norm_first ? y + feedforward(layer.norm2(y)) : layer.norm2(y + feedforward(y));
      check_numbers(numbers(layer(x)), numbers(z));
    }
}

BOOST_AUTO_TEST_CASE(dropout_is_for_training) {
  nn::TransformerEncoderLayer layer(8, 2, {.feedforward = 16});
  const Tensor x = random_numbers({3, 2, 8}, 1);
  BOOST_TEST((numbers(layer(x)) != numbers(layer(x))));
  layer.eval();
  BOOST_TEST((numbers(layer(x)) == numbers(layer(x))));
}

BOOST_AUTO_TEST_CASE(the_encoder_layer_has_second_derivatives) {
  nn::TransformerEncoderLayer layer(4, 2, {.feedforward = 3, .dropout = 0, .gelu = true});
  layer.to(float64);
  const GradientCheck check = check_gradient([&](const Tensor& x) { return layer(x); }, {random_numbers({2, 2, 4}, 1, float64)});
  BOOST_CHECK_MESSAGE(check.passed(), check.to_string());
}

BOOST_AUTO_TEST_CASE(sizes_that_do_not_fit_are_refused) {
  BOOST_TEST(
      begins_at(message_of<ShapeError>([] { nn::MultiheadAttention(4, 3); }), "test_attention_layers.cpp", "MultiheadAttention(4, 3): "));
  BOOST_TEST(
      contains(message_of<ValueError>([] { nn::MultiheadAttention(4, 2, {.dropout = 2}); }), "dropout must be in [0, 1], but it is 2"));
  BOOST_TEST(begins_at(message_of<ValueError>([] { nn::TransformerEncoderLayer(4, 2, {.dropout = 2}); }), "test_attention_layers.cpp", ""));
  const nn::MultiheadAttention layer(4, 2);
  const Tensor x = Tensor::zeros({3, 2, 5});
  BOOST_TEST(contains(message_of<ShapeError>([&] { layer(x, x, x); }), "multihead_attention"));
  BOOST_TEST(layer.label() == "MultiheadAttention(4, 2)");
}

// The elements of x and of a constant x are the same; the values are not.
BOOST_AUTO_TEST_CASE(constant_keys_pass_nothing_on_with_the_batch_first) {
  nn::MultiheadAttention attention(4, 2, {.batch_first = true});
  Generator generator(1);
  const Tensor x = generator.normal({2, 3, 4});
  const auto gradient_with = [&](bool copy) {
    Tape tape;
    const Tensor v = tape.variable(x), constant = copy ? x * 1 : stop_gradient(v);
    return numbers(tape.gradient(sum(square(attention(v, constant, constant).output)), v));
  };
  check_numbers(gradient_with(false), gradient_with(true), 1e-6);
}

BOOST_AUTO_TEST_CASE(what_attention_refuses_is_not_recorded) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::ones({3, 1, 4}));
  const Tensor in = Tensor::ones({12, 4}), out = Tensor::ones({4, 4});
  const auto refused = [&](const MultiheadWeights& w, const MultiheadOptions& options, const char* part) {
    const std::size_t nodes = tape.nodes();
    BOOST_TEST(contains(message_of<Error>([&] { multihead_attention(x, x, x, w, options); }), part));
    BOOST_TEST(tape.nodes() == nodes);
  };
  refused({in, Tensor::ones({16}), out, {}}, {.heads = 2}, "multihead_attention: in_bias must have the shape (12,): in_bias (16,)");
  refused({in, {}, out, Tensor::ones({5})}, {.heads = 2}, "multihead_attention: out_bias must have the shape (4,): out_bias (5,)");
  refused({in, {}, out, {}}, {.heads = 2, .dropout = 2}, "probability 2 is not in [0, 1]");
  refused({in, {}, out, {}}, {.heads = 2, .attention_mask = Tensor::zeros({3, 3}, int64)}, "multihead_attention");
  const Tensor q = tape.variable(Tensor::ones({2, 3}));
  const std::size_t nodes = tape.nodes();
  for (const Shape& mask : {Shape{7, 7}, Shape{5, 2, 2}})
    BOOST_TEST(contains(message_of<ShapeError>([&] { scaled_dot_product_attention(q, q, q, {.mask = Tensor::zeros(mask)}); }),
                        "scaled_dot_product_attention"));
  BOOST_TEST(tape.nodes() == nodes);
}

BOOST_AUTO_TEST_CASE(a_nan_elsewhere_leaves_hidden_rows_zero) {
  const Tensor q = Tensor::from({{NAN, 1}, {1, 2}}), k = Tensor::from({{1, 0}, {0, 1}});
  const Tensor mask = Tensor::from({{1, 1}, {0, 0}}).to(boolean);
  check_numbers(numbers(select(scaled_dot_product_attention(q, k, k, {.mask = mask}).output, 0, 1)), {0, 0});
}

BOOST_AUTO_TEST_CASE(layers_visit_all_that_they_read) {
  const Tensor q = random_numbers({3, 2, 4}, 1), k = random_numbers({5, 2, 4}, 2);
  check_layer(nn::MultiheadAttention(4, 2, {.dropout = 0.25}), q, k, k);
  check_layer(nn::MultiheadAttention(4, 2, {.bias = false, .batch_first = true}), q, q, q);
  check_layer(nn::TransformerEncoderLayer(4, 2, {.feedforward = 8}), q);
}
