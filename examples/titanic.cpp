// Predicts who survived the Titanic: a 12-9-1 network of sigmoid nodes without biases, trained on batches drawn with replacement, with
// E = 1/2 (y - y_hat)^2. Trains one network for each seed; the median of their validation errors measures the method.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include <autodiff/io/atomic_file.h>
#include <nn/data/csv.h>
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string train, test, predictions;
  int seeds = 10, batches = 2048, batch_size = 128;
  double rate = 0.5;
  bool quick = false;
  example::Saving saving;
};

// ---- data ------------------------------------------------------------------------------------------------------------------------

struct Category {
  const char* column;
  std::array<const char*, 3> values;
};
constexpr std::array<const char*, 4> kNumbers{"Age", "SibSp", "Parch", "Fare"};
constexpr std::array<Category, 3> kCategories{
    {{"Sex", {"male", "female", nullptr}}, {"Embarked", {"C", "Q", "S"}}, {"Pclass", {"1", "2", "3"}}}};
constexpr Index kInputs = 12;

// The smallest and the largest value of a column in both tables, ignoring missing ones.
std::pair<double, double> range(const std::vector<double>& a, const std::vector<double>& b) {
  double low = INFINITY, high = -INFINITY;
  for (const auto* column : {&a, &b}) {
    for (const double v : *column) {
      if (std::isnan(v)) continue;
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
  return {low, high};
}

// A DataError for a category that is neither missing nor one of the known values.
void check_category(const Category& category, const std::vector<std::string>& texts, const std::string& file) {
  for (std::size_t row = 0; row < texts.size(); ++row) {
    const auto is = [&](const char* value) { return value && texts[row] == value; };
    if (!texts[row].empty() && std::none_of(category.values.begin(), category.values.end(), is))
      throw DataError(fmt::format("{}, row {}, column \"{}\": unknown value \"{}\"", file, row + 1, category.column, texts[row]));
  }
}

// (rows, 12): numbers, scaled to [0, 1] by their range in both tables, 0 where missing; then one-hot categories.
Tensor inputs(const nn::Table& table, const std::string& file, const nn::Table& other) {
  Tensor x = Tensor::zeros({table.rows(), kInputs}, float64);
  double* to = x.mutable_data<double>();
  const nn::NumberOptions missing_is_nan{.missing = NAN};
  Index at = 0;
  for (const char* name : kNumbers) {
    const std::vector<double> values = table.numbers(name, missing_is_nan);
    const auto [low, high] = range(values, other.numbers(name, missing_is_nan));
    for (std::size_t row = 0; row < values.size(); ++row)
      if (!std::isnan(values[row]) && low < high) to[static_cast<Index>(row) * kInputs + at] = (values[row] - low) / (high - low);
    ++at;
  }
  for (const Category& category : kCategories) {
    const std::vector<std::string> texts = table.strings(category.column);
    check_category(category, texts, file);
    for (const char* value : category.values) {
      if (!value) continue;
      for (std::size_t row = 0; row < texts.size(); ++row) to[static_cast<Index>(row) * kInputs + at] = texts[row] == value;
      ++at;
    }
  }
  return x;
}

// ---- the network -----------------------------------------------------------------------------------------------------------------

// A layer without bias for sigmoid nodes; weights are drawn from N(0, 1 / sqrt(inputs)).
nn::Linear layer(Index in, Index out, Generator& generator) {
  nn::Linear linear(in, out, {.bias = false}, generator);
  linear.weight = generator.normal({out, in}, 0, 1 / std::sqrt(static_cast<double>(in)), float64);
  return linear;
}

double mean_squared_error(nn::Sequential& network, const nn::Batch& data) { return nn::mse(network(data.x), data.y).item(); }

struct Result {
  double train, validation;
  nn::Sequential network;
};

nn::Sequential network_of(Generator& generator) {
  return nn::Sequential(layer(kInputs, 9, generator), nn::Sigmoid(), layer(9, 1, generator), nn::Sigmoid());
}

Result train_one(const nn::Split& data, const Options& options, std::uint64_t seed) {
  Generator generator(seed);
  nn::Sequential network = network_of(generator);
  optim::SGD descent(network.parameters(), {.lr = options.rate});
  const Index rows = data.train.x.size(0);
  std::vector<Index> drawn(static_cast<std::size_t>(options.batch_size));
  for (int batch = 0; batch < options.batches; ++batch) {
    const Tensor draw = generator.integers({options.batch_size}, 0, rows);
    std::copy_n(draw.data<std::int64_t>(), drawn.size(), drawn.begin());
    Tape tape;
    const Tensor error = nn::half_squared_error(network(nn::take_rows(data.train.x, drawn)), nn::take_rows(data.train.y, drawn));
    descent.step(tape.gradient(error, network.parameters()));
  }
  return {mean_squared_error(network, data.train), mean_squared_error(network, data.validation), std::move(network)};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void write_predictions(const std::vector<std::string>& ids, const Tensor& probability, const std::string& path) {
  std::string text = "PassengerId,Survived\n";
  for (std::size_t row = 0; row < ids.size(); ++row)
    text += fmt::format("{},{}\n", ids[row], static_cast<int>(probability.at({static_cast<Index>(row), 0}) >= 0.5));
  write_file_atomically(path, text);
  fmt::print("predictions for {} passengers: {}\n", ids.size(), path);
}

void titanic(Options options) {
  if (options.quick) options.seeds = 2, options.batches = 300;
  const nn::Table train = nn::read_csv(options.train), test = nn::read_csv(options.test);
  if (!options.predictions.empty()) example::make_folder_of(options.predictions, ".csv");
  const std::vector<std::string> ids = options.predictions.empty() ? std::vector<std::string>{} : test.strings("PassengerId");
  const Tensor x_test = inputs(test, options.test, train);
  const Tensor x = inputs(train, options.train, test), y = train.tensor({"Survived"}, float64);
  const nn::Split data = nn::split_examples(x, y, {.validation = 0.2, .shuffle = false});  // the last fifth of the rows
  fmt::print("{} passengers to learn from, {} to validate with, 12-9-1 sigmoid nodes, {} batches of {}\n", data.train.x.size(0),
             data.validation.x.size(0), options.batches, options.batch_size);

  nn::History errors;
  Generator generator(0);
  Result best{INFINITY, INFINITY, network_of(generator)};
  int seed = 1;
  std::optional<nn::Checkpoint> checkpoint;
  if (!options.saving.checkpoint.empty()) {
    checkpoint.emplace(options.saving.checkpoint);
    (*checkpoint)("seed", seed)("errors", errors)("best network", best.network)("best error", best.validation);
    if (options.saving.resume) checkpoint->resume();
  }
  for (; seed <= options.seeds; ++seed) {
    if (checkpoint) checkpoint->save();
    const Result result = train_one(data, options, static_cast<std::uint64_t>(seed));
    fmt::print("seed {:>2}  MSE train {:.4f}  validation {:.4f}\n", seed, result.train, result.validation);
    errors.add({{"train", result.train}, {"validation", result.validation}});
    if (result.validation < best.validation) best = result;
  }
  if (checkpoint) checkpoint->save();
  fmt::print("median of {} seeds: MSE train {:.4f}, validation {:.4f}\n", options.seeds, median(errors.values("train")),
             median(errors.values("validation")));
  if (!options.predictions.empty()) write_predictions(ids, best.network(x_test), options.predictions);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("titanic", "A 12-9-1 network on the passenger list of the Titanic.");
  line.required("--train", options.train, "passengers with the column Survived: CSV");
  line.required("--test", options.test, "passengers without it: CSV");
  line.option("--predictions", options.predictions, "write the best network's predictions for the test passengers: FILE.csv");
  line.option("--seeds", options.seeds, "networks to train", example::kPositive);
  line.option("--batches", options.batches, "steps of training", example::kPositive);
  line.option("--batch", options.batch_size, "passengers in a step", example::kPositive);
  line.option("--rate", options.rate, "learning rate eta", example::kPositive);
  line.saving(options.saving);
  line.flag("--quick", options.quick, "two short trainings, to see that everything works");
  return line.run(argc, argv, [&] { titanic(options); });
}
