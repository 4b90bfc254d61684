// Training steps compared with libtorch. Each side is a separate process (train_server.h), in an environment chosen here. The losses must
// agree before anything is timed; then the sides run in turns.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <thread>

#include "autodiff/ops.h"
#include "autodiff/runtime.h"
#include "benchmarks/harness.h"

extern char** environ;

namespace wengert::benchmark {
namespace {

/// A child process for one side.
class Side {
 public:
  Side(const std::filesystem::path& program, int threads, const std::vector<std::string>& environment) {
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) fail("pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    std::string path = program, count = std::to_string(threads);
    char* arguments[] = {path.data(), count.data(), nullptr};
    std::vector<char*> variables;
    for (const std::string& v : environment) variables.push_back(const_cast<char*>(v.c_str()));
    variables.push_back(nullptr);
    if (posix_spawn(&process_, path.c_str(), &actions, nullptr, arguments, variables.data()) != 0) fail("start " + path);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    to_ = fdopen(in[1], "w");
    from_ = fdopen(out[0], "r");
  }
  ~Side() {
    std::fclose(to_);
    std::fclose(from_);
    waitpid(process_, nullptr, 0);
  }
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;

  void say(const std::string& command) {
    std::fputs((command + "\n").c_str(), to_);
    std::fflush(to_);
  }
  std::string hear() {
    char line[256];
    if (!std::fgets(line, sizeof line, from_)) fail("hear from a side; it has ended");
    return std::string(line, std::strcspn(line, "\n"));
  }
  bool start(const std::string& row) {
    say("start " + row);
    return hear() == "ok";
  }
  std::vector<double> check(int steps) {
    say(fmt::format("check {}", steps));
    std::vector<double> values;
    for (int i = 0; i < steps; ++i) values.push_back(number());
    return values;
  }
  /// The peak memory of the process so far, in megabytes, minus that at its start.
  double memory() {
    say("memory");
    return number();
  }
  /// Microseconds of a step.
  double run(int steps, Time time) {
    say(fmt::format("run {} {}", steps, time == Time::of_this_thread ? "thread" : "passing"));
    return number() / steps;
  }
  /// Returns when the process is idle. Threads of OpenBLAS and OpenMP keep spinning for some time after a step, and would take a processor
  /// from the other side.
  void settle() const {
    constexpr auto kWait = std::chrono::milliseconds(2);
    constexpr double kIdle = 0.02;  // as a fraction of that time
    for (double before = processor_time();;) {
      std::this_thread::sleep_for(kWait);
      const double now = processor_time();
      if (now - before < kIdle * std::chrono::duration<double>(kWait).count()) return;
      before = now;
    }
  }

 private:
  [[noreturn]] static void fail(const std::string& what) {
    fmt::print(stderr, "train: cannot {}\n", what);
    std::exit(1);
  }
  /// CPU time of all threads, in seconds.
  double processor_time() const {
    clockid_t clock{};
    timespec time{};
    if (clock_getcpuclockid(process_, &clock) != 0 || clock_gettime(clock, &time) != 0) fail("ask for a side's processor time");
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  double number() {
    double value = 0;
    const std::string line = hear();
    if (std::sscanf(line.c_str(), "%lf", &value) != 1) fail("understand " + line);
    return value;
  }

  pid_t process_ = 0;
  std::FILE *to_ = nullptr, *from_ = nullptr;
};

/// Our environment, without any variables that a shell may have set for OpenBLAS or OpenMP.
std::vector<std::string> plain_environment() {
  std::vector<std::string> variables;
  for (char** v = environ; *v; ++v) {
    const std::string_view variable = *v;
    if (!variable.starts_with("OPENBLAS_") && !variable.starts_with("OMP_") && !variable.starts_with("GOMP_"))
      variables.emplace_back(variable);
  }
  return variables;
}

/// The environment of libtorch: OpenBLAS mistakes newer processors for old ones unless told otherwise, and idle OpenMP threads spin while
/// OpenBLAS computes.
std::vector<std::string> libtorch_environment(int threads) {
  std::vector<std::string> variables = plain_environment();
#if defined(__x86_64__)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (__builtin_cpu_supports("avx2")) variables.push_back(avx512 ? "OPENBLAS_CORETYPE=SkylakeX" : "OPENBLAS_CORETYPE=Haswell");
#endif
  variables.push_back(fmt::format("OPENBLAS_NUM_THREADS={}", threads));
  variables.push_back(fmt::format("OMP_NUM_THREADS={}", threads));
  variables.push_back("OMP_WAIT_POLICY=passive");
  return variables;
}

struct Work {
  std::string name;
  double flops;
};
std::vector<Work> list(Side&& side) {
  std::vector<Work> works;
  side.say("list");
  for (std::string line; !(line = side.hear()).empty();) {
    const std::size_t space = line.find(' ');
    works.push_back({line.substr(0, space), std::atof(line.c_str() + space)});
  }
  return works;
}

/// Compares the first steps, from the same weights and data. (Only a few: Adam and RMSprop turn a gradient that is only rounding errors
/// into a full step, so the sides diverge eventually.)
void compare_losses(const std::string& row, Side& ours, Side& peer) {
  constexpr int kSteps = 3;
  constexpr double kTolerance = 1e-4;
  const std::vector<double> a = ours.check(kSteps), b = peer.check(kSteps);
  for (int i = 0; i < kSteps; ++i) {
    if (std::abs(a[i] - b[i]) <= kTolerance * std::abs(b[i])) continue;
    fmt::print(stderr, "{}: the value of step {} is {:.9g}, but {:.9g} by libtorch\n", row, i, a[i], b[i]);
    std::exit(1);
  }
}

/// The memory that a row needs in a separate process: first use of libraries, the model and its data, and the steps.
double memory_of(const std::string& row, Side&& side) {
  constexpr int kSteps = 3;
  if (!side.start(row)) return 0;
  side.check(kSteps);
  return side.memory();
}

/// GFLOP/s of a product of matrices that fit the cache.
double sgemm_peak(int threads) {
  constexpr Index n = 512;
  const Tensor a = Tensor::full({n, n}, 0.5), b = a;
  set_num_threads(threads);
  const auto multiply = [&] { matmul(a, b); };
  const std::function<void()> contestants[] = {multiply};
  return 2e-3 * n * n * n / medians_in_turns(contestants, threads == 1 ? Time::of_this_thread : Time::passing, true)[0];
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Row compare(const Work& work, Side& ours, Side& peer, int threads, bool quick) {
  // In microseconds. Waking a second processor takes some time, so turns with two threads are longer, and begin with steps that do not
  // count.
  const double turn_length = threads == 1 ? 10000 : 40000;
  const Time time = threads == 1 ? Time::of_this_thread : Time::passing;
  Side* const sides[] = {&ours, &peer};
  int steps[2];
  std::vector<double> times[2];
  for (int s = 0; s < 2; ++s) {
    sides[s]->run(3, time);
    steps[s] = std::max(1, static_cast<int>(turn_length / sides[s]->run(2, time)));
  }
  for (int turn = 0; turn < (quick ? 7 : 31); ++turn)
    for (int s = 0; s < 2; ++s) {
      if (threads > 1) {
        sides[1 - s]->settle();
        sides[s]->run((steps[s] + 1) / 2, time);
      }
      times[s].push_back(sides[s]->run(steps[s], time));
    }
  return {work.name, "libtorch", threads, median(times[0]), median(times[1]), work.flops};
}

void run(const Options& options) {
  const std::filesystem::path folder = std::filesystem::canonical("/proc/self/exe").parent_path();
  if (!std::filesystem::exists(folder / "train_libtorch")) {
    fmt::print("train: built without libtorch, so there is nothing to compare with\n");
    return report({}, options);
  }
  std::vector<Row> rows;
  for (const int threads : {1, 2}) {
    if (threads > static_cast<int>(std::thread::hardware_concurrency())) continue;
    const double peak = sgemm_peak(threads);
    const auto start_ours = [&] { return Side(folder / "train_ours", threads, plain_environment()); };
    const auto start_peer = [&] { return Side(folder / "train_libtorch", threads, libtorch_environment(threads)); };
    for (const Work& work : list(start_ours())) {
      if (!options.wants(work.name)) continue;
      Side ours = start_ours(), peer = start_peer();  // new processes for each row, without memory or threads left over from others
      if (!ours.start(work.name) || !peer.start(work.name)) {
        fmt::print(stderr, "{}: not on both sides\n", work.name);
        std::exit(1);
      }
      compare_losses(work.name, ours, peer);
      Row row = compare(work, ours, peer, threads, options.quick);
      row.peak = peak;
      row.ours_mb = memory_of(work.name, start_ours());
      row.peer_mb = memory_of(work.name, start_peer());
      rows.push_back(row);
    }
  }
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
