// Inverses and linear systems, by LU factors with partial pivoting. A system's rules use the factors of the forward pass; where a sweep is
// recorded, they compute from A by public operations.
//
//   Y = A^-1:      A_bar = -Y^T Y_bar Y^T,                              Y_dot = -Y A_dot Y
//   X = A^-1 B:    B_bar = A^-T X_bar,        A_bar = -B_bar X^T,       X_dot = A^-1 (B_dot - A_dot X)
//   X = L^-1 B:    the same, for the triangle of L that is read
#include <fmt/format.h>

#include "autodiff/kernels/blas.h"
#include "autodiff/ops/composition.h"
#include "autodiff/ops/matrix.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

[[noreturn]] void singular(const char* name, const Tensor& a, Index matrix, Index pivot) {
  detail::wrong_matrix(name, a, matrix, fmt::format("is singular: pivot {} of its LU factors is 0", pivot));
}

detail::Factors regular_factors(const char* name, const Tensor& a, Location site) {
  detail::Factors f = detail::factorize(a, site);
  for (std::size_t i = 0; i < f.zero_pivot.size(); ++i)
    if (f.zero_pivot[i] != 0) singular(name, a, static_cast<Index>(i), f.zero_pivot[i]);
  return f;
}

class Inverse : public Operation {
 public:
  const char* name() const override { return "inverse"; }
  const char* latex() const override { return "{#}^{-1}"; }
  ValueSet saved_for(int) const override { return output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor t = transpose(s.y());
    x_bar[0] = -matmul(matmul(t, y_bar[0]), t);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = -matmul(matmul(s.y(), x_dot[0]), s.y());
  }
};

// A^-1 B (or A^-T B) for B (..., n, k).
Tensor solved(const detail::Factors& f, bool transposed, const Tensor& b, Location site) {
  Tensor columns = transpose(b.constant(), -2, -1, site).clone(site);
  detail::solve_with(f, transposed, columns);
  return transpose(columns, -2, -1, site).contiguous(site);
}

class Solve : public Operation {  // x: A, B; y: X
 public:
  explicit Solve(detail::Factors factors) : factors_(std::move(factors)) {}
  const char* name() const override { return "solve"; }
  const char* latex() const override { return "{#1}^{-1} #2"; }
  ValueSet saved_for(int i) const override { return i == 0 ? input(0) | output() : input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    //  B_bar = A^-T X_bar
    const Tensor b_bar = recording() ? solve(transpose(s.x(0)), y_bar[0]) : solved(factors_, true, y_bar[0], {});
    if (x_bar.needs(0)) x_bar[0] = -matmul(b_bar, transpose(s.y()));
    if (x_bar.needs(1)) x_bar[1] = b_bar;
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Tensor right = x_dot[1];
    if (x_dot[0].defined()) {
      const Tensor moved = matmul(x_dot[0], s.y());
      right = right.defined() ? right - moved : -moved;
    }
    y_dot[0] = solved(factors_, false, right, {});
  }

 private:
  detail::Factors factors_;
};

class SolveTriangular : public Operation {  // x: L, B; y: X
 public:
  explicit SolveTriangular(bool upper) : upper_(upper) {}
  const char* name() const override { return "solve_triangular"; }
  const char* latex() const override { return "{#1}^{-1} #2"; }
  ValueSet saved_for(int i) const override { return i == 0 ? input(0) | output() : input(0); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor b_bar = solve_triangular(transpose(s.x(0)), y_bar[0], !upper_);
    if (x_bar.needs(0)) x_bar[0] = triangle(-matmul(b_bar, transpose(s.y())));
    if (x_bar.needs(1)) x_bar[1] = b_bar;
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    Tensor right = x_dot[1];
    if (x_dot[0].defined()) {
      const Tensor moved = matmul(triangle(x_dot[0]), s.y());
      right = right.defined() ? right - moved : -moved;
    }
    y_dot[0] = solve_triangular(s.x(0), right, upper_);
  }

 private:
  Tensor triangle(const Tensor& x) const { return upper_ ? triu(x) : tril(x); }
  bool upper_;
};

// A (..., n, n) and B (..., n, k), broadcast to common leading dimensions.
struct System {
  Tensor a, b;
};
System system_of(const char* name, const Tensor& a, const Tensor& b, Location site) {
  detail::check_square(name, a);
  detail::check_same_dtype(name, a, b);
  detail::check_matrix(name, b);
  if (a.size(-1) != b.size(-2))
    throw ShapeError(detail::ErrorText(name, "a matrix with {} rows and right-hand sides of {} elements do not fit", a.size(-1), b.size(-2))
                         .operand("left", a)
                         .operand("right", b));
  const auto leading = [](const Tensor& x) {
    Shape shape = x.shape();
    shape.resize(x.rank() - 2);
    return shape;
  };
  if (leading(a) == leading(b)) return {a, b};
  const auto common = detail::broadcast(leading(a), leading(b));
  if (!common) throw ShapeError(detail::ErrorText(name, "the leading dimensions do not broadcast").operand("left", a).operand("right", b));
  const auto stretched = [&](const Tensor& x) {
    Shape shape = *common;
    shape.push_back(x.size(-2));
    shape.push_back(x.size(-1));
    return expand(x, shape, site);
  };
  return {stretched(a), stretched(b)};
}

}  // namespace

Tensor inverse(const Tensor& a, Location site) {
  const CallSite scope(site);
  detail::check_square("inverse", a);
  const detail::Factors f = regular_factors("inverse", a, site);
  const Index n = a.size(-1);
  Tensor y = Tensor::zeros(a.shape(), a.dtype(), site);
  detail::dispatch_floating(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = y.mutable_data<T>();
    const T* lu = f.lu.data<T>();
    for (std::size_t i = 0; i < f.zero_pivot.size(); ++i, out += n * n, lu += n * n) {
      for (Index k = 0; k < n; ++k) out[k * (n + 1)] = 1;
      blas::solve_lu(true, n, n, lu, f.pivots.data() + static_cast<Index>(i) * n, out);  // row k of A^-1 is A^-T e_k
    }
  });
  return record(Inverse(), site, {&a}, std::move(y));
}

Tensor solve(const Tensor& a, const Tensor& b, Location site) {
  const CallSite scope(site);
  detail::check_same_dtype("solve", a, b, "the matrix", "the right side");
  if (b.rank() == 1) return squeeze(solve(a, unsqueeze(b, 1, site), site), -1, site);
  const System system = system_of("solve", a, b, site);
  detail::Factors f = regular_factors("solve", system.a.constant(), site);
  Tensor x = solved(f, false, system.b, site);
  return record(Solve(std::move(f)), site, {&system.a, &system.b}, std::move(x));
}

Tensor solve_triangular(const Tensor& l, const Tensor& b, bool upper, Location site) {
  const CallSite scope(site);
  detail::check_same_dtype("solve_triangular", l, b, "the matrix", "the right side");
  if (b.rank() == 1) return squeeze(solve_triangular(l, unsqueeze(b, 1, site), upper, site), -1, site);
  const System system = system_of("solve_triangular", l, b, site);
  const Tensor dense = system.a.constant().contiguous(site);
  const Index n = l.size(-1), k = b.size(-1), matrices = dense.size() == 0 ? 0 : dense.size() / (n * n);
  Tensor y = system.b.clone(site);
  detail::dispatch_floating(l.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* a = dense.data<T>();
    T* x = y.mutable_data<T>();
    for (Index i = 0; i < matrices; ++i)
      for (Index d = 0; d < n; ++d)
        if (a[i * n * n + d * (n + 1)] == 0)
          detail::wrong_matrix("solve_triangular", l, i, fmt::format("is singular: element {} of its diagonal is 0", d + 1));
    for (Index i = 0; i < matrices; ++i) blas::solve_triangular(upper, n, k, a + i * n * n, x + i * n * k);
  });
  return record(SolveTriangular(upper), site, {&system.a, &system.b}, std::move(y));
}

}  // namespace wengert
