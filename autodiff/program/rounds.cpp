#include "autodiff/program/rounds.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace wengert::detail {
namespace {

constexpr std::size_t kFewestRounds = 3, kFewestSaved = 12;  // steps that need not be written
constexpr std::uint32_t kMostBack = 4;
constexpr std::size_t kNone = ~std::size_t{0};

bool worth_it(std::size_t period, std::size_t rounds) { return rounds >= kFewestRounds && (rounds - 1) * period >= kFewestSaved; }

class Finder {
 public:
  Finder(const WengertList& list, const std::vector<Step>& steps) : list_(list), steps_(steps) {
    prefix_.reserve(steps.size() + 1);
    prefix_.push_back(0);
    for (const Step& step : steps) prefix_.push_back(add(multiply(prefix_.back(), kBase), kind_of(step)));
  }

  // Long windows first: one that holds all rounds of an inner loop repeats itself only in the next round of the outer one.
  void find(std::size_t first, std::size_t end) {
    if (end <= first) return;
    std::vector<Stretch> found;
    std::size_t window = std::bit_floor(std::max<std::size_t>((end - first) / 4, 1));
    for (; window >= 2; window /= 2) {
      std::vector<Stretch> more;
      std::size_t begin = first;
      for (const Stretch& stretch : found) {
        search(begin, stretch.first, window, more);
        begin = stretch.first + stretch.period * stretch.rounds;
      }
      search(begin, end, window, more);
      const auto middle = static_cast<std::ptrdiff_t>(found.size());
      found.insert(found.end(), more.begin(), more.end());
      std::inplace_merge(found.begin(), found.begin() + middle, found.end(),
                         [](const Stretch& a, const Stretch& b) { return a.first < b.first; });
    }
    candidates_.insert(candidates_.end(), found.begin(), found.end());
  }

  // Those whose operands can be found, cut to the rounds where they can.
  std::vector<Stretch> addressable() {
    std::vector<Stretch> kept;
    for (Stretch stretch : candidates_)
      if (cut(stretch, kept)) kept.push_back(stretch);
    return kept;
  }

 private:
  // A polynomial hash modulo 2^61 - 1 of what steps are, whatever their operands' numbers.
  static constexpr std::uint64_t kModulus = (std::uint64_t{1} << 61) - 1, kBase = 0x1b873593cc9e2d51u % kModulus;
  static std::uint64_t add(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t sum = a + b;
    return sum >= kModulus ? sum - kModulus : sum;
  }
  static std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return add(static_cast<std::uint64_t>(product & kModulus), static_cast<std::uint64_t>(product >> 61));
  }
  static std::uint64_t power(std::uint64_t base, std::size_t n) {
    std::uint64_t result = 1;
    for (; n > 0; n /= 2, base = multiply(base, base))
      if (n % 2) result = multiply(result, base);
    return result;
  }

  std::uint64_t kind_of(const Step& step) const {
    std::uint64_t kind = step.is_guard ? 1 + static_cast<std::uint64_t>(list_.guards[step.number].kind)
                                       : 8 + static_cast<std::uint64_t>(list_.instruction(step.number).opcode);
    const Operands operands = operands_of(list_, step);
    for (int k = 0; k < operands.count; ++k) kind = kind * 4 + static_cast<std::uint64_t>(list_.kind(operands.at[k]));
    return kind + 1;
  }

  // Whether steps i and j do the same, but for the numbers of their operands.
  bool alike(std::size_t i, std::size_t j) const {
    const Step &a = steps_[i], &b = steps_[j];
    if (a.is_guard != b.is_guard) return false;
    if (a.is_guard) {
      const Guard &x = list_.guards[a.number], &y = list_.guards[b.number];
      if (x.kind != y.kind || std::bit_cast<std::uint64_t>(x.outcome) != std::bit_cast<std::uint64_t>(y.outcome)) return false;
    } else {
      const Instruction &x = list_.instruction(a.number), &y = list_.instruction(b.number);
      if (x.opcode != y.opcode) return false;
      const OpcodeInfo& its = info(x.opcode);
      for (int k = its.operands; k < its.operands + its.options; ++k)
        if (x.operands[static_cast<std::size_t>(k)] != y.operands[static_cast<std::size_t>(k)]) return false;
    }
    const Operands x = operands_of(list_, a), y = operands_of(list_, b);
    for (int k = 0; k < x.count; ++k)
      if (list_.kind(x.at[k]) != list_.kind(y.at[k])) return false;
    return true;
  }
  // Whether the operands' numbers grow from step i to j by the same as from h to i.
  bool evenly(std::size_t h, std::size_t i, std::size_t j) const {
    const Operands x = operands_of(list_, steps_[h]), y = operands_of(list_, steps_[i]), z = operands_of(list_, steps_[j]);
    for (int k = 0; k < x.count; ++k)
      if (list_.kind(x.at[k]) != ValueKind::constant && std::int64_t{z.at[k]} - y.at[k] != std::int64_t{y.at[k]} - x.at[k]) return false;
    return true;
  }

  void search(std::size_t first, std::size_t end, std::size_t window, std::vector<Stretch>& found) {
    if (end - first < std::max(2 * window, kFewestSaved)) return;
    const std::vector<std::uint32_t> period = distances(first, end, window);
    for (std::size_t s = first; s + window < end;) {
      const std::size_t p = period[s - first];
      if (p == 0) {
        ++s;
        continue;
      }
      std::size_t i = s;
      for (; i + p < end && alike(i, i + p); ++i) {
        if (i < s + p || evenly(i - p, i, i + p)) continue;
        if (worth_it(p, rounds_of(s, p, i))) break;
        s = i - p + 1;
      }
      s = add_stretch(s, p, rounds_of(s, p, i), found) ? s + p * rounds_of(s, p, i) : i + 1;
    }
  }
  // If steps [s, i) do the same as those one period on.
  static std::size_t rounds_of(std::size_t s, std::size_t p, std::size_t i) { return (i - s) / p + 1; }
  bool add_stretch(std::size_t s, std::size_t p, std::size_t rounds, std::vector<Stretch>& found) const {
    if (!worth_it(p, rounds)) return false;
    Stretch stretch{s, p, rounds, 0, 0};
    for (std::size_t j = s + p; j-- > s;) {
      if (steps_[j].is_guard) continue;
      stretch.first_value = steps_[j].number;
      ++stretch.values_per_round;
    }
    if (stretch.values_per_round == 0) return false;
    found.push_back(stretch);
    return true;
  }

  // How far it is from each step to the next one where a window of the same begins; 0 if there is none.
  std::vector<std::uint32_t> distances(std::size_t first, std::size_t end, std::size_t window) const {
    std::vector<std::uint32_t> distance(end - first);
    struct Entry {
      std::uint64_t hash = 0;
      std::size_t step = kNone;
    };
    // One entry for each remainder of the hash: that another window is in the way is rare, and no more than a stretch is lost by it.
    std::vector<Entry> last(std::bit_ceil(2 * std::min<std::size_t>(end - first, std::size_t{1} << 20)));
    const std::uint64_t shift = power(kBase, window);
    for (std::size_t s = end - window + 1; s-- > first;) {
      const std::uint64_t hash = add(prefix_[s + window], kModulus - multiply(prefix_[s], shift));
      Entry& entry = last[(hash ^ hash >> 32) & (last.size() - 1)];
      if (entry.hash == hash && entry.step != kNone && entry.step - s <= std::numeric_limits<std::uint32_t>::max())
        distance[s - first] = static_cast<std::uint32_t>(entry.step - s);
      entry = {hash, s};
    }
    return distance;
  }

  // Leaves out rounds at either end whose operands are not where those of the other rounds are. False if too few are left.
  bool cut(Stretch& stretch, const std::vector<Stretch>& before) const {
    auto low = std::int64_t{0}, high = static_cast<std::int64_t>(stretch.rounds);
    for (std::size_t j = 0; j < stretch.period; ++j) {
      const int count = operands_of(list_, steps_[stretch.first + j]).count;
      for (int k = 0; k < count; ++k) {
        const OperandRule rule = rule_of_operand(list_, steps_, stretch, j, k);
        if (rule.kind != OperandRule::strided || list_.kind(rule.base) != ValueKind::instruction) continue;
        const std::int64_t base = rule.base, own = stretch.first_value;
        if (rule.stride == 0) {  // a value of a round of its own must be before the first one
          if (base >= own) low = std::max(low, (base - own) / stretch.values_per_round + 1);
          continue;
        }
        const Stretch* there = stretch_of(before, static_cast<std::uint32_t>(base + rule.stride * ((low + high) / 2)));
        if (!there || rule.stride % there->values_per_round != 0) return false;
        // first_value <= base + stride r <= end_value - 1
        const std::int64_t least = std::int64_t{there->first_value} - base, most = std::int64_t{there->end_value()} - 1 - base;
        const bool up = rule.stride > 0;
        const std::int64_t step = up ? rule.stride : -rule.stride;
        low = std::max(low, -floor_of(up ? -least : most, step));
        high = std::min(high, floor_of(up ? most : -least, step) + 1);
      }
    }
    if (low >= high || !worth_it(stretch.period, static_cast<std::size_t>(high - low))) return false;
    stretch.first += static_cast<std::size_t>(low) * stretch.period;
    stretch.first_value += static_cast<std::uint32_t>(low) * stretch.values_per_round;
    stretch.rounds = static_cast<std::size_t>(high - low);
    return true;
  }
  // x / step, rounded down.
  static std::int64_t floor_of(std::int64_t x, std::int64_t step) { return x >= 0 ? x / step : -((-x + step - 1) / step); }

  const WengertList& list_;
  const std::vector<Step>& steps_;
  std::vector<std::uint64_t> prefix_;
  std::vector<Stretch> candidates_;
};

}  // namespace

std::vector<Step> steps_of(const WengertList& list) {
  std::vector<Step> steps;
  steps.reserve(list.instructions.size() + list.guards.size());
  std::uint32_t next = list.first_instruction();
  for (std::uint32_t g = 0; g < list.guards.size(); ++g) {
    while (next <= list.guards[g].value) steps.push_back({next++, false});
    steps.push_back({g, true});
  }
  while (next < list.size()) steps.push_back({next++, false});
  return steps;
}

Operands operands_of(const WengertList& list, const Step& step) {
  if (step.is_guard) return {{list.guards[step.number].value, 0, 0}, 1};
  const Instruction& i = list.instruction(step.number);
  return {{i.operands[0], i.operands[1], i.operands[2]}, info(i.opcode).operands};
}

OperandRule rule_of_operand(const WengertList& list, const std::vector<Step>& steps, const Stretch& stretch, std::size_t position,
                            int operand) {
  const auto at = [&](std::size_t round) {
    return operands_of(list, steps[stretch.first + round * stretch.period + position]).at[operand];
  };
  const std::uint32_t base = at(0);
  if (list.kind(base) == ValueKind::constant) {
    for (std::size_t r = 1; r < stretch.rounds; ++r)
      if (at(r) != base) return {OperandRule::constant_table, base, 0, 0};
    return {OperandRule::strided, base, 0, 0};
  }
  const std::int64_t stride = std::int64_t{at(1)} - base;
  if (list.kind(base) == ValueKind::instruction && stride == stretch.values_per_round) {
    const std::uint32_t below = base < stretch.first_value ? stretch.first_value - base : 0;
    const std::uint32_t back = (below + stretch.values_per_round - 1) / stretch.values_per_round;
    if (back <= kMostBack) return {OperandRule::own, base, stride, back};
  }
  return {OperandRule::strided, base, stride, 0};
}

const Stretch* stretch_of(const std::vector<Stretch>& stretches, std::uint32_t value) {
  const auto after = std::upper_bound(stretches.begin(), stretches.end(), value,
                                      [](std::uint32_t v, const Stretch& stretch) { return v < stretch.first_value; });
  if (after == stretches.begin()) return nullptr;
  const Stretch& stretch = *std::prev(after);
  return value < stretch.end_value() ? &stretch : nullptr;
}

std::vector<Stretch> find_stretches(const WengertList& list, const std::vector<Step>& steps, std::size_t split) {
  Finder finder(list, steps);
  finder.find(0, split);
  finder.find(split, steps.size());
  return finder.addressable();
}

}  // namespace wengert::detail
