#pragma once
// Internal.
// The lines of the user's program, read again where the file can be found, and what a statement in them says.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/error.h"

namespace wengert::detail {

/// A line of a source file, without spaces around it; nothing if the file cannot be read or has no such line.
std::optional<std::string> source_line(Location site);

/// A word, a literal or a sign of C++. A name in a namespace is its last part.
struct SourceToken {
  enum class Kind { word, literal, sign, end } kind = Kind::end;
  std::string text = {};
  std::size_t begin = 0;  ///< of the whole name, in the text
  bool spaced = false;    ///< a space comes before it

  bool is_sign(std::string_view which) const { return kind == Kind::sign && text == which; }
  bool opens() const { return is_sign("(") || is_sign("[") || is_sign("{"); }
  bool closes() const { return is_sign(")") || is_sign("]") || is_sign("}"); }
};
/// The tokens of a text, and one of the kind `end` behind them. Comments are left out.
std::vector<SourceToken> source_tokens(std::string_view text);

/// An expression of C++ as far as explanations need it: names, numbers, calls and the operators + - * /.
struct SourceExpression {
  enum class Kind { name, number, call, sign };
  Kind kind = Kind::name;
  std::string text =
      {};  ///< "w", "x[i]", "0.5"; the function's name of a call; "+", "-", "*", "/" of a sign, which has one or two operands
  std::vector<SourceExpression> operands = {};
};

/// `name = expression` or `name += expression`, also where it declares the name.
struct SourceStatement {
  std::string name = {};  ///< empty for `return expression` and for an expression alone
  char sign = 0;          ///< '+' of +=
  SourceExpression expression = {};
};

/// The statements that begin on a line: several if it declares several names. A statement may go on over the next lines.
std::vector<SourceStatement> statements_at(Location site);
std::vector<SourceStatement> parse_statements(const std::string& text);

}  // namespace wengert::detail
