// The menu with arguments that make no sense: tensors that are undefined, tensors without elements but with huge sizes, options out of
// range. Each call must give an Error that names it, or a right result, and never more than a moment's work.
#include <autodiff/autodiff.h>
#include <autodiff/transforms/gradcheck.h>
#include <nn/nn.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

using Call = std::pair<const char*, std::function<void()>>;  // a name that the message must hold

const double kNaN = std::nan("");
constexpr Index kHuge = Index(1) << 62;

std::vector<Call> calls_with(const Tensor& t) {
  const Tensor a = Tensor::ones({2, 2}), index = Tensor::zeros({2}, int64), image = Tensor::ones({1, 1, 4, 4});
  const auto call = [](auto f) { return [f] { static_cast<void>(f()); }; };
  return {
      // Elementwise.
      {"add", call([=] { return t + 1; })},
      {"subtract", call([=] { return a - t; })},
      {"multiply", call([=] { return t * a; })},
      {"divide", call([=] { return 1 / t; })},
      {"negative", call([=] { return -t; })},
      {"exp", call([=] { return exp(t); })},
      {"clamp", call([=] { return clamp(t, 0, 1); })},
      {"softplus", call([=] { return softplus(t); })},
      {"pow", call([=] { return pow(t, 2); })},
      {"maximum", call([=] { return maximum(a, t); })},
      {"where", call([=] { return where(t, a, a); })},
      {"where", call([=] { return where(a > 0, a, t); })},
      {"<", call([=] { return t < 1; })},
      {"==", call([=] { return a == t; })},
      {"logical_and", call([=] { return t && (a > 0); })},
      {"logical_not", call([=] { return !t; })},
      {"isnan", call([=] { return isnan(t); })},
      // Linear algebra.
      {"matmul", call([=] { return matmul(a, t); })},
      {"matmul", call([=] { return matmul(t, a); })},
      {"linear", call([=] { return linear(t, a); })},
      {"linear", call([=] { return linear(a, t); })},
      {"linear_relu", call([=] { return linear_relu(t, a); })},
      {"dot", call([=] { return dot(t, t); })},
      {"outer", call([=] { return outer(t, t); })},
      {"bmm", call([=] { return bmm(t, a); })},
      {"addmm", call([=] { return addmm(t, a, a); })},
      {"einsum", call([=] {
         return einsum("ij,jk->ik", {a, t});
       })},
      {"inverse", call([=] { return inverse(t); })},
      {"solve", call([=] { return solve(t, a); })},
      {"solve", call([=] { return solve(a, t); })},
      {"solve_triangular", call([=] { return solve_triangular(a, t); })},
      {"det", call([=] { return det(t); })},
      {"slogdet", call([=] { return slogdet(t); })},
      {"logdet", call([=] { return logdet(t); })},
      {"cholesky", call([=] { return cholesky(t); })},
      // Reductions.
      {"sum", call([=] { return sum(t); })},
      {"sum", call([=] { return sum(t, 0); })},
      {"mean", call([=] { return mean(t); })},
      {"prod", call([=] { return prod(t, 0); })},
      {"logsumexp", call([=] { return logsumexp(t); })},
      {"var", call([=] { return var(t); })},
      {"stddev", call([=] { return stddev(t); })},
      {"norm", call([=] { return norm(t); })},
      {"max", call([=] { return max(t); })},
      {"min", call([=] { return min(t, 0); })},
      {"max_dim", call([=] { return max_dim(t, 0); })},
      {"argmax", call([=] { return argmax(t); })},
      {"argmin", call([=] { return argmin(t, 0); })},
      {"any", call([=] { return any(t); })},
      {"all", call([=] { return all(t, 0); })},
      {"cumsum", call([=] { return cumsum(t, 0); })},
      {"cumprod", call([=] { return cumprod(t, 0); })},
      {"logcumsumexp", call([=] { return logcumsumexp(t, 0); })},
      {"sum_to", call([=] { return sum_to(t, {1}); })},
      // Shapes.
      {"reshape", call([=] { return reshape(t, {4}); })},
      {"flatten", call([=] { return flatten(t); })},
      {"transpose", call([=] { return transpose(t); })},
      {"permute", call([=] {
         return permute(t, {1, 0});
       })},
      {"expand", call([=] {
         return expand(t, {2, 2});
       })},
      {"squeeze", call([=] { return squeeze(t); })},
      {"squeeze", call([=] { return squeeze(t, 0); })},
      {"unsqueeze", call([=] { return unsqueeze(t, 0); })},
      {"slice", call([=] { return slice(t, 0, 0, 1); })},
      {"narrow", call([=] { return narrow(t, 0, 0, 1); })},
      {"split", call([=] {
         return split(t, {1, 1});
       })},
      {"chunk", call([=] { return chunk(t, 2); })},
      {"select", call([=] { return select(t, 0, 0); })},
      {"concat", call([=] {
         return concat({a, t});
       })},
      {"concat", call([=] {
         return concat({t, a});
       })},
      {"stack", call([=] {
         return stack({a, t});
       })},
      {"stack", call([=] {
         return stack({t, a});
       })},
      {"flip", call([=] { return flip(t, {0}); })},
      {"roll", call([=] { return roll(t, {1}, {0}); })},
      {"repeat", call([=] {
         return repeat(t, {2, 2});
       })},
      {"pad", call([=] {
         return pad(t, {1, 1}, {1, 1});
       })},
      {"pad", call([=] {
         return pad(t, {1, 1}, {1, 1}, Padding::reflect);
       })},
      {"tril", call([=] { return tril(t); })},
      {"triu", call([=] { return triu(t); })},
      {"diagonal", call([=] { return diagonal(t); })},
      {"trace", call([=] { return trace(t); })},
      {"sort", call([=] { return sort(t); })},
      {"topk", call([=] { return topk(t, 1); })},
      // Positions.
      {"index_select", call([=] { return index_select(t, 0, index); })},
      {"index_select", call([=] { return index_select(a, 0, t); })},
      {"gather", call([=] { return gather(t, 0, index); })},
      {"gather", call([=] { return gather(a, 0, t); })},
      {"index_add", call([=] { return index_add(t, 0, index, a); })},
      {"index_add", call([=] { return index_add(a, 0, index, t); })},
      {"scatter_add", call([=] { return scatter_add(a, 0, t, a); })},
      {"scatter", call([=] { return scatter(t, 0, index, a); })},
      {"masked_fill", call([=] { return masked_fill(t, a > 0, 1); })},
      {"masked_fill", call([=] { return masked_fill(a, t, 1); })},
      {"masked_scatter", call([=] { return masked_scatter(a, t, a); })},
      {"masked_scatter", call([=] { return masked_scatter(t, a > 0, a); })},
      {"masked_select", call([=] { return masked_select(t, a > 0); })},
      {"nonzero", call([=] { return nonzero(t); })},
      {"slice_update", call([=] { return slice_update(a, {0}, t); })},
      {"slice_update", call([=] { return slice_update(t, {0}, a); })},
      {"index_put", call([=] { return index_put(a, {t}, 1); })},
      {"index_put", call([=] { return index_put(t, {index}, 1); })},
      {"one_hot", call([=] { return one_hot(t, 3); })},
      {"embedding", call([=] { return embedding(t, a); })},
      {"embedding", call([=] { return embedding(index, t); })},
      // Networks.
      {"conv1d", call([=] {
         return conv1d(t, Tensor::ones({1, 1, 1}));
       })},
      {"conv2d", call([=] { return conv2d(t, image); })},
      {"conv2d", call([=] { return conv2d(image, t); })},
      {"conv2d_relu", call([=] { return conv2d_relu(image, t, {}); })},
      {"conv_transpose2d", call([=] { return conv_transpose2d(t, image); })},
      {"max_pool2d", call([=] { return max_pool2d(t, 2); })},
      {"max_pool1d", call([=] { return max_pool1d(t, 2); })},
      {"avg_pool2d", call([=] { return avg_pool2d(t, 2); })},
      {"avg_pool1d", call([=] { return avg_pool1d(t, 2); })},
      {"adaptive_avg_pool2d", call([=] { return adaptive_avg_pool2d(t, 1); })},
      {"softmax", call([=] { return softmax(t); })},
      {"log_softmax", call([=] { return log_softmax(t); })},
      {"cross_entropy", call([=] { return cross_entropy(t, index); })},
      {"cross_entropy", call([=] { return cross_entropy(a, t); })},
      {"nll", call([=] { return nll(a, t); })},
      {"layer_norm", call([=] { return layer_norm(t, {2}); })},
      {"group_norm", call([=] { return group_norm(t, 1); })},
      {"instance_norm", call([=] { return instance_norm(t); })},
      {"rms_norm", call([=] { return rms_norm(t); })},
      {"batch_norm", call([=] { return batch_norm(t, {}, {}, {.training = true}); })},
      {"dropout", call([=] { return dropout(t); })},
      {"prelu", call([=] { return prelu(t, a); })},
      {"prelu", call([=] { return prelu(a, t); })},
      {"scaled_dot_product_attention", call([=] { return scaled_dot_product_attention(a, t, a); })},
      {"multihead_attention", call([=] {
         return multihead_attention(t, t, t, {Tensor::ones({6, 2}), {}, a, {}}, {});
       })},
      {"rnn_cell", call([=] {
         return rnn_cell(t, a, {a, a});
       })},
      {"gru_cell", call([=] {
         return gru_cell(a, t, {Tensor::ones({6, 2}), Tensor::ones({6, 2})});
       })},
      {"lstm_cell", call([=] {
         return lstm_cell(a, {t, t}, {Tensor::ones({8, 2}), Tensor::ones({8, 2})});
       })},
      {"rnn", call([=] {
         return rnn(t, {}, std::vector<RecurrentWeights>{{a, a}}, Nonlinearity::tanh);
       })},
      {"lstm", call([=] {
         return lstm(t, {}, std::vector<RecurrentWeights>{{a, a}});
       })},
      {"gru", call([=] {
         return gru(t, {}, std::vector<RecurrentWeights>{{a, a}});
       })},
      // Members.
      {"shape", call([=] { return t.shape(); })},
      {"size", call([=] { return t.size(); })},
      {"undefined", call([=] { return t.size(0); })},
      {"rank", call([=] { return t.rank(); })},
      {"dtype", call([=] { return t.dtype(); })},
      {"item", call([=] { return t.item(); })},
      {"at", call([=] { return t.at({0}); })},
      {"set", [=]() mutable { Tensor(t).set({0}, 1); }},
      {"data", call([=] { return t.data<float>(); })},
      {"data", call([=] { return Tensor(t).mutable_data<float>(); })},
      {"element", call([=] { return t(0); })},
      {"undefined", call([=] { return t(Range(0, 1)); })},
      {"undefined", call([=] { return t[0]; })},
      {"undefined", call([=] { return t.begin(); })},
      {"to", call([=] { return t.to(float64); })},
      {"clone", call([=] { return t.clone(); })},
      {"contiguous", call([=] { return t.contiguous(); })},
      {"undefined", call([=] { return zeros_like(t); })},
      {"item", call([=] { return Scalar(t); })},
      // Tapes and derivatives.
      {"variable", call([=] { return Tape().variable(t); })},
      {"undefined", call([=] { return gradient([](const Tensor& x) { return sum(x); }, t); })},
      {"undefined", call([=] { return hessian([](const Tensor& x) { return sum(x); }, t); })},
      {"undefined", call([=] { return jvp([](const Tensor& x) { return sum(x); }, a, t); })},
      // Parameters and layers.
      {"add", call([=] { return nn::Linear(2, 2, {.bias = false}).bias + 1; })},
      {"sum", call([=] { return sum(Parameter()); })},
      {"value", call([=] { return Parameter().value(); })},
      {"freeze", [=] { Parameter().freeze(); }},
      {"undefined", call([=] { return nn::Linear(2, 2)(t); })},
      {"undefined", call([=] { return nn::Conv2d(1, 1, 1)(t); })},
      {"undefined", call([=] { return nn::LSTM(2, 2)(t); })},
      {"undefined", call([=] { return nn::Embedding(2, 2)(t); })},
      {"undefined", call([=] { return nn::Sequential(nn::Flatten(), nn::Linear(2, 2))(t); })},
      // Losses, metrics, data.
      {"mse", call([=] { return nn::mse(a, t); })},
      {"mse", call([=] { return nn::mse(t, a); })},
      {"bce_with_logits", call([=] { return nn::bce_with_logits(t, a); })},
      {"kl_div", call([=] { return nn::kl_div(a, t); })},
      {"predictions", call([=] { return nn::predictions(t); })},
      {"accuracy", call([=] { return nn::accuracy(t, index); })},
      {"take_rows", call([=] { return nn::take_rows(t, {}); })},
      {"windows", call([=] { return nn::windows(t); })},
      {"random_flip", call([=] { return nn::random_flip(t); })},
      {"random_crop", call([=] { return nn::random_crop(t); })},
  };
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_undefined_tensor_is_refused_by_name) {
  for (const auto& [name, call] : calls_with(Tensor())) {
    BOOST_TEST_CONTEXT(name) {
      const std::string message = message_of<Error>(call);
      BOOST_TEST(contains(message, name));
      BOOST_TEST(contains(message, "undefined"));
    }
  }
  Tensor moved = Tensor::ones({1});
  const Tensor there = std::move(moved);
  BOOST_TEST(contains(message_of<ValueError>([&] { sum(moved); }), "moved from"));  // NOLINT(bugprone-use-after-move)
  BOOST_TEST(!Tensor(Parameter()).defined());
}

BOOST_AUTO_TEST_CASE(what_an_undefined_tensor_may_do) {
  const Tensor t;
  Tensor copy = t;
  copy = t.constant();
  BOOST_TEST(!copy.defined());
  BOOST_TEST(to_string(t) == "undefined tensor");
}

BOOST_AUTO_TEST_CASE(huge_sizes_beside_a_zero_take_no_time_and_no_memory) {
  const auto begin = std::chrono::steady_clock::now();
  for (const Shape& shape :
       {Shape{kHuge, 0}, Shape{0, kHuge}, Shape{kHuge, 0, 0}, Shape{0, 1, kHuge}, Shape{0, kHuge, kHuge}, Shape{0, 1, kHuge, kHuge}}) {
    const Tensor x = Tensor::zeros(shape);
    for (const auto& [name, call] : calls_with(x)) {
      BOOST_TEST_CONTEXT(name << " of " << to_string(shape)) {
        try {
          call();
        } catch (const Error&) {  // that is fine
        } catch (const std::exception& e) {
          BOOST_ERROR("no Error but " << e.what());
        }
      }
    }
    BOOST_TEST(to_string(x).size() < 1000u);
    BOOST_CHECK_NO_THROW(gradient([](const Tensor& v) { return sum(v); }, x));
  }
  BOOST_CHECK_NO_THROW(avg_pool1d(Tensor::zeros({0, 1, kHuge}), 1));
  BOOST_CHECK_NO_THROW(adaptive_avg_pool2d(Tensor::zeros({0, 1, 5, 5}), {1, kHuge}));
  BOOST_CHECK_THROW(concat({Tensor::zeros({kHuge, 0}), Tensor::zeros({kHuge, 0})}, 0), ShapeError);
  BOOST_TEST((std::chrono::steady_clock::now() - begin < std::chrono::seconds(60)));
}

BOOST_AUTO_TEST_CASE(a_tensor_beyond_memory_is_an_error_that_names_the_shape) {
  BOOST_TEST(contains(message_of<MemoryError>([] { Tensor::zeros({Index(1) << 44}); }), "(17592186044416,)"));
}

BOOST_AUTO_TEST_CASE(options_that_make_no_sense) {
  const Tensor x = Tensor::from({-1, 2, 4});
  const Scalar s = 2;
  BOOST_CHECK_THROW(hardtanh(x, 1, -1), ValueError);
  BOOST_CHECK_THROW(hardtanh(s, 1, -1), ValueError);
  BOOST_CHECK_THROW(softshrink(x, -0.5), ValueError);
  BOOST_CHECK_THROW(softshrink(s, kNaN), ValueError);
  BOOST_CHECK_THROW(softplus(x, 0), ValueError);
  BOOST_CHECK_THROW(softplus(s, kNaN), ValueError);
  BOOST_CHECK_THROW(clamp(x, kNaN, 1), ValueError);
  BOOST_CHECK_THROW(leaky_relu(x, kNaN), ValueError);
  BOOST_CHECK_THROW(elu(x, std::numeric_limits<double>::infinity()), ValueError);
  BOOST_CHECK_THROW(dropout(x, 2), ValueError);
  BOOST_CHECK_THROW(norm(x, 0.5), ValueError);
  BOOST_CHECK_THROW(nn::huber(x, x, {.delta = 0}), ValueError);
  BOOST_CHECK_THROW(nn::smooth_l1(x, x, {.beta = kNaN}), ValueError);
  BOOST_CHECK_THROW(cross_entropy(Tensor::ones({1, 2}), Tensor::ones({1, 2}), {.label_smoothing = 2}), ValueError);
  BOOST_TEST(message_of<ValueError>([&] { softplus(x, 0); }) == "softplus: beta must be finite and not 0");
}
