#pragma once
// What the examples that classify share: the loop over epochs and the scores.
#include <nn/data/idx.h>
#include <nn/data/loader.h>
#include <nn/layers/sequential.h>
#include <nn/module/module.h>
#include <nn/training/history.h>
#include <nn/training/metrics.h>
#include <optim/optimizer.h>

#include <functional>
#include <string>
#include <vector>

namespace example {

/// A module and its forward pass, which gives logits (n, classes); x (n, ...) is a batch of inputs.
struct Classifier {
  template <class Model> explicit Classifier(Model& model)
      : module(model), logits([&model](const wengert::Tensor& x) { return model(x); }) {}

  wengert::nn::Module& module;
  std::function<wengert::Tensor(const wengert::Tensor& x)> logits;
};

struct Score {
  double loss, accuracy;
};
/// In evaluation mode, over labels of any shape with as many elements as there are rows of logits.
Score evaluate(const Classifier& model, const wengert::nn::Batch& data, wengert::nn::ConfusionMatrix* confusion = nullptr);

struct FitOptions {
  int epochs = 1;
  /// What is held back from training, if anything: its score stands behind each epoch.
  const wengert::nn::Batch* test = nullptr;
  /// The learning rate of epoch 1, 2, ...; empty: it stays as it is.
  std::function<double(int epoch)> rate = {};
  /// Changes the inputs of a training batch.
  std::function<wengert::Tensor(const wengert::Tensor& x)> augment = {};
  /// What the user sees after an epoch, say.
  std::function<void(int epoch)> after_epoch = {};
};
/// Trains on cross entropy, with a progress bar and a line for each epoch. The model is left in evaluation mode. An Error ends a training
/// whose loss is no number any more.
wengert::nn::History fit(const Classifier& model, wengert::optim::Optimizer& optimizer, const wengert::nn::DataLoader& loader,
                         const FitOptions& options);

/// The names of Fashion-MNIST's classes if the folder's name says that it is that, else "0", "1", ...
std::vector<std::string> class_names(const wengert::nn::ImageDataset& data, const std::string& directory);
/// Writes a picture of the first wrong predictions, each with "said" and "is" below it; `pictures` are what is shown of data.x. Returns a
/// line for the user.
std::string draw_mistakes(const Classifier& model, const wengert::nn::Batch& data, const wengert::Tensor& pictures,
                          const std::vector<std::string>& names, const std::string& path);

/// What a training on images ends with: confusion matrix, curves and wrong predictions (PREFIX-training.png, PREFIX-mistakes.png).
/// `pictures` are what is shown of test.x. Returns the score.
Score report(const Classifier& model, const wengert::nn::Batch& test, const wengert::Tensor& pictures,
             const std::vector<std::string>& names, const wengert::nn::History& history, const std::string& prefix);

/// What the first layer of a convolutional network looks for, and what it finds in one image (1, c, rows, columns): PREFIX-filters.png and
/// PREFIX-activations.png.
void draw_first_layer(wengert::nn::Sequential& model, const wengert::Tensor& image, const std::string& prefix);

}  // namespace example
