#include "benchmarks/operations.h"

#include <initializer_list>

#include "autodiff/functions/functions.h"

namespace wengert::benchmark {
namespace {

using Kind = OperandWork::Kind;

const Sizes kMatrix{1024, 1024};

OperandWork numbers(Sizes sizes, double low = -1, double high = 1) { return {std::move(sizes), low, high, Kind::numbers}; }
OperandWork constants(Sizes sizes, double low = -1, double high = 1) { return {std::move(sizes), low, high, Kind::constants}; }
OperandWork indices(Sizes sizes, std::int64_t below) { return {std::move(sizes), 0, static_cast<double>(below), Kind::indices}; }
OperandWork permutation(std::int64_t n) { return {{n}, 0, 0, Kind::permutation}; }
OperandWork booleans(Sizes sizes) { return {std::move(sizes), 0, 0, Kind::booleans}; }
OperandWork positive_definite(Sizes sizes) { return {std::move(sizes), -1, 1, Kind::positive_definite}; }
const OperandWork kNumbers = numbers(kMatrix), kPositive = numbers(kMatrix, 0.5, 1.5);

// The functions of functions.h, where they are smooth. (Of those that do not use the SIMD units on either side, fewer elements.)
void add_functions(std::vector<OperationWork>& list) {
  const auto add = [&](const std::string& name, fn::Interval at) {
    const bool slow = name == "polygamma" || name == "digamma" || name == "lgamma";
    list.push_back({name, {numbers(slow ? Sizes{64, 64} : kMatrix, at.low, at.high)}});
  };
#define WENGERT_FUNCTION(F, name, ...) add(#name, fn::F::smooth);
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  const auto add_binary = [&](const std::string& name, fn::Interval at) {
    list.push_back({name, {numbers(kMatrix, at.low, at.high), numbers(kMatrix, at.low, at.high)}});
  };
#define WENGERT_FUNCTION(F, name) add_binary(#name, fn::F::smooth);
  WENGERT_ARITHMETIC(WENGERT_FUNCTION)
  WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  list.push_back({"*.row", {kNumbers, numbers({1024})}});
  list.push_back({"*.column", {kNumbers, numbers({1024, 1})}});
  list.push_back({"*.number", {kNumbers, numbers({})}});
  list.push_back({"*.transposed", {kNumbers, kNumbers}});
  list.push_back({"exp.transposed", {kNumbers}});
  list.push_back({"pow.cube", {kNumbers}});
  list.push_back({"pow.number", {kPositive}});
}

void add_logic(std::vector<OperationWork>& list) {
  list.push_back({"where", {booleans(kMatrix), kNumbers, kNumbers}});
  for (const char* name : {"<", "<=", ">", ">=", "==", "!="}) list.push_back({name, {kNumbers, kNumbers}, false});
  for (const char* name : {"logical_and", "logical_or", "logical_xor", "&&", "||", "&", "|", "^"})
    list.push_back({name, {booleans(kMatrix), booleans(kMatrix)}, false});
  for (const char* name : {"logical_not", "!"}) list.push_back({name, {booleans(kMatrix)}, false});
  for (const char* name : {"isnan", "isinf", "isfinite"}) list.push_back({name, {kNumbers}, false});
}

void add_linear_algebra(std::vector<OperationWork>& list) {
  const OperandWork square = numbers({256, 256}), system = positive_definite({64, 64});
  list.push_back({"matmul", {square, square}});
  list.push_back({"matmul.small", {numbers({16, 32}), numbers({32, 32})}});
  list.push_back({"matmul.vector", {kNumbers, numbers({1024})}});
  list.push_back({"matmul.row", {numbers({1, 2048}), numbers({2048, 2048})}});
  list.push_back({"matmul.batch", {numbers({64, 32, 32}), numbers({64, 32, 32})}});
  list.push_back({"linear", {numbers({64, 256}), square, numbers({256})}});
  list.push_back({"linear_relu", {numbers({64, 256}), square, numbers({256})}});
  list.push_back({"dot", {numbers({1 << 16}), numbers({1 << 16})}});
  list.push_back({"outer", {numbers({1024}), numbers({1024})}});
  list.push_back({"bmm", {numbers({64, 32, 32}), numbers({64, 32, 32})}});
  list.push_back({"bmm.small", {numbers({4096, 4, 4}), numbers({4096, 4, 4})}});
  list.push_back({"addmm", {numbers({256}), square, square}});
  list.push_back({"einsum", {numbers({16, 64, 32}), numbers({16, 32, 64})}});
  for (const char* name : {"inverse", "det", "slogdet", "logdet", "cholesky"}) list.push_back({name, {system}});
  for (const char* name : {"solve", "solve_triangular"}) list.push_back({name, {system, numbers({64, 64})}});
}

void add_reductions(std::vector<OperationWork>& list) {
  for (const std::string name : {"sum", "mean", "prod", "logsumexp", "var", "stddev", "norm", "max", "min", "max_dim", "min_dim"}) {
    const OperandWork x = name == "prod" ? numbers(kMatrix, 0.99, 1.01) : kNumbers;
    list.push_back({name + ".dim0", {x}});
    list.push_back({name + ".dim1", {x}});
    if (!name.ends_with("_dim")) list.push_back({name, {x}});
  }
  list.push_back({"sum.middle", {numbers({64, 64, 256})}});
  for (const char* name : {"argmax", "argmax.dim0", "argmax.dim1", "argmin", "argmin.dim0", "argmin.dim1"})
    list.push_back({name, {kNumbers}, false});
  for (const char* name : {"any", "all"}) list.push_back({name, {booleans(kMatrix)}, false});
  for (const std::string name : {"cumsum", "cumprod", "logcumsumexp"}) {
    const OperandWork x = name == "cumprod" ? numbers(kMatrix, 0.99, 1.01) : kNumbers;
    list.push_back({name + ".dim0", {x}});
    list.push_back({name + ".dim1", {x}});
  }
  list.push_back({"sum_to", {kNumbers}});
}

void add_shapes(std::vector<OperationWork>& list) {
  for (const char* name :
       {"reshape", "flatten", "squeeze", "unsqueeze", "slice", "narrow", "split",     "chunk", "select",    "flip", "roll",
        "repeat",  "tril",    "triu",    "diagonal",  "trace", "sort",   "sort.dim0", "topk",  "transpose", "pad",  "pad.reflect"})
    list.push_back({name, {kNumbers}});
  list.push_back({"roll.one", {kNumbers}});
  list.push_back({"permute", {numbers({64, 32, 512})}});
  list.push_back({"expand", {numbers({1, 1024})}});
  for (const char* name : {"concat", "concat.dim1", "stack"}) list.push_back({name, {kNumbers, kNumbers}});
}

// Shapes for which a loop over rows or over columns alone is short, or ends in the middle of a vector.
void add_uneven_matrices(std::vector<OperationWork>& list) {
  for (const std::string name : {"sum.dim0", "sum.dim1", "mean.dim1", "max.dim0", "max.dim1", "var.dim1", "norm.dim1", "logsumexp.dim1",
                                 "softmax", "softmax.dim0", "log_softmax", "cumsum.dim0", "flip", "roll.one", "transpose"}) {
    list.push_back({name + std::string(kNarrow), {numbers({1 << 18, 3})}});
    list.push_back({name + std::string(kOdd), {numbers({8000, 125})}});
  }
  list.push_back({"concat.dim1" + std::string(kNarrow), {numbers({1 << 18, 3}), numbers({1 << 18, 3})}});
  list.push_back({"concat.dim1" + std::string(kOdd), {numbers({8000, 125}), numbers({8000, 125})}});
}

void add_positions(std::vector<OperationWork>& list) {
  list.push_back({"index_select", {kNumbers, indices({1024}, 1024)}});
  list.push_back({"index_select.dim1", {kNumbers, indices({1024}, 1024)}});
  list.push_back({"gather", {kNumbers, indices(kMatrix, 1024)}});
  list.push_back({"index_add", {kNumbers, indices({1024}, 1024), kNumbers}});
  list.push_back({"scatter_add", {kNumbers, indices(kMatrix, 1024), kNumbers}});
  list.push_back({"scatter", {kNumbers, permutation(1024), kNumbers}});
  list.push_back({"masked_fill", {kNumbers, booleans(kMatrix)}});
  list.push_back({"masked_scatter", {kNumbers, booleans(kMatrix), kNumbers}});
  list.push_back({"masked_select", {kNumbers, booleans(kMatrix)}});
  list.push_back({"nonzero", {booleans(kMatrix)}, false});
  list.push_back({"slice_update", {kNumbers, numbers({512, 1024})}});
  list.push_back({"index_put", {kNumbers, permutation(1024), kNumbers}});
}

void add_images(std::vector<OperationWork>& list) {
  const OperandWork image = numbers({8, 16, 32, 32}), pixels = numbers({16, 16, 64, 64}), sequence = numbers({32, 32, 1024});
  list.push_back({"conv1d", {numbers({8, 32, 256}), numbers({32, 32, 5}), numbers({32})}});
  list.push_back({"conv2d", {image, numbers({32, 16, 3, 3}), numbers({32})}});
  list.push_back({"conv2d.stride2", {image, numbers({32, 16, 3, 3}), numbers({32})}});
  list.push_back({"conv2d.dilated", {image, numbers({32, 16, 3, 3}), numbers({32})}});
  list.push_back({"conv2d.grouped", {image, numbers({32, 8, 3, 3}), numbers({32})}});
  list.push_back({"conv2d.depthwise", {image, numbers({16, 1, 3, 3}), numbers({16})}});
  list.push_back({"conv2d.depthwise.stride2", {image, numbers({16, 1, 3, 3}), numbers({16})}});
  // Layers of residual networks: the first, one of the last, one of a single image, and the short cuts.
  list.push_back({"conv2d.first", {numbers({1, 3, 224, 224}), numbers({64, 3, 7, 7}), numbers({64})}});
  list.push_back({"conv2d.deep", {numbers({4, 128, 7, 7}), numbers({128, 128, 3, 3}), numbers({128})}});
  list.push_back({"conv2d.single", {numbers({1, 64, 28, 28}), numbers({64, 64, 3, 3}), numbers({64})}});
  const OperandWork many_channels = numbers({8, 64, 14, 14}), points = numbers({128, 64, 1, 1});
  list.push_back({"conv2d.point", {many_channels, points, numbers({128})}});
  list.push_back({"conv2d.point.stride2", {many_channels, points, numbers({128})}});
  list.push_back({"conv2d_relu", {image, numbers({32, 16, 3, 3}), numbers({32})}});
  list.push_back({"conv_transpose2d", {image, numbers({16, 32, 3, 3}), numbers({32})}});
  for (const char* name : {"max_pool2d", "max_pool2d_with_indices", "avg_pool2d", "adaptive_avg_pool2d"}) list.push_back({name, {pixels}});
  for (const char* name : {"max_pool1d", "avg_pool1d"}) list.push_back({name, {sequence}});
}

void add_networks(std::vector<OperationWork>& list) {
  for (const char* name : {"softmax", "softmax.dim0", "log_softmax", "log_softmax.dim0"}) list.push_back({name, {kNumbers}});
  list.push_back({"one_hot", {indices({1024}, 1024)}, false});
  list.push_back({"cross_entropy", {kNumbers, indices({1024}, 1024)}});
  list.push_back({"nll", {kNumbers, indices({1024}, 1024)}});
  const OperandWork row = numbers({1024}), image = numbers({32, 32, 32, 32}), channel = numbers({32});
  list.push_back({"layer_norm", {kNumbers, row, row}});
  list.push_back({"group_norm", {image, channel, channel}});
  list.push_back({"instance_norm", {image, channel, channel}});
  list.push_back({"rms_norm", {kNumbers, row}});
  list.push_back({"batch_norm", {image, channel, channel}});
  list.push_back({"batch_norm.evaluation", {image, channel, channel, constants({32}), constants({32}, 0.5, 1.5)}});
  list.push_back({"dropout", {kNumbers}, true, true});
  list.push_back({"prelu", {image, channel}});
  list.push_back({"embedding", {indices({1024}, 1024), kNumbers}});
  list.push_back({"scaled_dot_product_attention", {numbers({16, 64, 32}), numbers({16, 64, 32}), numbers({16, 64, 32})}});
  const OperandWork e = numbers({64, 8, 64}, -0.2, 0.2);
  list.push_back(
      {"multihead_attention", {e, e, e, numbers({192, 64}, -0.2, 0.2), numbers({192}), numbers({64, 64}, -0.2, 0.2), numbers({64})}});
  const auto recurrent = [](std::int64_t gates) {
    return std::vector{numbers({gates * 64, 64}, -0.1, 0.1), numbers({gates * 64, 64}, -0.1, 0.1), numbers({gates * 64}, -0.1, 0.1),
                       numbers({gates * 64}, -0.1, 0.1)};
  };
  const auto add = [&](const char* name, std::int64_t gates, std::vector<OperandWork> operands) {
    for (const OperandWork& w : recurrent(gates)) operands.push_back(w);
    list.push_back({name, std::move(operands)});
  };
  const OperandWork state = numbers({32, 64}), x = numbers({32, 32, 64});
  add("rnn_cell", 1, {state, state});
  add("gru_cell", 3, {state, state});
  add("lstm_cell", 4, {state, state, state});
  add("rnn", 1, {x});
  add("gru", 3, {x});
  add("lstm", 4, {x});
}

}  // namespace

std::vector<OperationWork> operations() {
  std::vector<OperationWork> list;
  add_functions(list);
  add_logic(list);
  add_linear_algebra(list);
  add_reductions(list);
  add_shapes(list);
  add_uneven_matrices(list);
  add_positions(list);
  add_images(list);
  add_networks(list);
  return list;
}

}  // namespace wengert::benchmark
