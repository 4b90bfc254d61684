#include "benchmarks/harness.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>

namespace wengert::benchmark {
namespace {

double microseconds(Time time) {
  timespec now{};
  clock_gettime(time == Time::passing ? CLOCK_MONOTONIC : CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

// Microseconds of one run, measured over `runs` of them.
double time_of(const std::function<void()>& f, int runs, Time time) {
  const double start = microseconds(time);
  for (int k = 0; k < runs; ++k) f();
  return (microseconds(time) - start) / runs;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Options parse(int argc, char** argv) {
  Options options;
  const auto usage = [&](const std::string& problem) {
    fmt::print(stderr, "{}: {}\nusage: {} [--filter REGEX] [--quick] [--json FILE]\n", argv[0], problem, argv[0]);
    std::exit(2);
  };
  for (int k = 1; k < argc; ++k) {
    const std::string argument = argv[k];
    if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--filter" || argument == "--json") {
      if (k + 1 == argc) usage(argument + " needs a value");
      (argument == "--json" ? options.json : options.filter) = argv[++k];
    } else {
      usage("unknown option " + argument);
    }
  }
  return options;
}

std::vector<double> medians_in_turns(std::span<const std::function<void()>> contestants, Time time, bool quick) {
  constexpr double kTurn = 1500;  // microseconds: much longer than the clock's resolution, much shorter than changes of the load
  const int turns = quick ? 7 : 41;
  std::vector<int> runs;
  for (const auto& f : contestants) {
    time_of(f, 2, time);  // warm-up: growing memory and loading code do not count
    runs.push_back(std::max(1, static_cast<int>(kTurn / time_of(f, 1, time))));
  }
  std::vector<std::vector<double>> times(contestants.size());
  for (int turn = 0; turn < turns; ++turn)
    for (std::size_t k = 0; k < contestants.size(); ++k) times[k].push_back(time_of(contestants[k], runs[k], time));
  std::vector<double> medians;
  for (const auto& t : times) medians.push_back(median(t));
  return medians;
}

void time_calls(Row& row, const std::function<void()>& call, std::size_t calls) {
  using Clock = std::chrono::steady_clock;
  std::vector<float> times(calls);
  auto before = Clock::now();
  for (float& us : times) {
    call();
    const auto now = Clock::now();
    us = std::chrono::duration<float, std::micro>(now - before).count();
    before = now;
  }
  row.worst_us = static_cast<double>(*std::max_element(times.begin(), times.end()));
  const auto usual = times.begin() + static_cast<std::ptrdiff_t>(0.9999 * static_cast<double>(calls));
  std::nth_element(times.begin(), usual, times.end());
  row.usual_us = static_cast<double>(*usual);
}

void report(std::span<const Row> rows, const Options& options) {
  if (!rows.empty())
    fmt::print("{:<26} {:<10} {:>7} {:>12} {:>12} {:>8} {:>9} {:>8} {:>9} {:>9} {:>10} {:>10}\n", "name", "peer", "threads", "ours, us",
               "peer, us", "ratio", "GFLOP/s", "of peak", "ours, MB", "peer, MB", "99.99%, us", "worst, us");
  nlohmann::json list = nlohmann::json::array();
  for (const Row& r : rows) {
    const std::string speed = r.flops > 0 ? fmt::format("{:.1f}", 1e-3 * r.flops / r.ours_us) : "";
    const std::string share = r.flops > 0 && r.peak > 0 ? fmt::format("{:.0f}%", 0.1 * r.flops / r.ours_us / r.peak) : "";
    const auto megabytes = [](double mb) { return mb > 0 ? fmt::format("{:.1f}", mb) : ""; };
    const auto microseconds = [](double us) { return us > 0 ? fmt::format("{:.{}f}", us, us < 10 ? 3 : 1) : ""; };
    fmt::print("{:<26} {:<10} {:>7} {:>12} {:>12} {:>8.2f} {:>9} {:>8} {:>9} {:>9} {:>10} {:>10}\n", r.name, r.peer, r.threads,
               microseconds(r.ours_us), microseconds(r.peer_us), r.ratio(), speed, share, megabytes(r.ours_mb), megabytes(r.peer_mb),
               microseconds(r.usual_us), microseconds(r.worst_us));
    list.push_back(
        {{"name", r.name}, {"peer", r.peer}, {"threads", r.threads}, {"ours_us", r.ours_us}, {"peer_us", r.peer_us}, {"ratio", r.ratio()}});
    if (r.worst_us > 0) list.back().update({{"usual_us", r.usual_us}, {"worst_us", r.worst_us}});
  }
  if (options.json.empty()) return;
  std::ofstream file(options.json);
  file << list.dump(2) << '\n';
  if (!file.flush()) {
    fmt::print(stderr, "cannot write {}\n", options.json);
    std::exit(1);
  }
}

}  // namespace wengert::benchmark
