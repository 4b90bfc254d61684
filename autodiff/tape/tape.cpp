// The lifetime of a tape, and how operations are recorded.
#include "autodiff/tape/tape.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>

#include "autodiff/tape/records.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {

template struct StatementWriter<double>;

namespace detail {
namespace {

thread_local constinit TapeState* innermost = nullptr;  // the thread's youngest live tape

/// States of ended tapes, whose memory the next tapes of this thread reuse.
std::vector<std::unique_ptr<TapeState>>& spare_states() {
  static thread_local std::vector<std::unique_ptr<TapeState>> spare;
  return spare;
}

}  // namespace

// ---- lifetime ---------------------------------------------------------------------------------------------------------------

void TapeState::begin(const TapeOptions& options, Location site) {
  start(options.higher_order, options.reject_outer_values);
  tensor_numbers_.open();
  tensor_base = tensor_numbers_.first();
  opened_at = site;
  thread = this_thread();
  if (active_writer<double>) active_writer<double>->close();  // only the active writer may have an open statement
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
  for (TapeState* t = innermost; t; t = t->outer) {  // tapes on the heap may end in any order
    if (t->resume == this) t->resume = resume;
    if (t->outer == this) t->outer = outer;
  }
  if (active_writer<double> == this) active_writer<double> = resume;
  const std::uint32_t used = slots.size();
  release_nodes();
  tensor_numbers_.close(tensor_base + used);
  StatementList::end();
}

void TapeState::discard_records() {
  const std::uint32_t used = slots.size();
  release_nodes();
  tensor_base = tensor_numbers_.reserve_from(tensor_base + used);
  StatementList::discard_records();
}

void TapeState::release_nodes() {
  for (std::uint32_t k = 0; k < nodes.size(); ++k)
    if (nodes[k].owned) nodes[k].operation->dispose();
  nodes.clear();
  inputs.clear();
  slots.clear();
  leaves.clear();
  recorded_adjoints.clear();
}

// ---- recording --------------------------------------------------------------------------------------------------------------

void append_node(TapeState& tape, const Operation* operation, bool owned, Location site, std::span<const Tensor* const> x,
                 std::span<Tensor> y) {
  const auto dispose = [](const Operation* o) { o->dispose(); };
  std::unique_ptr<const Operation, decltype(dispose)> guard(operation);
  const auto inputs = static_cast<std::uint32_t>(x.size());
  if (y.size() > std::numeric_limits<std::uint16_t>::max())
    throw TapeError(fmt::format("{}: {} results, but an operation can have at most {}", operation->name(), y.size(),
                                std::numeric_limits<std::uint16_t>::max()));
  tape.nodes.reserve(1);
  tape.inputs.reserve(inputs);
  tape.slots.reserve(static_cast<std::uint32_t>(y.size()));
  ValueSet saved = kNoValues;
  for (std::uint32_t i = 0; i < inputs; ++i)
    if (tape.slot_of(*x[i]) != kNoIndex) saved |= operation->saved_for(static_cast<int>(i));
  static_cast<void>(guard.release());

  site = CallSite::of(site);
  // [append]
  const std::uint32_t first_input = tape.inputs.size(), first_output = tape.slots.size();
  for (std::uint32_t i = 0; i < inputs; ++i) {
    Input& recorded = tape.inputs.emplace(Tensor(), tape.slot_of(*x[i]));
    if (i < kMaxSavedInputs && (saved & input(static_cast<int>(i)))) recorded.saved = *x[i];
  }
  for (std::uint32_t j = 0; j < y.size(); ++j) {
    const std::uint64_t number = tape.tensor_base + tape.add_slot(y[j].shape(), y[j].dtype());
    y[j] = Tensor(y[j].take(), number);
    if (j < kMaxSavedOutputs && (saved & output(static_cast<int>(j)))) tape.slots[first_output + j].saved = y[j];
  }
  tape.nodes.emplace(operation, Index(0), site.file, site.line, tape.next(), first_input, first_output, inputs,
                     static_cast<std::uint16_t>(y.size()), TapeNode::tensors, owned);
  // [append]
}

}  // namespace detail

const Tensor& Saved::x(int i) const { return tape_.input(node_, static_cast<std::uint32_t>(i)).saved; }
const Tensor& Saved::y(int j) const { return tape_.slots[node_.first_output + static_cast<std::uint32_t>(j)].saved; }
const Shape& Saved::y_shape(int j) const { return tape_.slots[node_.first_output + static_cast<std::uint32_t>(j)].shape; }
const Shape& Saved::x_shape(int i) const {
  const detail::Input& x = tape_.input(node_, static_cast<std::uint32_t>(i));
  return x.tracked() ? tape_.slots[x.index].shape : x.saved.shape();
}
Dtype Saved::x_dtype(int i) const {
  const detail::Input& x = tape_.input(node_, static_cast<std::uint32_t>(i));
  return x.tracked() ? tape_.slots[x.index].dtype : x.saved.dtype();
}
std::uint64_t Saved::x_number(int i) const {
  const detail::Input& x = tape_.input(node_, static_cast<std::uint32_t>(i));
  return x.tracked() ? tape_.tensor_base + x.index : 0;
}
int Saved::inputs() const { return static_cast<int>(node_.inputs); }

// ---- public interface -------------------------------------------------------------------------------------------------------

using detail::innermost, detail::spare_states, detail::TapeState;

Tape::Tape(TapeOptions options, Location site) {
  if (innermost && !options.isolated) {
    throw TapeError(fmt::format(
        "tape: opened at {} while the tape opened at {} is live on this thread; hint: for derivatives of derivatives use that one with "
        ".differentiable = true, for an independent tape pass {{.isolated = true}}",
        to_string(site), to_string(innermost->opened_at)));
  }
  auto& spare = spare_states();
  if (spare.empty()) {
    spare.reserve(4);
    spare.push_back(std::make_unique<TapeState>());
  }
  spare.back()->begin(options, site);
  state_ = spare.back().release();
  spare.pop_back();
}

Tape::~Tape() {
  if (state_->thread != detail::this_thread()) {
    std::fputs("wengert: a tape must end on the thread that opened it\n", stderr);
    std::abort();
  }
  state_->end();
  spare_states().emplace_back(state_);
}

Scalar Tape::variable(double value) { return state_->variable(value); }
Tensor detail::TapeState::variable(const Tensor& value) {
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
std::size_t Tape::nodes() const { return state_->nodes.size(); }
std::size_t Tape::bytes() const {
  return state_->StatementList::bytes() + state_->slots.bytes() + state_->nodes.bytes() + state_->inputs.bytes();
}

}  // namespace wengert
