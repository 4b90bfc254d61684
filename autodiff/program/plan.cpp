#include "autodiff/program/plan.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "autodiff/program/block_kernels.h"

namespace wengert::detail {
namespace {

constexpr std::uint32_t kForever = std::numeric_limits<std::uint32_t>::max();

// Rows are given out from the lowest free one.
class Rows {
 public:
  std::uint32_t take() {
    if (free_.empty()) return count_++;
    std::pop_heap(free_.begin(), free_.end(), std::greater<>());
    const std::uint32_t row = free_.back();
    free_.pop_back();
    return row;
  }
  void give_back(std::uint32_t row) {
    free_.push_back(row);
    std::push_heap(free_.begin(), free_.end(), std::greater<>());
  }
  std::uint32_t count() const { return count_; }

 private:
  std::vector<std::uint32_t> free_;
  std::uint32_t count_ = 0;
};

// What is computed from a list, by the numbers of its values.
class Planner {
 public:
  Planner(const WengertList& list, Wanted wanted, Plan& plan)
      : list_(list),
        wanted_(wanted),
        plan_(plan),
        first_(list.first_instruction()),
        in_lanes_(list.size()),
        active_(list.size()),
        reached_(list.size()),
        kept_(list.size()),
        computed_(list.size()),
        first_of_pair_(list.size(), kNone),
        last_use_(list.size()),
        step_of_(list.size()),
        place_(list.size()) {
    find_lanes_and_activity();
    find_reached();
    find_computed();
    find_pairs();
    place_uniforms();
    place_columns();
    place_guards();
    find_last_uses();
    plan_forward();
    if (wanted_.outputs)
      for (std::uint32_t y : list_.outputs) plan_.outputs.push_back(place_[y]);
    if (wanted_.costly == Costly::written)
      for (std::uint32_t v : costly_) plan_.outputs.push_back(place_[v]);
    std::vector<char> known(plan_.rows);
    for (Position y : plan_.outputs) plan_.output_is_first.push_back(plan_.is_row(y) && !std::exchange(known[y - plan_.row(0)], true));
    if (wanted_.any_derivative()) plan_reverse();
  }

 private:
  static int operands_of(const Instruction& i) { return info(i.opcode).operands; }
  std::uint32_t operand(const Instruction& i, int k) const { return i.operands[static_cast<std::size_t>(k)]; }
  bool has_slope(const Instruction& i, int k) const { return info(i.opcode).has_slope && !(i.opcode == Opcode::where && k == 0); }
  // Whether the adjoint of the instruction v goes on to its operand k.
  bool passes(const Instruction& i, int k) const { return has_slope(i, k) && active_[operand(i, k)]; }

  void find_lanes_and_activity() {
    for (std::uint32_t v = 0; v < list_.inputs(); ++v) {
      in_lanes_[v] = v >= list_.parameters;
      active_[v] = v < list_.parameters ? wanted_.parameters : wanted_.data;
    }
    for (std::uint32_t v = first_; v < list_.size(); ++v) {
      const Instruction& i = list_.instruction(v);
      for (int k = 0; k < operands_of(i); ++k) {
        if (in_lanes_[operand(i, k)]) in_lanes_[v] = true;
        if (passes(i, k)) active_[v] = true;
      }
    }
  }

  void find_reached() {
    if (!wanted_.any_derivative()) return;
    for (std::uint32_t y : list_.outputs) reached_[y] = active_[y];
    for (std::uint32_t v = list_.size(); v-- > first_;) {
      if (!reached_[v]) continue;
      const Instruction& i = list_.instruction(v);
      for (int k = 0; k < operands_of(i); ++k) {
        if (!passes(i, k)) continue;
        reached_[operand(i, k)] = true;
        const fn::Reads reads = info(i.opcode).reads[static_cast<std::size_t>(k)];
        if (reads & fn::Reads::a) kept_[operand(i, 0)] = true;
        if (reads & fn::Reads::b) kept_[operand(i, 1)] = true;
        if (reads & fn::Reads::y) kept_[v] = true;
      }
    }
  }

  // Which values of lanes are computed: those that are wanted or read.
  void find_computed() {
    if (wanted_.costly != Costly::computed) costly_ = costly_values(list_);
    std::vector<char> given(list_.size());
    if (wanted_.costly == Costly::given)
      for (std::uint32_t v : costly_) given[v] = true;
    computed_ = kept_;
    if (wanted_.outputs)
      for (std::uint32_t y : list_.outputs) computed_[y] = true;
    if (wanted_.costly == Costly::written)
      for (std::uint32_t v : costly_) computed_[v] = true;
    for (const Guard& guard : list_.guards) computed_[guard.value] = true;
    for (std::uint32_t v = list_.size(); v-- > first_;) {
      computed_[v] = computed_[v] && in_lanes_[v] && !given[v];
      if (!computed_[v]) continue;
      const Instruction& i = list_.instruction(v);
      for (int k = 0; k < operands_of(i); ++k) computed_[operand(i, k)] = true;
    }
  }

  // What is read once, by an operation that can be done in the same loop, needs no row. (Three operations in a loop do not: it would have
  // five operands.)
  void find_pairs() {
    std::vector<std::uint32_t> uses(list_.size());
    for (std::uint32_t v = first_; v < list_.size(); ++v) {
      if (!computed_[v]) continue;
      const Instruction& i = list_.instruction(v);
      for (int k = 0; k < operands_of(i); ++k) ++uses[operand(i, k)];
    }
    for (std::uint32_t y : list_.outputs) uses[y] += wanted_.outputs ? 2 : 0;
    for (const Guard& guard : list_.guards) uses[guard.value] += 2;
    for (std::uint32_t v : costly_) uses[v] += 2;
    for (std::uint32_t w = first_; w < list_.size(); ++w) {
      if (!computed_[w]) continue;
      const Instruction& i = list_.instruction(w);
      for (int k = 0; k < operands_of(i) && first_of_pair_[w] == kNone; ++k) {
        const std::uint32_t v = operand(i, k);
        if (v < first_ || !computed_[v] || kept_[v] || uses[v] != 1 || first_of_pair_[v] != kNone) continue;
        if (!pair_of(list_.instruction(v).opcode, i.opcode, k)) continue;
        first_of_pair_[w] = v;
        computed_[v] = false;
      }
    }
  }
  // f(operand) for what the step that computes v reads: of a pair, the operands of the first operation, and then the other one.
  template <class F> void for_each_operand(std::uint32_t v, const F& f) const {
    const Instruction& i = list_.instruction(v);
    const std::uint32_t first = first_of_pair_[v];
    if (first != kNone)
      for (int k = 0; k < operands_of(list_.instruction(first)); ++k) f(operand(list_.instruction(first), k));
    for (int k = 0; k < operands_of(i); ++k)
      if (operand(i, k) != first) f(operand(i, k));
  }

  std::uint32_t add_options(const Instruction& i) {
    const auto begin = static_cast<std::uint32_t>(plan_.options.size());
    const std::array<double, 2> options = list_.options(i);
    plan_.options.insert(plan_.options.end(), options.begin(), options.begin() + info(i.opcode).options);
    return begin;
  }

  void place_uniforms() {
    plan_.constants = list_.constants;
    for (std::uint32_t v = 0; v < list_.size(); ++v) {
      if (in_lanes_[v]) continue;
      place_[v] = plan_.uniforms++;
      if (v < first_) continue;
      const Instruction& i = list_.instruction(v);
      ForwardStep step{i.opcode, 0, -1, place_[v], add_options(i), {}};
      for (int k = 0; k < operands_of(i); ++k) step.operands[k] = place_[operand(i, k)];
      plan_.uniform_steps.push_back(step);
    }
  }
  void place_columns() {
    const auto add = [&](std::uint32_t v) { place_[v] = plan_.uniforms + plan_.columns++; };
    for (std::uint32_t d = 0; d < list_.data; ++d) add(list_.parameters + d);
    if (wanted_.costly == Costly::given)
      for (std::uint32_t v : costly_) add(v);
  }

  // A guard is checked as soon as its value is known and the guards before it are checked.
  void place_guards() {
    std::uint32_t steps = 0;
    for (std::uint32_t v = first_; v < list_.size(); ++v)
      if (computed_[v]) step_of_[v] = steps++;
    std::uint32_t before = 0;
    for (std::uint32_t g = 0; g < list_.guards.size(); ++g) {
      const std::uint32_t v = list_.guards[g].value;
      if (!in_lanes_[v]) {
        plan_.uniform_guards.push_back({0, g, place_[v]});
        continue;
      }
      if (v >= first_) before = std::max(before, step_of_[v] + 1);
      plan_.guards.push_back({before, g, {}});  // its place is known when rows are given out
      last_use_[v] = std::max(last_use_[v], before);
    }
  }

  // last_use_[v]: from this step on, v's row is free.
  void find_last_uses() {
    for (std::uint32_t v = first_; v < list_.size(); ++v) {
      if (computed_[v]) for_each_operand(v, [&](std::uint32_t x) { last_use_[x] = std::max(last_use_[x], step_of_[v]); });
    }
    for (std::uint32_t v = 0; v < list_.size(); ++v)
      if (kept_[v]) last_use_[v] = kForever;
    for (std::uint32_t y : list_.outputs) last_use_[y] = kForever;
    for (std::uint32_t v : costly_) last_use_[v] = kForever;
  }

  void plan_forward() {
    Rows rows;
    std::vector<std::pair<std::uint32_t, std::uint32_t>> waiting;  // (from which step on it is free, row), a heap
    for (std::uint32_t v = first_; v < list_.size(); ++v) {
      if (!computed_[v]) continue;
      const std::uint32_t s = step_of_[v];
      while (!waiting.empty() && waiting.front().first <= s) {
        rows.give_back(waiting.front().second);
        std::pop_heap(waiting.begin(), waiting.end(), std::greater<>());
        waiting.pop_back();
      }
      const Instruction& i = list_.instruction(v);
      const std::uint32_t row = rows.take();
      ForwardStep step{i.opcode, 0, -1, plan_.row(row), add_options(i), {}};
      if (const std::uint32_t first = first_of_pair_[v]; first != kNone)
        step.pair = static_cast<std::int8_t>(*pair_of(list_.instruction(first).opcode, i.opcode, operand(i, 0) == first ? 0 : 1));
      int k = 0;
      for_each_operand(v, [&](std::uint32_t x) {
        step.operands[k] = place_[x];
        if (plan_.is_uniform(step.operands[k])) step.mode = static_cast<std::uint8_t>(step.mode | 1 << k);
        ++k;
      });
      place_[v] = step.y;
      plan_.steps.push_back(step);
      if (last_use_[v] != kForever) {
        waiting.emplace_back(std::max(last_use_[v], s + 1), row);
        std::push_heap(waiting.begin(), waiting.end(), std::greater<>());
      }
    }
    for (GuardStep& guard : plan_.guards) guard.value = place_[list_.guards[guard.guard].value];
    plan_.rows = rows.count();
  }

  // How many terms the adjoint of each value has.
  std::vector<std::uint32_t> count_terms() const {
    std::vector<std::uint32_t> terms(list_.size());
    for (std::uint32_t y : list_.outputs) ++terms[y];
    for (std::uint32_t v = first_; v < list_.size(); ++v) {
      if (!reached_[v]) continue;
      const Instruction& i = list_.instruction(v);
      for (int k = 0; k < operands_of(i); ++k)
        if (passes(i, k)) ++terms[operand(i, k)];
    }
    return terms;
  }
  // Whether the rule of operand k is m itself.
  static bool is_identity(const Instruction& i, int k) { return i.opcode == Opcode::add || (i.opcode == Opcode::subtract && k == 0); }

  void plan_reverse() {
    const std::vector<std::uint32_t> terms = count_terms();
    std::vector<std::uint32_t> row_of(list_.size(), Plan::kNoRow), users;  // users[row]: the values whose adjoint it is
    Rows rows;
    const auto take = [&] {
      const std::uint32_t row = rows.take();
      if (row == users.size()) users.push_back(0);
      users[row] = 1;
      return row;
    };
    const auto add_boundary = [&](std::uint32_t v) {
      if (row_of[v] != Plan::kNoRow) return;
      row_of[v] = static_cast<std::uint32_t>(plan_.boundary.size());
      plan_.boundary.push_back(place_[v]);
    };
    for (std::uint32_t y : list_.outputs) {
      if (reached_[y] && !in_lanes_[y]) add_boundary(y);
      const bool is_first = reached_[y] && in_lanes_[y] && row_of[y] == Plan::kNoRow;
      if (is_first) row_of[y] = take();
      plan_.seed_is_first.push_back(is_first);
      plan_.output_rows.push_back(reached_[y] ? row_of[y] : Plan::kNoRow);
      plan_.output_is_shared.push_back(!in_lanes_[y]);
    }
    const std::uint32_t of_seeds = rows.count();  // the first rows, which are not used again
    for (std::uint32_t v = list_.size(); v-- > first_;) {
      if (!reached_[v]) continue;
      const Instruction& i = list_.instruction(v);
      const std::uint32_t options = add_options(i);
      for (int k = 0; k < operands_of(i); ++k) {
        if (!passes(i, k)) continue;
        const std::uint32_t to = operand(i, k);
        ReverseStep step{i.opcode, static_cast<std::uint8_t>(k), 0, false, false, 0, 0, options, {}, place_[v]};
        for (int j = 0; j < operands_of(i); ++j) {
          step.operands[j] = place_[operand(i, j)];
          if (in_lanes_[v] && !in_lanes_[operand(i, j)]) step.mode = static_cast<std::uint8_t>(step.mode | 1 << j);
        }
        if (!in_lanes_[v]) {
          step.to = place_[to];
          step.m = place_[v];
          plan_.uniform_reverse.push_back(step);
          continue;
        }
        step.m = plan_.adjoints(row_of[v]);
        if (!in_lanes_[to]) {
          add_boundary(to);
          step.sums = true;
        } else if (is_identity(i, k) && terms[to] == 1) {
          ++users[row_of[to] = row_of[v]];
          continue;
        } else if (row_of[to] == Plan::kNoRow) {
          row_of[to] = take();
          step.first = true;
        }
        step.to = step.sums ? row_of[to] : plan_.adjoints(row_of[to]);
        plan_.reverse.push_back(step);
      }
      if (in_lanes_[v] && --users[row_of[v]] == 0 && row_of[v] >= of_seeds) rows.give_back(row_of[v]);
    }
    plan_.adjoint_rows = rows.count();
    std::vector<char> known(plan_.adjoint_rows);
    for (std::uint32_t d = 0; d < list_.data; ++d) {
      const std::uint32_t row = wanted_.data ? row_of[list_.parameters + d] : Plan::kNoRow;
      plan_.data_rows.push_back(row);
      plan_.data_is_first.push_back(row != Plan::kNoRow && !std::exchange(known[row], true));
    }
    // `known` are the rows of results; what else is written is more than a seed, too.
    for (const ReverseStep& step : plan_.reverse)
      if (!step.sums) known[step.to - plan_.adjoints(0)] = true;
    for (std::size_t o = 0; o < list_.outputs.size(); ++o)
      if (plan_.output_rows[o] != Plan::kNoRow && !plan_.output_is_shared[o] && !plan_.seed_is_first[o]) known[plan_.output_rows[o]] = true;
    for (std::size_t o = 0; o < list_.outputs.size(); ++o)
      plan_.seed_is_only_read.push_back(plan_.seed_is_first[o] && !known[plan_.output_rows[o]]);
  }

  const WengertList& list_;
  Wanted wanted_;
  Plan& plan_;
  std::uint32_t first_;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::vector<char> in_lanes_, active_, reached_, kept_, computed_;
  std::vector<std::uint32_t> first_of_pair_;
  std::vector<std::uint32_t> last_use_, step_of_, costly_;
  std::vector<Position> place_;
};

}  // namespace

Plan::Plan(const WengertList& list, Wanted wanted) { Planner(list, wanted, *this); }

std::vector<std::uint32_t> costly_values(const WengertList& list) {
  std::vector<char> in_lanes(list.size()), read(list.size());
  for (std::uint32_t v = list.parameters; v < list.inputs(); ++v) in_lanes[v] = true;
  for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v) {
    const Instruction& i = list.instruction(v);
    const OpcodeInfo& its = info(i.opcode);
    fn::Reads reads = fn::Reads::nothing;
    for (int k = 0; k < its.operands; ++k) {
      if (in_lanes[i.operands[static_cast<std::size_t>(k)]]) in_lanes[v] = true;
      reads = reads | its.reads[static_cast<std::size_t>(k)];
    }
    if (reads & fn::Reads::a) read[i.operands[0]] = true;
    if (reads & fn::Reads::b) read[i.operands[1]] = true;
    if (reads & fn::Reads::y) read[v] = true;
  }
  std::vector<std::uint32_t> costly;
  for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v)
    if (read[v] && in_lanes[v] && !is_arithmetic(list.instruction(v).opcode)) costly.push_back(v);
  return costly;
}

}  // namespace wengert::detail
