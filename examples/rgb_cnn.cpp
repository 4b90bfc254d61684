// The slides' convolutional network: colour images in, a node for each class out. CIFAR-10 in its binary format.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <nn/data/augmentation.h>
#include <nn/data/cifar.h>
#include <nn/training/image_grid.h>
#include <nn/training/metrics.h>
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
};

const std::vector<std::string> kNames{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
constexpr Index kSide = 32;

/// Two pairs of convolutions, each halved by pooling, and two dense layers.
nn::Sequential network(Generator& g) {
  constexpr Index kLeft = kSide / 4;
  return nn::Sequential(nn::Conv2d(3, 32, {.kernel = 3, .padding = 1}, g), nn::ReLU(),                        //
                        nn::Conv2d(32, 32, {.kernel = 3, .padding = 1}, g), nn::ReLU(), nn::MaxPool2d(2),     //
                        nn::Conv2d(32, 64, {.kernel = 3, .padding = 1}, g), nn::ReLU(),                       //
                        nn::Conv2d(64, 64, {.kernel = 3, .padding = 1}, g), nn::ReLU(), nn::MaxPool2d(2),     //
                        nn::Flatten(), nn::Linear(64 * kLeft * kLeft, 256, {}, g), nn::ReLU(), nn::Dropout(0.5, g),
                        nn::Linear(256, std::ssize(kNames), {}, g));
}

/// Pixels of [0, 1] to about [-1, 1].
nn::Batch centred(const nn::LabelledImages& images) { return {(images.images - 0.5) * 2, images.labels}; }

/// Images that nobody has taken: what they show is decided by the place of a bright square. For --quick without data.
nn::LabelledImages made_up(Index n, Generator& g) {
  nn::LabelledImages made{g.uniform({n, 3, kSide, kSide}, 0, 0.5), g.integers({n}, 0, std::ssize(kNames))};
  constexpr Index kSquare = 6;
  float* pixels = made.images.mutable_data<float>();
  const std::int64_t* labels = made.labels.data<std::int64_t>();
  for (Index i = 0; i < n; ++i)
    for (Index c = 0; c < 3; ++c)
      for (Index row = 0; row < kSquare; ++row)
        for (Index column = 0; column < kSquare; ++column) {
          const Index top = labels[i] / 5 * 16 + row, left = labels[i] % 5 * kSquare + column;
          pixels[((i * 3 + c) * kSide + top) * kSide + left] = 1;
        }
  return made;
}
