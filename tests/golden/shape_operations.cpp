// g4_shape
#include <autodiff/autodiff.h>

#include "operations.h"

namespace wengert::golden {
namespace {

Tensor slice_all(Tensor x, const Shape& start, const Shape& stop, const Shape& step) {
  for (int dim = 0; dim < start.rank(); ++dim) x = slice(x, dim, start[dim], stop[dim], step[dim]);
  return x;
}

// Pieces of the given sizes along a dimension.
Outputs split(const Tensor& x, Index dim, const Shape& sizes) {
  std::vector<Tensor> pieces;
  Index start = 0;
  for (Index size : sizes) {
    pieces.push_back(slice(x, dim, start, start + size));
    start += size;
  }
  return Outputs(std::move(pieces));
}

// The data leaves a dimension of another size as it is; the library refuses to drop it.
Tensor squeeze_if_possible(const Tensor& x, Index dim) { return x.size(dim) == 1 ? squeeze(x, dim) : x; }

Tensor squeeze_all(Tensor x) {
  for (int dim = x.rank(); dim-- > 0;) x = squeeze_if_possible(x, dim);
  return x;
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
      {"narrow",
       [](In in, At at) -> Outputs {
         return slice(in[0], at.integer("dim"), at.integer("start"), at.integer("start") + at.integer("length"));
       }},
      {"concat", [](In in, At at) -> Outputs { return concat(in, at.integer("dim")); }},
      {"stack", [](In in, At at) -> Outputs { return stack(in, at.integer("dim")); }},
      {"split", [](In in, At at) -> Outputs { return split(in[0], at.integer("dim"), at.list("sizes")); }},
      {"split_use_first", [](In in, At at) -> Outputs { return split(in[0], at.integer("dim"), at.list("sizes"))[0]; }},
      {"expand", [](In in, At at) -> Outputs { return expand(in[0], at.list("shape")); }},
      {"squeeze", [](In in, At at) -> Outputs { return squeeze_if_possible(in[0], at.integer("dim")); }},
      {"squeeze_all", [](In in, At) -> Outputs { return squeeze_all(in[0]); }},
      {"unsqueeze", [](In in, At at) -> Outputs { return unsqueeze(in[0], at.integer("dim")); }},
      {"composite_outer_self", [](In in, At) -> Outputs { return outer_self(in[0]); }},
      {"composite_xxT", [](In in, At) -> Outputs { return matmul(in[0], transpose(in[0])); }},
      {"composite_diff", [](In in, At) -> Outputs { return difference_squared(in[0]); }},
      {"composite_fanout", [](In in, At) -> Outputs { return fanout(in[0]); }},
      {"composite_detach", [](In in, At) -> Outputs { return in[0] * exp(in[0].constant()); }},
      {"composite_normalize", [](In in, At) -> Outputs { return in[0] / sqrt(sum(square(in[0]), -1, true)); }},
  };
  return kTable;
}

}  // namespace wengert::golden
