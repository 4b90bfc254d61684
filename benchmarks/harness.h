#pragma once
// What the benchmark programs share: the command line, interleaved timing, the report.
#include <functional>
#include <regex>
#include <span>
#include <string>
#include <vector>

namespace wengert::benchmark {

/// `[--filter REGEX] [--quick] [--json FILE]`, which every benchmark program understands. Ends the program on anything else.
struct Options {
  std::string filter;  ///< only rows whose name matches
  bool quick = false;  ///< fewer repetitions
  std::string json;    ///< where the rows go as JSON; empty: nowhere

  bool wants(const std::string& name) const { return std::regex_search(name, std::regex(filter)); }
};
Options parse(int argc, char** argv);

/// What counts: the processor's time for the calling thread, which other processes do not disturb much, or all time that passes,
/// where more than one thread works.
enum class Time { of_this_thread, passing };
/// Median time of each contestant, in microseconds. They run in turns, so that whatever else the machine does hits all alike.
std::vector<double> medians_in_turns(std::span<const std::function<void()>> contestants, Time time, bool quick);

/// One comparison. ratio = peer / ours: how many times as long the peer takes.
struct Row {
  std::string name, peer;
  int threads = 1;
  double ours_us = 0, peer_us = 0;
  double flops = 0;                 ///< of one run, where a row has them: for GFLOP/s
  double peak = 0;                  ///< GFLOP/s that the machine reaches in large matrix products, where that was measured
  double ours_mb = 0, peer_mb = 0;  ///< memory that the run needs at its peak, where that was measured

  double ratio() const { return peer_us / ours_us; }
};
/// Prints the rows as a table, and writes them to `options.json`: a list of {"name", "peer", "threads", "ours_us", "peer_us", "ratio"}.
void report(std::span<const Row> rows, const Options& options);

}  // namespace wengert::benchmark
