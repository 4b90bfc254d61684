// g4_shape
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {
namespace {

Tensor slice_all(Tensor x, const Shape& start, const Shape& stop, const Shape& step) {
  for (int dim = 0; dim < start.rank(); ++dim) x = slice(x, dim, start[dim], stop[dim], step[dim]);
  return x;
}

// The data leaves a dimension of another size as it is; the library refuses to drop it.
Tensor squeeze_if_possible(const Tensor& x, Index dim) { return x.size(dim) == 1 ? squeeze(x, dim) : x; }

Outputs both(ValuesAndIndices result) { return {std::move(result.values), std::move(result.indices)}; }

Tensor padded(In in, At at, Padding padding) { return pad(in[0], at.list("before"), at.list("after"), padding); }

// flip(flatten(x^T[1:, ::2])) * [1, 2, 3, ...]
Tensor view_chain(const Tensor& x) {
  const Tensor t = transpose(x), part = slice(slice(t, 0, 1, t.size(0)), 1, 0, t.size(1), 2);
  const Tensor backwards = flip(flatten(part), {0});
  return backwards * Tensor::arange(1, static_cast<double>(backwards.size()) + 1, 1, x.dtype());
}

Tensor outer_self(const Tensor& x) {
  const Tensor row = unsqueeze(x, 0);
  return unsqueeze(x, 1) * row + row;
}

Tensor difference_squared(const Tensor& x) { return square(slice(x, 0, 1, x.size(0)) - slice(x, 0, 0, -1)); }

Tensor fanout(const Tensor& x) {
  Tensor total = Tensor::zeros(x.shape(), x.dtype());
  for (int i = 0; i < 20; ++i) total = total + (i * x + sin(x));
  return total;
}

}  // namespace

std::span<const Operation> shape_operations() {
  static constexpr Operation kTable[] = {
      {"reshape", [](In in, At at) -> Outputs { return reshape(in[0], at.list("shape")); }},
      {"flatten", [](In in, At at) -> Outputs { return flatten(in[0], at.integer("start_dim"), at.integer("end_dim")); }},
      {"transpose", [](In in, At at) -> Outputs { return transpose(in[0], at.integer("dim0"), at.integer("dim1")); }},
      {"permute", [](In in, At at) -> Outputs { return permute(in[0], at.list("dims")); }},
      {"slice", [](In in, At at) -> Outputs { return slice_all(in[0], at.list("start"), at.list("stop"), at.list("step")); }},
      {"select", [](In in, At at) -> Outputs { return select(in[0], at.integer("dim"), at.integer("index")); }},
      {"narrow", [](In in, At at) -> Outputs { return narrow(in[0], at.integer("dim"), at.integer("start"), at.integer("length")); }},
      {"index_select", [](In in, At at) -> Outputs { return index_select(in[0], at.integer("dim"), in[1]); }},
      {"gather", [](In in, At at) -> Outputs { return gather(in[0], at.integer("dim"), in[1]); }},
      {"scatter_add", [](In in, At at) -> Outputs { return scatter_add(in[0], at.integer("dim"), in[1], in[2]); }},
      {"index_add", [](In in, At at) -> Outputs { return index_add(in[0], at.integer("dim"), in[1], in[2]); }},
      {"concat", [](In in, At at) -> Outputs { return concat(in, at.integer("dim")); }},
      {"stack", [](In in, At at) -> Outputs { return stack(in, at.integer("dim")); }},
      {"split", [](In in, At at) -> Outputs { return Outputs(split(in[0], at.list("sizes"), at.integer("dim"))); }},
      {"split_use_first", [](In in, At at) -> Outputs { return split(in[0], at.list("sizes"), at.integer("dim"))[0]; }},
      {"chunk", [](In in, At at) -> Outputs { return Outputs(chunk(in[0], at.integer("chunks"), at.integer("dim"))); }},
      {"flip", [](In in, At at) -> Outputs { return flip(in[0], at.list("dims")); }},
      {"pad_constant", [](In in, At at) -> Outputs { return pad(in[0], at.list("before"), at.list("after"), at.number("value")); }},
      {"pad_reflect", [](In in, At at) -> Outputs { return padded(in, at, Padding::reflect); }},
      {"pad_replicate", [](In in, At at) -> Outputs { return padded(in, at, Padding::replicate); }},
      {"pad_circular", [](In in, At at) -> Outputs { return padded(in, at, Padding::circular); }},
      {"repeat", [](In in, At at) -> Outputs { return repeat(in[0], at.list("repeats")); }},
      {"roll", [](In in, At at) -> Outputs { return roll(in[0], at.list("shifts"), at.list("dims")); }},
      {"tril", [](In in, At at) -> Outputs { return tril(in[0], at.integer("diagonal")); }},
      {"triu", [](In in, At at) -> Outputs { return triu(in[0], at.integer("diagonal")); }},
      {"one_hot", [](In in, At at) -> Outputs { return one_hot(in[0], at.integer("num_classes")); }},
      {"masked_fill", [](In in, At at) -> Outputs { return masked_fill(in[0], in[1], at.number("value")); }},
      {"masked_select", [](In in, At) -> Outputs { return masked_select(in[0], in[1]); }},
      {"diagonal", [](In in, At at) -> Outputs { return diagonal(in[0], at.integer("offset")); }},
      {"trace", [](In in, At) -> Outputs { return trace(in[0]); }},
      {"topk", [](In in, At at) -> Outputs { return both(topk(in[0], at.integer("k"), at.integer("dim"), at.flag("largest"))); }},
      {"sort", [](In in, At at) -> Outputs { return both(sort(in[0], at.integer("dim"), at.flag("descending"))); }},
      {"expand", [](In in, At at) -> Outputs { return expand(in[0], at.list("shape")); }},
      {"squeeze", [](In in, At at) -> Outputs { return squeeze_if_possible(in[0], at.integer("dim")); }},
      {"squeeze_all", [](In in, At) -> Outputs { return squeeze(in[0]); }},
      {"unsqueeze", [](In in, At at) -> Outputs { return unsqueeze(in[0], at.integer("dim")); }},
      {"composite_outer_self", [](In in, At) -> Outputs { return outer_self(in[0]); }},
      {"composite_view_chain", [](In in, At) -> Outputs { return view_chain(in[0]); }},
      {"composite_xxT", [](In in, At) -> Outputs { return matmul(in[0], transpose(in[0])); }},
      {"composite_diff", [](In in, At) -> Outputs { return difference_squared(in[0]); }},
      {"composite_fanout", [](In in, At) -> Outputs { return fanout(in[0]); }},
      {"composite_detach", [](In in, At) -> Outputs { return in[0] * exp(in[0].constant()); }},
      {"composite_normalize", [](In in, At) -> Outputs { return in[0] / sqrt(sum(square(in[0]), -1, {.keepdim = true})); }},
  };
  return kTable;
}

}  // namespace wengert::golden
