// How training steps scale with the number of threads: measured as far as the machine has processors, and computed from a trace of one
// thread for more. The trace has the jobs of a step, cut for so many threads, with the time of each of their blocks and of what lies
// between them.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "autodiff/kernels/parallel.h"
#include "autodiff/runtime.h"
#include "benchmarks/harness.h"
#include "benchmarks/train_rows.h"

namespace wengert::benchmark {
namespace {

constexpr double kCallMicroseconds =
    2;  // from the call of a job to the first block of another thread, and from the last block to the return

double now() { return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// The jobs of a step: the microseconds of each one's blocks, and of all that no job holds.
struct Trace {
  std::vector<std::vector<double>> jobs;
  double between = 0;
};

Trace* trace = nullptr;

void run_traced(std::int64_t blocks, void (*block)(void*, std::int64_t), void* context) noexcept {
  std::vector<double>& times = trace->jobs.emplace_back(static_cast<std::size_t>(blocks));
  double before = now();
  trace->between += before;
  for (std::int64_t i = 0; i < blocks; ++i) {
    block(context, i);
    const double after = now();
    times[static_cast<std::size_t>(i)] = after - before;
    before = after;
  }
  trace->between -= before;
}

// The least times of some steps, which other work on the machine can only lengthen.
Trace trace_of(const Step& step, int steps) {
  Trace least;
  for (int i = 0; i < steps; ++i) {
    Trace next;
    trace = &next;
    const double start = now();
    detail::set_job_runner(run_traced);
    step();
    detail::set_job_runner(nullptr);
    next.between += now() - start;
    if (i == 0) {
      least = std::move(next);
      continue;
    }
    least.between = std::min(least.between, next.between);
    for (std::size_t job = 0; job < std::min(least.jobs.size(), next.jobs.size()); ++job)
      for (std::size_t b = 0; b < std::min(least.jobs[job].size(), next.jobs[job].size()); ++b)
        least.jobs[job][b] = std::min(least.jobs[job][b], next.jobs[job][b]);
  }
  return least;
}

// When the last of the blocks is done, which the threads claim one after the other.
double time_of(const std::vector<double>& blocks, int threads) {
  std::vector<double> busy_until(static_cast<std::size_t>(threads));
  for (const double block : blocks) *std::min_element(busy_until.begin(), busy_until.end()) += block;
  return *std::max_element(busy_until.begin(), busy_until.end());
}

double time_of(const Trace& t, int threads) {
  double time = t.between;
  for (const std::vector<double>& blocks : t.jobs) time += kCallMicroseconds + time_of(blocks, threads);
  return time;
}

double work_of(const Trace& t) {
  double work = t.between;
  for (const std::vector<double>& blocks : t.jobs)
    for (const double block : blocks) work += block;
  return work;
}

void run(const Options& options) {
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  const int steps = options.quick ? 5 : 15;
  std::vector<Row> rows;
  for (const ServedRow& served : train_rows()) {
    const std::string name = "scaling/" + served.name;
    if (!options.wants(name)) continue;
    set_num_threads(1);
    const Step step = served.make();
    const auto measured = [&] {
      const std::function<void()> contestants[] = {step};
      return medians_in_turns(contestants, Time::passing, options.quick)[0];
    };
    const double one = measured();
    double work = 0;
    for (const int threads : {2, 4, 8, 16}) {
      set_num_threads(threads);
      const Trace t = trace_of(step, steps);
      if (work == 0) work = work_of(t);  // cut for two threads, which costs next to nothing
      rows.push_back({.name = name, .peer = "trace", .threads = threads, .ours_us = time_of(t, threads), .peer_us = work});
      fmt::print("{}, {} threads: {} jobs, {:.0f} us outside of them\n", name, threads, t.jobs.size(), t.between);
      if (threads > processors) continue;
      rows.push_back({.name = name, .peer = "one thread", .threads = threads, .ours_us = measured(), .peer_us = one});
    }
  }
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
