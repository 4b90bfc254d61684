#define BOOST_TEST_MODULE attention
#include "nn/attention.h"

#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/gradcheck.h"
#include "nn/state.h"
#include "support/derivatives.h"
#include "support/throws.h"

using namespace wengert;
using testing::check_numbers, testing::contains, testing::message_of, testing::numbers;

namespace {

Tensor random_numbers(const Shape& shape, std::uint64_t seed, Dtype dtype = float32) {
  Generator generator(seed);
  return generator.uniform(shape, -1, 1, dtype);
}

std::vector<std::string> names_of(const nn::Module& m) {
  std::vector<std::string> names;
  for (const auto& entry : nn::state(m)) names.push_back(entry.name);
  return names;
}

}  // namespace

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
  BOOST_TEST(contains(message_of<ShapeError>([] { nn::MultiheadAttention(4, 3); }), "MultiheadAttention(4, 3)"));
  const nn::MultiheadAttention layer(4, 2);
  const Tensor x = Tensor::zeros({3, 2, 5});
  BOOST_TEST(contains(message_of<ShapeError>([&] { layer(x, x, x); }), "multihead_attention"));
  BOOST_TEST(layer.label() == "MultiheadAttention(4, 2)");
}
