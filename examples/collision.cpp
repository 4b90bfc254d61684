// Two bodies collide and stay together: a network reads the problem as text, "12m4v35", and writes the final velocity as text, "26.2".
// (Completely inelastic: m1 moves at v, m2 is at rest; together they move at m1 v / (m1 + m2).)
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <nn/data/loader.h>
#include <nn/training/history.h>
#include <nn/training/metrics.h>
#include "classification.h"
#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string output = ".";
  int problems = 64000, epochs = 100, batch = 256, nodes = 128;
  double rate = 3e-3;
  std::uint64_t seed = 1;
  bool quick = false;
  example::Saving saving;
};

// ---- problems as text ------------------------------------------------------------------------------------------------------------

constexpr std::string_view kSymbols = " .0123456789mv";
constexpr Index kQuestion = 8, kAnswer = 4;  // characters
constexpr Index kClasses = std::ssize(kSymbols);

struct Problem {
  std::string question, answer;
};

// One or two digits, each from 1 to 9.
int draw_number(Generator& g) {
  const auto digit = [&] { return static_cast<int>(g.next_integer(1, 10)); };
  const int first = digit();
  return g.next_bernoulli(0.5) ? first : 10 * first + digit();
}

Problem make_problem(int m1, int m2, int v) {
  const double velocity = static_cast<double>(m1) * v / (m1 + m2);
  std::string question = fmt::format("{}m{}v{}", m1, m2, v);
  question.resize(kQuestion, ' ');
  // Two decimals below 10, otherwise one; rounding may add a digit (9.999), which is truncated.
  std::string answer = fmt::format("{:.{}f}", velocity, velocity < 10 ? 2 : 1);
  answer.resize(kAnswer, '0');
  return {question, answer};
}

// Distinct problems in random order: no two have the same three numbers.
std::vector<Problem> make_problems(int n, Generator& generator) {
  std::set<std::array<int, 3>> seen;
  std::vector<Problem> problems;
  while (std::ssize(problems) < n) {
    const std::array<int, 3> numbers{draw_number(generator), draw_number(generator), draw_number(generator)};
    std::array<int, 3> sorted = numbers;
    std::sort(sorted.begin(), sorted.end());
    if (seen.insert(sorted).second) problems.push_back(make_problem(numbers[0], numbers[1], numbers[2]));
  }
  return problems;
}

// The positions of the characters in kSymbols: questions (n, 8) and answers (n, 4), int64.
nn::Batch tensors(std::span<const Problem> problems) {
  const Index n = std::ssize(problems);
  nn::Batch batch{Tensor::zeros({n, kQuestion}, int64), Tensor::zeros({n, kAnswer}, int64)};
  std::int64_t *x = batch.x.mutable_data<std::int64_t>(), *y = batch.y.mutable_data<std::int64_t>();
  for (const Problem& p : problems) {
    for (const char c : p.question) *x++ = static_cast<std::int64_t>(kSymbols.find(c));
    for (const char c : p.answer) *y++ = static_cast<std::int64_t>(kSymbols.find(c));
  }
  return batch;
}

// ---- the network -----------------------------------------------------------------------------------------------------------------

// An encoder reads the question; its last state, repeated for each character of the answer, is the input of two decoding layers.
struct CollisionNet : nn::Module {
  CollisionNet(Index nodes, Generator& generator)
      : encoder(kClasses, nodes, {}, generator), decoder(nodes, nodes, {.layers = 2}, generator), head(nodes, kClasses, {}, generator) {}

  // Questions (n, 8) int64 -> logits (4 n, classes), the characters of an answer one after the other.
  Tensor operator()(const Tensor& questions) const {
    const Index n = questions.size(0);
    const Tensor read = encoder(one_hot(transpose(questions), kClasses).to(float32)).output;  // (8, n, nodes)
    const Tensor meaning = select(read, 0, -1);
    const Tensor written = decoder(expand(meaning, {kAnswer, n, meaning.size(1)})).output;  // (4, n, nodes)
    return reshape(transpose(head(written), 0, 1), {n * kAnswer, kClasses});
  }
  void visit(nn::Visitor& v) override {
    v("encoder", encoder);
    v("decoder", decoder);
    v("head", head);
  }

  nn::LSTM encoder, decoder;
  nn::Linear head;
};

// ---- output ----------------------------------------------------------------------------------------------------------------------

// Prints some problems with the network's answers; a caret marks each wrong character.
void print_solved(const CollisionNet& model, std::span<const Problem> problems) {
  const std::vector<std::int64_t> said = nn::predictions(model(tensors(problems).x)).to_vector<std::int64_t>();
  fmt::print("question   true   said\n");
  for (std::size_t i = 0; i < problems.size(); ++i) {
    std::string text, marks;
    for (std::size_t k = 0; k < kAnswer; ++k) {
      text += kSymbols[static_cast<std::size_t>(said[i * kAnswer + k])];
      marks += text.back() == problems[i].answer[k] ? ' ' : '^';
    }
    fmt::print("{}   {}   {}{}\n", problems[i].question, problems[i].answer, text, text == problems[i].answer ? "  right" : "");
    if (text != problems[i].answer) fmt::print("{:18}{}\n", "", marks);
  }
}

void collision(Options options) {
  if (options.quick) options.problems = 2000, options.epochs = 2, options.nodes = 32;
  example::make_folder(options.output);
  Generator generator(options.seed);
  const int held_back = std::max(options.problems / 8, 1);
  const std::vector<Problem> problems = make_problems(options.problems + 2 * held_back, generator);
  const auto part = [&](int first, int n) {
    return std::span(problems).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n));
  };
  const nn::Batch train = tensors(part(0, options.problems)), validation = tensors(part(options.problems, held_back));
  const std::span<const Problem> test = part(options.problems + held_back, held_back);

  CollisionNet model(options.nodes, generator);
  fmt::print("{} problems to learn from, {} each to validate and to test with, {} parameters\n", options.problems, held_back,
             model.parameter_count());
  optim::Adam adam(model.parameters(), {.lr = options.rate});
  const nn::DataLoader loader(train, {.batch_size = options.batch, .shuffle = true, .generator = &generator});
  const nn::FitResult result = nn::fit(model, adam, example::cross_entropy, loader,
                                       {.epochs = options.epochs,
                                        .validation = validation,
                                        .validation_name = "test",
                                        .metrics = {nn::Metric::accuracy()},
                                        .rate_of_epoch = optim::CosineSchedule{.lr = options.rate, .steps = options.epochs},
                                        .checkpoint = {.path = options.saving.checkpoint, .resume = options.saving.resume},
                                        .after_epoch = example::print_epoch});

  constexpr std::size_t kShown = 12;
  print_solved(model, test.first(std::min(kShown, test.size())));
  fmt::print("{}\n", result.history.plot(options.output + "/collision-training.png").message);
  nn::save(model, options.output + "/collision.safetensors");
  fmt::print("test accuracy of characters {:.4f}\n", example::evaluate(model, tensors(test)).accuracy);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("collision", "Reads \"12m4v35\", writes \"26.2\": a network of LSTM layers learns inelastic collisions.");
  line.option("--problems", options.problems, "training problems; an eighth as many each are for validation and test",
              {.name = "a number from 8 to 80000 (there are no more distinct problems)", .min = 8, .max = 80000});
  line.option("--epochs", options.epochs, "passes over them", example::kPositive);
  line.option("--batch", options.batch, "problems in a step", example::kPositive);
  line.option("--nodes", options.nodes, "of each layer", example::kPositive);
  line.option("--rate", options.rate, "learning rate of Adam, which falls to 0 along a cosine", example::kPositive);
  line.option("--seed", options.seed, "of the problems, the weights and their order");
  line.option("--output", options.output, "folder for the picture and the model");
  line.saving(options.saving);
  line.flag("--quick", options.quick, "a short training, to see that everything works");
  return line.run(argc, argv, [&] { collision(options); });
}
