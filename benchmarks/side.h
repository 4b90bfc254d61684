#pragma once
// A benchmark's sides as child processes (train_server.h), each in an environment that suits its library, and their comparison in turns.
#include <sys/types.h>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "benchmarks/harness.h"

namespace wengert::benchmark {

/// A child process for one side.
class Side {
 public:
  Side(const std::filesystem::path& program, int threads, const std::vector<std::string>& environment);
  ~Side();
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;

  /// Makes a row's model and data; false if the side has no such row.
  bool start(const std::string& row);
  /// The values of so many steps.
  std::vector<double> check(int steps);
  /// The peak memory of the process so far, in megabytes, minus that at its start.
  double memory();
  /// Microseconds of a step.
  double run(int steps, Time time);
  /// Returns when the process is idle. Threads of OpenBLAS and OpenMP keep spinning for some time after a step, and would take a processor
  /// from the other side.
  void settle() const;

  struct Work {
    std::string name;
    double flops;
  };
  /// Its rows.
  std::vector<Work> list();

 private:
  void say(const std::string& command);
  std::string hear();
  /// CPU time of all threads, in seconds.
  double processor_time() const;
  double number();

  pid_t process_ = 0;
  std::FILE *to_ = nullptr, *from_ = nullptr;
};

/// Our environment, without any variables that a shell may have set for OpenBLAS or OpenMP.
std::vector<std::string> plain_environment();
/// The environment of libtorch: OpenBLAS mistakes newer processors for old ones unless told otherwise, and idle OpenMP threads spin while
/// OpenBLAS computes.
std::vector<std::string> libtorch_environment(int threads);
/// Where the benchmark programs are.
std::filesystem::path benchmark_folder();

/// How long a side's turn is with one thread, in microseconds, and how many there are.
struct Turns {
  double length;
  int count;
};
/// Times both sides, which must have started the row, in turns.
Row compare(const Side::Work& work, Side& ours, Side& peer, int threads, Turns turns);

}  // namespace wengert::benchmark
