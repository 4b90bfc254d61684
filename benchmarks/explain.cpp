// What it costs to be told more: training steps on a tape with .check_finite, and under a Profile, beside the same steps without. The
// project asks for a ratio of at least 1 / 2 and 1 / 1.03.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/explain/profile.h"
#include "autodiff/runtime.h"
#include "benchmarks/harness.h"
#include "nn/nn.h"
#include "optim/optim.h"

namespace wengert::benchmark {
namespace {

// A training whose step runs on a tape with the given options.
using Step = std::function<void(const TapeOptions&)>;

struct Classifier {
  Classifier(nn::Sequential network, const Shape& input)
      : model(std::move(network)), x(generator.normal(input)), labels(generator.integers({input[0]}, 0, 10)) {}
  void step(const TapeOptions& options) {
    Tape tape(options);
    const Tensor loss = nn::cross_entropy(model(x), labels);
    descent.step(tape.gradient(loss, model.parameters()));
  }
  Generator generator{1};
  nn::Sequential model;
  Tensor x, labels;
  optim::SGD descent{model.parameters(), {.lr = 1e-3}};
};

Step classifier(nn::Sequential network, const Shape& input) {
  return [c = std::make_shared<Classifier>(std::move(network), input)](const TapeOptions& options) { c->step(options); };
}

// Many small operations: 100 steps of a recurrent layer of 16 units.
Step recurrence() {
  struct Training {
    nn::RNNCell cell{4, 16};
    Tensor x = Generator(2).normal({8, 4});
    optim::SGD descent{cell.parameters(), {.lr = 1e-3}};
  };
  return [t = std::make_shared<Training>()](const TapeOptions& options) {
    Tape tape(options);
    Tensor h = Tensor::zeros({8, 16});
    for (int i = 0; i < 100; ++i) h = t->cell(t->x, h);
    t->descent.step(tape.gradient(mean(square(h)), t->cell.parameters()));
  };
}

// A program of Scalars: logistic regression of 100 records.
void scalar_program(const TapeOptions& options) {
  Tape tape(options);
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  Scalar loss = 0;
  for (int i = 0; i < 100; ++i) {
    const Scalar h = w * (0.01 * i) + b;
    loss += square(sigmoid(h) - (i % 2));
  }
  static_cast<void>(tape.gradient(loss, w, b));
}

struct Work {
  const char* name;
  std::function<Step()> make;
  int steps;  // under one Profile
};

void run(const Options& options) {
  set_num_threads(1);
  const std::vector<Work> works{
      {"mlp_b64",
       [] {
         return classifier(nn::Sequential(nn::Linear(784, 256), nn::ReLU(), nn::Linear(256, 128), nn::ReLU(), nn::Linear(128, 10)),
                           {64, 784});
       },
       20},
      {"cnn_b32",
       [] {
         return classifier(nn::Sequential(nn::Conv2d(1, 16, 5), nn::ReLU(), nn::MaxPool2d(2), nn::Conv2d(16, 32, 5), nn::ReLU(),
                                          nn::MaxPool2d(2), nn::Flatten(), nn::Linear(512, 10)),
                           {32, 1, 28, 28});
       },
       5},
      {"rnn_b8", recurrence, 200},
      {"scalars", [] { return Step(scalar_program); }, 2000},
  };
  std::vector<Row> rows;
  for (const Work& work : works) {
    const auto add = [&](const std::string& name, int steps, const std::function<void()>& told, const std::function<void()>& plain) {
      const std::vector<std::function<void()>> contestants{told, plain};
      const std::vector<double> us = medians_in_turns(contestants, Time::of_this_thread, options.quick);
      rows.push_back({.name = name, .peer = "off", .ours_us = us[0] / steps, .peer_us = us[1] / steps});
    };
    const std::string checked = std::string("explain/check_finite/") + work.name, profiled = std::string("explain/profile/") + work.name;
    if (options.wants(checked)) {
      const Step with = work.make(), without = work.make();
      add(
          checked, 1, [&] { with({.check_finite = true}); }, [&] { without({}); });
    }
    if (options.wants(profiled)) {
      const Step with = work.make(), without = work.make();
      const auto repeated = [&](const Step& step) {
        for (int k = 0; k < work.steps; ++k) step({});
      };
      const auto under_profile = [&] {
        const Profile profile;
        repeated(with);
      };
      add(profiled, work.steps, under_profile, [&] { repeated(without); });
    }
  }
  report(rows, options);
}

}  // namespace
}  // namespace wengert::benchmark

int main(int argc, char** argv) { wengert::benchmark::run(wengert::benchmark::parse(argc, argv)); }
