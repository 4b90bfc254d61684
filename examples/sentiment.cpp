// Classifies reviews as positive or negative: an embedding of words, one LSTM layer, two outputs. Takes any folder with reviews.txt and
// labels.txt, one review and one label ("positive" or "negative") per line.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <nn/data/loader.h>
#include <nn/data/text.h>
#include <nn/training/history.h>
#include <nn/training/metrics.h>
#include "classification.h"
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string data, output = ".";
  int words = 300, vocabulary = 20000, embedding = 256, nodes = 128, epochs = 3, batch = 256;
  double rate = 3e-3, dropout = 0.2;
  std::uint64_t seed = 1;
  bool quick = false;
  example::Saving saving;
};

const std::vector<std::string> kLabels{"negative", "positive"};
constexpr const char* kUnknown = "<unknown>";  // index 0, which also pads short reviews

// The lines of a file, lower case.
std::vector<std::string> read_lines(const std::string& path) {
  const std::string text = nn::lower_case(nn::read_text(path));
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

struct Reviews {
  std::vector<std::string> texts;
  Tensor labels;  // (n) int64
};
Reviews read_reviews(const std::string& folder) {
  const std::string labels_path = folder + "/labels.txt";
  Reviews reviews{read_lines(folder + "/reviews.txt"), {}};
  const std::vector<std::string> labels = read_lines(labels_path);
  if (labels.size() != reviews.texts.size())
    throw DataError(fmt::format("{}: {} labels for {} reviews", labels_path, labels.size(), reviews.texts.size()));
  std::vector<std::int64_t> numbers;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const auto found = std::find_if(kLabels.begin(), kLabels.end(), [&](const std::string& l) { return labels[row].starts_with(l); });
    if (found == kLabels.end())
      throw DataError(fmt::format("{}, row {}: \"{}\" is neither positive nor negative", labels_path, row + 1, labels[row]));
    numbers.push_back(found - kLabels.begin());
  }
  reviews.labels = Tensor::from(std::span<const std::int64_t>(numbers), {std::ssize(numbers)});
  return reviews;
}

nn::Vocabulary vocabulary_of(const Reviews& reviews, int max_size) {
  std::vector<std::string_view> words;
  for (const std::string& text : reviews.texts)
    for (const std::string_view word : nn::words(text)) words.push_back(word);
  return nn::Vocabulary(words, {.max_size = max_size, .unknown = kUnknown});
}

// The last words of each review, padded on the left: (n, length) int64.
Tensor encode(const Reviews& reviews, const nn::Vocabulary& vocabulary, Index length) {
  Tensor x = Tensor::zeros({std::ssize(reviews.texts), length}, int64);
  std::int64_t* row = x.mutable_data<std::int64_t>();
  for (const std::string& text : reviews.texts) {
    const std::vector<std::string_view> words = nn::words(text);
    const Index n = std::min(length, static_cast<Index>(std::ssize(words)));
    for (Index i = 0; i < n; ++i) row[length - n + i] = vocabulary.number(words[words.size() - static_cast<std::size_t>(n - i)]);
    row += length;
  }
  return x;
}

struct SentimentNet : nn::Module {
  SentimentNet(Index vocabulary, const Options& o, Generator& g)
      : embedding(vocabulary, o.embedding, {.padding_idx = 0}, g),
        lstm(o.embedding, o.nodes, {}, g),
        dropout(o.dropout, g),
        head(o.nodes, std::ssize(kLabels), {}, g) {}

  // Reviews (n, words) int64 -> logits (n, 2).
  Tensor operator()(const Tensor& reviews) const {
    const Tensor states = lstm(embedding(transpose(reviews))).output;  // (words, n, nodes)
    return head(dropout(select(states, 0, -1)));
  }
  void visit(nn::Visitor& v) override {
    v("embedding", embedding);
    v("lstm", lstm);
    v("dropout", dropout);
    v("head", head);
  }

  nn::Embedding embedding;
  nn::LSTM lstm;
  nn::Dropout dropout;
  nn::Linear head;
};

void sentiment(Options options) {
  if (options.quick) options.words = 20, options.embedding = 16, options.nodes = 16;
  const Reviews reviews = read_reviews(options.data);
  const nn::Vocabulary vocabulary = vocabulary_of(reviews, options.vocabulary);
  example::make_folder(options.output);

  Generator generator(options.seed);
  const nn::Split data = nn::split_examples(encode(reviews, vocabulary, options.words), reviews.labels, {.generator = &generator});
  SentimentNet model(vocabulary.size(), options, generator);
  fmt::print("{} reviews to learn from, {} to be tested with, {} words known, {} parameters\n", data.train.y.size(),
             data.validation.y.size(), vocabulary.size(), model.parameter_count());
  optim::RMSprop rmsprop(model.parameters(), {.lr = options.rate, .alpha = 0.9});
  const nn::DataLoader loader(data.train, {.batch_size = options.batch, .shuffle = true, .generator = &generator});
  const nn::FitResult result = nn::fit(model, rmsprop, example::cross_entropy, loader,
                                       {.epochs = options.epochs,
                                        .validation = data.validation,
                                        .validation_name = "test",
                                        .metrics = {nn::Metric::accuracy()},
                                        .checkpoint = {.path = options.saving.checkpoint, .resume = options.saving.resume},
                                        .after_epoch = example::print_epoch});

  nn::ConfusionMatrix confusion(kLabels);
  const example::Score final = example::evaluate(model, data.validation, &confusion);
  fmt::print("\n{}\n{}\n", confusion.to_string(), result.history.plot(options.output + "/sentiment-training.png").message);
  nn::save(model, options.output + "/sentiment.safetensors");
  fmt::print("test accuracy {:.4f}\n", final.accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("sentiment", "Classifies reviews as positive or negative: an embedding, an LSTM layer, two outputs.");
  line.required("--data", options.data, "folder with reviews.txt and labels.txt; a fifth of them is for testing");
  line.option("--words", options.words, "number of words to read from each review, the last ones", example::kPositive);
  line.option("--vocabulary", options.vocabulary, "number of words to know, the most frequent ones", example::kPositive);
  line.option("--embedding", options.embedding, "size of the vector for a word", example::kPositive);
  line.option("--nodes", options.nodes, "of the LSTM layer", example::kPositive);
  line.option("--epochs", options.epochs, "passes over the reviews", example::kPositive);
  line.option("--batch", options.batch, "reviews in a step", example::kPositive);
  line.option("--rate", options.rate, "learning rate of RMSprop", example::kPositive);
  line.option("--dropout", options.dropout, "probability of dropout", {.name = "a number from 0 to 0.9", .min = 0, .max = 0.9});
  line.option("--seed", options.seed, "of the split, the weights and the order of the reviews");
  line.option("--output", options.output, "folder for the picture and the model");
  line.saving(options.saving);
  line.flag("--quick", options.quick, "a small network, to see that everything works");
  return line.run(argc, argv, [&] { sentiment(options); });
}
