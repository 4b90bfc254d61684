#pragma once
// Measures of predictions that arrive in batches.
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/tensor/tensor.h"
#include "nn/training/loss.h"
#include "nn/training/shared_function.h"

namespace wengert::nn {

/// A measure over many batches, for `fit` and `evaluate`: a name, sums that grow with every batch, and the value that follows from them.
/// What has been added is in the sums alone, so they can be saved, and a metric can be shared.
///
///     const nn::Metric accuracy = nn::Metric::accuracy();
///     nn::Metric::Sums sums;
///     for (const auto& [x, y] : loader) accuracy.add(sums, model(x), y);
///     fmt::print("{}\n", accuracy.value(sums));
class Metric {
 public:
  /// What has been added up so far. It begins empty.
  using Sums = std::vector<double>;

  /// The fraction of rows whose largest logit is at the label: logits (n, classes), labels of n elements.
  static Metric accuracy();
  /// The fraction of rows whose label is among the k largest logits: "top-5 accuracy".
  static Metric top_k_accuracy(Index k);
  /// For models with one output: the fraction of examples on the correct side of the threshold.
  static Metric binary_accuracy(double threshold = 0.5);
  /// R^2 over all elements of all batches, as nn::r_squared.
  static Metric r_squared();
  /// The mean of a function of prediction and target, such as a loss, which gives the mean over a batch, as a number or a tensor of one
  /// element. A batch counts by its rows, target.size(0).
  static Metric mean(std::string name, Loss function);
  template <class F>
  requires std::is_invocable_r_v<double, const F&, const Tensor&, const Tensor&>
  static Metric mean(const std::string& name, F function) { return mean_of(name, std::move(function)); }

  /// As it stands in logs.
  const std::string& name() const { return name_; }
  /// Takes a batch into the sums, which begin empty. Errors are those of the function of the same name.
  void add(Sums& sums, const Tensor& prediction, const Tensor& target, Location site = Location::here()) const {
    add_(sums, prediction, target, site);
  }
  /// Takes what was added to other sums, as if their batches had come after those in `sums`.
  void merge(Sums& sums, const Sums& other) const {
    if (sums.empty()) {
      sums = other;
    } else if (!other.empty()) {
      merge_(sums, other);
    }
  }
  /// NaN if nothing has been added.
  double value(const Sums& sums) const { return sums.empty() ? undefined() : value_(sums); }

 private:
  Metric(std::string name, SharedFunction<void(Sums&, const Tensor&, const Tensor&, Location)> add, void (*merge)(Sums&, const Sums&),
         SharedFunction<double(const Sums&)> value)
      : name_(std::move(name)), add_(std::move(add)), merge_(merge), value_(std::move(value)) {}
  static Metric mean_of(std::string name, SharedFunction<double(const Tensor&, const Tensor&)> function);
  static double undefined();

  std::string name_;
  SharedFunction<void(Sums&, const Tensor&, const Tensor&, Location)> add_;
  void (*merge_)(Sums&, const Sums&);
  SharedFunction<double(const Sums&)> value_;
};

}  // namespace wengert::nn
