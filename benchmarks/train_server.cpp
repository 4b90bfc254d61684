#include "benchmarks/train_server.h"

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

namespace wengert::benchmark {
namespace {

double microseconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return 1e6 * static_cast<double>(now.tv_sec) + 1e-3 * static_cast<double>(now.tv_nsec);
}

// Memory of this process in megabytes, by a line of its status: "VmRSS:" is current, "VmHWM:" the peak so far.
double megabytes(std::string_view line) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == line) {
      double kilobytes = 0;
      status >> kilobytes;
      return kilobytes / 1024;
    }
  return 0;
}

}  // namespace

int serve(std::span<const ServedRow> rows) {
  std::cout.precision(17);
  const double at_start = megabytes("VmRSS:");
  Step step;
  for (std::string command; std::cin >> command;) {
    if (command == "list") {
      for (const ServedRow& row : rows) std::cout << row.name << ' ' << row.flops << '\n';
      std::cout << std::endl;
    } else if (command == "start") {
      std::string name;
      std::cin >> name;
      const auto row = std::find_if(rows.begin(), rows.end(), [&](const ServedRow& r) { return r.name == name; });
      if (row != rows.end()) step = row->make();
      std::cout << (row != rows.end() ? "ok" : "unknown") << std::endl;
    } else if (command == "check") {
      int n = 0;
      std::cin >> n;
      for (int i = 0; i < n; ++i) std::cout << step() << std::endl;
    } else if (command == "memory") {
      std::cout << megabytes("VmHWM:") - at_start << std::endl;
    } else if (command == "run") {
      int n = 0;
      std::string clock_name;
      std::cin >> n >> clock_name;
      const clockid_t clock = clock_name == "thread" ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
      const double start = microseconds(clock);
      for (int i = 0; i < n; ++i) step();
      std::cout << microseconds(clock) - start << std::endl;
    } else {
      std::cerr << "unknown command " << command << '\n';
      return 2;
    }
  }
  return 0;
}

}  // namespace wengert::benchmark
