// Our side of the models of model_work.h, as a user would write it.
#include <memory>
#include <utility>

#include "autodiff/autodiff.h"
#include "benchmarks/model_rows.h"
#include "benchmarks/model_work.h"
#include "nn/nn.h"
#include "optim/optim.h"

namespace wengert::benchmark {
namespace {

// A step of the model and its optimizer with the given rate; loss(tape, model).
template <class Optimizer, class Model, class Loss> Step train(Model model, double rate, Loss loss) {
  struct Training {
    Training(Model m, double rate) : model(std::move(m)), optimizer(model.parameters(), {.lr = rate}) {
      FirstValues values;
      for (const auto& [name, parameter] : model.named_parameters()) {
        const Shape shape = parameter->value.shape();
        parameter->value = parameter->value.dtype() == float64 ? Tensor::from(values.of<double>(name, shape), shape)
                                                               : Tensor::from(values.of<float>(name, shape), shape);
      }
    }
    Model model;
    Optimizer optimizer;
  };
  return [t = std::make_shared<Training>(std::move(model), rate), loss] {
    Tape tape;
    const Tensor E = loss(tape, t->model);
    t->optimizer.step(tape.gradient(E, t->model.parameters()));
    return E.item();
  };
}

// The mean cross-entropy of what the model makes of x.
auto cross_entropy_of(const Tensor& x, const Tensor& labels) {
  return [=](Tape&, auto& model) { return nn::cross_entropy(model(x), labels); };
}
// The mean square error of it.
auto mse_of(const Tensor& x, const Tensor& y) {
  return [=](Tape&, auto& model) { return nn::mse(model(x), y); };
}

Step residual() {
  using Work = ResidualWork;
  const Work work;
  constexpr Index kChannels = Work::kChannels;
  const nn::Conv2dLayerOptions same{.padding = 1};
  const auto block = [&] {
    return nn::Residual(nn::Sequential{nn::Conv2d(kChannels, kChannels, 3, same), nn::BatchNorm2d(kChannels), nn::ReLU(),
                                       nn::Conv2d(kChannels, kChannels, 3, same), nn::BatchNorm2d(kChannels)});
  };
  nn::Sequential model{nn::Conv2d(Work::kColours, kChannels, 3, same),
                       nn::BatchNorm2d(kChannels),
                       nn::ReLU(),
                       block(),
                       nn::ReLU(),
                       block(),
                       nn::ReLU(),
                       nn::AdaptiveAvgPool2d(1),
                       nn::Flatten(),
                       nn::Linear(kChannels, Work::kClasses)};
  const Tensor x = Tensor::from(work.x, {Work::kBatch, Work::kColours, Work::kSize, Work::kSize});
  return train<optim::SGD>(std::move(model), Work::kRate, cross_entropy_of(x, Tensor::from(work.labels)));
}

Step transformer() {
  using Work = TransformerWork;
  const Work work;
  nn::TransformerEncoderLayer model(Work::kFeatures, Work::kHeads, {.feedforward = Work::kFeedforward, .dropout = 0, .gelu = true});
  const Shape shape{Work::kLength, Work::kBatch, Work::kFeatures};
  return train<optim::SGD>(std::move(model), Work::kRate, mse_of(Tensor::from(work.x, shape), Tensor::from(work.y, shape)));
}

struct GruModel : nn::Module {
  Tensor operator()(const Tensor& x) const { return head(select(gru(x).output, 1, -1)); }
  void visit(nn::Visitor& v) override {
    v("gru", gru);
    v("head", head);
  }
  nn::GRU gru{GruWork::kInputs, GruWork::kHidden, {.batch_first = true}};
  nn::Linear head{GruWork::kHidden, GruWork::kClasses};
};

Step gated_recurrent() {
  using Work = GruWork;
  const Work work;
  const Tensor x = Tensor::from(work.x, {Work::kBatch, Work::kSteps, Work::kInputs});
  return train<optim::Adam>(GruModel(), Work::kRate, cross_entropy_of(x, Tensor::from(work.labels)));
}

Step autoencoder() {
  using Work = AutoencoderWork;
  const Work work;
  nn::Sequential model{nn::Linear(Work::kInputs, Work::kHidden), nn::ReLU(), nn::Linear(Work::kHidden, Work::kCode),   nn::ReLU(),
                       nn::Linear(Work::kCode, Work::kHidden),   nn::ReLU(), nn::Linear(Work::kHidden, Work::kInputs), nn::Sigmoid()};
  const Tensor x = Tensor::from(work.x, {Work::kBatch, Work::kInputs});
  return train<optim::Adam>(std::move(model), Work::kRate, mse_of(x, x));
}

Step laplacian() {
  using Work = LaplacianWork;
  const Work work;
  nn::Sequential model{nn::Linear(Work::kDimensions, Work::kHidden), nn::Tanh(), nn::Linear(Work::kHidden, Work::kHidden), nn::Tanh(),
                       nn::Linear(Work::kHidden, 1)};
  model.to(float64);
  const Tensor points = Tensor::from(work.x, {Work::kPoints, Work::kDimensions}), f = Tensor::from(work.y);
  return train<optim::Adam>(std::move(model), Work::kRate, [=](Tape& tape, const nn::Sequential& network) {
    const Tensor x = tape.variable(points), u = network(x);
    const Tensor slope = tape.differentiable_gradient(sum(u), x);
    Tensor residual = select(u, 1, 0) - f;
    for (Index d = 0; d < Work::kDimensions; ++d) residual += select(tape.differentiable_gradient(sum(select(slope, 1, d)), x), 1, d);
    return mean(square(residual));
  });
}

Step depthwise() {
  using Work = DepthwiseWork;
  const Work work;
  constexpr Index c = Work::kChannels;
  nn::Sequential model{nn::Conv2d(Work::kColours, c, 3, {.stride = 2, .padding = 1}),
                       nn::ReLU(),
                       nn::Conv2d(c, c, 3, {.padding = 1, .groups = c}),
                       nn::ReLU(),
                       nn::Conv2d(c, 2 * c, 1),
                       nn::ReLU(),
                       nn::Conv2d(2 * c, 2 * c, 3, {.stride = 2, .padding = 1, .groups = 2 * c}),
                       nn::ReLU(),
                       nn::Conv2d(2 * c, 4 * c, 1),
                       nn::ReLU(),
                       nn::AdaptiveAvgPool2d(1),
                       nn::Flatten(),
                       nn::Linear(4 * c, Work::kClasses)};
  const Tensor x = Tensor::from(work.x, {Work::kBatch, Work::kColours, Work::kSize, Work::kSize});
  return train<optim::SGD>(std::move(model), Work::kRate, cross_entropy_of(x, Tensor::from(work.labels)));
}

Step conv1d() {
  using Work = Conv1dWork;
  const Work work;
  constexpr Index kPadding = Work::kWidth / 2;
  nn::Sequential model{nn::Conv1d(Work::kChannels, 32, Work::kWidth, {.padding = kPadding}),
                       nn::ReLU(),
                       nn::Conv1d(32, 64, Work::kWidth, {.stride = 2, .padding = kPadding}),
                       nn::ReLU(),
                       nn::Conv1d(64, 64, Work::kWidth, {.stride = 2, .padding = kPadding}),
                       nn::ReLU(),
                       [](const Tensor& x) { return mean(x, 2); },
                       nn::Linear(64, Work::kClasses)};
  const Tensor x = Tensor::from(work.x, {Work::kBatch, Work::kChannels, Work::kLength});
  return train<optim::Adam>(std::move(model), Work::kRate, cross_entropy_of(x, Tensor::from(work.labels)));
}

Step transposed() {
  using Work = TransposedWork;
  const Work work;
  const nn::ConvTranspose2dLayerOptions twice{.stride = 2, .padding = 1};
  constexpr Index c = Work::kChannels;
  nn::Sequential model{nn::Linear(Work::kCode, c * Work::kSize * Work::kSize),
                       nn::ReLU(),
                       [](const Tensor& x) {
                         return reshape(x, {-1, c, Work::kSize, Work::kSize});
                       },
                       nn::ConvTranspose2d(c, c / 2, 4, twice),
                       nn::ReLU(),
                       nn::ConvTranspose2d(c / 2, c / 4, 4, twice),
                       nn::ReLU(),
                       nn::ConvTranspose2d(c / 4, 1, 4, twice),
                       nn::Sigmoid()};
  const Tensor x = Tensor::from(work.x, {Work::kBatch, Work::kCode});
  const Tensor y = Tensor::from(work.y, {Work::kBatch, 1, Work::kImage, Work::kImage});
  return train<optim::Adam>(std::move(model), Work::kRate, mse_of(x, y));
}

Step embedding() {
  using Work = EmbeddingWork;
  const Work work;
  nn::Sequential model{nn::Embedding(Work::kWords, Work::kFeatures), [](const Tensor& x) { return mean(x, 1); },
                       nn::Linear(Work::kFeatures, Work::kFeatures), nn::ReLU(), nn::Linear(Work::kFeatures, Work::kClasses)};
  const Tensor words = Tensor::from(work.words, {Work::kBatch, Work::kLength});
  return train<optim::Adam>(std::move(model), Work::kRate, cross_entropy_of(words, Tensor::from(work.labels)));
}

Step tanh_mlp() {
  using Work = SmallMlpWork;
  const Work work;
  nn::Sequential model{nn::Linear(Work::kInputs, Work::kHidden), nn::Tanh(), nn::Linear(Work::kHidden, Work::kHidden), nn::Tanh(),
                       nn::Linear(Work::kHidden, Work::kOutputs)};
  return train<optim::Adam>(
      std::move(model), Work::kRate,
      mse_of(Tensor::from(work.x, {Work::kBatch, Work::kInputs}), Tensor::from(work.y, {Work::kBatch, Work::kOutputs})));
}

// A factor for each column.
struct Scale : nn::Module {
  Tensor operator()(const Tensor& x) const { return x * weight; }
  void visit(nn::Visitor& v) override { v("weight", weight); }
  Parameter weight{Tensor::ones({ChainWork::kColumns})};
};

Step chain() {
  using Work = ChainWork;
  const Work work;
  nn::Sequential model{Scale(), nn::GELU(), nn::Softmax(-1), nn::LayerNorm(Work::kColumns)};
  const Shape shape{Work::kRows, Work::kColumns};
  return train<optim::SGD>(std::move(model), Work::kRate, mse_of(Tensor::from(work.x, shape), Tensor::from(work.y, shape)));
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
