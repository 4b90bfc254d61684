// A recurrent network unrolled by hand, h_t = tanh(x_t W + h_{t-1} U + b): the recurrence is an explicit loop. It learns the adding problem
// (Hochreiter and Schmidhuber 1997): two numbers of a sequence are marked, and the target is their sum. It also shows why that is hard: the
// gradient with respect to h_t shrinks or grows from step to step during the backward pass.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <nn/training/checkpoint.h>
#include <nn/training/gradient_norms.h>
#include <nn/training/history.h>
#include <nn/training/progress.h>
#include "classification.h"
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string output = ".";
  int steps = 20, nodes = 64, batches = 3000, batch = 64;
  double rate = 2e-3;
  std::uint64_t seed = 1;
  bool quick = false;
  example::Saving saving;
};

// ---- the network -----------------------------------------------------------------------------------------------------------------

struct UnrolledRnn : nn::Module {
  // Recurrent weights from N(0, radius / sqrt(nodes)): their largest eigenvalue is about `radius`.
  UnrolledRnn(Index nodes, double radius, Generator& g)
      : W(g.normal({2, nodes}, 0, 0.5)),
        U(g.normal({nodes, nodes}, 0, radius / std::sqrt(static_cast<double>(nodes)))),
        b(Tensor::zeros({nodes})),
        head(nodes, 1, {}, g) {}

  // The initial state and the state after each step of a sequence x (steps, n, 2), each (n, nodes).
  std::vector<Tensor> states(const Tensor& x, const Tensor& start) const {
    std::vector<Tensor> h{start};
    for (Index t = 0; t < x.size(0); ++t) h.push_back(tanh(matmul(select(x, 0, t), W) + matmul(h.back(), U) + b));
    return h;
  }
  Tensor rest(Index n) const { return Tensor::zeros({n, U.shape()[0]}); }
  // x (steps, n, 2) -> (n, 1).
  Tensor operator()(const Tensor& x) const { return head(states(x, rest(x.size(1))).back()); }

  void visit(nn::Visitor& v) override {
    v("W", W);
    v("U", U);
    v("b", b);
    v("head", head);
  }

  Parameter W, U, b;
  nn::Linear head;
};

// ---- the problem -----------------------------------------------------------------------------------------------------------------

// Sequences x (steps, n, 2) of a number in [0, 1) and a mark, with one mark in each half; and the sums y (n, 1).
nn::Batch draw_batch(Index steps, Index n, Generator& g) {
  nn::Batch batch{Tensor::zeros({steps, n, 2}), Tensor::zeros({n, 1})};
  float *x = batch.x.mutable_data<float>(), *y = batch.y.mutable_data<float>();
  for (Index t = 0; t < steps; ++t)
    for (Index i = 0; i < n; ++i) x[(t * n + i) * 2] = static_cast<float>(g.next_uniform());
  for (Index i = 0; i < n; ++i) {
    for (const Index t : {g.next_integer(0, steps / 2), g.next_integer(steps / 2, steps)}) {
      x[(t * n + i) * 2 + 1] = 1;
      y[i] += x[(t * n + i) * 2];
    }
  }
  return batch;
}

// The norms of the gradients, |dE/dh_t| for t = 0 ... steps.
nn::Column gradient_norms(const UnrolledRnn& model, const nn::Batch& data, std::string name) {
  Tape tape;
  const std::vector<Tensor> h = model.states(data.x, tape.variable(model.rest(data.x.size(1))));
  return {std::move(name), nn::gradient_norms(tape.gradient(nn::mse(model.head(h.back()), data.y), h))};
}

// Draws vanishing, stable and exploding gradients: the norms for three scales of the recurrent weights, and those of the trained network.
std::string draw_gradient_norms(const Options& options, const UnrolledRnn& trained, Generator& g) {
  constexpr Index kSequences = 64, kLongest = 100;
  const nn::Batch data = draw_batch(std::max<Index>(options.steps, kLongest), kSequences, g);
  std::vector<nn::Column> curves;
  for (const double radius : {0.5, 1.0, 1.5})
    curves.push_back(gradient_norms(UnrolledRnn(options.nodes, radius, g), data, fmt::format("untrained, |eigenvalue| {}", radius)));
  curves.push_back(gradient_norms(trained, data, "trained"));
  for (const nn::Column& curve : curves)
    fmt::print("{:<28}  |dE/dh| at the last step {:.2e}, {} steps before {:.2e}\n", curve.name, curve.values.back(),
               curve.values.size() - 1, curve.values.front());
  return nn::plot_gradient_norms(curves, options.output + "/unrolled_rnn-gradients.png").message;
}

void unrolled_rnn(Options options) {
  if (options.quick) options.batches = 200, options.nodes = 16;
  example::make_folder(options.output);
  Generator generator(options.seed);
  UnrolledRnn model(options.nodes, 1, generator);
  fmt::print("sequences of {} steps, {} parameters\n", options.steps, model.parameter_count());
  std::fflush(stdout);
  optim::Adam adam(model.parameters(), {.lr = options.rate});
  nn::History history;
  const nn::Batch test = draw_batch(options.steps, 1000, generator);
  int step = 1;
  // The loop is written out here; nn::fit does the same with its own.
  std::optional<nn::Checkpoint> checkpoint;
  if (!options.saving.checkpoint.empty()) {
    checkpoint.emplace(options.saving.checkpoint);
    (*checkpoint)("model", model)("adam", adam)("generator", generator)("history", history)("step", step);
    if (options.saving.resume) checkpoint->resume();
  }
  nn::Progress bar(options.batches, {.unit = "batch", .first = step - 1});
  for (; step <= options.batches; ++step) {
    constexpr int kSave = 500;
    if (checkpoint && step % kSave == 0) checkpoint->save();
    const nn::Batch batch = draw_batch(options.steps, options.batch, generator);
    Tape tape;
    const Tensor loss = nn::mse(model(batch.x), batch.y);
    Gradients gradients = tape.gradient(loss, model.parameters());
    gradients.clip_norm(1);  // one exploding gradient would undo the training
    adam.step(gradients);
    constexpr int kReport = 100;
    if (step % kReport == 0 || step == options.batches) {
      const double test_loss = nn::mse(model(test.x), test.y).item();
      history.add({{"train loss", loss.item()}, {"test loss", test_loss}});
      bar.update(step, {{"test loss", test_loss}});
    }
  }
  bar.finish();
  if (checkpoint) checkpoint->save();
  fmt::print("{}\n", history.plot(options.output + "/unrolled_rnn-training.png").message);
  fmt::print("{}\n", draw_gradient_norms(options, model, generator));
  // Always predicting 1 has a mean squared error of 1/6.
  fmt::print("test loss {:.5f} (always answering 1: {:.5f})\n", nn::mse(model(test.x), test.y).item(), 1.0 / 6);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("unrolled_rnn", "A recurrent network as an explicit loop: the adding problem, and vanishing gradients.");
  line.option("--steps", options.steps, "length of a sequence", {.name = "a number from 2 to 10000", .min = 2, .max = 10000});
  line.option("--nodes", options.nodes, "of the network", example::kPositive);
  line.option("--batches", options.batches, "steps of training", example::kPositive);
  line.option("--batch", options.batch, "sequences in a step", example::kPositive);
  line.option("--rate", options.rate, "learning rate of Adam", example::kPositive);
  line.option("--seed", options.seed, "of the sequences and the weights");
  line.option("--output", options.output, "folder for the pictures");
  line.saving(options.saving);
  line.flag("--quick", options.quick, "a short training, to see that everything works");
  return line.run(argc, argv, [&] { unrolled_rnn(options); });
}
