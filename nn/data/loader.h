#pragma once
// Batches of a data set, in a new order every epoch.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/tensor/random.h"
#include "autodiff/tensor/tensor.h"
#include "nn/data/idx.h"

namespace wengert::nn {

/// Some examples: inputs x (n, ...) and targets y (n, ...).
struct Batch {
  Tensor x, y;
};

/// What a loader does to every batch: any function that takes a batch and a generator and returns a batch.
///
///     [](nn::Batch b, Generator& g) { return nn::Batch{nn::random_flip(b.x, {}, g), b.y}; }
class BatchTransform {
 public:
  BatchTransform() = default;
  template <class F>
  requires(!std::same_as<F, BatchTransform> && std::is_invocable_r_v<Batch, const F&, Batch, Generator&>) BatchTransform(F function)
      : function_(std::make_shared<FunctionOf<F>>(std::move(function))) {}

  explicit operator bool() const { return function_ != nullptr; }
  Batch operator()(Batch batch, Generator& generator) const { return function_->call(std::move(batch), generator); }

 private:
  struct Function {
    virtual ~Function() = default;
    virtual Batch call(Batch batch, Generator& generator) const = 0;
  };
  template <class F> struct FunctionOf final : Function {
    explicit FunctionOf(F function) : function(std::move(function)) {}
    Batch call(Batch batch, Generator& generator) const override { return function(std::move(batch), generator); }
    F function;
  };

  std::shared_ptr<const Function> function_;
};

struct LoaderOptions {
  Index batch_size = 32;
  /// Whether each epoch goes through the examples in a new random order.
  bool shuffle = false;
  /// Leaves out the last batch of an epoch if it is not full.
  bool drop_last = false;
  /// How many batches a thread in the background makes ahead of the one in use; 0: each is made when it is asked for. The batches are the
  /// same.
  Index prefetch = 0;
  /// Applied to every batch, in the background if batches are made there. Its generator depends on the epoch and the batch alone.
  BatchTransform transform = {};
  /// What orders and the transform's generators are drawn from, when an epoch begins; it must outlive the loader. Null: the thread's
  /// default generator.
  Generator* generator = nullptr;
};

/// A range of batches. Each loop over it is one epoch:
///
///     for (auto [x, y] : loader) ...
///
/// A batch is a copy of its examples in memory of the pool: after the first epoch the heap is not used any more, except for the thread of
/// `prefetch`. An exception in that thread is thrown where the batch is requested; leaving a loop early ends the thread.
class DataLoader {
 public:
  /// Inputs (n, ...) and targets (n, ...). A ShapeError if they are not equally many, the batch size is not positive, or `prefetch` is
  /// negative.
  DataLoader(const Tensor& x, const Tensor& y, const LoaderOptions& options = {}, Location site = Location::here());
  explicit DataLoader(const Batch& examples, const LoaderOptions& options = {}, Location site = Location::here())
      : DataLoader(examples.x, examples.y, options, site) {}
  explicit DataLoader(const LabelledImages& data, const LoaderOptions& options = {}, Location site = Location::here())
      : DataLoader(data.images, data.labels, options, site) {}

  /// An epoch in progress. It must not outlive the loader.
  class Iterator {
   public:
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;

    Iterator(Iterator&& o) noexcept;
    Iterator& operator=(Iterator&& o) noexcept;
    ~Iterator();

    /// Before the first batch is asked for: none will be but these, in ascending order. Those alone are made in the background.
    void only(std::vector<Index> batches);
    /// The batch; a ShapeError at the end of the epoch.
    Batch operator*() const;
    Iterator& operator++() {
      ++batch_;
      return *this;
    }
    void operator++(int) { ++batch_; }
    friend bool operator==(const Iterator& i, std::default_sentinel_t) { return i.batch_ == i.loader_->batches(); }

   private:
    friend class DataLoader;
    class Prefetch;
    Iterator(const DataLoader& loader, Tensor order, std::uint64_t seed);

    const DataLoader* loader_;
    Tensor order_;  // of the examples: (n) int64; undefined if they are not shuffled
    std::uint64_t seed_;
    Index batch_ = 0;
    std::optional<std::vector<Index>> only_;
    mutable std::unique_ptr<Prefetch> prefetch_;  // from the first batch on
  };

  /// Starts an epoch, which draws its order.
  Iterator begin() const;
  std::default_sentinel_t end() const { return {}; }

  /// The number of examples.
  Index examples() const { return x_.size(0); }
  /// What `LoaderOptions::generator` is; null for the thread's default generator.
  Generator* generator() const { return options_.generator; }
  /// How many batches an epoch has.
  Index batches() const;

 private:
  /// A batch of the epoch with that order and seed.
  Batch make(const Tensor& order, std::uint64_t seed, Index batch) const;

  Tensor x_, y_;
  LoaderOptions options_;
};

struct SplitOptions {
  /// The fractions of the examples that are held out for validation and for a test.
  double validation = 0.2, test = 0;
  /// Whether they are chosen at random; otherwise they are the last ones, those of the test behind those of the validation.
  bool shuffle = true;
  /// Null: the thread's default generator.
  Generator* generator = nullptr;
};

/// Three disjoint parts of a data set; a part without a share is undefined.
struct Split {
  Batch train, validation, test;  ///< a part whose fraction is 0 is undefined
};

/// Splits examples x (n, ...), y (n, ...) into two or three parts; all are copies. A ShapeError if a part whose fraction is not 0, or the
/// rest for training, would be empty.
Split split_examples(const Tensor& x, const Tensor& y, SplitOptions options = {}, Location site = Location::here());

/// The given positions along the first dimension, copied: (n, ...) -> (rows.size(), ...). A constant.
Tensor take_rows(const Tensor& x, std::span<const Index> rows, Location site = Location::here());

}  // namespace wengert::nn
