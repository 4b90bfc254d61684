// Softmax and the negative log-likelihood of a class in one operation: numerically stable, and one pass each way. Weights and reductions
// are composed around it; smoothed labels and probabilities are composed of log_softmax.
//
//   y_i = ln sum_j e^x_ij - x_i,label(i),  p = softmax(x):
//     x_bar_i = y_bar_i (p_i - onehot(label(i))) + p_i (p_bar_i - sum_j p_bar_ij p_ij)
//     y_dot_i = sum_j p_ij x_dot_ij - x_dot_i,label(i),   p_dot_i = p_i (x_dot_i - sum_j x_dot_ij p_ij)
//
// Where the label is ignored y_i, p_i and their derivatives are 0, whatever x_i holds. The rules read p alone, which therefore is an output
// with a cotangent of its own, for the next order.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "autodiff/kernels/softmax.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

constexpr std::int64_t kIgnored = -1;

class CrossEntropy : public Operation {  // x: logits (n, c), labels (n); y: losses (n), softmax (n, c)
 public:
  const char* name() const override { return "cross_entropy"; }
  const char* latex() const override { return R"(-\ln\operatorname{softmax}(#1)_{#2})"; }
  ValueSet saved_for(int) const override { return input(1) | output(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Tensor &p = s.y(1), &labels = s.x(1);
    if (y_bar[0].defined())
      x_bar[0] = recording() ? counted(labels, y_bar[0]) * (p - targets(labels, p)) : pulled_back(p, labels, y_bar[0]);
    if (!y_bar[1].defined()) return;
    const Tensor through_p = p * (y_bar[1] - sum(p * y_bar[1], 1, {.keepdim = true}));
    x_bar[0] = detail::plus(x_bar[0], through_p);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensor &p = s.y(1), &labels = s.x(1), &dot = x_dot[0];
    y_dot[0] = sum(counted(labels, (p - targets(labels, p)) * dot), 1);
    y_dot[1] = counted(labels, p * (dot - sum(p * dot, 1, {.keepdim = true})));
  }

 private:
  // m, which has a row or a number for each label, with 0 where the label is ignored.
  static Tensor counted(const Tensor& labels, const Tensor& m) {
    return where(unsqueeze(labels, 1) != kIgnored, m.rank() == 1 ? unsqueeze(m, 1) : m, 0);
  }
  static Tensor targets(const Tensor& labels, const Tensor& p) { return one_hot(maximum(labels, 0), p.size(1)).to(p.dtype()); }
  static Tensor pulled_back(const Tensor& p, const Tensor& labels, const Tensor& y_bar) {
    const Tensor from = p.contiguous(), m = y_bar.contiguous();
    Tensor x_bar = Tensor::uninitialized(p.shape(), p.dtype());
    detail::dispatch_floating(p.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const Index n = p.size(0), c = p.size(1);
      const auto* label = labels.data<std::int64_t>();
      const T *in = from.data<T>(), *scale = m.data<T>();
      T* out = x_bar.mutable_data<T>();
      const double ns = kernels::cost::kCopy<T> * static_cast<double>(c);
      kernels::for_blocks_of(n, ns, [=](Index first, Index last) {
        for (Index i = first; i < last; ++i) {
          const T* const from = in + i * c;
          T* const to = out + i * c;
          if (label[i] == kIgnored) {
            std::fill_n(to, c, T(0));
          } else {
            for (Index j = 0; j < c; ++j) to[j] = scale[i] * from[j];
            to[label[i]] = scale[i] * (from[label[i]] - 1);
          }
        }
      });
    });
    return x_bar;
  }
};

// The losses of rows (n, c) for labels in [0, c) or kIgnored.
Tensor losses_of_rows(const Tensor& logits, const Tensor& labels) {
  const Tensor x = logits.constant().contiguous();
  Tensor y[2] = {Tensor::zeros(labels.shape(), x.dtype()), Tensor::uninitialized(x.shape(), x.dtype())};
  detail::dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const Index n = x.size(0), c = x.size(1);
    const T* in = x.data<T>();
    const auto* label = labels.data<std::int64_t>();
    T *loss = y[0].mutable_data<T>(), *p = y[1].mutable_data<T>();
    kernels::for_blocks_of(n, kernels::cost::kFormula<T> * static_cast<double>(c), [=](Index first, Index last) {
      if (c == 0) return;  // without classes, every label is ignored
      kernels::for_each_softmax_row(in + first * c, p + first * c, last - first, c, [=](Index row, T top, double total) {
        const T scale = static_cast<T>(1 / total);
        const Index i = first + row;
        if (label[i] == kIgnored) {
          std::fill_n(p + i * c, c, T(0));
          loss[i] = 0;
          return;
        }
        for (Index j = 0; j < c; ++j) p[i * c + j] *= scale;
        loss[i] = static_cast<T>(std::log(total) + (static_cast<double>(top) - static_cast<double>(in[i * c + label[i]])));
      });
    });
  });
  const Tensor* inputs[] = {&logits, &labels};
  detail::record_all(CrossEntropy(), {}, inputs, y);
  return y[0];
}

// The dimension of the classes: 1, or 0 for a single position.
int class_dim(const Tensor& logits) { return logits.rank() == 1 ? 0 : 1; }

[[noreturn]] void does_not_fit(const char* name, const Tensor& logits, const Tensor& target) {
  std::string hint;
  if (logits.rank() == 2 && target.rank() == 2 && target.size(0) == logits.size(0) && target.size(1) == 1)
    hint = "reshape(labels, {-1})";
  else if (target.dtype() == int64 && target.rank() > 0 && target.shape() == logits.shape())
    hint = fmt::format("for one-hot labels argmax(labels, {}), or .to({}) as probabilities", class_dim(logits), to_string(logits.dtype()));
  throw ShapeError(detail::ErrorText(name, "logits must be (n, classes) and labels (n), both with the same further dimensions")
                       .operand("logits", logits)
                       .operand("labels", target)
                       .hint(hint));
}

// A ValueError where the logits are the result of softmax, which cross_entropy takes itself: a model that ends in Softmax trains, but
// badly. The last few records of the tape tell, if there is one.
void check_not_softmax(const char* name, const Tensor& logits) {
  constexpr std::uint32_t kRecords = 16;
  const detail::TapeState* tape = detail::active_tape();
  if (!tape || !tape->holds(logits)) return;
  const std::uint32_t slot = tape->slot_of(logits), nodes = tape->nodes.size();
  for (std::uint32_t k = nodes; k-- > 0 && nodes - k <= kRecords;) {
    const detail::TapeNode& node = tape->nodes[k];
    if (node.kind != detail::TapeNode::tensors || node.first_output != slot) continue;
    if (std::string_view(node.operation->name()) != "softmax") return;
    throw ValueError(
        detail::ErrorText(name, "the logits are probabilities, the result of softmax, and cross_entropy takes the softmax itself")
            .operand("logits", logits)
            .hint("leave softmax out of the model, or take nll(log(p), labels)"));
  }
}

// (n, c, ...) as (positions, c).
Tensor classes_last(const Tensor& x) {
  const int dim = class_dim(x);
  if (x.rank() == 2) return x;
  Dims order;
  for (int d = 0; d < x.rank(); ++d)
    if (d != dim) order.push_back(d);
  order.push_back(dim);
  const Index c = x.shape()[dim];
  return reshape(permute(x, order), {c > 0 ? x.size() / c : 0, c});
}

void check_class_weight(const char* name, const Tensor& logits, const Tensor& weight) {
  if (!weight.defined()) return;
  detail::check_same_dtype(name, logits, weight, "logits", "class_weight");
  const Index classes = logits.shape()[class_dim(logits)];
  if (weight.rank() != 1 || weight.size() != classes)
    throw ShapeError(detail::ErrorText(name, "the class weights must have the shape ({},), one for each class", classes)
                         .operand("weights", weight)
                         .operand("logits", logits));
}

// The logits' shape without the classes.
Shape positions_of(const Tensor& logits) {
  Shape positions;
  for (int d = 0; d < logits.rank(); ++d)
    if (d != class_dim(logits)) positions.push_back(logits.shape()[d]);
  return positions;
}

struct Labels {
  Tensor values;  // flat, with kIgnored for labels to ignore
  bool all_count = true;
};
Labels checked_labels(const char* name, const Tensor& logits, const Tensor& target, Index ignore) {
  if (!(target.shape() == positions_of(logits))) does_not_fit(name, logits, target);
  const Index classes = logits.shape()[class_dim(logits)];
  Labels labels{reshape(target.constant(), {-1}).clone()};
  auto* label = labels.values.mutable_data<std::int64_t>();
  for (Index i = 0; i < labels.values.size(); ++i) {
    if (label[i] == ignore) {
      label[i] = kIgnored;
      labels.all_count = false;
    } else if (label[i] < 0 || label[i] >= classes) {
      throw ShapeError(
          detail::ErrorText(name, "label {} at position {} is neither in [0, {}) nor the ignored {}", label[i], i, classes, ignore)
              .operand("labels", target));
    }
  }
  return labels;
}

// The reductions except mean, which depends on the kind of target.
Tensor reduced(const Tensor& losses, const Tensor& logits, Reduction reduction) {
  const Shape positions = positions_of(logits);
  if (reduction == Reduction::none) return reshape(losses, positions);
  return reduction == Reduction::sum || positions.rank() == 0 ? sum(losses) : sum(losses) / static_cast<double>(positions[0]);
}

// -sum_j weight_j log_p_j of each row.
Tensor over_all_classes(const Tensor& log_p, const Tensor& weights) {
  return -sum(weights.defined() ? detail::weighted(log_p, weights) : log_p, 1);
}

// The reduced loss for labels, from the loss of each row: applies class weights, label smoothing and the reduction.
Tensor of_labels(const Tensor& logits, const Labels& targets, Tensor losses, const Tensor& class_weight, double smoothing,
                 Reduction reduction) {
  const auto& [labels, all_count] = targets;
  if (all_count && smoothing == 0 && !class_weight.defined())
    return reduction == Reduction::mean ? mean(losses) : reduced(losses, logits, reduction);

  const Tensor counts = labels != kIgnored;
  const Tensor weights =
      class_weight.defined() ? where(counts, index_select(class_weight, 0, maximum(labels, 0)), 0) : counts.to(logits.dtype());
  losses = detail::weighted(losses, weights);
  if (smoothing > 0) {
    const Tensor log_p = log_softmax(where(unsqueeze(counts, 1), classes_last(logits), 0));
    const Tensor spread = where(counts, over_all_classes(log_p, class_weight) / static_cast<double>(log_p.size(1)), 0);
    losses = (1 - smoothing) * losses + smoothing * spread;
  }
  if (reduction != Reduction::mean) return reduced(losses, logits, reduction);
  // If no label counts, the value is 0 / 0 = NaN, but the gradient is 0.
  const Tensor total = sum(weights), share = where(counts, 1 / total, 0);
  return sum(losses * share) + (total - total) / total;
}

Tensor of_probabilities(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  detail::check_same_dtype("cross_entropy", logits, target, "logits", "target");
  const double e = options.label_smoothing;
  const Tensor log_p = log_softmax(classes_last(logits));
  Tensor t = classes_last(target);
  if (e > 0) t = (1 - e) * t + e / static_cast<double>(log_p.size(1));
  if (options.class_weight.defined()) t = t * options.class_weight;
  const Tensor losses = over_all_classes(log_p, t);
  return options.reduction == Reduction::mean ? mean(losses) : reduced(losses, logits, options.reduction);
}

}  // namespace

Tensor one_hot(const Tensor& index, Index classes, Location site) {
  const CallSite scope(site);
  detail::check_defined("one_hot", index, "the index");
  if (index.dtype() != int64)
    throw DtypeError(detail::ErrorText("one_hot", "the index {} is not int64", describe(index)).hint("convert it with .to(int64)"));
  const Tensor dense = index.constant().contiguous(site);
  const std::int64_t* at = dense.data<std::int64_t>();
  for (Index i = 0; i < dense.size(); ++i)
    if (at[i] < 0 || at[i] >= classes)
      throw ShapeError(fmt::format("one_hot: index {} at position {} of {} is not in [0, {})", at[i], i, describe(index), classes));
  Shape shape = index.shape();
  shape.push_back(classes);
  Tensor y = Tensor::zeros(shape, int64, site);
  std::int64_t* out = y.mutable_data<std::int64_t>();
  for (Index i = 0; i < dense.size(); ++i) out[i * classes + at[i]] = 1;
  return y;
}

Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options, Location site) {
  const CallSite scope(site);
  constexpr const char* name = "cross_entropy";
  detail::check_floating(name, logits);
  detail::check_defined(name, target, "the target");
  if (logits.rank() == 0) does_not_fit(name, logits, target);
  check_not_softmax(name, logits);
  check_class_weight(name, logits, options.class_weight);
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1))
    throw ValueError(fmt::format("{}: label_smoothing {} is not in [0, 1]", name, options.label_smoothing));
  if (target.dtype() == int64) {
    const Labels labels = checked_labels(name, logits, target, options.ignore_index);
    const Tensor losses = losses_of_rows(classes_last(logits), labels.values);
    return of_labels(logits, labels, losses, options.class_weight, options.label_smoothing, options.reduction);
  }
  if (!is_floating(target.dtype()) || !(target.shape() == logits.shape()))
    throw DtypeError(detail::ErrorText(name, "the target must be labels of dtype int64, or probabilities in the shape of the logits")
                         .operand("logits", logits)
                         .operand("target", target)
                         .hint(target.shape() == positions_of(logits) ? "convert the labels with .to(int64)" : ""));
  return of_probabilities(logits, target, options);
}

Tensor nll(const Tensor& log_p, const Tensor& labels, const NllOptions& options, Location site) {
  const CallSite scope(site);
  constexpr const char* name = "nll";
  detail::check_floating(name, log_p);
  detail::check_defined(name, labels, "the labels");
  if (labels.dtype() != int64)
    throw DtypeError(detail::ErrorText(name, "the labels {} are not int64", describe(labels)).hint("convert them with .to(int64)"));
  if (log_p.rank() == 0) does_not_fit(name, log_p, labels);
  check_class_weight(name, log_p, options.class_weight);
  const Labels targets = checked_labels(name, log_p, labels, options.ignore_index);
  const Tensor picked = squeeze(gather(classes_last(log_p), 1, unsqueeze(maximum(targets.values, 0), 1)), 1);
  const Tensor losses = targets.all_count ? -picked : where(targets.values != kIgnored, -picked, 0);
  return of_labels(log_p, targets, losses, options.class_weight, 0, options.reduction);
}

}  // namespace wengert
