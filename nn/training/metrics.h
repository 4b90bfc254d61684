#pragma once
// How good predictions are.
#include <string>
#include <vector>

#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

/// The class of each row: the position of its largest logit. logits (n, classes) -> (n) int64. A ShapeError for a single column, whose
/// largest logit is always at 0: `binary_accuracy` and `output >= 0.5` are for models with one output.
Tensor predictions(const Tensor& logits, Location site = Location::here());

/// The fraction of rows whose largest logit is at the label: logits (n, classes), labels (n) int64 -> [0, 1]; NaN for n = 0.
double accuracy(const Tensor& logits, const Tensor& labels, Location site = Location::here());

/// The fraction of rows whose label is among the k largest logits: logits (n, classes), labels (n) int64 -> [0, 1]; NaN for n = 0. Of equal
/// logits the first ones count as larger. A ShapeError unless k is in [1, classes].
double top_k_accuracy(const Tensor& logits, const Tensor& labels, Index k, Location site = Location::here());

/// The coefficient of determination, R^2 = 1 - sum (y - y_hat)^2 / sum (y - mean y)^2, of predictions y_hat and targets y of the same
/// shape, all elements together: 1 is perfect, 0 is what their mean would reach. NaN for fewer than two elements; for equal targets 1 if
/// every prediction is right, and -infinity otherwise.
double r_squared(const Tensor& prediction, const Tensor& target, Location site = Location::here());

struct BinaryAccuracyOptions {
  double threshold = 0.5;  ///< the smallest output that counts as class 1: 0.5 for probabilities, 0 for logits
};
/// The fraction of examples of two classes that are on the correct side of the threshold, for models with one output: output (n) or (n, 1),
/// labels of the same shape, 0 or 1 in any dtype -> [0, 1]; NaN for n = 0. A ValueError for other labels.
double binary_accuracy(const Tensor& output, const Tensor& labels, BinaryAccuracyOptions options = {}, Location site = Location::here());

/// How often examples of each class were predicted as each class.
class ConfusionMatrix {
 public:
  /// Classes called "0", "1", ...
  explicit ConfusionMatrix(Index classes);
  explicit ConfusionMatrix(std::vector<std::string> names);

  /// Counts predictions (n) against labels (n), both int64 in [0, classes).
  void add(const Tensor& predictions, const Tensor& labels, Location site = Location::here());

  /// The number of classes.
  Index classes() const { return static_cast<Index>(names_.size()); }
  /// How many examples of class `label` were predicted as `predicted`. Here and below, a class out of range is a ShapeError.
  Index count(Index label, Index predicted) const;
  Index total() const;
  /// The fraction of examples that were predicted correctly; NaN without examples.
  double accuracy() const;
  /// The fraction of a class's examples that were predicted correctly; NaN if there are none.
  double recall(Index label) const;
  /// The fraction of a class's predictions that were correct; NaN if there are none.
  double precision(Index predicted) const;

  /// A table for a terminal: a row for each true class with its recall, a column for each predicted one with its precision.
  std::string to_string() const;

 private:
  void check_class(const char* operation, Index c) const;

  std::vector<std::string> names_;
  std::vector<Index> counts_;  // (label, predicted), row by row
};

}  // namespace wengert::nn
