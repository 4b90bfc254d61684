#pragma once
// Internal.
// Writes a Wengert list. Equal subexpressions are written once, operations on constants are computed at once, and what no output and no
// guard needs is left out; none of this changes a bit of a result.
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "autodiff/program/recorded.h"

namespace wengert::detail {

/// In which precision a recording computes its values. (Operations on constants are computed in float64 always, so that a list does not
/// depend on it.)
enum class Computed { float64, float32, not_at_all };

/// The list that the calling thread records, from construction to destruction. Recorders may be nested; their values must not mix.
class Recorder {
 public:
  explicit Recorder(Computed precision);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// The next input. All of them come before the first operation.
  Recorded input(double value);
  Recorded operation(Opcode opcode, const Recorded* operands, const double* options);
  Condition condition(Opcode opcode, const Recorded* operands, Location site);
  Condition combine(Opcode opcode, const Condition& a, const Condition& b);
  Recorded where(const Condition& c, const Recorded& a, const Recorded& b);
  Recorded as_number(const Condition& c);
  static Condition as_condition(const Recorded& x) { return {x.value_, x.node_, x.recording_, {}}; }
  /// Where x is not 0, if x is a choice between a value and 0.
  std::optional<Condition> support_of(const Recorded& x);
  double guard(const Recorded& x, GuardKind kind);
  bool guard(const Condition& c);
  /// A guard of another list, whose outcome is known, on what is that value here.
  void repeat_guard(const Guard& guard, const Recorded& value);

  /// The list: the first `parameters` inputs are parameters, the others data.
  WengertList finish(std::uint32_t parameters, const std::vector<Recorded>& outputs) const;
  Computed precision() const { return precision_; }

  /// The innermost one of the calling thread; null outside.
  static Recorder* active();
  static Condition opposite(Condition c);
  static Recorded constant_operation(Opcode opcode, const Recorded* operands, const double* options);
  static Condition constant_condition(double value, Location site) { return {value, 0, 0, site}; }
  static bool is_constant(const Recorded& x) { return x.recording_ == 0; }
  static double value_of(const Recorded& x) { return x.value_; }
  static bool is_constant(const Condition& c) { return c.recording_ == 0; }
  static bool holds(const Condition& c) { return (c.value_ != 0) != c.opposite_; }

 private:
  /// Of a value: the number of an input, then of an operation; or of a constant, with the highest bit set.
  using Id = std::uint32_t;
  static constexpr Id kConstant = Id{1} << 31;
  struct Node {
    Opcode opcode;
    Id ids[3];  ///< operands, then options
    friend bool operator==(const Node&, const Node&) = default;
  };
  struct Hash {
    std::size_t operator()(const Node& n) const;
  };

  Id id_of(const Recorded& x);
  Id id_of_constant(double value);
  Id id_of_node(const Node& node);
  Recorded recorded(double value, Id id) const { return {value, id, recording_}; }
  void check_ours(std::uint32_t recording) const;
  double computed(Opcode opcode, const Recorded* operands, const double* options) const;
  void add_guard(GuardKind kind, Id id, double outcome, std::string site);

  Computed precision_;
  std::uint32_t recording_;  // the number of this recording
  Recorder* outer_;
  std::uint32_t inputs_ = 0;
  std::vector<Node> nodes_;
  std::vector<double> constants_;
  std::vector<Guard> guards_;  // their values are Ids
  std::unordered_map<Node, Id, Hash> known_nodes_;
  std::unordered_map<std::uint64_t, Id> known_constants_;
  std::unordered_map<std::uint64_t, double> known_guards_;  // by id and kind
};

}  // namespace wengert::detail
