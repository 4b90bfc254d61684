#include "autodiff/kernels/parallel.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/runtime.h"
#include "tests/support/child_process.h"
#include "tests/support/threads.h"

// ThreadSanitizer and qemu let no child of a process with threads start threads.
#define CHILDREN_HAVE_THREADS 1
#if defined(__SANITIZE_THREAD__) || defined(WENGERT_EMULATOR)
#undef CHILDREN_HAVE_THREADS
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef CHILDREN_HAVE_THREADS
#endif
#endif

using namespace wengert;
using wengert::testing::Threads;

namespace {

// How often each block was called.
std::vector<int> calls_of(std::int64_t blocks) {
  std::vector<std::atomic<int>> calls(static_cast<std::size_t>(blocks));
  parallel_blocks(blocks, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
  return {calls.begin(), calls.end()};
}

std::vector<int> once(std::int64_t blocks) { return std::vector<int>(static_cast<std::size_t>(blocks), 1); }

void pass_time() { std::this_thread::sleep_for(std::chrono::microseconds(200)); }

std::size_t threads_of_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

// The number before any pool; the thread makes ThreadSanitizer start its own, which counts too, and stays visible for a moment itself.
const std::size_t threads_at_start = [] {
  std::thread([] {}).join();
  std::size_t least = threads_of_process();
  for (int i = 0; i < 100; ++i) {
    pass_time();
    least = std::min(least, threads_of_process());
  }
  return least;
}();

// Whether there are so many threads more than at the start. A thread that has been joined stays visible for a moment.
bool has_workers(std::size_t count) {
  for (int i = 0; i < 5000 && threads_of_process() != threads_at_start + count; ++i) pass_time();
  return threads_of_process() == threads_at_start + count;
}

#ifdef CHILDREN_HAVE_THREADS
int status_of_child(const std::function<int()>& body) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    alarm(30);
    _exit(body());
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
#endif

}  // namespace

BOOST_AUTO_TEST_CASE(nothing_starts_with_one_thread_or_one_block) {  // first: no other case has started workers yet
  {
    const Threads one(1);
    BOOST_TEST(calls_of(100) == once(100));
  }
  const Threads four(4);
  BOOST_TEST(calls_of(1) == once(1));
  BOOST_TEST(calls_of(0) == once(0));
  BOOST_TEST(has_workers(0));
  BOOST_TEST(calls_of(100) == once(100));
  BOOST_TEST(has_workers(3));
  set_num_threads(2);
  BOOST_TEST(calls_of(100) == once(100));
  BOOST_TEST(has_workers(1));
  set_num_threads(1);
  BOOST_TEST(has_workers(0));
}

BOOST_AUTO_TEST_CASE(every_block_is_called_once) {
  for (int threads : {1, 2, 3, 8, 16}) {
    const Threads scope(threads);
    for (std::int64_t blocks : {0, 1, 2, 3, 7, 64, 10'000}) BOOST_TEST(calls_of(blocks) == once(blocks));
    for (int repeat = 0; repeat < 2000; ++repeat)
      if (calls_of(5) != once(5)) BOOST_FAIL("repeat " << repeat << " with " << threads << " threads");
  }
}

BOOST_AUTO_TEST_CASE(sleeping_workers_wake_for_the_next_job) {
  for (int threads : {3, 16}) {
    const Threads scope(threads);
    for (int repeat = 0; repeat < 50; ++repeat) {
      std::this_thread::sleep_for(std::chrono::microseconds(20 * repeat));  // from spinning to asleep
      BOOST_TEST(calls_of(40) == once(40));
    }
  }
}

// A worker that falls asleep just when it is told to end, having missed a job that took others.
BOOST_AUTO_TEST_CASE(workers_end_at_any_moment) {
  for (int repeat = 0; repeat < 500; ++repeat) {
    const Threads scope(16);  // more than processors, so that some are interrupted anywhere
    calls_of(32);
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(140 + repeat % 40);
    while (std::chrono::steady_clock::now() < until) {
    }
    calls_of(2);
  }
}

// All of 16 threads take part, so all are woken, though each wakes four at most; and a small job wakes no more than it has work for.
BOOST_AUTO_TEST_CASE(a_job_takes_as_many_workers_as_it_has_blocks_for) {
  const Threads scope(16);
  const auto threads_of_jobs = [](int jobs, std::int64_t blocks) {
    std::mutex mutex;
    std::set<std::thread::id> seen;
    for (int job = 0; job < jobs; ++job) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // all fall asleep
      parallel_blocks(blocks, [&](std::int64_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        const std::lock_guard lock(mutex);
        seen.insert(std::this_thread::get_id());
      });
    }
    return seen.size();
  };
  BOOST_TEST(threads_of_jobs(1, 400) == 16u);
  BOOST_TEST(threads_of_jobs(20, 3) == 3u);
}

BOOST_AUTO_TEST_CASE(several_threads_share_the_work) {
  const Threads scope(3);
  std::mutex mutex;
  std::set<std::thread::id> workers;
  parallel_blocks(60, [&](std::int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const std::lock_guard lock(mutex);
    workers.insert(std::this_thread::get_id());
  });
  BOOST_TEST(workers.size() == 3u);
  BOOST_TEST(workers.count(std::this_thread::get_id()) == 1u);
}

BOOST_AUTO_TEST_CASE(nested_calls_run_on_their_own_thread) {
  const Threads scope(4);
  std::atomic<int> calls{0};
  std::atomic<bool> moved{false};
  parallel_blocks(20, [&](std::int64_t) {
    const auto here = std::this_thread::get_id();
    parallel_blocks(30, [&](std::int64_t) {
      ++calls;
      if (std::this_thread::get_id() != here) moved = true;
    });
  });
  BOOST_TEST(calls == 600);
  BOOST_TEST(!moved);
}

BOOST_AUTO_TEST_CASE(several_users_at_once) {
  const Threads scope(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> users;
  users.reserve(4);
  for (int user = 0; user < 4; ++user)
    users.emplace_back([&] {
      for (int repeat = 0; repeat < 300; ++repeat)
        if (calls_of(17) != once(17)) ++wrong;
    });
  for (auto& user : users) user.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(the_number_of_threads_may_change_at_any_time) {
  const Threads scope(2);
  std::atomic<bool> stop{false};
  std::thread changer([&] {
    for (int count = 1; !stop; count = count % 5 + 1) set_num_threads(count), std::this_thread::yield();
  });
  for (int repeat = 0; repeat < 500; ++repeat)
    if (calls_of(11) != once(11)) BOOST_FAIL("repeat " << repeat);
  stop = true;
  changer.join();
}

BOOST_AUTO_TEST_CASE(the_first_exception_reaches_the_caller) {
  for (int threads : {1, 3}) {
    const Threads scope(threads);
    for (std::int64_t thrower : {0, 5, 999}) {
      std::atomic<int> calls{0};
      const auto work = [&](std::int64_t i) {
        ++calls;
        if (i == thrower) throw std::runtime_error("block " + std::to_string(i));
        if (thrower == 0) pass_time();
      };
      BOOST_CHECK_EXCEPTION(parallel_blocks(1000, work), std::runtime_error,
                            [&](const auto& e) { return e.what() == "block " + std::to_string(thrower); });
      if (thrower == 0) BOOST_TEST(calls < 1000);
      BOOST_TEST(calls_of(50) == once(50));  // the pool is well
    }
    BOOST_CHECK_THROW(parallel_blocks(100, [](std::int64_t i) { throw i; }), std::int64_t);  // all at once
  }
}

BOOST_AUTO_TEST_CASE(const_and_mutable_functions_are_called_in_place) {
  const Threads scope(2);
  struct Counter {
    std::atomic<int>* calls;
    void operator()(std::int64_t) const { ++*calls; }
  };
  std::atomic<int> calls{0};
  const Counter constant{&calls};
  parallel_blocks(10, constant);
  parallel_blocks(10, Counter{&calls});
  BOOST_TEST(calls == 20);
}

BOOST_AUTO_TEST_CASE(an_idle_pool_uses_no_processor) {
  const Threads scope(3);
  BOOST_TEST(calls_of(100) == once(100));
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const auto processor_time = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double before = processor_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  BOOST_TEST(processor_time() - before < 0.01);
}

BOOST_AUTO_TEST_CASE(numbers_out_of_range_are_errors) {
  BOOST_CHECK_THROW(set_num_threads(0), Error);
  BOOST_CHECK_THROW(set_num_threads(-3), Error);
  BOOST_CHECK_THROW(set_num_threads(1025), Error);
  BOOST_TEST(num_threads() >= 1);
}

#ifdef CHILDREN_HAVE_THREADS
BOOST_AUTO_TEST_CASE(a_child_process_has_a_pool_of_its_own) {
  const Threads scope(3);
  BOOST_TEST(calls_of(100) == once(100));
  for (int repeat = 0; repeat < 10; ++repeat) {
    BOOST_TEST(status_of_child([] {
                 if (calls_of(100) != once(100)) return 1;
                 return threads_of_process() >= 3 ? 0 : 2;
               }) == 0);
  }
  BOOST_TEST(calls_of(100) == once(100));
}

BOOST_AUTO_TEST_CASE(a_child_can_compute_while_another_thread_of_the_parent_did) {
  const Threads scope(2);
  std::atomic<bool> stop{false};
  std::thread user([&] {
    while (!stop) calls_of(20);
  });
  for (int repeat = 0; repeat < 20; ++repeat) BOOST_TEST(status_of_child([] { return calls_of(100) == once(100) ? 0 : 1; }) == 0);
  stop = true;
  user.join();
}
#endif

BOOST_AUTO_TEST_CASE(child_exits_inside_a_block) {
  if (!testing::is_child()) return;
  set_num_threads(3);
  parallel_blocks(100, [](std::int64_t i) {
    pass_time();
    if (i == 50) std::exit(7);
  });
}

BOOST_AUTO_TEST_CASE(a_process_may_exit_inside_a_block) {
  for (int repeat = 0; repeat < 5; ++repeat) {  // from the owner of the job or from a worker
    const auto child = testing::run_in_child("child_exits_inside_a_block", {});
    BOOST_TEST(child.status == 7, child.output);
  }
}

namespace {
struct ComputesAtExit {
  ~ComputesAtExit() {
    const bool good = calls_of(50) == once(50);
    std::printf(good ? "computed at exit\n" : "wrong at exit\n");
  }
};
}  // namespace

BOOST_AUTO_TEST_CASE(child_computes_in_a_static_destructor) {
  if (!testing::is_child()) return;
  static const ComputesAtExit first;  // destroyed after the pool has ended
  set_num_threads(3);
  BOOST_TEST(calls_of(50) == once(50));
}

BOOST_AUTO_TEST_CASE(static_destructors_may_compute) {
  const auto child = testing::run_in_child("child_computes_in_a_static_destructor", {});
  BOOST_TEST(child.status == 0, child.output);
  BOOST_TEST(child.output.find("computed at exit") != std::string::npos, child.output);
}

BOOST_AUTO_TEST_CASE(child_prints_threads) {
  if (!testing::is_child()) return;
  try {
    std::printf("threads %d.\n", num_threads());
  } catch (const Error& error) {
    std::printf("error %s\n", error.what());
  }
}

BOOST_AUTO_TEST_CASE(the_variable_sets_the_number_of_threads) {
  const auto output_with = [](const std::string& value) {
    return testing::run_in_child("child_prints_threads", {"WENGERT_NUM_THREADS=" + value}).output;
  };
  BOOST_TEST(output_with("7").find("threads 7.") != std::string::npos);
  BOOST_TEST(output_with("").find("threads ") != std::string::npos);
  for (const std::string bad : {"0", "-2", "two", "4x", "1025", "99999999999999999999", " 3"}) {
    const std::string output = output_with(bad);
    BOOST_TEST(output.find("error num_threads: the environment variable WENGERT_NUM_THREADS is \"" + bad + "\"") != std::string::npos,
               output);
  }
}
