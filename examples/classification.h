#pragma once
// Shared by the classification examples: the loss, the scores and the pictures.
#include <nn/data/idx.h>
#include <nn/data/loader.h>
#include <nn/layers/sequential.h>
#include <nn/training/fit.h>
#include <nn/training/history.h>
#include <nn/training/metrics.h>

#include <string>
#include <vector>

namespace example {

/// nn::cross_entropy with labels of any shape, as many as there are rows of logits.
wengert::Tensor cross_entropy(const wengert::Tensor& logits, const wengert::Tensor& labels);

/// For nn::FitOptions::after_epoch: a line with the values of the epoch.
void print_epoch(const wengert::nn::EpochReport& report);

struct Score {
  double loss, accuracy;
};
/// Scores the model in evaluation mode. The labels may have any shape with as many elements as there are rows of logits.
Score evaluate(const wengert::nn::Forward& model, const wengert::nn::Batch& data, wengert::nn::ConfusionMatrix* confusion = nullptr);

/// The class names of Fashion-MNIST if the folder's name contains it, otherwise "0", "1", ...
std::vector<std::string> class_names(const wengert::nn::ImageDataset& data, const std::string& directory);
/// Draws the first wrong predictions, each with the predicted and the true class below it; `pictures` are the images to show for data.x.
/// Returns a line for the user.
std::string draw_mistakes(const wengert::nn::Forward& model, const wengert::nn::Batch& data, const wengert::Tensor& pictures,
                          const std::vector<std::string>& names, const std::string& path);

/// The final report of a training on images: confusion matrix, curves and wrong predictions (PREFIX-training.png, PREFIX-mistakes.png).
/// `pictures` are the images to show for test.x. Returns the score.
Score report(const wengert::nn::Forward& model, const wengert::nn::Batch& test, const wengert::Tensor& pictures,
             const std::vector<std::string>& names, const wengert::nn::History& history, const std::string& prefix);

/// Draws the filters of a convolutional network's first layer, and its activations for one image (1, c, rows, columns): PREFIX-filters.png
/// and PREFIX-activations.png.
void draw_first_layer(wengert::nn::Sequential& model, const wengert::Tensor& image, const std::string& prefix);

}  // namespace example
