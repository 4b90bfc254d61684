#pragma once
// Ranks that are threads of this process, for tests of everything but MPI itself.
#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <optim/ranks.h>

namespace wengert::testing {

/// What the ranks have sent each other and not yet received.
class Mailbox {
 public:
  enum class Kind { exchange, gather, broadcast };
  /// The number of a call in the order of its kind, from, to.
  using Address = std::tuple<Kind, std::size_t, int, int>;

  void put(const Address& address, std::span<const std::byte> bytes) {
    const std::lock_guard lock(mutex_);
    letters_[address].assign(bytes.begin(), bytes.end());
    changed_.notify_all();
  }
  bool has(const Address& address) {
    const std::lock_guard lock(mutex_);
    return letters_.contains(address);
  }
  void take(const Address& address, std::span<std::byte> to) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return letters_.contains(address); });
    const std::vector<std::byte> letter = std::move(letters_.extract(address).mapped());
    if (letter.size() != to.size()) throw std::logic_error("the ranks do not agree about the size of a message");
    std::copy(letter.begin(), letter.end(), to.begin());
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Address, std::vector<std::byte>> letters_;
};

class ThreadRanks final : public optim::Ranks {
 public:
  ThreadRanks(Mailbox& mailbox, int rank, int size) : mailbox_(mailbox), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  void broadcast(std::span<std::byte> bytes) override {
    const std::size_t call = broadcasts_++;
    if (rank_ == 0) {
      for (int r = 1; r < size_; ++r) mailbox_.put({Mailbox::Kind::broadcast, call, 0, r}, bytes);
    } else {
      mailbox_.take({Mailbox::Kind::broadcast, call, 0, rank_}, bytes);
    }
  }
  std::unique_ptr<Transfer> exchange(std::span<const std::byte> out, std::span<const std::size_t> out_sizes, std::span<std::byte> in,
                                     std::span<const std::size_t> in_sizes) override {
    const std::size_t call = exchanges_++;
    for (int r = 0; r < size_; ++r) {
      const std::size_t size = out_sizes[static_cast<std::size_t>(r)];
      mailbox_.put({Mailbox::Kind::exchange, call, rank_, r}, out.first(size));
      out = out.subspan(size);
    }
    return std::make_unique<Receiving>(*this, Mailbox::Kind::exchange, call, in, in_sizes);
  }
  std::unique_ptr<Transfer> gather(std::span<const std::byte> out, std::span<std::byte> in,
                                   std::span<const std::size_t> in_sizes) override {
    const std::size_t call = gatherings_++;
    for (int r = 0; r < size_; ++r) mailbox_.put({Mailbox::Kind::gather, call, rank_, r}, out);
    return std::make_unique<Receiving>(*this, Mailbox::Kind::gather, call, in, in_sizes);
  }

 private:
  struct Receiving final : Transfer {
    Receiving(ThreadRanks& ranks, Mailbox::Kind kind, std::size_t call, std::span<std::byte> in, std::span<const std::size_t> sizes)
        : ranks(ranks), kind(kind), call(call), in(in), sizes(sizes.begin(), sizes.end()) {}
    bool done() override {
      for (int r = 0; r < ranks.size_ && !arrived; ++r)
        if (!ranks.mailbox_.has({kind, call, r, ranks.rank_})) return false;
      wait();
      return true;
    }
    void wait() override {
      for (int r = 0; r < ranks.size_ && !arrived; ++r) {
        const std::size_t size = sizes[static_cast<std::size_t>(r)];
        ranks.mailbox_.take({kind, call, r, ranks.rank_}, in.first(size));
        in = in.subspan(size);
      }
      arrived = true;
    }

    ThreadRanks& ranks;
    Mailbox::Kind kind;
    std::size_t call;
    std::span<std::byte> in;
    std::vector<std::size_t> sizes;
    bool arrived = false;
  };

  Mailbox& mailbox_;
  int rank_, size_;
  std::size_t broadcasts_ = 0, exchanges_ = 0, gatherings_ = 0;
};

/// Calls f(ranks) in a thread for each of `size` ranks, and throws the first exception. (A rank that waits for one that has thrown would
/// wait for ever: f throws on all ranks, or on none.)
template <class F> void run_on_ranks(int size, F&& f) {
  Mailbox mailbox;
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int r = 0; r < size; ++r) {
    threads.emplace_back([&, r] {
      ThreadRanks ranks(mailbox, r, size);
      try {
        f(ranks);
      } catch (...) {
        errors[static_cast<std::size_t>(r)] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
}

}  // namespace wengert::testing
