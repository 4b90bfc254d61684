// The libtorch side of the models of model_work.h.
#include <torch/torch.h>

#include <memory>
#include <utility>

#include "benchmarks/libtorch_step.h"
#include "benchmarks/model_rows.h"
#include "benchmarks/model_work.h"

namespace wengert::benchmark {
namespace {

using torch::Tensor;
namespace nn = torch::nn;

// A step of the model and its optimizer with the given rate; loss(model).
template <class Optimizer, class Model, class Loss> Step train(Model model, double rate, Loss loss) {
  struct Training {
    Training(Model m, double rate) : model(std::move(m)), optimizer(model->parameters(), rate) {
      const torch::NoGradGuard pause;
      FirstValues values;
      for (auto& parameter : model->named_parameters()) {
        Tensor& value = parameter.value();
        const std::span<const std::int64_t> shape(value.sizes().begin(), value.sizes().end());
        value.copy_(value.dtype() == torch::kDouble ? tensor(values.of<double>(parameter.key(), shape), value.sizes())
                                                    : tensor(values.of<float>(parameter.key(), shape), value.sizes()));
      }
    }
    Model model;
    Optimizer optimizer;
  };
  return [t = std::make_shared<Training>(std::move(model), rate), loss] {
    t->optimizer.zero_grad();
    return update(t->optimizer, loss(t->model));
  };
}

// The mean cross-entropy of what the model makes of x.
auto cross_entropy_of(const Tensor& x, const Tensor& labels) {
  return [=](auto& model) { return nn::functional::cross_entropy(model->forward(x), labels); };
}
// The mean square error of it.
auto mse_of(const Tensor& x, const Tensor& y) {
  return [=](auto& model) { return nn::functional::mse_loss(model->forward(x), y); };
}

nn::Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t padding, std::int64_t stride = 1,
                       std::int64_t groups = 1) {
  return nn::Conv2d(nn::Conv2dOptions(in, out, kernel).padding(padding).stride(stride).groups(groups));
}

struct ResidualBlockImpl : nn::Module {
  explicit ResidualBlockImpl(std::int64_t channels)
      : inner(register_module("inner", nn::Sequential(convolution(channels, channels, 3, 1), nn::BatchNorm2d(channels), nn::ReLU(),
                                                      convolution(channels, channels, 3, 1), nn::BatchNorm2d(channels)))) {}
  Tensor forward(const Tensor& x) { return x + inner->forward(x); }
  nn::Sequential inner;
};
TORCH_MODULE(ResidualBlock);

Step residual() {
  using Work = ResidualWork;
  const Work work;
  nn::Sequential model(convolution(Work::kColours, Work::kChannels, 3, 1), nn::BatchNorm2d(Work::kChannels), nn::ReLU(),
                       ResidualBlock(Work::kChannels), nn::ReLU(), ResidualBlock(Work::kChannels), nn::ReLU(), nn::AdaptiveAvgPool2d(1),
                       nn::Flatten(), nn::Linear(Work::kChannels, Work::kClasses));
  const Tensor x = tensor(work.x, {Work::kBatch, Work::kColours, Work::kSize, Work::kSize});
  return train<torch::optim::SGD>(model, Work::kRate, cross_entropy_of(x, tensor(work.labels, {Work::kBatch})));
}

Step transformer() {
  using Work = TransformerWork;
  const Work work;
  nn::TransformerEncoderLayer model(nn::TransformerEncoderLayerOptions(Work::kFeatures, Work::kHeads)
                                        .dim_feedforward(Work::kFeedforward)
                                        .dropout(0)
                                        .activation(torch::kGELU));
  const std::vector<std::int64_t> shape{Work::kLength, Work::kBatch, Work::kFeatures};
  const Tensor x = tensor(work.x, shape), y = tensor(work.y, shape);
  return train<torch::optim::SGD>(model, Work::kRate, mse_of(x, y));
}

struct GruModelImpl : nn::Module {
  Tensor forward(const Tensor& x) { return head->forward(std::get<0>(gru->forward(x)).select(1, -1)); }
  nn::GRU gru = register_module("gru", nn::GRU(nn::GRUOptions(GruWork::kInputs, GruWork::kHidden).batch_first(true)));
  nn::Linear head = register_module("head", nn::Linear(GruWork::kHidden, GruWork::kClasses));
};
TORCH_MODULE(GruModel);

Step gated_recurrent() {
  using Work = GruWork;
  const Work work;
  const Tensor x = tensor(work.x, {Work::kBatch, Work::kSteps, Work::kInputs});
  return train<torch::optim::Adam>(GruModel(), Work::kRate, cross_entropy_of(x, tensor(work.labels, {Work::kBatch})));
}

Step autoencoder() {
  using Work = AutoencoderWork;
  const Work work;
  nn::Sequential model(nn::Linear(Work::kInputs, Work::kHidden), nn::ReLU(), nn::Linear(Work::kHidden, Work::kCode), nn::ReLU(),
                       nn::Linear(Work::kCode, Work::kHidden), nn::ReLU(), nn::Linear(Work::kHidden, Work::kInputs), nn::Sigmoid());
  const Tensor x = tensor(work.x, {Work::kBatch, Work::kInputs});
  return train<torch::optim::Adam>(model, Work::kRate, mse_of(x, x));
}

Step laplacian() {
  using Work = LaplacianWork;
  const Work work;
  nn::Sequential model(nn::Linear(Work::kDimensions, Work::kHidden), nn::Tanh(), nn::Linear(Work::kHidden, Work::kHidden), nn::Tanh(),
                       nn::Linear(Work::kHidden, 1));
  model->to(torch::kDouble);
  const Tensor x = tensor(work.x, {Work::kPoints, Work::kDimensions}).requires_grad_(), f = tensor(work.y, {Work::kPoints});
  return train<torch::optim::Adam>(model, Work::kRate, [=](nn::Sequential& network) {
    const auto slope_of = [&](const Tensor& y) { return torch::autograd::grad({y.sum()}, {x}, {}, true, true)[0]; };
    const Tensor u = network->forward(x), slope = slope_of(u);
    Tensor residual = u.select(1, 0) - f;
    for (std::int64_t d = 0; d < Work::kDimensions; ++d) residual = residual + slope_of(slope.select(1, d)).select(1, d);
    return residual.square().mean();
  });
}

Step depthwise() {
  using Work = DepthwiseWork;
  const Work work;
  constexpr std::int64_t c = Work::kChannels;
  nn::Sequential model(convolution(Work::kColours, c, 3, 1, 2), nn::ReLU(), convolution(c, c, 3, 1, 1, c), nn::ReLU(),
                       convolution(c, 2 * c, 1, 0), nn::ReLU(), convolution(2 * c, 2 * c, 3, 1, 2, 2 * c), nn::ReLU(),
                       convolution(2 * c, 4 * c, 1, 0), nn::ReLU(), nn::AdaptiveAvgPool2d(1), nn::Flatten(),
                       nn::Linear(4 * c, Work::kClasses));
  const Tensor x = tensor(work.x, {Work::kBatch, Work::kColours, Work::kSize, Work::kSize});
  return train<torch::optim::SGD>(model, Work::kRate, cross_entropy_of(x, tensor(work.labels, {Work::kBatch})));
}

Step conv1d() {
  using Work = Conv1dWork;
  const Work work;
  const auto convolution = [](std::int64_t in, std::int64_t out, std::int64_t stride) {
    return nn::Conv1d(nn::Conv1dOptions(in, out, Work::kWidth).stride(stride).padding(Work::kWidth / 2));
  };
  nn::Sequential model(convolution(Work::kChannels, 32, 1), nn::ReLU(), convolution(32, 64, 2), nn::ReLU(), convolution(64, 64, 2),
                       nn::ReLU(), nn::Functional([](const Tensor& x) { return x.mean(2); }), nn::Linear(64, Work::kClasses));
  const Tensor x = tensor(work.x, {Work::kBatch, Work::kChannels, Work::kLength});
  return train<torch::optim::Adam>(model, Work::kRate, cross_entropy_of(x, tensor(work.labels, {Work::kBatch})));
}

Step transposed() {
  using Work = TransposedWork;
  const Work work;
  constexpr std::int64_t c = Work::kChannels;
  const auto twice = [](std::int64_t in, std::int64_t out) {
    return nn::ConvTranspose2d(nn::ConvTranspose2dOptions(in, out, 4).stride(2).padding(1));
  };
  nn::Sequential model(nn::Linear(Work::kCode, c * Work::kSize * Work::kSize), nn::ReLU(), nn::Functional([](const Tensor& x) {
                         return x.reshape({-1, c, Work::kSize, Work::kSize});
                       }),
                       twice(c, c / 2), nn::ReLU(), twice(c / 2, c / 4), nn::ReLU(), twice(c / 4, 1), nn::Sigmoid());
  const Tensor x = tensor(work.x, {Work::kBatch, Work::kCode}), y = tensor(work.y, {Work::kBatch, 1, Work::kImage, Work::kImage});
  return train<torch::optim::Adam>(model, Work::kRate, mse_of(x, y));
}

Step embedding() {
  using Work = EmbeddingWork;
  const Work work;
  nn::Sequential model(nn::Embedding(Work::kWords, Work::kFeatures), nn::Functional([](const Tensor& x) { return x.mean(1); }),
                       nn::Linear(Work::kFeatures, Work::kFeatures), nn::ReLU(), nn::Linear(Work::kFeatures, Work::kClasses));
  const Tensor words = tensor(work.words, {Work::kBatch, Work::kLength});
  return train<torch::optim::Adam>(model, Work::kRate, cross_entropy_of(words, tensor(work.labels, {Work::kBatch})));
}

Step tanh_mlp() {
  using Work = SmallMlpWork;
  const Work work;
  nn::Sequential model(nn::Linear(Work::kInputs, Work::kHidden), nn::Tanh(), nn::Linear(Work::kHidden, Work::kHidden), nn::Tanh(),
                       nn::Linear(Work::kHidden, Work::kOutputs));
  const Tensor x = tensor(work.x, {Work::kBatch, Work::kInputs}), y = tensor(work.y, {Work::kBatch, Work::kOutputs});
  return train<torch::optim::Adam>(model, Work::kRate, mse_of(x, y));
}

// A factor for each column.
struct ScaleImpl : nn::Module {
  Tensor forward(const Tensor& x) { return x * weight; }
  Tensor weight = register_parameter("weight", torch::ones({ChainWork::kColumns}));
};
TORCH_MODULE(Scale);

Step chain() {
  using Work = ChainWork;
  const Work work;
  nn::Sequential model(Scale(), nn::GELU(), nn::Softmax(-1), nn::LayerNorm(nn::LayerNormOptions({Work::kColumns})));
  const Tensor x = tensor(work.x, {Work::kRows, Work::kColumns}), y = tensor(work.y, {Work::kRows, Work::kColumns});
  return train<torch::optim::SGD>(model, Work::kRate, mse_of(x, y));
}

}  // namespace

std::vector<ServedRow> model_rows() {
  return {{"model/residual_batch_norm", 0, residual},
          {"model/transformer_block", 0, transformer},
          {"model/gru", 0, gated_recurrent},
          {"model/autoencoder", 0, autoencoder},
          {"model/laplacian", 0, laplacian},
          {"model/depthwise", 0, depthwise},
          {"model/conv1d", 0, conv1d},
          {"model/transposed", 0, transposed},
          {"model/embedding", 0, embedding},
          {"model/small_mlp_b32", 0, tanh_mlp},
          {"model/gelu_softmax_norm", 0, chain}};
}

}  // namespace wengert::benchmark
