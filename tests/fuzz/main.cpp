// fuzz: random programs of tensor operations against a naive reference. Each must give the same results, or be refused with an Error.
// A program that fails is shrunk, and printed as C++.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <set>

#include "child.h"
#include "program.h"
#include "shrink.h"

namespace {

using namespace wengert::fuzz;
using Clock = std::chrono::steady_clock;

constexpr unsigned kSecondsForOne = 20;  // a program takes microseconds, so after this time it hangs
constexpr unsigned kSecondsForCandidate = 1;
constexpr std::chrono::seconds kSecondsToShrink{60};

volatile std::uint64_t running = 0;  // the seed

// After a crash or a hang: prints which program it was.
extern "C" void tell_the_seed(int signal) {
  char digits[20];
  std::size_t at = sizeof digits;
  std::uint64_t seed = running;
  do {
    digits[--at] = static_cast<char>('0' + seed % 10);
    seed /= 10;
  } while (seed > 0);
  const std::string_view number(digits + at, sizeof digits - at);
  for (const std::string_view text :
       {std::string_view("fuzz: crashed or hung in program "), number,
        std::string_view("; to shrink it: fuzz --shrink --programs 1 --first "), number, std::string_view("\n")})
    if (write(STDERR_FILENO, text.data(), text.size()) < 0) _exit(3);
  ::signal(signal, SIG_DFL);
  raise(signal);
}

// Prints the shortest program that fails as this one does.
void shrink_and_print(std::uint64_t seed, Report report) {
  fmt::print("program {}: {}\n", seed, report.what);
  if (report.made.choices.empty()) return fmt::print("It ended without a report, so it is not shrunk.\n\n");
  std::fflush(stdout);
  const Clock::time_point end = Clock::now() + kSecondsToShrink;
  const Fails fails = [&](const std::vector<std::uint64_t>& choices) -> std::optional<ChoiceList> {
    if (Clock::now() > end) return std::nullopt;
    Report candidate = run_in_child(Choices(choices), {.seconds = kSecondsForCandidate});
    if (!candidate.failed() || candidate.signal != report.signal) return std::nullopt;
    return std::move(candidate.made);
  };
  const ChoiceList shortest = shrink(report.made, fails);
  const Report last = run_in_child(Choices(shortest.choices), {.seconds = kSecondsForCandidate, .print = true});
  const PrintedProgram printed{seed, last.lines};
  fmt::print("from {} choices to {}: {}\n\n{}\n", report.made.choices.size(), shortest.choices.size(),
             last.failed() ? last.what : "does not fail each time", cpp({&printed, 1}));
}

// Prints those programs that have a call that no earlier one has, done or refused.
void print_programs(std::uint64_t first, std::uint64_t count) {
  std::set<std::string> calls;
  std::vector<PrintedProgram> printed;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    running = seed;
    Choices choices(seed);
    PrintedProgram program{seed, {}};
    Program random(choices, &program.lines);
    try {
      random.run();
    } catch (const Failure& failure) {
      program.lines += fmt::format("  // {}\n", failure.what);
    }
    const std::size_t known = calls.size();
    calls.insert(random.calls().begin(), random.calls().end());
    if (calls.size() > known) printed.push_back(std::move(program));
  }
  fmt::print("{}", cpp(printed));
}

struct Options {
  std::uint64_t programs = 1'000'000, first = 0;
  double seconds = 0;
  bool shrink = false, print = false;
};

// Whether the program passes; if not, what is wrong.
bool passes(std::uint64_t seed, bool in_child) {
  running = seed;
  std::string what;
  if (!in_child) {
    Choices choices(seed);
    what = run_program(choices);
    if (what.empty()) return true;
  }
  alarm(0);
  Report report = run_in_child(Choices(seed), {.seconds = kSecondsForOne});
  if (report.failed()) {
    shrink_and_print(seed, report);
  } else if (!what.empty()) {
    fmt::print("program {}: {}\nIt passes when it runs alone.\n\n", seed, what);
  }
  return what.empty() && !report.failed();
}

// How many failed.
std::uint64_t run(const Options& options) {
  const Clock::time_point start = Clock::now();
  std::uint64_t done = 0, failed = 0;
  bool again = true;  // whether to look at the clock
  for (; done < options.programs && failed < 10; ++done) {
    if (again || done % 1024 == 0 || options.shrink) {
      if (options.seconds > 0 && Clock::now() - start > std::chrono::duration<double>(options.seconds)) break;
      alarm(options.shrink ? 0 : kSecondsForOne);
    }
    again = false;
    if (passes(options.first + done, options.shrink)) continue;
    ++failed;
    again = true;
  }
  fmt::print("{} programs, {} failed\n", done, failed);
  return failed;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Random programs of tensor operations against a naive reference. One that fails is shrunk, and printed as C++.");
  app.add_option("--programs", options.programs, "How many")->capture_default_str();
  app.add_option("--first", options.first, "The number of the first one; a number is always the same program")->capture_default_str();
  app.add_option("--seconds", options.seconds, "Stop after this time (0: never)")->capture_default_str();
  app.add_flag("--shrink", options.shrink, "Run each in a process of its own (slow), and shrink those that crash or hang as well");
  app.add_flag("--print", options.print, "Print as C++ those of them that have a call that no earlier one has");
  CLI11_PARSE(app, argc, argv);

  for (const int signal : {SIGSEGV, SIGFPE, SIGBUS, SIGILL, SIGABRT, SIGALRM}) ::signal(signal, tell_the_seed);
  if (!options.print) return run(options) > 0;
  print_programs(options.first, options.programs);
  return 0;
}
