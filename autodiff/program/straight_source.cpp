#include "autodiff/program/straight_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>
#include <vector>

namespace wengert::detail {
namespace {

constexpr const char* kBitCast = R"(template <class To, class From> constexpr To bit_cast(const From& from) noexcept {
  static_assert(sizeof(To) == sizeof(From), "");
  return __builtin_bit_cast(To, from);
}
)";

// A name as it is written, with the namespace in front of it.
struct Name {
  std::string_view qualifier, name;
};

bool is_letter(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The names in a source, in order. (There are no strings.)
std::vector<Name> names_in(std::string_view source) {
  std::vector<Name> names;
  std::string_view qualifier;
  for (std::size_t i = 0; i < source.size();) {
    if (source.substr(i, 2) == "//") {
      i = std::min(source.find('\n', i), source.size());
    } else if (!is_letter(source[i])) {
      if (source[i] != ':') qualifier = {};
      ++i;
    } else {
      const std::size_t begin = i;
      const bool is_number = std::isdigit(static_cast<unsigned char>(source[i]));
      while (i < source.size() && (is_letter(source[i]) || (is_number && source[i] == '.'))) ++i;
      const std::string_view word = source.substr(begin, i - begin);
      if (!is_number) names.push_back({qualifier, word});
      qualifier = source.substr(i, 2) == "::" ? word : std::string_view();
    }
  }
  return names;
}

struct Definition {
  std::string text;  // with the comment in front of it
  bool needed = false;
};

// The definitions of one header, in order, and where each name is defined.
class Library {
 public:
  explicit Library(std::string_view text) {
    std::string comment, lines;
    int depth = 0;
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      if (lines.empty() && (line.empty() || line.starts_with("//"))) {
        if (line.empty() || line.starts_with("// --")) {
          comment.clear();
        } else {
          (comment += line) += '\n';
        }
        continue;
      }
      (lines += line) += '\n';
      for (const char c : line) depth += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (depth > 0 || (line.back() != ';' && line.back() != '}')) continue;
      add(std::move(comment), lines);
      comment.clear();
      lines.clear();
    }
  }

  // Marks what defines a name; calls f with the names in it. False if there is no such name.
  template <class F> bool need(std::string_view name, const F& f) {
    const auto [begin, end] = by_name_.equal_range(name);
    for (auto it = begin; it != end; ++it) {
      Definition& its = definitions_[it->second];
      if (std::exchange(its.needed, true)) continue;
      for (const Name& each : names_in(its.text)) f(each);
    }
    return begin != end;
  }
  std::string needed() const {
    std::string text;
    for (const Definition& each : definitions_)
      if (each.needed) text += each.text;
    return text;
  }

 private:
  void add(std::string comment, const std::string& lines) {
    const auto name = [&](std::string_view its) { by_name_.emplace(its, definitions_.size()); };
    const std::vector<Name> words = names_in(lines);
    const auto after = [&](std::string_view keyword) {
      for (std::size_t k = 0; k + 1 < words.size(); ++k)
        if (words[k].name == keyword) return words[k + 1].name;
      return std::string_view();
    };
    const std::size_t equals = lines.find(" = "), bracket = lines.find('(');
    const std::string_view head = std::string_view(lines).substr(0, lines.find('{'));
    if (head.find("struct ") != head.npos) {
      name(after("struct"));
    } else if (head.starts_with("using ") || head.find("> using ") != head.npos) {
      name(after("using"));
    } else if (equals < bracket) {  // constants
      for (std::size_t at = equals; at != lines.npos; at = lines.find(" = ", at + 1)) {
        std::size_t begin = at;
        while (is_letter(lines[begin - 1])) --begin;
        name(std::string_view(lines).substr(begin, at - begin));
      }
    } else {
      std::size_t begin = bracket;
      while (is_letter(lines[begin - 1])) --begin;
      name(std::string_view(lines).substr(begin, bracket - begin));
    }
    definitions_.push_back({std::move(comment) + lines});
  }

  std::vector<Definition> definitions_;
  std::multimap<std::string, std::size_t, std::less<>> by_name_;
};

// Both headers, of which a source needs a part.
class Need {
 public:
  void of_exponential(std::string_view name) {
    exponential_.need(name, [this](const Name& its) {
      if (its.qualifier != "std") of_exponential(its.name);
    });
  }
  void of_straight(const Name& name) {
    if (name.qualifier == "fn") return of_exponential(name.name);
    if (name.qualifier == "std") return;
    straight_.need(name.name, [this](const Name& its) { of_straight(its); });
  }
  std::string text() const {
    const std::string exponential = exponential_.needed(), straight = straight_.needed();
    if (exponential.empty() && straight.empty()) return {};
    return kBitCast + (exponential.empty() ? "" : fmt::format("namespace fn {{\n{}}}  // namespace fn\n", exponential)) + straight;
  }

 private:
  Library exponential_{exponential_text}, straight_{straight_text};
};

}  // namespace

std::string straight_namespace(std::string_view name, std::string_view source) {
  Need need;
  const std::vector<Name> names = names_in(source);
  for (std::size_t k = 0; k < names.size(); ++k)
    if (names[k].qualifier == name) need.of_straight(names[k].name == "fn" ? names[k + 1] : Name{{}, names[k].name});
  const std::string text = need.text();
  return text.empty() ? text : fmt::format("namespace {0} {{\n{1}}}  // namespace {0}\n", name, text);
}

}  // namespace wengert::detail
