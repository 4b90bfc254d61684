#include "benchmarks/side.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string_view>
#include <thread>

extern char** environ;

namespace wengert::benchmark {
namespace {

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "benchmark: cannot {}\n", what);
  std::exit(1);
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Side::Side(const std::filesystem::path& program, int threads, const std::vector<std::string>& environment) {
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

Side::~Side() {
  std::fclose(to_);
  std::fclose(from_);
  waitpid(process_, nullptr, 0);
}

void Side::say(const std::string& command) {
  std::fputs((command + "\n").c_str(), to_);
  std::fflush(to_);
}

std::string Side::hear() {
  char line[256];
  if (!std::fgets(line, sizeof line, from_)) fail("hear from a side; it has ended");
  return std::string(line, std::strcspn(line, "\n"));
}

bool Side::start(const std::string& row) {
  say("start " + row);
  return hear() == "ok";
}

std::vector<double> Side::check(int steps) {
  say(fmt::format("check {}", steps));
  std::vector<double> values;
  for (int i = 0; i < steps; ++i) values.push_back(number());
  return values;
}

double Side::memory() {
  say("memory");
  return number();
}

double Side::run(int steps, Time time) {
  say(fmt::format("run {} {}", steps, time == Time::of_this_thread ? "thread" : "passing"));
  return number() / steps;
}

void Side::settle() const {
  constexpr auto kWait = std::chrono::milliseconds(2);
  constexpr double kIdle = 0.02;  // as a fraction of that time
  for (double before = processor_time();;) {
    std::this_thread::sleep_for(kWait);
    const double now = processor_time();
    if (now - before < kIdle * std::chrono::duration<double>(kWait).count()) return;
    before = now;
  }
}

double Side::processor_time() const {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(process_, &clock) != 0 || clock_gettime(clock, &time) != 0) fail("ask for a side's processor time");
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double Side::number() {
  double value = 0;
  const std::string line = hear();
  if (std::sscanf(line.c_str(), "%lf", &value) != 1) fail("understand " + line);
  return value;
}

std::vector<Side::Work> Side::list() {
  std::vector<Work> works;
  say("list");
  for (std::string line; !(line = hear()).empty();) {
    const std::size_t space = line.find(' ');
    works.push_back({line.substr(0, space), std::atof(line.c_str() + space)});
  }
  return works;
}

std::vector<std::string> plain_environment() {
  std::vector<std::string> variables;
  for (char** v = environ; *v; ++v) {
    const std::string_view variable = *v;
    if (!variable.starts_with("OPENBLAS_") && !variable.starts_with("OMP_") && !variable.starts_with("GOMP_"))
      variables.emplace_back(variable);
  }
  return variables;
}

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

std::filesystem::path benchmark_folder() { return std::filesystem::canonical("/proc/self/exe").parent_path(); }

Row compare(const Side::Work& work, Side& ours, Side& peer, int threads, Turns turns) {
  // Waking a second processor takes some time, so turns with two threads are longer, and begin with steps that do not count.
  const double turn_length = threads == 1 ? turns.length : 4 * turns.length;
  const Time time = threads == 1 ? Time::of_this_thread : Time::passing;
  Side* const sides[] = {&ours, &peer};
  int steps[2];
  std::vector<double> times[2];
  for (int s = 0; s < 2; ++s) {
    sides[s]->run(3, time);
    steps[s] = std::max(1, static_cast<int>(turn_length / sides[s]->run(2, time)));
  }
  for (int turn = 0; turn < turns.count; ++turn)
    for (int s = 0; s < 2; ++s) {
      if (threads > 1) {
        sides[1 - s]->settle();
        sides[s]->run((steps[s] + 1) / 2, time);
      }
      times[s].push_back(sides[s]->run(steps[s], time));
    }
  return {work.name, "libtorch", threads, median(times[0]), median(times[1]), work.flops};
}

}  // namespace wengert::benchmark
