// Writes one event of each kind into a folder, for tests/events/read.
#include <autodiff/autodiff.h>
#include <nn/training/event_writer.h>

#include <cmath>
#include <string>
#include <vector>

using namespace wengert;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  nn::EventWriter events(argv[1], {.clock = [] { return 1700000000.5; }});
  events.scalar("loss/train", 0.25, 3);
  events.scalar("loss/train", -1e30, 1'000'000'000'000);
  std::vector<double> values{NAN, INFINITY};
  for (int i = 0; i <= 300; ++i) values.push_back(i / 10.0);
  events.histogram("weights", Tensor::from(values), 1);
  events.histogram("constant", Tensor::full({7}, 2), 1);
  events.histogram("nothing", Tensor::full({2}, NAN), 1);
  events.image("gray", Tensor::from({{0, 0.5, 1}, {-1, 2, NAN}}), 2);
  events.image("colour", reshape(Tensor::from({1, 0, 0, 1, 0, 0}), {3, 1, 2}), 2);
  events.text("notes", "**bold**, and ünïcode " + std::string(200, 'x'), 4);
  const std::vector<nn::Hyperparameter> settings{{"rate", 0.1}, {"layers", 3}, {"optimizer", "adam"}, {"nesterov", true}};
  const std::vector<std::string> metrics{"loss/train"};
  events.hyperparameters(settings, metrics);
}
