#include "autodiff/explain/diagnose.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "autodiff/explain/autopsy.h"
#include "autodiff/explain/finite.h"
#include "autodiff/explain/reading.h"
#include "autodiff/program/opcode.h"
#include "autodiff/tape/sources.h"
#include "autodiff/tape/sweep_scope.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {
namespace {

// ---- advice -----------------------------------------------------------------------------------------------------------------

// What the usual causes look like.
struct Symptom {
  std::string operation = {};
  bool backward = false;
  double value = 0;
  std::vector<double> operands = {};
  bool cotangent_is_zero = false;
};

constexpr const char* kMadePositive = "Look at how the operand was made; exp, softplus and square give results that are not negative.";
constexpr const char* kSmallNumber = "Add a small number to the denominator, or choose the denominator with where().";

std::string advice_for_logarithm(const Symptom& s) {
  const char* cause = "The logarithm of 0 or less.";
  if (s.operands.size() == 1 && s.operation != "logit") {
    const double x = s.operation == "log1p" ? 1 + s.operands[0] : s.operands[0];
    if (x == 0) cause = "The logarithm of 0.";
    if (x < 0) return fmt::format("The logarithm of a negative number. {}", kMadePositive);
  }
  return fmt::format("{} Use log_softmax or a loss that takes logits, which never form it, or log(x + 1e-12).", cause);
}

std::string advice_for_root(const Symptom& s) {
  if (s.backward) return "The slope of the square root is infinite at 0: sqrt(x + 1e-12).";
  if (s.operation == "rsqrt" && s.operands.size() == 1 && s.operands[0] == 0) return "1 / sqrt(0): rsqrt(x + 1e-12).";
  // What rounding leaves of a difference of equal numbers is small.
  if (s.operands.size() == 1 && s.operands[0] < -1e-4) return fmt::format("The square root of a negative number. {}", kMadePositive);
  const char* cause = s.operands.size() == 1 && s.operands[0] < 0 ? "The square root of a negative number."
                                                                  : "The square root of a negative number, or 1 / sqrt(0).";
  return fmt::format("{} A difference of equal numbers may be -1e-17: clamp it at 0.", cause);
}

std::string advice_for_quotient(const Symptom& s) {
  const bool known = !s.backward && s.operands.size() == (s.operation == "divide" ? 2 : 1);
  if (!known) return fmt::format("A division by 0, or by a number so small that the quotient overflows. {}", kSmallNumber);
  const double above = s.operation == "divide" ? s.operands[0] : 1, below = s.operands.back();
  if (above == 0 && below == 0)
    return "0 / 0. Where the quotient has a limit there, choose both with where(): where(d == 0, limit, n / where(d == 0, 1, d)).";
  if (below == 0) return fmt::format("A division by 0. {}", kSmallNumber);
  return fmt::format("The quotient overflows, because the denominator is so small. {}", kSmallNumber);
}

std::string advice_for_power(const Symptom& s) {
  if (s.backward || s.operands.size() != 2) return "The power of a negative number, of 0 with a negative exponent, or one that overflows.";
  if (s.operands[0] == 0) return "0 to a negative power, which is a division by 0.";
  return std::isnan(s.value) ? "A negative number to a power that is no integer: take the power of its magnitude." : "The power overflows.";
}

std::string advice(const Symptom& s) {
  const bool infinite_operands = std::count_if(s.operands.begin(), s.operands.end(), [](double x) { return std::isinf(x); }) > 0;
  if (s.backward && s.cotangent_is_zero)
    return "0 times infinity: nothing downstream uses this element, as where() does with the side that it does not take, but its slope is "
           "infinite. Apply where to the operand, not to the result: sqrt(where(x > 0, x, 1)).";
  if (infinite_operands && std::isnan(s.value) && one_of(s.operation, {"add", "subtract", "multiply", "divide"})) {
    if (s.operation == "multiply") return "0 times infinity. Look for what made the infinity.";
    return fmt::format("Infinity {} infinity. Look for what made them, an overflow of exp as a rule.",
                       s.operation == "divide" ? "divided by" : "minus");
  }
  if (one_of(s.operation, {"log", "log2", "log10", "log1p", "logit"})) return advice_for_logarithm(s);
  if (one_of(s.operation, {"sqrt", "rsqrt", "norm", "std"})) return advice_for_root(s);
  if (one_of(s.operation, {"divide", "reciprocal"})) return advice_for_quotient(s);
  if (one_of(s.operation, {"pow", "power"})) return advice_for_power(s);
  if (one_of(s.operation, {"exp", "exp2", "expm1", "sinh", "cosh"}))
    return "exp overflows above 709 in float64 and above 88 in float32: subtract the maximum first, as softmax and logsumexp do.";
  if (infinite_operands && std::isnan(s.value))
    return "Infinity minus infinity, 0 times infinity or a quotient of infinities. Look for what made them, an overflow of exp as a rule.";
  if (s.backward) return "The slope is not finite at these operands.";
  return "The result overflows. Where parameters have grown over the last steps, the rate was too large some steps ago.";
}

// ---- the report -------------------------------------------------------------------------------------------------------------

struct Report {
  std::string operation = {};
  bool backward = false;
  Location site = {};
  std::string place = {};
  std::vector<std::string> operands = {};  // a line each
  std::string element = {};                // "(0, 1)"; empty for a Scalar
  std::string which = {};                  // "of the result", "of the cotangent of operand 0"
  Symptom symptom = {};
  std::string road = {}, doubt = {};
  const Diagnosis* inside = nullptr;
};

Diagnosis finish(const Report& r) {
  Diagnosis d{.found = true,
              .backward = r.backward,
              .operation = r.operation,
              .site = r.site,
              .element = r.element,
              .value = r.symptom.value,
              .operands = r.symptom.operands};
  std::string& t = d.text;
  t = r.backward ? fmt::format("{}, called at {}: its derivative is the first that is not finite\n", r.operation, r.place)
                 : fmt::format("{} at {}: its result is the first that is not finite although its operands are\n", r.operation, r.place);
  if (const std::optional<std::string> line = source_line(r.site)) t += fmt::format("{:>6} | {}\n", r.site.line, *line);
  for (const std::string& operand : r.operands) t += fmt::format("       | {}\n", operand);
  std::string from;
  for (std::size_t i = 0; i < r.symptom.operands.size(); ++i)
    from += fmt::format("{}{}", i ? ", " : "", number_text(r.symptom.operands[i]));
  t += r.element.empty() ? fmt::format("  {} is {}", r.which, number_text(r.symptom.value))
                         : fmt::format("  element {} {} is {}", r.element, r.which, number_text(r.symptom.value));
  if (!from.empty())
    t += r.backward ? fmt::format(", at the operand{} {}", r.symptom.operands.size() > 1 ? "s" : "", from) : ", from " + from;
  t += "\n";
  if (!r.doubt.empty()) t += r.doubt;
  if (r.inside) {
    t += "  inside it:\n";
    std::string_view rest = r.inside->text;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find('\n'), rest.size() - 1);
      t += fmt::format("    {}", rest.substr(0, end + 1));
      rest.remove_prefix(end + 1);
    }
    d.operation = r.inside->operation;
    d.site = r.inside->site;
    d.element = r.inside->element;
    d.value = r.inside->value;
    d.operands = r.inside->operands;
    d.backward = r.inside->backward;
  } else {
    t += fmt::format("  {}\n", advice(r.symptom));
  }
  if (!r.road.empty()) t += fmt::format("  the way to the loss: {}\n", r.road);
  return d;
}

std::string operand_text(std::size_t i, std::size_t n, const Tensor& x, const std::string& name) {
  const std::string who = name.empty() ? (n > 1 ? fmt::format("operand {}", i) : "operand") : name;
  return x.defined() ? fmt::format("{} {}", who, describe(x)) : fmt::format("{}, whose value the tape does not keep", who);
}

// Runs the operation again on a tape that checks it, to find the operation inside it that is at fault.
std::optional<Diagnosis> look_inside(const Operation& operation, Location site, std::span<const Tensor> x, std::size_t results) {
  if (opcode_named(operation.name())) return std::nullopt;  // an elementwise function has no inside
  if (std::any_of(x.begin(), x.end(), [](const Tensor& t) { return !t.defined(); })) return std::nullopt;
  try {
    const bool before = std::exchange(checking_inner_tapes, true);
    struct Restore {
      bool before;
      ~Restore() { checking_inner_tapes = before; }
    } const restore{before};
    Tape inner({.isolated = true, .check_finite = true});
    std::vector<Tensor> again, y(results);
    for (const Tensor& each : x) again.push_back(is_floating(each.dtype()) ? inner.variable(each.constant(), site) : each.constant());
    operation.recompute(again, y);
  } catch (const FoundNotFinite& found) {
    return found.diagnosis;
  } catch (const Error&) {  // what cannot be repeated cannot be looked into
    return std::nullopt;
  }
  return std::nullopt;
}

// ---- a recorded tape --------------------------------------------------------------------------------------------------------

class Autopsy {
 public:
  Autopsy(TapeState& tape, bool scalar, std::uint32_t index) : trace_(tape), target_(trace_.of(scalar, index)) {
    if (target_ != kNoIndex) needed_ = trace_.needed_by(target_);
  }
  Trace& trace() { return trace_; }
  std::uint32_t target() const { return target_; }

  std::optional<Diagnosis> forward() {
    std::vector<int> unknown;
    for (std::size_t s = 0; s < trace_.steps.size(); ++s) {
      const TracedStep& step = trace_.steps[s];
      if (std::none_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return needed_[v]; })) continue;
      if (step.node && step.node->kind == TapeNode::element) continue;
      const bool known = std::all_of(step.results.begin(), step.results.end(), [&](std::uint32_t v) { return trace_.values[v].known; });
      if (!known) {
        unknown.push_back(static_cast<int>(s));
        continue;
      }
      if (std::optional<Report> report = fault(step)) {
        // Where an operand is unknown, a leaf that is not finite explains more.
        if (doubtful(step))
          if (std::optional<Diagnosis> leaf = unfit_leaf({})) return leaf;
        add_context(*report, step, unknown);
        const std::optional<Diagnosis> inside = inside_of(step);
        if (inside) report->inside = &*inside;
        return finish(*report);
      }
    }
    return unfit_leaf(unknown);
  }

  std::optional<Diagnosis> backward(const Tensor& seed) {
    struct Check final : TracedSweep::Visitor {
      explicit Check(Autopsy& autopsy) : autopsy(autopsy) {}
      void tensors(int s, std::span<const Tensor> y_bar, std::span<const Tensor> x_bar) override {
        if (found) return;
        const TracedStep& step = autopsy.trace_.steps[static_cast<std::size_t>(s)];
        for (const Tensor& each : y_bar)
          if (!all_finite(each)) return autopsy.fault_of_sum(step, each, found);
        for (std::size_t i = 0; i < x_bar.size(); ++i)
          if (!all_finite(x_bar[i])) return autopsy.fault_of_rule(step, i, y_bar, x_bar[i], found);
      }
      void scalars(int s, double y_bar, std::span<const double> x_bar) override {
        if (found || !std::isfinite(y_bar)) return;
        const TracedStep& step = autopsy.trace_.steps[static_cast<std::size_t>(s)];
        for (std::size_t i = 0; i < x_bar.size(); ++i)
          if (!std::isfinite(x_bar[i])) return autopsy.fault_of_rule(step, i, y_bar, x_bar[i], found);
      }
      void failed(int s) override {
        const TracedStep& step = autopsy.trace_.steps[static_cast<std::size_t>(s)];
        try {
          throw;
        } catch (const FoundNotFinite& inner) {
          if (found) return;
          Report report = autopsy.begin(step, true);
          report.which = "of a result";
          report.symptom.value = inner.diagnosis.value;
          report.element = inner.diagnosis.element;
          report.inside = &inner.diagnosis;
          found = finish(report);
        }
      }
      Autopsy& autopsy;
      std::optional<Diagnosis> found;
    } check(*this);
    const bool before = std::exchange(checking_inner_tapes, true);
    struct Restore {
      bool before;
      ~Restore() { checking_inner_tapes = before; }
    } const restore{before};
    const TracedSweep adjoints(trace_, target_, seed, &check);
    return check.found;
  }

 private:
  Report begin(const TracedStep& step, bool backward) const {
    Report r{.operation = step.name == "statement" ? "an expression of Scalars" : step.name,
             .backward = backward,
             .site = place_of(trace_, step),
             .place = place_text(trace_, step)};
    r.symptom.operation = step.name;
    r.symptom.backward = backward;
    if (step.node)
      for (std::size_t i = 0; i < step.operands.size(); ++i) {
        const TracedValue& x = trace_.values[step.operands[i]];
        if (!x.scalar) r.operands.push_back(operand_text(i, step.operands.size(), x.tensor, x.name));
      }
    r.road = road_text(step);
    return r;
  }

  std::optional<Report> fault(const TracedStep& step) const {
    if (!step.node) {
      const double y = trace_.values[step.results[0]].number;
      if (std::isfinite(y) || step.name == "statement") return std::nullopt;
      std::vector<double> x;
      for (std::uint32_t v : step.operands) x.push_back(trace_.values[v].number);
      const bool finite = std::all_of(x.begin(), x.end(), [](double each) { return std::isfinite(each); });
      const bool nan = std::any_of(x.begin(), x.end(), [](double each) { return std::isnan(each); });
      if (!finite && (nan || !std::isnan(y))) return std::nullopt;
      Report r = begin(step, false);
      r.which = "the result";
      r.symptom.value = y;
      r.symptom.operands = x;
      return r;
    }
    std::vector<Tensor> operands, y;
    for (std::uint32_t v : step.operands) operands.push_back(value_as_tensor(v));
    for (std::uint32_t v : step.results) y.push_back(trace_.values[v].tensor);
    std::vector<const Tensor*> x;
    x.reserve(operands.size());
    for (const Tensor& t : operands) x.push_back(&t);
    const std::optional<Fault> f = fault_of(step.name, x, y);
    if (!f) return std::nullopt;
    Report r = begin(step, false);
    r.element = position_text(y[static_cast<std::size_t>(f->result)].shape(), f->flat);
    r.which = f->result ? fmt::format("of result {}", f->result) : "of the result";
    r.symptom.value = f->value;
    r.symptom.operands = f->operands;
    return r;
  }
  Tensor value_as_tensor(std::uint32_t v) const {
    const TracedValue& value = trace_.values[v];
    return value.scalar && value.known ? Tensor::full({}, value.number, float64) : value.tensor;
  }

  std::optional<Diagnosis> inside_of(const TracedStep& step) const {
    if (!step.node || !step.node->operation) return std::nullopt;
    std::vector<Tensor> x;
    for (std::uint32_t v : step.operands) x.push_back(trace_.values[v].tensor);
    std::optional<Diagnosis> d = look_inside(*step.node->operation, step.site, x, step.results.size());
    return d && (d->operation != step.name || d->site.line != step.site.line) ? d : std::nullopt;
  }

  void fault_of_rule(const TracedStep& step, std::size_t i, std::span<const Tensor> y_bar, const Tensor& x_bar,
                     std::optional<Diagnosis>& found) const {
    Index flat = 0;
    while (std::isfinite(x_bar.element(flat))) ++flat;
    Report r = begin(step, true);
    r.element = position_text(x_bar.shape(), flat);
    r.which = step.operands.size() > 1 ? fmt::format("of the cotangent of operand {}", i) : "of the cotangent of the operand";
    r.symptom.value = x_bar.element(flat);
    for (std::uint32_t v : step.operands)
      if (const Tensor& x = trace_.values[v].tensor; x.defined() && x.shape() == x_bar.shape())
        r.symptom.operands.push_back(x.element(flat));
    if (y_bar.size() == 1 && y_bar[0].shape() == x_bar.shape()) r.symptom.cotangent_is_zero = y_bar[0].element(flat) == 0;
    found = finish(r);
  }
  void fault_of_rule(const TracedStep& step, std::size_t i, double y_bar, double x_bar, std::optional<Diagnosis>& found) const {
    Report r = begin(step, true);
    r.which = step.operands.size() > 1 ? fmt::format("the adjoint of operand {}", i) : "the adjoint of the operand";
    r.symptom.value = x_bar;
    for (std::uint32_t v : step.operands)
      if (trace_.values[v].known) r.symptom.operands.push_back(trace_.values[v].number);
    r.symptom.cotangent_is_zero = y_bar == 0;
    found = finish(r);
  }
  void fault_of_sum(const TracedStep& step, const Tensor& y_bar, std::optional<Diagnosis>& found) const {
    Index flat = 0;
    while (std::isfinite(y_bar.element(flat))) ++flat;
    Report r = begin(step, true);
    r.operation = fmt::format("the sum of cotangents of the result of {}", step.name);
    r.element = position_text(y_bar.shape(), flat);
    r.which = "of the cotangent of the result";
    r.symptom.value = y_bar.element(flat);
    found = finish(r);
  }

  bool doubtful(const TracedStep& step) const {
    return std::any_of(step.operands.begin(), step.operands.end(), [&](std::uint32_t v) { return !trace_.values[v].known; });
  }
  // Names what the tape does not keep, if the fault may have been there already.
  void add_context(Report& report, const TracedStep& step, const std::vector<int>& unknown) const {
    if (!doubtful(step) || unknown.empty()) return;
    report.doubt = "  The tape does not keep all operands. It may have been an earlier operation:";
    for (std::size_t k = unknown.size() > 5 ? unknown.size() - 5 : 0; k < unknown.size(); ++k) {
      const TracedStep& other = trace_.steps[static_cast<std::size_t>(unknown[k])];
      report.doubt += fmt::format(" {} at {};", other.name, place_text(trace_, other));
    }
    report.doubt += " a tape opened with Tape tape({.formulas = true}) shows which.\n";
  }

  // A parameter, variable or constant that is not finite, where no operation is at fault.
  std::optional<Diagnosis> unfit_leaf(const std::vector<int>& unknown) const {
    for (std::uint32_t v = 0; v < trace_.values.size(); ++v) {
      const TracedValue& value = trace_.values[v];
      if (!needed_[v] || value.step >= 0 || !value.known || value.finite()) continue;
      Diagnosis d{.found = true, .site = value.site};
      d.operation = value.kind == TracedValue::Kind::parameter  ? "parameter " + value.name
                    : value.kind == TracedValue::Kind::variable ? "a variable"
                                                                : "a constant";
      Index flat = 0;
      if (!value.scalar) {
        while (std::isfinite(value.tensor.element(flat))) ++flat;
        d.element = position_text(value.shape, flat);
      }
      d.value = value.scalar ? value.number : value.tensor.element(flat);
      d.text = fmt::format("{} made at {} is not finite when the tape reads it: {}{}\n", d.operation, to_string(value.site),
                           d.element.empty() ? "" : "element " + d.element + " is ", number_text(d.value));
      d.text += value.kind == TracedValue::Kind::parameter
                    ? "  An update some steps ago made it so: a rate that is too large, or a gradient that was not finite.\n"
                    : "  Look at the data: a missing value, or a division by a deviation of 0.\n";
      return d;
    }
    if (unknown.empty()) return std::nullopt;
    const TracedStep& last = trace_.steps[static_cast<std::size_t>(unknown.back())];
    Diagnosis d{.found = true, .operation = last.name, .site = place_of(trace_, last)};
    d.value = std::numeric_limits<double>::quiet_NaN();
    d.text =
        "The loss is not finite, but this tape does not keep the values that show where it happened. Open it with Tape tape({.formulas = "
        "true}).\n";
    std::string candidates;
    for (int s : unknown) {
      const TracedStep& step = trace_.steps[static_cast<std::size_t>(s)];
      if (place_of(trace_, step).line || step.previous.line)
        candidates += fmt::format("{}{} at {}", candidates.empty() ? "" : ", ", step.name, place_text(trace_, step));
    }
    if (!candidates.empty()) d.text += fmt::format("  Operations whose values are missing: {}\n", candidates);
    return d;
  }

  std::string road_text(const TracedStep& step) const {
    const std::vector<int> road = trace_.road(step.results[0], target_);
    std::string text;
    for (std::size_t k = 0; k < road.size(); ++k) {
      if (road.size() > 8 && k == 4) {
        text += fmt::format(", {} more", road.size() - 8);
        k = road.size() - 4;
      }
      const TracedStep& next = trace_.steps[static_cast<std::size_t>(road[k])];
      text += fmt::format("{}{} at {}", text.empty() ? "" : ", ", next.name, place_text(trace_, next));
    }
    return text;
  }

  Trace trace_;
  std::uint32_t target_;
  std::vector<char> needed_;
};

Diagnosis diagnose_loss(TapeState& tape, const Source& loss, const Tensor& value) {
  check_thread(tape, "diagnose");
  const std::uint32_t index = find(tape, loss);
  if (index == kNoIndex)
    throw TapeError("diagnose: the loss is not on this tape; hint: it depends on no parameter and no variable, or the tape has ended");
  const PauseForSweep pause(true);
  Autopsy autopsy(tape, loss.scalar, index);
  TracedValue& target = autopsy.trace().values[autopsy.target()];
  target.known = true;
  if (loss.scalar) {
    target.number = value.item();
  } else {
    target.tensor = value.constant();
  }
  std::optional<Diagnosis> found;
  if (!all_finite(value)) found = autopsy.forward();
  if (!found) found = autopsy.backward({});
  if (found) return *found;
  Diagnosis fine;
  fine.text = "The loss and all derivatives are finite.\n";
  return fine;
}

}  // namespace

// ---- while the tape records -------------------------------------------------------------------------------------------------

void check_operation(TapeState& tape, const Operation& operation, Location site, std::span<const Tensor* const> x,
                     std::span<const Tensor> y) {
  if (std::all_of(y.begin(), y.end(), [](const Tensor& t) { return all_finite(t); })) return;
  const std::optional<Fault> f = fault_of(operation.name(), x, y);
  if (!f) return;
  Report r{.operation = operation.name(), .site = site, .place = to_string(site)};
  if (tape.in_sweep) r.place += ", in its derivative";
  for (std::size_t i = 0; i < x.size(); ++i) r.operands.push_back(operand_text(i, x.size(), *x[i], ""));
  r.element = position_text(y[static_cast<std::size_t>(f->result)].shape(), f->flat);
  r.which = f->result ? fmt::format("of result {}", f->result) : "of the result";
  r.symptom = {.operation = operation.name(), .value = f->value, .operands = f->operands};
  std::vector<Tensor> operands;
  for (const Tensor* each : x) operands.push_back(each->constant());
  const std::optional<Diagnosis> inside = look_inside(operation, site, operands, y.size());
  if (inside && (inside->operation != r.operation || inside->site.line != site.line)) r.inside = &*inside;
  throw FoundNotFinite(finish(r));
}

void check_stack(std::span<const double> x, const Tensor& y, Location site) {
  for (Index i = 0; i < y.size(); ++i) {
    const double from = x[static_cast<std::size_t>(i)];
    if (std::isfinite(y.element(i)) || !std::isfinite(from)) continue;
    Report r{
        .operation = "stack", .site = site, .place = to_string(site), .element = position_text(y.shape(), i), .which = "of the result"};
    r.symptom = {.operation = "stack", .value = y.element(i), .operands = {from}};
    throw FoundNotFinite(finish(r));
  }
}

void check_statement(TapeState& tape, const History& history, std::span<const ExpressionStep> steps, Location site) {
  if (std::isfinite(steps.back().value)) return;
  // The operands of a step are the roots of the trees before it.
  std::vector<double> stack;
  for (const ExpressionStep& step : steps) {
    if (!step.function) {
      stack.push_back(step.value);
      continue;
    }
    const std::vector<double> x(stack.end() - step.function->operands, stack.end());
    stack.resize(stack.size() - x.size());
    stack.push_back(step.value);
    const bool finite = std::all_of(x.begin(), x.end(), [](double each) { return std::isfinite(each); });
    const bool nan = std::any_of(x.begin(), x.end(), [](double each) { return std::isnan(each); });
    if (std::isfinite(step.value) || (!finite && (nan || !std::isnan(step.value)))) continue;
    Report r{.operation = step.function->name, .site = site, .which = "the result"};
    r.place = site.line ? to_string(site) : history.last_site().line ? "a line after " + to_string(history.last_site()) : "an unknown line";
    r.symptom = {.operation = r.operation, .value = step.value, .operands = x};
    static_cast<void>(tape);
    throw FoundNotFinite(finish(r));
  }
}

void check_gradients(TapeState& tape, const Source& target, std::uint32_t target_index, const Tensor& seed,
                     std::span<const Source> sources) {
  bool finite = true;
  for (const Source& s : sources) {
    const std::uint32_t index = find(tape, s);
    if (index == kNoIndex) continue;
    if (s.scalar) {
      finite &= std::isfinite(tape.adjoints()[index]);
    } else if (tape.slots[index].cotangent.defined()) {
      finite &= all_finite(tape.slots[index].cotangent.value());
    }
  }
  if (finite) return;
  // The rules must neither add to what the sweep has left nor leave products undone.
  pool::Vector<Cotangent> left;
  left.reserve(tape.slots.size());
  for (std::uint32_t k = 0; k < tape.slots.size(); ++k) {
    left.push_back(std::exchange(tape.slots[k].cotangent, Cotangent()));
    tape.slots[k].may_defer = false;
  }
  Autopsy autopsy(tape, target.scalar, target_index);
  if (std::optional<Diagnosis> d = autopsy.backward(seed)) throw FoundNotFinite(*d);
  for (std::uint32_t k = 0; k < tape.slots.size(); ++k) tape.slots[k].cotangent = std::move(left[k]);
}

}  // namespace wengert::detail

namespace wengert {

Diagnosis diagnose(Tape& tape, const Tensor& loss) {
  return detail::diagnose_loss(detail::TapeAccess::state(tape), detail::Source(loss), loss);
}
Diagnosis diagnose(Tape& tape, const Scalar& loss) {
  return detail::diagnose_loss(detail::TapeAccess::state(tape), detail::Source(loss), Tensor::full({}, loss.value(), float64));
}

}  // namespace wengert
