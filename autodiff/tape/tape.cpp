// The lifetime of a tape, and how operations are recorded.
#include "autodiff/tape/tape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>

#include "autodiff/tape/records.h"
#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/trim.h"

namespace wengert {

template struct StatementWriter<double>;

namespace detail {
namespace {

thread_local constinit TapeState* innermost = nullptr;  // the thread's youngest live tape
thread_local constinit TapeTimer* timer_of_thread = nullptr;

// States whose memory the next tape of this thread takes over, in a list by `outer`. Trivially destructible: tapes may begin and end while
// the thread, or the process, is ending.
struct SpareStates {
  TapeState* first;
  enum class State : std::uint8_t { fresh, open, closed } state;

  std::unique_ptr<TapeState> take();
  void put(std::unique_ptr<TapeState> spare) noexcept {
    if (state != State::open) return;  // the thread ends: it is destroyed
    spare->outer = first;
    first = spare.release();
  }
  void release() noexcept {
    while (first) delete std::exchange(first, first->outer);
  }
};
thread_local constinit SpareStates spare_states{};

std::unique_ptr<TapeState> SpareStates::take() {
  if (state == State::fresh) {
    struct AtThreadExit {
      ~AtThreadExit() {
        spare_states.state = State::closed;
        spare_states.release();
      }
    };
    thread_local const AtThreadExit at_thread_exit;
    static_cast<void>(at_thread_exit);
    pool::release_when_trimming(+[]() noexcept { spare_states.release(); });
    state = State::open;
  }
  if (!first) return std::make_unique<TapeState>();
  return std::unique_ptr<TapeState>(std::exchange(first, first->outer));
}

}  // namespace

// ---- lifetime ---------------------------------------------------------------------------------------------------------------

void TapeState::begin(const TapeOptions& options, Location site) {
  TapeOptions wanted = options;
  if (innermost && (checking_inner_tapes || (innermost->watch && innermost->watch->check_finite))) wanted.check_finite = true;
  watch = make_watch(wanted);
  start(options.higher_order, options.reject_outer_values, watch != nullptr, wanted.formulas);
  tensor_numbers_.open();
  tensor_base = tensor_numbers_.first();
  opened_at = site;
  thread = this_thread();
  if (active_writer<double>) active_writer<double>->close();  // only the active writer may have an open statement
  outer = std::exchange(innermost, this);
  resume = std::exchange(active_writer<double>, this);
  start_timer(false);
}

void TapeState::start_timer(bool anew) noexcept {
  const bool measured = timer_of_thread && timer_of_thread->started(*this, anew);
  timer = measured ? timer_of_thread : nullptr;
}

void set_timer(TapeTimer* timer) noexcept {
  timer_of_thread = timer;
  for (TapeState* t = innermost; t; t = t->outer) t->timer = timer;
}
TapeTimer* current_timer() noexcept { return timer_of_thread; }

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
  watch.reset();
}

void TapeState::discard_records() {
  const std::uint32_t used = slots.size();
  release_nodes();
  tensor_base = tensor_numbers_.reserve_from(tensor_base + used);
  StatementList::discard_records();
  start_timer(true);
}

void TapeState::release_nodes() {
  for (std::uint32_t k = 0; k < nodes.size(); ++k)
    if (nodes[k].owned) nodes[k].operation->dispose();
  nodes.clear();
  inputs.clear();
  slots.clear();
  leaves.clear();
  recorded_adjoints.clear();
  if (watch) watch->discard();
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
  site = CallSite::of(site);
  if (tape.watch) [[unlikely]]
    tape.watch->before_operation(tape, *operation, site, x, y);
  static_cast<void>(guard.release());

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
  if (tape.watch) [[unlikely]]
    tape.watch->after_operation(tape, x, y);
  if (tape.timer) [[unlikely]]
    tape.timer->recorded(tape, x);
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

std::uint64_t detail::record_expression(StatementWriter<double>& writer, const ExpressionRef& e,
                                        const StatementArguments<double>& arguments, Location site) {
  if (writer.higher_order) return e.list(e.object).record_on_tensors(site);
  const auto is_finite = [](double x) { return std::isfinite(x); };
  const std::span<const double> partials(arguments.partials, static_cast<std::size_t>(arguments.count));
  if (!writer.formulas && is_finite(e.value) && std::all_of(partials.begin(), partials.end(), is_finite))
    return StatementWriter<double>::record_carefully(&writer, arguments);
  auto& tape = static_cast<TapeState&>(writer);
  const ExpressionList list = e.list(e.object);
  const Location place = CallSite::of(site);
  tape.watch->before_statement(tape, list.steps(), place);
  const std::uint64_t number = StatementWriter<double>::record_carefully(&writer, arguments);
  if (number == tape.base + tape.next() - 1)
    tape.watch->after_statement(tape, static_cast<std::uint32_t>(number - tape.base), list.steps(), place);
  return number;
}

// ---- public interface -------------------------------------------------------------------------------------------------------

using detail::innermost, detail::spare_states, detail::TapeState;

Tape::Tape(TapeOptions options, Location site) {
  if (innermost && !options.isolated) {
    throw TapeError(
        fmt::format("tape: the tape opened at {} is still live on this thread; hint: for derivatives of derivatives use that one with "
                    ".differentiable = true, for an independent tape pass {{.isolated = true}}",
                    to_string(innermost->opened_at)),
        CallSite::of(site));
  }
  std::unique_ptr<TapeState> state = spare_states.take();
  state->begin(options, site);
  state_ = state.release();
}

Tape::~Tape() {
  if (state_->thread != detail::this_thread()) {
    std::fputs("wengert: a tape must end on the thread that opened it\n", stderr);
    std::abort();
  }
  state_->end();
  spare_states.put(std::unique_ptr<TapeState>(state_));
}

Scalar Tape::variable(double value, Location site) {
  Scalar x = state_->variable(value);
  if (state_->watch) [[unlikely]]
    state_->watch->variable(*state_, state_->next() - 1, value, site);
  return x;
}
Tensor detail::TapeState::variable(const Tensor& value) {
  check_defined("variable", value);
  if (!is_floating(value.dtype()))
    throw DtypeError(fmt::format("variable: {} is not floating; only float32 and float64 have derivatives", describe(value)));
  slots.reserve(1);
  Tensor shared = value;
  return Tensor(shared.take(), tensor_base + add_slot(value.shape(), value.dtype()));
}
Tensor Tape::variable(const Tensor& value, Location site) {
  const CallSite scope(site);
  Tensor x = state_->variable(value);
  if (state_->watch) [[unlikely]]
    state_->watch->variable(*state_, x, site);
  return x;
}
void Tape::variables(std::span<const double> values, std::span<Scalar> out, Location site) {
  if (values.size() != out.size())
    throw ShapeError(fmt::format("variables: {} values, but room for {} scalars", values.size(), out.size()));
  const std::uint32_t first = state_->next();
  state_->variables(values, out);
  if (state_->watch) [[unlikely]]
    for (std::size_t i = 0; i < values.size(); ++i)
      state_->watch->variable(*state_, first + static_cast<std::uint32_t>(i), values[i], site);
}
std::vector<Scalar> Tape::variables(std::span<const double> values, Location site) {
  std::vector<Scalar> out(values.size());
  variables(values, out, site);
  return out;
}

std::size_t Tape::statements() const { return state_->statements(); }
std::size_t Tape::arguments() const { return state_->arguments(); }
std::size_t Tape::nodes() const { return state_->nodes.size(); }
std::size_t Tape::bytes() const {
  return state_->StatementList::bytes() + state_->row_adjoints.bytes() + state_->slots.bytes() + state_->nodes.bytes() +
         state_->inputs.bytes();
}

}  // namespace wengert
