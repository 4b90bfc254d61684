#include "autodiff/explain/source_text.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <map>
#include <mutex>
#include <string_view>

namespace wengert::detail {
namespace {

constexpr std::size_t kMaxLines = 12;  // of one statement

using Lines = std::vector<std::string>;

// The file as the compiler was told its name, which may be relative to the folder of the build: looked for from the working folder and
// those above it.
std::ifstream open_source(const std::string& file) {
  std::ifstream in(file);
  if (in || file.empty() || file[0] == '/') return in;
  std::string inner = file;
  while (inner.starts_with("../")) inner.erase(0, 3);
  std::string folder;
  for (int up = 0; !in && up < 4; ++up, folder += "../") in.open(folder + inner);
  return in;
}

Lines read_lines(const std::string& file) {
  Lines lines;
  std::ifstream in = open_source(file);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The lines of a file, read once. Never destroyed: explanations may be written while the process exits.
const Lines& lines_of(const char* file) {
  static std::mutex mutex;
  static auto* const files = new std::map<std::string, Lines>;
  const std::lock_guard lock(mutex);
  const auto known = files->find(file);
  return known != files->end() ? known->second : files->emplace(file, read_lines(file)).first->second;
}

std::string without_comment(const std::string& line) { return line.substr(0, line.find("//")); }

bool begins_word(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool in_word(char c) { return begins_word(c) || std::isdigit(static_cast<unsigned char>(c)); }

using Kind = SourceExpression::Kind;

// A parser by recursive descent. What it does not know ends the expression, and the statement is left out.
class Parser {
 public:
  explicit Parser(std::vector<SourceToken> tokens) : tokens_(std::move(tokens)) {}

  std::vector<SourceStatement> statements() {
    std::vector<SourceStatement> all;
    while (peek().kind != SourceToken::Kind::end) {
      std::optional<SourceStatement> statement = one();
      if (statement) all.push_back(std::move(*statement));
      while (peek().kind != SourceToken::Kind::end && !is(",") && !is(";")) skip();
      if (peek().kind != SourceToken::Kind::end) ++at_;
    }
    return all;
  }

 private:
  const SourceToken& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool is(std::string_view text, std::size_t ahead = 0) const { return peek(ahead).is_sign(text); }

  // One token, or a pair of brackets with all in it.
  void skip() {
    int depth = 0;
    do {
      if (peek().opens()) ++depth;
      if (peek().closes()) --depth;
      ++at_;
    } while (depth > 0 && peek().kind != SourceToken::Kind::end);
  }

  // From here to the next `,` or `;` outside brackets. The words of a type before the name are passed over.
  std::optional<SourceStatement> one() {
    const std::size_t begin = at_;
    // Find `name =`, `name +=` or `name(` `{`: the last word before the sign.
    for (std::size_t depth = 0; peek().kind != SourceToken::Kind::end; ++at_) {
      if (peek().opens()) ++depth;
      if (peek().closes()) {
        if (depth == 0) break;
        --depth;
      }
      if (depth > 0) continue;
      if (is(",") || is(";")) break;
      if (peek().kind == SourceToken::Kind::sign && peek().text.size() <= 2 && peek().text.back() == '=' &&
          std::string_view("=+-*/").find(peek().text[0]) != std::string_view::npos && peek().text != "==") {
        const char sign = peek().text.size() == 2 ? peek().text[0] : '\0';
        const std::string name = name_before(begin);
        ++at_;
        std::optional<SourceExpression> e = sum();
        if (!e || name.empty()) return std::nullopt;
        return SourceStatement{name, sign, std::move(*e)};
      }
    }
    at_ = begin;
    while (peek().kind == SourceToken::Kind::word && peek(1).kind == SourceToken::Kind::word) ++at_;  // `return`, or a type
    std::optional<SourceExpression> e = sum();
    if (!e) return std::nullopt;
    return SourceStatement{"", '\0', std::move(*e)};
  }
  // The name that ends here, with its subscripts.
  std::string name_before(std::size_t begin) const {
    std::size_t first = at_;
    while (first > begin) {
      const SourceToken& t = tokens_[first - 1];
      if (t.kind == SourceToken::Kind::sign && (t.text == "]" || t.text == ")")) {
        const std::string open = t.text == "]" ? "[" : "(";
        while (first > begin && tokens_[first - 1].text != open) --first;
        if (first > begin) --first;
        continue;
      }
      if (t.kind != SourceToken::Kind::word) return "";
      --first;
      if (first > begin && (tokens_[first - 1].text == "." || tokens_[first - 1].text == "->")) {
        --first;
        continue;
      }
      break;
    }
    return text_between(first, at_);
  }
  std::string text_between(std::size_t first, std::size_t last) const {
    std::string text;
    for (std::size_t i = first; i < last; ++i) text += (i > first && tokens_[i - 1].text == "," ? " " : "") + tokens_[i].text;
    return text;
  }

  std::optional<SourceExpression> sum() {
    return chain({"+", "-"}, [this] { return product(); });
  }
  std::optional<SourceExpression> product() {
    return chain({"*", "/"}, [this] { return sign(); });
  }
  template <class F> std::optional<SourceExpression> chain(std::initializer_list<const char*> signs, F&& part) {
    std::optional<SourceExpression> left = part();
    while (left) {
      std::string found;
      for (const char* s : signs)
        if (is(s)) found = s;
      if (found.empty()) break;
      ++at_;
      std::optional<SourceExpression> right = part();
      if (!right) return std::nullopt;
      left = SourceExpression{Kind::sign, found, {std::move(*left), std::move(*right)}};
    }
    return left;
  }
  std::optional<SourceExpression> sign() {
    if (!is("-") && !is("+")) return postfix();
    const bool negative = is("-");
    ++at_;
    std::optional<SourceExpression> e = sign();
    if (!e || !negative) return e;
    if (e->kind == Kind::number) return SourceExpression{Kind::number, "-" + e->text, {}};
    return SourceExpression{Kind::sign, "-", {std::move(*e)}};
  }
  std::optional<SourceExpression> postfix() {
    if (is("(")) {
      ++at_;
      std::optional<SourceExpression> e = sum();
      if (!e || !is(")")) return std::nullopt;
      ++at_;
      return e;
    }
    if (peek().kind == SourceToken::Kind::literal) return SourceExpression{Kind::number, tokens_[at_++].text, {}};
    if (peek().kind != SourceToken::Kind::word) return std::nullopt;
    const std::size_t first = at_++;
    while (true) {
      if ((is(".") || is("->")) && peek(1).kind == SourceToken::Kind::word) {
        at_ += 2;
      } else if (is("[")) {
        skip();
      } else {
        break;
      }
    }
    if (!is("(") && !is("{")) return SourceExpression{Kind::name, text_between(first, at_), {}};
    const std::size_t open = at_;
    const bool method = open - first > 1;
    SourceExpression call{Kind::call, method ? text_between(first, open) : tokens_[first].text, {}};
    ++at_;
    bool known = true;
    while (!is(")") && !is("}") && peek().kind != SourceToken::Kind::end) {
      std::optional<SourceExpression> e = sum();
      if (e && (is(",") || is(")") || is("}"))) {
        call.operands.push_back(std::move(*e));
      } else {
        known = false;
        while (!is(",") && !is(")") && !is("}") && peek().kind != SourceToken::Kind::end) skip();
      }
      if (is(",")) ++at_;
    }
    if (peek().kind != SourceToken::Kind::end) ++at_;
    // `Scalar(e)` is e, and the value of a member function, or an element x(i), is called by its text.
    if ((call.text == "Scalar" || call.text == "Tensor" || call.text == "named") && known && !call.operands.empty())
      return call.operands.back();
    if (method || is("[") || is(".")) {
      while (is(".") || is("[") || is("(")) {
        if (is(".")) ++at_;
        skip();
      }
      return SourceExpression{Kind::name, text_between(first, at_), {}};
    }
    return call;
  }

  std::vector<SourceToken> tokens_;
  std::size_t at_ = 0;
};

}  // namespace

std::optional<std::string> source_line(Location site) {
  if (site.line == 0) return std::nullopt;
  const Lines& lines = lines_of(site.file);
  if (site.line > lines.size()) return std::nullopt;
  const std::string& line = lines[site.line - 1];
  const std::size_t first = line.find_first_not_of(" \t"), last = line.find_last_not_of(" \t\r");
  if (first == std::string::npos) return std::nullopt;
  return line.substr(first, last - first + 1);
}

std::vector<SourceToken> source_tokens(std::string_view text) {
  std::vector<SourceToken> tokens;
  bool spaced = false;
  std::size_t begin = std::string_view::npos;  // of a name whose last part has not come yet
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (text.substr(i, 2) == "//") {
      i = std::min(text.find('\n', i), text.size());
      continue;
    }
    if (std::isspace(static_cast<unsigned char>(c))) {
      spaced = true;
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    SourceToken::Kind kind = SourceToken::Kind::sign;
    if (begins_word(c)) {
      kind = SourceToken::Kind::word;
      while (end < text.size() && in_word(text[end])) ++end;
      begin = std::min(begin, i);
      if (text.substr(end, 2) == "::") {
        i = end + 2;
        continue;
      }
    } else if (std::isdigit(static_cast<unsigned char>(c)) ||
               (c == '.' && i + 1 < text.size() && std::isdigit(static_cast<unsigned char>(text[i + 1])))) {
      kind = SourceToken::Kind::literal;
      while (end < text.size() && (in_word(text[end]) || text[end] == '.' ||
                                   ((text[end] == '+' || text[end] == '-') && (text[end - 1] == 'e' || text[end - 1] == 'E'))))
        ++end;
    } else if (c == '"') {
      kind = SourceToken::Kind::literal;
      while (end < text.size() && text[end] != '"') end += text[end] == '\\' ? 2 : 1;
      end = std::min(end + 1, text.size());
    } else {
      const std::string_view two = text.substr(i, 2);
      const bool assigns = two.size() == 2 && two[1] == '=' && std::string_view("+-*/=<>!").find(c) != std::string_view::npos;
      if (assigns || two == "->" || two == "&&" || two == "||") ++end;
    }
    tokens.push_back({kind, std::string(text.substr(i, end - i)), std::min(begin, i), spaced});
    spaced = false;
    begin = std::string_view::npos;
    i = end;
  }
  tokens.push_back({.begin = text.size()});
  return tokens;
}

std::vector<SourceStatement> parse_statements(const std::string& text) { return Parser(source_tokens(text)).statements(); }

std::vector<SourceStatement> statements_at(Location site) {
  if (site.line == 0) return {};
  const Lines& lines = lines_of(site.file);
  if (site.line > lines.size()) return {};
  // The statement may have begun on a line before, and may end on a later one.
  std::size_t first = site.line - 1, last = first;
  const auto ends = [&](std::size_t line) {
    const std::string code = without_comment(lines[line]);
    const std::size_t at = code.find_last_not_of(" \t\r");
    return at == std::string::npos || std::string_view(";{}:").find(code[at]) != std::string_view::npos;
  };
  while (first > 0 && last - first < kMaxLines && !ends(first - 1)) --first;
  std::string text;
  for (last = first; last < lines.size() && last - first < kMaxLines; ++last) {
    text += without_comment(lines[last]) + "\n";
    if (last >= site.line - 1 && ends(last)) break;
  }
  // A line may open a block before the statement: `for (...) y += x;`
  return parse_statements(text);
}

}  // namespace wengert::detail
