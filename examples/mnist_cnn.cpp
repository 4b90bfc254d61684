// A convolutional network on handwritten digits, or on any images in IDX files.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <vector>

#include <nn/data/idx.h>
#include "classification.h"
#include "example.h"
#include "ranks.h"

using namespace wengert;

namespace {

struct Options {
  std::string data = "/usr/share/datasets/fashion-mnist", output = ".";
  int epochs = 8, batch = 128;
  double rate = 1e-3;
  std::uint64_t seed = 1;
  bool quick = false;
  example::Saving saving;
  example::Sharing sharing;
};

// Images with one channel, (n, 1, rows, columns), and labels; only the first `limit` unless that is 0.
nn::Batch examples_of(const nn::LabelledImages& images, Index limit) {
  const Index n = limit > 0 ? std::min(limit, images.size()) : images.size();
  return {unsqueeze(slice(images.images, 0, 0, n), 1), slice(images.labels, 0, 0, n)};
}

constexpr Index kMinSide = 16;  // leaves one pixel after the second pooling

// Two convolutions, each followed by pooling to half the size, and two dense layers.
nn::Sequential network(Index classes, Index rows, Index columns, Generator& generator) {
  const auto left = [](Index size) { return ((size - 4) / 2 - 4) / 2; };
  return nn::Sequential(nn::Conv2d(1, 16, 5, {}, generator), nn::ReLU(), nn::MaxPool2d(2),   //
                        nn::Conv2d(16, 32, 5, {}, generator), nn::ReLU(), nn::MaxPool2d(2),  //
                        nn::Flatten(), nn::Linear(32 * left(rows) * left(columns), 128, {}, generator), nn::ReLU(),
                        nn::Linear(128, classes, {}, generator));
}

void mnist_cnn(Options options, optim::Ranks* ranks) {
  const bool is_first = !ranks || ranks->is_first();  // which prints and writes
  constexpr Index kQuickImages = 1000;
  const Index limit = options.quick ? kQuickImages : 0;
  if (options.quick) options.epochs = 1;
  const nn::ImageDataset data = nn::load_idx_images(options.data);
  const nn::Batch train = examples_of(data.train, limit), test = examples_of(data.test, limit);
  const std::vector<std::string> names = example::class_names(data, options.data);
  const Index rows = train.x.size(2), columns = train.x.size(3);
  if (std::min(rows, columns) < kMinSide)
    throw DataError(fmt::format("{}: the images are {} x {}, but this network needs at least {} x {}", options.data, rows, columns,
                                kMinSide, kMinSide));
  if (is_first) example::make_folder(options.output);

  Generator generator(options.seed);
  nn::Sequential model = network(data.classes, rows, columns, generator);
  if (is_first) fmt::print("{} training and {} test images\n{}\n", train.y.size(), test.y.size(), model.summary({1, 1, rows, columns}));
  optim::Adam adam(model.parameters(), {.lr = options.rate});
  const int blocks = std::max(options.sharing.blocks, 1);
  const nn::DataLoader loader(train, {.batch_size = options.batch / blocks, .shuffle = true, .generator = &generator});
  const nn::FitResult result = nn::fit(model, adam, example::cross_entropy, loader,
                                       {.epochs = options.epochs,
                                        .validation = test,
                                        .validation_name = "test",
                                        .metrics = {nn::Metric::accuracy()},
                                        .accumulate = blocks,
                                        .ranks = ranks,
                                        .checkpoint = {.path = options.saving.checkpoint, .resume = options.saving.resume},
                                        .after_epoch = [&](const nn::EpochReport& r) {
                                          if (is_first) example::print_epoch(r);
                                        }});
  if (!is_first) return;
  if (ranks) {  // all digits: they do not depend on the number of ranks
    const nn::History& history = result.history;
    fmt::print("ranks {}, blocks a step {}: train loss {}, test loss {}\n", ranks->size(), blocks, history.values("train loss").back(),
               history.values("test loss").back());
  }

  const std::string prefix = options.output + "/mnist_cnn";
  const example::Score final = example::report(model, test, test.x, names, result.history, prefix);
  example::draw_first_layer(model, slice(test.x, 0, 0, 1), prefix);
  nn::save(model, prefix + ".safetensors");
  fmt::print("test accuracy {:.4f}\n", final.accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("mnist_cnn", "Convolution 16@5x5, pool, 32@5x5, pool, dense 128, on images in IDX files.");
  line.option("--data", options.data, "folder with the four IDX files");
  line.option("--epochs", options.epochs, "passes over the training images", example::kPositive);
  line.option("--batch", options.batch, "images in a step", example::kPositive);
  line.option("--rate", options.rate, "learning rate of Adam", example::kPositive);
  line.option("--seed", options.seed, "of the weights and of the order of the images");
  line.option("--output", options.output, "folder for the pictures and the model");
  line.saving(options.saving);
  example::sharing(line, options.sharing);
  line.flag("--quick", options.quick, "a few images, to see that everything works");
  return line.run(argc, argv,
                  [&] { example::on_ranks(options.sharing, options.batch, [&](optim::Ranks* ranks) { mnist_cnn(options, ranks); }); });
}
