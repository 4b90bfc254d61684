#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <cstdio>
using namespace wengert;

// [custom]
// log(1 + e^x) with a custom rule: its slope is a sigmoid.
struct Softplus {
  static constexpr const char* name = "my_softplus";
  Tensor forward(const Tensor& x) const { return log(1 + exp(x)); }
  Tensor vjp(const Tensor& y_bar, const Tensor&, const Tensor& x) const {
    return sigmoid(x) * y_bar;
  }
  Tensor jvp(const Tensor& x_dot, const Tensor&, const Tensor& x) const {
    return sigmoid(x) * x_dot;
  }
};
const auto my_softplus = custom_operation(Softplus());
// [custom]

// [lambdas]
// a b + c, without a cotangent for b: undefined means zero.
const auto multiply_add = custom_operation(
    "multiply_add",
    [](const Tensor& a, const Tensor& b, const Tensor& c) { return a * b + c; },
    [](const Tensor& y_bar, const Tensor&, const Tensor&, const Tensor& b,
       const Tensor&) {
      return std::array{y_bar * b, Tensor(), y_bar};
    });
// [lambdas]

int main() {
  // [functions]
  const auto energy = [](const Tensor& x) { return sum(square(x) * sin(x)); };
  const Tensor x = Tensor::from({1, 2}, float64), v = Tensor::from({1, 0}, float64);

  const Tensor slope = gradient(energy, x);  // (2,)
  const Tensor h = hessian(energy, x);       // (2, 2)
  const Tensor hv = hvp(energy, x, v);       // (2,), without the matrix
  const Tensor j = jacobian([&](const Tensor& x) { return gradient(energy, x); }, x);
  // [functions]
  std::printf("gradient  %+.4f %+.4f\n", slope.at({0}), slope.at({1}));
  std::printf("hessian   %+.4f %+.4f\n", h.at({0, 0}), h.at({1, 1}));
  std::printf("H v       %+.4f %+.4f\n", hv.at({0}), hv.at({1}));
  std::printf("jacobian  %+.4f %+.4f\n", j.at({0, 0}), j.at({1, 1}));

  // [parameters]
  const nn::Linear layer(2, 1);
  const Tensor inputs = Tensor::from({{1, 2}, {3, 4}, {5, 6}}),
               targets = Tensor::from({{1}, {2}, {3}});
  const auto loss = [&](const Tensor& in, const Tensor& wanted) {
    return nn::mse(layer(in), wanted);
  };
  const auto loss_of_all = [&] { return loss(inputs, targets); };

  const Gradients g = gradient(loss_of_all, layer.parameters());
  const Gradients along_g =
      hvp(loss_of_all, layer.parameters(), g);  // the Hessian times the gradient
  const auto each = per_example_gradients(loss, layer.parameters(), inputs,
                                          targets);  // of the weight: (3, 1, 2)
  const auto outputs = jacobian([&] { return layer(inputs); },
                                layer.parameters());  // of the weight: (3, 1, 1, 2)
  // [parameters]
  const bool means = all(abs(mean(each[0], 0) - g[0]) < 1e-4).item() != 0;
  std::printf("examples  %s, %s\n", means ? "their mean is the gradient" : "?",
              to_string(outputs[0].shape()).c_str());
  static_cast<void>(along_g);

  // [penalty]
  const Parameter w(Tensor::from({{0.5, -1}, {2, 0.3}}, float64));
  const auto critic = [&](const Tensor& x) { return sum(tanh(matmul(x, w))); };
  Tape tape;
  const Tensor slopes = gradient(critic, x);  // recorded, because a tape records
  const Tensor penalty = square(norm(slopes) - 1);
  const Tensor w_bar = tape.gradient(penalty, w);
  // [penalty]
  std::printf("penalty   %+.4f, w_bar %+.4f\n", penalty.item(), w_bar.at({0, 0}));

  // [checkpoint]
  Tensor state = Tensor::zeros({2}, float64);
  for (int segment = 0; segment < 32; ++segment)
    state = checkpoint([&](const Tensor& begin) {
      Tensor s = begin;
      for (int step = 0; step < 32; ++step) s = tanh(matmul(s, w) + x);
      return s;
    })(state);
  const Tensor through_time = tape.gradient(sum(state), w);
  // [checkpoint]
  std::printf("unrolled  %+.4f\n", through_time.at({0, 0}));

  // [check]
  const GradientCheck check =
      check_gradient([](const Tensor& x) { return my_softplus(x); }, {x});
  std::printf("%s", check ? "the rules are right\n" : check.to_string().c_str());
  // [check]
  const Tensor b_and_c =
      gradient([&](const Tensor& a) { return sum(multiply_add(a, x, v)); }, x);
  std::printf("a_bar     %+.4f %+.4f\n", b_and_c.at({0}), b_and_c.at({1}));
}
