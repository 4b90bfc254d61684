#include "nn/data/csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "autodiff/tensor/call_site.h"
#include "nn/data/input.h"

namespace wengert::nn {
namespace {

constexpr std::size_t kMaxColumns = 1 << 20;  // a line with more is not a table
constexpr std::size_t kMaxListed = 20;        // columns that a message lists
constexpr std::size_t kMaxQuoted = 40;        // characters of a field that a message quotes

// A field for a message: on one line, shortened, without control characters.
std::string quoted(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text.substr(0, kMaxQuoted)) shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return shown + (text.size() > kMaxQuoted ? "...\"" : "\"");
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// The Levenshtein distance, ignoring case: how many insertions, removals and replacements turn one into the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (lower(a[i]) != lower(b[j]));
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

// The name that the user probably meant, or null.
const std::string* nearest(std::string_view wanted, const std::vector<std::string>& names) {
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(2, wanted.size() / 3) + 1;
  for (const std::string& name : names) {
    if (name.size() > 2 * wanted.size() + 2) continue;
    if (const std::size_t d = distance(wanted, name); d < best_distance) {
      best = &name;
      best_distance = d;
    }
  }
  return best;
}

// Where the name of a single column holds what separates columns in other files; npos if it does not.
std::size_t other_separator(const std::vector<std::string>& names) {
  return names.size() == 1 ? names[0].find_first_of(",;\t") : std::string::npos;
}

std::string list(const std::vector<std::string>& names) {
  std::string listed;
  for (std::size_t i = 0; i < std::min(names.size(), kMaxListed); ++i) listed += fmt::format("{}{}", i ? ", " : "", quoted(names[i]));
  if (names.size() > kMaxListed) listed += fmt::format(" and {} more", names.size() - kMaxListed);
  return listed;
}

// Whether a number beyond the range of a double is too small, and not too large: its first digit that counts stands behind the point.
bool is_tiny(std::string_view number) {
  const std::size_t e = number.find_first_of("eE");
  const std::string_view digits = number.substr(0, e);
  const std::size_t point = std::min(digits.find('.'), digits.size()), first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return true;
  double exponent = 0;  // a double: there may be any number of digits
  if (e != std::string_view::npos)
    for (const char c : number.substr(e + 1))
      if (c >= '0' && c <= '9') exponent = 10 * exponent + (c - '0');
  if (e != std::string_view::npos && number.substr(e + 1).starts_with('-')) exponent = -exponent;
  return exponent + static_cast<double>(point) - static_cast<double>(first) < 0;
}

}  // namespace

// Parses the text in one pass. Quoted fields are unquoted in place, which never makes them longer.
class CsvParser {
 public:
  CsvParser(Table& table, CsvOptions options) : table_(table), text_(table.text_), options_(options) {}

  void run() {
    skip_byte_order_mark();
    if (const std::size_t zero = text_.find('\0'); zero != std::string::npos) {
      fail_file(fmt::format("holds a zero byte at byte {}: not UTF-8 text (is it UTF-16, or not text at all?)", zero));
    }
    while (at_ < text_.size()) {
      if (!skip_line_end()) parse_record();
    }
    if (table_.names_.empty()) fail_file("the file is empty");
  }

 private:
  void skip_byte_order_mark() {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;
  }

  // "\n", "\r\n" or "\r".
  bool skip_line_end() {
    if (at_ >= text_.size() || (text_[at_] != '\n' && text_[at_] != '\r')) return false;
    at_ += text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n' ? 2 : 1;
    ++line_;
    return true;
  }

  void parse_record() {
    const std::uint32_t line = line_;
    const std::size_t before = table_.fields_.size();
    do {
      if (table_.fields_.size() - before == kMaxColumns) fail_line(line, fmt::format("more than {} fields", kMaxColumns));
      table_.fields_.push_back(parse_field());
    } while (skip_separator());
    skip_line_end();
    finish_record(line, table_.fields_.size() - before);
  }

  bool skip_separator() {
    if (at_ >= text_.size() || text_[at_] != options_.separator) return false;
    ++at_;
    return true;
  }

  Table::Field parse_field() {
    if (at_ < text_.size() && text_[at_] == '"') return parse_quoted();
    const std::size_t begin = at_;
    while (!at_field_end()) ++at_;
    return field(begin, at_);
  }

  Table::Field parse_quoted() {
    const std::uint32_t line = line_;
    const std::size_t begin = ++at_;
    std::size_t end = begin;
    while (true) {
      if (at_ >= text_.size()) fail_line(line, "the quote that opens here does not close before the end of the file");
      if (text_[at_] == '"') {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
        ++at_;  // a doubled quote stands for one
      } else if (text_[at_] == '\n' || (text_[at_] == '\r' && text_.compare(at_ + 1, 1, "\n") != 0)) {
        ++line_;
      }
      text_[end++] = text_[at_++];
    }
    ++at_;
    if (!at_field_end()) {
      fail_line(line_,
                fmt::format("{} follows a closing quote; a quote inside a quoted field is written twice", quoted(text_.substr(at_, 1))));
    }
    return field(begin, end);
  }

  bool at_field_end() const { return at_ >= text_.size() || text_[at_] == options_.separator || text_[at_] == '\n' || text_[at_] == '\r'; }

  static Table::Field field(std::size_t begin, std::size_t end) {
    return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end - begin)};
  }

  void finish_record(std::uint32_t line, std::size_t fields) {
    if (table_.names_.empty()) {
      name_columns(fields);
      if (options_.header) return table_.fields_.clear();
    } else if (fields != table_.names_.size()) {
      fail_line(line, fmt::format("{} field{} where the table has {} column{}{}", fields, fields == 1 ? "" : "s", table_.names_.size(),
                                  table_.names_.size() == 1 ? "" : "s", hint(fields)));
    }
    table_.lines_.push_back(line);
  }

  // What probably causes more fields than columns.
  std::string hint(std::size_t fields) const {
    if (fields < table_.names_.size()) return "";
    if (const std::size_t other = other_separator(table_.names_); other != std::string::npos)
      return fmt::format("; the first line has '{}': is that the separator (CsvOptions::separator)?", table_.names_[0][other]);
    return "; a field that holds the separator must be quoted";
  }

  void name_columns(std::size_t fields) {
    for (std::size_t i = 0; i < fields; ++i) {
      table_.names_.push_back(options_.header ? text_.substr(table_.fields_[i].begin, table_.fields_[i].length) : fmt::format("{}", i + 1));
    }
  }

  [[noreturn]] void fail_file(const std::string& what) const { throw DataError(fmt::format("{}: {}", table_.file_, what)); }
  [[noreturn]] void fail_line(std::uint32_t line, const std::string& what) const {
    throw DataError(fmt::format("{}, line {}: {}", table_.file_, line, what));
  }

  Table& table_;
  std::string& text_;
  CsvOptions options_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
};

bool Table::has(std::string_view column) const { return std::find(names_.begin(), names_.end(), column) != names_.end(); }

std::vector<double> Table::numbers(std::string_view column, NumberOptions options) const {
  const std::size_t c = find(column);
  std::vector<double> values(lines_.size());
  for (std::size_t row = 0; row < values.size(); ++row) values[row] = number(row, c, options);
  return values;
}

std::vector<std::string> Table::strings(std::string_view column) const {
  const std::size_t c = find(column);
  std::vector<std::string> values;
  values.reserve(lines_.size());
  for (std::size_t row = 0; row < lines_.size(); ++row) values.emplace_back(text(row, c));
  return values;
}

Tensor Table::tensor(std::span<const std::string> columns, Dtype dtype, NumberOptions options, Location site) const {
  const CallSite scope(site);
  constexpr std::size_t kFew = 16;                           // columns that are found one by one
  std::unordered_map<std::string_view, std::size_t> places;  // of names; `kTwice` for those of several columns
  constexpr std::size_t kTwice = std::numeric_limits<std::size_t>::max();
  if (columns.size() > kFew)
    for (std::size_t c = 0; c < names_.size(); ++c)
      if (const auto [place, is_new] = places.emplace(names_[c], c); !is_new) place->second = kTwice;
  const auto place_of = [&](const std::string& name) {
    const auto place = places.find(name);
    return place == places.end() || place->second == kTwice ? find(name) : place->second;  // find() says what is wrong
  };
  std::vector<double> values(lines_.size() * columns.size());
  for (std::size_t j = 0; j < columns.size(); ++j) {
    const std::size_t c = place_of(columns[j]);
    for (std::size_t row = 0; row < lines_.size(); ++row) values[row * columns.size() + j] = number(row, c, options);
  }
  return Tensor::from(values, Shape{rows(), static_cast<Index>(columns.size())}).to(dtype);
}

std::size_t Table::find(std::string_view column) const {
  const auto found = std::find(names_.begin(), names_.end(), column);
  if (found == names_.end()) unknown(column);
  if (std::find(found + 1, names_.end(), column) != names_.end()) {
    throw DataError(fmt::format("{}: two columns are called {}; rename one in the first line", file_, quoted(column)));
  }
  return static_cast<std::size_t>(found - names_.begin());
}

std::string_view Table::text(std::size_t row, std::size_t column) const {
  const Field field = fields_[row * names_.size() + column];
  return std::string_view(text_).substr(field.begin, field.length);
}

double Table::number(std::size_t row, std::size_t column, NumberOptions options) const {
  if (options.decimal != '.' && options.decimal != ',') throw ValueError("Table: NumberOptions::decimal must be '.' or ','");
  std::string_view shown = trimmed(text(row, column));
  if (shown.empty() || shown == options.missing_mark) {
    if (!options.missing) fail(row, column, "the value is missing; drop the row, or say what stands for it (NumberOptions::missing)");
    return *options.missing;
  }
  std::string with_point;
  std::string_view digits = shown;
  if (options.decimal != '.' && shown.find('.') == shown.npos) {
    with_point = shown;
    std::replace(with_point.begin(), with_point.end(), options.decimal, '.');
    digits = with_point;
  }
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);  // from_chars does not accept a plus sign
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::invalid_argument || end != digits.data() + digits.size()) {
    const bool comma = options.decimal == '.' && std::count(shown.begin(), shown.end(), ',') == 1 && shown.find('.') == shown.npos;
    fail(row, column, quoted(shown) + " is not a number" + (comma ? "; hint: NumberOptions::decimal = ',' reads decimal commas" : ""));
  }
  if (error == std::errc::result_out_of_range) {
    if (is_tiny(digits)) return digits.starts_with('-') ? -0.0 : 0.0;
    fail(row, column, quoted(shown) + " is beyond the range of a double");
  }
  if (!std::isfinite(value) && !options.allow_nonfinite) {
    fail(row, column, quoted(shown) + " is not a finite number; correct the data, or ask for it (NumberOptions::allow_nonfinite)");
  }
  return value;
}

void Table::unknown(std::string_view column) const {
  std::string hint;
  if (other_separator(names_) != std::string::npos) {
    hint = "; is the separator another one (CsvOptions::separator)?";
  } else if (const std::string* meant = nearest(column, names_)) {
    hint = fmt::format("; did you mean {}?", quoted(*meant));
  }
  throw DataError(fmt::format("{}: no column {}; there are {}{}", file_, quoted(column), list(names_), hint));
}

void Table::fail(std::size_t row, std::size_t column, const std::string& what) const {
  throw DataError(fmt::format("{}, line {}, column {}: {}", file_, lines_[row], quoted(names_[column]), what));
}

Table read_csv(const std::string& path, CsvOptions options) {
  Table table;
  table.file_ = path;
  table.text_ = read_whole(path, std::min<std::uint64_t>(options.max_bytes, std::numeric_limits<std::uint32_t>::max() - 1),
                           "CsvOptions::max_bytes for a table");
  CsvParser(table, options).run();
  return table;
}

}  // namespace wengert::nn
