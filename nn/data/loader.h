#pragma once
// Batches of a data set, in a new order every epoch.
#include <iterator>
#include <span>
#include <utility>

#include "autodiff/random.h"
#include "autodiff/tensor.h"
#include "nn/data/idx.h"

namespace wengert::nn {

/// Some examples: inputs x (n, ...) and targets y (n, ...).
struct Batch {
  Tensor x, y;
};

struct LoaderOptions {
  Index batch_size = 32;
  /// Every epoch goes through the examples in another random order.
  bool shuffle = false;
  /// Leaves out the last batch of an epoch if it is not full.
  bool drop_last = false;
  /// What orders are drawn from; it must outlive the loader. Null: the thread's default generator.
  Generator* generator = nullptr;
};

/// A range of batches. Each loop over it is one epoch:
///
///     for (auto [x, y] : loader) ...
///
/// A batch is a copy of its examples in memory of the pool: an epoch asks nothing of the heap once one has passed.
class DataLoader {
 public:
  /// Inputs (n, ...) and targets (n, ...). A ShapeError if they are not equally many or the batch size is not positive.
  DataLoader(const Tensor& x, const Tensor& y, const LoaderOptions& options = {}, Location where = Location::here());
  explicit DataLoader(const Batch& examples, const LoaderOptions& options = {}, Location where = Location::here())
      : DataLoader(examples.x, examples.y, options, where) {}
  explicit DataLoader(const LabelledImages& data, const LoaderOptions& options = {}, Location where = Location::here())
      : DataLoader(data.images, data.labels, options, where) {}

  class Iterator {
   public:
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;

    /// Gathers the batch.
    Batch operator*() const;
    Iterator& operator++() {
      ++batch_;
      return *this;
    }
    void operator++(int) { ++batch_; }
    friend bool operator==(const Iterator& i, std::default_sentinel_t) { return i.batch_ == i.loader_->batches(); }

   private:
    friend class DataLoader;
    Iterator(const DataLoader& loader, Tensor order) : loader_(&loader), order_(std::move(order)) {}

    const DataLoader* loader_;
    Tensor order_;  // of the examples: (n) int64; undefined if they are not shuffled
    Index batch_ = 0;
  };

  /// Starts an epoch, which draws its order.
  Iterator begin() const;
  std::default_sentinel_t end() const { return {}; }

  Index examples() const { return x_.size(0); }
  /// How many batches an epoch has.
  Index batches() const;

 private:
  Tensor x_, y_;
  LoaderOptions options_;
};

struct SplitOptions {
  /// The share of the examples that is kept back for validation.
  double validation = 0.2;
  /// Whether chance decides which; otherwise these are the last.
  bool shuffle = true;
  /// Null: the thread's default generator.
  Generator* generator = nullptr;
};

struct Split {
  Batch train, validation;
};

/// Parts examples x (n, ...), y (n, ...) in two; both copies. A ShapeError if a part would be empty.
Split split_validation(const Tensor& x, const Tensor& y, const SplitOptions& options = {}, Location where = Location::here());

/// The given positions along the first dimension, copied: (n, ...) -> (rows.size(), ...). A constant.
Tensor take_rows(const Tensor& x, std::span<const Index> rows, Location where = Location::here());

}  // namespace wengert::nn
