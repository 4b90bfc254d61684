#pragma once
// Shared by the benchmark programs: the command line, interleaved timing, the report.
#include <functional>
#include <regex>
#include <span>
#include <string>
#include <vector>

namespace wengert::benchmark {

/// The options of every benchmark program: `[--filter REGEX] [--quick] [--json FILE]`. Exits on anything else.
struct Options {
  std::string filter;  ///< only rows whose name matches
  bool quick = false;  ///< fewer repetitions
  std::string json;    ///< output file for the rows as JSON; empty: none

  bool wants(const std::string& name) const { return std::regex_search(name, std::regex(filter)); }
};
Options parse(int argc, char** argv);

/// What is measured: the CPU time of the calling thread, which other processes hardly disturb, or wall-clock time, if more than one thread
/// works.
enum class Time { of_this_thread, passing };
/// The median time of each contestant, in microseconds. They run in turns, so that other load of the machine affects all alike.
std::vector<double> medians_in_turns(std::span<const std::function<void()>> contestants, Time time, bool quick);

/// One comparison. The ratio is peer / ours: how many times as long the peer takes.
struct Row {
  std::string name, peer;
  int threads = 1;
  double ours_us = 0, peer_us = 0;
  double flops = 0;                 ///< of one run, for GFLOP/s; 0: not shown
  double peak = 0;                  ///< GFLOP/s of the machine in large matrix products; 0: not measured
  double ours_mb = 0, peer_mb = 0;  ///< peak memory of the run; 0: not measured
  double usual_us = 0;              ///< below which 99.99% of our calls stay, each timed by itself; 0: not measured
  double worst_us = 0;              ///< the slowest of them

  double ratio() const { return peer_us / ours_us; }
};
/// Times so many calls, each by itself, and sets usual_us and worst_us. What else the machine does, and reading the clock, are in it.
void time_calls(Row& row, const std::function<void()>& call, std::size_t calls);
/// Prints the rows as a table, and writes them to `options.json`: a list of {"name", "peer", "threads", "ours_us", "peer_us", "ratio"}, and
/// "usual_us" and "worst_us" where they were measured.
void report(std::span<const Row> rows, const Options& options);

}  // namespace wengert::benchmark
