#pragma once
// Batches from anywhere: what `fit` trains on and validates with.
#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "nn/data/loader.h"

namespace wengert::nn {

/// What gives batches: a range of them that knows how many there are. Each loop is an epoch. A loader may have `begin(epoch)` beside
/// `begin()`, if its batches depend on the number of the epoch, 0, 1, ..., and `generator()`, the one that it draws from when an epoch
/// begins. Its iterators may have `only`, as those of DataLoader.
template <class L> concept BatchRange = requires(const L& loader) {
  { *loader.begin() } -> std::convertible_to<Batch>;
  loader.begin() == loader.end();
  { loader.batches() } -> std::convertible_to<Index>;
};

/// A DataLoader, any other loader, or examples that are cut into batches. It holds a copy of the loader; tensors are shared.
class Batches {
 public:
  Batches() = default;
  /// Examples in their order, 500 at a time.
  Batches(const Batch& examples);  // NOLINT(google-explicit-constructor): fit takes data as they are
  template <BatchRange L>
  requires(!std::same_as<L, Batches>) Batches(L loader)  // NOLINT(google-explicit-constructor)
      : source_(std::make_shared<SourceOf<L>>(std::move(loader))) {}

  /// Whether there are any.
  explicit operator bool() const { return source_ != nullptr; }
  /// In an epoch.
  Index batches() const { return source_->batches(); }
  /// Null if the loader has none, or draws from the thread's default generator.
  Generator* generator() const { return source_->generator(); }

  /// An epoch in progress.
  class Epoch {
   public:
    Epoch() = default;
    Epoch(const Epoch&) = delete;
    Epoch& operator=(const Epoch&) = delete;
    virtual ~Epoch() = default;
    /// Before the first batch is made: none will be but these, in ascending order. A loader that makes batches in the background makes
    /// no others.
    virtual void only(std::vector<Index> batches) = 0;
    /// Goes past a batch without making it.
    virtual void skip() = 0;
    /// Makes the next batch; false at the end.
    virtual bool next(Batch& batch) = 0;
  };
  std::unique_ptr<Epoch> begin(Index epoch) const { return source_->begin(epoch); }

 private:
  struct Source {
    Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;
    virtual ~Source() = default;
    virtual std::unique_ptr<Epoch> begin(Index epoch) const = 0;
    virtual Index batches() const = 0;
    virtual Generator* generator() const = 0;
  };
  template <class L> struct SourceOf final : Source {
    explicit SourceOf(L loader) : loader(std::move(loader)) {}
    std::unique_ptr<Epoch> begin(Index epoch) const override { return std::make_unique<EpochOf<L>>(loader, epoch); }
    Index batches() const override { return loader.batches(); }
    Generator* generator() const override {
      if constexpr (requires {
                      { loader.generator() } -> std::same_as<Generator*>;
                    }) {
        return loader.generator();
      } else {
        return nullptr;
      }
    }
    L loader;
  };
  template <class L> struct EpochOf final : Epoch {
    EpochOf(const L& loader, Index epoch) : loader(loader), at(first(loader, epoch)) {}
    void only([[maybe_unused]] std::vector<Index> batches) override {
      if constexpr (requires { at.only(std::move(batches)); }) at.only(std::move(batches));
    }
    void skip() override { ++at; }
    bool next(Batch& batch) override {
      if (at == loader.end()) return false;
      batch = *at;
      ++at;
      return true;
    }
    static auto first(const L& loader, [[maybe_unused]] Index epoch) {
      if constexpr (requires { loader.begin(epoch); }) {
        return loader.begin(epoch);
      } else {
        return loader.begin();
      }
    }
    const L& loader;
    decltype(std::declval<const L&>().begin()) at;
  };

  std::shared_ptr<const Source> source_;
};

}  // namespace wengert::nn
