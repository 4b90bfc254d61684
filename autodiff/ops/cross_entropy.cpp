// Softmax and the negative log-likelihood of a class in one: stable, and one pass each way.
//
//   y = mean_i (ln sum_j e^x_ij - x_i,label(i)):   x_bar = y_bar (softmax(x) - onehot(label)) / n,   y_dot = sum(x_dot (...)) / n
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/ops/broadcast.h"

namespace wengert {
namespace {

/// p = softmax(x) row by row; returns the mean loss.
template <class T> double forward(const T* x, const std::int64_t* labels, T* p, Index n, Index c) {
  double total = 0;
  for (Index i = 0; i < n; ++i, x += c, p += c) {
    const T top = *std::max_element(x, x + c);
    double sum = 0;
    for (Index j = 0; j < c; ++j) {
      p[j] = std::exp(x[j] - top);
      sum += static_cast<double>(p[j]);
    }
    for (Index j = 0; j < c; ++j) p[j] = static_cast<T>(static_cast<double>(p[j]) / sum);
    total += std::log(sum) + static_cast<double>(top) - static_cast<double>(x[labels[i]]);
  }
  return total / static_cast<double>(n);
}

class CrossEntropy : public Operation {  // x: logits, labels; y: loss, softmax of the logits
 public:
  const char* name() const override { return "cross_entropy"; }
  const char* latex() const override { return R"(-\overline{\ln\operatorname{softmax}(#1)_{#2}})"; }
  ValueSet reads(int) const override { return input(0) | input(1) | output(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override { x_bar[0] = slope(s) * y_bar[0]; }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override { y_dot[0] = sum(slope(s) * x_dot[0]); }

 private:
  /// (softmax(x) - onehot(label)) / n
  static Tensor slope(const Saved& s) {
    const Tensor p = recording() ? softmax(s.x(0)) : s.y(1);
    return (p - one_hot(s.x(1), p.size(1)).to(p.dtype())) / p.size(0);
  }
};

}  // namespace

Tensor one_hot(const Tensor& index, Index classes, Location where) {
  if (index.dtype() != int64) throw DtypeError(fmt::format("one_hot: the index {} is not int64", describe(index)));
  const Tensor dense = index.constant().contiguous(where);
  const std::int64_t* at = dense.data<std::int64_t>();
  for (Index i = 0; i < dense.size(); ++i)
    if (at[i] < 0 || at[i] >= classes)
      throw ShapeError(fmt::format("one_hot: index {} at position {} of {} is not in [0, {})", at[i], i, describe(index), classes));
  Shape shape = index.shape();
  shape.push_back(classes);
  Tensor y = Tensor::zeros(shape, int64, where);
  std::int64_t* out = y.mutable_data<std::int64_t>();
  for (Index i = 0; i < dense.size(); ++i) out[i * classes + at[i]] = 1;
  return y;
}

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, Location where) {
  detail::check_floating("cross_entropy", logits);
  if (labels.dtype() != int64) throw DtypeError(fmt::format("cross_entropy: the labels {} are not int64", describe(labels)));
  if (logits.rank() != 2 || labels.rank() != 1 || labels.size() != logits.size(0))
    throw ShapeError(fmt::format(
        "cross_entropy: logits {} and labels {} do not fit; logits must be (n, classes) and labels (n); logits made at {}, labels at {}",
        to_string(logits.shape()), to_string(labels.shape()), to_string(logits.made_at()), to_string(labels.made_at())));
  const Index n = logits.size(0), c = logits.size(1);
  const Tensor x = logits.constant().contiguous(where), t = labels.constant().contiguous(where);
  const std::int64_t* label = t.data<std::int64_t>();
  for (Index i = 0; i < n; ++i)
    if (label[i] < 0 || label[i] >= c)
      throw ShapeError(fmt::format("cross_entropy: label {} at position {} of {} is not in [0, {})", label[i], i, describe(labels), c));

  Tensor y[2] = {Tensor::uninitialized({}, x.dtype(), where), Tensor::uninitialized(x.shape(), x.dtype(), where)};
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    *y[0].mutable_data<T>() = static_cast<T>(forward(x.data<T>(), label, y[1].mutable_data<T>(), n, c));
  });
  const Tensor* inputs[] = {&logits, &t};
  detail::record_all(CrossEntropy(), where, inputs, y);
  return y[0];
}

}  // namespace wengert
