// Our side of the benchmark of operations. Its only argument is the number of threads.
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>

#include "autodiff/autodiff.h"
#include "autodiff/runtime.h"
#include "benchmarks/operations.h"
#include "benchmarks/train_server.h"

namespace wengert::benchmark {
namespace {

using Operands = std::span<const Tensor>;
using Function = std::function<Tensor(Operands)>;

void add_functions(std::map<std::string, Function>& f) {
#define WENGERT_FUNCTION(F, name, ...) f[#name] = [](Operands x) { return name(x[0]); };
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  f["clamp"] = [](Operands x) { return clamp(x[0], -0.5, 0.5); };
  f["hardtanh"] = [](Operands x) { return hardtanh(x[0]); };
#define WENGERT_FUNCTION(F, op) f[#op] = [](Operands x) { return x[0] op x[1]; };
  WENGERT_ARITHMETIC(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name) f[#name] = [](Operands x) { return name(x[0], x[1]); };
  WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  f["pow.cube"] = [](Operands x) { return pow(x[0], 3); };
  f["pow.number"] = [](Operands x) { return pow(x[0], -2.5); };
  for (const char* variant : {"*.row", "*.column", "*.number"}) f[variant] = f["*"];
  f["*.transposed"] = [](Operands x) { return x[0] * transpose(x[1]); };
  f["exp.transposed"] = [](Operands x) { return exp(transpose(x[0])); };
}

void add_logic(std::map<std::string, Function>& f) {
  f["where"] = [](Operands x) { return where(x[0], x[1], x[2]); };
  f["<"] = [](Operands x) { return x[0] < x[1]; };
  f["<="] = [](Operands x) { return x[0] <= x[1]; };
  f[">"] = [](Operands x) { return x[0] > x[1]; };
  f[">="] = [](Operands x) { return x[0] >= x[1]; };
  f["=="] = [](Operands x) { return x[0] == x[1]; };
  f["!="] = [](Operands x) { return x[0] != x[1]; };
  f["logical_and"] = f["&&"] = f["&"] = [](Operands x) { return x[0] && x[1]; };
  f["logical_or"] = f["||"] = f["|"] = [](Operands x) { return x[0] || x[1]; };
  f["logical_xor"] = f["^"] = [](Operands x) { return logical_xor(x[0], x[1]); };
  f["logical_not"] = f["!"] = [](Operands x) { return !x[0]; };
  f["isnan"] = [](Operands x) { return isnan(x[0]); };
  f["isinf"] = [](Operands x) { return isinf(x[0]); };
  f["isfinite"] = [](Operands x) { return isfinite(x[0]); };
}

void add_linear_algebra(std::map<std::string, Function>& f) {
  for (const char* name : {"matmul", "matmul.small", "matmul.vector", "matmul.row", "matmul.batch"})
    f[name] = [](Operands x) { return matmul(x[0], x[1]); };
  f["linear"] = [](Operands x) { return linear(x[0], x[1], x[2]); };
  f["linear_relu"] = [](Operands x) { return linear_relu(x[0], x[1], x[2]); };
  f["dot"] = [](Operands x) { return dot(x[0], x[1]); };
  f["outer"] = [](Operands x) { return outer(x[0], x[1]); };
  f["bmm"] = f["bmm.small"] = [](Operands x) { return bmm(x[0], x[1]); };
  f["addmm"] = [](Operands x) { return addmm(x[0], x[1], x[2]); };
  f["einsum"] = [](Operands x) { return einsum("bij,bjk->bik", x); };
  f["inverse"] = [](Operands x) { return inverse(x[0]); };
  f["det"] = [](Operands x) { return det(x[0] / 64.0); };
  f["slogdet"] = [](Operands x) { return slogdet(x[0]).logarithm; };
  f["logdet"] = [](Operands x) { return logdet(x[0]); };
  f["cholesky"] = [](Operands x) { return cholesky(x[0]); };
  f["solve"] = [](Operands x) { return solve(x[0], x[1]); };
  f["solve_triangular"] = [](Operands x) { return solve_triangular(x[0], x[1]); };
}

void add_reductions(std::map<std::string, Function>& f) {
#define WENGERT_REDUCTION(name)                                \
  f[#name] = [](Operands x) { return name(x[0]); };            \
  f[#name ".dim0"] = [](Operands x) { return name(x[0], 0); }; \
  f[#name ".dim1"] = [](Operands x) { return name(x[0], 1); };
  WENGERT_REDUCTION(sum)
  WENGERT_REDUCTION(mean)
  WENGERT_REDUCTION(prod)
  WENGERT_REDUCTION(logsumexp)
  WENGERT_REDUCTION(var)
  WENGERT_REDUCTION(stddev)
  WENGERT_REDUCTION(max)
  WENGERT_REDUCTION(min)
  WENGERT_REDUCTION(argmax)
  WENGERT_REDUCTION(argmin)
#undef WENGERT_REDUCTION
  f["norm"] = [](Operands x) { return norm(x[0]); };
  f["norm.dim0"] = [](Operands x) { return norm(x[0], 2, 0); };
  f["norm.dim1"] = [](Operands x) { return norm(x[0], 2, 1); };
  f["max_dim.dim0"] = [](Operands x) { return max_dim(x[0], 0).values; };
  f["max_dim.dim1"] = [](Operands x) { return max_dim(x[0], 1).values; };
  f["min_dim.dim0"] = [](Operands x) { return min_dim(x[0], 0).values; };
  f["min_dim.dim1"] = [](Operands x) { return min_dim(x[0], 1).values; };
  f["sum.middle"] = f["sum.dim1"];
  f["any"] = [](Operands x) { return any(x[0], 1); };
  f["all"] = [](Operands x) { return all(x[0], 1); };
  f["cumsum.dim0"] = [](Operands x) { return cumsum(x[0], 0); };
  f["cumsum.dim1"] = [](Operands x) { return cumsum(x[0], 1); };
  f["cumprod.dim0"] = [](Operands x) { return cumprod(x[0], 0); };
  f["cumprod.dim1"] = [](Operands x) { return cumprod(x[0], 1); };
  f["logcumsumexp.dim0"] = [](Operands x) { return logcumsumexp(x[0], 0); };
  f["logcumsumexp.dim1"] = [](Operands x) { return logcumsumexp(x[0], 1); };
  f["sum_to"] = [](Operands x) { return sum_to(x[0], {1, 1024}); };
}

void add_shapes(std::map<std::string, Function>& f) {
  f["reshape"] = [](Operands x) { return reshape(x[0], {512, 2048}); };
  f["flatten"] = [](Operands x) { return flatten(x[0]); };
  f["squeeze"] = [](Operands x) { return squeeze(x[0]); };
  f["unsqueeze"] = [](Operands x) { return unsqueeze(x[0], 0); };
  f["slice"] = [](Operands x) { return slice(x[0], 1, 0, 1024, 2).contiguous(); };
  f["narrow"] = [](Operands x) { return narrow(x[0], 1, 256, 512).contiguous(); };
  f["split"] = [](Operands x) { return split(x[0], {512, 512}, 1)[1].contiguous(); };
  f["chunk"] = [](Operands x) { return chunk(x[0], 2, 1)[1].contiguous(); };
  f["select"] = [](Operands x) { return select(x[0], 1, 512).contiguous(); };
  f["flip"] = [](Operands x) { return flip(x[0], {1}).contiguous(); };
  f["roll"] = [](Operands x) { return roll(x[0], {100}, {1}); };
  f["roll.one"] = [](Operands x) { return roll(x[0], {1}, {1}); };
  f["repeat"] = [](Operands x) { return repeat(x[0], {2, 1}); };
  f["tril"] = [](Operands x) { return tril(x[0]); };
  f["triu"] = [](Operands x) { return triu(x[0]); };
  f["diagonal"] = [](Operands x) { return diagonal(x[0]).contiguous(); };
  f["trace"] = [](Operands x) { return trace(x[0]); };
  f["sort"] = [](Operands x) { return sort(x[0], 1).values; };
  f["sort.dim0"] = [](Operands x) { return sort(x[0], 0).values; };
  f["topk"] = [](Operands x) { return topk(x[0], 16, 1).values; };
  f["transpose"] = [](Operands x) { return transpose(x[0]).contiguous(); };
  f["permute"] = [](Operands x) { return permute(x[0], {2, 0, 1}).contiguous(); };
  f["expand"] = [](Operands x) { return expand(x[0], {1024, 1024}).contiguous(); };
  f["pad"] = [](Operands x) { return pad(x[0], {1, 1}, {1, 1}); };
  f["pad.reflect"] = [](Operands x) { return pad(x[0], {0, 1}, {0, 1}, Padding::reflect); };
  f["concat"] = [](Operands x) { return concat(x, 0); };
  f["concat.dim1"] = [](Operands x) { return concat(x, 1); };
  f["stack"] = [](Operands x) { return stack(x, 1); };
}

void add_positions(std::map<std::string, Function>& f) {
  f["index_select"] = [](Operands x) { return index_select(x[0], 0, x[1]); };
  f["index_select.dim1"] = [](Operands x) { return index_select(x[0], 1, x[1]); };
  f["gather"] = [](Operands x) { return gather(x[0], 1, x[1]); };
  f["index_add"] = [](Operands x) { return index_add(x[0], 0, x[1], x[2]); };
  f["scatter_add"] = [](Operands x) { return scatter_add(x[0], 1, x[1], x[2]); };
  f["scatter"] = [](Operands x) { return scatter(x[0], 1, expand(x[1], {1024, 1024}), x[2]); };
  f["masked_fill"] = [](Operands x) { return masked_fill(x[0], x[1], 2); };
  f["masked_scatter"] = [](Operands x) {  // as many elements as the mask has true ones
    static const Index count = nonzero(x[1]).size(0);
    return masked_scatter(x[0], x[1], reshape(x[2], {-1})(Range(0, count)));
  };
  f["masked_select"] = [](Operands x) { return masked_select(x[0], x[1]); };
  f["nonzero"] = [](Operands x) { return nonzero(x[0]); };
  f["slice_update"] = [](Operands x) { return slice_update(x[0], {Range(256, 768)}, x[1]); };
  f["index_put"] = [](Operands x) { return index_put(x[0], {x[1]}, x[2]); };
}

void add_images(std::map<std::string, Function>& f) {
  f["conv1d"] = [](Operands x) { return conv1d(x[0], x[1], x[2], {.padding = 2}); };
  f["conv2d"] = [](Operands x) { return conv2d(x[0], x[1], x[2], {.padding = 1}); };
  f["conv2d.stride2"] = [](Operands x) { return conv2d(x[0], x[1], x[2], {.stride = 2, .padding = 1}); };
  f["conv2d.dilated"] = [](Operands x) { return conv2d(x[0], x[1], x[2], {.padding = 2, .dilation = 2}); };
  f["conv2d.grouped"] = [](Operands x) { return conv2d(x[0], x[1], x[2], {.padding = 1, .groups = 2}); };
  f["conv2d.depthwise"] = [](Operands x) { return conv2d(x[0], x[1], x[2], {.padding = 1, .groups = 16}); };
  f["conv2d.depthwise.stride2"] = [](Operands x) { return conv2d(x[0], x[1], x[2], {.stride = 2, .padding = 1, .groups = 16}); };
  f["conv2d.first"] = [](Operands x) { return conv2d(x[0], x[1], x[2], {.stride = 2, .padding = 3}); };
  f["conv2d.deep"] = f["conv2d.single"] = f["conv2d"];
  f["conv2d.point"] = [](Operands x) { return conv2d(x[0], x[1], x[2]); };
  f["conv2d.point.stride2"] = [](Operands x) { return conv2d(x[0], x[1], x[2], {.stride = 2}); };
  f["conv2d_relu"] = [](Operands x) { return conv2d_relu(x[0], x[1], x[2], {.padding = 1}); };
  f["conv_transpose2d"] = [](Operands x) { return conv_transpose2d(x[0], x[1], x[2], {.stride = 2, .padding = 1}); };
  f["max_pool2d"] = [](Operands x) { return max_pool2d(x[0], 2); };
  f["max_pool2d_with_indices"] = [](Operands x) { return max_pool2d_with_indices(x[0], 3, {.stride = 2, .padding = 1}).values; };
  f["avg_pool2d"] = [](Operands x) { return avg_pool2d(x[0], 2); };
  f["adaptive_avg_pool2d"] = [](Operands x) { return adaptive_avg_pool2d(x[0], 7); };
  f["max_pool1d"] = [](Operands x) { return max_pool1d(x[0], 2); };
  f["avg_pool1d"] = [](Operands x) { return avg_pool1d(x[0], 2); };
}

void add_networks(std::map<std::string, Function>& f) {
  f["softmax"] = [](Operands x) { return softmax(x[0]); };
  f["softmax.dim0"] = [](Operands x) { return softmax(x[0], 0); };
  f["log_softmax"] = [](Operands x) { return log_softmax(x[0]); };
  f["log_softmax.dim0"] = [](Operands x) { return log_softmax(x[0], 0); };
  f["one_hot"] = [](Operands x) { return one_hot(x[0], 1024); };
  f["cross_entropy"] = [](Operands x) { return cross_entropy(x[0], x[1]); };
  f["nll"] = [](Operands x) { return nll(x[0], x[1]); };
  f["layer_norm"] = [](Operands x) { return layer_norm(x[0], {1024}, {.weight = x[1], .bias = x[2]}); };
  f["group_norm"] = [](Operands x) { return group_norm(x[0], 8, {.weight = x[1], .bias = x[2]}); };
  f["instance_norm"] = [](Operands x) { return instance_norm(x[0], {.weight = x[1], .bias = x[2]}); };
  f["rms_norm"] = [](Operands x) { return rms_norm(x[0], {.weight = x[1]}); };
  f["batch_norm"] = [](Operands x) { return batch_norm(x[0], Tensor(), Tensor(), {.weight = x[1], .bias = x[2], .training = true}).y; };
  f["batch_norm.evaluation"] = [](Operands x) { return batch_norm(x[0], x[3], x[4], {.weight = x[1], .bias = x[2]}).y; };
  f["dropout"] = [](Operands x) { return dropout(x[0]); };
  f["prelu"] = [](Operands x) { return prelu(x[0], x[1]); };
  f["embedding"] = [](Operands x) { return embedding(x[0], x[1]); };
  f["scaled_dot_product_attention"] = [](Operands x) { return scaled_dot_product_attention(x[0], x[1], x[2]).output; };
  f["multihead_attention"] = [](Operands x) {
    return multihead_attention(x[0], x[1], x[2], {x[3], x[4], x[5], x[6]}, {.heads = 4}).output;
  };
  const auto weights = [](Operands x) { return RecurrentWeights{x[0], x[1], x[2], x[3]}; };
  f["rnn_cell"] = [=](Operands x) { return rnn_cell(x[0], x[1], weights(x.subspan(2))); };
  f["gru_cell"] = [=](Operands x) { return gru_cell(x[0], x[1], weights(x.subspan(2))); };
  f["lstm_cell"] = [=](Operands x) { return lstm_cell(x[0], {x[1], x[2]}, weights(x.subspan(3))).h; };
  f["rnn"] = [=](Operands x) { return rnn(x[0], Tensor(), std::array{weights(x.subspan(1))}, Nonlinearity::tanh).output; };
  f["gru"] = [=](Operands x) { return gru(x[0], Tensor(), std::array{weights(x.subspan(1))}).output; };
  f["lstm"] = [=](Operands x) { return lstm(x[0], {}, std::array{weights(x.subspan(1))}).output; };
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

Tensor make(const OperandWork& operand, std::uint64_t seed, Dtype dtype) {
  using Kind = OperandWork::Kind;
  Shape shape;
  for (const std::int64_t size : operand.sizes) shape.push_back(size);
  if (operand.kind == Kind::indices || operand.kind == Kind::permutation)
    return Tensor::from(elements_of<std::int64_t>(operand, seed), shape);
  const Tensor numbers = Tensor::from(elements_of<double>(operand, seed), shape);
  return operand.kind == Kind::booleans ? numbers != 0 : numbers.to(dtype);
}

// An element from the middle, which the sides compare.
double probe(const Tensor& y) { return y.element(y.size() / 2); }

Step forward(const Function& f, const std::vector<Tensor>& x) {
  return [=] { return probe(f(x)); };
}

Step backward(const Function& f, const std::vector<Tensor>& x, const OperationWork& work) {
  return [=, seed = Tensor::ones(f(x).shape(), f(x).dtype())] {
    Tape tape;
    std::vector<Tensor> operands = x, sources;
    for (std::size_t k = 0; k < x.size(); ++k)
      if (work.operands[k].is_differentiated()) sources.push_back(operands[k] = tape.variable(x[k]));
    const Tensor y = f(operands);
    double sum = probe(y);
    for (const Tensor& x_bar : tape.gradient(y, sources, {.seed = seed})) sum += probe(x_bar);
    return sum;
  };
}

std::vector<ServedRow> rows() {
  const auto list = std::make_shared<std::map<std::string, Function>>(functions());
  std::vector<ServedRow> served;
  for (const OperationWork& work : operations())
    for (const Dtype dtype : {float32, float64})
      for (const bool with_backward : {false, true}) {
        if (with_backward && !work.differentiable) continue;
        served.push_back({row_name(work, to_string(dtype), with_backward), 0, [=] {
                            const auto f = list->find(work.function());
                            if (f == list->end()) throw std::logic_error(work.name + " is missing in ops_ours.cpp");
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
  wengert::set_num_threads(argc > 1 ? std::atoi(argv[1]) : 1);
  return wengert::benchmark::serve(wengert::benchmark::rows());
}
