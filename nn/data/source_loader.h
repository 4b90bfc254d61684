#pragma once
// Data larger than memory: batches of examples that are made one by one, by several threads.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/tensor/random.h"
#include "autodiff/tensor/tensor.h"
#include "nn/data/loader.h"

namespace wengert::nn {

struct SourceLoaderOptions {
  Index batch_size = 32;
  /// Whether each epoch goes through the examples in a random order of its own.
  bool shuffle = false;
  /// Leaves out the last batch of an epoch if it is not full.
  bool drop_last = false;
  /// What orders and the transform's numbers are drawn from.
  std::uint64_t seed = kDefaultSeed;
  /// Threads that make batches in the background; 0: each is made when it is asked for. The batches, and their order, are the same.
  Index workers = 0;
  /// How many batches at most are made ahead of the one in use, by all workers together.
  Index prefetch = 4;
  /// Applied to every batch.
  BatchTransform transform = {};
};

/// Batches of examples that a function gives by their number: `example(i)`, i in [0, examples), returns one example as a Batch without the
/// dimension of the batch, x (...) and y (...), all of the same shapes and dtypes. With workers, several threads call it at the same time.
///
///     const MappedNpy pixels("pixels.npy"), labels("labels.npy");
///     const nn::SourceLoader loader(pixels.size(), [&](Index i) { return nn::Batch{pixels.row(i), labels.row(i)}; },
///                                   {.batch_size = 64, .shuffle = true, .workers = 2});
///     for (Index epoch = 0; epoch < 10; ++epoch)
///       for (auto it = loader.begin(epoch); it != loader.end(); ++it) ... *it ...
///
/// A batch depends on the seed, the number of the epoch and its place in the epoch alone. Errors of the function are thrown where the
/// batch is requested.
class SourceLoader {
 public:
  /// A ShapeError if the batch size is not positive, or a number negative.
  template <class F>
  requires std::is_invocable_r_v<Batch, const F&, Index> SourceLoader(Index examples, F example, const SourceLoaderOptions& options = {})
      : SourceLoader(examples, std::make_shared<const SourceOf<F>>(std::move(example)), options) {}

  /// How many examples the source has.
  Index examples() const { return examples_; }
  /// How many batches an epoch has.
  Index batches() const;
  /// Batch `index` of epoch `epoch`. A ShapeError if there is none, or if its examples differ in shape or dtype.
  Batch batch(Index epoch, Index index) const;

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
    Batch operator*() const;
    Iterator& operator++() {
      ++batch_;
      return *this;
    }
    void operator++(int) { ++batch_; }
    friend bool operator==(const Iterator& i, std::default_sentinel_t) { return i.batch_ == i.loader_->batches(); }

   private:
    friend class SourceLoader;
    class Workers;
    Iterator(const SourceLoader& loader, Index epoch);

    const SourceLoader* loader_;
    Tensor order_;
    Index epoch_, batch_ = 0;
    std::optional<std::vector<Index>> only_;
    mutable std::unique_ptr<Workers> workers_;  // from the first batch on
  };

  Iterator begin(Index epoch = 0) const { return {*this, epoch}; }
  std::default_sentinel_t end() const { return {}; }

 private:
  struct Source {
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;
    virtual Batch example(Index i) const = 0;
  };
  template <class F> struct SourceOf final : Source {
    explicit SourceOf(F function) : function(std::move(function)) {}
    Batch example(Index i) const override { return function(i); }
    F function;
  };

  SourceLoader(Index examples, std::shared_ptr<const Source> source, const SourceLoaderOptions& options);
  Tensor order_of(Index epoch) const;
  Batch make(const Tensor& order, Index epoch, Index index) const;

  Index examples_;
  std::shared_ptr<const Source> source_;
  SourceLoaderOptions options_;
};

}  // namespace wengert::nn
