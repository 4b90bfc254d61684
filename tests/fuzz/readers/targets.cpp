#include "targets.h"

#include <autodiff/autodiff.h>
#include <autodiff/program/program_file.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <nn/nn.h>
#include <optim/optim.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "examples/example.h"

namespace wengert::fuzz {
namespace {

// A file in memory that holds the input.
class InputFile {
 public:
  explicit InputFile(Bytes input) : descriptor_(::memfd_create("input", MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw std::runtime_error("memfd_create");
    for (std::size_t done = 0; done < input.size();) {
      const ssize_t written = ::write(descriptor_, input.data() + done, input.size() - done);
      if (written < 0) throw std::runtime_error("write");
      done += static_cast<std::size_t>(written);
    }
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile() { ::close(descriptor_); }

  std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

 private:
  int descriptor_;
};

// Looks at every element, so that one that lies outside the file is found.
void use(const Tensor& t) {
  if (t.dtype() == boolean) return static_cast<void>(any(t));
  if (t.size() > 0) static_cast<void>(t.element(t.size() - 1));
  static_cast<void>(t.to_vector<double>());
}
void use(std::span<const NamedTensor> tensors) {
  for (const NamedTensor& t : tensors) use(t.value);
}

// What a compressed file of a few bytes may expand to here.
constexpr std::size_t kExpandedBytes = 1 << 20;

void safetensors(Bytes input) { use(read_safetensors(InputFile(input).path()).tensors); }
void safetensors_mapped(Bytes input) {
  const InputFile file(input);
  use(MappedSafetensors(file.path()).contents().tensors);
}
void npy(Bytes input) { use(read_npy(InputFile(input).path())); }
void npz(Bytes input) { use(read_npz(InputFile(input).path(), {.max_bytes = kExpandedBytes})); }

void csv(Bytes input) {
  const InputFile file(input);
  for (const bool header : {true, false}) {
    try {
      const nn::Table table = nn::read_csv(file.path(), {.separator = header ? ',' : ';', .header = header});
      use(table.tensor(table.names(), float64, {.missing = 0, .allow_nonfinite = true}));
    } catch (const Error&) {
      if (!header) throw;
    }
  }
}

void idx(Bytes input) { use(nn::read_idx(InputFile(input).path())); }
void cifar(Bytes input) {
  const nn::LabelledImages read = nn::read_cifar10(InputFile(input).path(), {.max_records = kExpandedBytes / 3073});
  use(read.images);
  use(read.labels);
}

void text(Bytes input) {
  const std::string text = nn::lower_case(nn::read_text(InputFile(input).path()));
  const nn::Vocabulary words(nn::words(text)), characters(nn::characters(text));
  use(characters.encode(nn::characters(text)));
  use(words.encode(nn::words(text)));
}

// The file's checksum is made right first: otherwise every change ends there.
void program(Bytes input) {
  std::vector<std::uint8_t> bytes(input.begin(), input.end());
  if (bytes.size() >= 8) {
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
    for (std::size_t i = 0; i + 8 < bytes.size(); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
    for (std::size_t i = 0; i < 8; ++i) bytes[bytes.size() - 8 + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  }
  static_cast<void>(read_program(InputFile(bytes).path()));
}

void model(Bytes input) {
  nn::Linear layer(2, 1);
  nn::load(layer, InputFile(input).path());
}

void onnx(Bytes input) {
  nn::OnnxModel model = nn::import_onnx(InputFile(input).path());
  use(nn::state(model));
}

void optimizer(Bytes input) {
  nn::Linear layer(2, 1);
  optim::Adam adam(layer.parameters());
  optim::load(adam, InputFile(input).path());
}

void equation(Bytes input) {
  const std::string text(input.begin(), input.end());
  const Tensor a = Tensor::ones({2, 3}), b = Tensor::ones({3, 2}), c = Tensor::ones({2});
  const std::vector<std::vector<Tensor>> operands{{a}, {a, b}, {a, b, c}};
  const auto commas = static_cast<std::size_t>(std::count(text.begin(), text.end(), ','));
  use(einsum(text, operands[std::min<std::size_t>(commas, 2)]));
}

void must(bool condition, const char* what) {
  if (!condition) throw std::logic_error(what);
}

// Each line is an argument of a program that has an option of every kind.
void command_line(Bytes input) {
  std::vector<std::string> arguments{"program"};
  std::istringstream lines(std::string(input.begin(), input.end()));
  for (std::string line; std::getline(lines, line);) arguments.push_back(line);
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());

  std::string data, name = "none", optimizer = "sgd";
  double offset = 0, rate = 0.1, decay = 0;
  int epochs = 10;
  std::uint64_t seed = 0;
  bool quick = false;
  example::Saving saving;
  example::CommandLine line("program", "An option of every kind.");
  line.required("--data", data, "a file");
  line.option("--name", name, "a text");
  line.option("--optimizer", optimizer, "one of several", {"sgd", "adam"});
  line.option("--offset", offset, "any number");
  line.option("--rate", rate, "a positive number", example::kPositive);
  line.option("--decay", decay, "a number from 0 to 1", {.name = "a number from 0 to 1", .min = 0, .max = 1});
  line.option("--epochs", epochs, "a positive integer", example::kPositive);
  line.option("--seed", seed, "a large integer");
  line.flag("--quick", quick, "a flag");
  line.saving(saving);
  const example::Request request = line.parse(static_cast<int>(argv.size()), argv.data());
  must((request.kind == example::Request::Kind::run) == request.text.empty(), "a text exactly if the program is not run");
  if (request.kind != example::Request::Kind::run) return;
  must(optimizer == "sgd" || optimizer == "adam", "--optimizer is not a choice");
  must(std::isfinite(offset), "--offset is not finite");
  must(std::isfinite(rate) && rate > 0, "--rate is not positive");
  must(decay >= 0 && decay <= 1, "--decay is out of range");
  must(epochs > 0, "--epochs is not positive");
}

constexpr std::array kTargets{
    Target{"safetensors", safetensors},
    Target{"safetensors_mapped", safetensors_mapped},
    Target{"npy", npy},
    Target{"npz", npz},
    Target{"csv", csv},
    Target{"idx", idx},
    Target{"cifar", cifar},
    Target{"text", text},
    Target{"program", program},
    Target{"model", model},
    Target{"onnx", onnx},
    Target{"optimizer", optimizer},
    Target{"equation", equation},
    Target{"command_line", command_line},
};

}  // namespace

std::span<const Target> targets() { return kTargets; }

const Target* find_target(std::string_view name) {
  const auto found = std::find_if(kTargets.begin(), kTargets.end(), [&](const Target& t) { return t.name == name; });
  return found == kTargets.end() ? nullptr : &*found;
}

void check_input(const Target& target, Bytes input) {
  // An element of an 8-bit type becomes a double or an int64 and is copied while it is used; compressed input expands to its limit at most.
  const std::size_t limit = (8 << 20) + 16 * kExpandedBytes + 64 * input.size();
  const std::int64_t before = pool::statistics().in_use;
  pool::reset_peak();
  try {
    target.read(input);
  } catch (const Error&) {
    // refused
  } catch (const std::exception& e) {
    throw ReaderFault(fmt::format("{}: an exception that is no wengert::Error: {}", target.name, e.what()));
  }
  const pool::Statistics after = pool::statistics();
  if (static_cast<std::size_t>(after.peak_in_use - before) > limit)
    throw ReaderFault(fmt::format("{}: {} bytes of tensors for an input of {}", target.name, after.peak_in_use - before, input.size()));
  if (after.in_use != before) throw ReaderFault(fmt::format("{}: {} bytes are never freed", target.name, after.in_use - before));
}

}  // namespace wengert::fuzz
