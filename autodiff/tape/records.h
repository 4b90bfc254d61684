#pragma once
// What a tape holds: statements of the scalar side, calls of the tensor side, and how they interleave.
#include <bit>
#include <new>
#include <type_traits>

#include "autodiff/scalar/statements.h"
#include "autodiff/tape/operation.h"

namespace wengert::detail {

constexpr std::uint32_t kNoSlot = ~std::uint32_t(0);

/// An array in chunks: references stay valid while it grows, and it keeps its memory when it shrinks.
template <class T> class Chunks {
 public:
  Chunks() : bits_(static_cast<unsigned>(std::bit_width(chunk_sizes.calls) - 1)), mask_((1u << bits_) - 1) {}
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;
  ~Chunks() {
    truncate();
    for (T* c : chunks_) pool::release(c, sizeof(T) << bits_);
  }
  T& operator[](std::uint32_t i) { return chunks_[i >> bits_][i & mask_]; }
  const T& operator[](std::uint32_t i) const { return chunks_[i >> bits_][i & mask_]; }
  std::uint32_t size() const { return size_; }
  /// After this, `n` elements can be added without an exception. A TapeError where the numbers of records would run out of 32 bits.
  void reserve(std::uint32_t n) {
    if (n > chunk_sizes.most_records - size_) throw_too_many_records();
    while (capacity_ - size_ < n) {
      chunks_.reserve(chunks_.size() + 1);
      chunks_.push_back(static_cast<T*>(pool::allocate(sizeof(T) << bits_)));
      capacity_ += 1u << bits_;
    }
  }
  template <class... Parts> T& emplace(Parts&&... parts) { return *::new (&(*this)[size_++]) T{std::forward<Parts>(parts)...}; }
  void truncate() {
    if constexpr (!std::is_trivially_destructible_v<T>)
      for (std::uint32_t i = 0; i < size_; ++i) (*this)[i].~T();
    size_ = 0;
  }
  std::size_t bytes() const { return chunks_.size() * (sizeof(T) << bits_); }

 private:
  unsigned bits_, mask_;
  std::uint32_t size_ = 0;
  std::uint64_t capacity_ = 0;
  pool::Vector<T*> chunks_;
};

/// An input of a call: a tensor with the number of the recorded value that it is (0: a constant), and with elements only if a rule
/// will read them. For `stack` of scalars the number is the scalar's.
using Input = Tensor;

/// A recorded value of the tensor side.
struct Slot {
  Tensor bar;   // its cotangent, during a sweep
  Tensor kept;  // its value, with its number, if a rule will read it
  Shape shape;
  Dtype dtype;
  bool asked = false;  // it is a source or depends on one: its cotangent is wanted
  bool source = false;
  /// Whether the cotangent may be a product that is not multiplied yet, or is one (TapeState::products), and `bar` then undefined.
  enum Product : std::uint8_t { unwelcome, welcome, pending } product = unwelcome;
};

struct Call {
  union {
    const Operation* operation;  // of a tensor operation
    Index flat;                  // of `element`: which one
  };
  const char* file;
  std::uint32_t line;
  std::uint32_t statements_before;  // the whole interleaving of the two sides
  std::uint32_t first_input;
  std::uint32_t first_output;  // a slot; for `element` a scalar
  std::uint32_t inputs;
  std::uint8_t outputs;
  enum Kind : std::uint8_t { tensors, stack, element } kind;
  bool owned;  // the operation has options and is this call's own

  Call(const Operation* operation, const char* file, std::uint32_t line, std::uint32_t statements_before, std::uint32_t first_input,
       std::uint32_t first_output, std::uint32_t inputs, std::uint8_t outputs, Kind kind, bool owned)
      : operation(operation),
        file(file),
        line(line),
        statements_before(statements_before),
        first_input(first_input),
        first_output(first_output),
        inputs(inputs),
        outputs(outputs),
        kind(kind),
        owned(owned) {}

  Location where() const { return {file, line}; }
};

/// Which parameters this tape has read, and the slot of each.
class Leaves {
 public:
  struct Leaf {
    ParameterRef parameter;
    std::uint32_t slot;
  };
  std::uint32_t find(const ParameterState* p) const;
  void add(const ParameterState* p, std::uint32_t slot);
  void clear();
  /// In the order in which they were read first.
  std::span<const Leaf> all() const { return list_; }

 private:
  pool::Vector<Leaf> list_;
  pool::Vector<std::uint32_t> table_;  // open addressing into the list, 0: free; used from kLinear leaves on
};

class TapeState : public StatementList<double> {
 public:
  TapeState() = default;
  ~TapeState() { release_calls(); }

  Chunks<Slot> slots;
  Chunks<Call> calls;
  Chunks<Input> inputs;
  std::uint64_t tensor_base = 1;
  Leaves leaves;
  pool::Vector<Tensor> recorded_scalar_bars;                      // of a sweep that is recorded itself
  pool::Vector<std::pair<const Slot*, PendingProduct>> products;  // cotangents of slots, during a sweep
  TapeState* outer = nullptr;                                     // the thread's next older live tape
  StatementWriter<double>* resume = nullptr;                      // what was active before
  const void* thread = nullptr;
  Location opened_at;
  bool in_sweep = false;

  void begin(const TapeOptions& options, Location where);
  void end() noexcept;
  /// Drops all records; their numbers are never used again.
  void forget();

  /// kNoSlot for a constant and for a value of an ended tape; a TapeError for a value of another live tape or one that was consumed.
  std::uint32_t slot_of(const Tensor& t) {
    const std::uint64_t d = t.number() - tensor_base;
    if (d < slots.size()) [[likely]]
      return static_cast<std::uint32_t>(d);
    return t.number() ? foreign_tensor(t) : kNoSlot;
  }
  std::uint32_t foreign_tensor(const Tensor& t);
  std::uint32_t add_slot(const Shape& shape, Dtype dtype) {
    slots.emplace(Tensor(), Tensor(), shape, dtype);
    return slots.size() - 1;
  }
  using StatementList<double>::variable;
  /// An independent value: a DtypeError unless it is floating.
  Tensor variable(const Tensor& value);
  Tensor leaf(const ParameterState& p);
  /// Enters a parameter that has not been read yet, with a value that it has on this tape whatever becomes of it elsewhere.
  Tensor leaf_with(const ParameterState& p, const Tensor& value);

 private:
  void release_calls();
  NumberRange tensor_numbers_;
};

/// An operation with options, which its call owns.
template <class Op> struct OwnedOperation final : Op {
  explicit OwnedOperation(Op&& op) : Op(std::move(op)) {}
  void dispose() const override { delete this; }
};
/// The one object of an operation without options.
template <class Op> inline constexpr Op stateless_operation{};

inline TapeState* active_tape() { return static_cast<TapeState*>(active_writer<double>); }

/// Whether one of the inputs is tracked on the active tape. A TapeError for consumed values and for those of other live tapes.
inline bool any_tracked(std::span<const Tensor* const> x) {
  TapeState* tape = active_tape();
  bool any = false;
  for (const Tensor* t : x) {
    if (!t->number()) continue;
    if (tape) {
      any |= tape->slot_of(*t) != kNoSlot;
    } else {
      check_unrecorded(t->number());
    }
  }
  return any;
}

/// One reverse sweep, and one push forward: what Tape::gradient and Tape::jvp do.
Gradients sweep(TapeState& tape, const Source& target, std::span<const Source> sources, const GradientOptions& options,
                bool pending_products = false);
Tensor push_tangents(TapeState& tape, const Source& target, std::span<const Source> sources, std::span<const Tensor> tangents);

// ---- of ops/, for the sweeps ---

/// into += x, which has the same shape and dtype; `into` is an accumulator.
void add_in_place(Tensor& into, const Tensor& x);
/// The same, summed over the dimensions in which x has been broadcast.
void add_sum_in_place(Tensor& into, const Tensor& x, Location where);
/// The `flat`th element -> rank 0, and a rank-0 tensor -> zeros with that one element. Each is the other's rule.
Tensor pick(const Tensor& x, Index flat, Location where);
Tensor place(const Tensor& x, const Shape& shape, Index flat, Location where);

void append_call(TapeState& tape, const Operation* operation, bool owned, Location where, std::span<const Tensor* const> x,
                 std::span<Tensor> y);

/// Appends a call to the active tape, if one of the inputs is tracked there, and numbers the outputs. Nothing on the tape changes
/// before everything that can throw has succeeded.
template <class Op> void record_all(Op&& op, Location where, std::span<const Tensor* const> x, std::span<Tensor> y) {
  using O = std::remove_cvref_t<Op>;
  if (!any_tracked(x)) return;
  if constexpr (sizeof(O) == sizeof(Operation)) {
    append_call(*active_tape(), &stateless_operation<O>, false, where, x, y);
  } else {
    append_call(*active_tape(), new OwnedOperation<O>(std::forward<Op>(op)), true, where, x, y);
  }
}

}  // namespace wengert::detail

namespace wengert {

/// Records a call of one output, which it returns with its number.
template <class Op> Tensor record(Op&& op, Location where, std::initializer_list<const Tensor*> x, Tensor y) {
  detail::record_all(std::forward<Op>(op), where, {x.begin(), x.size()}, {&y, 1});
  return y;
}

}  // namespace wengert
