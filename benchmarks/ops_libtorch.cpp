// The libtorch side of the benchmark of operations. Its only argument is the number of threads.
#include <torch/torch.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>

#include "benchmarks/operations.h"
#include "benchmarks/train_server.h"

namespace wengert::benchmark {
namespace {

using torch::Tensor;
using Operands = const std::vector<Tensor>&;
using Function = std::function<Tensor(Operands)>;
namespace F = torch::nn::functional;

void add_functions(std::map<std::string, Function>& f) {
#define WENGERT_SAME_NAME(name) f[#name] = [](Operands x) { return torch::name(x[0]); };
  WENGERT_SAME_NAME(exp)
  WENGERT_SAME_NAME(exp2)
  WENGERT_SAME_NAME(expm1)
  WENGERT_SAME_NAME(log)
  WENGERT_SAME_NAME(log2)
  WENGERT_SAME_NAME(log10)
  WENGERT_SAME_NAME(log1p)
  WENGERT_SAME_NAME(sqrt)
  WENGERT_SAME_NAME(rsqrt)
  WENGERT_SAME_NAME(reciprocal)
  WENGERT_SAME_NAME(square)
  WENGERT_SAME_NAME(abs)
  WENGERT_SAME_NAME(negative)
  WENGERT_SAME_NAME(sign)
  WENGERT_SAME_NAME(floor)
  WENGERT_SAME_NAME(ceil)
  WENGERT_SAME_NAME(round)
  WENGERT_SAME_NAME(sin)
  WENGERT_SAME_NAME(cos)
  WENGERT_SAME_NAME(tan)
  WENGERT_SAME_NAME(asin)
  WENGERT_SAME_NAME(acos)
  WENGERT_SAME_NAME(atan)
  WENGERT_SAME_NAME(sinh)
  WENGERT_SAME_NAME(cosh)
  WENGERT_SAME_NAME(tanh)
  WENGERT_SAME_NAME(asinh)
  WENGERT_SAME_NAME(acosh)
  WENGERT_SAME_NAME(atanh)
  WENGERT_SAME_NAME(sigmoid)
  WENGERT_SAME_NAME(logit)
  WENGERT_SAME_NAME(relu)
  WENGERT_SAME_NAME(selu)
  WENGERT_SAME_NAME(erf)
  WENGERT_SAME_NAME(erfc)
  WENGERT_SAME_NAME(digamma)
  WENGERT_SAME_NAME(lgamma)
#undef WENGERT_SAME_NAME
  f["step"] = [](Operands x) { return torch::heaviside(x[0].detach(), torch::ones({}, x[0].dtype())) + 0 * x[0]; };
  f["log_sigmoid"] = [](Operands x) { return torch::log_sigmoid(x[0]); };
  f["softsign"] = [](Operands x) { return F::softsign(x[0]); };
  f["hardsigmoid"] = [](Operands x) { return torch::hardsigmoid(x[0]); };
  f["relu6"] = [](Operands x) { return F::relu6(x[0]); };
  f["gelu"] = [](Operands x) { return torch::gelu(x[0]); };
  f["gelu_tanh"] = [](Operands x) { return torch::gelu(x[0], "tanh"); };
  f["silu"] = [](Operands x) { return torch::silu(x[0]); };
  f["hardswish"] = [](Operands x) { return torch::hardswish(x[0]); };
  f["mish"] = [](Operands x) { return torch::mish(x[0]); };
  f["leaky_relu"] = [](Operands x) { return torch::leaky_relu(x[0]); };
  f["elu"] = [](Operands x) { return torch::elu(x[0]); };
  f["softplus"] = [](Operands x) { return torch::softplus(x[0]); };
  f["softshrink"] = [](Operands x) { return torch::softshrink(x[0]); };
  f["polygamma"] = [](Operands x) { return torch::polygamma(1, x[0]); };
  f["clamp"] = [](Operands x) { return torch::clamp(x[0], -0.5, 0.5); };
  f["hardtanh"] = [](Operands x) { return torch::hardtanh(x[0]); };
  f["+"] = [](Operands x) { return x[0] + x[1]; };
  f["-"] = [](Operands x) { return x[0] - x[1]; };
  f["*"] = [](Operands x) { return x[0] * x[1]; };
  f["/"] = [](Operands x) { return x[0] / x[1]; };
  f["pow"] = [](Operands x) { return torch::pow(x[0], x[1]); };
  f["pow.cube"] = [](Operands x) { return torch::pow(x[0], 3); };
  f["pow.number"] = [](Operands x) { return torch::pow(x[0], -2.5); };
  f["maximum"] = [](Operands x) { return torch::maximum(x[0], x[1]); };
  f["minimum"] = [](Operands x) { return torch::minimum(x[0], x[1]); };
  f["atan2"] = [](Operands x) { return torch::atan2(x[0], x[1]); };
  f["hypot"] = [](Operands x) { return torch::hypot(x[0], x[1]); };
  f["logaddexp"] = [](Operands x) { return torch::logaddexp(x[0], x[1]); };
  f["xlogy"] = [](Operands x) { return torch::xlogy(x[0], x[1]); };
  for (const char* variant : {"*.row", "*.column", "*.number"}) f[variant] = f["*"];
  f["*.transposed"] = [](Operands x) { return x[0] * x[1].t(); };
  // Ours are always dense and row-major; libtorch's result would keep the strides.
  f["exp.transposed"] = [](Operands x) { return torch::exp(x[0].t()); };
}

void add_logic(std::map<std::string, Function>& f) {
  f["where"] = [](Operands x) { return torch::where(x[0], x[1], x[2]); };
  f["<"] = [](Operands x) { return x[0] < x[1]; };
  f["<="] = [](Operands x) { return x[0] <= x[1]; };
  f[">"] = [](Operands x) { return x[0] > x[1]; };
  f[">="] = [](Operands x) { return x[0] >= x[1]; };
  f["=="] = [](Operands x) { return x[0] == x[1]; };
  f["!="] = [](Operands x) { return x[0] != x[1]; };
  f["logical_and"] = f["&&"] = f["&"] = [](Operands x) { return torch::logical_and(x[0], x[1]); };
  f["logical_or"] = f["||"] = f["|"] = [](Operands x) { return torch::logical_or(x[0], x[1]); };
  f["logical_xor"] = f["^"] = [](Operands x) { return torch::logical_xor(x[0], x[1]); };
  f["logical_not"] = f["!"] = [](Operands x) { return torch::logical_not(x[0]); };
  f["isnan"] = [](Operands x) { return torch::isnan(x[0]); };
  f["isinf"] = [](Operands x) { return torch::isinf(x[0]); };
  f["isfinite"] = [](Operands x) { return torch::isfinite(x[0]); };
}

void add_linear_algebra(std::map<std::string, Function>& f) {
  for (const char* name : {"matmul", "matmul.small", "matmul.vector", "matmul.row", "matmul.batch"})
    f[name] = [](Operands x) { return torch::matmul(x[0], x[1]); };
  f["linear"] = [](Operands x) { return torch::linear(x[0], x[1], x[2]); };
  f["linear_relu"] = [](Operands x) { return torch::relu(torch::linear(x[0], x[1], x[2])); };
  f["dot"] = [](Operands x) { return torch::dot(x[0], x[1]); };
  f["outer"] = [](Operands x) { return torch::outer(x[0], x[1]); };
  f["bmm"] = f["bmm.small"] = [](Operands x) { return torch::bmm(x[0], x[1]); };
  f["addmm"] = [](Operands x) { return torch::addmm(x[0], x[1], x[2]); };
  f["einsum"] = [](Operands x) { return torch::einsum("bij,bjk->bik", x); };
  f["inverse"] = [](Operands x) { return torch::inverse(x[0]); };
  f["det"] = [](Operands x) { return torch::det(x[0] / 64.0); };
  f["slogdet"] = [](Operands x) { return std::get<1>(torch::slogdet(x[0])); };
  f["logdet"] = [](Operands x) { return torch::logdet(x[0]); };
  f["cholesky"] = [](Operands x) { return torch::linalg::cholesky(x[0]); };
  f["solve"] = [](Operands x) { return torch::linalg_solve(x[0], x[1]); };
  f["solve_triangular"] = [](Operands x) { return torch::linalg_solve_triangular(x[0], x[1], false); };
}

void add_reductions(std::map<std::string, Function>& f) {
#define WENGERT_REDUCTION(name)                                       \
  f[#name] = [](Operands x) { return torch::name(x[0]); };            \
  f[#name ".dim0"] = [](Operands x) { return torch::name(x[0], 0); }; \
  f[#name ".dim1"] = [](Operands x) { return torch::name(x[0], 1); };
  WENGERT_REDUCTION(sum)
  WENGERT_REDUCTION(mean)
  WENGERT_REDUCTION(prod)
  WENGERT_REDUCTION(argmax)
  WENGERT_REDUCTION(argmin)
  WENGERT_REDUCTION(norm)
#undef WENGERT_REDUCTION
  f["logsumexp"] = [](Operands x) { return torch::logsumexp(x[0], std::vector<std::int64_t>{0, 1}); };
  f["logsumexp.dim0"] = [](Operands x) { return torch::logsumexp(x[0], 0); };
  f["logsumexp.dim1"] = [](Operands x) { return torch::logsumexp(x[0], 1); };
  f["var"] = [](Operands x) { return torch::var(x[0]); };
  f["var.dim0"] = [](Operands x) { return torch::var(x[0], at::IntArrayRef{0}); };
  f["var.dim1"] = [](Operands x) { return torch::var(x[0], at::IntArrayRef{1}); };
  f["stddev"] = [](Operands x) { return torch::std(x[0]); };
  f["stddev.dim0"] = [](Operands x) { return torch::std(x[0], at::IntArrayRef{0}); };
  f["stddev.dim1"] = [](Operands x) { return torch::std(x[0], at::IntArrayRef{1}); };
  f["norm"] = [](Operands x) { return torch::norm(x[0]); };
  f["norm.dim0"] = [](Operands x) { return torch::norm(x[0], 2, 0); };
  f["norm.dim1"] = [](Operands x) { return torch::norm(x[0], 2, 1); };
  f["max"] = [](Operands x) { return torch::max(x[0]); };
  f["max.dim0"] = [](Operands x) { return torch::amax(x[0], 0); };
  f["max.dim1"] = [](Operands x) { return torch::amax(x[0], 1); };
  f["min"] = [](Operands x) { return torch::min(x[0]); };
  f["min.dim0"] = [](Operands x) { return torch::amin(x[0], 0); };
  f["min.dim1"] = [](Operands x) { return torch::amin(x[0], 1); };
  f["max_dim.dim0"] = [](Operands x) { return std::get<0>(torch::max(x[0], 0)); };
  f["max_dim.dim1"] = [](Operands x) { return std::get<0>(torch::max(x[0], 1)); };
  f["min_dim.dim0"] = [](Operands x) { return std::get<0>(torch::min(x[0], 0)); };
  f["min_dim.dim1"] = [](Operands x) { return std::get<0>(torch::min(x[0], 1)); };
  f["sum.middle"] = f["sum.dim1"];
  f["any"] = [](Operands x) { return torch::any(x[0], 1); };
  f["all"] = [](Operands x) { return torch::all(x[0], 1); };
  f["cumsum.dim0"] = [](Operands x) { return torch::cumsum(x[0], 0); };
  f["cumsum.dim1"] = [](Operands x) { return torch::cumsum(x[0], 1); };
  f["cumprod.dim0"] = [](Operands x) { return torch::cumprod(x[0], 0); };
  f["cumprod.dim1"] = [](Operands x) { return torch::cumprod(x[0], 1); };
  f["logcumsumexp.dim0"] = [](Operands x) { return torch::logcumsumexp(x[0], 0); };
  f["logcumsumexp.dim1"] = [](Operands x) { return torch::logcumsumexp(x[0], 1); };
  f["sum_to"] = [](Operands x) { return x[0].sum_to_size({1, 1024}); };
}

void add_shapes(std::map<std::string, Function>& f) {
  f["reshape"] = [](Operands x) { return torch::reshape(x[0], {512, 2048}); };
  f["flatten"] = [](Operands x) { return torch::flatten(x[0]); };
  f["squeeze"] = [](Operands x) { return torch::squeeze(x[0]); };
  f["unsqueeze"] = [](Operands x) { return torch::unsqueeze(x[0], 0); };
  f["slice"] = [](Operands x) { return torch::slice(x[0], 1, 0, 1024, 2).contiguous(); };
  f["narrow"] = [](Operands x) { return torch::narrow(x[0], 1, 256, 512).contiguous(); };
  f["split"] = [](Operands x) { return torch::split(x[0], 512, 1)[1].contiguous(); };
  f["chunk"] = [](Operands x) { return torch::chunk(x[0], 2, 1)[1].contiguous(); };
  f["select"] = [](Operands x) { return torch::select(x[0], 1, 512).contiguous(); };
  f["flip"] = [](Operands x) { return torch::flip(x[0], {1}); };
  f["roll"] = [](Operands x) { return torch::roll(x[0], {100}, {1}); };
  f["roll.one"] = [](Operands x) { return torch::roll(x[0], {1}, {1}); };
  f["repeat"] = [](Operands x) { return x[0].repeat({2, 1}); };
  f["tril"] = [](Operands x) { return torch::tril(x[0]); };
  f["triu"] = [](Operands x) { return torch::triu(x[0]); };
  f["diagonal"] = [](Operands x) { return torch::diagonal(x[0]).contiguous(); };
  f["trace"] = [](Operands x) { return torch::trace(x[0]); };
  f["sort"] = [](Operands x) { return std::get<0>(torch::sort(x[0], true, 1, false)); };
  f["sort.dim0"] = [](Operands x) { return std::get<0>(torch::sort(x[0], true, 0, false)); };
  f["topk"] = [](Operands x) { return std::get<0>(torch::topk(x[0], 16, 1)); };
  f["transpose"] = [](Operands x) { return x[0].t().contiguous(); };
  f["permute"] = [](Operands x) { return x[0].permute({2, 0, 1}).contiguous(); };
  f["expand"] = [](Operands x) { return x[0].expand({1024, 1024}).contiguous(); };
  f["pad"] = [](Operands x) { return torch::constant_pad_nd(x[0], {1, 1, 1, 1}, 0); };
  f["pad.reflect"] = [](Operands x) { return torch::reflection_pad1d(x[0], {1, 1}); };
  f["concat"] = [](Operands x) { return torch::cat(x, 0); };
  f["concat.dim1"] = [](Operands x) { return torch::cat(x, 1); };
  f["stack"] = [](Operands x) { return torch::stack(x, 1); };
}

void add_positions(std::map<std::string, Function>& f) {
  f["index_select"] = [](Operands x) { return torch::index_select(x[0], 0, x[1]); };
  f["index_select.dim1"] = [](Operands x) { return torch::index_select(x[0], 1, x[1]); };
  f["gather"] = [](Operands x) { return torch::gather(x[0], 1, x[1]); };
  f["index_add"] = [](Operands x) { return torch::index_add(x[0], 0, x[1], x[2]); };
  f["scatter_add"] = [](Operands x) { return torch::scatter_add(x[0], 1, x[1], x[2]); };
  f["scatter"] = [](Operands x) { return torch::scatter(x[0], 1, x[1].expand({1024, 1024}), x[2]); };
  f["masked_fill"] = [](Operands x) { return torch::masked_fill(x[0], x[1], 2); };
  f["masked_scatter"] = [](Operands x) {
    static const std::int64_t count = torch::nonzero(x[1]).size(0);
    return torch::masked_scatter(x[0], x[1], x[2].reshape({-1}).slice(0, 0, count));
  };
  f["masked_select"] = [](Operands x) { return torch::masked_select(x[0], x[1]); };
  f["nonzero"] = [](Operands x) { return torch::nonzero(x[0]); };
  f["slice_update"] = [](Operands x) { return torch::slice_scatter(x[0], x[1], 0, 256, 768); };
  f["index_put"] = [](Operands x) { return torch::index_put(x[0], {x[1]}, x[2]); };
}

void add_images(std::map<std::string, Function>& f) {
  f["conv1d"] = [](Operands x) { return torch::conv1d(x[0], x[1], x[2], 1, 2); };
  f["conv2d"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2], 1, 1); };
  f["conv2d.stride2"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2], 2, 1); };
  f["conv2d.dilated"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2], 1, 2, 2); };
  f["conv2d.grouped"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2], 1, 1, 1, 2); };
  f["conv2d.depthwise"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2], 1, 1, 1, 16); };
  f["conv2d.depthwise.stride2"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2], 2, 1, 1, 16); };
  f["conv2d.first"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2], 2, 3); };
  f["conv2d.deep"] = f["conv2d.single"] = f["conv2d"];
  f["conv2d.point"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2]); };
  f["conv2d.point.stride2"] = [](Operands x) { return torch::conv2d(x[0], x[1], x[2], 2); };
  f["conv2d_relu"] = [](Operands x) { return torch::relu(torch::conv2d(x[0], x[1], x[2], 1, 1)); };
  f["conv_transpose2d"] = [](Operands x) { return torch::conv_transpose2d(x[0], x[1], x[2], 2, 1); };
  f["max_pool2d"] = [](Operands x) { return torch::max_pool2d(x[0], 2); };
  f["max_pool2d_with_indices"] = [](Operands x) { return std::get<0>(torch::max_pool2d_with_indices(x[0], 3, 2, 1)); };
  f["avg_pool2d"] = [](Operands x) { return torch::avg_pool2d(x[0], 2); };
  f["adaptive_avg_pool2d"] = [](Operands x) { return torch::adaptive_avg_pool2d(x[0], {7, 7}); };
  f["max_pool1d"] = [](Operands x) { return torch::max_pool1d(x[0], 2); };
  f["avg_pool1d"] = [](Operands x) { return torch::avg_pool1d(x[0], 2); };
}

Tensor multihead_attention(Operands x) {
  const auto options = F::MultiheadAttentionForwardFuncOptions(64, 4, x[3], x[4], {}, {}, false, 0, x[5], x[6]);
  return std::get<0>(F::multi_head_attention_forward(x[0], x[1], x[2], options));
}

void add_networks(std::map<std::string, Function>& f) {
  f["softmax"] = [](Operands x) { return torch::softmax(x[0], 1); };
  f["softmax.dim0"] = [](Operands x) { return torch::softmax(x[0], 0); };
  f["log_softmax"] = [](Operands x) { return torch::log_softmax(x[0], 1); };
  f["log_softmax.dim0"] = [](Operands x) { return torch::log_softmax(x[0], 0); };
  f["one_hot"] = [](Operands x) { return torch::one_hot(x[0], 1024); };
  f["cross_entropy"] = [](Operands x) { return F::cross_entropy(x[0], x[1]); };
  f["nll"] = [](Operands x) { return F::nll_loss(x[0], x[1]); };
  f["layer_norm"] = [](Operands x) { return torch::layer_norm(x[0], {1024}, x[1], x[2]); };
  f["group_norm"] = [](Operands x) { return torch::group_norm(x[0], 8, x[1], x[2]); };
  f["instance_norm"] = [](Operands x) { return torch::instance_norm(x[0], x[1], x[2], {}, {}, true, 0.1, 1e-5, false); };
  f["rms_norm"] = [](Operands x) { return x[0] * torch::rsqrt(x[0].square().mean(-1, true) + 1e-5) * x[1]; };
  f["batch_norm"] = [](Operands x) { return torch::batch_norm(x[0], x[1], x[2], {}, {}, true, 0.1, 1e-5, false); };
  f["batch_norm.evaluation"] = [](Operands x) { return torch::batch_norm(x[0], x[1], x[2], x[3], x[4], false, 0.1, 1e-5, false); };
  f["dropout"] = [](Operands x) { return torch::dropout(x[0], 0.5, true); };
  f["prelu"] = [](Operands x) { return torch::prelu(x[0], x[1]); };
  f["embedding"] = [](Operands x) { return torch::embedding(x[1], x[0]); };
  f["scaled_dot_product_attention"] = [](Operands x) {
    return torch::bmm(torch::softmax(torch::bmm(x[0], x[1].transpose(1, 2)) / std::sqrt(32.0), 2), x[2]);
  };
  f["multihead_attention"] = multihead_attention;
  f["rnn_cell"] = [](Operands x) { return torch::rnn_tanh_cell(x[0], x[1], x[2], x[3], x[4], x[5]); };
  f["gru_cell"] = [](Operands x) { return torch::gru_cell(x[0], x[1], x[2], x[3], x[4], x[5]); };
  f["lstm_cell"] = [](Operands x) { return std::get<0>(torch::lstm_cell(x[0], {x[1], x[2]}, x[3], x[4], x[5], x[6])); };
  const auto state = [](Operands x) { return torch::zeros({1, 32, 64}, x[0].dtype()); };
  const auto weights = [](Operands x) { return std::vector<Tensor>(x.begin() + 1, x.end()); };
  f["rnn"] = [=](Operands x) { return std::get<0>(torch::rnn_tanh(x[0], state(x), weights(x), true, 1, 0, true, false, false)); };
  f["gru"] = [=](Operands x) { return std::get<0>(torch::gru(x[0], state(x), weights(x), true, 1, 0, true, false, false)); };
  f["lstm"] = [=](Operands x) { return std::get<0>(torch::lstm(x[0], {state(x), state(x)}, weights(x), true, 1, 0, true, false, false)); };
}

std::map<std::string, Function> functions() {
  std::map<std::string, Function> f;
  add_functions(f);
  add_logic(f);
  add_linear_algebra(f);
  add_reductions(f);
  add_shapes(f);
  add_positions(f);
  add_images(f);
  add_networks(f);
  return f;
}

template <class T> Tensor tensor(std::vector<T> values, const Sizes& sizes) {
  return torch::from_blob(values.data(), sizes, c10::CppTypeToScalarType<T>::value).clone();
}

Tensor make(const OperandWork& operand, std::uint64_t seed, torch::Dtype dtype) {
  using Kind = OperandWork::Kind;
  if (operand.kind == Kind::indices || operand.kind == Kind::permutation)
    return tensor(elements_of<std::int64_t>(operand, seed), operand.sizes);
  const Tensor numbers = tensor(elements_of<double>(operand, seed), operand.sizes);
  return numbers.to(operand.kind == Kind::booleans ? torch::kBool : dtype);
}

// An element from the middle, which the sides compare; read in place.
double probe(const Tensor& y) {
  std::int64_t position = y.numel() / 2, offset = 0;
  for (std::int64_t d = y.dim(); d-- > 0; position /= y.size(d)) offset += position % y.size(d) * y.stride(d);
  switch (y.scalar_type()) {
    case torch::kFloat:
      return y.data_ptr<float>()[offset];
    case torch::kDouble:
      return y.data_ptr<double>()[offset];
    case torch::kBool:
      return y.data_ptr<bool>()[offset] ? 1 : 0;
    default:
      return static_cast<double>(y.data_ptr<std::int64_t>()[offset]);
  }
}

Step forward(const Function& f, const std::vector<Tensor>& x) {
  return [=] {
    const torch::NoGradGuard pause;
    return probe(f(x));
  };
}

Step backward(const Function& f, const std::vector<Tensor>& x, const OperationWork& work) {
  std::vector<Tensor> sources;
  for (std::size_t k = 0; k < x.size(); ++k)
    if (work.operands[k].is_differentiated()) sources.push_back(x[k].requires_grad_());
  return [=, seed = torch::ones_like(f(x).detach())] {
    const Tensor y = f(x);
    double sum = probe(y.detach());
    for (const Tensor& x_bar : torch::autograd::grad({y}, sources, {seed})) sum += probe(x_bar);
    return sum;
  };
}

std::vector<ServedRow> rows() {
  const auto list = std::make_shared<std::map<std::string, Function>>(functions());
  std::vector<ServedRow> served;
  for (const OperationWork& work : operations())
    for (const torch::Dtype dtype : {torch::kFloat, torch::kDouble})
      for (const bool with_backward : {false, true}) {
        if (with_backward && !work.differentiable) continue;
        served.push_back({row_name(work, dtype == torch::kFloat ? "float32" : "float64", with_backward), 0, [=] {
                            const auto f = list->find(work.function());
                            if (f == list->end()) throw std::logic_error(work.name + " is missing in ops_libtorch.cpp");
                            std::vector<Tensor> x;
                            for (const OperandWork& operand : work.operands) x.push_back(make(operand, x.size(), dtype));
                            return with_backward ? backward(f->second, x, work) : forward(f->second, x);
                          }});
      }
  return served;
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) {
  at::set_num_threads(argc > 1 ? std::atoi(argv[1]) : 1);
  return wengert::benchmark::serve(wengert::benchmark::rows());
}
