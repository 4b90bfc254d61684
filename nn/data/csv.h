#pragma once
// Tables of comma-separated values.
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/tensor/tensor.h"

namespace wengert::nn {

struct CsvOptions {
  char separator = ',';
  /// Whether the first line holds the columns' names; without it they are called "1", "2" and so on.
  bool header = true;
  /// A file of more bytes is refused. (In memory a table takes up to twenty bytes for each byte of its file.)
  std::uint64_t max_bytes = std::uint64_t{1} << 28;
};

struct NumberOptions {
  /// Replaces a missing value; without it a missing value is an error.
  std::optional<double> missing = std::nullopt;
  /// A text that means a missing value, in addition to the empty field: "NA", "?" ...
  std::string_view missing_mark = {};
  /// Accepts texts such as "nan" and "inf" as numbers.
  bool allow_nonfinite = false;
  /// Before the fraction: ',' for "1,5". The columns are then separated by something else (CsvOptions::separator).
  char decimal = '.';
};

/// The text of a CSV file in rows and named columns. Fields become numbers, or missing values, when a column is read.
/// Every error is a DataError that names the file, the line (as an editor counts them) and the column.
class Table {
 public:
  /// The number of rows, without the header, and of columns; the names of the columns, and whether there is one of that name.
  Index rows() const { return static_cast<Index>(lines_.size()); }
  Index columns() const { return static_cast<Index>(names_.size()); }
  const std::vector<std::string>& names() const { return names_; }
  bool has(std::string_view column) const;

  /// One column as numbers; a number too small for a double is 0. An error if a field is missing, is text, or is not finite, unless the
  /// options allow it.
  std::vector<double> numbers(std::string_view column, NumberOptions options = {}) const;
  /// One column as text, without quotes; "" where a value is missing.
  std::vector<std::string> strings(std::string_view column) const;
  /// Columns of numbers side by side: (rows, number of columns).
  Tensor tensor(std::span<const std::string> columns, Dtype dtype = float32, NumberOptions options = {},
                Location site = Location::here()) const;
  Tensor tensor(std::initializer_list<std::string> columns, Dtype dtype = float32, NumberOptions options = {},
                Location site = Location::here()) const {
    return tensor(std::span(columns.begin(), columns.size()), dtype, options, site);
  }

 private:
  friend class CsvParser;
  friend Table read_csv(const std::string& path, CsvOptions options);
  struct Field {
    std::uint32_t begin, length;
  };

  std::size_t find(std::string_view column) const;
  std::string_view text(std::size_t row, std::size_t column) const;
  double number(std::size_t row, std::size_t column, NumberOptions options) const;
  [[noreturn]] void unknown(std::string_view column) const;
  [[noreturn]] void fail(std::size_t row, std::size_t column, const std::string& what) const;

  std::string file_;  // for messages
  std::string text_;  // the file, quoted fields unquoted in place
  std::vector<std::string> names_;
  std::vector<Field> fields_;         // row by row
  std::vector<std::uint32_t> lines_;  // on which each row begins
};

/// Reads a CSV file as RFC 4180 describes it: fields in double quotes may hold separators, line breaks and doubled quotes. Lines may end
/// in any convention; blank lines and a byte order mark are skipped. Files compressed by gzip are read as well.
/// Refused, by a DataError: no such file, quotes that do not close or end in mid-field, rows with more or fewer fields than the first.
Table read_csv(const std::string& path, CsvOptions options = {});

}  // namespace wengert::nn
