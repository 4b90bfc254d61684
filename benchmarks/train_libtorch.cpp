// The libtorch side of the training benchmark: the same steps with its modules, optimizers and defaults. Its only argument is the number of
// threads.
#include <torch/torch.h>

#include <cstdlib>
#include <memory>
#include <utility>

#include "benchmarks/libtorch_step.h"
#include "benchmarks/model_rows.h"
#include "benchmarks/train_server.h"
#include "benchmarks/train_work.h"

namespace wengert::benchmark {
namespace {

using torch::Tensor;

struct Mlp {
  explicit Mlp(const MlpWork& work)
      : model(torch::nn::Linear(784, 256), torch::nn::ReLU(), torch::nn::Linear(256, 128), torch::nn::ReLU(), torch::nn::Linear(128, 10)),
        x(tensor(work.x, {work.batch, 784})),
        labels(tensor(work.labels, {work.batch})) {
    const torch::NoGradGuard pause;
    for (std::size_t l = 0; l < MlpWork::kLayers; ++l) {
      auto& layer = *model->ptr(2 * l)->as<torch::nn::Linear>();
      layer.weight.copy_(tensor(work.weight[l], layer.weight.sizes()));
      layer.bias.copy_(tensor(work.bias[l], layer.bias.sizes()));
    }
  }
  torch::nn::Sequential model;
  Tensor x, labels;
};

Step train_mlp(std::int64_t batch) {
  struct Training : Mlp {
    using Mlp::Mlp;
    torch::optim::SGD descent{model->parameters(), MlpWork::kRate};
  };
  return [t = std::make_shared<Training>(MlpWork(batch))] {
    t->descent.zero_grad();
    return update(t->descent, torch::nn::functional::cross_entropy(t->model->forward(t->x), t->labels));
  };
}

Step train_mlp_with_clipping(std::int64_t batch) {
  struct Training : Mlp {
    using Mlp::Mlp;
    torch::optim::SGD descent{model->parameters(), MlpWork::kRate};
  };
  return [t = std::make_shared<Training>(MlpWork(batch))] {
    t->descent.zero_grad();
    const Tensor loss = torch::nn::functional::cross_entropy(t->model->forward(t->x), t->labels);
    loss.backward();
    torch::nn::utils::clip_grad_norm_(t->model->parameters(), MlpWork::kMaxNorm);
    t->descent.step();
    return loss.item<double>();
  };
}

Step infer_mlp(std::int64_t batch) {
  return [m = std::make_shared<Mlp>(MlpWork(batch))] {
    const torch::NoGradGuard pause;
    const Tensor logits = m->model->forward(m->x);
    return static_cast<double>(logits.data_ptr<float>()[0]);
  };
}

struct Cnn {
  Cnn(ImageWork w, torch::nn::Sequential network)
      : work(std::move(w)),
        model(std::move(network)),
        x(tensor(work.x, {work.batch, work.channels, work.size, work.size})),
        labels(tensor(work.labels, {work.batch})) {
    const torch::NoGradGuard pause;
    std::vector<Tensor> parameters = model->parameters();
    for (std::size_t l = 0; l < work.weight.size(); ++l) {
      parameters[2 * l].copy_(tensor(work.weight[l], parameters[2 * l].sizes()));
      parameters[2 * l + 1].copy_(tensor(work.bias[l], parameters[2 * l + 1].sizes()));
    }
  }
  ImageWork work;
  torch::nn::Sequential model;
  Tensor x, labels;
  torch::optim::Adam adam{model->parameters(), ImageWork::kRate};
};

std::shared_ptr<Cnn> make_mnist_cnn(std::int64_t batch = 128) {
  return std::make_shared<Cnn>(
      mnist_cnn(batch),
      torch::nn::Sequential(torch::nn::Conv2d(1, 16, 5), torch::nn::ReLU(), torch::nn::MaxPool2d(2), torch::nn::Conv2d(16, 32, 5),
                            torch::nn::ReLU(), torch::nn::MaxPool2d(2), torch::nn::Flatten(), torch::nn::Linear(512, 128),
                            torch::nn::ReLU(), torch::nn::Linear(128, 10)));
}

std::shared_ptr<Cnn> make_rgb_cnn() {
  const auto same = [](std::int64_t in, std::int64_t out) { return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1)); };
  return std::make_shared<Cnn>(
      rgb_cnn(), torch::nn::Sequential(same(3, 32), torch::nn::ReLU(), same(32, 32), torch::nn::ReLU(), torch::nn::MaxPool2d(2),
                                       same(32, 64), torch::nn::ReLU(), same(64, 64), torch::nn::ReLU(), torch::nn::MaxPool2d(2),
                                       torch::nn::Flatten(), torch::nn::Linear(4096, 256), torch::nn::ReLU(), torch::nn::Linear(256, 10)));
}

Step train_cnn(const std::shared_ptr<Cnn>& cnn) {
  return [cnn] {
    cnn->adam.zero_grad();
    return update(cnn->adam, torch::nn::functional::cross_entropy(cnn->model->forward(cnn->x), cnn->labels));
  };
}

Step infer_cnn(const std::shared_ptr<Cnn>& cnn) {
  return [cnn] {
    const torch::NoGradGuard pause;
    const Tensor logits = cnn->model->forward(cnn->x);
    return static_cast<double>(logits.data_ptr<float>()[0]);
  };
}

Step infer_layers(const LayersWork& work) {
  const torch::NoGradGuard pause;
  torch::nn::Sequential model;
  for (std::size_t l = 0; l < work.weight.size(); ++l) {
    if (l > 0) model->push_back(torch::nn::ReLU());
    torch::nn::Linear layer(work.sizes[l], work.sizes[l + 1]);
    layer->weight.copy_(tensor(work.weight[l], layer->weight.sizes()));
    layer->bias.copy_(tensor(work.bias[l], layer->bias.sizes()));
    model->push_back(layer);
  }
  return [model, x = tensor(work.x, {1, work.sizes[0]})]() mutable {
    const c10::InferenceMode inference;
    return static_cast<double>(model->forward(x).data_ptr<float>()[0]);
  };
}

Step infer_cell() {
  const torch::NoGradGuard pause;
  const CellWork work;
  torch::nn::LSTMCell cell(1, CellWork::kHidden);
  std::vector<Tensor> parameters = cell->parameters();
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].copy_(tensor(work.parameters[i], parameters[i].sizes()));
  const Tensor zero = torch::zeros({1, CellWork::kHidden});
  return [cell, x = torch::full({1, 1}, CellWork::kInput), state = std::make_tuple(zero, zero)]() mutable {
    const c10::InferenceMode inference;
    state = cell->forward(x, state);
    return static_cast<double>(std::get<0>(state).data_ptr<float>()[0]);
  };
}

struct LstmModel : torch::nn::Module {
  Tensor forward(const Tensor& x) { return head->forward(std::get<0>(lstm->forward(x)).select(1, -1)); }

  torch::nn::LSTM lstm = register_module(
      "lstm",
      torch::nn::LSTM(torch::nn::LSTMOptions(LstmWork::kSymbols, LstmWork::kHidden).num_layers(LstmWork::kLayers).batch_first(true)));
  torch::nn::Linear head = register_module("head", torch::nn::Linear(LstmWork::kHidden, LstmWork::kSymbols));
};

struct Lstm {
  explicit Lstm(const LstmWork& work)
      : x(tensor(work.x, {work.batch, LstmWork::kSteps, LstmWork::kSymbols})), labels(tensor(work.labels, {work.batch})) {
    const torch::NoGradGuard pause;
    std::vector<Tensor> parameters = model->parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].copy_(tensor(work.parameters[i], parameters[i].sizes()));
  }
  std::shared_ptr<LstmModel> model = std::make_shared<LstmModel>();
  Tensor x, labels;
};

Step train_lstm(std::int64_t batch) {
  struct Training : Lstm {
    using Lstm::Lstm;
    torch::optim::RMSprop descent{model->parameters(), LstmWork::kRate};
  };
  return [t = std::make_shared<Training>(LstmWork(batch))] {
    t->descent.zero_grad();
    return update(t->descent, torch::nn::functional::cross_entropy(t->model->forward(t->x), t->labels));
  };
}

Step infer_lstm(std::int64_t batch) {
  return [l = std::make_shared<Lstm>(LstmWork(batch))] {
    const torch::NoGradGuard pause;
    const Tensor logits = l->model->forward(l->x);
    return static_cast<double>(logits.data_ptr<float>()[0]);
  };
}

Step unrolled_rnn() {
  using Work = UnrolledRnnWork;
  struct Rnn {
    explicit Rnn(const Work& work)
        : wx(tensor(work.wx, {Work::kInputs, Work::kHidden}).requires_grad_()),
          wh(tensor(work.wh, {Work::kHidden, Work::kHidden}).requires_grad_()),
          b(tensor(work.b, {Work::kHidden}).requires_grad_()),
          wo(tensor(work.wo, {Work::kHidden, 1}).requires_grad_()),
          y(tensor(work.y, {Work::kBatch, 1})) {
      for (const auto& step : work.x) x.push_back(tensor(step, {Work::kBatch, Work::kInputs}));
    }
    Tensor wx, wh, b, wo, y;
    std::vector<Tensor> x;
    torch::optim::SGD descent{std::vector<Tensor>{wx, wh, b, wo}, Work::kRate};
  };
  return [r = std::make_shared<Rnn>(Work())] {
    r->descent.zero_grad();
    Tensor h = torch::zeros({Work::kBatch, Work::kHidden});
    for (const Tensor& x : r->x) h = torch::tanh(torch::matmul(x, r->wx) + torch::matmul(h, r->wh) + r->b);
    return update(r->descent, (torch::matmul(h, r->wo) - r->y).pow(2).mean());
  };
}

Step tiny_ops() {
  const TinyOpsWork work;
  Tensor a = tensor(work.a, {TinyOpsWork::kSize}).requires_grad_();
  return [a, c = tensor(work.c, {TinyOpsWork::kSize})]() mutable {
    Tensor h = a;
    for (int i = 0; i < TinyOpsWork::kRounds; ++i) h = h * c + a;
    h.sum().backward();
    const double value = a.grad().sum().item<double>();
    a.mutable_grad() = Tensor();
    return value;
  };
}

Step logistic() {
  struct Neuron {
    explicit Neuron(const LogisticWork& work)
        : x(tensor(work.x, {LogisticWork::kRecords, 1})), y(tensor(work.y, {LogisticWork::kRecords, 1})) {}
    Tensor x, y;
    Tensor w = torch::zeros({1, 1}, torch::kDouble).requires_grad_(), b = torch::zeros({1}, torch::kDouble).requires_grad_();
    torch::optim::SGD descent{std::vector<Tensor>{w, b}, LogisticWork::kRate};
  };
  return [n = std::make_shared<Neuron>(LogisticWork())] {
    n->descent.zero_grad();
    return update(n->descent, 0.5 * (n->y - torch::sigmoid(torch::matmul(n->x, n->w) + n->b)).pow(2).mean());
  };
}

std::vector<ServedRow> rows() {
  std::vector<ServedRow> list;
  for (const std::int64_t batch : MlpWork::kBatches) {
    list.push_back({row_name("train/mlp_b", batch), MlpWork::flops(batch), [=] { return train_mlp(batch); }});
    list.push_back({row_name("infer/mlp_b", batch), MlpWork::forward_flops(batch), [=] { return infer_mlp(batch); }});
  }
  for (const std::int64_t batch : MlpWork::kClippedBatches)
    list.push_back({row_name("train/mlp_clip_b", batch), MlpWork::flops(batch), [=] { return train_mlp_with_clipping(batch); }});
  list.push_back({"train/mnist_cnn_b128", mnist_cnn().flops(), [] { return train_cnn(make_mnist_cnn()); }});
  list.push_back({"infer/mnist_cnn_b128", mnist_cnn().forward_flops(), [] { return infer_cnn(make_mnist_cnn()); }});
  list.push_back({"train/rgb_cnn_b64", rgb_cnn().flops(), [] { return train_cnn(make_rgb_cnn()); }});
  list.push_back({"infer/rgb_cnn_b64", rgb_cnn().forward_flops(), [] { return infer_cnn(make_rgb_cnn()); }});
  list.push_back({"infer/mnist_cnn_b1", mnist_cnn(1).forward_flops(), [] { return infer_cnn(make_mnist_cnn(1)); }});
  list.push_back({"infer/dense_64_b1", dense_64().flops(), [] { return infer_layers(dense_64()); }});
  list.push_back({"infer/small_mlp_b1", small_mlp().flops(), [] { return infer_layers(small_mlp()); }});
  list.push_back({"infer/lstm_cell_b1", CellWork::kFlops, infer_cell});
  for (const std::int64_t batch : LstmWork::kBatches) {
    list.push_back({row_name("train/lstm_b", batch), LstmWork::flops(batch), [=] { return train_lstm(batch); }});
    list.push_back({row_name("infer/lstm_b", batch), LstmWork::forward_flops(batch), [=] { return infer_lstm(batch); }});
  }
  list.push_back({"train/unrolled_rnn", UnrolledRnnWork::kFlops, unrolled_rnn});
  list.push_back({"train/tiny_ops", 0, tiny_ops});
  list.push_back({"train/logistic", 0, logistic});
  for (ServedRow& row : model_rows()) list.push_back(std::move(row));
  return list;
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) {
  at::set_num_threads(argc > 1 ? std::atoi(argv[1]) : 1);
  return wengert::benchmark::serve(wengert::benchmark::rows());
}
