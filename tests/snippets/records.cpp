#include <autodiff/autodiff.h>

#include <cstdio>

#include "autodiff/tape/records.h"  // what a tape holds, for this program to print
using namespace wengert;

namespace {

// Prints every statement of the active tape: which scalar it defines, and
// {partial derivative, argument}.
void print_statements() {
  const detail::TapeState& tape = *detail::active_tape();
  std::uint32_t open = 0;
  ForwardStatements<double>(tape).up_to(
      tape.next(),
      [&](std::uint32_t statement, std::uint32_t argument, double partial) {
        if (statement != open) std::printf("%sscalar %u:", open ? "\n" : "", statement);
        open = statement;
        std::printf("  {%.6f, scalar %u}", partial, argument);
      });
  std::printf("\n");
}

// Prints every node of the active tape.
void print_nodes() {
  detail::TapeState& tape = *detail::active_tape();
  const auto name = [](const detail::TapeNode& node) {
    return node.kind == detail::TapeNode::stack     ? "stack"
           : node.kind == detail::TapeNode::element ? "element"
                                                    : node.operation->name();
  };
  const auto print = [&](const detail::TapeNode& node) {
    std::printf("%-8s  inputs", name(node));
    for (std::uint32_t i = 0; i < node.inputs; ++i) {
      const detail::Input& x = tape.input(node, i);
      std::printf(" %s %u%s", x.scalar ? "scalar" : "tensor", x.index,
                  x.saved.defined() ? " (saved)" : "");
    }
    std::printf("  output %s %u  after %u statements\n",
                node.kind == detail::TapeNode::element ? "scalar" : "tensor",
                node.first_output, node.statements_before - 1);
  };
  tape.walk_forward([](std::uint32_t) {}, print);
}

void in_three_statements() {
  // [three]
  Tape tape;
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);  // scalars 1 and 2

  const Scalar h = w * x + b;
  const Scalar y_hat = sigmoid(h);
  const Scalar E = 0.5 * square(y - y_hat);
  // [three]
  std::printf("h = %.6f, y_hat = %.6f, E = %.6f\n", h.value(), y_hat.value(),
              E.value());
  print_statements();
  const double slope = y_hat.value() * (1 - y_hat.value());
  // [sweep]
  const auto [dE_dw, dE_db] = tape.gradient(E, w, b);
  std::printf("dE/dw = %.6f by the tape, %.6f by hand\n", dE_dw,
              -(y - y_hat.value()) * slope * x);
  std::printf("dE/db = %.6f by the tape, %.6f by hand\n", dE_db,
              -(y - y_hat.value()) * slope);
  // [sweep]
}

void in_one_statement() {
  Tape tape;
  const double x = 2, y = 1;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  // [one]
  const Scalar E = 0.5 * square(y - sigmoid(w * x + b));
  // [one]
  static_cast<void>(E);
  print_statements();
}

void with_tensors() {
  Tape tape;
  const Scalar w = tape.variable(0.5), b = tape.variable(-0.25);
  // [tensors]
  const Tensor h = stack({w * 2 + b, w * 3 + b},
                         float64);  // scalars 3 and 4 become the elements of tensor 0
  const Tensor y_hat = sigmoid(h);  // tensor 1
  const Scalar E =
      0.5 * square(1 - y_hat(1));  // element 1 becomes scalar 5; E is scalar 6
  // [tensors]
  static_cast<void>(E);
  print_statements();
  print_nodes();
}

}  // namespace

int main() {
  std::printf("three statements\n");
  in_three_statements();
  std::printf("\none statement\n");
  in_one_statement();
  std::printf("\nwith tensors\n");
  with_tensors();
}
