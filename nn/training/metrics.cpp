#include "nn/training/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "autodiff/ops.h"
#include "autodiff/tensor/call_site.h"
#include "nn/training/metric.h"
#include "nn/training/text.h"

namespace wengert::nn {
namespace {

constexpr std::size_t kLongestColumnName = 8;

double share(Index part, Index whole) {
  return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(part) / static_cast<double>(whole);
}

// "87.5%"; "-" for NaN.
std::string percent(double share) { return std::isnan(share) ? "-" : fmt::format("{:.1f}%", 100 * share); }

std::vector<std::string> numbered(Index classes) {
  constexpr Index most = 1 << 15;  // 8 GB of counts
  if (classes < 0 || classes > most)
    throw ShapeError(fmt::format("ConfusionMatrix: the number of classes must be in [0, {}], but it is {}", most, classes));
  std::vector<std::string> names;
  for (Index i = 0; i < classes; ++i) names.push_back(fmt::format("{}", i));
  return names;
}

void check_pair(const char* operation, const Tensor& a, const Tensor& labels, int rank, Location site) {
  wengert::detail::check_defined(operation, a, rank == 2 ? "the logits" : "the predictions");
  wengert::detail::check_defined(operation, labels, "the labels");
  if (a.rank() != rank || labels.rank() != 1 || a.size(0) != labels.size(0)) {
    throw ShapeError(fmt::format("{}: {} and labels {} do not fit: {} and (n) are needed", operation, describe(a), describe(labels),
                                 rank == 2 ? "(n, classes)" : "(n)"),
                     CallSite::of(site));
  }
  if (labels.dtype() != int64) {
    throw DtypeError(fmt::format("{}: labels {} must be int64; hint: labels.to(int64)", operation, describe(labels)), CallSite::of(site));
  }
}

// The largest of a single logit tells nothing about the class.
void check_columns(const char* operation, const Tensor& logits, Location site) {
  wengert::detail::check_defined(operation, logits, "the logits");
  if (logits.rank() > 0 && logits.shape().back() == 1)
    throw ShapeError(fmt::format("{}: {} has one column, and a class is the position of the largest of several; hint: "
                                 "binary_accuracy(output, labels), or output >= 0.5, for a model with one output",
                                 operation, describe(logits)),
                     CallSite::of(site));
}

}  // namespace

Tensor predictions(const Tensor& logits, Location site) {
  check_columns("predictions", logits, site);
  return argmax(logits, -1, {}, site);
}

double accuracy(const Tensor& logits, const Tensor& labels, Location site) {
  check_columns("accuracy", logits, site);
  check_pair("accuracy", logits, labels, 2, site);
  const Tensor predicted = predictions(logits, site), expected = labels.contiguous(site);
  const Index *p = predicted.data<Index>(), *e = expected.data<Index>();
  return share(std::inner_product(p, p + predicted.size(), e, Index{0}, std::plus<>(), std::equal_to<>()), labels.size());
}

double top_k_accuracy(const Tensor& logits, const Tensor& labels, Index k, Location site) {
  check_pair("top_k_accuracy", logits, labels, 2, site);
  const Index n = logits.size(0), classes = logits.size(1);
  if (k < 1 || k > classes)
    throw ShapeError(fmt::format("top_k_accuracy: k must be in [1, {}] for {}, but it is {}", classes, describe(logits), k),
                     CallSite::of(site));
  const std::vector<double> z = logits.to_vector<double>();
  const std::vector<Index> expected = labels.to_vector<Index>();
  Index right = 0;
  for (Index row = 0; row < n; ++row) {
    const double* const of_row = z.data() + row * classes;
    const Index label = expected[static_cast<std::size_t>(row)];
    if (label < 0 || label >= classes)
      throw ShapeError(fmt::format("top_k_accuracy: the label {} of row {} is not in [0, {})", label, row, classes), CallSite::of(site));
    Index before = 0;  // logits that come before the label's
    for (Index c = 0; c < classes; ++c) before += of_row[c] > of_row[label] || (of_row[c] == of_row[label] && c < label);
    right += before < k && !std::isnan(of_row[label]);
  }
  return share(right, n);
}

double r_squared(const Tensor& prediction, const Tensor& target, Location site) {
  const Metric metric = Metric::r_squared();
  Metric::Sums sums;
  metric.add(sums, prediction, target, site);
  return metric.value(sums);
}

double binary_accuracy(const Tensor& output, const Tensor& labels, BinaryAccuracyOptions options, Location site) {
  wengert::detail::check_defined("binary_accuracy", output, "the output");
  wengert::detail::check_defined("binary_accuracy", labels, "the labels");
  if (!(output.shape() == labels.shape()) || output.rank() == 0 || output.rank() > 2 || output.size() != output.size(0)) {
    throw ShapeError(
        fmt::format("binary_accuracy: output {} and labels {} do not fit: both must be (n) or (n, 1)", describe(output), describe(labels)),
        CallSite::of(site));
  }
  const std::vector<double> y = output.to_vector<double>(), t = labels.to_vector<double>();
  Index right = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    if (t[i] != 0 && t[i] != 1) {
      throw ValueError(fmt::format("binary_accuracy: labels must be 0 or 1, but {} has {} at position {}", describe(labels), t[i], i),
                       CallSite::of(site));
    }
    right += (y[i] >= options.threshold) == (t[i] == 1);
  }
  return share(right, output.size());
}

ConfusionMatrix::ConfusionMatrix(Index classes) : ConfusionMatrix(numbered(classes)) {}

ConfusionMatrix::ConfusionMatrix(std::vector<std::string> names) : names_(std::move(names)), counts_(names_.size() * names_.size()) {}

void ConfusionMatrix::add(const Tensor& predictions, const Tensor& labels, Location site) {
  check_pair("ConfusionMatrix::add", predictions, labels, 1, site);
  if (predictions.dtype() != int64) {
    throw DtypeError(fmt::format("ConfusionMatrix::add: predictions {} must be int64", describe(predictions)), CallSite::of(site));
  }
  const std::vector<Index> predicted = predictions.to_vector<Index>(), expected = labels.to_vector<Index>();
  for (const auto* classes_of : {&predicted, &expected}) {
    for (const Index c : *classes_of) {
      if (c < 0 || c >= classes()) {
        throw ShapeError(fmt::format("ConfusionMatrix::add: class {} is not in [0, {})", c, classes()), CallSite::of(site));
      }
    }
  }
  for (std::size_t i = 0; i < predicted.size(); ++i) ++counts_[static_cast<std::size_t>(expected[i] * classes() + predicted[i])];
}

void ConfusionMatrix::check_class(const char* operation, Index c) const {
  if (c < 0 || c >= classes()) throw ShapeError(fmt::format("ConfusionMatrix::{}: class {} is not in [0, {})", operation, c, classes()));
}

Index ConfusionMatrix::count(Index label, Index predicted) const {
  check_class("count", label);
  check_class("count", predicted);
  return counts_[static_cast<std::size_t>(label * classes() + predicted)];
}

Index ConfusionMatrix::total() const { return std::accumulate(counts_.begin(), counts_.end(), Index{0}); }

double ConfusionMatrix::accuracy() const {
  Index right = 0;
  for (Index c = 0; c < classes(); ++c) right += count(c, c);
  return share(right, total());
}

double ConfusionMatrix::recall(Index label) const {
  check_class("recall", label);
  Index examples = 0;
  for (Index predicted = 0; predicted < classes(); ++predicted) examples += count(label, predicted);
  return share(count(label, label), examples);
}

double ConfusionMatrix::precision(Index predicted) const {
  check_class("precision", predicted);
  Index times = 0;
  for (Index label = 0; label < classes(); ++label) times += count(label, predicted);
  return share(count(predicted, predicted), times);
}

std::string ConfusionMatrix::to_string() const {
  const std::string corner = "true \\ predicted", last_row = "precision", last_column = "recall";
  std::size_t name_width = std::max(text::width(corner), text::width(last_row));
  std::size_t column_width = text::width("100.0%");
  for (const std::string& name : names_) {
    name_width = std::max(name_width, text::width(name));
    column_width = std::max(column_width, std::min(text::width(name), kLongestColumnName));
  }
  for (const Index n : counts_) column_width = std::max(column_width, fmt::formatted_size("{}", n));

  const auto cell = [&](std::string_view s) { return "  " + text::right(text::clipped(s, column_width), column_width); };
  std::string table = text::left(corner, name_width);
  for (const std::string& name : names_) table += cell(name);
  table += cell(last_column) + '\n';
  for (Index label = 0; label < classes(); ++label) {
    table += text::left(names_[static_cast<std::size_t>(label)], name_width);
    for (Index predicted = 0; predicted < classes(); ++predicted) table += cell(fmt::format("{}", count(label, predicted)));
    table += cell(percent(recall(label))) + '\n';
  }
  table += text::left(last_row, name_width);
  for (Index predicted = 0; predicted < classes(); ++predicted) table += cell(percent(precision(predicted)));
  table += cell(percent(accuracy())) + '\n';
  return table;
}

}  // namespace wengert::nn
