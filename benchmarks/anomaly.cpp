// How much of the faults in tests/explain/test_diagnose.cpp does libtorch's anomaly mode find?
//
// Those fifty programs once more, in their order and with the same numbers, with libtorch and anomaly mode on: the forward pass, then
// backward(). A fault is reported if that throws, and its operation is named if the error names the backward node of the operation to
// blame ("Function 'LogBackward0' returned nan values in its 0th output"), wherever in the program that operation stands: element and line
// are not asked for. Anomaly mode looks for NaN alone, and only in what backward nodes return.
//
// Every one of the fifty has a counterpart; a Scalar is a tensor of no dimensions here.
#include <c10/util/Type.h>
#include <fmt/format.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr double kInf = std::numeric_limits<double>::infinity();

// What a faulty program computes, and what it is differentiated by.
struct Outcome {
  Tensor loss, x;
};

enum class Way { forward, backward };
struct Planted {
  std::string operation;  // its name in test_diagnose.cpp
  Way way;
  std::vector<std::string> blamed;  // each is the right answer
  std::function<Outcome()> program;
};

Tensor constant(const std::vector<double>& values) { return torch::tensor(values, torch::kFloat64); }
// Of two columns.
Tensor matrix(const std::vector<double>& values) { return constant(values).view({-1, 2}); }
Tensor variable(const Tensor& values) { return values.requires_grad_(); }
Tensor vector_of(const std::vector<double>& values) { return variable(constant(values)); }
Tensor scalar(double value) { return variable(torch::tensor(value, torch::kFloat64)); }

// log(x - 1) under another name. No graph is made of what forward() does, so only this function can be named.
struct LogOfDifference : torch::autograd::Function<LogOfDifference> {
  static Tensor forward(AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return torch::log(x - 1);
  }
  static variable_list backward(AutogradContext* context, const variable_list& y_bar) {
    return {y_bar[0] / (context->get_saved_variables()[0] - 1)};
  }
};
// Right values, with a rule that divides by 0.
struct Steep : torch::autograd::Function<Steep> {
  static Tensor forward(AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return x * x;
  }
  static variable_list backward(AutogradContext* context, const variable_list& y_bar) {
    return {y_bar[0] / context->get_saved_variables()[0]};
  }
};
template <typename T> std::string node_of() { return c10::demangle_type<torch::autograd::CppNode<T>>(); }

// The C++ side has no checkpoints; this is the one that its users write: the body runs again, with a graph, in the backward pass.
template <Tensor (*body)(const Tensor&)> struct Checkpoint : torch::autograd::Function<Checkpoint<body>> {
  static Tensor forward(AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return body(x);
  }
  static variable_list backward(AutogradContext* context, const variable_list& y_bar) {
    const torch::AutoGradMode with_graph(true);
    const Tensor x = context->get_saved_variables()[0].detach().requires_grad_();
    return torch::autograd::grad({body(x)}, {x}, {y_bar[0]});
  }
};
Tensor twice_log(const Tensor& x) { return torch::log(x) * 2; }
Tensor square_root(const Tensor& x) { return torch::sqrt(x); }

Tensor differentiable_gradient(const Tensor& y, const Tensor& x) {
  return torch::autograd::grad({y}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
}

const std::vector<Planted> kFaults{
    // Tensors, forward.
    {"log",
     Way::forward,
     {"LogBackward0"},
     [] {
       const Tensor x = vector_of({1, 0, 2});
       const Tensor y = torch::log(x);
       return Outcome{y.sum(), x};
     }},
    {"log",
     Way::forward,
     {"LogBackward0"},
     [] {
       const Tensor x = variable(matrix({1, -1, 2, 3}));
       return Outcome{torch::log(x).sum(), x};
     }},
    {"sqrt",
     Way::forward,
     {"SqrtBackward0"},
     [] {
       const Tensor x = vector_of({1, 2, 3});
       const Tensor y = torch::sqrt(2.5 - x);
       return Outcome{y.mean(), x};
     }},
    {"divide",
     Way::forward,
     {"DivBackward0"},
     [] {
       const Tensor x = vector_of({1, 0});
       const Tensor y = 1 / x;
       return Outcome{(y * y).sum(), x};
     }},
    {"divide",
     Way::forward,
     {"DivBackward0"},
     [] {
       const Tensor x = vector_of({0, 3});
       const Tensor y = x / x;
       return Outcome{y.sum(), x};
     }},
    {"exp",
     Way::forward,
     {"ExpBackward0"},
     [] {
       const Tensor x = vector_of({1, 710});
       const Tensor y = torch::exp(x);
       return Outcome{(y / y.sum()).sum(), x};
     }},
    {"exp",
     Way::forward,
     {"ExpBackward0"},
     [] {
       const Tensor x = variable(torch::tensor(std::vector<float>{100}));
       const Tensor y = torch::exp(x);
       return Outcome{y.sum(), x};
     }},
    {"subtract",
     Way::forward,
     {"SubBackward0"},
     [] {
       const Tensor x = vector_of({1, 2}), infinite = constant({kInf, 1});
       const Tensor a = x * infinite;
       const Tensor y = a - a;
       return Outcome{y.sum(), x};
     }},
    {"multiply",
     Way::forward,
     {"MulBackward0"},
     [] {
       const Tensor x = vector_of({1, 0}), infinite = constant({1, kInf});
       const Tensor y = x * infinite;
       return Outcome{y.sum(), x};
     }},
    {"pow",
     Way::forward,
     {"PowBackward0"},
     [] {
       const Tensor x = vector_of({-8, 8});
       const Tensor y = torch::pow(x, 1.0 / 3);
       return Outcome{y.sum(), x};
     }},
    {"reciprocal",
     Way::forward,
     {"ReciprocalBackward0"},
     [] {
       const Tensor x = vector_of({2, 0});
       const Tensor y = torch::reciprocal(x);
       return Outcome{y.sum(), x};
     }},
    {"rsqrt",
     Way::forward,
     {"RsqrtBackward0"},
     [] {
       const Tensor x = vector_of({0, 4});
       const Tensor y = torch::rsqrt(x);
       return Outcome{y.sum(), x};
     }},
    {"log1p",
     Way::forward,
     {"Log1PBackward0"},
     [] {
       const Tensor x = vector_of({0, -1});
       const Tensor y = torch::log1p(x);
       return Outcome{y.sum(), x};
     }},
    {"atanh",
     Way::forward,
     {"AtanhBackward0"},
     [] {
       const Tensor x = vector_of({1, 0.5});
       const Tensor y = torch::atanh(x);
       return Outcome{y.sum(), x};
     }},
    {"asin",
     Way::forward,
     {"AsinBackward0"},
     [] {
       const Tensor x = vector_of({0.5, 2});
       const Tensor y = torch::asin(x);
       return Outcome{y.sum(), x};
     }},
    {"square",
     Way::forward,
     {"PowBackward0"},
     [] {
       const Tensor x = vector_of({1e200, 1});
       const Tensor y = torch::square(x);
       return Outcome{y.sum(), x};
     }},
    {"matmul",
     Way::forward,
     {"MmBackward0"},
     [] {
       const Tensor x = variable(matrix({1, 1e200, 1e200, 1}));
       const Tensor y = torch::matmul(x, x);
       return Outcome{y.sum(), x};
     }},
    {"sum",
     Way::forward,
     {"SumBackward1"},
     [] {
       const Tensor x = variable(matrix({1, 1e308, 1, 1e308}));
       const Tensor y = x.sum(0);
       return Outcome{y.sum(), x};
     }},
    {"softmax",
     Way::forward,
     {"SoftmaxBackward0"},
     [] {
       const Tensor x = variable(matrix({1, 2, 3, 4}));
       const Tensor masked = x + matrix({0, 0, -kInf, -kInf});
       const Tensor y = torch::softmax(masked, 1);
       return Outcome{torch::square(y).sum(), x};
     }},
    {"to",
     Way::forward,
     {"ToCopyBackward0"},
     [] {
       const Tensor x = vector_of({1e300, 1});
       const Tensor y = x.to(torch::kFloat32);
       return Outcome{y.sum(), x};
     }},
    {"cosh",
     Way::forward,
     {"CoshBackward0"},
     [] {
       const Tensor x = vector_of({-1000, 1});
       const Tensor y = torch::cosh(x);
       return Outcome{y.sum(), x};
     }},
    {"multiply",
     Way::forward,
     {"ProdBackward0"},
     [] {
       const Tensor x = vector_of({1e200, 1e200});
       const Tensor y = torch::prod(x);
       return Outcome{y * 2, x};
     }},
    // The first in program order of two faults.
    {"log",
     Way::forward,
     {"LogBackward0"},
     [] {
       const Tensor x = vector_of({0, 1});
       const Tensor y = torch::log(x);
       const Tensor z = torch::sqrt(x - 3);
       return Outcome{z.sum() + y.sum(), x};
     }},
    {"sqrt",
     Way::forward,
     {"SqrtBackward0"},
     [] {
       const Tensor x = vector_of({1, 2});
       const Tensor y = torch::sqrt(1.5 - x);
       return Outcome{y.sum(), x};
     }},
    // Inside a checkpoint, and inside a custom operation.
    {"log",
     Way::forward,
     {"LogBackward0"},
     [] {
       const Tensor x = vector_of({2, 0});
       const Tensor y = Checkpoint<twice_log>::apply(x);
       return Outcome{y.sum(), x};
     }},
    {"log",
     Way::forward,
     {node_of<LogOfDifference>()},
     [] {
       const Tensor x = vector_of({1, 3});
       const Tensor y = LogOfDifference::apply(x);
       return Outcome{y.sum(), x};
     }},
    // Scalars, forward.
    {"log",
     Way::forward,
     {"LogBackward0"},
     [] {
       const Tensor x = scalar(0);
       const Tensor y = torch::log(x);
       return Outcome{y * y, x};
     }},
    {"sqrt",
     Way::forward,
     {"SqrtBackward0"},
     [] {
       const Tensor x = scalar(1);
       const Tensor y = 3 * torch::sqrt(x - 2) + x;
       return Outcome{y, x};
     }},
    {"divide",
     Way::forward,
     {"DivBackward0"},
     [] {
       const Tensor x = scalar(0);
       const Tensor y = 1 / x;
       const Tensor z = y + 1;
       return Outcome{z, x};
     }},
    {"exp",
     Way::forward,
     {"ExpBackward0"},
     [] {
       const Tensor x = scalar(1000);
       const Tensor y = torch::exp(x);
       const Tensor z = y / y;
       return Outcome{z, x};
     }},
    {"acos",
     Way::forward,
     {"AcosBackward0"},
     [] {
       const Tensor x = scalar(2);
       const Tensor y = torch::acos(x);
       return Outcome{y, x};
     }},
    {"pow",
     Way::forward,
     {"PowBackward0"},
     [] {
       const Tensor x = scalar(-2);
       const Tensor y = torch::pow(x, 0.5);
       return Outcome{y, x};
     }},
    {"subtract",
     Way::forward,
     {"SubBackward0"},
     [] {
       const Tensor x = scalar(1);
       const Tensor a = x * kInf;
       const Tensor y = a - a;
       return Outcome{y, x};
     }},
    {"sqrt",
     Way::forward,
     {"SqrtBackward0"},
     [] {
       const Tensor x = scalar(1);
       Tensor total = 0.0 * x;
       for (int i = 0; i < 3; ++i) total += torch::sqrt(x - i);
       return Outcome{total, x};
     }},
    {"log",
     Way::forward,
     {"LogBackward0"},
     [] {
       const Tensor x = scalar(2);
       Tensor y = x;
       y = torch::log(x - 2) * x;
       return Outcome{y, x};
     }},
    // y *= x is an error, as y and x are one leaf.
    {"multiply",
     Way::forward,
     {"MulBackward0"},
     [] {
       const Tensor x = scalar(1e200);
       Tensor y = x;
       y = y * x;
       return Outcome{y, x};
     }},
    // Scalars and tensors together.
    {"log",
     Way::forward,
     {"LogBackward0"},
     [] {
       const Tensor x = scalar(1);
       const Tensor y = torch::log(torch::stack({x - 1, x}));
       return Outcome{y.sum(), x};
     }},
    // Its result is float32.
    {"stack",
     Way::forward,
     {"StackBackward0", "ToCopyBackward0"},
     [] {
       const Tensor x = scalar(1e300);
       const Tensor y = torch::stack({x / 1e300, x}).to(torch::kFloat32);
       return Outcome{y.sum(), x};
     }},
    // Tensors, backward.
    {"sqrt",
     Way::backward,
     {"SqrtBackward0"},
     [] {
       const Tensor x = vector_of({1, 0});
       const Tensor y = torch::sqrt(x);
       return Outcome{y.sum(), x};
     }},
    {"sqrt",
     Way::backward,
     {"SqrtBackward0"},
     [] {
       const Tensor x = vector_of({0, 4});
       const Tensor root = torch::sqrt(x);
       return Outcome{torch::where(x > 0, root, torch::zeros({2}, torch::kFloat64)).sum(), x};
     }},
    {"pow",
     Way::backward,
     {"PowBackward0"},
     [] {
       const Tensor x = vector_of({0, 4});
       const Tensor y = torch::pow(x, 0.5);
       return Outcome{y.sum(), x};
     }},
    {"asin",
     Way::backward,
     {"AsinBackward0"},
     [] {
       const Tensor x = vector_of({0.5, 1});
       const Tensor y = torch::asin(x);
       return Outcome{(y * 2).sum(), x};
     }},
    {"log",
     Way::backward,
     {"LogBackward0"},
     [] {
       const Tensor x = vector_of({1e-320, 1});
       const Tensor y = torch::log(x);
       return Outcome{y.sum(), x};
     }},
    {"steep",
     Way::backward,
     {node_of<Steep>()},
     [] {
       const Tensor x = vector_of({1, 0});
       const Tensor y = Steep::apply(x);
       return Outcome{y.sum(), x};
     }},
    {"sqrt",
     Way::backward,
     {"SqrtBackward0"},
     [] {
       const Tensor x = vector_of({0, 1});
       const Tensor y = Checkpoint<square_root>::apply(x);
       return Outcome{y.sum(), x};
     }},
    // Scalars, backward.
    {"sqrt",
     Way::backward,
     {"SqrtBackward0"},
     [] {
       const Tensor x = scalar(0);
       const Tensor y = torch::sqrt(x);
       return Outcome{y + 1, x};
     }},
    {"asin",
     Way::backward,
     {"AsinBackward0"},
     [] {
       const Tensor x = scalar(1);
       const Tensor y = 2 * torch::asin(x);
       return Outcome{y, x};
     }},
    {"pow",
     Way::backward,
     {"PowBackward0"},
     [] {
       const Tensor x = scalar(0);
       Tensor y = x;
       y = torch::pow(x, 0.5) + 1;
       return Outcome{y, x};
     }},
    // Second derivatives: the fault is in what pow's rule, or the rule of that rule, computes.
    {"pow",
     Way::forward,
     {"PowBackward0"},
     [] {
       const Tensor x = vector_of({0, 1});
       const Tensor y = torch::pow(x, 1.5);
       const Tensor g = differentiable_gradient(y.sum(), x);
       return Outcome{differentiable_gradient(g.sum(), x).sum(), x};
     }},
    {"pow",
     Way::forward,
     {"PowBackward0"},
     [] {
       const Tensor x = scalar(0);
       const Tensor y = torch::pow(x, 1.5);
       const Tensor g = differentiable_gradient(y, x);
       return Outcome{differentiable_gradient(g, x), x};
     }},
};

// Is there a fault at all? Only a mistake in this file makes it false.
bool not_finite(const Planted& planted) {
  torch::autograd::AnomalyMode::set_enabled(false);
  const Outcome o = planted.program();
  o.loss.backward();
  return !torch::isfinite(o.loss).all().item<bool>() || !torch::isfinite(o.x.grad()).all().item<bool>();
}

// What anomaly mode says, without the stack after it; "" if it says nothing.
std::string report(const Planted& planted) {
  torch::autograd::AnomalyMode::set_enabled(true, /*check_nan=*/true);
  try {
    planted.program().loss.backward();
  } catch (const std::exception& e) {
    const std::string text = e.what();
    return text.substr(0, text.find('\n'));
  }
  return "";
}

// Anomaly mode warns of the forward call's stack: addresses in C++, in pages.
struct NoWarnings : c10::WarningHandler {
  void process(const c10::SourceLocation&, const std::string&, bool) override {}
};

struct Count {
  int faults = 0, reported = 0, named = 0;
  void add(bool has_report, bool has_name) { ++faults, reported += has_report, named += has_name; }
  std::string text() const { return fmt::format("{} reported, {} named the operation to blame, of {}", reported, named, faults); }
};

}  // namespace

int main() {
  NoWarnings no_warnings;
  const c10::Warning::WarningHandlerGuard quiet(&no_warnings);
  Count all, forward, backward;
  for (const Planted& planted : kFaults) {
    if (!not_finite(planted)) {
      fmt::print(stderr, "anomaly: the fault of {} is none\n", planted.operation);
      return EXIT_FAILURE;
    }
    const std::string said = report(planted);
    const bool named = std::any_of(planted.blamed.begin(), planted.blamed.end(),
                                   [&](const std::string& node) { return said.find("'" + node + "'") != std::string::npos; });
    all.add(!said.empty(), named);
    (planted.way == Way::forward ? forward : backward).add(!said.empty(), named);
    fmt::print("{:<10} {:<8} {:<7} {}\n", planted.operation, planted.way == Way::forward ? "forward" : "backward",
               named          ? "right"
               : said.empty() ? "-"
                              : "wrong",
               said.empty() ? "nothing" : said);
  }
  fmt::print("anomaly mode: {}\n  forward faults: {}\n  backward faults: {}\n", all.text(), forward.text(), backward.text());
}
