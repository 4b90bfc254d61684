// Triangles and diagonals of matrices (the last two dimensions). Composed.
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/kernels/blocks.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

void check_matrix(const char* name, const Tensor& x) {
  detail::check_defined(name, x);
  if (x.rank() < 2) throw ShapeError(fmt::format("{}: {} is not a matrix: it must have at least two dimensions", name, describe(x)));
}

// True where column - row is at most `diagonal`.
Tensor on_or_below(const Tensor& x, Index diagonal) {
  const Index m = x.size(-2), n = x.size(-1);
  Tensor mask = Tensor::uninitialized({m, n}, boolean);
  if (mask.size() == 0) return mask;  // m may be huge
  bool* out = mask.mutable_data<bool>();
  diagonal = std::clamp(diagonal, -m, n);
  kernels::for_blocks_of(m, kernels::cost::kCopy<float> * static_cast<double>(n), [=](Index first, Index last) {
    for (Index i = first; i < last; ++i) {
      const Index below = std::clamp(diagonal + i + 1, Index{0}, n);
      std::fill_n(out + i * n, below, true);
      std::fill_n(out + i * n + below, n - below, false);
    }
  });
  return mask;
}

}  // namespace

Tensor tril(const Tensor& x, Index diagonal, Location site) {
  const CallSite scope(site);
  check_matrix("tril", x);
  return where(on_or_below(x, diagonal), x, 0);
}

Tensor triu(const Tensor& x, Index diagonal, Location site) {
  const CallSite scope(site);
  check_matrix("triu", x);
  return where(on_or_below(x, diagonal - 1), 0, x);
}

Tensor diagonal(const Tensor& x, Index offset, Location site) {
  const CallSite scope(site);
  check_matrix("diagonal", x);
  const Index m = x.size(-2), n = x.size(-1);
  if (offset < -m || offset > n) throw ShapeError(fmt::format("diagonal: offset {} is outside [{}, {}] of {}", offset, -m, n, describe(x)));
  const Index count = offset < 0 ? std::min(m + offset, n) : std::min(m, n - offset);
  Shape rows = x.shape();
  rows.resize(x.rank() - 1);
  rows[x.rank() - 2] = checked_size("diagonal", {m, n});
  const Index first = offset < 0 ? -offset * n : offset;
  return slice(reshape(x, rows), -1, first, count > 0 ? first + (count - 1) * (n + 1) + 1 : first, n + 1);
}

Tensor trace(const Tensor& x, Location site) {
  const CallSite scope(site);
  check_matrix("trace", x);
  return sum(diagonal(x), -1);
}

}  // namespace wengert
