// What an exception says, with the source line and the operands below it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "autodiff/explain/diagnose.h"
#include "autodiff/explain/source_text.h"

namespace wengert {
namespace {

using detail::SourceToken;
using Tokens = std::vector<SourceToken>;
using Columns = std::vector<std::size_t>;
constexpr std::size_t kNone = ~std::size_t(0);

// The only token that `fits` accepts; none if there are several.
template <class Fits> std::size_t only_token(const Tokens& tokens, const Fits& fits) {
  std::size_t found = kNone;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    if (!fits(i)) continue;
    if (found != kNone) return kNone;
    found = i;
  }
  return found;
}

// The first tokens of the arguments of the call whose "(" is at `open`; none if the call goes on in the next line.
std::vector<std::size_t> arguments_of(const Tokens& tokens, std::size_t open) {
  std::vector<std::size_t> first;
  int depth = 0;
  for (std::size_t i = open; tokens[i].kind != SourceToken::Kind::end; ++i) {
    if (tokens[i].closes() && --depth == 0) return first;
    if (depth == 1 && !tokens[i].closes() && (i == open + 1 || tokens[i - 1].is_sign(","))) first.push_back(i);
    if (tokens[i].opens()) ++depth;
  }
  return {};
}

// The first token of the operand that ends before `end`: a name, a call, or an expression in parentheses.
std::size_t operand_before(const Tokens& tokens, std::size_t end) {
  std::size_t first = end;
  for (int depth = 0; first > 0; --first) {
    const SourceToken& t = tokens[first - 1];
    if (depth == 0 && first < end && tokens[first].spaced) break;
    if (t.closes()) {
      ++depth;
    } else if (t.opens()) {
      if (depth-- == 0) break;
    } else if (depth == 0 && t.kind == SourceToken::Kind::sign && !t.is_sign(".") && !t.is_sign("->")) {
      break;
    }
  }
  return first;
}

// Whether messages list these operands in the order of the arguments, from the first argument on.
bool are_first_arguments(const std::vector<ErrorOperand>& operands) {
  static constexpr std::string_view kFirstArguments[][3] = {
      {"left", "right", ""},    {"input", "weight", "bias"}, {"prediction", "target", ""}, {"logits", "target", ""},
      {"logits", "labels", ""}, {"query", "key", "value"},   {"condition", "a", "b"}};
  return std::any_of(std::begin(kFirstArguments), std::end(kFirstArguments), [&](const auto& names) {
    return operands.size() <= std::size(names) &&
           std::equal(operands.begin(), operands.end(), names, [](const ErrorOperand& o, std::string_view name) { return o.name == name; });
  });
}

// Where the line names the operands; empty if that is not certain.
Columns columns_of(std::string_view line, std::string_view operation, const std::vector<ErrorOperand>& listed) {
  if (!are_first_arguments(listed) || operation.empty()) return {};
  const Tokens tokens = detail::source_tokens(line);
  const std::size_t operands = listed.size();
  constexpr std::array<std::array<std::string_view, 2>, 4> kSigns{{{"add", "+"}, {"subtract", "-"}, {"multiply", "*"}, {"divide", "/"}}};
  const auto sign = std::find_if(kSigns.begin(), kSigns.end(), [&](const auto& s) { return s[0] == operation; });
  if (sign != kSigns.end() || std::ispunct(static_cast<unsigned char>(operation[0]))) {
    const std::string_view text = sign != kSigns.end() ? (*sign)[1] : operation;
    const std::size_t at =
        only_token(tokens, [&](std::size_t i) { return tokens[i].is_sign(text) && tokens[i].spaced && tokens[i + 1].spaced; });
    if (at == kNone || operands != 2) return {};
    return {tokens[operand_before(tokens, at)].begin, tokens[at + 1].begin};
  }
  const std::size_t at = only_token(tokens, [&](std::size_t i) { return tokens[i].text == operation && tokens[i + 1].is_sign("("); });
  if (at == kNone) return {};
  const std::vector<std::size_t> first = arguments_of(tokens, at + 1);
  if (first.size() < operands) return {};
  // Operands are the first arguments only if no list is among them, and nothing but options comes after them.
  Columns columns;
  for (std::size_t k = 0; k < first.size(); ++k) {
    if (tokens[first[k]].is_sign("{") == (k < operands)) return {};
    if (k < operands) columns.push_back(tokens[first[k]].begin);
  }
  return columns;
}

}  // namespace

std::string diagnose(const Error& error) {
  const ErrorMessage& m = error.message();
  const std::optional<std::string> line = error.location().line ? detail::source_line(error.location()) : std::nullopt;
  if (!line) return error.what() + std::string("\n");
  std::string text = fmt::format("{}: {}\n{:>6} | {}\n", to_string(error.location()), m.what, error.location().line, *line);
  const Columns columns = columns_of(*line, std::string_view(m.what).substr(0, m.what.find(':')), m.operands);
  const auto label = [&](std::size_t i) {
    const ErrorOperand& operand = m.operands[i];
    return fmt::format("{} {}{}", operand.name, operand.type, operand.made_at.line ? ", made at " + to_string(operand.made_at) : "");
  };
  // The labels hang from their operands, that of the last one first.
  for (std::size_t k = 0; k < m.operands.size(); ++k) {
    const std::size_t i = columns.empty() ? k : m.operands.size() - 1 - k;
    std::string stems;
    for (std::size_t j = 0; j < columns.size() && j <= i; ++j) {
      stems.resize(columns[j], ' ');
      if (j < i) stems += '|';
    }
    text += fmt::format("       | {}{}\n", stems, label(i));
  }
  if (!m.hint.empty()) text += fmt::format("  hint: {}\n", m.hint);
  if (!m.note.empty()) text += fmt::format("  {}\n", std::string_view(m.note).substr(m.note.find_first_not_of("; \n")));
  return text;
}

}  // namespace wengert
