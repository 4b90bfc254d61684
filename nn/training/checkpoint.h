#pragma once
// What a training needs to go on as if it had never stopped, in one file.
#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/tensor/named_tensor.h"
#include "autodiff/tensor/random.h"
#include "nn/module/module.h"
#include "optim/state.h"

namespace wengert::nn {

struct CheckpointOptions {
  /// How many files are kept: the newest at `path`, the one before it at `path.1`, then `path.2`, ...
  Index keep = 1;
};

/// The parts of a training by name, written to a file and read from it together:
///
///     nn::Checkpoint checkpoint("run.checkpoint", {.keep = 3});
///     checkpoint("net", net)("adam", adam)("order", generator)("history", history)("epoch", epoch);
///     checkpoint.resume();
///     while (epoch < 10) {
///       ... one epoch ...
///       ++epoch;
///       checkpoint.save();
///     }
///
/// A part is a module (its parameters, its running statistics and the generators of its layers), anything with `state()` and `load_state()`
/// (optimizers, LBFGS, averages of weights, PlateauSchedule, History), a Generator, a Tensor, or a number. Parts must outlive the
/// checkpoint.
///
/// The file is a safetensors file with a checksum. It appears whole or not at all, and a process that is killed at any moment leaves a
/// whole one. The same parts always give the same bytes.
class Checkpoint {
 public:
  /// Removes what killed writers have left in the folder. A ValueError unless `keep` is positive and there is a path.
  explicit Checkpoint(std::string path, CheckpointOptions options = {});
  /// Without a file: parts whose `state()` goes elsewhere, to other processes for example. `save` and `resume` are a ValueError.
  Checkpoint() = default;
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;
  ~Checkpoint();

  /// Names a part. A ValueError if the name is empty, has a "/" or is taken.
  template <class T> Checkpoint& operator()(std::string name, T& part) {
    static_assert(!std::is_const_v<T>, "parts of a checkpoint are changed when a training is resumed");
    if constexpr (std::derived_from<T, Module>) {
      add(std::move(name), part_of(static_cast<Module&>(part)));
    } else if constexpr (std::derived_from<T, Generator>) {
      add(std::move(name), part_of(static_cast<Generator&>(part)));
    } else if constexpr (std::derived_from<T, Tensor>) {
      add(std::move(name), part_of(static_cast<Tensor&>(part)));
    } else if constexpr (std::is_arithmetic_v<T>) {
      add(std::move(name), std::make_unique<NumberPart<T>>(part));
    } else {
      static_assert(optim::HasState<T>,
                    "a part of a checkpoint is a module, an optimizer or something else with state() and load_state(), a Generator, a "
                    "Tensor or a number");
      add(std::move(name), std::make_unique<StatePart<T>>(part));
    }
    return *this;
  }

  /// Of the file.
  const std::string& path() const { return path_; }
  /// Whether there is a file.
  bool exists() const;
  /// Writes the file and waits until it is on the disk. A DataError if that fails; then the file that was there still is.
  void save();
  /// Gives all parts the values in the file; false, with nothing done, if there is none. A DataError says what is wrong with a file that is
  /// truncated, altered, or of other parts: another model, another optimizer. Nothing has changed then.
  bool resume();

  /// What the file holds: the tensors of all parts, "PART" or "PART/NAME".
  std::vector<NamedTensor> state() const;
  /// Gives all parts the values of a state. A DataError that begins with `source` for a state of other parts. Nothing has changed then.
  void load_state(std::span<const NamedTensor> state, const std::string& source);

  /// How a part is saved and read. Internal.
  class Part {
   public:
    Part() = default;
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    virtual ~Part() = default;
    virtual std::vector<NamedTensor> state() const = 0;
    virtual void load_state(std::span<const NamedTensor> state, const std::string& source) = 0;
  };

 private:
  template <class T> struct StatePart final : Part {
    explicit StatePart(T& part) : part(part) {}
    std::vector<NamedTensor> state() const override { return part.state(); }
    void load_state(std::span<const NamedTensor> state, const std::string& source) override { part.load_state(state, source); }
    T& part;
  };
  template <class T> struct NumberPart final : Part {
    explicit NumberPart(T& part) : part(part) {}
    std::vector<NamedTensor> state() const override {
      if constexpr (std::is_floating_point_v<T>) {
        return of_number(static_cast<double>(part));
      } else {
        return of_integer(static_cast<std::int64_t>(part));
      }
    }
    void load_state(std::span<const NamedTensor> state, const std::string& source) override {
      if constexpr (std::is_floating_point_v<T>) {
        part = static_cast<T>(number_in(state, source));
      } else {
        const std::int64_t value = integer_in(state, source);
        if (!std::in_range<LargeInteger>(value)) refuse_number(value, source);
        part = static_cast<T>(value);
      }
    }
    using LargeInteger = std::conditional_t<std::is_same_v<T, bool>, unsigned char, std::conditional_t<std::is_integral_v<T>, T, long>>;
    T& part;
  };

  static std::unique_ptr<Part> part_of(Module& module);
  static std::unique_ptr<Part> part_of(Generator& generator);
  static std::unique_ptr<Part> part_of(Tensor& tensor);
  static std::vector<NamedTensor> of_number(double value);
  static std::vector<NamedTensor> of_integer(std::int64_t value);
  static double number_in(std::span<const NamedTensor> state, const std::string& source);
  static std::int64_t integer_in(std::span<const NamedTensor> state, const std::string& source);
  [[noreturn]] static void refuse_number(std::int64_t value, const std::string& source);
  void add(std::string name, std::unique_ptr<Part> part);
  void check_path(const char* call) const;
  void keep_older() const;

  struct Named {
    std::string name;
    std::unique_ptr<Part> part;
  };

  std::string path_;
  CheckpointOptions options_;
  std::vector<Named> parts_;
};

}  // namespace wengert::nn
