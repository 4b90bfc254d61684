#include "autodiff/tape/tape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>

#include "autodiff/tape/records.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {

template struct StatementWriter<double>;

namespace detail {
namespace {

thread_local constinit TapeState* innermost = nullptr;  // the thread's youngest live tape
thread_local constinit bool sweeping = false;           // a sweep computes: its values need no check

/// States whose memory the next tape of this thread takes over.
std::vector<std::unique_ptr<TapeState>>& spare_states() {
  static thread_local std::vector<std::unique_ptr<TapeState>> spare;
  return spare;
}

}  // namespace

// ---- values that are not of the current records -----------------------------------------------------------------------------

void throw_too_many_statements() {
  throw TapeError(
      "tape: more than 2^31 scalars on one tape; call gradient() more often, or record blocks of the program on tapes of their own");
}

void throw_too_many_records() {
  throw TapeError("tape: more than 2^32 tensor operations, inputs or results on one tape; call gradient() more often");
}

void throw_foreign_scalar(Foreign why) {
  switch (why) {
    case Foreign::consumed:
      throw TapeError("a Scalar was used after gradient() had consumed its records; pass .retain = true, or use .constant()");
    case Foreign::of_another_thread:
      throw TapeError("a Scalar of another thread's live tape was used; pass its value(), or use .constant()");
    case Foreign::of_the_outer_tape:
      break;
  }
  throw TapeError("a Scalar of the tape around this closed one was used; make it one of the inputs, or use .constant()");
}

std::uint32_t TapeState::foreign_tensor(const Tensor& x) {
  const std::string who = x.defined() ? fmt::format("the tensor {}", describe(x)) : std::string("a tensor");
  if (tensor_numbers_.contains(x.number()))
    throw TapeError(who + " was used after gradient() had consumed its records; pass .retain = true, or use .constant()");
  const Owner owner = owner_of(x.number());
  if (owner == Owner::another_thread) throw TapeError(who + " belongs to another thread's live tape; use .constant()");
  if (owner == Owner::this_thread && closed)
    throw TapeError(who + " belongs to the tape around this closed one; make it one of the inputs, or use .constant()");
  return kNoSlot;
}

void check_unrecorded(std::uint64_t number) {
  if (number && !sweeping && owner_of(number) == Owner::another_thread)
    throw TapeError("a value of another thread's live tape was used; use .constant()");
}

// ---- leaves -----------------------------------------------------------------------------------------------------------------

constexpr std::size_t kLinear = 16;
static std::size_t hash_of(const ParameterState* p) { return (reinterpret_cast<std::uintptr_t>(p) >> 4) * 0x9e3779b97f4a7c15u >> 32; }

std::uint32_t Leaves::find(const ParameterState* p) const {
  if (list_.size() <= kLinear) {
    for (const Leaf& leaf : list_)
      if (leaf.parameter.get() == p) return leaf.slot;
    return kNoSlot;
  }
  for (std::size_t i = hash_of(p);; ++i) {
    const std::uint32_t entry = table_[i & (table_.size() - 1)];
    if (!entry) return kNoSlot;
    if (list_[entry - 1].parameter.get() == p) return list_[entry - 1].slot;
  }
}

void Leaves::add(const ParameterState* p, std::uint32_t slot) {
  // What can throw comes first.
  const std::size_t size = list_.size() + 1;
  if (size > list_.capacity()) list_.reserve(std::max(kLinear, 2 * size));
  const bool rebuild = size > kLinear && (2 * size > table_.size() || size == kLinear + 1);
  if (rebuild) table_.assign(std::max<std::size_t>(64, std::bit_ceil(4 * size)), 0);

  list_.push_back({ParameterRef(const_cast<ParameterState*>(p)), slot});
  if (size <= kLinear) return;
  const auto enter = [&](std::uint32_t entry) {
    std::size_t i = hash_of(list_[entry - 1].parameter.get());
    while (table_[i & (table_.size() - 1)]) ++i;
    table_[i & (table_.size() - 1)] = entry;
  };
  if (rebuild) {
    for (std::uint32_t entry = 1; entry <= list_.size(); ++entry) enter(entry);
  } else {
    enter(static_cast<std::uint32_t>(list_.size()));
  }
}

void Leaves::clear() { list_.clear(); }

Tensor TapeState::leaf(const ParameterState& p) {
  const std::uint64_t cached = p.leaf.load(std::memory_order_relaxed) - tensor_base;  // another thread's tape may have overwritten it
  std::uint32_t slot = cached < slots.size() ? static_cast<std::uint32_t>(cached) : leaves.find(&p);
  if (slot == kNoSlot) {
    slots.reserve(1);
    leaves.add(&p, slots.size());
    slot = add_slot(p.value.shape(), p.value.dtype());
    const_cast<ParameterState&>(p).leaf.store(tensor_base + slot, std::memory_order_relaxed);
  } else if (!slots[slot].kept.defined() && (!(slots[slot].shape == p.value.shape()) || slots[slot].dtype != p.value.dtype())) {
    throw TapeError(fmt::format(
        "parameter {}: it was {} {} when this tape read it first and has become {}; open a new tape after changing its shape or dtype",
        p.name, to_string(slots[slot].shape), to_string(slots[slot].dtype), describe(p.value)));
  }
  Tensor value = slots[slot].kept.defined() ? slots[slot].kept : p.value;
  return Tensor(value.take(), tensor_base + slot);
}

Tensor TapeState::leaf_with(const ParameterState& p, const Tensor& value) {
  slots.reserve(1);
  leaves.add(&p, slots.size());
  const std::uint32_t slot = add_slot(value.shape(), value.dtype());
  slots[slot].kept = value;
  Tensor shared = value;
  return Tensor(shared.take(), tensor_base + slot);
}

// ---- the life of a tape -----------------------------------------------------------------------------------------------------

void TapeState::begin(const TapeOptions& options, Location where) {
  start(options.higher_order, options.closed);
  tensor_numbers_.open();
  tensor_base = tensor_numbers_.first();
  opened_at = where;
  thread = this_thread();
  if (active_writer<double>) active_writer<double>->close();  // no statement is open on a writer that is not active
  outer = std::exchange(innermost, this);
  resume = std::exchange(active_writer<double>, this);
}

StatementWriter<double>* if_live(StatementWriter<double>* writer) {
  for (TapeState* t = innermost; t; t = t->outer)
    if (t == writer) return writer;
  return nullptr;
}

void TapeState::end() noexcept {
  if (innermost == this) innermost = outer;
  for (TapeState* t = innermost; t; t = t->outer) {  // a tape on the heap may end out of turn
    if (t->resume == this) t->resume = resume;
    if (t->outer == this) t->outer = outer;
  }
  if (active_writer<double> == this) active_writer<double> = resume;
  const std::uint32_t used = slots.size();
  release_calls();
  tensor_numbers_.close(tensor_base + used);
  StatementList::end();
}

void TapeState::forget() {
  const std::uint32_t used = slots.size();
  release_calls();
  tensor_base = tensor_numbers_.advance(tensor_base + used);
  StatementList::forget();
}

void TapeState::release_calls() {
  for (std::uint32_t k = 0; k < calls.size(); ++k)
    if (calls[k].owned) calls[k].operation->dispose();
  calls.truncate();
  inputs.truncate();
  slots.truncate();
  leaves.clear();
  recorded_scalar_bars.clear();
}

// ---- recording --------------------------------------------------------------------------------------------------------------

void append_call(TapeState& tape, const Operation* operation, bool owned, Location where, std::span<const Tensor* const> x,
                 std::span<Tensor> y) {
  ValueSet keep = kNoValues;
  const auto inputs = static_cast<std::uint32_t>(x.size());
  const auto dispose = [](const Operation* o) { o->dispose(); };
  std::unique_ptr<const Operation, decltype(dispose)> guard(operation);
  tape.calls.reserve(1);
  tape.inputs.reserve(inputs);
  tape.slots.reserve(static_cast<std::uint32_t>(y.size()));
  for (std::uint32_t i = 0; i < inputs; ++i)
    if (tape.slot_of(*x[i]) != kNoSlot) keep |= operation->reads(static_cast<int>(i));
  static_cast<void>(guard.release());

  where = CallSite::of(where);
  const std::uint32_t first_input = tape.inputs.size(), first_output = tape.slots.size();
  for (std::uint32_t i = 0; i < inputs; ++i) {
    const bool tracked = tape.slot_of(*x[i]) != kNoSlot, kept = i < 24 && (keep & input(static_cast<int>(i)));
    Tensor value = kept ? *x[i] : Tensor();
    tape.inputs.emplace(value.take(), tracked ? x[i]->number() : 0);
  }
  for (std::size_t j = 0; j < y.size(); ++j) {
    const std::uint64_t number = tape.tensor_base + tape.add_slot(y[j].shape(), y[j].dtype());
    y[j] = Tensor(y[j].take(), number);
    if (keep & output(static_cast<int>(j))) tape.slots[first_output + static_cast<std::uint32_t>(j)].kept = y[j];
  }
  tape.calls.emplace(operation, where.file, where.line, tape.next(), first_input, first_output, inputs, static_cast<std::uint8_t>(y.size()),
                     Call::tensors, owned);
}

}  // namespace detail

const Tensor& Saved::x(int i) const { return tape_.inputs[call_.first_input + static_cast<std::uint32_t>(i)]; }
const Tensor& Saved::y(int j) const { return tape_.slots[call_.first_output + static_cast<std::uint32_t>(j)].kept; }
const Shape& Saved::y_shape(int j) const { return tape_.slots[call_.first_output + static_cast<std::uint32_t>(j)].shape; }
const Shape& Saved::x_shape(int i) const {
  const Tensor& x = this->x(i);
  return x.number() ? tape_.slots[static_cast<std::uint32_t>(x.number() - tape_.tensor_base)].shape : x.shape();
}
Dtype Saved::x_dtype(int i) const {
  const Tensor& x = this->x(i);
  return x.number() ? tape_.slots[static_cast<std::uint32_t>(x.number() - tape_.tensor_base)].dtype : x.dtype();
}
int Saved::inputs() const { return static_cast<int>(call_.inputs); }

namespace detail {
namespace {

/// For a scope: no recording, and no checks of what is computed.
class PauseForSweep {
 public:
  explicit PauseForSweep(bool pause) : writer_(active_writer<double>), sweeping_(sweeping) {
    if (!pause) return;
    if (writer_) writer_->close();
    active_writer<double> = nullptr;
    sweeping = true;
  }
  ~PauseForSweep() {
    active_writer<double> = writer_;
    sweeping = sweeping_;
  }
  PauseForSweep(const PauseForSweep&) = delete;

 private:
  StatementWriter<double>* writer_;
  bool sweeping_;
};

/// Arrays that a call needs while a sweep passes it, on the stack for the usual few inputs.
template <int kInputs> struct Frame {
  explicit Frame(std::uint32_t) {}
  Tensor x_bar[kInputs];
  bool wanted[kInputs] = {};
  Slot* slots[kInputs];  // of those that are wanted
};
template <> struct Frame<0> {
  explicit Frame(std::uint32_t n) : tensors(n), flags(n), pointers(n) {}
  pool::Vector<Tensor> tensors;
  pool::Vector<char> flags;
  pool::Vector<Slot*> pointers;
  Tensor* x_bar = tensors.data();
  bool* wanted = reinterpret_cast<bool*>(flags.data());
  Slot** slots = pointers.data();
};

PendingProduct take_product(TapeState& t, const Slot& slot) {
  const auto at = std::find_if(t.products.begin(), t.products.end(), [&](const auto& entry) { return entry.first == &slot; });
  PendingProduct product = std::move(at->second);
  t.products.erase(at);
  return product;
}

// ---- the reverse sweep ------------------------------------------------------------------------------------------------------

/// One gradient: seeds the target, walks calls and statements backwards, and leaves the cotangents of the sources in their slots.
class Sweep {
 public:
  Sweep(TapeState& tape, const GradientOptions& options)
      : t_(tape), consume_(!options.retain && !options.differentiable), record_(options.differentiable) {}

  void run(bool clear) {
    double* adjoints = adjoints_ = t_.adjoints();
    ReverseStatements<double> statements(t_, adjoints, clear);
    // [sweep]
    for (std::uint32_t k = t_.calls.size(); k-- > 0;) {
      Call& call = t_.calls[k];
      statements.down_to(call.statements_before);
      reverse(call);
    }
    statements.down_to(1);
    // [sweep]
  }

  void seed(std::uint32_t slot, Tensor bar) { t_.slots[slot].bar = std::move(bar); }

  /// Marks what depends on a source, so that no other cotangent is computed.
  void mark() {
    for (std::uint32_t k = 0; k < t_.calls.size(); ++k) {
      const Call& call = t_.calls[k];
      if (call.kind == Call::element) continue;
      bool any = call.kind == Call::stack;
      for (std::uint32_t i = 0; !any && i < call.inputs; ++i) any = slot_asked(call, i);
      if (any)
        for (std::uint32_t j = 0; j < call.outputs; ++j) t_.slots[call.first_output + j].asked = true;
    }
  }

 private:
  std::uint32_t slot_of_input(const Call& call, std::uint32_t i) const {
    const std::uint64_t number = t_.inputs[call.first_input + i].number();
    return number ? static_cast<std::uint32_t>(number - t_.tensor_base) : kNoSlot;
  }
  bool slot_asked(const Call& call, std::uint32_t i) const {
    const std::uint32_t slot = slot_of_input(call, i);
    return slot != kNoSlot && t_.slots[slot].asked;
  }

  void reverse(Call& call) {
    if (call.kind == Call::element) {
      reverse_element(call);
    } else if (call.kind == Call::stack) {
      reverse_stack(call);
    } else if (call.outputs == 1 && call.inputs <= 2) {
      reverse_call<2>(call);
    } else if (call.inputs <= 8) {
      reverse_call<8>(call);
    } else {
      reverse_call<0>(call);
    }
    if (consume_) drop(call);
  }

  //  x_bar += rule(y_bar)
  template <int kInputs> void reverse_call(Call& call) {
    Tensor single;
    pool::Vector<Tensor> several;
    Tensor* y_bar = &single;
    if (call.outputs > 1) {
      several.resize(call.outputs);
      y_bar = several.data();
    }
    bool any = false;
    for (std::uint32_t j = 0; j < call.outputs; ++j) {
      y_bar[j] = take_bar(t_.slots[call.first_output + j]);
      any |= y_bar[j].defined();
    }
    if (!any) return;

    const CallSite rule = CallSite::of_rule(call.where());
    Frame<kInputs> f(call.inputs);
    const Saved saved(t_, call);
    bool left = false;
    welcome_.inputs = kNoValues;
    for (std::uint32_t i = 0; i < call.inputs; ++i) {
      const std::uint32_t slot = slot_of_input(call, i);
      f.wanted[i] = slot != kNoSlot && t_.slots[slot].asked;
      if (!f.wanted[i]) continue;
      f.slots[i] = &t_.slots[slot];
      Tensor& bar = f.slots[i]->bar;
      if (f.slots[i]->product == Slot::pending) multiply(*f.slots[i]);
      if (f.slots[i]->product == Slot::welcome && !bar.defined()) welcome_.inputs |= input(static_cast<int>(i));
      if (!record_ && bar.is_accumulator() && call.operation->add_vjp(saved, {y_bar, call.outputs}, static_cast<int>(i), bar))
        f.wanted[i] = false;
      left |= f.wanted[i];
    }
    if (!left) return;
    Cotangents x_bar(f.x_bar, f.wanted, &welcome_);
    call.operation->vjp(saved, {y_bar, call.outputs}, x_bar);
    if (welcome_.product.defined()) keep(*f.slots[welcome_.input]);
    single = Tensor();  // so that its last reader may add in place
    several.clear();
    for (std::uint32_t i = 0; i < call.inputs; ++i)
      if (f.wanted[i] && f.x_bar[i].defined()) accumulate(*f.slots[i], std::move(f.x_bar[i]), call.where());
  }

  static Tensor take_bar(Slot& slot) { return slot.source ? slot.bar : std::move(slot.bar); }

  void keep(Slot& slot) {
    t_.products.emplace_back(&slot, std::exchange(welcome_.product, {}));
    slot.product = Slot::pending;
  }
  /// Another term comes to it.
  void multiply(Slot& slot) {
    slot.bar = take_product(t_, slot).multiply();
    slot.product = Slot::unwelcome;
  }

  void accumulate(Slot& slot, Tensor g, Location where) {
    if (slot.product == Slot::pending) multiply(slot);
    const bool in_place = !record_ && slot.bar.is_accumulator();
    if (!(g.shape() == slot.shape)) {
      if (in_place) return add_sum_in_place(slot.bar, g, where);
      g = sum_to(g, slot.shape, where);
    }
    if (!slot.bar.defined()) {
      slot.bar = std::move(g);
    } else if (in_place) {
      add_in_place(slot.bar, g);
    } else if (!record_ && g.is_accumulator()) {
      add_in_place(g, slot.bar);
      slot.bar = std::move(g);
    } else {
      slot.bar = zip(fn::Add{}, slot.bar, g, where);
    }
  }

  /// Tensor cotangent -> scalar adjoints.
  void reverse_stack(const Call& call) {
    const Tensor g = take_bar(t_.slots[call.first_output]);
    if (!g.defined()) return;
    for (std::uint32_t i = 0; i < call.inputs; ++i) {
      const std::uint64_t number = t_.inputs[call.first_input + i].number();
      if (!number) continue;
      const auto scalar = static_cast<std::uint32_t>(number - t_.base);
      if (record_) {
        Tensor& bar = t_.recorded_scalar_bars[scalar];
        Tensor e = pick(g, i, call.where()).to(float64, call.where());
        bar = bar.defined() ? zip(fn::Add{}, bar, e, call.where()) : e;
      } else {
        adjoints_[scalar] += g.element(i);
      }
    }
  }

  /// Scalar adjoint -> one element of a tensor cotangent, in place: a loop over the elements of a tensor stays linear.
  void reverse_element(const Call& call) {
    const std::uint32_t k = slot_of_input(call, 0);
    Slot& slot = t_.slots[k];
    if (!slot.asked) return;
    if (slot.product == Slot::pending) multiply(slot);
    if (record_) {
      const Tensor g = t_.recorded_scalar_bars[call.first_output];
      if (g.defined()) accumulate(slot, place(g.to(slot.dtype, call.where()), slot.shape, call.flat, call.where()), call.where());
      return;
    }
    const double adjoint = adjoints_[call.first_output];
    if (adjoint == 0) return;
    if (!slot.bar.defined()) {
      slot.bar = Tensor::zeros(slot.shape, slot.dtype, call.where());
    } else if (!slot.bar.is_accumulator()) {
      slot.bar = slot.bar.clone(call.where());
    }
    if (slot.dtype == float32) {
      slot.bar.mutable_data<float>()[call.flat] += static_cast<float>(adjoint);
    } else {
      slot.bar.mutable_data<double>()[call.flat] += adjoint;
    }
  }

  /// The sweep has passed: nobody reads these values any more.
  void drop(const Call& call) {
    for (std::uint32_t i = 0; i < call.inputs; ++i) {
      Input& x = t_.inputs[call.first_input + i];
      if (x.defined()) x = Tensor(nullptr, x.number());
    }
    if (call.kind == Call::element) return;
    for (std::uint32_t j = 0; j < call.outputs; ++j) t_.slots[call.first_output + j].kept = Tensor();
  }

  TapeState& t_;
  bool consume_, record_;
  double* adjoints_ = nullptr;
  WelcomeProduct welcome_;  // of the call that the sweep is at
};

// ---- what depends on what ---------------------------------------------------------------------------------------------------

/// Which recorded values the target depends on, by structure alone: asked only when a cotangent is absent or exactly zero.
class Reachability {
 public:
  explicit Reachability(const TapeState& t) : t_(t), scalars_(t.next()), slots_(t.slots.size()) {}
  void add(const Source& target, std::uint32_t index) { (target.scalar ? scalars_ : slots_)[index] = true; }
  bool scalar(std::uint32_t index) const { return scalars_[index]; }
  bool slot(std::uint32_t index) const { return slots_[index]; }

  void run() {
    // A dependence runs from later to earlier records. The statements are listed forwards, so they are collected first.
    pool::Vector<std::pair<std::uint32_t, std::uint32_t>> arguments;
    ForwardStatements<double>(t_).up_to(t_.next(), [&](std::uint32_t s, std::uint32_t i, double) { arguments.emplace_back(s, i); });
    std::size_t left = arguments.size();
    const auto statements_down_to = [&](std::uint32_t to) {
      for (; left > 0 && arguments[left - 1].first >= to; --left)
        if (scalars_[arguments[left - 1].first]) scalars_[arguments[left - 1].second] = true;
    };
    for (std::uint32_t k = t_.calls.size(); k-- > 0;) {
      const Call& call = t_.calls[k];
      statements_down_to(call.statements_before);
      bool reached = false;
      if (call.kind == Call::element) {
        reached = scalars_[call.first_output];
      } else {
        for (std::uint32_t j = 0; j < call.outputs; ++j) reached |= slots_[call.first_output + j] != 0;
      }
      for (std::uint32_t i = 0; reached && i < call.inputs; ++i) {
        const std::uint64_t number = t_.inputs[call.first_input + i].number();
        if (!number) continue;
        if (call.kind == Call::stack) {
          scalars_[number - t_.base] = true;
        } else {
          slots_[number - t_.tensor_base] = true;
        }
      }
    }
    statements_down_to(1);
  }

 private:
  const TapeState& t_;
  pool::Vector<char> scalars_, slots_;
};

// ---- gradients --------------------------------------------------------------------------------------------------------------

/// Where the tape knows a source: its slot or its scalar index; kNoSlot where it does not.
std::uint32_t find(TapeState& t, const Source& s) {
  if (!s.scalar && !s.parameter && (!s.tensor || !s.tensor->defined()))
    throw TapeError("a source or target is undefined: it was default-constructed, or moved from");
  if (s.parameter) return t.leaves.find(s.parameter);
  if (s.scalar) {
    const std::uint32_t index = s.number ? t.index_of(s.number) : 0;
    return index ? index : kNoSlot;
  }
  return t.slot_of(*s.tensor);
}

std::string name_of(const Source& s, std::size_t i) {
  if (s.parameter && !s.parameter->name.empty()) return fmt::format("parameter {}", s.parameter->name);
  if (s.parameter) return fmt::format("source {}, the parameter {},", i, describe(s.parameter->value));
  if (s.tensor && s.tensor->defined()) return fmt::format("source {}, the tensor {},", i, describe(*s.tensor));
  return fmt::format("source {}", i);
}

/// A list of a model's parameters may have frozen ones in it.
bool may_be_unreached(const Source& s, const GradientOptions& o) {
  return o.unreached == Unreached::zero || (s.parameter && s.parameter->frozen);
}

void check_thread(const TapeState& t, const char* what) {
  if (t.thread != this_thread())
    throw TapeError(fmt::format("{}: the tape opened at {} belongs to another thread", what, to_string(t.opened_at)));
}

bool has_statements(const TapeState& t) {
  bool any = false;
  t.for_each_segment([&](const Segment& s) { any |= s.args && s.end > s.first; });
  return any;
}

/// Leaves the tape as it must be after a sweep, however that ended.
class AfterSweep {
 public:
  AfterSweep(TapeState& t, bool consume, std::uint32_t slots)
      : t_(t), consume_(consume), slots_(slots), exceptions_(std::uncaught_exceptions()) {
    t_.in_sweep = true;
  }
  /// The adjoints that the sweep did not clear itself.
  void clear_with(bool variables_only) { variables_only_ = variables_only; }
  ~AfterSweep() {
    t_.in_sweep = false;
    if (std::uncaught_exceptions() > exceptions_ || !variables_only_) {
      t_.clear_adjoints(t_.adjoints());
    } else {
      t_.clear_variable_adjoints(t_.adjoints());
    }
    t_.recorded_scalar_bars.clear();
    t_.products.clear();
    if (consume_) {
      t_.forget();
    } else {
      for (std::uint32_t k = 0; k < slots_; ++k) {
        Slot& slot = t_.slots[k];
        slot.bar = Tensor();
        slot.asked = slot.source = false;
        slot.product = Slot::unwelcome;
      }
    }
  }
  AfterSweep(const AfterSweep&) = delete;

 private:
  TapeState& t_;
  bool consume_, variables_only_ = false;
  std::uint32_t slots_;
  int exceptions_;
};

/// Finds and checks the target before anything is touched. kNoSlot for a constant, if gradients of what is not reached may be zero.
std::uint32_t find_target(TapeState& t, const Source& target, const GradientOptions& o) {
  check_thread(t, "gradient");
  if (t.in_sweep) throw TapeError("gradient: this tape is in the middle of a sweep, whose rule asked it for another one");
  const std::uint32_t y = find(t, target);
  if (y == kNoSlot) {
    if (o.unreached == Unreached::zero) return kNoSlot;
    const std::string who = target.tensor && target.tensor->defined() ? " " + describe(*target.tensor) : std::string();
    throw TapeError(
        fmt::format("gradient: the target{} was not recorded on this tape: no parameter and no variable of the tape went into it; "
                    "pass .unreached = Unreached::zero if it may be constant",
                    who));
  }
  if (o.differentiable && !t.higher_order && has_statements(t))
    throw TapeError(
        "gradient(.differentiable): the scalar statements of this tape hold first derivatives only; make it with Tape tape({.higher_order "
        "= true})");
  if (o.differentiable && active_tape() != &t)
    throw TapeError(
        "gradient(.differentiable): the sweep would be recorded on this tape, but recording is suspended or another tape is active");
  if (target.scalar) {
    if (o.seed.defined() && o.seed.size() != 1)
      throw ShapeError(fmt::format("gradient: the seed {} of a scalar target must have one element", describe(o.seed)));
    return y;
  }
  const Slot& slot = t.slots[y];
  if (!is_floating(slot.dtype)) throw DtypeError(fmt::format("gradient: the target {} is not floating", describe(*target.tensor)));
  if (!o.seed.defined() && slot.shape.size() != 1)
    throw ShapeError(
        fmt::format("gradient: the target {} has {} elements; pass .seed, the cotangent of its shape, or reduce it with sum() or mean()",
                    describe(*target.tensor), slot.shape.size()));
  if (o.seed.defined() && !(o.seed.shape() == slot.shape))
    throw ShapeError(fmt::format("gradient: the seed {} must have the shape of the target {}", describe(o.seed), describe(*target.tensor)));
  if (o.seed.defined() && o.seed.dtype() != slot.dtype)
    throw DtypeError(fmt::format("gradient: the seed {} must have the dtype of the target {}", describe(o.seed), describe(*target.tensor)));
  return y;
}

void seed_target(TapeState& t, Sweep& sweep, const Source& target, std::uint32_t y, const GradientOptions& o) {
  if (target.scalar) {
    if (o.differentiable) {
      t.recorded_scalar_bars[y] = o.seed.defined() ? o.seed.to(float64) : Tensor::ones({}, float64);
    } else {
      t.adjoints()[y] = o.seed.defined() ? o.seed.item() : 1;
    }
  } else {
    sweep.seed(y, o.seed.defined() ? o.seed : Tensor::ones(t.slots[y].shape, t.slots[y].dtype));
  }
}

Tensor zero_for(const Source& s) {
  if (s.scalar) return Tensor::zeros({}, float64);
  const Tensor& like = s.parameter ? s.parameter->value : *s.tensor;
  return Tensor::zeros(like.shape(), like.dtype());
}

}  // namespace
}  // namespace detail

using namespace detail;

Gradients detail::sweep(TapeState& t, const Source& target, std::span<const Source> sources, const GradientOptions& o,
                        bool pending_products) {
  const std::uint32_t y = find_target(t, target, o);
  if (y == kNoSlot) {
    Gradients zeros;
    for (const Source& s : sources) zeros.add(zero_for(s), s.parameter);
    return zeros;
  }
  const std::uint32_t slots = t.slots.size();
  pool::Vector<std::uint32_t> at(sources.size());
  bool variables_only = true;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    at[i] = find(t, sources[i]);
    if (at[i] == kNoSlot) {
      if (!may_be_unreached(sources[i], o))
        throw TapeError(fmt::format(
            "gradient: {} is not on this tape, so the target does not depend on it; pass .unreached = Unreached::zero if that is meant",
            name_of(sources[i], i)));
    } else if (sources[i].scalar) {
      variables_only &= t.is_variable(at[i]);
    }
  }

  AfterSweep after(t, !o.retain && !o.differentiable, slots);
  after.clear_with(variables_only);
  PauseForSweep pause(!o.differentiable);
  if (o.differentiable) t.recorded_scalar_bars.resize(t.next());
  Sweep sweep(t, o);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].scalar || at[i] == kNoSlot) continue;
    Slot& slot = t.slots[at[i]];
    slot.asked = slot.source = true;
    if (pending_products && !o.differentiable && sources[i].parameter) slot.product = Slot::welcome;
  }
  sweep.mark();
  seed_target(t, sweep, target, y, o);
  sweep.run(variables_only);

  Gradients gradients;
  std::optional<Reachability> reachable;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    Tensor g;
    if (at[i] != kNoSlot) {
      if (!sources[i].scalar && t.slots[at[i]].product == Slot::pending) {
        gradients.add(take_product(t, t.slots[at[i]]), sources[i].parameter);
        continue;
      }
      if (!sources[i].scalar) {
        g = t.slots[at[i]].bar;
        if (g.defined()) g = g.contiguous();  // the rules may have left a view, as of a cotangent that repeats one number
      } else if (o.differentiable) {
        g = t.recorded_scalar_bars[at[i]];
      } else if (const double adjoint = t.adjoints()[at[i]]; adjoint != 0) {
        g = Tensor::full({}, adjoint, float64);
      }
    }
    if (!g.defined()) {
      if (!may_be_unreached(sources[i], o)) {
        if (!reachable) {
          reachable.emplace(t);
          reachable->add(target, y);
          reachable->run();
        }
        if (!(sources[i].scalar ? reachable->scalar(at[i]) : reachable->slot(at[i])))
          throw TapeError(fmt::format("gradient: the target does not depend on {}; pass .unreached = Unreached::zero if that is meant",
                                      name_of(sources[i], i)));
      }
      g = zero_for(sources[i]);
    }
    gradients.add(o.differentiable ? std::move(g) : g.constant(), sources[i].parameter);
  }
  return gradients;
}

Gradients Tape::sweep_sources(const Source& target, std::span<const Source> sources, const GradientOptions& o) {
  return detail::sweep(*state_, target, sources, o);
}
Gradients Tape::gradient(const Tensor& target, const ParameterList& sources, const GradientOptions& options) {
  const pool::Vector<Source> list(sources.begin(), sources.end());
  return detail::sweep(*state_, Source(target), list, options, true);
}
Gradients Tape::gradient(const Scalar& target, const ParameterList& sources, const GradientOptions& options) {
  const pool::Vector<Source> list(sources.begin(), sources.end());
  return detail::sweep(*state_, Source(target), list, options, true);
}
std::vector<Tensor> Tape::gradient(const Tensor& target, std::span<const Tensor> sources, const GradientOptions& options) {
  const pool::Vector<Source> list(sources.begin(), sources.end());
  const Gradients g = sweep_sources(Source(target), list, options);
  return {g.begin(), g.end()};
}

void Tape::gradient(const Scalar& target, std::span<const Scalar> sources, std::span<double> out, const GradientOptions& o) {
  TapeState& t = *state_;
  if (sources.size() != out.size())
    throw ShapeError(fmt::format("gradient: {} sources, but room for {} derivatives", sources.size(), out.size()));
  if (o.differentiable) throw TapeError("gradient(.differentiable): numbers cannot be differentiated again; use differentiable_gradient()");
  const Source wanted(target);
  const std::uint32_t y = find_target(t, wanted, o);
  if (y == kNoSlot) {
    std::fill(out.begin(), out.end(), 0.0);
    return;
  }
  const std::uint32_t first = t.run_of_variables(sources);
  bool variables_only = true;
  if (!first) {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const std::uint32_t index = find(t, Source(sources[i]));
      if (index == kNoSlot && o.unreached == Unreached::error)
        throw TapeError(
            fmt::format("gradient: source {} is not on this tape, so the target does not depend on it; pass .unreached = Unreached::zero "
                        "if that is meant",
                        i));
      variables_only &= index == kNoSlot || t.is_variable(index);
    }
  }

  AfterSweep after(t, !o.retain, t.slots.size());
  after.clear_with(variables_only);
  PauseForSweep pause(true);
  Sweep sweep(t, o);
  sweep.mark();
  seed_target(t, sweep, wanted, y, o);
  sweep.run(variables_only);

  const double* adjoints = t.adjoints();
  std::uint64_t zeros = 0;
  if (first) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::uint64_t magnitude = std::bit_cast<std::uint64_t>(out[i] = adjoints[first + i]) << 1;
      zeros |= (magnitude - 1) & ~magnitude;  // the top bit, of zero alone: vectorized on any machine
    }
    zeros >>= 63;
  } else {
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const std::uint64_t index = sources[i].number() - t.base;
      out[i] = index < t.next() ? adjoints[index] : 0;
      zeros |= out[i] == 0;
    }
  }
  if (!zeros || o.unreached == Unreached::zero) return;
  Reachability reachable(t);
  reachable.add(wanted, y);
  reachable.run();
  for (std::size_t i = 0; i < sources.size(); ++i)
    if (out[i] == 0 && !reachable.scalar(static_cast<std::uint32_t>(sources[i].number() - t.base)))
      throw TapeError(
          fmt::format("gradient: the target does not depend on source {}; pass .unreached = Unreached::zero if that is meant", i));
}

// ---- forward mode over the records ------------------------------------------------------------------------------------------

namespace detail {
namespace {

/// One loop over the calls with the same operations' forward rules.
class Push {
 public:
  explicit Push(TapeState& t) : t_(t), dot_(t.slots.size()), scalar_dot_(t.next()), statements_(t) {}

  void seed(const Source& s, std::uint32_t at, const Tensor& tangent) {
    if (s.scalar) {
      scalar_dot_[at] += tangent.item();
    } else {
      add(dot_[at], tangent, {});
    }
  }
  void run() {
    for (std::uint32_t k = 0; k < t_.calls.size(); ++k) {
      const Call& call = t_.calls[k];
      push_statements(call.statements_before);
      switch (call.kind) {
        case Call::element:
          push_element(call);
          break;
        case Call::stack:
          push_stack(call);
          break;
        case Call::tensors:
          push_call(call);
          break;
      }
    }
    push_statements(t_.next());
  }
  Tensor result(const Source& target, std::uint32_t y) const {
    if (target.scalar) return Tensor::full({}, scalar_dot_[y], float64);
    return dot_[y].defined() ? dot_[y] : Tensor::zeros(t_.slots[y].shape, t_.slots[y].dtype);
  }

 private:
  // Everything is added: a source that is no leaf has its own tangent already.
  static void add(Tensor& dot, Tensor more, Location where) { dot = dot.defined() ? zip(fn::Add{}, dot, more, where) : std::move(more); }
  void push_statements(std::uint32_t to) {
    statements_.up_to(to, [&](std::uint32_t s, std::uint32_t i, double partial) {
      if (scalar_dot_[i] != 0) scalar_dot_[s] += partial * scalar_dot_[i];
    });
  }
  void push_element(const Call& call) {
    const Tensor& x_dot = dot_[t_.inputs[call.first_input].number() - t_.tensor_base];
    if (x_dot.defined()) scalar_dot_[call.first_output] += x_dot.element(call.flat);
  }
  void push_stack(const Call& call) {
    const Slot& slot = t_.slots[call.first_output];
    pool::Vector<double> values(call.inputs);
    for (std::uint32_t i = 0; i < call.inputs; ++i)
      if (const std::uint64_t number = t_.inputs[call.first_input + i].number()) values[i] = scalar_dot_[number - t_.base];
    add(dot_[call.first_output], Tensor::from(std::span<const double>(values), slot.shape, call.where()).to(slot.dtype, call.where()),
        call.where());
  }
  //  y_dot = rule(x_dot)
  void push_call(const Call& call) {
    pool::Vector<Tensor> x_dot(call.inputs), y_dot(call.outputs);
    bool any = false;
    for (std::uint32_t i = 0; i < call.inputs; ++i) {
      if (const std::uint64_t number = t_.inputs[call.first_input + i].number()) x_dot[i] = dot_[number - t_.tensor_base];
      any |= x_dot[i].defined();
    }
    if (!any) return;
    const CallSite rule = CallSite::of_rule(call.where());
    call.operation->jvp(Saved(t_, call), x_dot, y_dot);
    for (std::uint32_t j = 0; j < call.outputs; ++j) {
      if (y_dot[j].defined())
        add(dot_[call.first_output + j], expand(y_dot[j], t_.slots[call.first_output + j].shape, call.where()), call.where());
    }
  }

  TapeState& t_;
  pool::Vector<Tensor> dot_;
  pool::Vector<double> scalar_dot_;
  ForwardStatements<double> statements_;
};

}  // namespace
}  // namespace detail

Tensor detail::push_tangents(TapeState& t, const Source& target, std::span<const Source> sources, std::span<const Tensor> tangents) {
  check_thread(t, "jvp");
  if (sources.size() != tangents.size()) throw ShapeError(fmt::format("jvp: {} sources, but {} tangents", sources.size(), tangents.size()));
  const std::uint32_t y = find(t, target);
  if (y == kNoSlot) throw TapeError("jvp: the target was not recorded on this tape");
  PauseForSweep pause(true);
  Push push(t);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Source& s = sources[i];
    const std::uint32_t at = find(t, s);
    if (at == kNoSlot) continue;
    if (s.scalar ? tangents[i].size() != 1 : !(tangents[i].shape() == t.slots[at].shape))
      throw ShapeError(fmt::format("jvp: tangent {} {} must have the shape of its source, {}", i, describe(tangents[i]),
                                   s.scalar ? "()" : to_string(t.slots[at].shape)));
    if (!s.scalar && tangents[i].dtype() != t.slots[at].dtype)
      throw DtypeError(
          fmt::format("jvp: tangent {} {} must have the dtype of its source, {}", i, describe(tangents[i]), to_string(t.slots[at].dtype)));
    push.seed(s, at, tangents[i]);
  }
  push.run();
  return push.result(target, y);
}

Tensor Tape::push_forward(const Source& target, std::span<const Source> sources, std::span<const Tensor> tangents) {
  return push_tangents(*state_, target, sources, tangents);
}

Tensor Tape::jvp(const Tensor& target, std::span<const Tensor> sources, std::span<const Tensor> tangents) {
  const pool::Vector<Source> list(sources.begin(), sources.end());
  return push_forward(Source(target), list, tangents);
}

// ---- Tape -------------------------------------------------------------------------------------------------------------------

Tape::Tape(TapeOptions options, Location where) {
  if (innermost && !options.isolated) {
    throw TapeError(fmt::format(
        "tape: opened at {} while the tape opened at {} is live on this thread; for derivatives of derivatives use that one with "
        ".differentiable = true, for an independent tape pass {{.isolated = true}}",
        to_string(where), to_string(innermost->opened_at)));
  }
  auto& spare = spare_states();
  if (spare.empty()) {
    spare.reserve(4);
    spare.push_back(std::make_unique<TapeState>());
  }
  spare.back()->begin(options, where);
  state_ = spare.back().release();
  spare.pop_back();
}

Tape::~Tape() {
  if (state_->thread != this_thread()) {
    std::fputs("wengert: a tape must end on the thread that opened it\n", stderr);
    std::abort();
  }
  state_->end();
  spare_states().emplace_back(state_);
}

Scalar Tape::variable(double value) { return state_->variable(value); }
Tensor TapeState::variable(const Tensor& value) {
  if (!is_floating(value.dtype()))
    throw DtypeError(fmt::format("variable: {} is not floating; only float32 and float64 have derivatives", describe(value)));
  slots.reserve(1);
  Tensor shared = value;
  return Tensor(shared.take(), tensor_base + add_slot(value.shape(), value.dtype()));
}
Tensor Tape::variable(const Tensor& value) { return state_->variable(value); }
void Tape::variables(std::span<const double> values, std::span<Scalar> out) {
  if (values.size() != out.size())
    throw ShapeError(fmt::format("variables: {} values, but room for {} scalars", values.size(), out.size()));
  state_->variables(values, out);
}
std::vector<Scalar> Tape::variables(std::span<const double> values) {
  std::vector<Scalar> out(values.size());
  variables(values, out);
  return out;
}

std::size_t Tape::statements() const { return state_->statements(); }
std::size_t Tape::arguments() const { return state_->arguments(); }
std::size_t Tape::calls() const { return state_->calls.size(); }
std::size_t Tape::bytes() const {
  return state_->StatementList::bytes() + state_->slots.bytes() + state_->calls.bytes() + state_->inputs.bytes();
}

}  // namespace wengert
