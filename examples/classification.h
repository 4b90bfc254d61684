#pragma once
// Shared by the classification examples: the training loop and the scores.
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

/// A module and its forward pass, which returns logits (n, classes) for a batch x (n, ...).
struct Classifier {
  template <class Model> explicit Classifier(Model& model)
      : module(model), logits([&model](const wengert::Tensor& x) { return model(x); }) {}

  wengert::nn::Module& module;
  std::function<wengert::Tensor(const wengert::Tensor& x)> logits;
};

struct Score {
  double loss, accuracy;
};
/// Scores the model in evaluation mode. The labels may have any shape with as many elements as there are rows of logits.
Score evaluate(const Classifier& model, const wengert::nn::Batch& data, wengert::nn::ConfusionMatrix* confusion = nullptr);

struct FitOptions {
  int epochs = 1;
  /// Data held out from training, if any; it is scored after each epoch.
  const wengert::nn::Batch* test = nullptr;
  /// The learning rate of epoch 1, 2, ...; empty: constant.
  std::function<double(int epoch)> rate = {};
  /// Changes the inputs of a training batch.
  std::function<wengert::Tensor(const wengert::Tensor& x)> augment = {};
  /// Called after each epoch, for example to print something.
  std::function<void(int epoch)> after_epoch = {};
};
/// Trains on cross entropy, with a progress bar and a line for each epoch. The model is left in evaluation mode. An Error ends the training
/// if the loss is not finite.
wengert::nn::History fit(const Classifier& model, wengert::optim::Optimizer& optimizer, const wengert::nn::DataLoader& loader,
                         const FitOptions& options);

/// The class names of Fashion-MNIST if the folder's name contains it, otherwise "0", "1", ...
std::vector<std::string> class_names(const wengert::nn::ImageDataset& data, const std::string& directory);
/// Draws the first wrong predictions, each with the predicted and the true class below it; `pictures` are the images to show for data.x.
/// Returns a line for the user.
std::string draw_mistakes(const Classifier& model, const wengert::nn::Batch& data, const wengert::Tensor& pictures,
                          const std::vector<std::string>& names, const std::string& path);

/// The final report of a training on images: confusion matrix, curves and wrong predictions (PREFIX-training.png, PREFIX-mistakes.png).
/// `pictures` are the images to show for test.x. Returns the score.
Score report(const Classifier& model, const wengert::nn::Batch& test, const wengert::Tensor& pictures,
             const std::vector<std::string>& names, const wengert::nn::History& history, const std::string& prefix);

/// Draws the filters of a convolutional network's first layer, and its activations for one image (1, c, rows, columns): PREFIX-filters.png
/// and PREFIX-activations.png.
void draw_first_layer(wengert::nn::Sequential& model, const wengert::Tensor& image, const std::string& prefix);

}  // namespace example
