#include "autodiff/explain/term.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>
#include <utility>

namespace wengert::detail {
namespace {

std::string digits_of(double x) { return fmt::format("{:.6g}", x); }

bool is_greek(std::string_view word) {
  constexpr std::string_view kGreek[] = {"alpha", "beta",  "gamma", "delta", "epsilon", "zeta",  "eta", "theta", "kappa", "lambda",
                                         "mu",    "nu",    "xi",    "pi",    "rho",     "sigma", "tau", "phi",   "chi",   "psi",
                                         "omega", "Gamma", "Delta", "Theta", "Lambda",  "Sigma", "Phi", "Psi",   "Omega"};
  return std::find(std::begin(kGreek), std::end(kGreek), word) != std::end(kGreek);
}

std::string latex_of_word(const std::string& word) {
  if (is_greek(word)) return "\\" + word;
  if (word.size() <= 1) return word;
  std::size_t digits = word.size();
  while (digits > 0 && std::isdigit(static_cast<unsigned char>(word[digits - 1]))) --digits;
  if (digits > 0 && digits < word.size()) return fmt::format("{}_{{{}}}", latex_of_word(word.substr(0, digits)), word.substr(digits));
  std::string escaped;
  for (char c : word) escaped += (c == '_' ? "\\_" : std::string(1, c));
  return fmt::format("\\mathrm{{{}}}", escaped);
}

// "conv2d" is a word; "f" and "f'" are letters.
std::string latex_of_function(const std::string& name) {
  const auto in_words = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  if (name.size() == 1 || !std::all_of(name.begin(), name.end(), in_words)) return name;
  std::string escaped;
  for (char c : name) escaped += (c == '_' ? "\\_" : std::string(1, c));
  return fmt::format("\\operatorname{{{}}}", escaped);
}

}  // namespace

std::string latex_of_name(const std::string& name) {
  const std::size_t bracket = name.find_first_of("[(");
  if (bracket != std::string::npos && bracket > 0) {
    std::string inside;
    for (char c : name.substr(bracket))
      if (std::string_view("[]()").find(c) == std::string_view::npos) inside += c;
    return fmt::format("{}_{{{}}}", latex_of_name(name.substr(0, bracket)), inside);
  }
  const std::size_t dot = name.rfind('.');
  if (dot != std::string::npos && dot + 1 < name.size())
    return fmt::format("{}_{{\\mathrm{{{}}}}}", latex_of_name(name.substr(dot + 1)), name.substr(0, dot));
  const std::size_t at = name.rfind('_');
  if (at == std::string::npos || at == 0 || at + 1 == name.size()) return latex_of_word(name);
  const std::string base = latex_of_name(name.substr(0, at)), mark = name.substr(at + 1);
  if (mark == "hat" || mark == "bar" || mark == "dot" || mark == "tilde")
    return base.size() == 1 || base[0] == '\\' ? fmt::format("\\{} {}", mark, base) : fmt::format("\\{}{{{}}}", mark, base);
  if (mark.size() == 1 || std::all_of(mark.begin(), mark.end(), [](unsigned char c) { return std::isdigit(c); }))
    return fmt::format("{}_{{{}}}", base, mark);
  return fmt::format("{}_{{\\mathrm{{{}}}}}", base, mark);
}

// ---- making formulas --------------------------------------------------------------------------------------------------------

Term::Term(double number) : number_(number) {}

Term Term::symbol(const std::string& name, std::optional<double> value, const std::string& latex) {
  Term t(Kind::symbol, {});
  t.pattern_ = latex;
  t.name_ = name;
  t.value_ = value;
  return t;
}
Term Term::call(const std::string& name, const std::string& pattern, Formulas operands, std::optional<double> value) {
  Term t(Kind::call, std::move(operands));
  t.name_ = name;
  t.pattern_ = pattern;
  t.value_ = value;
  return t;
}
Term Term::filled(const Term& scalar, const Shape& shape) {
  if (scalar.is(0)) return scalar;
  Term t(Kind::filled, {scalar});
  t.shape_ = shape;
  return t;
}
Term Term::ones() const {
  std::string sizes;
  for (const Index size : shape_) sizes += fmt::format("{}{}", sizes.empty() ? "" : " \\times ", size);
  return symbol("ones" + to_string(shape_), std::nullopt, fmt::format("\\mathbf{{1}}_{{{}}}", sizes));
}
Term Term::elements(const Term& a, const Term& b) {
  if (a.is(0) || b.is(0)) return 0.0;
  if (a.kind_ == Kind::number || b.kind_ == Kind::number) return a * b;
  if (a.kind_ == Kind::filled) return a.parts_[0] * b;
  if (b.kind_ == Kind::filled) return b.parts_[0] * a;
  // Numbers go to the front.
  double factor = 1;
  Formulas parts;
  for (const Term* each : {&a, &b}) {
    if (each->kind_ == Kind::product && each->number_ != 1) {
      factor *= each->number_;
      Term rest = *each;
      rest.number_ = 1;
      parts.push_back(rest.parts_.size() == 1 ? rest.parts_[0] : rest);
    } else if (each->kind_ == Kind::elements) {
      parts.insert(parts.end(), each->parts_.begin(), each->parts_.end());
    } else {
      parts.push_back(*each);
    }
  }
  return Term(factor) * Term(Kind::elements, std::move(parts));
}

Term operator+(const Term& a, const Term& b) {
  if (a.is(0)) return b;
  if (b.is(0)) return a;
  if (a.kind_ == Term::Kind::number && b.kind_ == Term::Kind::number) return a.number_ + b.number_;
  Formulas parts;
  for (const Term* each : {&a, &b}) {
    if (each->kind_ == Term::Kind::sum) {
      parts.insert(parts.end(), each->parts_.begin(), each->parts_.end());
    } else {
      parts.push_back(*each);
    }
  }
  return Term(Term::Kind::sum, std::move(parts));
}

Term operator*(const Term& a, const Term& b) {
  if (a.is(0) || b.is(0)) return 0.0;
  if (a.is(1)) return b;
  if (b.is(1)) return a;
  if (a.kind_ == Term::Kind::filled)
    return b.kind_ == Term::Kind::number ? Term::filled(b * a.parts_[0], a.shape_) : a.parts_[0] * a.ones() * b;
  if (b.kind_ == Term::Kind::filled)
    return a.kind_ == Term::Kind::number ? Term::filled(a * b.parts_[0], b.shape_) : a * b.parts_[0] * b.ones();
  Term product(Term::Kind::product, {});
  product.number_ = 1;
  for (const Term* each : {&a, &b}) {
    if (each->kind_ == Term::Kind::number) {
      product.number_ *= each->number_;
    } else if (each->kind_ == Term::Kind::product) {
      product.number_ *= each->number_;
      product.parts_.insert(product.parts_.end(), each->parts_.begin(), each->parts_.end());
    } else {
      product.parts_.push_back(*each);
    }
  }
  // 2 a (b / (2 c)) is a (b / c), as where the slopes of a square and of its root meet.
  for (Term& part : product.parts_) {
    if (part.kind_ != Term::Kind::quotient) continue;
    Term& below = part.parts_[1];
    if (product.number_ == 1 || below.kind_ != Term::Kind::product || below.number_ != std::abs(product.number_)) continue;
    below.number_ = 1;
    if (below.parts_.size() == 1) below = Term(below.parts_[0]);
    product.number_ = std::copysign(1.0, product.number_);
  }
  if (product.parts_.empty()) return product.number_;
  if (product.parts_.size() == 1 && product.number_ == 1) return Term(product.parts_[0]);
  return product;
}

Term operator/(const Term& a, const Term& b) {
  if (a.is(0) || b.is(1)) return a;
  if (a.kind_ == Term::Kind::product && a.number_ != 1) {
    Term rest = a;
    const double factor = std::exchange(rest.number_, 1);
    return Term(factor) * ((rest.parts_.size() == 1 ? Term(rest.parts_[0]) : rest) / b);
  }
  return Term(Term::Kind::quotient, {a, b});
}
Term power(const Term& base, const Term& exponent) {
  if (exponent.is(1)) return base;
  if (exponent.is(0)) return 1.0;
  if (exponent.is(2) && base.kind_ == Term::Kind::call && base.name_ == "sqrt") return Term(base.parts_[0]);
  return Term(Term::Kind::power, {base, exponent});
}
Term transposed(const Term& a) {
  if (a.kind_ == Term::Kind::number) return a;
  if (a.kind_ == Term::Kind::transpose) return Term(a.parts_[0]);
  if (a.kind_ == Term::Kind::product && a.number_ != 1) {
    Term rest = a;
    const double factor = std::exchange(rest.number_, 1);
    return Term(factor) * transposed(rest.parts_.size() == 1 ? Term(rest.parts_[0]) : rest);
  }
  if (a.kind_ == Term::Kind::filled) {
    Shape shape = a.shape_;
    std::reverse(shape.begin(), shape.end());
    return Term::filled(a.parts_[0], shape);
  }
  return Term(Term::Kind::transpose, {a});
}

std::size_t Term::size() const {
  std::size_t n = 1;
  for (const Term& part : parts_) n += part.size();
  return n;
}
bool Term::has_numbers() const {
  if (kind_ == Kind::symbol) return value_.has_value();
  if (kind_ == Kind::transpose || kind_ == Kind::elements || kind_ == Kind::filled) return false;
  if (kind_ == Kind::call && value_) return true;
  return std::all_of(parts_.begin(), parts_.end(), [](const Term& part) { return part.has_numbers(); });
}

// ---- writing them -----------------------------------------------------------------------------------------------------------

std::string Term::at_least(Level level, Form form) const {
  const Written w = write(form);
  return w.level >= level ? w.text : "(" + w.text + ")";
}

bool Term::begins_negative() const {
  if (kind_ == Kind::number) return std::signbit(number_);
  if (kind_ == Kind::product) return number_ < 0 || (number_ == 1 && parts_[0].begins_negative());
  return kind_ == Kind::sum && parts_[0].begins_negative();
}

Term::Written Term::write_sum(Form form) const {
  std::string text;
  for (const Term& part : parts_) {
    const Written written = part.write(form);
    std::string next = written.level < kProduct && part.kind_ == Kind::sum ? "(" + written.text + ")" : written.text;
    const bool negative = !next.empty() && next[0] == '-';
    if (text.empty()) {
      text = next;
    } else {
      text += negative ? " - " + next.substr(1) : " + " + next;
    }
  }
  return {text, kSum};
}

Term::Written Term::write_product(Form form) const {
  const bool with_numbers = form == Form::numbers || form == Form::numbers_latex,
             in_latex = form == Form::latex || form == Form::numbers_latex;
  std::string text;
  if (number_ < 0) text = "-";
  const double factor = std::abs(number_);
  std::string before;  // what has been written, without the sign
  if (factor != 1) before = factor == 0.5 && in_latex ? "\\tfrac{1}{2}" : digits_of(factor);
  for (const Term& part : parts_) {
    std::string next = parts_.size() == 1 && part.kind_ == Kind::elements ? part.write(form).text : part.at_least(kPower, form);
    const bool leads = before.empty() && text.empty();
    if (with_numbers && !leads && !next.empty() && next[0] == '-') next = fmt::format("({})", next);
    if (before.empty()) {
      before = next;
    } else if (with_numbers) {
      before += (in_latex ? " \\cdot " : " * ") + next;
    } else if (in_latex) {
      // A bracket separates by itself; two names need a little room.
      before += (next[0] == '(' || before.back() == '(' ||
                         (before.back() == ')' && before.front() == '(' && before.find('\'') == std::string::npos)
                     ? " "
                     : "\\, ") +
                next;
    } else {
      before += " " + next;
    }
  }
  return {text + before, number_ < 0 ? kSum : kProduct};
}

Term::Written Term::write(Form form) const {
  const bool in_latex = form == Form::latex || form == Form::numbers_latex,
             with_numbers = form == Form::numbers || form == Form::numbers_latex;
  switch (kind_) {
    case Kind::number:
      if (in_latex && number_ == 0.5) return {"\\tfrac{1}{2}", kPower};
      return {digits_of(number_), number_ < 0 ? kSum : kAtom};
    case Kind::symbol:
      if (with_numbers && value_) return {digits_of(*value_), *value_ < 0 ? kSum : kAtom};
      return {in_latex ? (pattern_.empty() ? latex_of_name(name_) : pattern_) : name_, kAtom};
    case Kind::sum:
      return write_sum(form);
    case Kind::product:
      return write_product(form);
    case Kind::quotient:
      if (in_latex) return {fmt::format("\\frac{{{}}}{{{}}}", parts_[0].write(form).text, parts_[1].write(form).text), kPower};
      return {fmt::format("{} / {}", parts_[0].at_least(kPower, form), parts_[1].at_least(kPower, form)), kProduct};
    case Kind::power:
      if (in_latex) return {fmt::format("{}^{{{}}}", parts_[0].at_least(kAtom, form), parts_[1].write(form).text), kPower};
      return {fmt::format("{}^{}", parts_[0].at_least(kAtom, form), parts_[1].at_least(kAtom, form)), kPower};
    case Kind::transpose:
      return in_latex ? Written{fmt::format("{}^T", parts_[0].at_least(kAtom, form)), kPower}
                      : Written{parts_[0].at_least(kAtom, form) + "^T", kPower};
    case Kind::elements: {
      std::string text;
      for (const Term& part : parts_) text += (text.empty() ? "" : in_latex ? " \\odot " : " .* ") + part.at_least(kPower, form);
      return {text, kProduct};
    }
    case Kind::filled:
      return (parts_[0] * ones()).write(form);
    case Kind::call:
      break;
  }
  if (with_numbers && value_) return {digits_of(*value_), *value_ < 0 ? kSum : kAtom};
  std::string arguments;
  for (const Term& part : parts_) arguments += (arguments.empty() ? "" : ", ") + part.write(form).text;
  if (in_latex && !pattern_.empty()) {
    std::string text;
    for (std::size_t i = 0; i < pattern_.size(); ++i) {
      if (pattern_[i] != '#') {
        text += pattern_[i];
        continue;
      }
      const char before = i > 0 ? pattern_[i - 1] : ' ';
      const bool is_numbered = i + 1 < pattern_.size() && '1' <= pattern_[i + 1] && pattern_[i + 1] <= '9';
      const Term& operand = parts_[is_numbered ? static_cast<std::size_t>(pattern_[++i] - '1') : 0];
      const char after = i + 1 < pattern_.size() ? pattern_[i + 1] : ' ';
      const bool is_enclosed = (before == '{' && after == '}') || (before == '(' && after == ')');
      text += is_enclosed ? operand.write(form).text : operand.at_least(kPower, form);
    }
    return {text, pattern_.find(" + ") != std::string::npos ? kSum : kPower};
  }
  return {fmt::format("{}({})", in_latex ? latex_of_function(name_) : name_, arguments), kAtom};
}

}  // namespace wengert::detail
