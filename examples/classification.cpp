#include "classification.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <autodiff/autodiff.h>
#include <nn/layers/convolution.h>
#include <nn/losses.h>
#include <nn/training/image_grid.h>
#include <nn/training/progress.h>

using namespace wengert;

namespace example {
namespace {

constexpr Index kRows = 500;  // batch size in evaluation

/// Mean loss and accuracy of the batches so far.
class RunningScore {
 public:
  void add(double loss, double accuracy, Index rows) {
    const auto n = static_cast<double>(rows);
    loss_ += loss * n;
    right_ += accuracy * n;
    rows_ += n;
  }
  Score mean() const { return {loss_ / rows_, right_ / rows_}; }

 private:
  double loss_ = 0, right_ = 0, rows_ = 0;
};

Score train_epoch(const Classifier& model, optim::Optimizer& optimizer, const nn::DataLoader& loader, const FitOptions& options,
                  nn::Progress& bar) {
  model.module.train();
  RunningScore score;
  Index step = 0;
  for (const auto& [x, y] : loader) {
    const Tensor inputs = options.augment ? options.augment(x) : x, labels = flatten(y);
    Tape tape;
    const Tensor logits = model.logits(inputs);
    const Tensor loss = nn::cross_entropy(logits, labels);
    optimizer.step(tape.gradient(loss, model.module.parameters()));
    score.add(loss.item(), nn::accuracy(logits.constant(), labels), labels.size());
    bar.update(++step, {{"loss", score.mean().loss}, {"accuracy", score.mean().accuracy}});
  }
  return score.mean();
}

}  // namespace

Score evaluate(const Classifier& model, const nn::Batch& data, nn::ConfusionMatrix* confusion) {
  model.module.eval();
  RunningScore score;
  for (const auto& [x, y] : nn::DataLoader(data, {.batch_size = kRows})) {
    const Tensor logits = model.logits(x), labels = flatten(y);
    score.add(nn::cross_entropy(logits, labels).item(), nn::accuracy(logits, labels), labels.size());
    if (confusion) confusion->add(nn::predictions(logits), labels);
  }
  return score.mean();
}

nn::History fit(const Classifier& model, optim::Optimizer& optimizer, const nn::DataLoader& loader, const FitOptions& options) {
  std::fflush(stdout);  // before the progress bar, also if the output is a file
  nn::History history;
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    if (options.rate) optimizer.set_learning_rate(options.rate(epoch));
    const std::string label = fmt::format("epoch {}/{}", epoch, options.epochs);
    nn::Progress bar(loader.batches(), {.label = label, .unit = "batch"});
    const Score train = train_epoch(model, optimizer, loader, options, bar);
    if (!std::isfinite(train.loss))
      throw Error(fmt::format("epoch {}: the loss is not a finite number; hint: try a smaller learning rate", epoch));
    if (options.test) {
      const Score test = evaluate(model, *options.test);
      bar.finish({{"test loss", test.loss}, {"test accuracy", test.accuracy}});
      fmt::print("epoch {}: train loss {:.4f} accuracy {:.4f}, test loss {:.4f} accuracy {:.4f}\n", epoch, train.loss, train.accuracy,
                 test.loss, test.accuracy);
      history.add(
          {{"train loss", train.loss}, {"test loss", test.loss}, {"train accuracy", train.accuracy}, {"test accuracy", test.accuracy}});
    } else {
      bar.finish();
      fmt::print("epoch {}: train loss {:.4f} accuracy {:.4f}\n", epoch, train.loss, train.accuracy);
      history.add({{"train loss", train.loss}, {"train accuracy", train.accuracy}});
    }
    if (options.after_epoch) options.after_epoch(epoch);
    std::fflush(stdout);
  }
  model.module.eval();
  return history;
}

std::vector<std::string> class_names(const nn::ImageDataset& data, const std::string& directory) {
  if (data.classes == 10 && directory.find("fashion") != std::string::npos)
    return {"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"};
  std::vector<std::string> names;
  for (Index c = 0; c < data.classes; ++c) names.push_back(std::to_string(c));
  return names;
}

std::string draw_mistakes(const Classifier& model, const nn::Batch& data, const Tensor& pictures, const std::vector<std::string>& names,
                          const std::string& path) {
  constexpr std::size_t kMost = 25;
  std::vector<Index> wrong;
  nn::ImageGridOptions options;
  Index row = 0;
  for (const auto& [x, y] : nn::DataLoader(data, {.batch_size = kRows})) {
    const std::vector<std::int64_t> said = nn::predictions(model.logits(x)).to_vector<std::int64_t>(), is = y.to_vector<std::int64_t>();
    for (std::size_t i = 0; i < is.size() && wrong.size() < kMost; ++i) {
      if (said[i] == is[i]) continue;
      wrong.push_back(row + static_cast<Index>(i));
      options.captions.push_back(names[static_cast<std::size_t>(said[i])] + "\nis " + names[static_cast<std::size_t>(is[i])]);
    }
    if (wrong.size() == kMost) break;
    row += y.size();
  }
  if (wrong.empty()) return "no wrong predictions";
  nn::write_image_grid(nn::take_rows(pictures, wrong), path, options);
  return fmt::format("first {} wrong predictions: {}", wrong.size(), path);
}

Score report(const Classifier& model, const nn::Batch& test, const Tensor& pictures, const std::vector<std::string>& names,
             const nn::History& history, const std::string& prefix) {
  nn::ConfusionMatrix confusion(names);
  const Score score = evaluate(model, test, &confusion);
  fmt::print("\n{}\n", confusion.to_string());
  fmt::print("{}\n", history.plot(prefix + "-training.png").message);
  fmt::print("{}\n", draw_mistakes(model, test, pictures, names, prefix + "-mistakes.png"));
  return score;
}

void draw_first_layer(nn::Sequential& model, const Tensor& image, const std::string& prefix) {
  const std::string filters = prefix + "-filters.png", maps = prefix + "-activations.png";
  nn::write_filters(model.layer<nn::Conv2d>(0).weight, filters);
  nn::write_activation_maps(relu(model.call(0, image)), maps);
  fmt::print("{}\n{}\n", filters, maps);
}

}  // namespace example
