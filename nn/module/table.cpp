#include "nn/module/table.h"

#include <fmt/format.h>

#include <algorithm>

namespace wengert::nn {

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t column = 0; column < row.size(); ++column) widths[column] = std::max(widths[column], row[column].size());
  }
  std::string text;
  for (const auto& row : rows) {
    if (!text.empty()) text += '\n';
    for (std::size_t column = 0; column + 1 < row.size(); ++column) text += fmt::format("{:<{}}  ", row[column], widths[column]);
    text += fmt::format("{:>{}}", row.back(), widths.back());
    text.erase(text.find_last_not_of(' ') + 1);
  }
  return text;
}

}  // namespace wengert::nn
