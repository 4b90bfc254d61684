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
#include "choices.h"
#include "code.h"

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
    int number;  ///< in C++ its name is v and this number
  };

  /// The program is determined by the choices. `lines`: gets the program in C++, each statement before it is run.
  explicit Program(Choices& choices, std::string* lines = nullptr) : choices_(choices), lines_(lines) {}
  /// Throws a Failure.
  void run();
  /// The outlines of the calls that were printed (code.h).
  const std::vector<std::string>& calls() const { return calls_; }

  // ---- for the operations: whatever is drawn, choice 0 gives the simplest ----

  Index below(Index n) { return static_cast<Index>(choices_.below(static_cast<std::uint64_t>(n))); }
  /// Simpler is what is nearer to 0.
  Index between(Index first, Index last);
  bool one_in(Index n) { return below(n) == n - 1; }
  /// In [-2, 2): 1, -1, -2, 0, 1.5, -0.5 ... The smaller the choice, the fewer digits.
  double real();
  /// Factors of n terms, not 0, with few digits and signs of both kinds; for choice 0 all 1.
  std::vector<double> factors(Index n);

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

  /// Does the operation and the reference, and keeps the result if both agree. `text` returns the library's call as C++ (code.h); it is
  /// called only if the program is printed.
  template <class Library, class Text, class Reference> void step(const char* name, Library&& library, Text&& text, Reference&& reference) {
    std::optional<Array> expected;
    try {
      expected = reference();
    } catch (const Refused&) {
    }
    if (lines_) print_step(name, text(), expected);
    std::optional<Tensor> result;
    std::string message;
    try {
      result = library();
    } catch (const Error& e) {
      message = e.what();
    }
    finish(name, std::move(result), std::move(expected), message);
  }

 private:
  Value fresh(const Shape& shape, Dtype dtype, bool finite = false);
  /// The tensor of an array, a variable or a constant; one in so many has another layout in memory.
  Value made(Array array, Index strided_one_in);
  /// The same values with another layout in memory.
  Tensor strided(Tensor t, int number);
  void print_step(const char* name, const std::string& call, const std::optional<Array>& expected);
  void print_check(int number, const Array& expected);
  void finish(const char* name, std::optional<Tensor> result, std::optional<Array> expected, const std::string& message);
  void keep(Value value);
  void look_at(const Array& a);
  void write();
  void check_nothing_else_changed();
  void check_derivatives();
  [[noreturn]] void fail(const std::string& what) const { throw Failure{what}; }
  template <class... A> void print(fmt::format_string<Literal<A>...> pattern, const A&... arguments) {
    if (lines_) *lines_ += "  " + code(pattern, arguments...) + '\n';
  }

  Choices& choices_;
  std::string* lines_;
  std::optional<Tape> tape_;
  std::vector<Value> values_;
  std::vector<std::string> calls_;
  int numbers_ = 0;  // how many values have been made
  struct Variable {
    Tensor tensor;
    int number;  // in C++ its name is x and this number
  };
  std::vector<Variable> variables_;
  bool moderate_ = true;  // all values so far were finite and not large
  bool written_ = false;
};

inline std::string literal(const Program::Value& value) { return fmt::format("v{}", value.number); }

/// What went wrong in the program with these choices, or "".
std::string run_program(Choices& choices, std::string* lines = nullptr);

/// One kind of step.
struct Operation {
  const char* name;
  void (*step)(Program&);
};
std::span<const Operation> operations();

}  // namespace wengert::fuzz
