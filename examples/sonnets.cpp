// A network learns to predict the next character of a text, and then writes text: Shakespeare's sonnets, or any text file.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <nn/data/loader.h>
#include <nn/data/text.h>
#include <nn/training/history.h>
#include "classification.h"
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string text, output = ".";
  int layers = 2, nodes = 128, window = 128, step = 3, epochs = 10, batch = 128, length = 400;
  double rate = 5e-3, dropout = 0.1;
  std::uint64_t seed = 1;
  bool quick = false;
  example::Saving saving;
};

// LSTM layers over one-hot characters; the state after the last step predicts the next character.
struct CharacterNet : nn::Module {
  CharacterNet(Index symbols, const Options& o, Generator& g)
      : lstm(symbols, o.nodes, {.layers = o.layers, .dropout = o.layers > 1 ? o.dropout : 0}, g),
        dropout(o.dropout, g),
        head(o.nodes, symbols, {}, g) {
    start_as_keras(g);
  }

  // Initial values as in Keras: Glorot for inputs, orthogonal for states, and forget gates that are initially open.
  void start_as_keras(Generator& g) {
    for (nn::RecurrentParameters& w : lstm.weights) {
      nn::init::xavier_uniform(w.weight_ih, g);
      nn::init::orthogonal(w.weight_hh, g);
      nn::init::constant(w.bias_hh, 0);
      const Index nodes = w.weight_hh.shape()[1];
      Tensor bias = Tensor::zeros({4 * nodes});
      std::fill_n(bias.mutable_data<float>() + nodes, nodes, 1.0f);  // the gates are in the order input, forget, cell, output
      w.bias_ih.set(bias);
    }
    nn::init::xavier_uniform(head.weight, g);
    nn::init::constant(head.bias, 0);
  }

  // Windows (n, steps) int64 -> logits (n, symbols).
  Tensor operator()(const Tensor& windows) {
    const Tensor h = lstm(one_hot(transpose(windows), head.out()).to(float32)).output;  // (steps, n, nodes)
    return head(dropout(select(h, 0, -1)));
  }
  void visit(nn::Visitor& v) override {
    v("lstm", lstm);
    v("dropout", dropout);
    v("head", head);
  }

  nn::LSTM lstm;
  nn::Dropout dropout;
  nn::Linear head;
};

// ---- writing ---------------------------------------------------------------------------------------------------------------------

// Draws the next character with probabilities softmax(logits / temperature); for temperature 0, takes the most likely one.
Index choose(const Tensor& logits, double temperature, Generator& g) {
  const std::vector<double> values = logits.to(float64).to_vector<double>();
  const auto best = std::max_element(values.begin(), values.end());
  if (temperature == 0) return best - values.begin();
  std::vector<double> weights;
  double total = 0;
  for (const double v : values) {
    weights.push_back(std::exp((v - *best) / temperature));
    total += weights.back();
  }
  double rest = g.next_uniform(0, total);
  std::size_t i = 0;
  while (i + 1 < weights.size() && rest >= weights[i]) rest -= weights[i++];
  return static_cast<Index>(i);
}

// Continues a window (steps) of characters; each new character shifts the window.
std::string write(CharacterNet& model, const nn::Vocabulary& symbols, const Tensor& start, int length, double temperature, Generator& g) {
  std::vector<std::int64_t> window = start.to_vector<std::int64_t>();
  std::string text;
  for (int i = 0; i < length; ++i) {
    const Tensor logits = model(Tensor::borrow(std::span<const std::int64_t>(window), {1, std::ssize(window)}));
    const Index next = choose(logits, temperature, g);
    std::rotate(window.begin(), window.begin() + 1, window.end());
    window.back() = next;
    text += symbols.token(next);
  }
  return text;
}

void print_samples(CharacterNet& model, const nn::Vocabulary& symbols, const Tensor& start, int length, Generator& g) {
  model.eval();
  fmt::print("\n-- it reads --\n{}\n", symbols.decode(start));
  fmt::print("\n-- and goes on: the likeliest character each time --\n{}\n", write(model, symbols, start, length, 0, g));
  fmt::print("\n-- by probability --\n{}\n", write(model, symbols, start, length, 1, g));
  fmt::print("\n-- at temperature 0.5 --\n{}\n", write(model, symbols, start, length, 0.5, g));
}

void sonnets(Options options) {
  if (options.quick) options.nodes = 16, options.window = 20, options.epochs = 1, options.length = 60, options.step = 50;
  const std::string text = nn::lower_case(nn::read_text(options.text));
  const std::vector<std::string_view> letters = nn::characters(text);
  const nn::Vocabulary symbols(letters);
  const Tensor numbers = symbols.encode(letters);
  const nn::Batch windows = nn::windows(numbers, {.length = options.window, .stride = options.step});
  example::make_folder(options.output);

  Generator generator(options.seed);
  CharacterNet model(symbols.size(), options, generator);
  fmt::print("{} characters, {} different ones, {} windows, {} parameters\n", letters.size(), symbols.size(), windows.y.size(),
             model.parameter_count());
  optim::RMSprop rmsprop(model.parameters(), {.lr = options.rate, .alpha = 0.9});
  const nn::DataLoader loader(windows, {.batch_size = options.batch, .shuffle = true, .generator = &generator});
  const nn::FitResult result = nn::fit(model, rmsprop, example::cross_entropy, loader,
                                       {.epochs = options.epochs,
                                        .metrics = {nn::Metric::accuracy()},
                                        .checkpoint = {.path = options.saving.checkpoint, .resume = options.saving.resume},
                                        .after_epoch = example::print_epoch});

  const Index start = generator.next_integer(0, windows.y.size());
  print_samples(model, symbols, select(windows.x, 0, start), options.length, generator);
  fmt::print("\n{}\n", result.history.plot(options.output + "/sonnets-training.png").message);
  nn::save(model, options.output + "/sonnets.safetensors");
  fmt::print("training loss {:.4f}\n", result.history.values("train loss").back());
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("sonnets", "Layers of LSTM learn to write like a text, character by character.");
  line.required("--text", options.text, "what to learn from: a text file");
  line.option("--layers", options.layers, "number of LSTM layers", example::kPositive);
  line.option("--nodes", options.nodes, "of each layer", example::kPositive);
  line.option("--window", options.window, "number of characters from which the next is predicted", example::kPositive);
  line.option("--step", options.step, "characters from one window to the next", example::kPositive);
  line.option("--epochs", options.epochs, "passes over the windows", example::kPositive);
  line.option("--batch", options.batch, "windows in a step", example::kPositive);
  line.option("--rate", options.rate, "learning rate of RMSprop", example::kPositive);
  line.option("--dropout", options.dropout, "probability of dropout", {.name = "a number from 0 to 0.9", .min = 0, .max = 0.9});
  line.option("--length", options.length, "characters to write at the end", example::kPositive);
  line.option("--seed", options.seed, "of the weights, the order of the windows, and what is written");
  line.option("--output", options.output, "folder for the picture and the model");
  line.saving(options.saving);
  line.flag("--quick", options.quick, "a short training, to see that everything works");
  return line.run(argc, argv, [&] { sonnets(options); });
}
