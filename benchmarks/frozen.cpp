// Frozen networks at batch 1 beside the same networks as they are called otherwise. (The rows infer/ of `train` compare frozen ones with
// libtorch.)
#include <memory>
#include <vector>

#include "autodiff/autodiff.h"
#include "benchmarks/harness.h"
#include "nn/nn.h"

namespace wengert::benchmark {
namespace {

// One network: a call of the frozen one, and one of the other.
struct Contest {
  std::string name;
  double flops;
  std::function<void()> frozen, unfrozen;
};

std::function<void()> call_of(const Frozen& network) {
  struct State {
    explicit State(const Frozen& network)
        : network(network),
          x(static_cast<std::size_t>(network.input().size()), 0.25f),
          y(static_cast<std::size_t>(network.output().size())) {}
    Frozen network;
    std::vector<float> x, y;
  };
  return [s = std::make_shared<State>(network)] { s->network(s->x, s->y); };
}

template <class Model> Contest contest(std::string name, double flops, Model model, const Shape& input) {
  model.eval();
  return {std::move(name), flops, call_of(nn::freeze(model, input)),
          [m = std::make_shared<Model>(std::move(model)), x = Tensor::full(input, 0.25)] { static_cast<void>((*m)(x)); }};
}

template <class Cell, class State> Contest cell(std::string name, double flops, Cell cell, State state) {
  struct Run {
    Cell cell;
    State state;
    Tensor x;
  };
  return {std::move(name), flops, call_of(nn::freeze(cell, {1, cell.in()})),
          [r = std::make_shared<Run>(Run{cell, state, Tensor::full({1, cell.in()}, 0.25)})] { r->state = r->cell(r->x, r->state); }};
}

std::vector<Contest> contests() {
  std::vector<Contest> list;
  list.push_back(contest("model/dense_64", 2 * 64 * 64, nn::Linear(64, 64), {1, 64}));
  list.push_back(contest("model/mlp_relu", 2 * (8 * 32 + 32 * 32 + 32),
                         nn::Sequential{nn::Linear(8, 32), nn::ReLU(), nn::Linear(32, 32), nn::ReLU(), nn::Linear(32, 1)}, {1, 8}));
  list.push_back(contest("model/mlp_tanh", 2 * (8 * 32 + 32 * 32 + 32),
                         nn::Sequential{nn::Linear(8, 32), nn::Tanh(), nn::Linear(32, 32), nn::Tanh(), nn::Linear(32, 1)}, {1, 8}));
  list.push_back(cell("model/lstm_cell", 2 * 128 * 33, nn::LSTMCell(1, 32), LstmState()));
  list.push_back(cell("model/gru_cell", 2 * 96 * 33, nn::GRUCell(1, 32), Tensor()));
  list.push_back(contest("model/cnn", 2 * (16 * 25 * 576 + 32 * 16 * 25 * 64 + 512 * 128 + 1280),
                         nn::Sequential{nn::Conv2d(1, 16, 5), nn::ReLU(), nn::MaxPool2d(2), nn::Conv2d(16, 32, 5), nn::ReLU(),
                                        nn::MaxPool2d(2), nn::Flatten(), nn::Linear(512, 128), nn::ReLU(), nn::Linear(128, 10)},
                         {1, 1, 28, 28}));
  return list;
}

void run(const Options& options) {
  const int all = num_threads();
  set_num_threads(1);
  std::vector<Row> rows;
  for (const Contest& c : contests()) {
    if (!options.wants(c.name)) continue;
    const std::function<void()> both[] = {c.frozen, c.unfrozen};
    const std::vector<double> us = medians_in_turns(both, Time::of_this_thread, options.quick);
    Row row{.name = c.name, .peer = "unfrozen", .ours_us = us[0], .peer_us = us[1], .flops = c.flops};
    time_calls(row, c.frozen, options.quick || us[0] > 10 ? 100'000 : 10'000'000);
    rows.push_back(row);
  }
  set_num_threads(all);
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
