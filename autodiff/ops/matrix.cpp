#include "autodiff/ops/matrix.h"

#include <fmt/format.h>

#include "autodiff/kernels/blas.h"

namespace wengert::detail {

void check_matrix(const char* operation, const Tensor& x) {
  check_floating(operation, x);
  if (x.rank() < 2) throw ShapeError(fmt::format("{}: {} is not a matrix: it must have at least two dimensions", operation, describe(x)));
}

void check_square(const char* operation, const Tensor& x) {
  check_matrix(operation, x);
  if (x.size(-1) != x.size(-2)) throw ShapeError(fmt::format("{}: the matrix {} is not square", operation, describe(x)));
}

void wrong_matrix(const char* operation, const Tensor& x, Index matrix, const std::string& what) {
  throw MatrixError(fmt::format("{}: {}: {}", operation, describe(x),
                                x.rank() > 2 ? fmt::format("matrix {} in row-major order {}", matrix, what) : "it " + what));
}

Factors factorize(const Tensor& x, Location site) {
  const Index n = x.size(-1), matrices = x.size() == 0 ? 0 : x.size() / (n * n);
  Factors f{x.clone(site), pool::Vector<std::int32_t>(static_cast<std::size_t>(matrices * n)),
            pool::Vector<std::int64_t>(static_cast<std::size_t>(matrices))};
  dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* a = f.lu.mutable_data<T>();
    for (Index i = 0; i < matrices; ++i)
      f.zero_pivot[static_cast<std::size_t>(i)] = blas::factor_lu(n, a + i * n * n, f.pivots.data() + i * n);
  });
  return f;
}

void solve_with(const Factors& f, bool transpose, Tensor& columns) {
  const Index n = columns.size(-1), k = columns.size(-2);
  dispatch_floating(columns.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* x = columns.mutable_data<T>();
    const T* lu = f.lu.data<T>();
    const std::int32_t* pivots = f.pivots.data();
    for (std::size_t i = 0; i < f.zero_pivot.size(); ++i, x += n * k, lu += n * n, pivots += n)
      blas::solve_lu(transpose, n, k, lu, pivots, x);
  });
}

}  // namespace wengert::detail
