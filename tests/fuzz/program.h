#pragma once
// A random program: tensors and operations on them, each done by the library and by the reference.
#include <autodiff/autodiff.h>
#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "array.h"

namespace wengert::fuzz {

/// What went wrong in a program.
struct Failure {
  std::string what;
};

class Program {
 public:
  struct Value {
    Tensor tensor;
    Array array;
  };

  /// The program is determined by the seed. `verbose`: prints each step.
  Program(std::uint64_t seed, bool verbose);
  /// Throws a Failure.
  void run();

  // ---- for the operations ----

  std::uint64_t bits();
  Index below(Index n) { return static_cast<Index>(bits() % static_cast<std::uint64_t>(n)); }
  Index between(Index first, Index last) { return first + below(last - first + 1); }
  bool one_in(Index n) { return below(n) == 0; }
  double real() { return static_cast<double>(bits() >> 11) * 0x1p-52 * 2 - 2; }

  /// A shape of rank 0 to 4 with sizes 0 to 4.
  Shape shape();
  /// A shape that usually broadcasts with the given one, or fits in some other way.
  Shape shape_like(const Shape& shape);
  /// A dimension of a tensor of this rank, counted from either end; rarely one that does not exist.
  Index dim(int rank);
  /// Several dimensions; rarely with repetitions.
  Dims dims(int rank);
  Dtype floating() { return one_in(4) ? float32 : float64; }

  /// One of the existing values.
  const Value& any();
  const Value& any_floating();
  /// A value of this shape: an existing one, or a new one, which may be any kind of view.
  Value of_shape(const Shape& shape, Dtype dtype);
  /// A new value without infinities and NaN.
  Value finite(const Shape& shape, Dtype dtype) { return fresh(shape, dtype, true); }
  /// Integers in [low, high], rarely with one outside.
  Value integers(const Shape& shape, Index low, Index high);

  /// Does the operation and the reference, and keeps the result if both agree.
  template <class Library, class Reference> void step(const char* name, Library&& library, Reference&& reference) {
    std::optional<Array> expected;
    try {
      expected = reference();
    } catch (const Refused&) {
    }
    std::optional<Tensor> result;
    std::string message;
    try {
      result = library();
    } catch (const Error& e) {
      message = e.what();
    }
    finish(name, std::move(result), std::move(expected), message);
  }
  /// Writes to one element of a value; no other value may change.
  void write();

 private:
  Value fresh(const Shape& shape, Dtype dtype, bool finite = false);
  Tensor strided(const Tensor& x);
  void finish(const char* name, std::optional<Tensor> result, std::optional<Array> expected, const std::string& message);
  void keep(Value value);
  void look_at(const Array& a);
  void check_nothing_else_changed();
  void check_derivatives();
  [[noreturn]] void fail(const std::string& what) const { throw Failure{what}; }

  std::uint64_t state_;
  bool verbose_;
  std::optional<Tape> tape_;
  std::vector<Value> values_;
  std::vector<Tensor> variables_;
  bool moderate_ = true;  // all values so far were finite and not large
};

/// One kind of step.
struct Operation {
  const char* name;
  void (*step)(Program&);
};
std::span<const Operation> operations();

}  // namespace wengert::fuzz
