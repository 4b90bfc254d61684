#pragma once
// A quasi-Newton method for functions without noise.
#include <concepts>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/tensor/named_tensor.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::optim {

struct LBFGSOptions {
  double lr = 1;                   ///< the length of a step along the direction, with which a line search begins
  Index max_iterations = 20;       ///< in a step
  Index max_evaluations = 0;       ///< of the function in a step, checked after each iteration; 0: 5/4 max_iterations
  double tolerance_grad = 1e-7;    ///< end the step when no element of the gradient is larger
  double tolerance_change = 1e-9;  ///< end the step when no parameter, or the function's value, changes by more
  Index history_size = 100;        ///< pairs of s and y
  bool line_search = true;         ///< for the strong Wolfe conditions; otherwise every iteration goes lr d
};

/// Limited-memory BFGS (Liu and Nocedal 1989; Nocedal and Wright 2006, algorithms 7.4 and 7.5), with the rules of PyTorch for the first
/// step and for stopping. An iteration, with H the approximation of the inverse Hessian from the last pairs of s = p - p_before and
/// y = g - g_before with y s > 1e-10:
///
///     d  = -H g                                             H = (s y / y y) I before the pairs
///     p += t d
///
/// The line search (algorithms 3.5 and 3.6, with the cubic interpolation 3.59) finds a t with
///
///     f(p + t d) <= f(p) + 1e-4 t g d   and   |g(p + t d) d| <= 0.9 |g d|
///
/// It begins with t = lr, at the very first iteration min(1, 1 / |g|_1) lr. All parameters form one vector, in float64; the history takes
/// 16 history_size bytes for each element. Frozen parameters stay as they are.
class LBFGS {
 public:
  /// An Error if there are no parameters or one is listed twice; a ValueError for options that are out of range.
  explicit LBFGS(const ParameterList& parameters, LBFGSOptions options = {});

  /// Up to max_iterations iterations: `const double loss = lbfgs.step([&] { return nn::mse(net(x), y); });`. The function gives a value of
  /// one element; it is called on a tape that the step opens, once for each evaluation, and must compute the same each time. Returns its
  /// value at the start. A TapeError if a tape records, or if the value depends on no parameter; whatever the function throws ends the step
  /// with the parameters and the state as they were before it.
  template <class F>
  requires std::convertible_to<std::invoke_result_t<F&>, Tensor>
  double step(F&& function) { return run(function); }

  /// The options as given.
  const LBFGSOptions& options() const { return options_; }
  /// From the next step on. A ValueError for options that are out of range; then nothing has changed.
  void set_options(const LBFGSOptions& options);
  const ParameterList& parameters() const { return parameters_; }
  /// Over all steps.
  Index iterations() const { return memory_.iterations; }
  Index evaluations() const { return memory_.evaluations; }

  /// As those of Optimizer: "LBFGS.settings.lr", "LBFGS.s", ...; the vectors hold the parameters one after the other.
  std::vector<NamedTensor> state() const;
  void load_state(std::span<const NamedTensor> state, const std::string& source = "load_state");

 private:
  // What is kept from step to step. The vectors are float64, and undefined before the first iteration.
  struct Memory {
    Index iterations = 0, evaluations = 0;
    Tensor direction, gradient;  // d and g of the last iteration
    double length = 0;           // its t
    double scale = 1;            // H before the pairs
    std::vector<Tensor> s, y;    // the oldest pair first
  };
  class Function;

  double run(wengert::detail::FunctionRef<Tensor()> function);
  double iterate(Memory& memory, Function& f) const;
  void set_direction(Memory& memory, const Tensor& gradient) const;
  Index size() const;

  LBFGSOptions options_;
  ParameterList parameters_;
  Memory memory_;
};

}  // namespace wengert::optim
