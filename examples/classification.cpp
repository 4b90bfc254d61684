#include "classification.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <string_view>
#include <system_error>

#include <autodiff/autodiff.h>
#include <nn/layers/convolution.h>
#include <nn/losses.h>
#include <nn/training/image_grid.h>

using namespace wengert;

namespace example {
namespace {

constexpr Index kRows = 500;  // batch size in evaluation

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& labels) { return nn::cross_entropy(logits, flatten(labels)); }

void print_epoch(const nn::EpochReport& report) {
  // "train loss 0.3100 accuracy 0.9100, test loss 0.3500 accuracy 0.8900"
  const auto part = [&](std::string_view name) {
    std::string text;
    for (const nn::NamedValue& v : report.values) {
      if (v.name.starts_with(name) && v.name.size() > name.size() && v.name[name.size()] == ' ')
        text += fmt::format(" {} {:.4f}", v.name.substr(name.size() + 1), v.value);
    }
    return text.empty() ? text : fmt::format("{}{}", name, text);
  };
  const std::string test = part("test");
  fmt::print("epoch {}: {}{}{}\n", report.epoch, part("train"), test.empty() ? "" : ", ", test);
  std::fflush(stdout);
}

Score evaluate(const nn::Forward& model, const nn::Batch& data, nn::ConfusionMatrix* confusion) {
  const std::vector<nn::Metric> metrics{nn::Metric::accuracy()};
  const auto loss = [&](const Tensor& logits, const Tensor& labels) {
    if (confusion) confusion->add(nn::predictions(logits), flatten(labels));
    return example::cross_entropy(logits, labels);
  };
  const nn::Evaluation result = nn::evaluate(model, loss, nn::DataLoader(data, {.batch_size = kRows}), metrics);
  return {result.loss, result.metrics[0]};
}

std::vector<std::string> class_names(const nn::ImageDataset& data, const std::string& directory) {
  if (data.classes == 10 && directory.find("fashion") != std::string::npos)
    return {"T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"};
  std::vector<std::string> names;
  for (Index c = 0; c < data.classes; ++c) names.push_back(std::to_string(c));
  return names;
}

std::string draw_mistakes(const nn::Forward& model, const nn::Batch& data, const Tensor& pictures, const std::vector<std::string>& names,
                          const std::string& path) {
  constexpr std::size_t kMost = 25;
  std::vector<Index> wrong;
  nn::ImageGridOptions options;
  Index row = 0;
  for (const auto& [x, y] : nn::DataLoader(data, {.batch_size = kRows})) {
    const std::vector<std::int64_t> said = nn::predictions(model(x)).to_vector<std::int64_t>(), is = y.to_vector<std::int64_t>();
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

Score report(const nn::Forward& model, const nn::Batch& test, const Tensor& pictures, const std::vector<std::string>& names,
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
