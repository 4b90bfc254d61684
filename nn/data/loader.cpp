#include "nn/data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "autodiff/tape/tape.h"
#include "autodiff/tensor/call_site.h"
#include "nn/data/batch_count.h"
#include "nn/data/batch_list.h"

namespace wengert::nn {
namespace {

std::size_t row_bytes(const Tensor& x) {
  const Index elements = x.shape().size(1, x.rank());
  return static_cast<std::size_t>(elements) * static_cast<std::size_t>(bytes_of(x.dtype()));  // unsigned: may wrap if x is empty
}

Tensor uninitialized_rows(const Tensor& x, Index rows, Location site) {
  Shape shape = x.shape();
  shape[0] = rows;
  return Tensor::uninitialized(shape, x.dtype(), site);
}

// x must be row-major and the positions must be valid.
Tensor gather(const Tensor& x, const Index* rows, Index count, Location site) {
  Tensor batch = uninitialized_rows(x, count, site);
  const std::size_t bytes = row_bytes(x);
  const auto* from = static_cast<const std::byte*>(x.elements()->data);
  auto* to = static_cast<std::byte*>(batch.elements()->data);
  if (bytes == 0) return batch;
  for (Index i = 0; i < count; ++i)
    std::memcpy(to + static_cast<std::size_t>(i) * bytes, from + static_cast<std::size_t>(rows[i]) * bytes, bytes);
  return batch;
}

// The same for neighbours.
Tensor copy_range(const Tensor& x, Index first, Index count, Location site) {
  Tensor batch = uninitialized_rows(x, count, site);
  const std::size_t bytes = row_bytes(x);
  const auto* from = static_cast<const std::byte*>(x.elements()->data) + static_cast<std::size_t>(first) * bytes;
  if (batch.size() > 0) std::memcpy(batch.elements()->data, from, static_cast<std::size_t>(count) * bytes);
  return batch;
}

Generator& generator_or_default(Generator* generator) { return generator ? *generator : default_generator(); }

void check_examples(const char* operation, const Tensor& x, const Tensor& y) {
  if (!x.defined() || !y.defined())
    throw ShapeError(fmt::format("{}: there are no examples; does this part of a split have a fraction?", operation));
  if (x.rank() == 0 || y.rank() == 0 || x.size(0) != y.size(0)) {
    throw ShapeError(fmt::format("{}: inputs {} and targets {} must have the same number of rows", operation, describe(x), describe(y)));
  }
}

}  // namespace

DataLoader::DataLoader(const Tensor& x, const Tensor& y, const LoaderOptions& options, Location site) : options_(options) {
  check_examples("DataLoader", x, y);
  if (options.batch_size <= 0)
    throw ShapeError(fmt::format("DataLoader: batch_size must be positive, but it is {}", options.batch_size), CallSite::of(site));
  if (options.prefetch < 0)
    throw ShapeError(fmt::format("DataLoader: prefetch must not be negative, but it is {}", options.prefetch), CallSite::of(site));
  x_ = x.constant().contiguous(site);
  y_ = y.constant().contiguous(site);
}

DataLoader::Iterator DataLoader::begin() const {
  Generator& generator = generator_or_default(options_.generator);
  Tensor order = options_.shuffle ? generator.permutation(examples()) : Tensor();
  return {*this, std::move(order), options_.transform ? generator.next_bits() : 0};
}

Index DataLoader::batches() const { return detail::batch_count(examples(), options_.batch_size, options_.drop_last); }

Batch DataLoader::make(const Tensor& order, std::uint64_t seed, Index batch) const {
  const Index first = batch * options_.batch_size, count = std::min(options_.batch_size, examples() - first);
  const auto part = [&](const Tensor& x) {
    return order.defined() ? gather(x, order.data<Index>() + first, count, x.made_at()) : copy_range(x, first, count, x.made_at());
  };
  Batch made{part(x_), part(y_)};
  if (!options_.transform) return made;
  const NoRecord pause;                                                // as in the background, where there is no tape
  Generator generator(seed, static_cast<std::uint64_t>(batch) << 32);  // so far apart that no two batches draw the same numbers
  return options_.transform(std::move(made), generator);
}

// ---- batches made in the background ---------------------------------------------------------------------------------

// A thread that makes the batches of an epoch one after the other, a bounded number of them ahead.
class DataLoader::Iterator::Prefetch {
 public:
  Prefetch(const DataLoader& loader, const Tensor& order, std::uint64_t seed, detail::BatchList list, Index first)
      : loader_(loader),
        order_(order),
        seed_(seed),
        list_(std::move(list)),
        first_(list_.position_of(first)),
        wanted_(first_),
        thread_([this] { run(); }) {}
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;
  ~Prefetch() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // Waits for a batch, and frees those before it.
  Batch get(Index batch) {
    const Index position = list_.position_of(batch);
    std::unique_lock lock(mutex_);
    wanted_ = position;
    while (first_ < position && !made_.empty()) drop_first();
    changed_.notify_all();
    while (true) {
      changed_.wait(lock, [&] { return error_ || !made_.empty(); });
      if (made_.empty()) std::rethrow_exception(error_);
      if (first_ == position) return made_.front();
      drop_first();
    }
  }

 private:
  void run() {
    try {
      for (Index position = wanted_; position < list_.size() && wait_for_room(position); ++position) {
        Batch made = loader_.make(order_, seed_, list_[position]);
        const std::lock_guard lock(mutex_);
        made_.push_back(std::move(made));
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
      changed_.notify_all();
    }
  }
  bool wait_for_room(Index position) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || position - wanted_ <= loader_.options_.prefetch; });
    return !stopped_;
  }
  void drop_first() {
    made_.pop_front();
    ++first_;
  }

  const DataLoader& loader_;
  const Tensor order_;
  const std::uint64_t seed_;
  const detail::BatchList list_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> made_;  // in order, from position first_ of the list on
  Index first_, wanted_;
  bool stopped_ = false;
  std::exception_ptr error_;  // of the batch behind those that are made
  std::thread thread_;        // last: it uses all of the above
};

DataLoader::Iterator::Iterator(const DataLoader& loader, Tensor order, std::uint64_t seed)
    : loader_(&loader), order_(std::move(order)), seed_(seed) {}
DataLoader::Iterator::Iterator(Iterator&& o) noexcept = default;
DataLoader::Iterator& DataLoader::Iterator::operator=(Iterator&& o) noexcept = default;
DataLoader::Iterator::~Iterator() = default;

void DataLoader::Iterator::only(std::vector<Index> batches) { only_ = std::move(batches); }

// The thread starts with the first batch that is asked for: those before it, which a resumed training passes over, are never made.
Batch DataLoader::Iterator::operator*() const {
  if (batch_ >= loader_->batches())
    throw ShapeError(fmt::format("DataLoader: there is no batch {}; the epoch has {}", batch_, loader_->batches()));
  if (loader_->options_.prefetch == 0) return loader_->make(order_, seed_, batch_);
  if (!prefetch_) prefetch_ = std::make_unique<Prefetch>(*loader_, order_, seed_, detail::BatchList(only_, loader_->batches()), batch_);
  return prefetch_->get(batch_);
}

// ---- parts of a data set --------------------------------------------------------------------------------------------

Split split_examples(const Tensor& x, const Tensor& y, SplitOptions options, Location site) {
  check_examples("split_examples", x, y);
  const Index n = x.size(0);
  const auto share_of = [&](double share) {
    return share > 0 && std::isfinite(share) ? std::llround(std::min(share, 1.0) * static_cast<double>(n)) : Index{0};
  };
  const Index validation = share_of(options.validation), test = share_of(options.test), train = n - validation - test;
  const bool nothing_asked = options.validation == 0 && options.test == 0;
  if (train <= 0 || nothing_asked || (options.validation != 0 && validation == 0) || (options.test != 0 && test == 0)) {
    throw ShapeError(
        fmt::format("split_examples: fractions of {} and {} leave {} of {} examples for training, {} for validation, {} for a test; "
                    "each part that has a fraction needs at least one",
                    options.validation, options.test, train, n, validation, test),
        CallSite::of(site));
  }
  const Tensor order =
      options.shuffle ? generator_or_default(options.generator).permutation(n) : Tensor::arange(0, static_cast<double>(n), 1, int64);
  const auto part = [&](Index first, Index count) {
    if (count == 0) return Batch{};
    const std::span<const Index> rows(order.data<Index>() + first, static_cast<std::size_t>(count));
    return Batch{take_rows(x, rows, site), take_rows(y, rows, site)};
  };
  return {part(0, train), part(train, validation), part(train + validation, test)};
}

Tensor take_rows(const Tensor& x, std::span<const Index> rows, Location site) {
  wengert::detail::check_defined("take_rows", x);
  if (x.rank() == 0) throw ShapeError(fmt::format("take_rows: {} has no rows", describe(x)), CallSite::of(site));
  for (const Index row : rows) {
    if (row < 0 || row >= x.size(0))
      throw ShapeError(fmt::format("take_rows: row {} of {} does not exist", row, describe(x)), CallSite::of(site));
  }
  return gather(x.constant().contiguous(site), rows.data(), static_cast<Index>(rows.size()), site);
}

}  // namespace wengert::nn
