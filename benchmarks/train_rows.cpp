// Our side of the training benchmark, as a user would write it.
#include <memory>
#include <utility>

#include "autodiff/autodiff.h"
#include "benchmarks/model_rows.h"
#include "benchmarks/train_rows.h"
#include "benchmarks/train_work.h"
#include "nn/nn.h"
#include "optim/optim.h"

namespace wengert::benchmark {
namespace {

struct Mlp {
  explicit Mlp(const MlpWork& work)
      : model(nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(), nn::Linear(128, 10)),
        x(Tensor::from(work.x, {work.batch, 784})),
        labels(Tensor::from(work.labels)) {
    for (std::size_t l = 0; l < MlpWork::kLayers; ++l) {
      auto& layer = model.layer<nn::Linear>(2 * l);
      layer.weight = Tensor::from(work.weight[l], layer.weight.shape());
      layer.bias = Tensor::from(work.bias[l]);
    }
  }
  nn::Sequential model;
  Tensor x, labels;
};

// A network with its optimizer.
template <class Network, class Optimizer> struct Training : Network {
  template <class Work> explicit Training(const Work& work) : Network(work), optimizer(this->model.parameters(), {.lr = Work::kRate}) {}
  Optimizer optimizer;
};

// Steps of what has a model, x, labels and an optimizer.
template <class T> Step steps_of(std::shared_ptr<T> t) {
  return [t = std::move(t)] {
    Tape tape;
    const Tensor loss = nn::cross_entropy(t->model(t->x), t->labels);
    t->optimizer.step(tape.gradient(loss, t->model.parameters()));
    return loss.item();
  };
}

Step train_mlp(std::int64_t batch) { return steps_of(std::make_shared<Training<Mlp, optim::SGD>>(MlpWork(batch))); }

Step train_mlp_with_clipping(std::int64_t batch) {
  return [t = std::make_shared<Training<Mlp, optim::SGD>>(MlpWork(batch))] {
    Tape tape;
    const Tensor loss = nn::cross_entropy(t->model(t->x), t->labels);
    Gradients gradients = tape.gradient(loss, t->model.parameters());
    gradients.clip_norm(MlpWork::kMaxNorm);
    t->optimizer.step(gradients);
    return loss.item();
  };
}

Step infer_mlp(std::int64_t batch) {
  return [m = std::make_shared<Mlp>(MlpWork(batch))] { return m->model(m->x).at({0, 0}); };
}

struct Cnn {
  Cnn(ImageWork w, nn::Sequential network)
      : work(std::move(w)),
        model(std::move(network)),
        x(Tensor::from(work.x, {work.batch, work.channels, work.size, work.size})),
        labels(Tensor::from(work.labels)) {
    const ParameterList list = model.parameters();
    for (std::size_t l = 0; l < work.weight.size(); ++l) {
      list[2 * l]->value = Tensor::from(work.weight[l], list[2 * l]->value.shape());
      list[2 * l + 1]->value = Tensor::from(work.bias[l]);
    }
  }
  ImageWork work;
  nn::Sequential model;
  Tensor x, labels;
  optim::Adam optimizer{model.parameters(), {.lr = ImageWork::kRate}};
};

std::shared_ptr<Cnn> make_mnist_cnn(std::int64_t batch = 128) {
  return std::make_shared<Cnn>(mnist_cnn(batch),
                               nn::Sequential(nn::Conv2d(1, 16, 5), nn::ReLU(), nn::MaxPool2d(2), nn::Conv2d(16, 32, 5), nn::ReLU(),
                                              nn::MaxPool2d(2), nn::Flatten(), nn::Linear(512, 128), nn::ReLU(), nn::Linear(128, 10)));
}

std::shared_ptr<Cnn> make_rgb_cnn() {
  const nn::Conv2dLayerOptions same{.padding = 1};
  return std::make_shared<Cnn>(
      rgb_cnn(), nn::Sequential(nn::Conv2d(3, 32, 3, same), nn::ReLU(), nn::Conv2d(32, 32, 3, same), nn::ReLU(), nn::MaxPool2d(2),
                                nn::Conv2d(32, 64, 3, same), nn::ReLU(), nn::Conv2d(64, 64, 3, same), nn::ReLU(), nn::MaxPool2d(2),
                                nn::Flatten(), nn::Linear(4096, 256), nn::ReLU(), nn::Linear(256, 10)));
}

Step infer_cnn(const std::shared_ptr<Cnn>& cnn) {
  return [cnn] { return cnn->model(cnn->x).at({0, 0}); };
}

// One frozen call after the other.
struct FrozenCalls {
  Frozen network;
  std::vector<float> x, y = std::vector<float>(static_cast<std::size_t>(network.output().size()));

  double operator()() {
    network(x, y);
    return static_cast<double>(y[0]);
  }
};
Step calls_of(Frozen network, std::vector<float> x) {
  return [calls = std::make_shared<FrozenCalls>(FrozenCalls{std::move(network), std::move(x)})] { return (*calls)(); };
}

Step infer_one_image() {
  const std::shared_ptr<Cnn> cnn = make_mnist_cnn(1);
  return calls_of(nn::freeze(cnn->model, cnn->x.shape()), cnn->work.x);
}

Step infer_layers(const LayersWork& work) {
  nn::Sequential model;
  for (std::size_t l = 0; l < work.weight.size(); ++l) {
    if (l > 0) model.add(nn::ReLU());
    nn::Linear layer(work.sizes[l], work.sizes[l + 1]);
    layer.weight = Tensor::from(work.weight[l], layer.weight.shape());
    layer.bias = Tensor::from(work.bias[l]);
    model.add(layer);
  }
  return calls_of(nn::freeze(model, {1, work.sizes[0]}), work.x);
}

Step infer_cell() {
  const CellWork work;
  const nn::LSTMCell cell(1, CellWork::kHidden);
  const ParameterList list = cell.parameters();
  for (std::size_t i = 0; i < list.size(); ++i) list[i]->value = Tensor::from(work.parameters[i], list[i]->value.shape());
  return calls_of(nn::freeze(cell, {1, 1}), {CellWork::kInput});
}

struct LstmModel : nn::Module {
  Tensor operator()(const Tensor& x) const { return head(select(lstm(x).output, 1, -1)); }
  void visit(nn::Visitor& v) override {
    v("lstm", lstm);
    v("head", head);
  }
  nn::LSTM lstm{LstmWork::kSymbols, LstmWork::kHidden, {.layers = LstmWork::kLayers, .batch_first = true}};
  nn::Linear head{LstmWork::kHidden, LstmWork::kSymbols};
};

struct Lstm {
  explicit Lstm(const LstmWork& work)
      : x(Tensor::from(work.x, {work.batch, LstmWork::kSteps, LstmWork::kSymbols})), labels(Tensor::from(work.labels)) {
    const ParameterList list = model.parameters();
    for (std::size_t i = 0; i < list.size(); ++i) list[i]->value = Tensor::from(work.parameters[i], list[i]->value.shape());
  }
  LstmModel model;
  Tensor x, labels;
};

Step train_lstm(std::int64_t batch) { return steps_of(std::make_shared<Training<Lstm, optim::RMSprop>>(LstmWork(batch))); }

Step infer_lstm(std::int64_t batch) {
  return [l = std::make_shared<Lstm>(LstmWork(batch))] { return l->model(l->x).at({0, 0}); };
}

Step unrolled_rnn() {
  using Work = UnrolledRnnWork;
  struct Rnn {
    explicit Rnn(const Work& work)
        : wx(Tensor::from(work.wx, {Work::kInputs, Work::kHidden})),
          wh(Tensor::from(work.wh, {Work::kHidden, Work::kHidden})),
          b(Tensor::from(work.b)),
          wo(Tensor::from(work.wo, {Work::kHidden, 1})),
          y(Tensor::from(work.y, {Work::kBatch, 1})) {
      for (const auto& step : work.x) x.push_back(Tensor::from(step, {Work::kBatch, Work::kInputs}));
    }
    Parameter wx, wh, b, wo;
    Tensor y;
    std::vector<Tensor> x;
    ParameterList parameters{wx, wh, b, wo};
    optim::SGD descent{parameters, {.lr = Work::kRate}};
  };
  return [r = std::make_shared<Rnn>(Work())] {
    Tape tape;
    Tensor h = Tensor::zeros({Work::kBatch, Work::kHidden});
    for (const Tensor& x : r->x) h = tanh(matmul(x, r->wx) + matmul(h, r->wh) + r->b);
    const Tensor loss = mean(square(matmul(h, r->wo) - r->y));
    r->descent.step(tape.gradient(loss, r->parameters));
    return loss.item();
  };
}

Step tiny_ops() {
  const TinyOpsWork work;
  return [start = Tensor::from(work.a), c = Tensor::from(work.c)] {
    Tape tape;
    const Tensor a = tape.variable(start);
    Tensor h = a;
    for (int i = 0; i < TinyOpsWork::kRounds; ++i) h = h * c + a;
    return sum(tape.gradient(sum(h), a)).item();
  };
}

Step logistic() {
  struct Neuron {
    explicit Neuron(const LogisticWork& work)
        : x(Tensor::from(work.x, {LogisticWork::kRecords, 1})), y(Tensor::from(work.y, {LogisticWork::kRecords, 1})) {}
    Tensor x, y;
    Parameter w{Tensor::zeros({1, 1}, float64)}, b{Tensor::zeros({1}, float64)};
    ParameterList parameters{w, b};
    optim::SGD descent{parameters, {.lr = LogisticWork::kRate}};
  };
  return [n = std::make_shared<Neuron>(LogisticWork())] {
    Tape tape;
    const Tensor E = 0.5 * mean(square(n->y - sigmoid(matmul(n->x, n->w) + n->b)));
    n->descent.step(tape.gradient(E, n->parameters));
    return E.item();
  };
}

}  // namespace

std::vector<ServedRow> train_rows() {
  std::vector<ServedRow> list;
  for (const std::int64_t batch : MlpWork::kBatches)
    list.push_back({row_name("train/mlp_b", batch), MlpWork::flops(batch), [=] { return train_mlp(batch); }});
  for (const std::int64_t batch : MlpWork::kClippedBatches)
    list.push_back({row_name("train/mlp_clip_b", batch), MlpWork::flops(batch), [=] { return train_mlp_with_clipping(batch); }});
  list.push_back({"train/mnist_cnn_b128", mnist_cnn().flops(), [] { return steps_of(make_mnist_cnn()); }});
  list.push_back({"infer/mnist_cnn_b128", mnist_cnn().forward_flops(), [] { return infer_cnn(make_mnist_cnn()); }});
  list.push_back({"train/rgb_cnn_b64", rgb_cnn().flops(), [] { return steps_of(make_rgb_cnn()); }});
  list.push_back({"infer/rgb_cnn_b64", rgb_cnn().forward_flops(), [] { return infer_cnn(make_rgb_cnn()); }});
  list.push_back({"infer/mnist_cnn_b1", mnist_cnn(1).forward_flops(), infer_one_image});
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
  for (const std::int64_t batch : MlpWork::kBatches)
    list.push_back({row_name("infer/mlp_b", batch), MlpWork::forward_flops(batch), [=] { return infer_mlp(batch); }});
  for (ServedRow& row : model_rows()) list.push_back(std::move(row));
  return list;
}

}  // namespace wengert::benchmark
