#include "autodiff/tensor/storage.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/sanitizers.h"

using wengert::testing::kSanitizer;
constexpr int kHandedOver = kSanitizer ? 100'000 : 1'000'000;

namespace pool = wengert::pool;

namespace {

std::size_t heap_allocations() { return pool::statistics().heap_allocations; }

// A queue of at most `limit` blocks between two threads.
class Channel {
 public:
  explicit Channel(std::size_t limit) : limit_(limit) {}
  void send(std::vector<void*> blocks) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return queue_.size() < limit_; });
    queue_.push_back(std::move(blocks));
    changed_.notify_all();
  }
  std::vector<void*> receive() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !queue_.empty(); });
    std::vector<void*> blocks = std::move(queue_.back());
    queue_.pop_back();
    changed_.notify_all();
    return blocks;
  }

 private:
  std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<void*>> queue_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(large_blocks_begin_at_huge_pages, *boost::unit_test::enable_if<!wengert::testing::kSanitizer>()) {
  constexpr std::size_t kHugePage = 2 << 20;
  for (const std::size_t bytes : {kHugePage, kHugePage + 1, 5 * kHugePage}) {
    void* const block = pool::allocate(bytes);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(block) % kHugePage == 0u, bytes << " bytes");
    pool::release(block, bytes);
  }
}

BOOST_AUTO_TEST_CASE(blocks_are_aligned_distinct_and_writable_at_every_class_boundary) {
  std::vector<std::pair<void*, std::size_t>> blocks;
  for (std::size_t power = 1; power <= (std::size_t{4} << 20); power *= 2)
    for (std::size_t quarter = 4; quarter < 8; ++quarter)
      for (std::size_t offset : {-1, 0, 1}) {
        const std::size_t bytes = power * quarter / 4 + offset;
        void* block = pool::allocate(bytes);
        BOOST_TEST(reinterpret_cast<std::uintptr_t>(block) % pool::kAlignment == 0u);
        std::memset(block, static_cast<int>(blocks.size() % 251), bytes);
        blocks.emplace_back(block, bytes);
      }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto* first = static_cast<const unsigned char*>(blocks[i].first);
    const bool untouched = std::all_of(first, first + blocks[i].second, [&](unsigned char c) { return c == i % 251; });
    BOOST_TEST(untouched, "block of " << blocks[i].second << " bytes overlaps another");
  }
  for (auto [block, bytes] : blocks) pool::release(block, bytes);
}

BOOST_AUTO_TEST_CASE(a_freed_block_serves_its_class_and_no_larger_one) {
  pool::trim();
  for (auto [smallest, largest] : {std::pair<std::size_t, std::size_t>{0, 64},
                                   {65, 128},
                                   {193, 256},
                                   {257, 320},
                                   {449, 512},
                                   {513, 640},
                                   {897, 1024},
                                   {1025, 1280},
                                   {(1u << 20) + 1, 5u << 18}}) {
    void* block = pool::allocate(smallest);
    pool::release(block, smallest);
    void* again = pool::allocate(largest);
    BOOST_TEST(again == block);
    void* other = pool::allocate(largest + 1);
    BOOST_TEST(other != block);
    pool::release(again, largest);
    pool::release(other, largest + 1);
  }
}

BOOST_AUTO_TEST_CASE(rounding_wastes_at_most_a_quarter_beyond_256_bytes) {
  for (std::size_t bytes = 257; bytes < 100'000; bytes += 13) {
    const auto before = pool::statistics().in_use;
    void* block = pool::allocate(bytes);
    const auto taken = static_cast<std::size_t>(pool::statistics().in_use - before);
    pool::release(block, bytes);
    BOOST_TEST(taken >= bytes);
    BOOST_TEST(taken <= bytes + bytes / 4);
    BOOST_TEST(taken % 64 == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_steady_state_asks_nothing_of_the_heap) {
  const auto step = [] {
    std::vector<std::pair<void*, std::size_t>> blocks;
    for (std::size_t i = 0; i < 5000; ++i) blocks.emplace_back(pool::allocate(64 * (1 + i % 40)), 64 * (1 + i % 40));
    for (auto [block, bytes] : blocks) pool::release(block, bytes);
  };
  step();
  const std::size_t before = heap_allocations();
  for (int i = 0; i < 20; ++i) step();
  BOOST_TEST(heap_allocations() == before);
}

BOOST_AUTO_TEST_CASE(use_and_peak_are_counted_for_the_thread) {
  pool::reset_peak();
  const auto base = pool::statistics().in_use;
  void* block = pool::allocate(1000);
  std::thread([] { BOOST_TEST(pool::statistics().in_use == 0); }).join();
  void* second = pool::allocate(64);
  BOOST_TEST(pool::statistics().in_use - base == 1024 + 64);
  pool::release(block, 1000);
  pool::release(second, 64);
  BOOST_TEST(pool::statistics().in_use == base);
  BOOST_TEST(pool::statistics().peak_in_use - base == 1024 + 64);
  pool::reset_peak();
  BOOST_TEST(pool::statistics().peak_in_use == base);
}

BOOST_AUTO_TEST_CASE(trim_gives_everything_that_is_free_back) {
  std::thread([] {  // when it exits, its cache goes to the depot
    std::vector<void*> blocks(3000);
    for (void*& block : blocks) block = pool::allocate(100);
    for (void* block : blocks) pool::release(block, 100);
  })
      .join();
  void* kept = pool::allocate(10'000);
  pool::release(pool::allocate(777'777), 777'777);
  const auto before = pool::statistics();
  BOOST_TEST(before.heap_blocks >= 14u);  // twelve slabs and the two large blocks
  const std::size_t freed = pool::trim();
  const auto after = pool::statistics();
  BOOST_TEST(freed >= 3000u * 128 + 777'777);
  BOOST_TEST(before.heap_bytes - after.heap_bytes == freed);
  BOOST_TEST(after.heap_blocks == 1u);
  BOOST_TEST(pool::trim() == 0u);
  pool::release(kept, 10'000);
  BOOST_TEST(pool::trim() >= 10'000u);
  BOOST_TEST(pool::statistics().heap_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(trim_keeps_what_lies_beside_blocks_in_use) {
  pool::trim();
  std::vector<unsigned char*> blocks(5000);
  for (auto& block : blocks) block = static_cast<unsigned char*>(pool::allocate(64));
  for (std::size_t i = 0; i < blocks.size(); ++i) std::memset(blocks[i], static_cast<int>(i % 251), 64);
  // Of the first half, every tenth block stays; the second half is freed.
  const auto stays = [](std::size_t i) { return i < 2500 && i % 10 == 0; };
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (!stays(i)) pool::release(blocks[i], 64);
  const std::size_t held = pool::statistics().heap_bytes;
  const std::size_t freed = pool::trim();
  BOOST_TEST(freed >= 64u * 1900);
  BOOST_TEST(freed < held);
  BOOST_TEST(pool::trim() == 0u);
  // The blocks that trim kept are handed out again, none of them twice.
  [[maybe_unused]] const std::size_t before = heap_allocations();
  std::set<void*> distinct;
  std::vector<void*> again(1000);
  for (void*& block : again) {
    block = pool::allocate(64);
    std::memset(block, 255, 64);
    distinct.insert(block);
  }
  BOOST_TEST(distinct.size() == again.size());
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (stays(i)) {
      const bool untouched = std::all_of(blocks[i], blocks[i] + 64, [i](unsigned char c) { return c == i % 251; });
      BOOST_TEST(untouched);
      pool::release(blocks[i], 64);
    }
#if !WENGERT_TEST_ADDRESS_SANITIZER  // under which each block is a separate allocation
  BOOST_TEST(heap_allocations() == before);
#endif
  for (void* block : again) pool::release(block, 64);
  pool::trim();
  BOOST_TEST(pool::statistics().heap_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(blocks_freed_by_another_thread_come_back) {
  std::vector<void*> blocks(4000);
  for (void*& block : blocks) block = pool::allocate(640);
  std::thread([&] {
    for (void* block : blocks) pool::release(block, 640);
  }).join();
  const std::size_t before = heap_allocations();
  for (void*& block : blocks) block = pool::allocate(640);
  BOOST_TEST(heap_allocations() == before);
  for (void* block : blocks) pool::release(block, 640);
}

BOOST_AUTO_TEST_CASE(a_producer_and_a_consumer_stay_bounded) {
  pool::trim();
  constexpr int batch = 100;
  Channel channel(10);
  std::size_t peak = 0;
  std::thread consumer([&] {
    for (int i = 0; i < kHandedOver / batch; ++i) {
      for (void* block : channel.receive()) pool::release(block, 200);
      peak = std::max(peak, pool::statistics().heap_bytes);
    }
  });
  for (int i = 0; i < kHandedOver / batch; ++i) {
    std::vector<void*> blocks(batch);
    for (void*& block : blocks) block = pool::allocate(200);
    channel.send(std::move(blocks));
  }
  consumer.join();
  // At most 12 batches of blocks of 256 bytes in transit, four magazines of 128 KB, and one being exchanged.
  BOOST_TEST(peak <= 1'200'000u);
  BOOST_TEST(peak >= 256u * batch);
}

BOOST_AUTO_TEST_CASE(threads_may_free_each_others_blocks_at_random) {
  std::array<std::atomic<void*>, 64> places{};
  std::vector<std::thread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed)
    threads.emplace_back([&places, state = seed * 2654435761u]() mutable {
      for (int i = 0; i < 20'000; ++i) {
        state = state * 1664525u + 1013904223u;
        const std::size_t place = state >> 26;
        const std::size_t bytes = 64 << (place % 12);
        void* block = pool::allocate(bytes);
        std::memset(block, 1, 64);
        pool::release(places[place].exchange(block), bytes);
        if (i % 500 == 0) pool::trim();
      }
    });
  for (auto& thread : threads) thread.join();
  for (std::size_t place = 0; place < places.size(); ++place) pool::release(places[place], 64 << (place % 12));
  pool::trim();
  BOOST_TEST(pool::statistics().heap_bytes == 0u);
}

namespace {
struct FreesLate {
  pool::Vector<double> values;
};
}  // namespace

BOOST_AUTO_TEST_CASE(the_pool_works_while_a_thread_ends) {
  pool::trim();
  std::thread([] {
    thread_local FreesLate late;  // constructed before the pool knows of the thread, so destroyed after the pool has left it
    late.values.clear();
    late.values.resize(100);
    pool::release(pool::allocate(64), 64);
  }).join();
  BOOST_TEST(pool::trim() >= 896u + 64);
  BOOST_TEST(pool::statistics().heap_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(a_thread_that_only_frees_leaves_nothing_behind) {
  pool::trim();
  void* block = pool::allocate(64);
  std::thread([block] { pool::release(block, 64); }).join();
  pool::trim();
  BOOST_TEST(pool::statistics().heap_bytes == 0u);
}

BOOST_AUTO_TEST_CASE(sizes_beyond_memory_are_bad_alloc) {
  const std::size_t max = std::numeric_limits<std::size_t>::max();
  for (std::size_t bytes : {max, max - 63, max / 2 + 1, (std::size_t{1} << 47) + 1})
    BOOST_CHECK_THROW(static_cast<void>(pool::allocate(bytes)), std::bad_alloc);
  BOOST_CHECK_THROW(static_cast<void>(pool::Allocator<double>().allocate(max / 8 + 1)), std::bad_alloc);
#if !(WENGERT_TEST_ADDRESS_SANITIZER || WENGERT_TEST_THREAD_SANITIZER)  // sanitizers end the program if an allocation fails
  const auto before = pool::statistics();
  BOOST_CHECK_THROW(static_cast<void>(pool::allocate(std::size_t{1} << 47)), std::bad_alloc);
  BOOST_TEST(pool::statistics().heap_allocations == before.heap_allocations);
  BOOST_TEST(pool::statistics().in_use == before.in_use);
#endif
}

BOOST_AUTO_TEST_CASE(null_and_zero_bytes_are_fine) {
  pool::release(nullptr, 123);
  void* first = pool::allocate(0);
  void* second = pool::allocate(0);
  BOOST_TEST(first != second);
  pool::release(first, 0);
  pool::release(second, 0);
}

BOOST_AUTO_TEST_CASE(vectors_keep_their_elements_in_the_pool) {
  const auto before = pool::statistics().in_use;
  {
    pool::Vector<int> values;
    for (int i = 0; i < 1000; ++i) values.push_back(i);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(values.data()) % pool::kAlignment == 0u);
    BOOST_TEST(pool::statistics().in_use > before);
    BOOST_TEST(values[999] == 999);
  }
  BOOST_TEST(pool::statistics().in_use == before);
}

BOOST_AUTO_TEST_CASE(a_child_process_can_allocate_while_a_thread_uses_the_depot) {
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop)
      for (int i = 0; i < 3; ++i) pool::release(pool::allocate(1 << 20), 1 << 20), pool::trim();
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      pool::trim();
      _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    BOOST_TEST(status == 0);
  }
  stop = true;
  busy.join();
}

#if WENGERT_TEST_ADDRESS_SANITIZER

namespace {

// The output on stderr of a child process that runs `body`, which must fail.
template <class Body> std::string report_of_failing_child(Body body) {
  int ends[2];
  BOOST_REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], 2);
    body();
    _exit(0);
  }
  close(ends[1]);
  std::string report;
  std::array<char, 4096> buffer;
  for (ssize_t count; (count = read(ends[0], buffer.data(), buffer.size())) > 0;)
    report.append(buffer.data(), static_cast<std::size_t>(count));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  BOOST_TEST(status != 0);
  return report;
}

}  // namespace

BOOST_AUTO_TEST_CASE(use_after_free_is_reported) {
  for (std::size_t place : {0, 8, 999}) {
    const std::string report = report_of_failing_child([place] {
      auto* block = static_cast<volatile char*>(pool::allocate(1000));
      pool::release(const_cast<char*>(block), 1000);
      block[place] = 1;
    });
    BOOST_TEST(report.find("use-after-poison") != std::string::npos, report);
  }
}

BOOST_AUTO_TEST_CASE(writing_outside_what_was_asked_for_is_reported) {
  for (int place : {-1, 1000, 1023}) {
    const std::string report = report_of_failing_child([place] {
      auto* block = static_cast<volatile char*>(pool::allocate(1000));
      block[place] = 1;
    });
    BOOST_TEST(report.find("use-after-poison") != std::string::npos, report);
  }
}

#endif
