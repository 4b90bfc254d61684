#include "autodiff/ops/broadcast.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "autodiff/tensor/label.h"

namespace wengert::detail {
namespace {

// The size of the `i`th dimension counted from the last; 1 for missing dimensions.
Index size_from_last(const Shape& s, int i) { return i <= s.rank() ? s[s.rank() - i] : 1; }

}  // namespace

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  if (a == b) return a;
  Shape r;
  r.resize(std::max(a.rank(), b.rank()));
  for (int i = 1; i <= r.rank(); ++i) {
    const Index p = size_from_last(a, i), q = size_from_last(b, i);
    if (p != q && p != 1 && q != 1) return std::nullopt;
    r[r.rank() - i] = p == 1 ? q : p;
  }
  return r;
}

Dtype common_dtype(const char* operation, const Operand& a, const Operand& b, const char* a_name, const char* b_name) {
  for (const Operand* operand : {&a, &b})
    if (operand->is_tensor()) {
      check_defined(operation, operand->tensor(), operand == &a ? a_name : b_name);
      return operand->tensor().dtype();
    }
  return float64;
}

bool broadcasts_to(const Tensor& x, const Shape& shape) {
  const int added = shape.rank() - x.rank();
  bool fits = added >= 0;
  for (int d = 0; fits && d < x.rank(); ++d) fits = x.shape()[d] == 1 || x.shape()[d] == shape[d + added];
  return fits;
}

Shape broadcast_shape(const char* operation, const Tensor& a, const Tensor& b, const char* a_name, const char* b_name) {
  check_defined(operation, a, a_name);
  check_defined(operation, b, b_name);
  if (a.shape() == b.shape()) return a.shape();
  if (const auto shape = broadcast(a.shape(), b.shape())) return *shape;
  int i = 1;
  const auto differ = [&](Index p, Index q) { return p != q && p != 1 && q != 1; };
  while (!differ(size_from_last(a.shape(), i), size_from_last(b.shape(), i))) ++i;
  throw ShapeError(ErrorText(operation, "the shapes do not broadcast: sizes {} and {} in dimension {}", size_from_last(a.shape(), i),
                             size_from_last(b.shape(), i), -i)
                       .operand(a_name, a)
                       .operand(b_name, b));
}

Shape broadcast_strides(const Tensor& x, const Shape& shape) {
  Shape r;
  r.resize(shape.rank());
  const int added = shape.rank() - x.rank();
  for (int i = 0; i < shape.rank(); ++i) r[i] = i < added || x.shape()[i - added] == 1 ? 0 : x.strides()[i - added];
  return r;
}

namespace {

// The loop for one row of all elements.
void run_row(const kernels::ElementwiseRows& row, std::span<const Tensor* const> x, const Tensor& y, kernels::DenseLoop loop) {
  constexpr Index kFew = 1024;  // not to be shared, whatever they take
  if (row.n <= kFew) return loop(row);
  std::array<Index, kernels::kMaxOperands> sizes;
  const auto end = std::transform(x.begin(), x.end(), sizes.begin(), [](const Tensor* t) { return bytes_of(t->dtype()); });
  kernels::elementwise_dense(row, std::span(sizes.begin(), end), bytes_of(y.dtype()), loop);
}

// elementwise_into for operands of which some are not dense or of another shape. (Apart, since its frame is large.)
[[gnu::noinline]] void broadcast_into(Tensor& y, std::span<const Tensor* const> x, kernels::DenseLoop loop) {
  if (x.size() == 2) {  // beside a dense one, one of a single element
    for (const int k : {0, 1}) {
      if (x[k]->size() != 1 || !x[1 - k]->is_row_major() || x[1 - k]->size() != y.size()) continue;
      kernels::ElementwiseRows r;
      r.n = y.size(), r.y = y.elements()->data, r.repeated = k;
      for (const int i : {0, 1}) r.x[i] = x[i]->elements()->data, r.pitch[i] = 0;
      return run_row(r, x, y, loop);
    }
  }
  std::array<Shape, kernels::kMaxOperands> strides;
  std::array<kernels::StridedOperand, kernels::kMaxOperands> operands;
  for (std::size_t k = 0; k < x.size(); ++k) {
    strides[k] = broadcast_strides(*x[k], y.shape());
    operands[k] = {x[k]->elements()->data, &strides[k], bytes_of(x[k]->dtype())};
  }
  kernels::elementwise_strided(y.shape(), {operands.data(), x.size()}, y.elements()->data, bytes_of(y.dtype()), loop);
}

}  // namespace

void elementwise_into(Tensor& y, std::span<const Tensor* const> x, kernels::DenseLoop loop) {
  const Elements& result = *y.elements();
  kernels::ElementwiseRows r;
  r.n = result.size;
  r.y = result.data;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const Elements& operand = *x[k]->elements();
    if (!operand.row_major || operand.size != result.size) return broadcast_into(y, x, loop);
    r.x[k] = operand.data;
    r.pitch[k] = 0;
  }
  run_row(r, x, y, loop);
}

void floating_into(Tensor& y, std::initializer_list<const Tensor*> x, kernels::DenseLoop float_loop, kernels::DenseLoop double_loop) {
  elementwise_into(y, std::span(x.begin(), x.size()), y.dtype() == float32 ? float_loop : double_loop);
}

Tensor apply_rule(const Tensor& m, std::initializer_list<const Tensor*> x, kernels::DenseLoop float_loop, kernels::DenseLoop double_loop) {
  std::array<const Tensor*, 4> read;
  const auto end = std::transform(x.begin(), x.end(), read.begin(), [&](const Tensor* t) { return t->defined() ? t : &m; });
  Tensor r = Tensor::uninitialized(m.shape(), m.dtype());
  elementwise_into(r, std::span(read.begin(), end), m.dtype() == float32 ? float_loop : double_loop);
  return r;
}

Tensor along_channels(const Tensor& v, const Tensor& x) {
  if (!v.defined() || x.rank() == 2) return v;
  Shape shape{v.size()};
  for (int d = 2; d < x.rank(); ++d) shape.push_back(1);
  return reshape(v, shape);
}

void check_floating(const char* operation, const Tensor& x) {
  check_defined(operation, x);
  if (x.dtype() == boolean)
    throw DtypeError(
        ErrorText(operation, "{} is boolean, which has no arithmetic", describe(x))
            .hint("combine with &&, || and !, reduce with any and all, select with where, count with sum, or convert with .to(float32)"));
  if (!is_floating(x.dtype()))
    throw DtypeError(ErrorText(operation, "{} is not floating", describe(x)).hint("convert it with .to(float32) or .to(float64)"));
}

void check_probability(const char* operation, double p, const Tensor& x) {
  if (!(p >= 0 && p <= 1)) throw ValueError(ErrorText(operation, "the dropout probability {} is not in [0, 1]", p).operand("input", x));
}

void check_same_dtype(const char* operation, const Tensor& a, const Tensor& b, const char* a_name, const char* b_name) {
  check_defined(operation, a, a_name);
  check_defined(operation, b, b_name);
  if (a.dtype() == b.dtype()) return;
  const bool floating_a = is_floating(a.dtype()) || !is_floating(b.dtype());
  const bool keep_a = is_parameter_value(a) == is_parameter_value(b) ? floating_a : is_parameter_value(a);
  const bool model_too = !keep_a && is_parameter_value(b) && is_floating(a.dtype());
  throw DtypeError(ErrorText(operation, "the dtypes differ")
                       .operand(a_name, a)
                       .operand(b_name, b)
                       .hint(fmt::format("convert {} with .to({}){}", keep_a ? b_name : a_name, to_string(keep_a ? a.dtype() : b.dtype()),
                                         model_too ? fmt::format(", or the model with .to({})", to_string(a.dtype())) : "")));
}

}  // namespace wengert::detail
