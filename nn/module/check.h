#pragma once
// Finds what a model's `visit` has forgotten.
#include <concepts>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tape/tape.h"
#include "nn/module/module.h"

namespace wengert::nn {

namespace detail {

/// Watches forward passes of models of one type, and collects what is wrong.
class ModelCheck {
 public:
  explicit ModelCheck(const Module& model);
  ~ModelCheck();
  ModelCheck(const ModelCheck&) = delete;
  ModelCheck& operator=(const ModelCheck&) = delete;

  /// One forward pass, recorded and watched, of `model`, which is the model itself or a copy.
  template <class Forward> void run(Module& model, Forward&& forward) {
    begin(model);
    forward();
    end(model);
  }
  /// A copy must have parameters of its own with the same names and values.
  void compare_copy(const Module& model, const Module& copy);
  /// Assigning to a model must leave its parameters their identity.
  void compare_assigned(const ParameterList& before, const Module& assigned);
  void compare_outputs(const Tensor& of_model, const Tensor& of_copy);
  /// Gives another copy the state of the one that has been trained; false if their names do not tell which is which.
  bool restore(Module& copy, const Module& trained) const;
  void compare_restored(const Tensor& of_trained, const Tensor& of_restored);
  /// An Error with everything that was found, if anything was.
  void finish();

 private:
  struct Observation;

  void begin(Module& model);
  void end(Module& model);
  void problem(std::string text);

  std::string label_;
  bool names_are_unique_ = true, copy_differs_ = false, restored_differs_ = false;
  std::vector<std::string> problems_;
  std::unique_ptr<Observation> seen_;
};

/// Evaluation mode for a scope; afterwards every module is in the mode that it had.
class EvaluationMode {
 public:
  explicit EvaluationMode(Module& model);
  ~EvaluationMode();
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  Module& model_;
  std::vector<char> modes_;
};

}  // namespace detail

/// Runs `forward(model)` and compares what it reads with what `model.visit` names. Finds
///
///  - parameters that the forward pass reads, but `visit` does not name: they would never be trained, saved or converted;
///  - parameters that `visit` names, but the forward pass does not read;
///  - state that a pass in training mode changes, and evaluation depends on, that `visit` does not name: it would never be saved;
///  - modules whose behaviour depends on the mode (Dropout, BatchNorm) that `visit` does not reach: eval() would not switch them;
///  - names and parameters that `visit` names twice;
///  - copies that share parameters with the model, or differ from it in names, values or outputs, and assignments that replace parameters.
///
/// All that is found is listed in one Error, by name, shape and line. The forward pass runs in training and in evaluation mode, on copies
/// of the model if it can be copied; what is read in either mode counts. The model itself runs in evaluation mode only, and keeps its
/// modes. Frozen parameters are not seen. For tests:
///
///     nn::check(model, [&](Model& m) { return m(x, h).output; });
template <ModuleType M, class Forward>
requires std::invocable<Forward&, M&>
void check(M& model, Forward&& forward) {
  using Result = std::invoke_result_t<Forward&, M&>;
  detail::ModelCheck check(model);
  const auto output_of = [&](M& m) {
    if constexpr (std::convertible_to<Result, Tensor>) {
      return Tensor(forward(m)).constant();
    } else {
      forward(m);
      return Tensor();
    }
  };
  if constexpr (std::copy_constructible<M>) {
    M copy(model), trained(model);
    check.compare_copy(model, copy);
    trained.train();
    check.run(trained, [&] { output_of(trained); });
    if (M restored(model); check.restore(restored, trained)) {
      const NoRecord pause;
      trained.eval();
      restored.eval();
      const Tensor of_trained = output_of(trained);
      check.compare_restored(of_trained, output_of(restored));
    }
    Tensor of_copy, of_model;
    copy.eval();
    check.run(copy, [&] { of_copy = output_of(copy); });
    {
      const detail::EvaluationMode mode(model);
      const NoRecord pause;
      of_model = output_of(model);
    }
    check.compare_outputs(of_model, of_copy);
    if constexpr (std::is_copy_assignable_v<M>) {
      const ParameterList before = copy.parameters();
      copy = model;
      check.compare_assigned(before, copy);
    }
  } else {
    const detail::EvaluationMode mode(model);
    check.run(model, [&] { output_of(model); });
  }
  check.finish();
}

/// The same for a model that takes one tensor.
template <ModuleType M> void check(M& model, const Tensor& input) {
  check(model, [&](M& m) { return m(input); });
}

}  // namespace wengert::nn
