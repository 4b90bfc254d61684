// A convolutional network for colour images, with one output for each class: CIFAR-10 in its binary format.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <nn/data/augment.h>
#include <nn/data/cifar.h>
#include <nn/training/image_grid.h>
#include "classification.h"
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string data, output = ".";
  int epochs = 30, batch = 64;
  double rate = 1e-3;
  std::uint64_t seed = 1;
  bool quick = false;
  example::Saving saving;
};

constexpr Index kSide = 32, kClasses = nn::kCifar10Classes.size();

// Two pairs of convolutions, each followed by pooling to half the size, and two dense layers.
nn::Sequential network(Generator& g) {
  constexpr Index kLeft = kSide / 4;
  return nn::Sequential(nn::Conv2d(3, 32, 3, {.padding = 1}, g), nn::ReLU(),                     //
                        nn::Conv2d(32, 32, 3, {.padding = 1}, g), nn::ReLU(), nn::MaxPool2d(2),  //
                        nn::Conv2d(32, 64, 3, {.padding = 1}, g), nn::ReLU(),                    //
                        nn::Conv2d(64, 64, 3, {.padding = 1}, g), nn::ReLU(), nn::MaxPool2d(2),  //
                        nn::Flatten(), nn::Linear(64 * kLeft * kLeft, 256, {}, g), nn::ReLU(), nn::Dropout(0.5, g),
                        nn::Linear(256, kClasses, {}, g));
}

// Scales pixels from [0, 1] to [-1, 1].
nn::Batch centred(const nn::LabelledImages& images) { return {(images.images - 0.5) * 2, images.labels}; }

void rgb_cnn(Options options) {
  if (options.quick) options.epochs = 1;
  const nn::ImageDataset data = nn::load_cifar10(options.data);
  const nn::Batch train = centred(data.train), test = centred(data.test);
  example::make_folder(options.output);

  Generator generator(options.seed);
  nn::Sequential model = network(generator);
  fmt::print("{} training and {} test images\n{}\n", train.y.size(), test.y.size(), model.summary({1, 3, kSide, kSide}));
  optim::Adam adam(model.parameters(), {.lr = options.rate});
  const nn::DataLoader loader(train, {.batch_size = options.batch, .shuffle = true, .generator = &generator});
  const optim::CosineSchedule schedule{.lr = options.rate, .steps = options.epochs};
  // In every epoch each picture is randomly mirrored and shifted.
  const auto augment = [&](const Tensor& x) { return nn::random_crop(nn::random_flip(x, {}, generator), {}, generator); };
  const nn::Forward forward(model, [&](const Tensor& x) { return model(model.training() ? augment(x) : x); });
  const nn::FitResult result = nn::fit(forward, adam, example::cross_entropy, loader,
                                       {.epochs = options.epochs,
                                        .validation = test,
                                        .validation_name = "test",
                                        .metrics = {nn::Metric::accuracy()},
                                        .rate_of_epoch = schedule,
                                        .checkpoint = {.path = options.saving.checkpoint, .resume = options.saving.resume},
                                        .after_epoch = example::print_epoch});

  const std::vector<std::string> names(nn::kCifar10Classes.begin(), nn::kCifar10Classes.end());
  const std::string prefix = options.output + "/rgb_cnn";
  const example::Score final = example::report(model, test, data.test.images, names, result.history, prefix);
  example::draw_first_layer(model, slice(test.x, 0, 0, 1), prefix);
  nn::save(model, prefix + ".safetensors");
  fmt::print("test accuracy {:.4f}\n", final.accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("rgb_cnn", "Convolutions 2 x 32, pool, 2 x 64, pool, dense 256, on the colour images of CIFAR-10.");
  line.required("--data", options.data, "folder with CIFAR-10's binary files");
  line.option("--epochs", options.epochs, "passes over the training images", example::kPositive);
  line.option("--batch", options.batch, "images in a step", example::kPositive);
  line.option("--rate", options.rate, "learning rate of Adam, which falls to 0 along a cosine", example::kPositive);
  line.option("--seed", options.seed, "of the weights, the order of the images and their changes");
  line.option("--output", options.output, "folder for the pictures and the model");
  line.saving(options.saving);
  line.flag("--quick", options.quick, "one epoch, to see that everything works");
  return line.run(argc, argv, [&] { rgb_cnn(options); });
}
