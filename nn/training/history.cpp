#include "nn/training/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "autodiff/error.h"
#include "autodiff/io/in_quotes.h"

namespace wengert::nn {
namespace {

constexpr double kGap = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kEpochName = "epoch";
const std::string kStatePrefix = "History.values.";

// "train loss" is the "loss" of "train"; "loss" is the "loss" of "".
struct Measured {
  std::string part, quantity;
};

Measured measured(const std::string& name) {
  const std::size_t space = name.find_last_of(' ');
  if (space == std::string::npos) return {"", name};
  return {name.substr(0, space), name.substr(space + 1)};
}

template <class T, class Matches> std::size_t position_or_new(std::vector<T>& list, const T& fresh, Matches matches) {
  const auto found = std::find_if(list.begin(), list.end(), matches);
  const auto at = static_cast<std::size_t>(found - list.begin());
  if (found == list.end()) list.push_back(fresh);
  return at;
}

}  // namespace

void History::add(std::span<const NamedValue> values) {
  for (Column& column : columns_) column.values.push_back(kGap);
  ++epochs_;
  for (const NamedValue& given : values) {
    const Column fresh{std::string(given.name), std::vector<double>(epochs_, kGap)};
    const std::size_t at = position_or_new(columns_, fresh, [&](const Column& c) { return c.name == given.name; });
    columns_[at].values.back() = given.value;
  }
}

const std::vector<double>& History::values(std::string_view name) const {
  std::string known;
  for (const Column& column : columns_) {
    if (column.name == name) return column.values;
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", column.name);
  }
  throw Error(fmt::format("History::values: nothing is called \"{}\"; there are {}", name, known.empty() ? "no values yet" : known));
}

std::vector<Column> History::columns() const {
  std::vector<Column> all = {{kEpochName, std::vector<double>(epochs_)}};
  std::iota(all[0].values.begin(), all[0].values.end(), 1.0);
  all.insert(all.end(), columns_.begin(), columns_.end());
  return all;
}

std::vector<NamedTensor> History::state() const {
  std::vector<NamedTensor> state{{"History.epochs", Tensor::from(std::vector<std::int64_t>{static_cast<std::int64_t>(epochs_)})}};
  for (const Column& column : columns_) state.push_back({kStatePrefix + column.name, Tensor::from(column.values)});
  return state;
}

void History::load_state(std::span<const NamedTensor> state, const std::string& source) {
  const auto refuse = [&](const std::string& why) {
    throw DataError(fmt::format("{}: this is not the state of a History: {}", source, why));
  };
  if (state.empty() || state[0].name != "History.epochs" || state[0].value.dtype() != int64 || state[0].value.size() != 1)
    refuse("History.epochs is missing or not an int64 number");
  const auto epochs = static_cast<std::size_t>(std::max<std::int64_t>(state[0].value.to_vector<std::int64_t>()[0], 0));
  std::vector<Column> columns;
  for (const auto& [name, value] : state.subspan(1)) {
    if (!name.starts_with(kStatePrefix)) refuse(fmt::format("it holds {}", in_quotes(name)));
    if (value.dtype() != float64 || value.rank() != 1 || static_cast<std::size_t>(value.size()) != epochs)
      refuse(fmt::format("{} is {} {}, but ({}) float64 is needed", in_quotes(name), to_string(value.shape()), to_string(value.dtype()),
                         epochs));
    columns.push_back({name.substr(kStatePrefix.size()), value.to_vector<double>()});
  }
  columns_ = std::move(columns);
  epochs_ = epochs;
}

PictureOutcome History::plot(const std::string& png_path) const {
  if (columns_.empty()) throw Error("History::plot: nothing has been added yet");
  Figure figure{columns(), {}};
  std::vector<std::string> parts;
  for (const Column& column : columns_) {
    const auto [part, quantity] = measured(column.name);
    const auto color = static_cast<int>(position_or_new(parts, part, [&, &p = part](const std::string& s) { return s == p; }));
    const Panel fresh{.title = quantity, .x_label = kEpochName, .y_label = "", .curves = {}};
    const std::size_t panel = position_or_new(figure.panels, fresh, [&, &q = quantity](const Panel& p) { return p.title == q; });
    figure.panels[panel].curves.push_back({.x = kEpochName, .y = column.name, .label = part.empty() ? quantity : part, .color = color});
  }
  return write_figure(figure, png_path);
}

}  // namespace wengert::nn
