#pragma once
// Training loops that need not be written.
#include "autodiff/error.h"  // first: without C++20 its message is the one to see

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/tensor/function_ref.h"
#include "autodiff/tensor/random.h"
#include "nn/module/module.h"
#include "nn/training/batches.h"
#include "nn/training/checkpoint.h"
#include "nn/training/history.h"
#include "nn/training/loss.h"
#include "nn/training/metric.h"
#include "nn/training/named_value.h"
#include "nn/training/shared_function.h"
#include "optim/optimizer.h"
#include "optim/ranks.h"
#include "optim/schedule.h"

namespace wengert::nn {

/// A model and its forward pass, apart: a module with operator(), or a module with a function that uses it.
class Forward {
 public:
  template <ModuleType M>
  requires std::is_invocable_r_v<Tensor, M&, const Tensor&> Forward(M& model)  // NOLINT(google-explicit-constructor): fit takes models
      : Forward(model, [&model](const Tensor& x) { return Tensor(model(x)); }) {}
  Forward(Module& module, SharedFunction<Tensor(const Tensor&)> function) : module_(&module), function_(std::move(function)) {}

  /// The model, whose parameters are trained.
  Module& module() const { return *module_; }
  Tensor operator()(const Tensor& x) const { return function_(x); }

 private:
  Module* module_;
  SharedFunction<Tensor(const Tensor&)> function_;
};

/// After a step of the optimizer.
struct StepReport {
  Index epoch;  ///< 1, 2, ...
  Index step;   ///< 1, 2, ... over all epochs
  double loss;  ///< of the step's examples
  double learning_rate;
};

/// After an epoch.
struct EpochReport {
  Index epoch, epochs;  ///< 1, 2, ...; how many there will be
  double learning_rate;
  std::span<const NamedValue> values;  ///< "train loss", "validation loss", and those of the metrics

  /// The value of that name; an Error that lists the names if there is none.
  double operator[](std::string_view name) const;
};

/// When an epoch is the best one so far, and what follows from it.
struct BestEpoch {
  /// By which value: "validation accuracy". Empty: the loss of the validation, or of the training if nothing is validated.
  std::string value = {};
  bool larger_is_better = false;
  /// How much better than the best one a value must be to count.
  double min_change = 0;
  /// Ends the training after so many epochs that were not better (early stopping); 0: never.
  Index patience = 0;
  /// Whether the model ends with the parameters and statistics of the best epoch. With patience it always does.
  bool restore = false;
};

/// Where a training is saved, and how often.
struct FitCheckpoint {
  std::string path = {};  ///< empty: it is not saved
  /// Whether to go on from the file, if there is one.
  bool resume = false;
  /// Saves every so many steps, beside the end of each epoch; 0: only there.
  Index every_steps = 0;
  Index keep = 1;  ///< as CheckpointOptions::keep
  /// Names what else belongs to the training: `[&](nn::Checkpoint& c) { c("average", ema); }`.
  SharedFunction<void(Checkpoint&)> parts = {};
};

struct FitOptions {
  Index epochs = 1;
  /// Examples that are scored after each epoch, in evaluation mode.
  Batches validation = {};
  /// What their values are called: "test" makes it "test loss".
  std::string validation_name = "validation";
  /// Measured beside the loss, on training and validation.
  std::vector<Metric> metrics = {};

  /// The learning rate of epoch 0, 1, ..., or of step 0, 1, ...: a schedule of optim, or any function. Not both.
  SharedFunction<double(Index)> rate_of_epoch = {}, rate_of_step = {};
  /// Is given the value that `best` names after each epoch, and sets the rate from then on.
  optim::PlateauSchedule* plateau = nullptr;
  /// How many batches make a step of the optimizer. Their gradients are averaged over all their examples; the last step of an epoch takes
  /// those that are left.
  Index accumulate = 1;
  /// Processes that share the batches of each step; each makes and computes its own ones alone. The bits of the training do not depend on
  /// how many there are (and differ from those of a training without ranks): the gradients of the batches are added in a fixed tree,
  /// running statistics are averaged over the batches, and every batch has random numbers of its own. All ranks begin with what rank 0
  /// has, rank 0 alone shows progress and writes files, and callbacks are called on all ranks.
  optim::Ranks* ranks = nullptr;
  /// Of each step: clipping, and checks.
  optim::StepOptions step = {};

  BestEpoch best = {};
  FitCheckpoint checkpoint = {};
  /// Generators that the loss, the forward pass or callbacks draw from, for checkpoints. Those of the loader and of the model's layers, and
  /// the thread's default generator, are known.
  std::vector<Generator*> generators = {};

  bool progress = true;  ///< a bar on the standard error stream
  /// A CSV file with the values of all epochs, written anew after each. Empty: none.
  std::string log = {};
  SharedFunction<void(const StepReport&)> after_step = {};
  SharedFunction<void(const EpochReport&)> after_epoch = {};
  /// Asked after each epoch; true ends the training.
  SharedFunction<bool(const EpochReport&)> stop = {};
};

/// How a training went.
struct FitResult {
  /// What ended it: the number of epochs, `best.patience`, the `stop` function, or a signal whose handler has returned.
  enum class Ended : std::uint8_t { epochs, patience, stop, signal };

  History history;
  Index epochs = 0, steps = 0;  ///< done, those before a resumption included
  Index best_epoch = 0;         ///< 1, 2, ...; 0 if no value was a number
  double best_value = 0;
  Ended ended = Ended::epochs;
};

/// Trains: `nn::fit(net, adam, nn::mse, loader, {.epochs = 10, .validation = test})`. For every batch the loss of model(x) and y is
/// computed on a tape, and its gradient with respect to the optimizer's parameters goes to the optimizer. The model is left in evaluation
/// mode.
///
/// With a checkpoint the training survives: killed at any moment and started again with `.resume`, also with another number of threads, it
/// ends with the same bits as one that was never stopped. SIGINT and SIGTERM finish the step and save, then end the process as they would
/// have at once; a second signal does not wait. (nn/training/interrupts.h)
///
/// An Error ends the training if a loss is not finite; then the optimizer has not taken that step. A ValueError for options out of range,
/// and a DataError for a checkpoint of another model, optimizer or data; nothing has changed then.
FitResult fit(const Forward& model, optim::Optimizer& optimizer, const Loss& loss, const Batches& data, const FitOptions& options = {});

/// What evaluate() returns.
struct Evaluation {
  double loss;
  std::vector<double> metrics;  ///< in the order given
};
/// The loss and the metrics over all examples, in evaluation mode and without recording. A ValueError if there is no data.
Evaluation evaluate(const Forward& model, const Loss& loss, const Batches& data, std::span<const Metric> metrics = {});

}  // namespace wengert::nn
