// Derivations that the tape writes: nodes with identity, sigmoid and tanh, the perceptron, and a network of two layers. Each ends in the
// derivatives of E as formulas, with the numbers beside them.
#include <autodiff/autodiff.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "example.h"

using namespace wengert;

namespace {

struct Options {
  std::string format = "text", html;
};

void print(const char* title, const Derivation& d, const Options& options) {
  const std::string body = options.format == "latex" ? d.latex() : options.format == "markdown" ? d.markdown() : d.text();
  std::printf("%s%s\n\n%s\n", options.format == "markdown" ? "# " : "", title, body.c_str());
}

// One node: y_hat = f(h), h = w x + b, E = (y - y_hat)^2 / 2.
template <class F> Derivation node(F f) {
  Tape tape({.formulas = true});
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  const Scalar h = w * x + b;
  const Scalar y_hat = named("y_hat", f(h));
  const Scalar E = 0.5 * square(y - y_hat);
  return explain(tape, E, w, b);
}

Derivation identity_node() {
  Tape tape({.formulas = true});
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  const Scalar h = w * x + b;
  const Scalar E = 0.5 * square(y - h);
  return explain(tape, E, w, b);
}

// Two layers: H = f(X W1^T + b1), Y_hat = H W2^T + b2.
Derivation network() {
  Tape tape({.formulas = true});
  const Tensor X = Tensor::from({{0, 1}, {1, 0}, {1, 1}}, float64), Y = Tensor::from({{1}, {1}, {0}}, float64);
  const Parameter W1(Tensor::from({{0.5, -0.5}, {0.25, 1}}, float64), "W1"), b1(Tensor::from({0, 0.5}, float64), "b1");
  const Parameter W2(Tensor::from({{1, -1}}, float64), "W2"), b2(Tensor::from({0.25}, float64), "b2");
  const Tensor Z = linear(X, W1, b1);
  const Tensor H = sigmoid(Z);
  const Tensor Y_hat = linear(H, W2, b2);
  const Tensor R = Y_hat - Y;
  const Tensor E = sum(square(R));
  return explain(tape, E, W1, b1, W2, b2);
}

void derive(const Options& options) {
  if (!options.html.empty()) example::make_folder_of(options.html, ".html");
  print("A node without an activation", identity_node(), options);
  print("A node with a sigmoid", node([](const Scalar& h) -> Scalar { return sigmoid(h); }), options);
  print("A node with tanh", node([](const Scalar& h) -> Scalar { return tanh(h); }), options);
  print("The perceptron", node([](const Scalar& h) -> Scalar { return step(h); }), options);
  const Derivation two_layers = network();
  print("Two layers", two_layers, options);
  if (!options.html.empty()) {
    std::ofstream file(options.html);
    file << two_layers.html();
    if (!file.flush()) throw DataError(options.html + ": cannot be written");
    std::printf("the network as a page: %s\n", options.html.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  example::CommandLine line("derive", "Writes the derivatives of a node and of a small network as one does by hand.");
  line.option("--format", options.format, "of the derivations", {"text", "markdown", "latex"});
  line.option("--html", options.html, "a file for the network's derivation as a page");
  return line.run(argc, argv, [&] { derive(options); });
}
