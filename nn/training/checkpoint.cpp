#include "nn/training/checkpoint.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdio>

#include "autodiff/error.h"
#include "autodiff/io/atomic_file.h"
#include "autodiff/io/in_quotes.h"
#include "autodiff/io/mapped_file.h"
#include "autodiff/io/safetensors.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/dispatch.h"
#include "nn/module/state.h"
#include "nn/training/crc32c.h"

namespace wengert::nn {
namespace {

constexpr const char* kFormatKey = "wengert.checkpoint";
constexpr const char* kFormat = "1";
constexpr const char* kChecksumKey = "crc32c";

using Metadata = std::vector<std::pair<std::string, std::string>>;

std::string_view bytes_of_elements(const Tensor& dense) {
  return wengert::detail::dispatch(dense.dtype(), [&](auto zero) {
    const auto* elements = dense.data<decltype(zero)>();
    return std::string_view(reinterpret_cast<const char*>(elements), static_cast<std::size_t>(dense.size()) * sizeof zero);
  });
}

// Of everything that the file says, in its order: names, dtypes, shapes, elements.
std::string checksum_of(std::span<const NamedTensor> tensors) {
  std::uint32_t crc = 0;
  for (const auto& [name, value] : tensors) {
    crc = crc32c(fmt::format("{}\n{} {}\n", name, to_string(value.dtype()), to_string(value.shape())), crc);
    if (value.size() > 0) crc = crc32c(bytes_of_elements(value), crc);
  }
  return fmt::format("{:08x}", crc);
}

const std::string* find(const Metadata& metadata, std::string_view key) {
  const auto found = std::find_if(metadata.begin(), metadata.end(), [&](const auto& entry) { return entry.first == key; });
  return found == metadata.end() ? nullptr : &found->second;
}

// Reads a file and refuses one that is not exactly what `save` has written.
std::vector<NamedTensor> read_checked(const std::string& path) {
  Safetensors file = read_safetensors(path);
  const std::string *format = find(file.metadata, kFormatKey), *checksum = find(file.metadata, kChecksumKey);
  if (!format || !checksum) throw DataError(fmt::format("{}: this is not a checkpoint of a training", path));
  if (*format != kFormat)
    throw DataError(fmt::format("{}: this checkpoint has the format {}, and {} is needed", path, in_quotes(*format), in_quotes(kFormat)));
  if (const std::string actual = checksum_of(file.tensors); actual != *checksum || file.metadata.size() != 2)
    throw DataError(
        fmt::format("{}: the checkpoint has been altered: its checksum is {}, and it says {}; hint: an older one, {}.1, may be "
                    "whole",
                    path, actual, in_quotes(*checksum), path));
  return std::move(file.tensors);
}

const Tensor& only_tensor(std::span<const NamedTensor> state, const std::string& source, Dtype dtype, const Shape& shape) {
  if (state.size() != 1 || !state[0].name.empty()) throw DataError(fmt::format("{}: a single tensor is needed", source));
  const Tensor& value = state[0].value;
  if (value.dtype() != dtype || value.shape() != shape) {
    throw DataError(fmt::format("{}: {} {} is needed, but the file has {} {}", source, to_string(shape), to_string(dtype),
                                to_string(value.shape()), to_string(value.dtype())));
  }
  return value;
}

Tensor tensor_of(const Generator& g) {
  return Tensor::from(std::vector<std::int64_t>{std::bit_cast<std::int64_t>(g.seed()), std::bit_cast<std::int64_t>(g.counter())});
}

Generator generator_of(const Tensor& t) {
  const std::vector<std::int64_t> values = t.to_vector<std::int64_t>();
  return Generator(std::bit_cast<std::uint64_t>(values[0]), std::bit_cast<std::uint64_t>(values[1]));
}

bool is_generator(const Tensor& t) { return t.dtype() == int64 && t.shape() == Shape{2}; }

// The module's state under its names, and its generators under "generator NAME": names of members have no spaces.
struct ModulePart final : Checkpoint::Part {
  explicit ModulePart(Module& module) : module(module) {}

  std::vector<NamedTensor> state() const override {
    std::vector<NamedTensor> all = nn::state(module);
    for (const NamedGenerator& g : module.generators()) all.push_back({kPrefix + g.name, tensor_of(*g.generator)});
    return all;
  }

  void load_state(std::span<const NamedTensor> state, const std::string& source) override {
    std::vector<NamedTensor> values;
    std::vector<const NamedTensor*> given;
    for (const NamedTensor& t : state) {
      if (t.name.starts_with(kPrefix)) {
        given.push_back(&t);
      } else {
        values.push_back(t);
      }
    }
    const std::vector<NamedGenerator> own = module.generators();
    const bool fits = std::equal(own.begin(), own.end(), given.begin(), given.end(), [](const NamedGenerator& g, const NamedTensor* t) {
      return kPrefix + g.name == t->name && is_generator(t->value);
    });
    if (!fits) {
      throw DataError(fmt::format("{}: does not fit {}: the model has {} generators of random numbers, and the file has {} or others",
                                  source, module.label(), own.size(), given.size()));
    }
    check_dtypes(values, source);
    nn::load_state(module, values, {.source = source});
    for (std::size_t i = 0; i < own.size(); ++i) *own[i].generator = generator_of(given[i]->value);
  }

 private:
  inline static const std::string kPrefix = "generator ";

  // Model files may be of another precision; a training that is resumed may not.
  void check_dtypes(std::span<const NamedTensor> values, const std::string& source) const {
    for (const NamedTensor& own : nn::state(module)) {
      for (const NamedTensor& t : values) {
        if (t.name == own.name && t.value.dtype() != own.value.dtype()) {
          throw DataError(fmt::format("{}: does not fit {}: {} is {} where the model has {}", source, module.label(), own.name,
                                      to_string(t.value.dtype()), to_string(own.value.dtype())));
        }
      }
    }
  }

  Module& module;
};

struct GeneratorPart final : Checkpoint::Part {
  explicit GeneratorPart(Generator& generator) : generator(generator) {}
  std::vector<NamedTensor> state() const override { return {{"", tensor_of(generator)}}; }
  void load_state(std::span<const NamedTensor> state, const std::string& source) override {
    generator = generator_of(only_tensor(state, source, int64, {2}));
  }
  Generator& generator;
};

struct TensorPart final : Checkpoint::Part {
  explicit TensorPart(Tensor& tensor) : tensor(tensor) {}
  std::vector<NamedTensor> state() const override { return {{"", tensor.constant()}}; }
  void load_state(std::span<const NamedTensor> state, const std::string& source) override {
    tensor = only_tensor(state, source, tensor.dtype(), tensor.shape());
  }
  Tensor& tensor;
};

// What of a file belongs to a part: its tensors, under the part's own names for them.
std::vector<NamedTensor> tensors_of(const std::string& part, std::span<const NamedTensor> all) {
  std::vector<NamedTensor> own;
  for (const NamedTensor& t : all) {
    if (t.name == part) own.push_back({"", t.value});
    if (t.name.starts_with(part) && t.name.size() > part.size() && t.name[part.size()] == '/')
      own.push_back({t.name.substr(part.size() + 1), t.value});
  }
  return own;
}

std::string numbered(const std::string& path, Index i) { return i == 0 ? path : fmt::format("{}.{}", path, i); }

}  // namespace

Checkpoint::Checkpoint(std::string path, CheckpointOptions options) : path_(std::move(path)), options_(options) {
  if (path_.empty()) throw ValueError("Checkpoint: there is no path");
  if (options.keep < 1) throw ValueError(fmt::format("Checkpoint: keep must be at least 1, but it is {}", options.keep));
  remove_stale_temporaries(path_);
}

Checkpoint::~Checkpoint() = default;

std::unique_ptr<Checkpoint::Part> Checkpoint::part_of(Module& module) { return std::make_unique<ModulePart>(module); }
std::unique_ptr<Checkpoint::Part> Checkpoint::part_of(Generator& generator) { return std::make_unique<GeneratorPart>(generator); }
std::unique_ptr<Checkpoint::Part> Checkpoint::part_of(Tensor& tensor) {
  wengert::detail::check_defined("Checkpoint", tensor, "the part");
  return std::make_unique<TensorPart>(tensor);
}

std::vector<NamedTensor> Checkpoint::of_number(double value) { return {{"", Tensor::full({}, value, float64)}}; }
std::vector<NamedTensor> Checkpoint::of_integer(std::int64_t value) { return {{"", Tensor::full({}, value, int64)}}; }
double Checkpoint::number_in(std::span<const NamedTensor> state, const std::string& source) {
  return only_tensor(state, source, float64, {}).item();
}
std::int64_t Checkpoint::integer_in(std::span<const NamedTensor> state, const std::string& source) {
  return only_tensor(state, source, int64, {}).to_vector<std::int64_t>()[0];
}
void Checkpoint::refuse_number(std::int64_t value, const std::string& source) {
  throw DataError(fmt::format("{}: {} is out of the range of the part's type", source, value));
}

void Checkpoint::add(std::string name, std::unique_ptr<Part> part) {
  if (name.empty() || name.find('/') != std::string::npos)
    throw ValueError(fmt::format("Checkpoint: a part's name must not be empty nor have a \"/\", but it is {}", in_quotes(name)));
  if (std::any_of(parts_.begin(), parts_.end(), [&](const Named& other) { return other.name == name; }))
    throw ValueError(fmt::format("Checkpoint: two parts have the name {}", in_quotes(name)));
  parts_.push_back({std::move(name), std::move(part)});
}

bool Checkpoint::exists() const {
  struct stat status;
  return ::stat(path_.c_str(), &status) == 0;
}

// The file at `path` stays there until the new one replaces it; the older names move up by one. What was done before a process was killed
// here is recognised: the newest older one is the file at `path`.
void Checkpoint::keep_older() const {
  struct stat newest, before;
  if (options_.keep == 1 || ::stat(path_.c_str(), &newest) != 0) return;
  const bool done = ::stat(numbered(path_, 1).c_str(), &before) == 0 && before.st_dev == newest.st_dev && before.st_ino == newest.st_ino;
  if (done) return;
  for (Index i = options_.keep - 1; i > 1; --i) std::rename(numbered(path_, i - 1).c_str(), numbered(path_, i).c_str());
  ::unlink(numbered(path_, 1).c_str());
  if (::link(path_.c_str(), numbered(path_, 1).c_str()) == 0) return;
  const std::vector<std::byte> bytes = InputFile(path_).read_all();  // a file system without links
  write_file_atomically(numbered(path_, 1), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void Checkpoint::check_path(const char* call) const {
  if (path_.empty()) throw ValueError(fmt::format("Checkpoint::{}: this checkpoint has no file", call));
}

std::vector<NamedTensor> Checkpoint::state() const {
  const NoRecord pause;
  std::vector<NamedTensor> tensors;
  for (const auto& [name, part] : parts_) {
    for (NamedTensor& t : part->state())
      tensors.push_back({t.name.empty() ? name : fmt::format("{}/{}", name, t.name), t.value.constant().contiguous()});
  }
  return tensors;
}

void Checkpoint::save() {
  check_path("save");
  const std::vector<NamedTensor> tensors = state();
  const Metadata metadata{{kFormatKey, kFormat}, {kChecksumKey, checksum_of(tensors)}};
  keep_older();
  write_safetensors(path_, tensors, metadata);
}

bool Checkpoint::resume() {
  check_path("resume");
  if (!exists()) return false;
  load_state(read_checked(path_), path_);
  return true;
}

void Checkpoint::load_state(std::span<const NamedTensor> tensors, const std::string& source) {
  const NoRecord pause;
  for (const NamedTensor& t : tensors) {
    const std::string part = t.name.substr(0, t.name.find('/'));
    if (std::none_of(parts_.begin(), parts_.end(), [&](const Named& own) { return own.name == part; }))
      throw DataError(fmt::format("{}: the checkpoint is of another training: it has the part {}, which this one does not have", source,
                                  in_quotes(part)));
  }
  // A part that refuses has changed nothing; those before it get back what they had.
  std::vector<std::vector<NamedTensor>> before;
  for (const Named& own : parts_) before.push_back(own.part->state());
  std::size_t loaded = 0;
  try {
    for (; loaded < parts_.size(); ++loaded) {
      const auto& [name, part] = parts_[loaded];
      part->load_state(tensors_of(name, tensors), fmt::format("{}, {}", source, name));
    }
  } catch (...) {
    while (loaded-- > 0) parts_[loaded].part->load_state(before[loaded], "Checkpoint::load_state");
    throw;
  }
}

}  // namespace wengert::nn
