// What an exception says, with the source line and the operands below it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <iterator>
#include <optional>
#include <string_view>
#include <vector>

#include "autodiff/explain/diagnose.h"
#include "autodiff/explain/source_text.h"

namespace wengert {
namespace {

using Columns = std::vector<std::size_t>;

bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The only place of `text` in the line that `fits` accepts; npos if there is none, or more than one.
template <class Fits> std::size_t only_place(std::string_view line, std::string_view text, const Fits& fits) {
  std::size_t found = std::string_view::npos;
  for (std::size_t at = line.find(text); at != std::string_view::npos; at = line.find(text, at + 1)) {
    if (!fits(at)) continue;
    if (found != std::string_view::npos) return std::string_view::npos;
    found = at;
  }
  return found;
}

// Where the arguments of the call whose "(" is at `open` begin; empty if the call goes on in the next line.
Columns arguments_of(std::string_view line, std::size_t open) {
  Columns begin;
  int depth = 0;
  bool quoted = false, expected = true;
  for (std::size_t i = open; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && line[i - 1] != '\\') quoted = !quoted;
    const bool closes = !quoted && (c == ')' || c == ']' || c == '}');
    if (depth == 1 && expected && c != ' ' && !closes) {
      begin.push_back(i);
      expected = false;
    }
    if (quoted) continue;
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (closes && --depth == 0) return begin;
    if (c == ',' && depth == 1) expected = true;
  }
  return {};
}

// Where the operand that ends before `end` begins: a name, a call, or an expression in parentheses.
std::size_t operand_before(std::string_view line, std::size_t end) {
  std::size_t i = end;
  int depth = 0;
  for (; i > 0; --i) {
    const char c = line[i - 1];
    if (c == ')' || c == ']' || c == '}') ++depth;
    if (c == '(' || c == '[' || c == '{') {
      if (depth == 0) break;
      --depth;
      continue;
    }
    if (depth == 0 && !in_word(c) && c != '.' && c != ':' && c != ')' && c != ']') break;
  }
  return i;
}

// Whether messages list these operands in the order of the arguments, from the first argument on.
bool are_first_arguments(const std::vector<ErrorOperand>& operands) {
  static constexpr std::string_view kFirstArguments[][3] = {{"left", "right", ""},        {"input", "weight", "bias"},
                                                            {"prediction", "target", ""}, {"logits", "target", ""},
                                                            {"logits", "labels", ""},     {"query", "key", "value"}};
  return std::any_of(std::begin(kFirstArguments), std::end(kFirstArguments), [&](const auto& names) {
    return operands.size() <= std::size(names) &&
           std::equal(operands.begin(), operands.end(), names, [](const ErrorOperand& o, std::string_view name) { return o.name == name; });
  });
}

// Where the line names the operands; empty if that is not certain.
Columns columns_of(std::string_view line, std::string_view operation, const std::vector<ErrorOperand>& listed) {
  if (!are_first_arguments(listed)) return {};
  const std::size_t operands = listed.size();
  constexpr std::array<std::array<std::string_view, 2>, 4> kSigns{{{"add", "+"}, {"subtract", "-"}, {"multiply", "*"}, {"divide", "/"}}};
  const auto sign = std::find_if(kSigns.begin(), kSigns.end(), [&](const auto& s) { return s[0] == operation; });
  if (sign != kSigns.end() || (!operation.empty() && std::ispunct(static_cast<unsigned char>(operation[0])))) {
    const std::string spaced = fmt::format(" {} ", sign != kSigns.end() ? (*sign)[1] : operation);
    const std::size_t at = only_place(line, spaced, [](std::size_t) { return true; });
    if (at == std::string_view::npos || operands != 2) return {};
    return {operand_before(line, at), at + spaced.size()};
  }
  const std::size_t at = only_place(line, fmt::format("{}(", operation), [&](std::size_t i) { return i == 0 || !in_word(line[i - 1]); });
  if (at == std::string_view::npos) return {};
  Columns begin = arguments_of(line, at + operation.size());
  if (begin.size() < operands) return {};
  // Operands are the first arguments only if no list is among them, and nothing but options comes after them.
  const auto is_list = [&](std::size_t column) { return line[column] == '{'; };
  const auto rest = begin.begin() + static_cast<std::ptrdiff_t>(operands);
  if (std::any_of(begin.begin(), rest, is_list) || !std::all_of(rest, begin.end(), is_list)) return {};
  begin.erase(rest, begin.end());
  return begin;
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
