// Products of vectors and matrices with fixed ranks (dot, outer, bmm, addmm): matmul after a check of the shapes.
#include <fmt/format.h>

#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

void check_ranks(const char* name, const Tensor& a, const Tensor& b, int rank) {
  detail::check_same_dtype(name, a, b);
  if (a.rank() != rank || b.rank() != rank)
    throw ShapeError(detail::ErrorText(name, "both operands must have {} dimension{}", rank, rank == 1 ? "" : "s")
                         .operand("left", a)
                         .operand("right", b));
}

[[noreturn]] void do_not_fit(const char* name, const Tensor& a, const Tensor& b) {
  throw ShapeError(detail::ErrorText(name, "the shapes do not fit").operand("left", a).operand("right", b));
}

}  // namespace

Tensor dot(const Tensor& a, const Tensor& b, Location site) {
  const CallSite scope(site);
  check_ranks("dot", a, b, 1);
  if (a.size() != b.size()) do_not_fit("dot", a, b);
  return matmul(a, b, site);
}

Tensor outer(const Tensor& a, const Tensor& b, Location site) {
  const CallSite scope(site);
  check_ranks("outer", a, b, 1);
  return matmul(unsqueeze(a, 1, site), unsqueeze(b, 0, site), site);
}

Tensor bmm(const Tensor& a, const Tensor& b, Location site) {
  const CallSite scope(site);
  check_ranks("bmm", a, b, 3);
  if (a.size(0) != b.size(0) || a.size(2) != b.size(1)) do_not_fit("bmm", a, b);
  return matmul(a, b, site);
}

Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, double alpha, double beta, Location site) {
  const CallSite scope(site);
  check_ranks("addmm", a, b, 2);
  detail::check_same_dtype("addmm", c, a, "c", "left");
  if (a.size(1) != b.size(0)) do_not_fit("addmm", a, b);
  const Tensor product = matmul(a, b);
  if (!(detail::broadcast_shape("addmm", c, product) == product.shape()))
    throw ShapeError(fmt::format("addmm: {} does not broadcast to the product's shape {}", describe(c), to_string(product.shape())));
  const Tensor scaled = alpha == 1 ? product : alpha * product;
  return (beta == 1 ? c : beta * c) + scaled;
}

}  // namespace wengert
