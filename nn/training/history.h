#pragma once
// Measurements of a training, by epoch.
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/tensor/named_tensor.h"
#include "nn/training/figure.h"
#include "nn/training/named_value.h"

namespace wengert::nn {

/// The values of each epoch, under their names:
///
///     history.add({{"train loss", 0.51}, {"test loss", 0.55}, {"train accuracy", 0.82}, {"test accuracy", 0.80}});
///     history.plot("curves.png");
class History {
 public:
  /// The values of the next epoch. A name that first appears in a later epoch, or not in every one, has gaps.
  void add(std::initializer_list<NamedValue> values) { add(std::span(values.begin(), values.size())); }
  void add(std::span<const NamedValue> values);

  /// How many epochs have been added.
  std::size_t epochs() const { return epochs_; }
  /// One value for each epoch, NaN where there was none. An Error that lists the names if there is none of that name.
  const std::vector<double>& values(std::string_view name) const;
  /// The column "epoch" (1, 2, ...) and one for each name.
  std::vector<Column> columns() const;

  /// For checkpoints: "History.epochs", and "History.values.NAME" for each name.
  std::vector<NamedTensor> state() const;
  /// A DataError, which begins with `source`, if that is no such state; nothing has changed then.
  void load_state(std::span<const NamedTensor> state, const std::string& source = "load_state");

  /// The columns as CSV. The file appears whole or not at all.
  void write_csv(const std::string& csv_path) const { write_columns(columns(), csv_path); }
  /// NAME.csv, NAME.gp and NAME.png for `png_path` NAME.png. Names that end in the same word ("train loss", "test loss") share a
  /// panel, and the text before that word ("train") has one colour in all panels. An Error if nothing has been added.
  PictureOutcome plot(const std::string& png_path) const;

 private:
  std::vector<Column> columns_;  // without the epochs; all of length epochs_
  std::size_t epochs_ = 0;
};

}  // namespace wengert::nn
