#pragma once
// Internal.
// Formulas as trees, which are written as LaTeX, as plain text, or with numbers in place of symbols.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "autodiff/tensor/shape.h"

namespace wengert::detail {

class Term;
using Formulas = std::vector<Term>;

class Term {
 public:
  enum class Kind {
    number,
    symbol,     ///< a name
    sum,        ///< of the parts
    product,    ///< a number times the parts
    quotient,   ///< part 0 / part 1
    power,      ///< part 0 to the part 1
    call,       ///< a function of the parts
    elements,   ///< the elementwise product of the parts
    transpose,  ///< of part 0
    filled,     ///< a tensor of a shape, all of whose elements are part 0, a scalar
  };

  Term() : Term(0.0) {}
  Term(double number);
  /// `value`: for the form with numbers; without one the symbol stands there too.
  static Term symbol(const std::string& name, std::optional<double> value, const std::string& latex = {});
  /// `name` is LaTeX and text at once, as f or f'; `pattern`: LaTeX with # for the operand, or #1, #2, ..., which
  /// goes before the name.
  static Term call(const std::string& name, const std::string& pattern, Formulas operands, std::optional<double> value);
  /// Of two terms of the same shape.
  static Term elements(const Term& a, const Term& b);
  static Term filled(const Term& scalar, const Shape& shape);

  friend Term operator+(const Term& a, const Term& b);
  friend Term operator-(const Term& a, const Term& b) { return a + Term(-1.0) * b; }
  friend Term operator*(const Term& a, const Term& b);
  friend Term operator/(const Term& a, const Term& b);
  friend Term power(const Term& base, const Term& exponent);
  friend Term transposed(const Term& a);

  bool is(double x) const { return kind_ == Kind::number && number_ == x; }
  Kind kind() const { return kind_; }
  const Term& part(std::size_t i) const { return parts_[i]; }
  /// The tensor of ones that a filled one is a multiple of: "ones(4, 1)".
  Term ones() const;
  std::size_t size() const;

  std::string latex() const { return write(Form::latex).text; }
  std::string text() const { return write(Form::text).text; }
  /// With numbers in place of the symbols.
  std::string numbers(bool in_latex) const { return write(in_latex ? Form::numbers_latex : Form::numbers).text; }
  /// Whether that says more than the formula: all its symbols have values.
  bool has_numbers() const;

 private:
  enum class Form { text, latex, numbers, numbers_latex };
  enum Level { kSum, kProduct, kPower, kAtom };
  struct Written {
    std::string text;
    Level level;
  };
  Term(Kind kind, Formulas parts) : kind_(kind), parts_(std::move(parts)) {}
  Written write(Form form) const;
  Written write_product(Form form) const;
  Written write_sum(Form form) const;
  std::string at_least(Level level, Form form) const;
  bool begins_negative() const;

  Kind kind_ = Kind::number;
  double number_ = 0;  ///< of a number, and the factor of a product
  std::string name_, pattern_;
  std::optional<double> value_;
  Formulas parts_;
  Shape shape_;  ///< of `filled`
};

/// "y_hat" as LaTeX: "\hat y"; "h1" as "h_1", "x[i]" as "x_{i}", "eta" as "\eta".
std::string latex_of_name(const std::string& name);

}  // namespace wengert::detail
