#pragma once
// Internal.
// What a tape with .formulas or .check_finite has shown: the watch of tape/watch.h.
#include <array>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "autodiff/tape/records.h"

namespace wengert::detail {

/// A node of a kept expression, in postfix order.
struct KeptStep {
  const ListedFunction* function = nullptr;
  std::array<double, 2> options{};
  double value = 0;
  std::uint32_t scalar = 0;  ///< of a leaf: its index; 0 for a constant
  bool literal = false;
};

/// An expression of Scalars that became a statement.
struct Formula {
  std::vector<KeptStep> steps = {};
  Location site = {};      ///< unknown for `y = ...` and `y += ...`, which no C++ can locate
  Location previous = {};  ///< the last place known before it
};

class History final : public TapeWatch {
 public:
  using TapeWatch::TapeWatch;

  struct Number {
    double value = 0;
    Location site;
  };
  std::unordered_map<std::uint32_t, Formula> formulas_of;           ///< by scalar
  std::unordered_map<std::uint32_t, Number> numbers;                ///< values of scalars
  std::unordered_map<std::uint32_t, Tensor> tensors;                ///< values of slots
  std::unordered_map<std::uint32_t, Location> variables;            ///< slots of variables
  std::unordered_map<std::uint32_t, std::vector<Tensor>> operands;  ///< by node
  std::unordered_map<std::uint64_t, std::string> names;             ///< by the number of the value
  std::vector<bool> in_sweep;                                       ///< by node: it was recorded by a sweep

  void before_operation(TapeState& tape, const Operation& operation, Location site, std::span<const Tensor* const> x,
                        std::span<const Tensor> y) override;
  void after_operation(TapeState& tape, std::span<const Tensor* const> x, std::span<const Tensor> y) noexcept override;
  void before_stack(TapeState& tape, std::span<const double> x, const Tensor& y, Location site) override;
  void after_stack(TapeState& tape, std::span<const double> x, const Tensor& y) noexcept override;
  void before_element(TapeState& tape, const Tensor& x, Location site) override;
  void after_element(TapeState& tape, const Tensor& x, std::uint32_t index, double value) noexcept override;
  void before_statement(TapeState& tape, std::span<const ExpressionStep> steps, Location site) override;
  void after_statement(TapeState& tape, std::uint32_t index, std::span<const ExpressionStep> steps, Location site) noexcept override;
  void variable(TapeState& tape, std::uint32_t index, double value, Location site) override;
  void variable(TapeState& tape, const Tensor& value, Location site) override;
  void after_sweep(TapeState& tape, const Source& target, std::uint32_t target_index, const Tensor& seed,
                   std::span<const Source> sources) override;
  void discard() noexcept override;
  /// The last place that is known.
  Location last_site() const { return last_site_; }

 private:
  void saw(Location site) {
    if (site.line) last_site_ = site;
  }
  void note_node(const TapeState& tape) {
    in_sweep.resize(tape.nodes.size());
    in_sweep.back() = tape.in_sweep;
  }

  Location last_site_;
};

/// The history of a tape; null if it keeps none.
inline History* history_of(const TapeState& tape) { return static_cast<History*>(tape.watch.get()); }

}  // namespace wengert::detail
