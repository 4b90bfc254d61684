#pragma once
// The contents of a tape: scalar statements, tensor nodes and their interleaving. Also the functions that record operations.
#include <initializer_list>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include "autodiff/scalar/statements.h"
#include "autodiff/tape/leaves.h"
#include "autodiff/tape/operation.h"
#include "autodiff/tape/pending_products.h"
#include "autodiff/tape/stable_vector.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tape/timer.h"
#include "autodiff/tape/watch.h"

namespace wengert::detail {

/// A recorded tensor.
struct Slot {
  Cotangent cotangent;  // during a sweep
  Tensor saved;         // of an output: its value, if a rule reads it; of a leaf: the value that it is bound to, if any
  Shape shape;
  Dtype dtype;
  bool needs_cotangent = false;  // in a sweep: it is a source or depends on one
  bool is_source = false;
  bool may_defer = false;     // its cotangent may be a deferred product
  bool awaits_terms = false;  // products wait to be added to its cotangent (pending_products.h)
};

/// An input of a node.
struct Input {
  Tensor saved;                    // its value and number, if a rule reads it
  std::uint32_t index = kNoIndex;  // of a slot or, if `scalar`, of a scalar; kNoIndex: a constant
  bool scalar = false;

  bool tracked() const { return index != kNoIndex; }
};

/// A recorded operation on tensors, or a crossing between the two sides.
struct TapeNode {
  enum Kind : std::uint8_t {
    tensors,  // an operation
    stack,    // scalars become the elements of a tensor
    element   // an element of a tensor becomes a scalar
  };
  const Operation* operation;  // null for the crossings
  Index flat;                  // of `element`: which one, in row-major order
  const char* file;
  std::uint32_t line;
  std::uint32_t statements_before;  // this alone defines the order of nodes and statements
  std::uint32_t first_input;
  std::uint32_t first_output;  // a slot; for `element` a scalar
  std::uint32_t inputs;
  std::uint16_t outputs;
  Kind kind;
  bool owned;  // the operation has options, and this node owns it

  Location site() const { return {file, line}; }
};

/// Scratch arrays of a sweep for its current node. The tape keeps them from sweep to sweep.
struct SweepArrays {
  pool::Vector<Tensor> y_bar, x_bar;
  pool::Vector<Slot*> slots;  // of the inputs that need a cotangent, else null
  PendingProducts products;

  void make_room(std::uint32_t inputs, std::uint32_t outputs) {
    if (x_bar.size() < inputs) x_bar.resize(inputs), slots.resize(inputs);
    if (y_bar.size() < outputs) y_bar.resize(outputs);
  }
  void clear() { y_bar.clear(), x_bar.clear(), slots.clear(), products.clear(); }
};

/// The adjoints of a scalar for several targets at once: rows of a Jacobian (kernels/adjoints.h).
struct alignas(pool::kAlignment) RowAdjoints {
  double row[8] = {};
};

class TapeState : public StatementList<double> {
 public:
  TapeState() = default;
  ~TapeState() { release_nodes(); }

  StableVector<Slot> slots;
  StableVector<TapeNode> nodes;
  StableVector<Input> inputs;
  std::uint64_t tensor_base = 1;
  Leaves leaves;
  SweepArrays arrays;
  pool::Vector<Tensor> recorded_adjoints;     // adjoints of scalars, in a recorded sweep
  Adjoints<RowAdjoints> row_adjoints;         // in a sweep for several targets; zero between sweeps, as adjoints()
  TapeState* outer = nullptr;                 // the thread's next older live tape
  StatementWriter<double>* resume = nullptr;  // the writer that was active before this tape
  const void* thread = nullptr;
  Location opened_at;
  bool in_sweep = false;
  std::unique_ptr<TapeWatch> watch;  // null unless the tape's options ask for one
  TapeTimer* timer = nullptr;        // null unless the thread has a Profile that measures this tape

  void begin(const TapeOptions& options, Location site);
  void end() noexcept;
  /// Drops all records; their numbers are never used again.
  void discard_records();

  /// Whether the tensor is recorded here.
  bool holds(const Tensor& t) const { return t.number() - tensor_base < slots.size(); }
  /// kNoIndex for a constant and for a value of an ended tape; a TapeError for a value of another live tape and for a consumed one.
  std::uint32_t slot_of(const Tensor& t) const {
    const std::uint64_t d = t.number() - tensor_base;
    if (d < slots.size()) [[likely]]
      return static_cast<std::uint32_t>(d);
    return t.number() ? resolve_other_tensor(t) : kNoIndex;
  }
  std::uint32_t add_slot(const Shape& shape, Dtype dtype) {
    slots.emplace(Cotangent(), Tensor(), shape, dtype);
    return slots.size() - 1;
  }
  using StatementList<double>::variable;
  /// A new leaf with this value. A DtypeError unless it is floating.
  Tensor variable(const Tensor& value);
  Tensor leaf(const ParameterState& p);
  /// kNoIndex unless the parameter has been read here.
  std::uint32_t find_leaf(const ParameterState& p) const;
  /// Fixes the value that a parameter has on this tape, whatever is assigned to it later. The tape must not have read it yet.
  Tensor bind_parameter(const ParameterState& p, const Tensor& value);
  /// Makes a variable of this tape the leaf of a parameter of the same value. The tape must not have read it yet.
  void read_as(const ParameterState& p, const Tensor& variable) { leaves.add(&p, slot_of(variable)); }

  Input& input(const TapeNode& n, std::uint32_t i) { return inputs[n.first_input + i]; }
  const Input& input(const TapeNode& n, std::uint32_t i) const { return inputs[n.first_input + i]; }
  /// Whether f(input) holds for one of the node's tracked inputs.
  template <class F> bool any_input(const TapeNode& n, F&& f) const {
    for (std::uint32_t i = 0; i < n.inputs; ++i)
      if (const Input& x = input(n, i); x.tracked() && f(x)) return true;
    return false;
  }

  /// Walks all records from the last to the first: visit(node) for each node, and in between statements_down_to(s), which handles the
  /// remaining statements down to that of scalar s.
  template <class S, class V> void walk_back(S&& statements_down_to, V&& visit) {
    // [walk]
    for (std::uint32_t k = nodes.size(); k-- > 0;) {
      TapeNode& node = nodes[k];
      statements_down_to(node.statements_before);
      visit(node);
    }
    statements_down_to(1);
    // [walk]
  }
  /// The same from the first to the last: statements_up_to(s) handles those before that of scalar s.
  template <class S, class V> void walk_forward(S&& statements_up_to, V&& visit) {
    for (std::uint32_t k = 0, n = nodes.size(); k < n; ++k) {
      TapeNode& node = nodes[k];
      statements_up_to(node.statements_before);
      visit(node);
    }
    statements_up_to(next());
  }

 private:
  std::uint32_t resolve_other_tensor(const Tensor& t) const;
  void release_nodes();
  void start_timer(bool anew) noexcept;
  NumberRange tensor_numbers_;
};

/// An operation with options; its node owns it.
template <class Op> struct OwnedOperation final : Op {
  explicit OwnedOperation(Op&& op) : Op(std::move(op)) {}
  void dispose() const override { delete this; }
};
/// The only object of an operation without options.
template <class Op> inline constexpr Op stateless_operation{};

/// The records of a tape, for code that lists and explains them.
struct TapeAccess {
  static TapeState& state(const Tape& tape) { return *tape.state_; }
};

inline TapeState* active_tape() { return static_cast<TapeState*>(active_writer<double>); }

/// Whether one of the inputs is tracked on the active tape. A TapeError for consumed values and for those of other live tapes.
inline bool any_tracked(std::span<const Tensor* const> x) {
  const TapeState* tape = active_tape();
  bool any = false;
  for (const Tensor* t : x) {
    if (!t->number()) continue;
    if (tape) {
      any |= tape->slot_of(*t) != kNoIndex;
    } else {
      check_unrecorded(t->number());
    }
  }
  return any;
}

void append_node(TapeState& tape, const Operation* operation, bool owned, Location site, std::span<const Tensor* const> x,
                 std::span<Tensor> y);

/// Appends a node to the active tape if one of the inputs is tracked there, and numbers the outputs. If it throws, the tape has not
/// changed.
template <class Op> void record_all(Op&& op, Location site, std::span<const Tensor* const> x, std::span<Tensor> y) {
  using O = std::remove_cvref_t<Op>;
  if (!any_tracked(x)) return;
  if constexpr (sizeof(O) == sizeof(Operation)) {
    append_node(*active_tape(), &stateless_operation<O>, false, site, x, y);
  } else {
    append_node(*active_tape(), new OwnedOperation<O>(std::forward<Op>(op)), true, site, x, y);
  }
}

}  // namespace wengert::detail

namespace wengert {

/// Records an operation with one output, and returns the output with its number.
template <class Op> Tensor record(Op&& op, Location site, std::initializer_list<const Tensor*> x, Tensor y) {
  detail::record_all(std::forward<Op>(op), site, {x.begin(), x.size()}, {&y, 1});
  return y;
}

}  // namespace wengert
