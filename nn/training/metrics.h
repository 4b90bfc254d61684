#pragma once
// How good predictions are.
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

/// The class of each row: the position of its largest logit. logits (n, classes) -> (n) int64.
Tensor predictions(const Tensor& logits, Location site = Location::here());

/// The share of rows whose largest logit is at the label: logits (n, classes), labels (n) int64 -> [0, 1]; NaN for n = 0.
double accuracy(const Tensor& logits, const Tensor& labels, Location site = Location::here());

/// How often each class was taken for each other.
class ConfusionMatrix {
 public:
  /// Classes called "0", "1", ...
  explicit ConfusionMatrix(Index classes);
  explicit ConfusionMatrix(std::vector<std::string> names);

  /// Counts predictions (n) against labels (n), both int64 in [0, classes).
  void add(const Tensor& predictions, const Tensor& labels, Location site = Location::here());

  Index classes() const { return static_cast<Index>(names_.size()); }
  /// How many examples of class `label` were taken for `predicted`. Here and below, a class that there is not is a ShapeError.
  Index count(Index label, Index predicted) const;
  Index total() const;
  /// The share of all examples that was right; NaN without examples.
  double accuracy() const;
  /// Of the examples of a class, the share that was recognised; NaN if there are none.
  double recall(Index label) const;
  /// Of the predictions of a class, the share that was right; NaN if there are none.
  double precision(Index predicted) const;

  /// A table for a terminal: a row for each true class with its recall, a column for each predicted one with its precision.
  std::string to_string() const;

 private:
  void check_class(const char* operation, Index c) const;

  std::vector<std::string> names_;
  std::vector<Index> counts_;  // (label, predicted), row by row
};

}  // namespace wengert::nn
