#pragma once
// Text in columns, for the printing of models.
#include <string>
#include <vector>

namespace wengert::nn {

/// One line a row, columns two blanks apart; all but the last column are aligned to the left, the last one to the right. All rows have the
/// same number of columns; no line ends in blanks, and the last one has no line end.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace wengert::nn
