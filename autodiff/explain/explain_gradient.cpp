#include "autodiff/explain/explain_gradient.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "autodiff/explain/finite.h"
#include "autodiff/explain/reading.h"
#include "autodiff/program/opcode.h"
#include "autodiff/tape/sources.h"
#include "autodiff/tape/sweep_scope.h"

namespace wengert {

const char* to_string(GradientReason reason) {
  constexpr const char* kNames[] = {"flows",         "constant",      "integer",      "ended",     "consumed",  "other_tape", "not_read",
                                    "frozen",        "loss_constant", "no_path",      "cut",       "rounded",   "dead",       "saturated",
                                    "step_function", "zero_factor",   "not_selected", "underflow", "cancelled", "blocked",    "tiny"};
  return kNames[static_cast<std::size_t>(reason)];
}

namespace detail {
namespace {

constexpr double kTiny = 1e-8;
constexpr double kSaturated = 1e-3;  // of the largest slope

double largest_of(const Tensor& t) {
  if (!t.defined()) return 0;
  double most = 0;
  for (Index i = 0; i < t.size(); ++i) most = std::max(most, std::abs(t.element(i)));
  return most;
}

std::string line_text(Location site) {
  const std::optional<std::string> line = source_line(site);
  return line ? fmt::format("{:>6} | {}\n", site.line, *line) : std::string();
}

// What a step received and passed on, in magnitude.
struct Flow {
  bool visited = false;
  double received = 0;
  std::vector<double> passed;  // to each operand
};

struct Flows final : TracedSweep::Visitor {
  explicit Flows(std::size_t steps) : of(steps) {}
  void tensors(int s, std::span<const Tensor> y_bar, std::span<const Tensor> x_bar) override {
    Flow& f = of[static_cast<std::size_t>(s)];
    f.visited = true;
    for (const Tensor& each : y_bar) f.received = std::max(f.received, largest_of(each));
    for (const Tensor& each : x_bar) f.passed.push_back(largest_of(each));
  }
  void scalars(int s, double y_bar, std::span<const double> x_bar) override {
    Flow& f = of[static_cast<std::size_t>(s)];
    f.visited = true;
    f.received = std::abs(y_bar);
    for (double each : x_bar) f.passed.push_back(std::abs(each));
  }
  void failed(int) override { throw; }

  std::vector<Flow> of;
};

class Search {
 public:
  Search(Trace& trace, std::uint32_t target, std::uint32_t source)
      : trace_(trace), target_(target), source_(source), needed_(trace.needed_by(target)), depends_(trace.depending_on(source)) {}

  GradientExplanation run() {
    if (!depends_[target_]) return no_path();
    Flows flows(trace_.steps.size());
    const TracedSweep sweep(trace_, target_, {}, &flows);
    const TracedValue& w = trace_.values[source_];
    const double largest = w.scalar ? std::abs(sweep.scalar(source_)) : largest_of(sweep.tensor(source_));
    if (largest != 0 && !(largest < kTiny)) {
      GradientExplanation e = partly_dead(flows);
      e.largest = largest;
      return e;
    }
    GradientExplanation e = largest == 0 ? zeroed(flows) : smallest(flows);
    e.largest = largest;
    return e;
  }

 private:
  // A step whose operand i lies on a way from the source to the target.
  bool on_the_way(const TracedStep& step, std::size_t i) const {
    return depends_[step.operands[i]] && needed_[step.operands[i]] &&
           std::any_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return needed_[v]; });
  }

  // ---- no way to the target ---------------------------------------------------------------------------------------------------

  GradientExplanation no_path() const {
    // A constant that the target needs may be the copy of a value that was computed from the source, or have been computed from it.
    for (const TracedStep& step : trace_.steps) {
      if (std::none_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return needed_[v]; })) continue;
      for (std::uint32_t v : step.operands) {
        const TracedValue& constant = trace_.values[v];
        if (constant.kind != TracedValue::Kind::constant || constant.scalar || !constant.known) continue;
        for (std::uint32_t u = 0; u < trace_.values.size(); ++u) {
          const TracedValue& original = trace_.values[u];
          if (!depends_[u] || original.scalar || !original.known || original.kind == TracedValue::Kind::constant) continue;
          if (original.tensor.elements() != constant.tensor.elements()) continue;
          const Location site = place_of(trace_, step);
          GradientExplanation e{.reason = GradientReason::cut, .site = site};
          e.text = fmt::format("The loss does not depend on it: {} at {} takes a constant with the elements of the value made at {}.\n{}",
                               step.name, place_text(trace_, step), to_string(original.site), line_text(site));
          e.text += "  .constant(), stop_gradient() or NoRecord ends the derivative there. Use the value itself.\n";
          return e;
        }
      }
    }
    for (const TracedStep& step : trace_.steps) {
      if (std::none_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return needed_[v]; })) continue;
      for (std::uint32_t v : step.operands) {
        const TracedValue& constant = trace_.values[v];
        if (constant.kind != TracedValue::Kind::constant || constant.scalar || !constant.known) continue;
        const Location made = constant.tensor.made_at();
        const std::optional<std::string> line = source_line(made);
        const bool rounds = !is_floating(constant.dtype) ||
                            (line && (line->find("int64") != std::string::npos || line->find("boolean") != std::string::npos));
        const bool later = made.line && trace_.values[source_].site.line &&
                           std::string_view(made.file) == trace_.values[source_].site.file && made.line > trace_.values[source_].site.line;
        if (!rounds && !later) continue;
        GradientExplanation e{.reason = rounds ? GradientReason::rounded : GradientReason::cut, .site = made};
        e.text = fmt::format("The loss does not depend on it: {} at {} takes the constant {}.\n{}", step.name, place_text(trace_, step),
                             describe(constant.tensor), line_text(made));
        e.text += rounds
                      ? "  Integers, comparisons and casts to them have no derivative. Keep the value floating, or use a smooth function.\n"
                      : "  It was computed while nothing was recorded, or from constants.\n";
        return e;
      }
    }
    GradientExplanation e{.reason = GradientReason::no_path};
    const TracedStep* last = nullptr;
    for (const TracedStep& step : trace_.steps)
      if (std::any_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return depends_[v]; })) last = &step;
    e.text = "The loss does not depend on it.\n";
    if (last) {
      e.site = place_of(trace_, *last);
      e.text += fmt::format("  What was computed from it ends with {} at {}, which the loss does not use.\n{}", last->name,
                            place_text(trace_, *last), line_text(e.site));
    } else {
      e.text += "  Nothing on the tape was computed from it.\n";
    }
    return e;
  }

  // ---- zeroed on the way --------------------------------------------------------------------------------------------------------

  GradientExplanation zeroed(const Flows& flows) const {
    GradientExplanation first;
    std::string others;
    bool found = false;
    for (std::size_t s = trace_.steps.size(); s-- > 0;) {
      const TracedStep& step = trace_.steps[s];
      const Flow& flow = flows.of[s];
      if (!flow.visited || flow.received == 0) continue;
      for (std::size_t i = 0; i < flow.passed.size(); ++i) {
        if (!on_the_way(step, i) || flow.passed[i] != 0) continue;
        if (found) {
          others += fmt::format(" {} at {};", step.name, place_text(trace_, step));
        } else {
          first = blame(step, i, flow);
          found = true;
        }
      }
    }
    if (!found) {
      first.reason = GradientReason::cancelled;
      first.text = "The gradient is 0 because its terms along several ways add to 0.\n";
    } else if (!others.empty()) {
      first.text += "  Other ways end too:" + others + "\n";
    }
    return first;
  }

  GradientExplanation blame(const TracedStep& step, std::size_t i, const Flow& flow) const {
    GradientExplanation e{.reason = GradientReason::blocked, .site = place_of(trace_, step)};
    std::string why;
    const TracedValue& x = trace_.values[step.operands[i]];
    if (one_of(step.name, {"sign", "floor", "ceil", "round", "step", "trunc"})) {
      e.reason = GradientReason::step_function;
      e.share = 1;
      why = "is a step function: its slope is 0 everywhere. Use a smooth one, such as sigmoid or tanh.";
    } else if (one_of(step.name, {"where", "max", "min", "amax", "amin", "maximum", "minimum", "slice", "gather", "index", "masked_select",
                                  "element"})) {
      e.reason = GradientReason::not_selected;
      why = "selects none of these elements.";
    } else if (const std::optional<double> share = flat(step, i, 0);
               share && one_of(step.name, {"sigmoid", "tanh", "erf", "hard_sigmoid", "softsign", "log_sigmoid"})) {
      e.reason = GradientReason::saturated;
      e.share = *share;
      why = saturation(*share);
    } else if (one_of(step.name,
                      {"multiply", "matmul", "linear", "linear_relu", "dot", "conv2d", "conv2d_relu", "scale", "divide", "subtract"}) &&
               zero_operand(step, i)) {
      e.reason = GradientReason::zero_factor;
      const TracedValue& zero = *zero_operand(step, i);
      why = zero.step < 0 ? std::string(
                                "multiplies it by an exact zero. Weights that all begin at 0 may stay there: initialize them with "
                                "small random numbers.")
                          : fmt::format("multiplies it by a value that is exactly 0, computed by {} at {}.",
                                        trace_.steps[static_cast<std::size_t>(zero.step)].name,
                                        place_text(trace_, trace_.steps[static_cast<std::size_t>(zero.step)]));
    } else if (flow.received < (x.dtype == float32 ? 1e-15 : 1e-150) && !share) {
      e.reason = GradientReason::underflow;
      why =
          fmt::format("gets a cotangent of {} at most, and its product with the slope is too small for {}. Scale the loss, or use float64.",
                      number_text(flow.received), to_string(x.dtype));
    } else if (share) {
      e.share = *share;
      const Index n = x.scalar ? 1 : x.shape.size();
      why = fmt::format("passes nothing on at {:.4g}% of {} element{}: the slope is 0 there", 100 * *share, n, n == 1 ? "" : "s");
      if (one_of(step.name, {"square", "abs", "cosh"})) {
        why += ", because the operand is 0. That is its minimum.";
      } else if (step.name == "exp") {
        e.reason = GradientReason::underflow;
        why += fmt::format(", because the result is 0: the operand is below {}.", x.dtype == float32 ? -103 : -745);
      } else if (step.name == "statement") {
        why += ". To see which function it is, open the tape with {.formulas = true}.";
      } else if (step.name.find("relu") != std::string::npos || one_of(step.name, {"hardtanh", "hardsigmoid", "hardswish", "softshrink"})) {
        e.reason = GradientReason::dead;
        why += ", as for relu of negative numbers. A smaller rate, another initialization or leaky_relu keeps some alive.";
      } else {
        why += ".";
      }
    } else {
      why = "passes nothing on: its derivative is 0 here.";
    }
    e.text = fmt::format("The gradient is 0: {} at {} {}\n{}", step.name, place_text(trace_, step), why, line_text(e.site));
    return e;
  }

  static std::string saturation(double share) {
    return fmt::format("is saturated at {:.4g}% of its elements, where its slope is below {:g} of the largest. Scale its operand down.",
                       100 * share, kSaturated);
  }

  // The share of elements at which an elementwise function has a slope of at most `limit` of its largest; nothing if none has, or if
  // that is not known.
  std::optional<double> flat(const TracedStep& step, std::size_t i, double limit) const {
    const TracedValue &x = trace_.values[step.operands[i]], &y = trace_.values[step.results[0]];
    if (step.operands.size() != 1 || !opcode_named(step.name)) {
      if (!step.node && step.name == "statement" && step.partials[i] == 0) return 1;
      return std::nullopt;
    }
    if (step.node && info(*opcode_named(step.name)).options > 0) return std::nullopt;  // a node does not show its options
    // A rule that reads the result alone needs no operand, and the other way round.
    const fn::Reads reads = info(*opcode_named(step.name)).reads[0];
    const bool has_x = x.known || reads == fn::Reads::y || reads == fn::Reads::nothing;
    const bool has_y = y.known || reads == fn::Reads::x || reads == fn::Reads::nothing;
    if (!has_x || !has_y || (!x.known && !y.known)) return std::nullopt;
    const auto element = [](const TracedValue& value, Index k) { return value.scalar ? value.number : value.tensor.element(k); };
    const TracedValue &operand = x.known ? x : y, &result = y.known ? y : x;
    const double steepest = step.name == "sigmoid" ? 0.25 : 1;
    const Index n = operand.scalar ? 1 : operand.tensor.size();
    Index count = 0;
    for (Index k = 0; k < n; ++k) {
      const double at[] = {element(operand, k)};
      count += std::abs(rule_of(step.name, step.options, at, element(result, k), 1)[0]) <= limit * steepest;
    }
    if (count == 0) return std::nullopt;
    return static_cast<double>(count) / static_cast<double>(n);
  }
  // Another operand whose elements are all 0; null if there is none.
  const TracedValue* zero_operand(const TracedStep& step, std::size_t i) const {
    for (std::size_t k = 0; k < step.operands.size(); ++k) {
      const TracedValue& other = trace_.values[step.operands[k]];
      if (k == i || !other.known) continue;
      if (other.scalar ? other.number == 0 : largest_of(other.tensor) == 0) return &other;
    }
    return nullptr;
  }

  // The gradient is there: says how much of it a dead or saturated function holds back.
  GradientExplanation partly_dead(const Flows& flows) const {
    GradientExplanation e;
    e.text = "The gradient reaches it.\n";
    for (std::size_t s = trace_.steps.size(); s-- > 0;) {
      const TracedStep& step = trace_.steps[s];
      if (!flows.of[s].visited || step.operands.size() != 1 || !on_the_way(step, 0)) continue;
      const std::optional<double> share = flat(step, 0, 0);
      if (share && *share > 0.5)
        e.text +=
            fmt::format("  {} at {} passes nothing on at {:.4g}% of its elements.\n", step.name, place_text(trace_, step), 100 * *share);
    }
    return e;
  }

  // Where it shrinks most.
  GradientExplanation smallest(const Flows& flows) const {
    GradientExplanation e{.reason = GradientReason::tiny};
    double least = 1;
    const TracedStep* worst = nullptr;
    std::size_t operand = 0;
    for (std::size_t s = trace_.steps.size(); s-- > 0;) {
      const TracedStep& step = trace_.steps[s];
      const Flow& flow = flows.of[s];
      for (std::size_t i = 0; i < flow.passed.size(); ++i) {
        if (!on_the_way(step, i) || flow.received == 0 || flow.passed[i] == 0) continue;
        if (flow.passed[i] / flow.received < least) {
          least = flow.passed[i] / flow.received;
          worst = &step;
          operand = i;
        }
      }
    }
    if (!worst) {
      e.text = "The gradient is tiny because the loss depends on it so little.\n";
      return e;
    }
    e.site = place_of(trace_, *worst);
    const bool known = e.site.line || worst->previous.line;
    e.text =
        fmt::format("The gradient is tiny. It shrinks most, {} times, in {}.\n{}", number_text(1 / least),
                    known ? fmt::format("{} at {}", worst->name, place_text(trace_, *worst))
                          : "a statement whose line this tape does not keep; a tape opened with Tape tape({.formulas = true}) shows it",
                    line_text(e.site));
    const std::optional<double> share = flat(*worst, operand, kSaturated);
    if (share && *share > 0.999 && one_of(worst->name, {"sigmoid", "tanh", "erf", "softsign", "log_sigmoid"})) {
      e.reason = GradientReason::saturated;
      e.share = *share;
      e.text += fmt::format("  It {}\n", saturation(*share));
    }
    return e;
  }

  Trace& trace_;
  std::uint32_t target_, source_;
  std::vector<char> needed_, depends_;
};

GradientExplanation not_recorded(GradientReason reason, Location site, const std::string& why) {
  return {.reason = reason, .site = site, .text = why + "\n" + line_text(site)};
}

// Why a value that is not on the tape is not there.
GradientExplanation explain_absence(TapeState& tape, const Source& w) {
  if (w.parameter) {
    const std::string name = w.parameter->name.empty() ? "The parameter" : "Parameter " + w.parameter->name;
    if (w.parameter->frozen)
      return not_recorded(GradientReason::frozen, {}, name + " is frozen: it counts as a constant. freeze(false) ends that.");
    return not_recorded(
        GradientReason::not_read, {},
        name +
            " was never read on this tape. A Tensor that was taken from it before the tape was opened, or with .value(), is a constant: "
            "read the parameter itself inside the tape's scope. If the model was copied, ask about the copy's parameter.");
  }
  if (!w.scalar && !is_floating(w.tensor->dtype()))
    return not_recorded(
        GradientReason::integer, w.tensor->made_at(),
        fmt::format("{} has no derivative: only float32 and float64 do. Convert it before it becomes a variable.", describe(*w.tensor)));
  if (!w.number) {
    const Location site = w.scalar ? Location() : w.tensor->made_at();
    std::string why = w.scalar ? "The Scalar is a constant" : fmt::format("{} is a constant", describe(*w.tensor));
    Trace trace(tape);
    if (!w.scalar)
      for (const TracedValue& value : trace.values)
        if (value.kind != TracedValue::Kind::constant && value.known && !value.scalar && value.tensor.elements() == w.tensor->elements())
          return not_recorded(
              GradientReason::constant, site,
              fmt::format(
                  "{}: a copy, by .constant() or stop_gradient(), of the value that the tape knows from {}. Differentiate by that one.",
                  why, to_string(value.site)));
    return not_recorded(GradientReason::constant, site,
                        why +
                            ": it was made outside the tape or while recording was suspended (NoRecord), from constants alone, or by "
                            ".constant(). tape.variable(x) makes a source of it.");
  }
  switch (owner_of(w.number)) {
    case Owner::none:
      break;
    case Owner::this_thread:
    case Owner::another_thread:
      return not_recorded(GradientReason::other_tape, {}, "It belongs to another live tape.");
  }
  return not_recorded(
      GradientReason::ended, w.scalar ? Location() : w.tensor->made_at(),
      "It belongs to a tape that has ended, so it counts as a constant here. Make it again on this tape, with tape.variable(x).");
}

}  // namespace

GradientExplanation explain_gradient(Tape& tape, const Source& loss, const Tensor& value, const Source& w) {
  TapeState& t = TapeAccess::state(tape);
  check_thread(t, "explain_gradient");
  if (w.tensor && !w.tensor->defined()) throw_undefined("explain_gradient", "the source");
  std::uint32_t source = kNoIndex;
  try {
    source = find(t, w);
    if (source == kNoIndex && w.parameter && !w.parameter->frozen)
      static_cast<void>(find(t, loss));  // records gone: so are the parameter's
  } catch (const TapeError& e) {
    // A value of this tape's earlier records, or of another tape.
    const bool consumed = std::string_view(e.what()).find("consumed") != std::string_view::npos;
    return not_recorded(consumed ? GradientReason::consumed : GradientReason::other_tape, {}, e.what());
  }
  const PauseForSweep pause(true);
  if (source == kNoIndex) return explain_absence(t, w);
  const std::uint32_t target = find(t, loss);
  if (target == kNoIndex)
    return not_recorded(GradientReason::loss_constant, loss.scalar ? Location() : value.made_at(),
                        "The loss is not on this tape: it was computed from constants, while recording was suspended, or as integers.");
  Trace trace(t);
  const std::uint32_t from = trace.of(w.scalar, source), to = trace.of(loss.scalar, target);
  if (from == kNoIndex)  // a leaf that no operation has read
    return not_recorded(GradientReason::no_path, {}, "The loss does not depend on it.\n  Nothing on the tape was computed from it.");
  return Search(trace, to, from).run();
}

}  // namespace detail
}  // namespace wengert
