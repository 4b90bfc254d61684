// soak: hours of what programs do, and memory that must stay flat. Threads that train on tapes of their own, a loader with a thread of its
// own, tapes that come and go, child processes by fork; every second the resident memory is read.
#include <autodiff/autodiff.h>
#include <fmt/format.h>
#include <nn/nn.h>
#include <optim/optim.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/sanitizers.h"

namespace {

using namespace wengert;
using Clock = std::chrono::steady_clock;

std::atomic<bool> stop{false}, broken{false};
std::atomic<std::uint64_t> steps{0}, scopes{0}, batches{0}, forks{0};

struct Net : nn::Module {
  explicit Net(Generator& g) : hidden(4, 16, {}, g), out(16, 1, {}, g) {}
  Tensor operator()(const Tensor& x) { return out(tanh(hidden(x))); }
  void visit(nn::Visitor& v) override { v("hidden", hidden), v("out", out); }
  nn::Linear hidden, out;
};

// The loss after some steps of a training that begins anew. The same seed gives the same bits, whatever runs beside it.
double train(std::uint64_t seed, int count) {
  Generator g(seed);
  Net net(g);
  const Tensor x = g.normal({32, 4}), y = sum(x, 1, {.keepdim = true});
  optim::Adam adam(net.parameters(), {.lr = 0.01});
  double last = 0;
  for (int i = 0; i < count && !stop; ++i) {
    Tape tape;
    const Tensor loss = nn::mse(net(x), y);
    last = loss.item();
    adam.step(tape.gradient(loss, net.parameters()));
    steps.fetch_add(1, std::memory_order_relaxed);
  }
  return last;
}

void train_on_and_on(std::uint64_t seed) {
  constexpr int kSteps = 1000;
  const double first = train(seed, kSteps);
  while (!stop) {
    const double again = train(seed, kSteps);
    if (!stop && again != first) broken = true;
  }
}

void open_and_close_tapes() {
  while (!stop) {
    for (int i = 0; i < 1000; ++i) {
      Tape tape;
      const Scalar x = tape.variable(1.5), y = x * x;
      if (tape.gradient(y, x) != 3) broken = true;
    }
    scopes.fetch_add(1000, std::memory_order_relaxed);
  }
}

void load_batches() {
  Generator g(3);
  const Tensor x = g.normal({256, 8}), y = g.integers({256}, 0, 4);
  const nn::DataLoader loader(x, y, {.batch_size = 16, .shuffle = true, .prefetch = 2, .generator = &g});
  while (!stop) {
    for (const auto& batch : loader) {
      if (batch.x.size(0) != 16) broken = true;
      batches.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

// A child that differentiates, and ends with status 0.
void fork_a_child() {
  const pid_t child = ::fork();
  if (child == 0) {
    Tape tape;
    const Tensor x = tape.variable(Tensor::from({1, 2}, float64));
    ::_exit(tape.gradient(sum(x * x), x).element(1) == 4 ? 0 : 1);
  }
  int status = 1;
  if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) broken = true;
  forks.fetch_add(1, std::memory_order_relaxed);
}

double resident_megabytes() {
  long pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

}  // namespace

int main(int argc, char** argv) {
  double minutes = 10;
  int threads = 4;
  CLI::App app("Trains for a long time in many threads, and watches the memory.");
  app.add_option("--minutes", minutes, "How long")->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--threads", threads, "That train")->capture_default_str()->check(CLI::Range(1, 256));
  CLI11_PARSE(app, argc, argv);

  std::vector<std::thread> workers;
  for (int i = 0; i < threads; ++i) workers.emplace_back(train_on_and_on, static_cast<std::uint64_t>(i));
  workers.emplace_back(open_and_close_tapes);
  workers.emplace_back(load_batches);

  // The first fifth warms up. From then on the memory may grow by 1%, or by 1 MB, which is what the allocator of the C library breathes.
  const auto start = Clock::now();
  const double seconds = 60 * minutes;
  double settled = 0, most = 0;
  for (double now = 0; now < seconds && !broken;) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    now = std::chrono::duration<double>(Clock::now() - start).count();
    fork_a_child();
    const double resident = resident_megabytes();
    if (now < seconds / 5) {
      settled = std::max(settled, resident);
    } else {
      most = std::max(most, resident);
    }
  }
  stop = true;
  for (std::thread& worker : workers) worker.join();

  // A sanitizer keeps freed memory and the stacks of its allocations, so that its own memory grows.
  const bool flat = testing::kSanitizer || most <= std::max(1.01 * settled, settled + 1);
  fmt::print("{} training steps in {} threads, {} tapes, {} batches, {} forks\n", steps.load(), threads, scopes.load(), batches.load(),
             forks.load());
  fmt::print("resident memory: {:.1f} MB while warming up, at most {:.1f} MB later\n", settled, most);
  fmt::print("{}\n", broken ? "a result was wrong" : flat ? "passed" : "the memory grew");
  return broken || !flat ? 1 : 0;
}
