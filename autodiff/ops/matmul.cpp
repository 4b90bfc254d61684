// Matrix product.
//
//   C = A B:   A_bar = C_bar B^T,   B_bar = A^T C_bar,   C_dot = A_dot B + A B_dot
//
// With leading dimensions the same holds for each matrix; the sweep sums over those that were broadcast.
#include <fmt/format.h>

#include <algorithm>
#include <type_traits>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/ops/matrix_view.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

// Whether the rows or the columns of the last two dimensions are dense and do not overlap.
inline bool is_gemm_matrix(const Tensor& x) {
  const Index *size = x.shape().end() - 2, *stride = x.strides().end() - 2;
  const Index m = size[0], n = size[1], row = stride[0], column = stride[1];
  return (column == 1 && (row >= n || m == 1)) || (row == 1 && (column >= m || n == 1));
}
// The last two dimensions of x as a matrix. Requires is_gemm_matrix(x).
template <class T> kernels::MatrixView<T> gemm_matrix(const Tensor& x, Index offset = 0) {
  const int r = x.rank();
  return {static_cast<const T*>(x.elements()->data) + offset, x.strides()[r - 2], x.strides()[r - 1]};
}

// c = a b for each matrix of a batch; c is dense.
template <class T> void multiply_batch(const Tensor& a, const Tensor& b, Tensor& c) {
  const int r = c.rank();
  const Index m = c.shape()[r - 2], n = c.shape()[r - 1], k = a.shape()[a.rank() - 1];
  T* out = static_cast<T*>(c.elements()->data);
  if (r == 2) return kernels::product<T>(m, n, k, gemm_matrix<T>(a), gemm_matrix<T>(b), out, n);
  Shape batch(std::span<const Index>(c.shape()).first(static_cast<std::size_t>(r - 2)));
  const auto batch_strides = [&](const Tensor& x) {
    Shape s;
    s.resize(r - 2);
    for (int i = 0; i < r - 2; ++i) {
      const int j = i - (r - x.rank());
      s[i] = j < 0 || x.shape()[j] == 1 ? 0 : x.strides()[j];
    }
    return s;
  };
  // Small products are distributed over the threads; large ones are computed one by one, each by all threads.
  constexpr double kCall = 10, kFlopsPerNs = std::is_same_v<T, float> ? 40 : 20, kSmall = 100'000;  // of a product, in nanoseconds
  const double ns = kCall + 2 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k) / kFlopsPerNs;
  const Shape sa = batch_strides(a), sb = batch_strides(b);
  kernels::Rows<2>(batch, {&sa, &sb}).for_each([&](const auto& offset, Index rows, const auto& step) {
    const auto multiply = [&](Index first, Index last) {
      if (kernels::are_small_products<T>(m, n, k)) {
        const auto left = gemm_matrix<T>(a, offset[0]), right = gemm_matrix<T>(b, offset[1]);
        return kernels::small_products<T>({m, n, k, left, right, step[0], step[1], out}, first, last);
      }
      for (Index i = first; i < last; ++i)
        kernels::product<T>(m, n, k, gemm_matrix<T>(a, offset[0] + i * step[0]), gemm_matrix<T>(b, offset[1] + i * step[1]),
                            out + i * m * n, n);
    };
    if (ns < kSmall && rows >= usable_threads()) {
      kernels::for_blocks_of(rows, ns, multiply);
    } else {
      multiply(0, rows);
    }
    out += rows * m * n;
  });
}

Tensor gemm_ready(const Tensor& x) { return is_gemm_matrix(x) ? x.constant() : x.clone(x.made_at()); }

// a b for tensors of rank 2 or more, not recorded. A batch of matrices times a single matrix is one large product.
Tensor multiply_now(const Tensor& a, const Tensor& b, const Shape& shape, Location site) {
  Tensor c = Tensor::uninitialized(shape, a.dtype(), site);
  detail::dispatch_floating(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    if (a.rank() > 2 && b.rank() == 2 && a.is_row_major()) {
      const Index k = a.shape().back(), n = shape.back(), rows = k > 0 ? a.size() / k : c.size() / std::max<Index>(n, 1);
      kernels::product<T>(rows, n, k, {a.data<T>(), k, 1}, gemm_matrix<T>(b), static_cast<T*>(c.elements()->data), n);
    } else {
      multiply_batch<T>(a, b, c);
    }
  });
  return c;
}

[[noreturn]] void does_not_fit(const Tensor& a, const Tensor& b) {
  std::string what;
  const char* hint = "";
  if (a.rank() == 0 || b.rank() == 0) {
    what = "an operand has rank 0";
    hint = "use * to multiply by a number";
  } else {
    const Index k = a.shape().back(), l = b.shape()[b.rank() == 1 ? 0 : b.rank() - 2];
    what = k != l ? fmt::format("the inner sizes {} and {} differ", k, l) : std::string("the leading dimensions do not broadcast");
  }
  if (a.rank() == 2 && b.rank() == 2) {
    if (a.size(1) == b.size(1))
      hint = "transpose(right)";
    else if (a.size(0) == b.size(0))
      hint = "transpose(left)";
  }
  throw ShapeError(detail::ErrorText("matmul", "{}", what).operand("left", a).operand("right", b).hint(hint));
}

// (..., m, k) @ (..., k, n) -> (..., m, n).
Shape product_shape(const Tensor& a, const Tensor& b) {
  const int r = std::max(a.rank(), b.rank());
  Shape shape;
  shape.resize(r);
  for (int i = 3; i <= r; ++i) {
    const Index p = i <= a.rank() ? a.shape()[a.rank() - i] : 1, q = i <= b.rank() ? b.shape()[b.rank() - i] : 1;
    if (p != q && p != 1 && q != 1) does_not_fit(a, b);
    shape[r - i] = p == 1 ? q : p;
  }
  shape[r - 2] = a.shape()[a.rank() - 2];
  shape[r - 1] = b.shape()[b.rank() - 1];
  return shape;
}

// The operands have rank 2 or more.
class Matmul : public Operation {
 public:
  const char* name() const override { return "matmul"; }
  const char* latex() const override { return "#1 #2"; }
  ValueSet saved_for(int i) const override { return input(1 - i); }
  void vjp(const Saved& s, std::span<const Tensor> c_bar, Cotangents& x_bar) const override {
    const Tensor &g = c_bar[0], &a = s.x(0), &b = s.x(1);
    if (x_bar.needs(0)) x_bar.add_product(0, g, transposed(b));  //  A_bar = C_bar B^T
    if (!x_bar.needs(1)) return;
    if (s.x_shape(1).rank() > 2 || a.rank() == 2) {
      x_bar.add_product(1, transposed(a), g);  //  B_bar = A^T C_bar
    } else {
      x_bar[1] = matmul(transpose(detail::rows_of("matmul", a), 0, 1),
                        detail::rows_of("matmul", g));  // b is one matrix for the whole batch: all rows at once
    }
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> c_dot) const override {
    if (x_dot[0].defined()) c_dot[0] = matmul(x_dot[0], s.x(1));
    if (!x_dot[1].defined()) return;
    const Tensor right = matmul(s.x(0), x_dot[1]);
    c_dot[0] = detail::plus(c_dot[0], right);
  }
  double multiply_adds(const Saved& s) const override { return static_cast<double>(s.y_shape().size() * s.x_shape(0).back()); }
};

bool is_gemm_matrix(const MatrixFactor& f) { return f.matrix.rank() == 2 && is_gemm_matrix(f.matrix); }
template <class T> kernels::MatrixView<T> gemm_matrix(const MatrixFactor& f) {
  const kernels::MatrixView<T> view = gemm_matrix<T>(f.matrix);
  return f.transposed ? view.transposed() : view;
}

// to = left right, or to += left right. Requires is_gemm_matrix of both.
void product_into(Tensor& to, const MatrixFactor& left, const MatrixFactor& right, bool accumulate) {
  const Index m = to.shape()[0], n = to.shape()[1], k = left.matrix.shape()[left.transposed ? 0 : 1];
  detail::dispatch_floating(to.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::product<T>(m, n, k, gemm_matrix<T>(left), gemm_matrix<T>(right), static_cast<T*>(to.elements()->data), n,
                        {.accumulate = accumulate});
  });
}

}  // namespace

// ---- products in reverse rules ----

Tensor detail::multiply(const MatrixFactor& left, const MatrixFactor& right) {
  if (!recording() && is_gemm_matrix(left) && is_gemm_matrix(right)) {
    const Index m = left.matrix.shape()[left.transposed ? 1 : 0], n = right.matrix.shape()[right.transposed ? 0 : 1];
    Tensor product = Tensor::uninitialized({m, n}, left.matrix.dtype(), left.matrix.made_at());
    product_into(product, left, right, false);
    return product;
  }
  const auto as_tensor = [](const MatrixFactor& f) { return f.transposed ? transpose(f.matrix, -2, -1) : f.matrix; };
  return matmul(as_tensor(left), as_tensor(right));
}

bool detail::add_product_in_place(Tensor& into, const MatrixFactor& left, const MatrixFactor& right) {
  if (!is_gemm_matrix(left) || !is_gemm_matrix(right)) return false;
  product_into(into, left, right, true);
  return true;
}

Tensor matmul(const Tensor& a, const Tensor& b, Location site) {
  const CallSite scope(site);
  detail::check_same_dtype("matmul", a, b);
  detail::check_floating("matmul", a);
  if (a.rank() == 0 || b.rank() == 0 || a.shape().back() != b.shape()[std::max(0, b.rank() - 2)]) does_not_fit(a, b);
  // A vector on the left is a row, one on the right a column; the added dimension is dropped from the result.
  if (a.rank() == 1) {
    const Tensor row = matmul(unsqueeze(a, 0, site), b, site);
    return squeeze(row, b.rank() == 1 ? 0 : -2, site);
  }
  if (b.rank() == 1) return squeeze(matmul(a, unsqueeze(b, 1, site), site), -1, site);
  const Shape shape = product_shape(a, b);
  const bool ready = is_gemm_matrix(a) && is_gemm_matrix(b);
  return record(Matmul(), site, {&a, &b},
                ready ? multiply_now(a, b, shape, site) : multiply_now(gemm_ready(a), gemm_ready(b), shape, site));
}

}  // namespace wengert
