#pragma once
// Internal.
// A tape as one list: operations on scalars and on tensors in program order, with all values that are known.
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/explain/history.h"

namespace wengert::detail {

struct TracedValue {
  enum class Kind : std::uint8_t { parameter, variable, constant, result };
  Kind kind = Kind::result;
  bool scalar = false;
  bool known = false;
  bool literal = false;  ///< a number in an expression
  double number = 0;     ///< of a scalar
  Tensor tensor = {};    ///< of a tensor: its value, if known
  Shape shape = {};
  Dtype dtype = float64;
  std::string name = {};           ///< given by the user or of a parameter; empty if it has none
  Location site = {};              ///< where it was made
  std::uint32_t index = kNoIndex;  ///< of the scalar or slot; none for constants and parts of expressions
  int step = -1;                   ///< that computes it

  bool finite() const;
};

struct TracedStep {
  std::string name = {};   ///< "log"; "stack" and "element" for crossings; "statement" for an expression that was not kept
  Location site = {};      ///< may be unknown for a statement
  Location previous = {};  ///< of a statement: the last place known before it
  std::vector<std::uint32_t> operands = {}, results = {};
  std::array<double, 2> options{};
  const TapeNode* node = nullptr;     ///< null for scalars
  std::vector<double> partials = {};  ///< of a statement
  int statement = -1;                 ///< the scalar that the expression defines, of which this is a part
  bool last = true;                   ///< the last part of its expression
  bool in_sweep = false;              ///< recorded by a sweep
};

/// What a tape holds. Valid until the tape records or consumes anything.
class Trace {
 public:
  explicit Trace(TapeState& tape);

  TapeState& tape;
  std::vector<TracedValue> values;
  std::vector<TracedStep> steps;

  /// The number of a value here; none if it is not on the tape.
  std::uint32_t of_slot(std::uint32_t slot) const { return slot < slots_.size() ? slots_[slot] : kNoIndex; }
  std::uint32_t of_scalar(std::uint32_t index) const { return index < scalars_.size() ? scalars_[index] : kNoIndex; }
  std::uint32_t of(bool scalar, std::uint32_t index) const { return scalar ? of_scalar(index) : of_slot(index); }

  /// Which values the target depends on, and which depend on the source.
  std::vector<char> needed_by(std::uint32_t target) const;
  std::vector<char> depending_on(std::uint32_t source) const;
  /// The steps on one way from a value to the target, first to last; empty if there is none.
  std::vector<int> road(std::uint32_t from, std::uint32_t target) const;

 private:
  void add_leaves();
  void add_statement(std::uint32_t index, std::vector<std::pair<std::uint32_t, double>>& arguments);
  void add_formula(std::uint32_t index, const Formula& formula, const std::vector<std::pair<std::uint32_t, double>>& arguments);
  void add_node(std::uint32_t k);
  void find_known_tensors();
  std::uint32_t scalar_leaf(std::uint32_t index);
  std::uint32_t add(TracedValue value) {
    values.push_back(std::move(value));
    return static_cast<std::uint32_t>(values.size() - 1);
  }

  std::vector<std::uint32_t> slots_, scalars_;
};

/// The derivatives of a target with respect to all values of a trace.
class TracedSweep {
 public:
  /// Called after the rule of a step: the cotangents that it was given, and those that it gave for the operands.
  struct Visitor {
    virtual ~Visitor() = default;
    virtual void tensors(int step, std::span<const Tensor> y_bar, std::span<const Tensor> x_bar) = 0;
    virtual void scalars(int step, double y_bar, std::span<const double> x_bar) = 0;
    virtual void failed(int step) = 0;  ///< the rule threw; called in its handler
  };

  TracedSweep(Trace& trace, std::uint32_t target, const Tensor& seed, Visitor* visitor = nullptr);

  double scalar(std::uint32_t value) const { return scalars_[value]; }
  /// Undefined where no cotangent arrived.
  const Tensor& tensor(std::uint32_t value) const { return tensors_[value]; }
  /// The partial derivatives of a step of scalars.
  const std::vector<double>& partials(int step) const { return partials_[static_cast<std::size_t>(step)]; }

 private:
  void step_of_scalars(Trace& trace, int step, Visitor* visitor);
  void step_of_tensors(Trace& trace, int step, Visitor* visitor);

  std::vector<double> scalars_;
  std::vector<Tensor> tensors_;
  std::vector<std::vector<double>> partials_;
  bool active_ = false;  // the adjoint of the statement whose parts the sweep visits is not 0
};

/// The partial derivatives of an elementary function of numbers, by its rule for a cotangent m.
std::vector<double> rule_of(const std::string& name, const std::array<double, 2>& options, std::span<const double> x, double y, double m);

}  // namespace wengert::detail
