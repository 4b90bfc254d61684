// fuzz_readers: seeds, and changes of them, for everything that reads what anybody may have written. Input number n of a target is always
// the same. (libfuzzer.cpp is the same guided by coverage; it needs clang.)
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "targets.h"
#include "tests/support/sanitizers.h"

namespace {

using namespace wengert::fuzz;

constexpr unsigned kSecondsForOne = 20;           // an input takes microseconds, so after this time it hangs
constexpr std::size_t kMostBytes = 1 << 16;       // of an input
constexpr rlim_t kMemoryLimit = rlim_t(4) << 30;  // of the process: what no tensor accounts for is found by running out

std::string running;  // "npy 17"

// After a crash or a hang: prints which input it was.
extern "C" void tell_the_input(int signal) {
  const std::string_view text = "fuzz_readers: crashed or hung in input ";
  if (write(STDERR_FILENO, text.data(), text.size()) < 0 || write(STDERR_FILENO, running.data(), running.size()) < 0) _exit(3);
  if (write(STDERR_FILENO, "\n", 1) < 0) _exit(3);
  ::signal(signal, SIG_DFL);
  raise(signal);
}

// splitmix64 (Steele, Lea, Flood 2014)
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return n > 0 ? static_cast<std::size_t>(next() % n) : 0; }

 private:
  std::uint64_t state_;
};

using Input = std::vector<std::uint8_t>;

// Numbers at which readers err: the ends of types, and sizes that multiply to them.
constexpr std::uint64_t kNumbers[] = {0,
                                      1,
                                      2,
                                      127,
                                      128,
                                      255,
                                      256,
                                      32767,
                                      65535,
                                      65536,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      std::uint64_t(1) << 32,
                                      std::uint64_t(1) << 62,
                                      0x7fffffffffffffff,
                                      0xffffffffffffffff};
constexpr std::string_view kTexts[] = {
    "-1",  "0",    "9223372036854775807", "18446744073709551616", "1e999", "nan", "\"", "{", "}", "[", "]", ",", "\n", "->",
    "...", "\xff", "\xef\xbb\xbf"};

void change(Input& input, const std::vector<Input>& seeds, Random& random) {
  const std::size_t at = random.below(input.size() + 1), left = input.size() - at;
  const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
  switch (random.below(8)) {
    case 0:  // a bit
      if (left > 0) input[at] ^= static_cast<std::uint8_t>(1 << random.below(8));
      break;
    case 1:  // a byte
      if (left > 0) input[at] = static_cast<std::uint8_t>(random.next());
      break;
    case 2: {  // a number, of either order of bytes
      const std::size_t bytes = std::size_t(1) << random.below(4);
      const std::uint64_t number = kNumbers[random.below(std::size(kNumbers))];
      const bool big = random.below(2) == 1;
      for (std::size_t i = 0; i < std::min(bytes, left); ++i)
        input[at + i] = static_cast<std::uint8_t>(number >> (8 * (big ? bytes - 1 - i : i)));
      break;
    }
    case 3: {  // a text
      const std::string_view text = kTexts[random.below(std::size(kTexts))];
      input.insert(place, text.begin(), text.end());
      break;
    }
    case 4:  // without a part
      input.erase(place, place + static_cast<std::ptrdiff_t>(random.below(std::min<std::size_t>(left, 32) + 1)));
      break;
    case 5: {  // a part twice
      const Input part(place, place + static_cast<std::ptrdiff_t>(random.below(std::min<std::size_t>(left, 64) + 1)));
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(random.below(input.size() + 1)), part.begin(), part.end());
      break;
    }
    case 6:  // cut off
      if (random.below(4) == 0) input.resize(at);
      break;
    default: {  // the end of another seed
      if (random.below(4) != 0) break;
      const Input& other = seeds[random.below(seeds.size())];
      input.resize(at);
      input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(random.below(other.size() + 1)), other.end());
    }
  }
  if (input.size() > kMostBytes) input.resize(kMostBytes);
}

// Input number n: the seeds first, then each with one to eight changes.
Input input_of(const std::vector<Input>& seeds, std::uint64_t n) {
  if (n < seeds.size()) return seeds[n];
  Random random(n);
  Input input = seeds[random.below(seeds.size())];
  for (std::size_t changes = 1 + random.below(8); changes > 0; --changes) change(input, seeds, random);
  return input;
}

std::vector<Input> read_seeds(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(folder))
    for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<Input> seeds{{}};
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return seeds;
}

struct Options {
  double seconds = 1;
  std::uint64_t first = 0, inputs = std::numeric_limits<std::uint64_t>::max();
  std::string seeds = "tests/data/fuzz";
};

// The number of inputs; a fault is printed and written to a file.
std::uint64_t fuzz(const Target& target, const Options& options, bool& failed) {
  const std::string name(target.name);
  const std::vector<Input> seeds = read_seeds(std::filesystem::path(options.seeds) / name);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(options.seconds);
  std::uint64_t done = 0;
  for (; done < options.inputs && (done % 64 != 0 || done < seeds.size() || std::chrono::steady_clock::now() < end); ++done) {
    if (done % 64 == 0) alarm(kSecondsForOne);
    const std::uint64_t n = options.first + done;
    running = name + ' ' + std::to_string(n);
    const Input input = input_of(seeds, n);
    try {
      check_input(target, input);
    } catch (const ReaderFault& fault) {
      failed = true;
      const std::string file = "fault-" + name + '-' + std::to_string(n);
      std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(input.data()), static_cast<std::streamsize>(input.size()));
      std::fprintf(stderr, "fuzz_readers: input %s, written to %s: %s\n", running.c_str(), file.c_str(), fault.what());
      break;
    }
  }
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::string only;
  CLI::App app("Hostile input for every reader.");
  app.add_option("--target", only, "One reader; all without it");
  app.add_option("--seconds", options.seconds, "For each reader")->capture_default_str();
  app.add_option("--first", options.first, "The number of the first input; a number is always the same input")->capture_default_str();
  app.add_option("--inputs", options.inputs, "How many for each reader at most");
  app.add_option("--seeds", options.seeds, "Folder with a folder of seeds for each reader")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (!only.empty() && !find_target(only)) {
    std::fprintf(stderr, "fuzz_readers: no reader is called \"%s\"\n", only.c_str());
    return 2;
  }

  if constexpr (!wengert::testing::kSanitizer) {
    const rlimit limit{kMemoryLimit, kMemoryLimit};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  }
  for (const int signal : {SIGSEGV, SIGFPE, SIGBUS, SIGABRT, SIGALRM}) ::signal(signal, tell_the_input);
  bool failed = false;
  std::uint64_t inputs = 0;
  for (const Target& target : targets()) {
    if (!only.empty() && target.name != only) continue;
    const std::uint64_t done = fuzz(target, options, failed);
    inputs += done;
    std::printf("%-20.*s %10llu inputs\n", static_cast<int>(target.name.size()), target.name.data(), static_cast<unsigned long long>(done));
  }
  std::printf("%llu inputs, %s\n", static_cast<unsigned long long>(inputs), failed ? "faults" : "no fault");
  return failed ? 1 : 0;
}
