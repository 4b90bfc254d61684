// fuzz: random programs of tensor operations against a naive reference. Each must give the same results, or be refused with an Error.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>

#include "program.h"

namespace {

using namespace wengert::fuzz;

constexpr unsigned kSecondsForOne = 20;  // a program takes microseconds, so after this time it hangs

volatile std::uint64_t running = 0;  // the seed

/// After a crash or a hang: prints which program it was.
extern "C" void tell_the_seed(int signal) {
  char text[] = "fuzz: crashed or hung in program 00000000000000000000\n";
  std::uint64_t seed = running;
  for (std::size_t at = sizeof text - 3; seed > 0; seed /= 10) text[at--] = static_cast<char>('0' + seed % 10);
  if (write(STDERR_FILENO, text, sizeof text - 1) < 0) _exit(3);
  ::signal(signal, SIG_DFL);
  raise(signal);
}

bool passes(std::uint64_t seed, bool verbose) {
  running = seed;
  try {
    Program(seed, verbose).run();
    return true;
  } catch (const Failure& failure) {
    if (verbose) fmt::print("program {}: {}\n", seed, failure.what);
  } catch (const std::exception& e) {
    if (verbose) fmt::print("program {}: an exception that is not a wengert::Error: {}\n", seed, e.what());
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t programs = 1'000'000, first = 0;
  double seconds = 0;
  bool verbose = false;
  CLI::App app("Random programs of tensor operations against a naive reference.");
  app.add_option("--programs", programs, "How many")->capture_default_str();
  app.add_option("--first", first, "The number of the first one; a number is always the same program")->capture_default_str();
  app.add_option("--seconds", seconds, "Stop after this time (0: never)")->capture_default_str();
  app.add_flag("--verbose", verbose, "Print each step");
  CLI11_PARSE(app, argc, argv);

  for (const int signal : {SIGSEGV, SIGFPE, SIGBUS, SIGABRT, SIGALRM}) ::signal(signal, tell_the_seed);
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t done = 0, failed = 0;
  for (; done < programs && failed < 10; ++done) {
    if (done % 1024 == 0) {
      alarm(kSecondsForOne);
      if (seconds > 0 && std::chrono::steady_clock::now() - start > std::chrono::duration<double>(seconds)) break;
    }
    const std::uint64_t seed = first + done;
    if (passes(seed, verbose)) continue;
    ++failed;
    if (!verbose) passes(seed, true);
    fmt::print("again: fuzz --first {} --programs 1 --verbose\n\n", seed);
  }
  fmt::print("{} programs, {} failed\n", done, failed);
  return failed > 0;
}
