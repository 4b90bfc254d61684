#include "autodiff/program/recorder.h"

#include <fmt/format.h>

#include <atomic>
#include <bit>
#include <utility>

namespace wengert {
namespace detail {
namespace {

thread_local Recorder* active_recorder = nullptr;

std::uint32_t next_recording() {
  static std::atomic<std::uint32_t> last{0};
  std::uint32_t number = 0;
  while (number == 0) number = last.fetch_add(1, std::memory_order_relaxed) + 1;  // 0 is for constants
  return number;
}

bool commutes(Opcode opcode) {
  return opcode == Opcode::add || opcode == Opcode::multiply || opcode == Opcode::equal || opcode == Opcode::not_equal ||
         opcode == Opcode::both || opcode == Opcode::either;
}

constexpr double kOne = 1;

}  // namespace

Recorder::Recorder(Computed precision)
    : precision_(precision), recording_(next_recording()), outer_(std::exchange(active_recorder, this)) {}
Recorder::~Recorder() { active_recorder = outer_; }
Recorder* Recorder::active() { return active_recorder; }

std::size_t Recorder::Hash::operator()(const Node& n) const {
  std::uint64_t h = static_cast<std::uint64_t>(n.opcode);
  for (Id id : n.ids) h = (h ^ id) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
  return h;
}

void Recorder::check_ours(std::uint32_t recording) const {
  if (recording != recording_)
    throw ValueError(
        "record: a value of another recording is used; hint: a recorded function must neither keep its values nor use those of a recording "
        "around it");
}

Recorder::Id Recorder::id_of_constant(double value) {
  const auto [known, is_new] =
      known_constants_.try_emplace(std::bit_cast<std::uint64_t>(value), kConstant | static_cast<Id>(constants_.size()));
  if (is_new) constants_.push_back(value);
  return known->second;
}
Recorder::Id Recorder::id_of(const Recorded& x) {
  if (is_constant(x)) return id_of_constant(x.value_);
  check_ours(x.recording_);
  return x.node_;
}
Recorder::Id Recorder::id_of_node(const Node& node) {
  Node key = node;
  if (commutes(node.opcode) && key.ids[1] < key.ids[0]) std::swap(key.ids[0], key.ids[1]);
  const auto [known, is_new] = known_nodes_.try_emplace(key, inputs_ + static_cast<Id>(nodes_.size()));
  if (is_new) {
    if (nodes_.size() >= kConstant / 2) throw ValueError(fmt::format("record: the function has more than {} operations", kConstant / 2));
    nodes_.push_back(node);
  }
  return known->second;
}

double Recorder::computed(Opcode opcode, const Recorded* operands, const double* options) const {
  if (precision_ == Computed::not_at_all) return 0;
  double x[3] = {};
  for (int k = 0; k < info(opcode).operands; ++k) x[k] = operands[k].value_;
  return compute(opcode, precision_ == Computed::float32, x, options);
}

Recorded Recorder::input(double value) { return recorded(value, inputs_++); }

Recorded Recorder::constant_operation(Opcode opcode, const Recorded* operands, const double* options) {
  double x[3] = {};
  for (int k = 0; k < info(opcode).operands; ++k) x[k] = operands[k].value_;
  return compute(opcode, false, x, options);
}

Recorded Recorder::operation(Opcode opcode, const Recorded* operands, const double* options) {
  const OpcodeInfo& its = info(opcode);
  bool constant = true;
  for (int k = 0; k < its.operands; ++k) constant &= is_constant(operands[k]);
  if (constant) return constant_operation(opcode, operands, options);
  // What has the bits of an operand, whatever that is.
  const auto is = [&](const Recorded& x, double value) {
    return is_constant(x) && std::bit_cast<std::uint64_t>(x.value_) == std::bit_cast<std::uint64_t>(value);
  };
  if (opcode == Opcode::multiply && is(operands[0], kOne)) return operands[1];
  if ((opcode == Opcode::multiply || opcode == Opcode::divide) && is(operands[1], kOne)) return operands[0];
  if (opcode == Opcode::subtract && is(operands[1], 0.0)) return operands[0];
  Node node{opcode, {}};
  for (int k = 0; k < its.operands; ++k) node.ids[k] = id_of(operands[k]);
  if (opcode == Opcode::negative && node.ids[0] >= inputs_) {
    const Node& inner = nodes_[node.ids[0] - inputs_];
    if (inner.opcode == Opcode::negative) return recorded(-operands[0].value_, inner.ids[0]);
  }
  for (int k = 0; k < its.options; ++k) node.ids[its.operands + k] = id_of_constant(options[k]);
  return recorded(computed(opcode, operands, options), id_of_node(node));
}

Condition Recorder::condition(Opcode opcode, const Recorded* operands, Location site) {
  const Recorded c = operation(opcode, operands, nullptr);
  return {c.value_, c.node_, c.recording_, site};
}

Recorded Recorder::as_number(const Condition& c) {
  if (is_constant(c)) return holds(c) ? 1 : 0;
  check_ours(c.recording_);
  const Recorded number(c.value_, c.node_, c.recording_);
  return c.opposite_ ? operation(Opcode::opposite, &number, nullptr) : number;
}

Condition Recorder::combine(Opcode opcode, const Condition& a, const Condition& b) {
  const Recorded operands[] = {as_number(a), as_number(b)};
  return condition(opcode, operands, a.site_);
}

Recorded Recorder::where(const Condition& c, const Recorded& a, const Recorded& b) {
  if (is_constant(c)) return holds(c) ? a : b;
  check_ours(c.recording_);
  const Recorded operands[] = {{c.value_, c.node_, c.recording_}, c.opposite_ ? b : a, c.opposite_ ? a : b};
  const Id left = id_of(operands[1]), right = id_of(operands[2]);
  if (left == right) return a;
  return recorded(computed(Opcode::where, operands, nullptr), id_of_node({Opcode::where, {c.node_, left, right}}));
}

Condition Recorder::opposite(Condition c) {
  c.opposite_ = !c.opposite_;
  return c;
}

void Recorder::add_guard(GuardKind kind, Id id, double outcome, std::string site) {
  const std::uint64_t key = std::uint64_t{id} << 8 | static_cast<std::uint64_t>(kind);
  if (!known_guards_.try_emplace(key, outcome).second) return;  // it was asked before, and is what it was
  guards_.push_back({kind, id, outcome, std::move(site)});
}

double Recorder::guard(const Recorded& x, GuardKind kind) {
  const double outcome = outcome_of(kind, x.value_);
  if (!is_constant(x)) {
    check_ours(x.recording_);
    add_guard(kind, x.node_, outcome, {});
  }
  return outcome;
}
bool Recorder::guard(const Condition& c) {
  if (!is_constant(c)) {
    check_ours(c.recording_);
    add_guard(GuardKind::condition, c.node_, c.value_ != 0 ? 1 : 0, c.site_.line ? to_string(c.site_) : std::string());
  }
  return holds(c);
}
void Recorder::repeat_guard(const Guard& guard, const Recorded& value) {
  if (is_constant(value)) return;
  check_ours(value.recording_);
  add_guard(guard.kind, value.node_, guard.outcome, guard.site);
}

std::optional<Condition> Recorder::support_of(const Recorded& x) {
  if (is_constant(x) || x.node_ < inputs_) return std::nullopt;
  const Node node = nodes_[x.node_ - inputs_];
  if (node.opcode != Opcode::where) return std::nullopt;
  const Id zero = id_of_constant(0);
  if (node.ids[1] != zero && node.ids[2] != zero) return std::nullopt;
  const bool taken = node.ids[2] == zero;  // where the condition holds
  Condition c(0, node.ids[0], recording_, {});
  c.opposite_ = !taken;
  const Id side = node.ids[taken ? 1 : 2];
  if (const auto inner = side & kConstant ? std::nullopt : support_of(recorded(0, side))) return combine(Opcode::both, c, *inner);
  return c;
}

WengertList Recorder::finish(std::uint32_t parameters, const std::vector<Recorded>& outputs) const {
  std::vector<std::uint32_t> number_of_node(nodes_.size(), 0), number_of_constant(constants_.size(), 0);
  std::vector<double> constants = constants_;
  const auto mark = [&](Id id) {  // 1: needed
    if (id & kConstant) {
      number_of_constant[id & ~kConstant] = 1;
    } else if (id >= inputs_) {
      number_of_node[id - inputs_] = 1;
    }
  };
  // Outputs that are constants may not have been operands of anything.
  std::vector<Id> output_ids;
  std::unordered_map<std::uint64_t, Id> known = known_constants_;
  for (const Recorded& y : outputs) {
    if (is_constant(y)) {
      const auto [entry, is_new] = known.try_emplace(std::bit_cast<std::uint64_t>(y.value_), kConstant | static_cast<Id>(constants.size()));
      if (is_new) {
        constants.push_back(y.value_);
        number_of_constant.push_back(1);
      }
      output_ids.push_back(entry->second);
    } else {
      check_ours(y.recording_);
      output_ids.push_back(y.node_);
    }
    mark(output_ids.back());
  }
  for (const Guard& guard : guards_) mark(guard.value);
  const auto operands_of = [](const Node& node) { return info(node.opcode).operands + info(node.opcode).options; };
  for (std::size_t i = nodes_.size(); i-- > 0;)
    if (number_of_node[i])
      for (int k = 0; k < operands_of(nodes_[i]); ++k) mark(nodes_[i].ids[k]);

  WengertList list;
  list.parameters = parameters;
  list.data = inputs_ - parameters;
  for (std::size_t i = 0; i < constants.size(); ++i) {
    if (!number_of_constant[i]) continue;
    number_of_constant[i] = list.first_instruction();
    list.constants.push_back(constants[i]);
  }
  const auto number_of = [&](Id id) {
    return id & kConstant ? number_of_constant[id & ~kConstant] : id < inputs_ ? id : number_of_node[id - inputs_];
  };
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!number_of_node[i]) continue;
    Instruction instruction{nodes_[i].opcode};
    for (int k = 0; k < operands_of(nodes_[i]); ++k) instruction.operands[static_cast<std::size_t>(k)] = number_of(nodes_[i].ids[k]);
    number_of_node[i] = list.size();
    list.instructions.push_back(instruction);
  }
  list.guards = guards_;
  for (Guard& guard : list.guards) guard.value = number_of(guard.value);
  for (Id id : output_ids) list.outputs.push_back(number_of(id));
  return list;
}

// ---- what recorded.h calls --------------------------------------------------------------------------------------------------------

Recorded record_operation(Opcode opcode, const Recorded* operands, const double* options) {
  if (Recorder* recorder = Recorder::active()) return recorder->operation(opcode, operands, options);
  for (int k = 0; k < info(opcode).operands; ++k)
    if (!Recorder::is_constant(operands[k]))
      throw ValueError(fmt::format("{}: its operand is a value of a recording that has ended", info(opcode).name));
  return Recorder::constant_operation(opcode, operands, options);
}

namespace {

Recorder& active_for_recorded(const char* what) {
  if (Recorder* recorder = Recorder::active()) return *recorder;
  throw ValueError(fmt::format("{}: its operand is a value of a recording that has ended", what));
}

Condition compared(Opcode opcode, const Compared& a, const Compared& b, Location site) {
  const Recorded operands[] = {a.x, b.x};
  if (Recorder* recorder = Recorder::active()) return recorder->condition(opcode, operands, site);
  return Recorder::constant_condition(Recorder::value_of(record_operation(opcode, operands, nullptr)), site);
}

}  // namespace

Recorded record_where(const Condition& c, const Recorded& a, const Recorded& b) {
  if (Recorder::is_constant(c)) return Recorder::holds(c) ? a : b;
  return active_for_recorded("where").where(c, a, b);
}
double guard_number(const Recorded& x, GuardKind kind) {
  if (!Recorder::is_constant(x)) return active_for_recorded("a conversion to a number").guard(x, kind);
  return outcome_of(kind, Recorder::value_of(x));
}
void check_integer(double value, double lowest, double highest) {
  if (!(value >= lowest && value <= highest))
    throw ValueError(fmt::format("a recorded value is converted to an integer: {} does not lie between {} and {}", value, lowest, highest));
}

}  // namespace detail

using detail::Recorder;

Recorded::Recorded(const Condition& c) {
  *this = Recorder::is_constant(c) ? Recorded(Recorder::holds(c) ? 1 : 0) : detail::active_for_recorded("a condition").as_number(c);
}

#define WENGERT_OPERATOR(opcode, op)                                    \
  Recorded operator op(const Recorded& a, const Recorded& b) {          \
    const Recorded operands[] = {a, b};                                 \
    return detail::record_operation(Opcode::opcode, operands, nullptr); \
  }
WENGERT_OPERATOR(add, +)
WENGERT_OPERATOR(subtract, -)
WENGERT_OPERATOR(multiply, *)
WENGERT_OPERATOR(divide, /)
#undef WENGERT_OPERATOR
Recorded operator-(const Recorded& x) { return detail::record_operation(Opcode::negative, &x, nullptr); }

// (An operand that is a number knows the place as well as the other one; the left one is taken.)
Condition operator<(const Compared& a, const Compared& b) { return detail::compared(Opcode::less, a, b, a.site); }
Condition operator<=(const Compared& a, const Compared& b) { return detail::compared(Opcode::less_equal, a, b, a.site); }
Condition operator>(const Compared& a, const Compared& b) { return detail::compared(Opcode::less, b, a, a.site); }
Condition operator>=(const Compared& a, const Compared& b) { return detail::compared(Opcode::less_equal, b, a, a.site); }
Condition operator==(const Compared& a, const Compared& b) { return detail::compared(Opcode::equal, a, b, a.site); }
Condition operator!=(const Compared& a, const Compared& b) { return detail::compared(Opcode::not_equal, a, b, a.site); }
Condition signbit(const Recorded& x, Location site) {
  if (Recorder* recorder = Recorder::active()) return recorder->condition(Opcode::signbit, &x, site);
  return Recorder::constant_condition(Recorder::value_of(detail::record_operation(Opcode::signbit, &x, nullptr)), site);
}

Condition::operator bool() const {
  return Recorder::is_constant(*this) ? Recorder::holds(*this) : detail::active_for_recorded("a condition").guard(*this);
}
Condition Condition::operator!() const { return Recorder::opposite(*this); }
Condition operator&(const Condition& a, const Condition& b) {
  if (Recorder::is_constant(a) || Recorder::is_constant(b)) {
    const Condition &known = Recorder::is_constant(a) ? a : b, &other = Recorder::is_constant(a) ? b : a;
    return Recorder::holds(known) ? other : known;
  }
  return detail::active_for_recorded("&").combine(Opcode::both, a, b);
}
Condition operator|(const Condition& a, const Condition& b) {
  if (Recorder::is_constant(a) || Recorder::is_constant(b)) {
    const Condition &known = Recorder::is_constant(a) ? a : b, &other = Recorder::is_constant(a) ? b : a;
    return Recorder::holds(known) ? known : other;
  }
  return detail::active_for_recorded("|").combine(Opcode::either, a, b);
}

}  // namespace wengert
