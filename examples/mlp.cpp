// A multi-layer perceptron, 784-256-128-10, on images in IDX files, such as Fashion-MNIST and MNIST.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <vector>

#include <nn/data/idx.h>
#include <nn/training/image_grid.h>
#include "classification.h"
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string data = "/usr/share/datasets/fashion-mnist", output = ".";
  int epochs = 6, batch = 64, limit = 0;
  double rate = 0.1, momentum = 0.5;
  std::uint64_t seed = 1;
  bool quick = false;
  example::Saving saving;
};

constexpr int kQuickImages = 2000;

// Flattened images (n, pixels) and their labels; only the first `limit` unless that is 0.
nn::Batch examples_of(const nn::LabelledImages& images, int limit) {
  const Index n = limit > 0 ? std::min<Index>(limit, images.size()) : images.size();
  return {flatten(slice(images.images, 0, 0, n), 1).contiguous(), slice(images.labels, 0, 0, n).contiguous()};
}

void mlp(Options options) {
  if (options.quick) options.epochs = 1, options.limit = kQuickImages;
  const nn::ImageDataset data = nn::load_idx_images(options.data);
  const nn::Batch train = examples_of(data.train, options.limit), test = examples_of(data.test, options.limit);
  const std::vector<std::string> names = example::class_names(data, options.data);
  example::make_folder(options.output);

  Generator generator(options.seed);
  nn::Sequential model(nn::Linear(train.x.size(1), 256, {}, generator), nn::ReLU(), nn::Linear(256, 128, {}, generator), nn::ReLU(),
                       nn::Linear(128, data.classes, {}, generator));
  fmt::print("{} training and {} test images, {} parameters\n", train.y.size(), test.y.size(), model.parameter_count());
  optim::SGD descent(model.parameters(), {.lr = options.rate, .momentum = options.momentum});
  const nn::DataLoader loader(train, {.batch_size = options.batch, .shuffle = true, .generator = &generator});
  // The rate decreases linearly, so that the last epochs converge.
  const optim::PolynomialSchedule rate{.lr = options.rate, .steps = options.epochs};
  const nn::FitResult result = nn::fit(model, descent, example::cross_entropy, loader,
                                       {.epochs = options.epochs,
                                        .validation = test,
                                        .validation_name = "test",
                                        .metrics = {nn::Metric::accuracy()},
                                        .rate_of_epoch = rate,
                                        .checkpoint = {.path = options.saving.checkpoint, .resume = options.saving.resume},
                                        .after_epoch = example::print_epoch});

  const std::string prefix = options.output + "/mlp";
  const example::Score final = example::report(model, test, data.test.images, names, result.history, prefix);
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
  line.option("--momentum", options.momentum, "momentum", {.name = "a number from 0 to 0.999", .min = 0, .max = 0.999});
  line.option("--seed", options.seed, "of the weights and of the order of the images");
  line.option("--limit", options.limit, "use only the first images of each part; 0: all", example::kNotNegative);
  line.option("--output", options.output, "folder for the pictures");
  line.saving(options.saving);
  line.flag("--quick", options.quick, "a few images, to see that everything works");
  return line.run(argc, argv, [&] { mlp(options); });
}
