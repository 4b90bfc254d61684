// A single node, y_hat = f(w x + b), trained by full-batch gradient descent from w = b = 0 on E = 1/2 (y - y_hat)^2. The tape computes
// dE/dw and dE/db; at the end they are compared with formulas derived by hand and with central differences.
#include <autodiff/autodiff.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include <nn/data/csv.h>
#include <nn/training/checkpoint.h>
#include <nn/training/figure.h>
#include <nn/training/history.h>
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string csv, x, y, activation = "identity", scale = "none", plot;
  double rate = 0.05;
  int epochs = 2001, report_every = 200;
  bool quick = false;
  example::Saving saving;
};

struct Record {
  double x, y;
};
struct Node {
  double w = 0, b = 0;
};
struct Gradient {
  double dw, db;
};

// ---- the node --------------------------------------------------------------------------------------------------------------------

enum class Activation { identity, sigmoid, step };

// f(h), for plain numbers and for Scalars.
template <class T> T activate(Activation f, const T& h) {
  switch (f) {
    case Activation::identity:
      return h;
    case Activation::sigmoid:
      return sigmoid(h);
    case Activation::step:
      break;
  }
  return step(h);
}
double predict(Activation f, const Node& node, double x) { return activate(f, Scalar(node.w * x + node.b)).value(); }

// Mean of E over the records.
Scalar mean_error(Activation f, const std::vector<Record>& records, const Scalar& w, const Scalar& b) {
  Scalar error = 0;
  for (const auto& [x, y] : records) error += 0.5 * square(y - activate(f, Scalar(w * x + b)));
  return error / static_cast<double>(records.size());
}

Gradient by_tape(Activation f, const std::vector<Record>& records, const Node& node) {
  Tape tape;
  const Scalar w = tape.variable(node.w), b = tape.variable(node.b);
  const auto [dw, db] = tape.gradient(mean_error(f, records, w, b), wrt(w, b), {.unreached = Unreached::zero});
  return {dw, db};
}

// The formulas derived by hand: dE/dw = -(y - y_hat) f'(h) x, dE/db = -(y - y_hat) f'(h).
Gradient by_hand(Activation f, const std::vector<Record>& records, const Node& node) {
  Gradient g{0, 0};
  for (const auto& [x, y] : records) {
    const double y_hat = predict(f, node, x);
    const double slope = f == Activation::identity ? 1 : f == Activation::sigmoid ? y_hat * (1 - y_hat) : 0;
    g.dw += -(y - y_hat) * slope * x;
    g.db += -(y - y_hat) * slope;
  }
  return {g.dw / static_cast<double>(records.size()), g.db / static_cast<double>(records.size())};
}

Gradient by_differences(Activation f, const std::vector<Record>& records, const Node& node) {
  const auto difference = [&](double Node::*parameter) {
    const double h = 1e-5 * std::max(1.0, std::abs(node.*parameter));
    Node up = node, down = node;
    up.*parameter += h;
    down.*parameter -= h;
    return (mean_error(f, records, up.w, up.b).value() - mean_error(f, records, down.w, down.b).value()) / (2 * h);
  };
  return {difference(&Node::w), difference(&Node::b)};
}

// The perceptron rule, averaged over the records: every wrong answer moves the line towards its record.
Gradient by_perceptron_rule(const std::vector<Record>& records, const Node& node) {
  Gradient g{0, 0};
  for (const auto& [x, y] : records) {
    const double error = y - predict(Activation::step, node, x);
    g.dw -= error * x;
    g.db -= error;
  }
  return {g.dw / static_cast<double>(records.size()), g.db / static_cast<double>(records.size())};
}

// ---- data ------------------------------------------------------------------------------------------------------------------------

// A column of numbers; or, for NAME=TEXT, 1 where the column holds that text and 0 elsewhere.
std::vector<double> column(const nn::Table& table, const std::string& file, const std::string& name) {
  const std::size_t equals = name.find('=');
  if (table.has(name) || equals == std::string::npos) return table.numbers(name);
  std::vector<double> values;
  const std::string text = name.substr(equals + 1);
  for (const std::string& field : table.strings(name.substr(0, equals))) values.push_back(field == text);
  if (std::count(values.begin(), values.end(), 1.0) == 0)
    throw DataError(fmt::format("{}, column \"{}\": no field is \"{}\"", file, name.substr(0, equals), text));
  return values;
}

// Scales the values to [0, 1] by their minimum and maximum.
void scale_to_unit(std::vector<double>& values, const std::string& file, const std::string& name) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double min = *low, range = *high - *low;
  if (range == 0) throw DataError(fmt::format("{}, column \"{}\": cannot be scaled, because every row holds {}", file, name, min));
  for (double& v : values) v = (v - min) / range;
}

std::vector<Record> read_records(const Options& options) {
  const nn::Table table = nn::read_csv(options.csv);
  if (table.rows() == 0) throw DataError(fmt::format("{}: there are no rows after the header", options.csv));
  std::vector<double> x = column(table, options.csv, options.x), y = column(table, options.csv, options.y);
  if (options.scale != "none") scale_to_unit(x, options.csv, options.x);
  if (options.scale == "xy") scale_to_unit(y, options.csv, options.y);
  std::vector<Record> records;
  for (std::size_t i = 0; i < x.size(); ++i) records.push_back({x[i], y[i]});
  return records;
}

// ---- training --------------------------------------------------------------------------------------------------------------------

// 1/2 of the sum of squared errors.
double sum_of_squared_errors(Activation f, const std::vector<Record>& records, const Node& node) {
  double sum = 0;
  for (const auto& [x, y] : records) sum += (y - predict(f, node, x)) * (y - predict(f, node, x));
  return sum / 2;
}

constexpr const char *kEpoch = "at epoch", *kError = "SSE";  // what is kept of the course of a training

Node train(Activation f, const std::vector<Record>& records, const Options& options, nn::History& course) {
  Node node;
  int epoch = 0;
  std::optional<nn::Checkpoint> checkpoint;
  if (!options.saving.checkpoint.empty()) {
    checkpoint.emplace(options.saving.checkpoint);
    (*checkpoint)("w", node.w)("b", node.b)("epoch", epoch)("course", course);
    if (options.saving.resume) checkpoint->resume();
  }
  for (; epoch < options.epochs; ++epoch) {
    if (checkpoint && epoch % options.report_every == 0) checkpoint->save();
    const auto [dw, db] = f == Activation::step ? by_perceptron_rule(records, node) : by_tape(f, records, node);
    node.w -= options.rate * dw;
    node.b -= options.rate * db;
    if (!std::isfinite(node.w) || !std::isfinite(node.b))
      throw Error(fmt::format("epoch {}: w and b are not finite; hint: try a smaller --rate than {}, or --scale x", epoch, options.rate));
    if (epoch % options.report_every != 0) continue;
    const double error = sum_of_squared_errors(f, records, node);
    fmt::print("epoch {} SSE {:.15g} w {:.15g} b {:.15g}\n", epoch, error, node.w, node.b);
    course.add({{kEpoch, static_cast<double>(epoch)}, {kError, error}});
  }
  if (checkpoint) checkpoint->save();
  return node;
}

void print_verdict(Activation f, const std::vector<Record>& records, const Node& node) {
  const Gradient tape = by_tape(f, records, node), hand = by_hand(f, records, node), differences = by_differences(f, records, node);
  fmt::print("\n{:<8}{:>24}{:>24}{:>24}\n", "", "tape", "hand", "central difference");
  fmt::print("{:<8}{:>24.15g}{:>24.15g}{:>24.15g}\n", "dE/dw", tape.dw, hand.dw, differences.dw);
  fmt::print("{:<8}{:>24.15g}{:>24.15g}{:>24.15g}\n", "dE/db", tape.db, hand.db, differences.db);
  // Central differences are accurate to about 1e-10 of mean E; the two exact gradients must agree up to rounding.
  const auto agree = [](double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * (1 + std::abs(b)); };
  const bool exact = agree(tape.dw, hand.dw, 1e-13) && agree(tape.db, hand.db, 1e-13);
  const bool near = agree(tape.dw, differences.dw, 1e-7) && agree(tape.db, differences.db, 1e-7);
  if (!exact || !near) throw Error("the three gradients do not agree");
  fmt::print("The three agree.\n");
}

void plot(Activation f, const std::vector<Record>& records, const Node& node, const nn::History& course, const std::string& path) {
  nn::Column x{"x", {}}, y{"y", {}}, line_x{"line x", {}}, line_y{"y_hat", {}};
  for (const Record& r : records) {
    x.values.push_back(r.x);
    y.values.push_back(r.y);
  }
  const auto [low, high] = std::minmax_element(x.values.begin(), x.values.end());
  for (int i = 0; i <= 200; ++i) {
    line_x.values.push_back(*low + (*high - *low) * i / 200);
    line_y.values.push_back(predict(f, node, line_x.values.back()));
  }
  const nn::PictureOutcome outcome =
      nn::write_figure({.columns = {x, y, line_x, line_y, {"epoch", course.values(kEpoch)}, {"SSE", course.values(kError)}},
                        .panels = {{.title = "Data and node",
                                    .x_label = "x",
                                    .y_label = "y",
                                    .curves = {{.x = "x", .y = "y", .style = nn::Curve::Style::points}, {.x = "line x", .y = "y_hat"}}},
                                   {.title = "Training", .x_label = "epoch", .y_label = "SSE", .curves = {{.x = "epoch", .y = "SSE"}}}}},
                       path);
  fmt::print("{}\n", outcome.message);
}

void regress(Options options) {
  const Activation f = options.activation == "identity"  ? Activation::identity
                       : options.activation == "sigmoid" ? Activation::sigmoid
                                                         : Activation::step;
  if (options.csv.empty()) {  // iris: the width of a petal by its length, or whether it is a setosa
    options.csv = example::data_file("iris.csv");
    if (options.x.empty()) options.x = "petal_length";
    if (options.y.empty()) options.y = f == Activation::identity ? "petal_width" : "species=setosa";
  }
  if (options.x.empty() || options.y.empty()) throw Error("--csv needs --x COLUMN and --y COLUMN");
  if (options.quick) options.epochs = 201, options.report_every = 50;
  if (!options.plot.empty()) example::make_folder_of(options.plot, ".png");
  const std::vector<Record> records = read_records(options);
  fmt::print("{} records: {} -> {}, activation {}, rate {}\n", records.size(), options.x, options.y, options.activation, options.rate);

  if (f == Activation::step) {
    const Gradient g = by_tape(f, records, Node{});
    fmt::print(
        "The step function is flat: its slope is 0 everywhere (and undefined at the step). So the tape says dE/dw = {} and dE/db = {},\n"
        "and gradient descent would never move. The perceptron rule moves w and b by the error itself: w += rate (y - y_hat) x.\n",
        g.dw, g.db);
  }
  nn::History course;
  const Node node = train(f, records, options, course);
  if (f == Activation::step) {
    double right = 0;
    for (const auto& [x, y] : records) right += predict(f, node, x) == y;
    fmt::print("{} of {} records on the right side\n", right, records.size());
  } else {
    print_verdict(f, records, node);
  }
  if (!options.plot.empty()) plot(f, records, node, course, options.plot);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("regression", "A single node, y_hat = f(w x + b), trained by gradient descent on E = 1/2 (y - y_hat)^2.");
  line.option("--csv", options.csv, "data, with named columns (default: iris)");
  line.option("--x", options.x, "column of inputs");
  line.option("--y", options.y, "column of targets; NAME=TEXT is 1 where the column holds the text, else 0");
  line.option("--activation", options.activation, "f: identity, sigmoid, or step (the perceptron)", {"identity", "sigmoid", "step"});
  line.option("--scale", options.scale, "bring x, or x and y, to [0, 1]", {"none", "x", "xy"});
  line.option("--rate", options.rate, "learning rate eta", example::kPositive);
  line.option("--epochs", options.epochs, "passes over all records", example::kPositive);
  line.option("--report-every", options.report_every, "epochs between reports", example::kPositive);
  line.option("--plot", options.plot, "draw the data, the node and the training curve: FILE.png");
  line.saving(options.saving);
  line.flag("--quick", options.quick, "a short training, to see that everything works");
  return line.run(argc, argv, [&] { regress(options); });
}
