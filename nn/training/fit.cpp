#include "nn/training/fit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/tape/tape.h"
#include "nn/module/state.h"
#include "nn/training/block_state.h"
#include "nn/training/interrupts.h"
#include "nn/training/progress.h"
#include "nn/training/running_values.h"
#include "optim/block_sums.h"

namespace wengert::nn {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Batch next_of(Batches::Epoch& epoch) {
  Batch batch;
  if (!epoch.next(batch)) throw Error("fit: the loader has given fewer batches than its batches() says");
  return batch;
}

Evaluation score(const Forward& model, const Loss& loss, const Batches& data, std::span<const Metric> metrics) {
  const NoRecord pause;
  RunningValues values(metrics);
  Batch batch;
  for (const auto epoch = data.begin(0); epoch->next(batch);) {
    const Tensor prediction = model(batch.x);
    values.add(loss(prediction, batch.y).item(), batch, prediction);
  }
  return {values.loss(), values.metrics()};
}

// The same by all ranks together, each of which scores its share of the batches.
Evaluation score(const Forward& model, const Loss& loss, const Batches& data, std::span<const Metric> metrics, optim::Ranks& ranks) {
  const NoRecord pause;
  const Index batches = data.batches();
  const optim::BlockRange own = optim::blocks_of(ranks.rank(), ranks.size(), batches);
  std::vector<double> numbers;
  std::vector<Index> own_batches;
  for (Index i = own.first; i < own.last; ++i) own_batches.push_back(i);
  const auto epoch = data.begin(0);
  epoch->only(own_batches);
  for (Index i = 0; i < own.last; ++i) {
    if (i < own.first) {
      epoch->skip();
      continue;
    }
    const Batch batch = next_of(*epoch);
    const Tensor prediction = model(batch.x);
    RunningValues of_batch(metrics);
    of_batch.add(loss(prediction, batch.y).item(), batch, prediction);
    of_batch.append_to(numbers);
  }
  RunningValues values(metrics), of_batch(metrics);
  const std::vector<std::vector<double>> all = optim::gather_numbers(ranks, numbers);
  for (int r = 0; r < ranks.size(); ++r) {
    NumberReader reader(all[static_cast<std::size_t>(r)]);
    const optim::BlockRange range = optim::blocks_of(r, ranks.size(), batches);
    for (Index i = range.first; i < range.last; ++i) {
      of_batch.read(reader);
      values.merge(of_batch);
    }
  }
  return {values.loss(), values.metrics()};
}

// Puts the module into evaluation mode for a scope.
class EvaluationMode {
 public:
  explicit EvaluationMode(Module& module) : module_(module), training_(module.training()) { module.eval(); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;
  ~EvaluationMode() {
    if (training_) module_.train();
  }

 private:
  Module& module_;
  bool training_;
};

void check(const FitOptions& options, const Batches& data) {
  const auto check_at_least = [](const char* option, Index value, Index min) {
    if (value < min) throw ValueError(fmt::format("fit: {} must be at least {}, but it is {}", option, min, value));
  };
  check_at_least("epochs", options.epochs, 1);
  check_at_least("accumulate", options.accumulate, 1);
  check_at_least("best.patience", options.best.patience, 0);
  check_at_least("checkpoint.every_steps", options.checkpoint.every_steps, 0);
  if (!(options.best.min_change >= 0))
    throw ValueError(fmt::format("fit: best.min_change must not be negative, but it is {}", options.best.min_change));
  if (options.rate_of_epoch && options.rate_of_step)
    throw ValueError("fit: there is a rate_of_epoch and a rate_of_step; hint: leave one out");
  if (options.checkpoint.resume && options.checkpoint.path.empty()) throw ValueError("fit: checkpoint.resume needs a checkpoint.path");
  if (!data || data.batches() < 1) throw ValueError("fit: there are no batches to train on");
}

// ---- the state of a training ---------------------------------------------------------------------------------------------------------

// Where a training is, between two steps.
struct Position {
  Index epoch = 0;  // that is in progress, from 0
  Index batch = 0;  // batches of it that are done
  Index steps = 0;
  Index best_epoch = 0;  // from 1; 0: none
  Index since_best = 0;  // epochs
  Index stopped = 0;     // whether the stop function has ended the training
  double best_value = kNan;
};

constexpr Index Position::*kIntegers[] = {&Position::epoch,      &Position::batch,      &Position::steps,
                                          &Position::best_epoch, &Position::since_best, &Position::stopped};

// What of the training is no part of the program: position, sums, the state of generators where the epoch began, the best weights.
struct TrainingState {
  TrainingState(Module& module, std::span<const Metric> metrics, Index batches, std::size_t generators)
      : module(module), batches(batches), generators(generators), values(metrics) {}

  std::vector<NamedTensor> state() const {
    std::vector<std::int64_t> integers{batches};
    for (const auto member : kIntegers) integers.push_back(at.*member);
    std::vector<std::int64_t> start;
    for (const Generator& g : epoch_start) {
      start.push_back(static_cast<std::int64_t>(g.seed()));
      start.push_back(static_cast<std::int64_t>(g.counter()));
    }
    std::vector<NamedTensor> all{{"position", Tensor::from(integers)},
                                 {"best value", Tensor::full({}, at.best_value, float64)},
                                 {"generators", Tensor::from(start)}};
    for (NamedTensor& t : values.state()) all.push_back(std::move(t));
    for (const NamedTensor& t : best) all.push_back({"best " + t.name, t.value});
    return all;
  }

  void load_state(std::span<const NamedTensor> state, const std::string& source) {
    const std::vector<NamedTensor> sums = values.state();
    const std::size_t fixed = 3 + sums.size();
    const auto refuse = [&](const std::string& why) { throw DataError(fmt::format("{}: {}", source, why)); };
    const auto is = [&](std::size_t i, std::string_view name, Dtype dtype) {
      return state[i].name == name && state[i].value.dtype() == dtype;
    };
    if (state.size() < fixed || !is(0, "position", int64) || state[0].value.size() != 1 + std::ssize(kIntegers) ||
        !is(1, "best value", float64) || state[1].value.size() != 1 || !is(2, "generators", int64))
      refuse("this is not the state of a training, or it has fewer metrics");
    for (std::size_t i = 0; i < sums.size(); ++i)
      if (!is(3 + i, sums[i].name, float64) || (i == 0 && state[3].value.size() != 2))
        refuse(fmt::format("the metrics are others: {} is missing", sums[i].name));
    const std::vector<std::int64_t> integers = state[0].value.to_vector<std::int64_t>(), start = state[2].value.to_vector<std::int64_t>();
    if (integers[0] != batches) refuse(fmt::format("an epoch had {} batches, and has {} now; is it the same data?", integers[0], batches));
    if (start.size() != 2 * generators && !start.empty())
      refuse(fmt::format("there were {} generators of random numbers, and there are {} now", start.size() / 2, generators));
    const std::vector<NamedTensor> weights = best_in(state.subspan(fixed), source);
    values.load_state(state.subspan(3));
    best = weights;
    for (std::size_t i = 0; i < std::size(kIntegers); ++i) at.*kIntegers[i] = integers[i + 1];
    at.best_value = state[1].value.item();
    epoch_start.clear();
    for (std::size_t i = 0; i < start.size(); i += 2)
      epoch_start.emplace_back(static_cast<std::uint64_t>(start[i]), static_cast<std::uint64_t>(start[i + 1]));
  }

  // The weights of the best epoch, which must fit the model.
  std::vector<NamedTensor> best_in(std::span<const NamedTensor> state, const std::string& source) const {
    const std::vector<NamedTensor> own = nn::state(module);
    std::vector<NamedTensor> weights;
    for (const NamedTensor& t : state) {
      const auto fits = [&](const NamedTensor& o) {
        return "best " + o.name == t.name && o.value.shape() == t.value.shape() && o.value.dtype() == t.value.dtype();
      };
      const auto found = std::find_if(own.begin(), own.end(), fits);
      if (found == own.end()) throw DataError(fmt::format("{}: \"{}\" does not fit {} or its metrics", source, t.name, module.label()));
      weights.push_back({found->name, t.value});
    }
    if (!weights.empty() && weights.size() != own.size())
      throw DataError(fmt::format("{}: the best model has {} tensors, but {} has {}", source, weights.size(), module.label(), own.size()));
    return weights;
  }

  Module& module;
  Index batches;
  std::size_t generators;
  Position at;
  RunningValues values;
  std::vector<Generator> epoch_start;  // what the generators were when the epoch began; empty between epochs
  std::vector<NamedTensor> best;
};

// ---- the loop ------------------------------------------------------------------------------------------------------------------------

class Training {
 public:
  Training(const Forward& model, optim::Optimizer& optimizer, const Loss& loss, const Batches& data, const FitOptions& options)
      : model_(model),
        optimizer_(optimizer),
        loss_(loss),
        data_(data),
        options_(options),
        generators_(generators_of(data, options)),
        state_(model.module(), options.metrics, data.batches(), generators_.size()) {
    check_watched();
    if (options.ranks) sums_.emplace(*options.ranks, optimizer.parameters());
    if (!options.checkpoint.path.empty()) interrupts_.emplace();
    if (!options.ranks && options.checkpoint.path.empty()) return;
    name_parts();
    if (saves() && options.checkpoint.resume) checkpoint_->resume();
    if (options.ranks) begin_as_rank_0();
  }

  FitResult run() {
    Position& at = state_.at;
    Ended ended = Ended::epochs;
    while (true) {
      const bool lost_patience = options_.best.patience > 0 && at.since_best >= options_.best.patience;
      ended = at.stopped ? Ended::stop : lost_patience ? Ended::patience : Ended::epochs;
      if (ended != Ended::epochs || at.epoch >= options_.epochs) break;
      if (!run_epoch()) {
        ended = Ended::signal;
        break;
      }
    }
    if (!state_.best.empty()) load_state(model_.module(), state_.best);
    model_.module().eval();
    return {std::move(history_), at.epoch, at.steps, at.best_epoch, at.best_value, ended};
  }

 private:
  using Ended = FitResult::Ended;

  // All but those of the model's layers.
  static std::vector<Generator*> generators_of(const Batches& data, const FitOptions& options) {
    std::vector<Generator*> all{&default_generator()};
    const auto add = [&](Generator* g) {
      if (g && std::find(all.begin(), all.end(), g) == all.end()) all.push_back(g);
    };
    add(data.generator());
    for (Generator* g : options.generators) add(g);
    return all;
  }

  // Before the training, not after its first epoch.
  void check_watched() const {
    const std::string watched = watched_name();
    std::string known;
    const auto is = [&](const std::string& name) {
      known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", name);
      return name == watched;
    };
    std::vector<std::string> quantities{"loss"};
    for (const Metric& metric : options_.metrics) quantities.push_back(metric.name());
    for (const std::string& quantity : quantities)
      if (is("train " + quantity) || (options_.validation && is(fmt::format("{} {}", options_.validation_name, quantity)))) return;
    throw ValueError(fmt::format("fit: best.value is \"{}\", but the values of an epoch are {}", watched, known));
  }

  // Without ranks, this process does it all.
  bool is_first() const { return !options_.ranks || options_.ranks->is_first(); }
  bool saves() const { return is_first() && !options_.checkpoint.path.empty(); }

  void begin_as_rank_0() {
    const std::vector<NamedTensor> own = is_first() ? checkpoint_->state() : std::vector<NamedTensor>();
    const std::vector<NamedTensor> state = optim::broadcast_tensors(*options_.ranks, own);
    if (!is_first()) checkpoint_->load_state(state, "the training of rank 0");
  }

  void name_parts() {
    if (saves()) {
      checkpoint_.emplace(options_.checkpoint.path, CheckpointOptions{.keep = options_.checkpoint.keep});
    } else {
      checkpoint_.emplace();
    }
    Checkpoint& c = *checkpoint_;
    c("model", model_.module())("optimizer", optimizer_)("training", state_)("history", history_);
    for (std::size_t i = 0; i < generators_.size(); ++i) c(fmt::format("generator {}", i), *generators_[i]);
    if (options_.plateau) c("plateau", *options_.plateau);
    if (options_.checkpoint.parts) options_.checkpoint.parts(c);
  }

  std::vector<Generator> generators_now() const {
    std::vector<Generator> now;
    for (const Generator* g : generators_) now.push_back(*g);
    return now;
  }
  void set_generators(const std::vector<Generator>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) *generators_[i] = values[i];
  }

  // An epoch that was interrupted draws its order once more, as it was drawn, and goes on behind what is done.
  std::unique_ptr<Batches::Epoch> begin_epoch() {
    Position& at = state_.at;
    if (at.batch == 0) {
      state_.epoch_start = generators_now();
      if (options_.rate_of_epoch) optimizer_.set_learning_rate(options_.rate_of_epoch(at.epoch));
      return data_.begin(at.epoch);
    }
    const std::vector<Generator> now = generators_now();
    set_generators(state_.epoch_start);
    std::unique_ptr<Batches::Epoch> epoch = data_.begin(at.epoch);
    for (Index i = 0; i < at.batch; ++i) epoch->skip();
    set_generators(now);
    return epoch;
  }

  // Those of this rank in the rest of the epoch.
  std::vector<Index> own_batches() const {
    const optim::Ranks& ranks = *options_.ranks;
    std::vector<Index> own;
    for (Index first = state_.at.batch; first < data_.batches(); first += options_.accumulate) {
      const optim::BlockRange range = optim::blocks_of(ranks.rank(), ranks.size(), std::min(options_.accumulate, data_.batches() - first));
      for (Index b = range.first; b < range.last; ++b) own.push_back(first + b);
    }
    return own;
  }

  // False if a signal has ended the training.
  bool run_epoch() {
    Position& at = state_.at;
    const std::string label = fmt::format("epoch {}/{}", at.epoch + 1, options_.epochs);
    std::optional<Progress> bar;
    if (options_.progress && is_first()) bar.emplace(data_.batches(), ProgressOptions{.label = label, .unit = "batch", .first = at.batch});
    model_.module().train();
    const std::unique_ptr<Batches::Epoch> epoch = begin_epoch();
    if (options_.ranks) epoch->only(own_batches());
    while (const std::optional<double> loss = options_.ranks ? shared_step(*epoch) : step(*epoch)) {
      if (bar) bar->update(at.batch, {{"loss", state_.values.loss()}});
      if (options_.after_step) options_.after_step({at.epoch + 1, at.steps, *loss, optimizer_.learning_rate()});
      if (options_.ranks ? interrupted_ : interrupted()) {
        bar.reset();
        if (saves()) checkpoint_->save();
        leave();
        return false;
      }
      const Index every = options_.checkpoint.every_steps;
      if (saves() && every > 0 && at.steps % every == 0 && at.batch < data_.batches()) checkpoint_->save();
    }
    end_epoch(bar);
    const bool ends = interrupted_on_a_rank() && at.epoch < options_.epochs;
    if (ends) leave();
    return !ends;
  }

  bool interrupted() const { return interrupts_ && interrupts_->requested(); }
  bool interrupted_on_a_rank() const {
    if (!options_.ranks) return interrupted();
    const double own = interrupted() ? 1 : 0;
    const std::vector<std::vector<double>> all = optim::gather_numbers(*options_.ranks, {&own, 1});
    return std::any_of(all.begin(), all.end(), [](const std::vector<double>& of_rank) { return of_rank[0] != 0; });
  }

  // A step of the optimizer, with the gradients of one batch or several; nothing at the end of the epoch. Returns the loss.
  std::optional<double> step(Batches::Epoch& epoch) {
    Gradients gradients;
    double loss_sum = 0, rows = 0;
    Index batches = 0;
    Batch batch;
    while (batches < options_.accumulate && epoch.next(batch)) {
      ++batches;
      const auto weight = static_cast<double>(rows_of(batch));
      Tensor prediction;
      double value;
      {
        Tape tape;
        prediction = model_(batch.x);
        const Tensor loss = loss_(prediction, batch.y);
        value = loss.item();
        if (!std::isfinite(value)) refuse(value);
        if (options_.accumulate == 1) {
          gradients = tape.gradient(loss, optimizer_.parameters());
        } else {
          gradients += tape.gradient(loss, optimizer_.parameters()) *= weight;
        }
      }
      loss_sum += weight * value;
      rows += weight;
      state_.values.add(value, batch, prediction.constant());
    }
    if (batches == 0) return {};
    if (options_.accumulate > 1 && rows > 0) gradients *= 1 / rows;
    if (options_.rate_of_step) optimizer_.set_learning_rate(options_.rate_of_step(state_.at.steps));
    optimizer_.step(gradients, options_.step);
    state_.at.batch += batches;
    ++state_.at.steps;
    return rows > 0 ? loss_sum / rows : kNan;
  }

  // The same by all ranks together: each computes its share of the batches.
  std::optional<double> shared_step(Batches::Epoch& epoch) {
    const Index blocks = std::min(options_.accumulate, data_.batches() - state_.at.batch);
    if (blocks == 0) return {};
    BlockState block_state(model_.module(), generators_);
    sums_->begin(blocks);
    const optim::BlockRange own = sums_->own();
    std::vector<double> numbers{interrupted() ? 1.0 : 0.0};
    for (Index b = 0; b < blocks; ++b) {
      if (!own.contains(b)) {
        epoch.skip();
        continue;
      }
      block_state.begin(b);
      const Batch batch = next_of(epoch);
      RunningValues values(options_.metrics);
      Tape tape;
      const Tensor prediction = model_(batch.x), loss = loss_(prediction, batch.y);
      values.add(loss.item(), batch, prediction.constant());
      sums_->add(tape, loss, values.rows());
      values.append_to(numbers);
      block_state.append_to(numbers);
    }
    const Gradients gradients = sums_->finish();
    const RunningValues of_step = merged(optim::gather_numbers(*options_.ranks, numbers), blocks, block_state);
    if (!std::isfinite(of_step.loss())) refuse(of_step.loss());
    if (options_.rate_of_step) optimizer_.set_learning_rate(options_.rate_of_step(state_.at.steps));
    optimizer_.step(gradients, options_.step);
    state_.values.merge(of_step);
    state_.at.batch += blocks;
    ++state_.at.steps;
    return of_step.loss();
  }

  // What the ranks say about the blocks of a step: whether a signal has come, then for each block its values and statistics.
  RunningValues merged(const std::vector<std::vector<double>>& numbers, Index blocks, BlockState& block_state) {
    RunningValues of_step(options_.metrics), of_block(options_.metrics);
    interrupted_ = false;
    const auto ranks = static_cast<int>(numbers.size());
    for (int r = 0; r < ranks; ++r) {
      NumberReader reader(numbers[static_cast<std::size_t>(r)]);
      interrupted_ |= reader.next() != 0;
      const optim::BlockRange range = optim::blocks_of(r, ranks, blocks);
      for (Index b = range.first; b < range.last; ++b) {
        of_block.read(reader);
        block_state.read(reader, of_block.rows());
        of_step.merge(of_block);
      }
    }
    block_state.finish();
    return of_step;
  }

  [[noreturn]] void refuse(double loss) const {
    throw Error(fmt::format("fit, epoch {}, step {}: the loss is {}, which is not a finite number; hint: try a smaller learning rate",
                            state_.at.epoch + 1, state_.at.steps + 1, loss));
  }

  void end_epoch(std::optional<Progress>& bar) {
    Position& at = state_.at;
    const std::vector<NamedResult> results = measure();
    std::vector<NamedValue> values;
    values.reserve(results.size());
    for (const NamedResult& r : results) values.push_back({r.name, r.value});
    history_.add(values);
    const EpochReport report{at.epoch + 1, options_.epochs, optimizer_.learning_rate(), values};
    const double watched = report[watched_name()];
    note_best(watched);
    if (options_.plateau) optimizer_.set_learning_rate((*options_.plateau)(watched));
    if (bar) {
      bar->update(at.batch, values);
      bar->finish();
    }
    if (!options_.log.empty() && is_first()) history_.write_csv(options_.log);
    if (options_.after_epoch) options_.after_epoch(report);
    if (options_.stop && of_rank_0(options_.stop(report))) at.stopped = 1;
    ++at.epoch;
    at.batch = 0;
    state_.values = RunningValues(options_.metrics);
    state_.epoch_start.clear();
    if (saves()) checkpoint_->save();
  }

  bool of_rank_0(bool answer) const {
    std::byte agreed{answer};
    if (options_.ranks) options_.ranks->broadcast({&agreed, 1});
    return agreed != std::byte{0};
  }

  struct NamedResult {
    std::string name;
    double value;
  };
  std::vector<NamedResult> measure() {
    std::optional<Evaluation> validation;
    if (options_.validation) {
      const EvaluationMode mode(model_.module());
      validation = options_.ranks ? score(model_, loss_, options_.validation, options_.metrics, *options_.ranks)
                                  : score(model_, loss_, options_.validation, options_.metrics);
    }
    std::vector<NamedResult> results;
    const auto add = [&](const std::string& quantity, double train, double held_out) {
      results.push_back({"train " + quantity, train});
      if (validation) results.push_back({fmt::format("{} {}", options_.validation_name, quantity), held_out});
    };
    const std::vector<double> train = state_.values.metrics();
    add("loss", state_.values.loss(), validation ? validation->loss : kNan);
    for (std::size_t i = 0; i < train.size(); ++i) add(options_.metrics[i].name(), train[i], validation ? validation->metrics[i] : kNan);
    return results;
  }

  std::string watched_name() const {
    if (!options_.best.value.empty()) return options_.best.value;
    return options_.validation ? options_.validation_name + " loss" : "train loss";
  }

  void note_best(double value) {
    Position& at = state_.at;
    const BestEpoch& o = options_.best;
    const bool better = o.larger_is_better ? value > at.best_value + o.min_change : value < at.best_value - o.min_change;
    if (std::isnan(value) || !(better || at.best_epoch == 0)) {
      ++at.since_best;
      return;
    }
    at.best_value = value;
    at.best_epoch = at.epoch + 1;
    at.since_best = 0;
    if (o.restore || o.patience > 0) state_.best = state(model_.module());
  }

  // When everything is saved: the signal ends its process, and then perhaps all ranks.
  void leave() {
    of_rank_0(true);
    if (saves()) {
      const char* const name = *interrupts_->name() ? interrupts_->name() : "a signal on another rank";
      fmt::print(stderr, "{}: stopped after step {}, in epoch {} of {}; saved in {}\n", name, state_.at.steps, state_.at.epoch + 1,
                 options_.epochs, checkpoint_->path());
    }
    interrupts_->deliver();
  }

  const Forward& model_;
  optim::Optimizer& optimizer_;
  const Loss& loss_;
  const Batches& data_;
  const FitOptions& options_;
  std::vector<Generator*> generators_;
  TrainingState state_;
  History history_;
  std::optional<DelayedInterrupts> interrupts_;
  std::optional<Checkpoint> checkpoint_;
  std::optional<optim::BlockSums> sums_;  // with ranks
  bool interrupted_ = false;              // whether a signal has come to one of the ranks, in a step
};

}  // namespace

double EpochReport::operator[](std::string_view name) const {
  std::string known;
  for (const NamedValue& v : values) {
    if (v.name == name) return v.value;
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", v.name);
  }
  throw Error(fmt::format("fit: no value of an epoch is called \"{}\"; there are {}", name, known));
}

FitResult fit(const Forward& model, optim::Optimizer& optimizer, const Loss& loss, const Batches& data, const FitOptions& options) {
  check(options, data);
  return Training(model, optimizer, loss, data, options).run();
}

Evaluation evaluate(const Forward& model, const Loss& loss, const Batches& data, std::span<const Metric> metrics) {
  if (!data) throw ValueError("evaluate: there is no data");
  const EvaluationMode mode(model.module());
  return score(model, loss, data, metrics);
}

}  // namespace wengert::nn
