// A multi-layer perceptron, 784-256-128-10, on images in IDX files: Fashion-MNIST, MNIST and their kin.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include <nn/data/idx.h>
#include <nn/data/loader.h>
#include <nn/training/history.h>
#include <nn/training/image_grid.h>
#include <nn/training/metrics.h>
#include <nn/training/progress.h>
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string data = "/usr/share/datasets/fashion-mnist", output = ".";
  int epochs = 6, batch = 64, limit = 0;
  double rate = 0.1, momentum = 0.5;
  std::uint64_t seed = 1;
};

const std::vector<std::string> kFashion{"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"};

std::vector<std::string> class_names(const nn::ImageDataset& data, const std::string& directory) {
  if (data.classes == 10 && directory.find("fashion") != std::string::npos) return kFashion;
  std::vector<std::string> names;
  for (Index c = 0; c < data.classes; ++c) names.push_back(std::to_string(c));
  return names;
}

/// Flat images, (n, pixels), and their labels; the first `limit` of them if that is set.
nn::Batch examples_of(const nn::LabelledImages& images, int limit) {
  const Index n = limit > 0 ? std::min<Index>(limit, images.size()) : images.size();
  return {flatten(slice(images.images, 0, 0, n), 1).contiguous(), slice(images.labels, 0, 0, n).contiguous()};
}

struct Evaluation {
  double loss, accuracy;
};
Evaluation evaluate(nn::Sequential& model, const nn::Batch& data, nn::ConfusionMatrix* confusion = nullptr) {
  double loss = 0, right = 0;
  for (const auto& [x, y] : nn::DataLoader(data, {.batch_size = 1000})) {
    const Tensor logits = model(x);
    const auto rows = static_cast<double>(y.size());
    loss += nn::cross_entropy(logits, y).item() * rows;
    right += nn::accuracy(logits, y) * rows;
    if (confusion) confusion->add(nn::predictions(logits), y);
  }
  const auto n = static_cast<double>(data.y.size());
  return {loss / n, right / n};
}

/// A picture of the first wrong predictions, "said / is".
void draw_mistakes(nn::Sequential& model, const nn::LabelledImages& images, const nn::Batch& data, const std::vector<std::string>& names,
                   const std::string& path) {
  constexpr std::size_t kMost = 25;
  const std::vector<std::int64_t> said = nn::predictions(model(data.x)).to_vector<std::int64_t>(), is = data.y.to_vector<std::int64_t>();
  std::vector<Index> rows;
  nn::ImageGridOptions options;
  for (std::size_t i = 0; i < is.size() && rows.size() < kMost; ++i) {
    if (said[i] == is[i]) continue;
    rows.push_back(static_cast<Index>(i));
    options.captions.push_back(names[static_cast<std::size_t>(said[i])] + "\nis " + names[static_cast<std::size_t>(is[i])]);
  }
  if (rows.empty()) return;
  nn::write_image_grid(nn::take_rows(images.images, rows), path, options);
  fmt::print("first {} wrong predictions: {}\n", rows.size(), path);
}

void mlp(const Options& options) {
  const nn::ImageDataset data = nn::load_idx_images(options.data);
  const nn::Batch train = examples_of(data.train, options.limit), test = examples_of(data.test, options.limit);
  const std::vector<std::string> names = class_names(data, options.data);
  std::error_code error;
  std::filesystem::create_directories(options.output, error);
  if (error) throw DataError(fmt::format("{}: {}", options.output, error.message()));

  Generator generator(options.seed);
  nn::Sequential model(nn::Linear(train.x.size(1), 256, {}, generator), nn::ReLU(), nn::Linear(256, 128, {}, generator), nn::ReLU(),
                       nn::Linear(128, data.classes, {}, generator));
  fmt::print("{} training and {} test images, {} parameters\n", train.y.size(), test.y.size(), model.parameter_count());
  std::fflush(stdout);  // in front of the progress bar, also where the output is a file
  optim::SGD descent(model.parameters(), {.lr = options.rate, .momentum = options.momentum});
  nn::DataLoader loader(train, {.batch_size = options.batch, .shuffle = true, .generator = &generator});
  nn::History history;
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    descent.set_learning_rate(options.rate * (1 - (epoch - 1.0) / options.epochs));  // down to 0: the last epochs settle
    const std::string label = fmt::format("epoch {}/{}", epoch, options.epochs);
    nn::Progress bar(loader.batches(), {.label = label, .unit = "batch"});
    double loss_sum = 0, right = 0;
    Index step = 0, seen = 0;
    for (const auto& [images, labels] : loader) {
      Tape tape;
      const Tensor logits = model(images);
      const Tensor loss = nn::cross_entropy(logits, labels);
      descent.step(tape.gradient(loss, model.parameters()));
      seen += labels.size();
      loss_sum += loss.item() * static_cast<double>(labels.size());
      right += nn::accuracy(logits.constant(), labels) * static_cast<double>(labels.size());
      bar.update(++step, {{"loss", loss_sum / static_cast<double>(seen)}, {"accuracy", right / static_cast<double>(seen)}});
    }
    const double train_loss = loss_sum / static_cast<double>(seen), train_accuracy = right / static_cast<double>(seen);
    if (!std::isfinite(train_loss))
      throw Error(fmt::format("epoch {}: the loss is no number any more; a smaller --rate than {} may help", epoch, options.rate));
    const auto [test_loss, test_accuracy] = evaluate(model, test);
    bar.finish({{"test loss", test_loss}, {"test accuracy", test_accuracy}});
    fmt::print("epoch {}: train loss {:.4f} accuracy {:.4f}, test loss {:.4f} accuracy {:.4f}\n", epoch, train_loss, train_accuracy,
               test_loss, test_accuracy);
    std::fflush(stdout);
    history.add(
        {{"train loss", train_loss}, {"test loss", test_loss}, {"train accuracy", train_accuracy}, {"test accuracy", test_accuracy}});
  }

  nn::ConfusionMatrix confusion(names);
  const Evaluation final = evaluate(model, test, &confusion);
  fmt::print("\n{}\n", confusion.to_string());
  fmt::print("{}\n", history.plot(options.output + "/mlp-training.png").message);
  draw_mistakes(model, data.test, test, names, options.output + "/mlp-mistakes.png");
  fmt::print("test accuracy {:.4f}\n", final.accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("mlp", "A multi-layer perceptron, 784-256-128-10, on images in IDX files.");
  line.option("--data", options.data, "folder with the four IDX files");
  line.option("--epochs", options.epochs, "passes over the training images", example::kPositive);
  line.option("--batch", options.batch, "images in a step", example::kPositive);
  line.option("--rate", options.rate, "learning rate", example::kPositive);
  line.option("--momentum", options.momentum, "momentum", {.name = "from 0 to 0.999", .least = 0, .most = 0.999});
  line.option("--seed", options.seed, "of the weights and of the order of the images");
  line.option("--limit", options.limit, "use only the first images of each part; 0: all", example::kNotNegative);
  line.option("--output", options.output, "folder for the pictures");
  return line.run(argc, argv, [&] { mlp(options); });
}
