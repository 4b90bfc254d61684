#include "nn/training/figure.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "autodiff/error.h"
#include "autodiff/io/atomic_file.h"

extern char** environ;

namespace wengert::nn {
namespace {

// ---- the script -----------------------------------------------------------------------------------------------------

// Okabe and Ito's palette, which the colour-blind can tell apart too.
constexpr std::array kPalette = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"};
constexpr int kPanelWidth = 640, kPanelHeight = 460, kKeyRowHeight = 20;  // pixels
constexpr std::size_t kMaxMarkedPoints = 40;

// Between single quotes gnuplot interprets nothing, and two of them stand for one.
std::string gnuplot_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += '\'';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + "'";
}

std::size_t position(const Figure& figure, const std::string& name) {
  const auto found = std::find_if(figure.columns.begin(), figure.columns.end(), [&](const Column& c) { return c.name == name; });
  if (found == figure.columns.end())
    throw Error(fmt::format("write_figure: a curve names the column \"{}\", which the figure does not have", name));
  return static_cast<std::size_t>(found - figure.columns.begin());
}

std::string curve_style(const Curve& curve, std::size_t index, std::size_t points) {
  const std::size_t color = curve.color < 0 ? index : static_cast<std::size_t>(curve.color);
  const std::string paint = fmt::format("linecolor rgb '{}'", kPalette[color % kPalette.size()]);
  if (curve.style == Curve::Style::points) return "with points pointtype 7 pointsize 0.8 " + paint;
  const char* dash = curve.style == Curve::Style::dashed ? "dashtype (6, 4)" : "dashtype solid";
  if (points <= kMaxMarkedPoints) return fmt::format("with linespoints linewidth 2 pointtype 7 pointsize 0.7 {} {}", dash, paint);
  return fmt::format("with lines linewidth 2 {} {}", dash, paint);
}

// A curve's text in the key.
const std::string& label_of(const Curve& curve) { return curve.label.empty() ? curve.y : curve.label; }

// Short keys stand beside the title. A longer one goes below the panel, a row for each curve; all panels leave room for the same number.
int key_rows(const Figure& figure) {
  constexpr std::size_t characters_of_a_line = 62, characters_of_a_sample = 5;
  std::size_t max = 0;
  for (const Panel& panel : figure.panels) {
    std::size_t characters = panel.title.size();
    for (const Curve& curve : panel.curves) characters += label_of(curve).size() + characters_of_a_sample;
    if (characters > characters_of_a_line) max = std::max(max, panel.curves.size());
  }
  return static_cast<int>(max);
}

void append_panel(std::string& script, const Figure& figure, const Panel& panel, const std::string& data) {
  auto out = std::back_inserter(script);
  fmt::format_to(out, "\nset label 1 {} at graph 0, graph 1.06 left font ',13'\nset xlabel {}\nset ylabel {}\n{} logscale y\nplot",
                 gnuplot_quoted(panel.title), gnuplot_quoted(panel.x_label), gnuplot_quoted(panel.y_label),
                 panel.logarithmic ? "set" : "unset");
  for (std::size_t i = 0; i < panel.curves.size(); ++i) {
    const Curve& curve = panel.curves[i];
    const std::size_t x = position(figure, curve.x), y = position(figure, curve.y);
    const std::string& label = label_of(curve);
    const bool told_by_title = panel.curves.size() == 1 && label == panel.title;
    fmt::format_to(out, "{} \\\n  {} skip 1 using {}:{} {} {}", i ? "," : "", data, x + 1, y + 1,
                   curve_style(curve, i, figure.columns[y].values.size()), told_by_title ? "notitle" : "title " + gnuplot_quoted(label));
  }
  script += '\n';
}

struct Names {
  std::string folder;  // with its slash; empty for the current one
  std::string stem;    // without folder and ending

  std::string file(const char* ending) const { return stem + ending; }
  std::string path(const char* ending) const { return folder + stem + ending; }
};

Names names_of(const std::string& png_path) {
  const std::size_t name = png_path.find_last_of('/') + 1;  // npos + 1 is 0
  std::string_view stem = std::string_view(png_path).substr(name);
  constexpr std::string_view ending = ".png";
  if (!stem.ends_with(ending) || stem.size() == ending.size()) {
    throw DataError(fmt::format("{}: the picture of a figure must be called NAME.png", png_path));
  }
  stem.remove_suffix(ending.size());
  return {png_path.substr(0, name), std::string(stem)};
}

// Names begin with ./ because gnuplot takes a leading < or | for a command to run.
std::string script_of(const Figure& figure, const Names& names) {
  const std::string data = gnuplot_quoted("./" + names.file(".csv"));
  const int rows = key_rows(figure);
  const char* key = rows ? "at graph 0.5, graph -0.17 center top horizontal maxcols 1" : "at graph 1, graph 1.02 right bottom horizontal";
  std::string script = fmt::format(
      R"(# Draws {0} from {1}: run `gnuplot` on this file in its folder.
if (strstrt(GPVAL_TERMINALS, 'pngcairo')) {{
  set terminal pngcairo noenhanced size {2}, {3} font 'sans,11' background '#ffffff'
}} else {{
  set terminal png noenhanced size {2}, {3} background '#ffffff'
}}
if (!exists('to_standard_output')) set output {0}
set encoding utf8
set datafile separator comma
set border 3 linecolor rgb '#606060'
set tics nomirror out scale 0.5 textcolor rgb '#303030'
set grid linetype 1 linewidth 0.5 linecolor rgb '#d8d8d8'
set key {5} Right samplen 2 noautotitle
set autoscale xfix
set offsets graph 0.02, graph 0.02, graph 0.05, graph 0.05
set multiplot layout 1, {4} margins char 10, char 3, char {6}, char 3 spacing char 12, char 0
)",
      gnuplot_quoted("./" + names.file(".png")), data, kPanelWidth * static_cast<int>(figure.panels.size()),
      kPanelHeight + rows * kKeyRowHeight, figure.panels.size(), key, 4 + rows * 1.4);
  for (const Panel& panel : figure.panels) append_panel(script, figure, panel, data);
  script += "\nunset multiplot\n";
  return script;
}

// ---- running gnuplot ------------------------------------------------------------------------------------------------

class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& o) noexcept : descriptor_(std::exchange(o.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& o) noexcept {
    std::swap(descriptor_, o.descriptor_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return descriptor_; }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }

 private:
  int descriptor_;
};

std::string read_all(int descriptor) {
  std::string all;
  std::array<char, 1 << 14> piece;
  while (true) {
    const ssize_t got = ::read(descriptor, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return all;
    all.append(piece.data(), static_cast<std::size_t>(got));
  }
}

struct Finished {
  int status = 0;  // of exit; -1 if a signal ended the program
  std::string output, complaint;
};

// Runs gnuplot in `folder` on the script there, its picture going to a pipe. Nothing if there is no gnuplot. No shell is involved.
std::optional<Finished> run_gnuplot(const Names& names) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Finished{-1, "", std::generic_category().message(errno)};
  Descriptor from(ends[0]), to(ends[1]);
  std::FILE* complaints = std::tmpfile();  // a file, since one loop cannot empty two pipes without a deadlock

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (!names.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, names.folder.c_str());
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, to.get(), 1);
  if (complaints) posix_spawn_file_actions_adddup2(&actions, ::fileno(complaints), 2);

  std::string script = "./" + names.file(".gp");
  char program[] = "gnuplot", defaults[] = "--default-settings", execute[] = "-e", setting[] = "to_standard_output = 1";
  char* arguments[] = {program, defaults, execute, setting, script.data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, program, &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  to.close();

  std::optional<Finished> finished;
  if (error == 0) {
    finished.emplace();
    finished->output = read_all(from.get());
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    finished->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (complaints) {
      std::rewind(complaints);
      finished->complaint = read_all(::fileno(complaints));
    }
  } else if (error != ENOENT) {
    finished = Finished{-1, "", std::generic_category().message(error)};
  }
  if (complaints) std::fclose(complaints);
  return finished;
}

// The first line that is not empty.
std::string first_line(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.find_first_not_of(" \t^") != std::string_view::npos) return std::string(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return "no reason given";
}

PictureOutcome draw(const Names& names) {
  const std::string by_hand = fmt::format("draw the picture with `gnuplot {}` in the folder of that file", names.file(".gp"));
  const std::optional<Finished> gnuplot = run_gnuplot(names);
  if (!gnuplot) return {false, fmt::format("no {}: gnuplot is not installed; later, {}", names.path(".png"), by_hand)};
  constexpr std::string_view png_signature = "\x89PNG\r\n\x1a\n";
  if (gnuplot->status != 0 || !gnuplot->output.starts_with(png_signature)) {
    return {false, fmt::format("no {}: gnuplot failed ({}); {}", names.path(".png"), first_line(gnuplot->complaint), by_hand)};
  }
  write_file_atomically(names.path(".png"), gnuplot->output);
  return {true, fmt::format("wrote {} (and .csv, .gp)", names.path(".png"))};
}

// ---- the table ------------------------------------------------------------------------------------------------------

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

}  // namespace

void write_columns(const std::vector<Column>& columns, const std::string& csv_path) {
  std::string csv;
  auto out = std::back_inserter(csv);
  std::size_t rows = 0;
  for (std::size_t j = 0; j < columns.size(); ++j) {
    fmt::format_to(out, "{}{}", j ? "," : "", csv_field(columns[j].name));
    rows = std::max(rows, columns[j].values.size());
  }
  csv += '\n';
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns.size(); ++j) {
      if (j) csv += ',';
      if (i < columns[j].values.size() && !std::isnan(columns[j].values[i])) fmt::format_to(out, "{}", columns[j].values[i]);
    }
    csv += '\n';
  }
  write_file_atomically(csv_path, csv);
}

PictureOutcome write_figure(const Figure& figure, const std::string& png_path) {
  const Names names = names_of(png_path);
  if (figure.panels.empty()) throw Error("write_figure: the figure has no panel");
  const std::string script = script_of(figure, names);
  write_columns(figure.columns, names.path(".csv"));
  write_file_atomically(names.path(".gp"), script);
  return draw(names);
}

}  // namespace wengert::nn
