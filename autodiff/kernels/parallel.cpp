// The thread pool. One job at a time: its owner publishes it, workers that are awake in time join in, all claim blocks from one counter,
// and the owner returns as soon as no worker is left inside. It never waits for a worker that is still asleep.
#include "autodiff/kernels/parallel.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/kernels/denormal_mode.h"
#include "autodiff/runtime.h"

namespace wengert {
namespace {

constexpr int kMaxThreads = 1024;
constexpr auto spin_time = std::chrono::microseconds(30), yield_time = std::chrono::microseconds(120);

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits for `ready` for a short time without sleeping: the next job of a training step usually follows within microseconds, and waking a
// sleeping thread, perhaps on a sleeping processor, takes longer. After some time it lets others go first. The bound matters: a pool that
// spins on takes the processor from everything else on the machine.
template <class Ready> bool spin_until(Ready ready) {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < 32; ++i) {
      if (ready()) return true;
      pause();
    }
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited > spin_time + yield_time) return false;
    if (waited > spin_time) sched_yield();
  }
}

// True in workers, and in an owner while it works on its own job.
thread_local bool inside_job = false;

struct Job {
  std::int64_t blocks = 0;
  void (*block)(void*, std::int64_t) = nullptr;
  void* context = nullptr;
  kernels::DenormalMode denormals = 0;  // the owner's, for all who work
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;

  // The claiming loop of owner and workers alike.
  void work() noexcept {
    try {
      for (std::int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < blocks;) block(context, i);
    } catch (...) {
      next.store(blocks, std::memory_order_relaxed);
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
};

class Pool {
 public:
  bool run(std::int64_t blocks, void (*block)(void*, std::int64_t), void* context, int threads) {
    if (!acquire()) return false;
    resize(threads - 1);
    job_.blocks = blocks;
    job_.block = block;
    job_.context = context;
    job_.denormals = kernels::denormal_mode();
    job_.next.store(0, std::memory_order_relaxed);
    job_.failed.store(false, std::memory_order_relaxed);

    inside_job = true;
    open(blocks);
    job_.work();
    close();
    inside_job = false;

    std::exception_ptr error = std::move(job_.error);
    job_.error = nullptr;
    release();
    if (error) std::rethrow_exception(std::move(error));
    return true;
  }

  // Ends workers beyond what `threads` needs at once if the pool is idle; otherwise the next job does.
  void shrink(int threads) {
    if (!acquire()) return;
    if (worker_count() >= threads) resize(threads - 1);
    release();
  }

  // At the end of the process or of the dynamic library that holds the pool, whose code must not go away under a running thread. The
  // pool stays owned for ever, so what static destructors compute afterwards runs on their own thread. If it is owned already, a thread
  // is computing while the process ends: its workers are left to end with the process, since the pool itself is never destroyed.
  void end() {
    if (acquire()) resize(0);
  }

  // In a child process after fork(): the workers exist in the parent alone, and mutexes may be in any state, so everything begins anew
  // without destructors. (A child forked inside a block may only exec or _exit.)
  void begin_anew() {
    const std::vector<pthread_t> workers_of_parent = std::move(workers_);
    new (this) Pool;
  }

 private:
  // The state word: a generation (which job), how many workers are inside, and two flags.
  static constexpr std::uint64_t is_open = 1;     // workers may enter
  static constexpr std::uint64_t is_waiting = 2;  // the owner sleeps until the last worker has left
  static constexpr std::uint64_t one_worker = 4;
  static constexpr std::uint64_t workers_mask = 0xffff'fffc;
  static constexpr int generation_shift = 32;

  bool acquire() { return !owned_.load(std::memory_order_relaxed) && !owned_.exchange(true, std::memory_order_acquire); }
  void release() { owned_.store(false, std::memory_order_release); }

  // Publishes the job. The store of the state comes before the look at sleepers_, in a worker the other way around: none sleeps through it.
  void open(std::int64_t blocks) {
    const std::uint64_t generation = (state_.load(std::memory_order_relaxed) >> generation_shift) + 1;
    state_.store(generation << generation_shift | is_open);
    std::int64_t wanted = std::min<std::int64_t>(sleepers_.load(), blocks - 1);
    if (wanted <= 0) return;
    { const std::lock_guard lock(mutex_); }
    while (wanted-- > 0) work_.notify_one();
  }

  // Lets no more workers in and waits for those inside.
  void close() {
    state_.fetch_and(~is_open);
    const auto is_empty = [this] { return (state_.load(std::memory_order_acquire) & workers_mask) == 0; };
    if (spin_until(is_empty)) return;
    std::unique_lock lock(mutex_);
    state_.fetch_or(is_waiting);
    done_.wait(lock, is_empty);
  }

  bool enter(std::uint64_t& generation_done) {
    std::uint64_t state = state_.load();
    while ((state & is_open) && state >> generation_shift != generation_done) {
      if (!state_.compare_exchange_weak(state, state + one_worker, std::memory_order_acquire, std::memory_order_relaxed)) continue;
      generation_done = state >> generation_shift;
      return true;
    }
    return false;
  }

  void leave() {
    const std::uint64_t state = state_.fetch_sub(one_worker, std::memory_order_acq_rel) - one_worker;
    if ((state & workers_mask) != 0 || !(state & is_waiting)) return;
    { const std::lock_guard lock(mutex_); }
    done_.notify_one();
  }

  void work_until_stopped() {
    inside_job = true;
    const kernels::DenormalMode denormals = kernels::denormal_mode();
    std::uint64_t generation_done = 0;
    bool entered = false;
    const auto ready = [&] { return (entered = enter(generation_done)) || stopping_.load(std::memory_order_relaxed); };
    for (;;) {
      entered = false;
      if (!spin_until(ready)) {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1);
        work_.wait(lock, ready);
        sleepers_.fetch_sub(1);
      }
      if (!entered) return;
      const bool other_mode = job_.denormals != denormals;
      if (other_mode) kernels::set_denormal_mode(job_.denormals);
      job_.work();
      if (other_mode) kernels::set_denormal_mode(denormals);
      leave();
    }
  }

  int worker_count() const { return static_cast<int>(workers_.size()); }

  // Only the owner calls this.
  void resize(int count) {
    if (count < worker_count()) stop_workers();
    if (count > worker_count()) start_workers(count);
  }

  void stop_workers() {
    {
      const std::lock_guard lock(mutex_);
      stopping_.store(true, std::memory_order_relaxed);
    }
    work_.notify_all();
    for (const pthread_t worker : workers_) pthread_join(worker, nullptr);
    workers_.clear();
    stopping_.store(false, std::memory_order_relaxed);
  }

  // Workers take no signals: handlers run on the program's own threads. Where the system refuses a thread, there are fewer workers.
  void start_workers(int count) {
    workers_.reserve(static_cast<std::size_t>(count));
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const auto body = [](void* pool) -> void* {
      static_cast<Pool*>(pool)->work_until_stopped();
      return nullptr;
    };
    for (pthread_t worker; worker_count() < count && pthread_create(&worker, nullptr, body, this) == 0;) workers_.push_back(worker);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  std::atomic<bool> owned_{false};
  alignas(64) std::atomic<std::uint64_t> state_{0};
  alignas(64) Job job_;
  alignas(64) std::mutex mutex_;
  std::condition_variable work_;  // workers sleep on it
  std::condition_variable done_;  // the owner sleeps on it
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stopping_{false};
  std::vector<pthread_t> workers_;  // changed by the owner alone
};

// The pool is made by the first parallel computation and never destroyed, so that a static object's destructor may still compute.
Pool& worker_pool() {
  static Pool& pool = *new Pool;
  struct AtExit {
    ~AtExit() { pool.end(); }
  };
  static const AtExit at_exit;
  static const int fork_handler = pthread_atfork(nullptr, nullptr, [] { pool.begin_anew(); });
  static_cast<void>(fork_handler);
  return pool;
}

std::atomic<int> chosen_threads{0};  // 0: not yet asked for
std::atomic<bool> pool_exists{false};

int usable_processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::clamp(CPU_COUNT(&set), 1, kMaxThreads);
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);  // more than 1024 processors
}

int default_threads() {
  const char* text = std::getenv("WENGERT_NUM_THREADS");
  if (!text || !*text) return usable_processors();
  int count = 0;
  const char* end = text + std::strlen(text);
  const auto [rest, error] = std::from_chars(text, end, count);
  if (error != std::errc() || rest != end || count < 1 || count > kMaxThreads)
    throw Error(
        fmt::format("num_threads: the environment variable WENGERT_NUM_THREADS is \"{}\"; set it to a whole number from 1 to {}, or "
                    "unset it to use all processors",
                    text, kMaxThreads));
  return count;
}

}  // namespace

int num_threads() {
  int count = chosen_threads.load(std::memory_order_relaxed);
  if (count > 0) return count;
  const int chosen = default_threads();
  return chosen_threads.compare_exchange_strong(count, chosen, std::memory_order_relaxed) ? chosen : count;
}

void set_num_threads(int count) {
  if (count < 1 || count > kMaxThreads)
    throw Error(fmt::format("set_num_threads: {} threads; the number must be from 1 to {}", count, kMaxThreads));
  chosen_threads.store(count, std::memory_order_relaxed);
  if (pool_exists.load(std::memory_order_acquire)) worker_pool().shrink(count);
}

bool detail::run_on_pool(std::int64_t blocks, void (*block)(void*, std::int64_t), void* context) {
  if (inside_job) return false;
  const int threads = num_threads();
  if (threads == 1) return false;
  Pool& shared = worker_pool();
  pool_exists.store(true, std::memory_order_release);
  return shared.run(blocks, block, context, threads);
}

}  // namespace wengert
