#include "nn/data/source_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "autodiff/tape/tape.h"
#include "autodiff/tensor/dispatch.h"
#include "nn/data/batch_count.h"
#include "nn/data/batch_list.h"

namespace wengert::nn {
namespace {

// The generators of an epoch are far apart in the stream of the seed: one for the order, one for each batch.
Generator generator_of(std::uint64_t seed, Index epoch) {
  return Generator(Generator(seed, static_cast<std::uint64_t>(epoch)).next_bits());
}

std::uint64_t counter_of_batch(Index index) { return static_cast<std::uint64_t>(index + 1) << 32; }

// Copies the parts, all of one shape and dtype, one behind the other.
class Stack {
 public:
  Stack(const char* what, Index count) : what_(what), count_(count) {}

  void put(Index at, Index example, const Tensor& part) {
    wengert::detail::check_defined("SourceLoader", part, what_);
    if (at == 0) {
      Shape shape{count_};
      for (int d = 0; d < part.rank(); ++d) shape.push_back(part.size(d));
      all_ = Tensor::uninitialized(shape, part.dtype(), part.made_at());
      shape_ = part.shape();
    }
    if (part.shape() != shape_ || part.dtype() != all_.dtype()) {
      throw ShapeError(fmt::format("SourceLoader: {} of example {} is {}, but others of its batch are {} {}", what_, example,
                                   describe(part), to_string(shape_), to_string(all_.dtype())));
    }
    const Tensor dense = part.constant().contiguous();
    wengert::detail::dispatch(dense.dtype(), [&](auto zero) {
      using T = decltype(zero);
      if (dense.size() > 0) std::copy_n(dense.data<T>(), dense.size(), all_.mutable_data<T>() + at * dense.size());
    });
  }
  Tensor take() { return std::move(all_); }

 private:
  const char* what_;
  Index count_;
  Shape shape_;  // of each part
  Tensor all_;
};

}  // namespace

SourceLoader::SourceLoader(Index examples, std::shared_ptr<const Source> source, const SourceLoaderOptions& options)
    : examples_(examples), source_(std::move(source)), options_(options) {
  const auto check_at_least = [](const char* option, Index value, Index min) {
    if (value < min) throw ShapeError(fmt::format("SourceLoader: {} must be at least {}, but it is {}", option, min, value));
  };
  check_at_least("the number of examples", examples, 0);
  check_at_least("batch_size", options.batch_size, 1);
  check_at_least("workers", options.workers, 0);
  check_at_least("prefetch", options.prefetch, 0);
}

Index SourceLoader::batches() const { return detail::batch_count(examples_, options_.batch_size, options_.drop_last); }

Tensor SourceLoader::order_of(Index epoch) const {
  return options_.shuffle ? generator_of(options_.seed, epoch).permutation(examples_) : Tensor();
}

Batch SourceLoader::batch(Index epoch, Index index) const {
  if (index < 0 || index >= batches() || epoch < 0)
    throw ShapeError(fmt::format("SourceLoader: there is no batch {} of epoch {}; an epoch has {}", index, epoch, batches()));
  return make(order_of(epoch), epoch, index);
}

Batch SourceLoader::make(const Tensor& order, Index epoch, Index index) const {
  const NoRecord pause;
  const Index first = index * options_.batch_size, count = std::min(options_.batch_size, examples_ - first);
  Stack x("the input", count), y("the target", count);
  for (Index k = 0; k < count; ++k) {
    const Index i = order.defined() ? order.data<Index>()[first + k] : first + k;
    const Batch example = source_->example(i);
    x.put(k, i, example.x);
    y.put(k, i, example.y);
  }
  Batch made{x.take(), y.take()};
  if (!options_.transform) return made;
  Generator generator(generator_of(options_.seed, epoch).seed(), counter_of_batch(index));
  return options_.transform(std::move(made), generator);
}

// ---- batches made in the background ---------------------------------------------------------------------------------

// Threads that make the batches of an epoch, each the next one that nobody has begun, a bounded number of them ahead.
class SourceLoader::Iterator::Workers {
 public:
  Workers(const SourceLoader& loader, const Tensor& order, Index epoch, detail::BatchList list, Index first)
      : loader_(loader), order_(order), epoch_(epoch), list_(std::move(list)), next_(list_.position_of(first)), wanted_(next_) {
    try {
      for (Index i = 0; i < loader.options_.workers; ++i) threads_.emplace_back([this] { run(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() { stop(); }

  // Waits for a batch, and frees those before it.
  Batch get(Index batch) {
    const Index position = list_.position_of(batch);
    std::unique_lock lock(mutex_);
    wanted_ = position;
    std::erase_if(made_, [&](const auto& entry) { return entry.first < position; });
    next_ = std::max(next_, position);
    changed_.notify_all();
    changed_.wait(lock, [&] { return made_.contains(position); });
    const Made& made = made_.at(position);
    if (made.error) std::rethrow_exception(made.error);
    return made.batch;
  }

 private:
  struct Made {
    Batch batch;
    std::exception_ptr error;
  };

  void run() {
    while (true) {
      Index mine;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopped_ || next_ >= list_.size() || next_ - wanted_ <= loader_.options_.prefetch; });
        if (stopped_ || next_ >= list_.size()) return;
        mine = next_++;
      }
      Made made;
      try {
        made.batch = loader_.make(order_, epoch_, list_[mine]);
      } catch (...) {
        made.error = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      if (mine >= wanted_) made_.emplace(mine, std::move(made));
      changed_.notify_all();
    }
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  const SourceLoader& loader_;
  const Tensor order_;
  const Index epoch_;
  const detail::BatchList list_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<Index, Made> made_;  // by their positions in the list
  Index next_, wanted_;                   // the position of the first batch that nobody has begun; of the one that is asked for
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

SourceLoader::Iterator::Iterator(const SourceLoader& loader, Index epoch) : loader_(&loader), epoch_(epoch) {
  if (epoch < 0) throw ShapeError(fmt::format("SourceLoader: there is no epoch {}; the first is 0", epoch));
  order_ = loader.order_of(epoch);
}
SourceLoader::Iterator::Iterator(Iterator&& o) noexcept = default;
SourceLoader::Iterator& SourceLoader::Iterator::operator=(Iterator&& o) noexcept = default;
SourceLoader::Iterator::~Iterator() = default;

void SourceLoader::Iterator::only(std::vector<Index> batches) { only_ = std::move(batches); }

// The threads start with the first batch that is asked for: those before it, which a resumed training passes over, are never made.
Batch SourceLoader::Iterator::operator*() const {
  if (batch_ >= loader_->batches())
    throw ShapeError(fmt::format("SourceLoader: there is no batch {}; the epoch has {}", batch_, loader_->batches()));
  if (loader_->options_.workers == 0) return loader_->make(order_, epoch_, batch_);
  if (!workers_) workers_ = std::make_unique<Workers>(*loader_, order_, epoch_, detail::BatchList(only_, loader_->batches()), batch_);
  return workers_->get(batch_);
}

}  // namespace wengert::nn
