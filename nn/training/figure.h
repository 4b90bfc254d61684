#pragma once
// Plots: the numbers as CSV, a script for gnuplot, and the picture where gnuplot is installed.
#include <string>
#include <vector>

namespace wengert::nn {

/// Numbers under a name. NaN is a gap.
struct Column {
  std::string name;
  std::vector<double> values;
};

/// One curve of a panel: column `y` over column `x`, by their names.
struct Curve {
  std::string x, y;
  std::string label = {};  ///< in the key; empty: the name of y
  /// How the curve is drawn.
  enum class Style { line, dashed, points } style = Style::line;
  int color = -1;  ///< of the palette; -1: the next one
};

/// A pair of axes.
struct Panel {
  std::string title = {}, x_label = {}, y_label = {};
  std::vector<Curve> curves = {};
  bool logarithmic = false;  ///< the y axis
};

/// Panels side by side over one table of columns, which may differ in length.
struct Figure {
  std::vector<Column> columns = {};
  std::vector<Panel> panels = {};
};

/// Whether a picture was drawn.
struct PictureOutcome {
  bool drawn = false;
  std::string message;  ///< one line for the user: which file was written, or why none was
};

/// Writes NAME.csv (the columns), NAME.gp (the script) and, through gnuplot, the picture NAME.png; `png_path` is NAME.png. Each file
/// appears whole or not at all. A gnuplot that is missing or fails is no error: the outcome says so, and how to draw the picture later. A
/// DataError if a file cannot be written; an Error if a curve names no column.
PictureOutcome write_figure(const Figure& figure, const std::string& png_path);

/// The columns side by side as CSV, with a line of their names; gaps are empty fields.
void write_columns(const std::vector<Column>& columns, const std::string& csv_path);

}  // namespace wengert::nn
