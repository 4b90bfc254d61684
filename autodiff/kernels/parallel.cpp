// The thread pool. One job at a time: its owner publishes it, workers that are awake in time join in, all claim blocks, and the owner
// returns as soon as no worker is left inside. It never waits for a worker that is still asleep.
//
// The blocks are cut into as many parts as a job takes threads. Each thread claims the blocks of its own part first, then what is left of
// the others'. So the same thread has the same share of an array in one job after another, and finds it in its own cache.
//
// Workers are numbered, and a job takes the first few of them, no more than it has blocks: so the same ones stay awake from job to job and
// the others sleep. A waiting worker reads one word that changes once for each job; the counters that change more often lie in cache lines
// of their own, which only those who take part touch. Sleepers are woken along a tree, not one by one by the owner.
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
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "autodiff/error.h"
#include "autodiff/kernels/denormal_mode.h"
#include "autodiff/runtime.h"

namespace wengert {
namespace {

constexpr int kMaxThreads = 1024;
constexpr auto kSpinTime = std::chrono::microseconds(30), kYieldTime = std::chrono::microseconds(120);

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
    if (waited > kSpinTime + kYieldTime) return false;
    if (waited > kSpinTime) sched_yield();
  }
}

// True in workers, and in an owner while it works on its own job.
thread_local bool inside_job = false;

// Neighbouring blocks of a job, which one thread claims first.
struct alignas(64) Part {
  std::atomic<std::int64_t> next{0};
  std::int64_t end = 0;

  // The next block of the part that nobody has claimed; `end` or more if there is none.
  std::int64_t claim() {
    const std::int64_t claimed = next.load(std::memory_order_relaxed);  // threads in search of work do not take the line for themselves
    return claimed < end ? next.fetch_add(1, std::memory_order_relaxed) : claimed;
  }
};

struct Job {
  void (*block)(void*, std::int64_t) = nullptr;
  void* context = nullptr;
  kernels::DenormalMode denormals = 0;  // the owner's, for all who work
  Part* parts = nullptr;
  int part_count = 0;
  std::exception_ptr error;
  std::atomic<bool> failed{false};

  void cut(std::int64_t blocks) {
    const std::int64_t size = blocks / part_count, longer_parts = blocks % part_count;
    std::int64_t end = 0;
    for (int i = 0; i < part_count; ++i) {
      parts[i].next.store(end, std::memory_order_relaxed);
      end += size + (i < longer_parts);
      parts[i].end = end;
    }
  }

  // The claiming loop of owner and workers alike: thread 0 is the owner.
  void work(int thread) noexcept {
    try {
      for (int i = 0; i < part_count; ++i) {
        Part& part = parts[(thread + i) % part_count];
        for (std::int64_t index; (index = part.claim()) < part.end;) {
          if (failed.load(std::memory_order_relaxed)) return;
          block(context, index);
        }
      }
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
};

class Pool {
 public:
  bool run(std::int64_t blocks, void (*block)(void*, std::int64_t), void* context, int threads) {
    if (!acquire()) return false;
    if (!resize(threads - 1)) {
      release();
      return false;
    }
    const int room = static_cast<int>(std::min<std::int64_t>(blocks - 1, worker_count_));
    job_.block = block;
    job_.context = context;
    job_.denormals = kernels::denormal_mode();
    job_.parts = parts_.get();
    job_.part_count = room + 1;
    job_.cut(blocks);
    job_.failed.store(false, std::memory_order_relaxed);

    inside_job = true;
    open(room);
    job_.work(0);
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
    if (worker_count_ >= threads) resize(threads - 1);
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
    const auto workers_of_parent = std::move(workers_);
    const auto parts_of_parent = std::move(parts_);
    new (this) Pool;
  }

 private:
  struct alignas(64) Worker {
    Pool* pool = nullptr;
    int index = 0;
    pthread_t thread{};
    std::atomic<int> asleep{0};

    // The announcement is stored before the look at `asleep`, by a worker that goes to sleep the other way around: none sleeps through it.
    void wake_if_asleep() {
      if (asleep.load() != 0) wake();
    }
    void wake() {
      asleep.store(0);
      asleep.notify_one();
    }
  };

  // The announcement, which waiting workers read: a job's number, and how many workers it takes. Written by the owner, once for each job.
  static constexpr std::uint64_t kRoomMask = 0xffff;
  static constexpr int kNumberShift = 16;
  static int room_of(std::uint64_t announced) { return static_cast<int>(announced & kRoomMask); }
  // The entry, which those who take part change: how many are inside, and two flags.
  static constexpr std::uint64_t kIsOpen = 1;     // workers may enter
  static constexpr std::uint64_t kIsWaiting = 2;  // the owner sleeps until the last worker has left
  static constexpr std::uint64_t kOneWorker = 4;

  bool acquire() { return !owned_.load(std::memory_order_relaxed) && !owned_.exchange(true, std::memory_order_acquire); }
  void release() { owned_.store(false, std::memory_order_release); }

  // Publishes the job for the first `room` workers. The entry opens before the job is announced; a worker that is late for the job before
  // may enter already, which is as good.
  void open(int room) {
    entry_.fetch_or(kIsOpen, std::memory_order_release);
    const std::uint64_t number = (announced_.load(std::memory_order_relaxed) >> kNumberShift) + 1;
    announced_.store(number << kNumberShift | static_cast<std::uint64_t>(room));
    wake_children(-1, room);
  }

  // Lets no more workers in and waits for those inside.
  void close() {
    entry_.fetch_and(~kIsOpen, std::memory_order_relaxed);
    const auto is_empty = [this] { return entry_.load(std::memory_order_acquire) < kOneWorker; };
    if (spin_until(is_empty)) return;
    std::unique_lock lock(mutex_);
    entry_.fetch_or(kIsWaiting, std::memory_order_relaxed);
    done_.wait(lock, is_empty);
    entry_.fetch_and(~kIsWaiting, std::memory_order_relaxed);
  }

  bool enter() {
    if (entry_.fetch_add(kOneWorker, std::memory_order_acquire) & kIsOpen) return true;
    leave();
    return false;
  }

  void leave() {
    const std::uint64_t entry = entry_.fetch_sub(kOneWorker, std::memory_order_acq_rel) - kOneWorker;
    if (entry >= kOneWorker || !(entry & kIsWaiting)) return;
    { const std::lock_guard lock(mutex_); }
    done_.notify_one();
  }

  // Wakes those among the first `room` workers that are the children of worker `index` in a tree, whose root is the owner, -1.
  void wake_children(int index, int room) {
    constexpr int kChildren = 4;
    const int first = (index + 1) * kChildren, end = std::min(first + kChildren, room);
    for (int child = first; child < end; ++child) workers_[child].wake_if_asleep();
  }

  // Waits for a job that takes this worker; false if it has to end. `seen` is the last announcement that it has looked at.
  bool wait_for_job(Worker& self, std::uint64_t& seen) {
    const auto is_called = [&] {
      const std::uint64_t announced = announced_.load();
      const bool is_new = announced != seen;
      seen = announced;
      return (is_new && self.index < room_of(announced)) || stopping_.load();
    };
    while (!spin_until(is_called)) {
      self.asleep.store(1);
      const bool called = is_called();
      if (!called) self.asleep.wait(1);
      self.asleep.store(0);
      if (called) break;
    }
    return !stopping_.load();
  }

  void work_until_stopped(Worker& self) {
    inside_job = true;
    const kernels::DenormalMode denormals = kernels::denormal_mode();
    for (std::uint64_t seen = 0; wait_for_job(self, seen);) {
      wake_children(self.index, room_of(seen));
      if (!enter()) continue;
      const bool other_mode = job_.denormals != denormals;
      if (other_mode) kernels::set_denormal_mode(job_.denormals);
      job_.work(self.index + 1);
      if (other_mode) kernels::set_denormal_mode(denormals);
      leave();
    }
  }

  // Only the owner calls this. Workers look at each other, so they begin and end together. Returns false if there is no memory for them;
  // the next job tries again.
  bool resize(int count) {
    if (count == wanted_workers_) return true;
    stop_workers();
    try {
      start_workers(count);
    } catch (const std::bad_alloc&) {
      return false;
    }
    return true;
  }

  void stop_workers() {
    stopping_.store(true);
    for (int i = 0; i < worker_count_; ++i) workers_[i].wake();
    for (int i = 0; i < worker_count_; ++i) pthread_join(workers_[i].thread, nullptr);
    workers_.reset();
    parts_.reset();
    worker_count_ = wanted_workers_ = 0;
    announced_.fetch_and(~kRoomMask);  // new workers find a job that takes none of them
    stopping_.store(false);
  }

  // Workers take no signals: handlers run on the program's own threads. Where the system refuses a thread, there are fewer workers.
  void start_workers(int count) {
    if (count == 0) return;
    workers_ = std::make_unique<Worker[]>(static_cast<std::size_t>(count));
    parts_ = std::make_unique<Part[]>(static_cast<std::size_t>(count) + 1);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const auto body = [](void* worker) -> void* {
      Worker& self = *static_cast<Worker*>(worker);
      self.pool->work_until_stopped(self);
      return nullptr;
    };
    for (; worker_count_ < count; ++worker_count_) {
      Worker& worker = workers_[worker_count_];
      worker.pool = this;
      worker.index = worker_count_;
      if (pthread_create(&worker.thread, nullptr, body, &worker) != 0) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    wanted_workers_ = count;
  }

  std::atomic<bool> owned_{false};
  alignas(64) std::atomic<std::uint64_t> announced_{0};
  alignas(64) std::atomic<std::uint64_t> entry_{0};
  alignas(64) Job job_;
  alignas(64) std::mutex mutex_;
  std::condition_variable done_;  // the owner sleeps on it
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Worker[]> workers_;  // this and what follows are changed by the owner alone
  std::unique_ptr<Part[]> parts_;      // one for each worker, and the owner's
  int worker_count_ = 0, wanted_workers_ = 0;
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
std::atomic<detail::JobRunner> job_runner{nullptr};

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

int usable_threads() { return inside_job ? 1 : num_threads(); }

void detail::set_job_runner(JobRunner runner) { job_runner.store(runner); }

bool detail::run_on_pool(std::int64_t blocks, void (*block)(void*, std::int64_t), void* context) {
  const int threads = usable_threads();
  if (threads == 1) return false;
  if (const JobRunner runner = job_runner.load(std::memory_order_relaxed)) {
    inside_job = true;
    runner(blocks, block, context);
    inside_job = false;
    return true;
  }
  Pool& shared = worker_pool();
  pool_exists.store(true, std::memory_order_release);
  return shared.run(blocks, block, context, threads);
}

}  // namespace wengert
