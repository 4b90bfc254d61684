#include "autodiff/program/to_cpp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <vector>

#include "autodiff/program/function_source.h"
#include "autodiff/program/rounds.h"
#include "autodiff/version.h"

namespace wengert {
namespace {

using detail::literal_of;
using detail::OperandRule;
using detail::Step;
using detail::Stretch;

// The list with what does not depend on data in front. `uniform`, by the new numbers: what does not.
WengertList uniform_first(const WengertList& list, std::vector<char>& uniform) {
  std::vector<char> its(list.size());
  for (std::uint32_t v = 0; v < list.size(); ++v) {
    its[v] = list.kind(v) != ValueKind::data;
    if (list.kind(v) != ValueKind::instruction) continue;
    const Instruction& i = list.instruction(v);
    for (int k = 0; k < info(i.opcode).operands; ++k) its[v] &= its[i.operands[static_cast<std::size_t>(k)]];
  }
  WengertList sorted = list;
  sorted.instructions.clear();
  std::vector<std::uint32_t> number(list.size());
  for (std::uint32_t v = 0; v < list.first_instruction(); ++v) number[v] = v;
  uniform.assign(its.begin(), its.begin() + list.first_instruction());
  for (const char now : {1, 0})
    for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v) {
      if (its[v] != now) continue;
      number[v] = sorted.size();
      Instruction i = list.instruction(v);
      for (int k = 0; k < info(i.opcode).operands; ++k)
        i.operands[static_cast<std::size_t>(k)] = number[i.operands[static_cast<std::size_t>(k)]];
      sorted.instructions.push_back(i);
      uniform.push_back(now);
    }
  for (Guard& guard : sorted.guards) guard.value = number[guard.value];
  for (std::uint32_t& y : sorted.outputs) y = number[y];
  return sorted;
}

// A site may hold whatever a file may be called: nothing of it may end or continue a comment.
std::string comment_of(const std::string& site) {
  if (site.empty()) return {};
  std::string text = "  // " + site;
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == '\\' || c == '?') c = '_';
  return text;
}

// "3 + 2 * r".
std::string index_of(std::int64_t base, std::int64_t stride) {
  if (stride == 0) return std::to_string(base);
  const std::int64_t size = stride < 0 ? -stride : stride;
  const std::string steps = size == 1 ? "r" : fmt::format("{} * r", size);
  if (base == 0) return (stride < 0 ? "-" : "") + steps;
  return fmt::format("{} {} {}", base, stride < 0 ? '-' : '+', steps);
}

class CppWriter {
 public:
  CppWriter(const WengertList& list, std::string_view name, const CppOptions& options)
      : options_(options), name_(name), functions_(fmt::format("{}_", name)), list_(options.lanes ? uniform_first(list, uniform_) : list) {
    steps_ = detail::steps_of(list_);
    if (options.lanes) {
      const auto lane_part = std::stable_partition(steps_.begin(), steps_.end(), [&](const Step& step) {
        return uniform_[step.is_guard ? list_.guards[step.number].value : step.number] != 0;
      });
      split_ = static_cast<std::size_t>(lane_part - steps_.begin());
    }
    if (options.loops) stretches_ = detail::find_stretches(list_, steps_, split_);
    for (const Stretch& stretch : stretches_) positions_.emplace_back(stretch.values_per_round);
    segment_of_.resize(list_.size());
    stored_.resize(list_.size());
    mark();
    if (options.lanes) mark_stored();
  }

  std::string source() {
    std::string uniform, lane;
    to_ = &uniform;
    write_steps(0, options_.lanes ? split_ : steps_.size());
    if (options_.lanes) {
      in_lane_ = true;
      indent_ = "    ";
      to_ = &lane;
      write_steps(split_, steps_.size());
    }
    write_outputs();
    std::string memory;
    if (saved_ > 0) memory = fmt::format("  std::vector<double> saved({});\n{}", saved_, arrays_);
    std::string text =
        fmt::format("// Written by Wengert {}. Compiled with -ffp-contract=off -fno-builtin it has the bits of the evaluator.\n",
                    WENGERT_VERSION_STRING);
    text += functions_.definitions(saved_ > 0) + tables_;
    text += fmt::format("// {} parameters p, {} data d, {} outputs y; the result is the number of the guard that failed, or -1.\n",
                        list_.parameters, list_.data, list_.outputs.size());
    if (!options_.lanes) {
      return text + fmt::format(
                        "extern \"C\" long {}([[maybe_unused]] const double* p, [[maybe_unused]] const double* d, double* y) {{\n"
                        "{}{}  return -1;\n}}\n",
                        name_, memory, uniform);
    }
    return text + fmt::format(
                      "extern \"C\" void {0}(long lanes, [[maybe_unused]] const double* p, [[maybe_unused]] const double* const* d,\n"
                      "    double* const* y, long* left) {{\n"
                      "{1}{2}"
                      "  for (long first = 0; first < lanes; first += {3}) {{\n"
                      "    const long n = lanes - first < {3} ? lanes - first : {3};\n"
                      "    for (long i = 0; i < n; ++i) left[first + i] = -1;\n"
                      "{4}"
                      "  }}\n}}\n",
                      name_, memory, uniform, kLanes, lane);
  }

 private:
  // Lanes are computed so many at a time. What is arithmetic runs in one loop over them, a segment, which ends at every call and at the
  // borders of loops; values that another segment reads are stored. Compilers take long for a segment of many operations.
  static constexpr int kLanes = 64, kMostOperations = 48;

  // What is needed of one value of each round.
  struct Position {
    std::uint32_t back = 0;  // how many rounds later it is still read
    bool after = false;      // that of the last round is read after the loop
    bool saved = false;      // that of another round is read after the loop
  };
  Position& position_of(const Stretch& stretch, std::uint32_t value) {
    const auto s = static_cast<std::size_t>(&stretch - stretches_.data());
    return positions_[s][(value - stretch.first_value) % stretch.values_per_round];
  }
  static std::uint32_t round_of(const Stretch& stretch, std::uint32_t value) {
    return (value - stretch.first_value) / stretch.values_per_round;
  }
  // The number of the same value in round 0, which gives it its name.
  static std::uint32_t first_of(const Stretch& stretch, std::uint32_t value) {
    return stretch.first_value + (value - stretch.first_value) % stretch.values_per_round;
  }
  const Stretch* stretch_of(std::uint32_t value) const {
    return list_.kind(value) == ValueKind::instruction ? detail::stretch_of(stretches_, value) : nullptr;
  }
  // f(stretch), f(step) for the steps [first, end).
  template <class OfStretch, class OfStep>
  void for_each_step(std::size_t first, std::size_t end, const OfStretch& of_stretch, const OfStep& of_step) {
    auto stretch = std::lower_bound(stretches_.begin(), stretches_.end(), first,
                                    [](const Stretch& its, std::size_t step) { return its.first < step; });
    for (std::size_t s = first; s < end;) {
      if (stretch != stretches_.end() && stretch->first == s) {
        of_stretch(*stretch);
        s += stretch->period * stretch->rounds;
        ++stretch;
      } else {
        of_step(steps_[s++]);
      }
    }
  }

  // ---- what is read from where ----

  void mark() {
    for_each_step(
        0, steps_.size(),
        [&](const Stretch& stretch) {
          for (std::size_t j = 0; j < stretch.period; ++j) {
            const int count = detail::operands_of(list_, steps_[stretch.first + j]).count;
            for (int k = 0; k < count; ++k) mark(stretch, detail::rule_of_operand(list_, steps_, stretch, j, k));
          }
        },
        [&](const Step& step) {
          const detail::Operands operands = detail::operands_of(list_, step);
          for (int k = 0; k < operands.count; ++k) mark_one(operands.at[k]);
        });
    for_each_output([&](std::size_t k, OutputRun run) { mark_strided(list_.outputs[k], run.stride); });
  }
  void mark_one(std::uint32_t value) {
    const Stretch* stretch = stretch_of(value);
    if (!stretch) return;
    (round_of(*stretch, value) + 1 == stretch->rounds ? position_of(*stretch, value).after : position_of(*stretch, value).saved) = true;
  }
  void mark_strided(std::uint32_t base, std::int64_t stride) {
    if (stride == 0) {
      mark_one(base);
    } else if (const Stretch* stretch = stretch_of(base)) {
      position_of(*stretch, base).saved = true;
    }
  }
  void mark(const Stretch& stretch, const OperandRule& rule) {
    if (rule.kind == OperandRule::strided) mark_strided(rule.base, rule.stride);
    if (rule.kind != OperandRule::own || rule.back == 0) return;
    Position& position = position_of(stretch, rule.base + rule.back * stretch.values_per_round);
    for (; position.back < rule.back; ++position.back) mark_one(first_name(stretch, rule) - (position.back + 1) * stretch.values_per_round);
  }
  // The number, in round 0, of the value that an operand of an earlier round is.
  static std::uint32_t first_name(const Stretch& stretch, const OperandRule& rule) {
    return rule.base + rule.back * stretch.values_per_round;
  }

  // ---- lanes: segments, and what is stored between them ----

  bool in_lanes(std::uint32_t value) const { return options_.lanes && !uniform_[value] && list_.kind(value) == ValueKind::instruction; }
  // Whether a step is a call on arrays.
  bool is_call(const Step& step) const { return !step.is_guard && !detail::is_arithmetic(list_.instruction(step.number).opcode); }

  void next_segment() { ++segment_, length_ = 0; }
  // Whether the open segment takes another step; counts it.
  bool has_room() { return ++length_ <= kMostOperations; }
  bool has_room_for(const Step& step) { return is_call(step) || has_room(); }

  // Goes through the segments as write_steps does: twice, to number them and then to see which values are read in others.
  void mark_stored() {
    for (const bool reading : {false, true}) {
      segment_ = length_ = 0;
      const auto use = [&](std::uint32_t value) {
        if (!in_lanes(value) || stretch_of(value)) return;  // of loops, the last round's is stored
        if (reading && segment_of_[value] != segment_) stored_[value] = true;
      };
      const auto compute = [&](const Step& step) {
        const bool call = is_call(step);
        if (call) next_segment();
        if (!step.is_guard) segment_of_[step.number] = segment_;
        if (call) stored_[step.number] = true, next_segment();
      };
      for_each_step(
          split_, steps_.size(),
          [&](const Stretch& stretch) {
            next_segment();
            // Where values of earlier rounds begin.
            for (std::size_t j = 0; j < stretch.period; ++j) {
              const Step& step = steps_[stretch.first + j];
              if (step.is_guard) continue;
              const Position& position = position_of(stretch, step.number);
              for (std::uint32_t back = position.back; back > 0; --back) use(step.number - back * stretch.values_per_round);
              if (position.after && position.back == 0) stored_[step.number] = true;
            }
            next_segment();
            for (std::size_t j = 0; j < stretch.period; ++j) {
              const Step& step = steps_[stretch.first + j];
              if (!has_room_for(step)) next_segment();
              if (is_call(step)) ++segment_;  // its operands are read in a segment of its own
              const int count = detail::operands_of(list_, step).count;
              for (int k = 0; k < count; ++k) {
                const OperandRule rule = detail::rule_of_operand(list_, steps_, stretch, j, k);
                if (rule.kind == OperandRule::strided && rule.stride == 0) use(rule.base);
                if (rule.kind == OperandRule::own && rule.back == 0 && reading && segment_of_[rule.base] != segment_)
                  stored_[rule.base] = true;
              }
              if (is_call(step)) --segment_;
              compute(step);
            }
            // Values go on to the next round.
            for (std::size_t j = 0; j < stretch.period; ++j) {
              const Step& step = steps_[stretch.first + j];
              if (!step.is_guard && position_of(stretch, step.number).back > 0 && reading && segment_of_[step.number] != segment_)
                stored_[step.number] = true;
            }
            next_segment();
          },
          [&](const Step& step) {
            if (!has_room_for(step)) next_segment();
            if (is_call(step)) ++segment_;
            const detail::Operands operands = detail::operands_of(list_, step);
            for (int k = 0; k < operands.count; ++k) use(operands.at[k]);
            if (is_call(step)) --segment_;
            compute(step);
          });
      for_each_output([&](std::size_t k, OutputRun run) {
        if (run.count > 1 || !has_room()) next_segment();
        if (run.stride == 0) use(list_.outputs[k]);
        if (run.count > 1) next_segment();
      });
    }
    segment_ = length_ = 0;
  }

  // ---- names ----

  std::string name_of(std::uint32_t value) const { return fmt::format("v{}", value - list_.first_instruction() + 1); }
  // Of the memory of one number, or of one a lane.
  std::string array(const std::string& name, std::size_t count) {
    if (const auto [known, is_new] = known_arrays_.try_emplace(name, saved_); is_new) {
      const std::size_t size = count * (in_lane_ ? kLanes : 1);
      arrays_ += fmt::format("  double* const {} = saved.data() + {};\n", name, saved_);
      saved_ += size;
    }
    return name;
  }
  // Where the value of each round is kept, and where that of a lane.
  std::string rounds_of(const Stretch& stretch, std::uint32_t first) {
    return array(fmt::format("w{}", first - list_.first_instruction() + 1), stretch.rounds);
  }
  std::string stored_name(std::uint32_t value) { return array(fmt::format("a{}", value - list_.first_instruction() + 1), 1); }
  std::string earlier_name(std::uint32_t first, std::uint32_t back) {
    const std::string name = fmt::format("{}_{}", name_of(first), back);
    return in_lane_ ? array(name, 1) : name;
  }

  // An operand of the lane i, or the array of an operand of all lanes; that of numbers that are the same for all of them is filled first.
  enum class As { number, array };
  std::string of_lane(const std::string& array, As as) { return as == As::array ? array : loaded(array + "[i]"); }
  // An element, read once a segment, and not only where a condition holds: that keeps compilers from the SIMD units.
  std::string loaded(const std::string& element) {
    const auto [known, is_new] = loaded_.try_emplace(element, load_count_ + 1);
    if (is_new) statement(fmt::format("const double u{} = {};", ++load_count_, element));
    return fmt::format("u{}", known->second);
  }
  // The lane i of a column, whose address is computed in front of the segment.
  std::string of_column(const char* type, const std::string& column) {
    const auto [known, is_new] = columns_.try_emplace(column, column_count_ + 1);
    if (is_new) pointers_ += fmt::format("{}{} x{} = {} + first;\n", indent_, type, ++column_count_, column);
    return fmt::format("x{}[i]", known->second);
  }
  std::string same_for_all(const std::string& number, As as) {
    if (as == As::number) return number;
    std::string name = array(fmt::format("t{}", ++filled_), 1);
    statement(fmt::format("{}[i] = {};", name, number));
    return name;
  }

  // Value base + stride * r, outside the stretch that computes it.
  std::string operand(std::uint32_t base, std::int64_t stride, As as = As::number) {
    switch (list_.kind(base)) {
      case ValueKind::parameter:
        return same_for_all(fmt::format("p[{}]", index_of(base, stride)), as);
      case ValueKind::data: {
        const std::string datum = fmt::format("d[{}]", index_of(base - list_.parameters, stride));
        return !options_.lanes ? datum : as == As::array ? datum + " + first" : loaded(of_column("const double* const", datum));
      }
      case ValueKind::constant:
        return same_for_all(literal_of(list_.constant(base)), as);
      case ValueKind::instruction:
        break;
    }
    const Stretch* stretch = stretch_of(base);
    const bool lanes = in_lanes(base);
    if (!stretch) {
      if (!lanes) return same_for_all(name_of(base), as);
      return segment_of_[base] == segment_ ? name_of(base) : of_lane(stored_name(base), as);
    }
    const std::uint32_t round = round_of(*stretch, base), first = first_of(*stretch, base);
    if (stride == 0 && round + 1 == stretch->rounds) {
      if (!lanes) return same_for_all(name_of(first), as);
      // What the next round would read is what the last one computed.
      return of_lane(position_of(*stretch, first).back > 0 ? earlier_name(first, 1) : stored_name(first), as);
    }
    const std::string array = fmt::format("w{}", first - list_.first_instruction() + 1),
                      index = index_of(round, stride / stretch->values_per_round);
    if (!lanes) return same_for_all(fmt::format("{}[{}]", array, index), as);
    return as == As::array ? fmt::format("{} + ({}) * {}", array, index, kLanes)
                           : loaded(fmt::format("{}[({}) * {} + i]", array, index, kLanes));
  }
  std::string operand(const Stretch& stretch, std::size_t position, int k, As as = As::number) {
    const OperandRule rule = detail::rule_of_operand(list_, steps_, stretch, position, k);
    switch (rule.kind) {
      case OperandRule::strided:
        return operand(rule.base, rule.stride, as);
      case OperandRule::constant_table:
        return same_for_all(table(stretch, position, k), as);
      case OperandRule::own:
        break;
    }
    const std::uint32_t first = first_name(stretch, rule);
    if (rule.back > 0) return in_lane_ ? of_lane(earlier_name(first, rule.back), as) : earlier_name(first, rule.back);
    return in_lane_ && segment_of_[first] != segment_ ? of_lane(stored_name(first), as) : name_of(first);
  }
  std::string table(const Stretch& stretch, std::size_t position, int k) {
    tables_ += fmt::format("static const double {}_table{}[] = {{", name_, ++table_count_);
    for (std::size_t r = 0; r < stretch.rounds; ++r) {
      const Step& step = steps_[stretch.first + r * stretch.period + position];
      tables_ += fmt::format("{}{}", r ? ", " : "", literal_of(list_.constant(detail::operands_of(list_, step).at[k])));
    }
    tables_ += "};\n";
    return fmt::format("{}_table{}[r]", name_, table_count_);
  }

  // ---- statements ----

  void line(const std::string& text) { *to_ += indent_ + text + "\n"; }
  // One of the open segment, if it is of a lane.
  void statement(const std::string& text) {
    if (!in_lane_) return line(text);
    open_ += indent_ + "  " + text + "\n";
  }
  void close_segment() {
    if (!in_lane_) return;
    next_segment();
    if (open_.empty()) return;
    *to_ += pointers_;
    line(functions_.independent());
    line("for (long i = 0; i < n; ++i) {");
    *to_ += open_ + indent_ + "}\n";
    open_.clear();
    pointers_.clear();
    columns_.clear();
    loaded_.clear();
  }

  // Whether a value combines conditions, each of which is 1 or 0, in all rounds if it has some.
  bool is_logical(std::uint32_t value) const {
    const auto is_condition = [&](std::uint32_t operand) {
      return list_.kind(operand) == ValueKind::instruction && info(list_.instruction(operand).opcode).condition;
    };
    const Stretch* stretch = stretch_of(value);
    const std::uint32_t rounds = stretch ? static_cast<std::uint32_t>(stretch->rounds) : 1;
    for (std::uint32_t r = 0; r < rounds; ++r) {
      const Instruction& i = list_.instruction(value + (stretch ? r * stretch->values_per_round : 0));
      if (i.opcode != Opcode::both && i.opcode != Opcode::either && i.opcode != Opcode::opposite) return false;
      for (int k = 0; k < info(i.opcode).operands; ++k)
        if (!is_condition(i.operands[static_cast<std::size_t>(k)])) return false;
    }
    return true;
  }
  // Of logical operators compilers make no SIMD.
  static std::string product_of_conditions(Opcode opcode, const std::array<std::string, 3>& operands) {
    const auto& [a, b, none] = operands;
    return opcode == Opcode::both     ? fmt::format("{} * {}", a, b)
           : opcode == Opcode::either ? fmt::format("1.0 - (1.0 - {}) * (1.0 - {})", a, b)
                                      : fmt::format("1.0 - {}", a);
  }

  // `operand_of(k, as)` is the text of an operand; the value is called after `value`.
  template <class OperandOf>
  void write_instruction(std::uint32_t value, const Instruction& i, bool is_variable, const OperandOf& operand_of) {
    std::array<std::string, 3> operands;
    const bool call = in_lane_ && !detail::is_arithmetic(i.opcode);
    for (int k = 0; k < info(i.opcode).operands; ++k) {
      if (call) ++segment_;  // they are read beyond the open one
      operands[static_cast<std::size_t>(k)] = operand_of(k, call ? As::array : As::number);
      if (call) --segment_;
    }
    if (call) {
      close_segment();
      line(functions_.call_on_lanes(i.opcode, operands, stored_name(value), list_.options(i)));
      close_segment();
      return;
    }
    const std::string text = in_lane_ && is_logical(value) ? product_of_conditions(i.opcode, operands)
                                                           : functions_.expression(i.opcode, operands, list_.options(i));
    statement(fmt::format("{}{} = {};", is_variable ? "" : "const double ", name_of(value), text));
    if (in_lane_ && stored_[value]) statement(fmt::format("{}[i] = {};", stored_name(value), name_of(value)));
  }

  void write_steps(std::size_t first, std::size_t end) {
    for_each_step(
        first, end, [&](const Stretch& stretch) { write_loop(stretch); },
        [&](const Step& step) {
          if (in_lane_ && !has_room_for(step)) close_segment();
          if (step.is_guard)
            return write_guard(list_.guards[step.number], operand(list_.guards[step.number].value, 0), std::to_string(step.number));
          const Instruction& i = list_.instruction(step.number);
          write_instruction(step.number, i, false, [&](int k, As as) { return operand(i.operands[static_cast<std::size_t>(k)], 0, as); });
        });
  }

  void write_loop(const Stretch& stretch) {
    close_segment();
    for (std::size_t j = 0; j < stretch.period; ++j) {
      const Step& step = steps_[stretch.first + j];
      if (step.is_guard) continue;
      const Position& position = position_of(stretch, step.number);
      if (position.after && !in_lane_) line(fmt::format("double {} = 0;", name_of(step.number)));
      for (std::uint32_t back = position.back; back > 0; --back) {
        const std::string before = operand(step.number - back * stretch.values_per_round, 0);
        statement(in_lane_ ? fmt::format("{}[i] = {};", earlier_name(step.number, back), before)
                           : fmt::format("double {} = {};", earlier_name(step.number, back), before));
      }
    }
    close_segment();
    line(fmt::format("for (long r = 0; r < {}; ++r) {{", stretch.rounds));
    indent_ += "  ";
    std::uint32_t guards = 0;
    for (std::size_t j = 0; j < stretch.period; ++j) guards += steps_[stretch.first + j].is_guard ? 1 : 0;
    for (std::size_t j = 0; j < stretch.period; ++j) {
      const Step& step = steps_[stretch.first + j];
      if (in_lane_ && !has_room_for(step)) close_segment();
      if (step.is_guard) {
        write_guard(list_.guards[step.number], operand(stretch, j, 0), index_of(step.number, guards));
        continue;
      }
      const Position& position = position_of(stretch, step.number);
      write_instruction(step.number, list_.instruction(step.number), position.after && !in_lane_,
                        [&](int k, As as) { return operand(stretch, j, k, as); });
      if (position.saved)
        statement(in_lane_ ? fmt::format("{}[r * {} + i] = {};", rounds_of(stretch, step.number), kLanes, own(step.number))
                           : fmt::format("{}[r] = {};", rounds_of(stretch, step.number), name_of(step.number)));
    }
    for (std::size_t j = 0; j < stretch.period; ++j) {
      const Step& step = steps_[stretch.first + j];
      if (step.is_guard) continue;
      const char* of_lane = in_lane_ ? "[i]" : "";
      for (std::uint32_t back = position_of(stretch, step.number).back; back > 0; --back)
        statement(fmt::format("{}{} = {};", earlier_name(step.number, back), of_lane,
                              back > 1 ? earlier_name(step.number, back - 1) + of_lane : own(step.number)));
    }
    close_segment();
    indent_.resize(indent_.size() - 2);
    line("}");
  }
  // A value of the round that is being written.
  std::string own(std::uint32_t value) { return in_lane_ && segment_of_[value] != segment_ ? stored_name(value) + "[i]" : name_of(value); }

  void write_guard(const Guard& guard, const std::string& value, const std::string& number) {
    std::string fails;
    if (guard.kind == GuardKind::condition) {
      fails = guard.outcome != 0 ? fmt::format("!({} != 0)", value) : fmt::format("{} != 0", value);
    } else if (guard.outcome != guard.outcome) {
      fails = fmt::format("{0} == {0}", value);
    } else if (guard.kind == GuardKind::integer) {
      fails = fmt::format("!(std::trunc({}) == {})", value, literal_of(guard.outcome));
    } else if (guard.outcome == 0) {
      fails = fmt::format("!({0} == 0 && std::signbit({0}) == {1})", value, std::signbit(guard.outcome));
    } else {
      fails = fmt::format("!({} == {})", value, literal_of(guard.outcome));
    }
    if (in_lane_)
      return statement(fmt::format("if (({}) && left[first + i] < 0) left[first + i] = {};{}", fails, number, comment_of(guard.site)));
    if (!options_.lanes) return line(fmt::format("if ({}) return {};{}", fails, number, comment_of(guard.site)));
    line(fmt::format("if ({}) {{{}", fails, comment_of(guard.site)));
    line(fmt::format("  for (long i = 0; i < lanes; ++i) left[i] = {};", number));
    line("  return;");
    line("}");
  }

  // ---- outputs ----

  // Outputs k, k + 1, ... whose numbers grow evenly.
  struct OutputRun {
    std::size_t count;
    std::int64_t stride;
  };
  OutputRun output_run(std::size_t k) const {
    constexpr std::size_t kFewest = 4;
    const std::vector<std::uint32_t>& y = list_.outputs;
    if (!options_.loops || k + 1 == y.size()) return {1, 0};
    const std::int64_t stride = std::int64_t{y[k + 1]} - y[k];
    const ValueKind kind = list_.kind(y[k]);
    const Stretch* stretch = stretch_of(y[k]);
    if (stride != 0) {
      if (kind == ValueKind::constant || (kind == ValueKind::instruction && (!stretch || stride % stretch->values_per_round != 0)))
        return {1, 0};
    }
    std::size_t count = 1;
    while (k + count < y.size() && std::int64_t{y[k + count]} - y[k + count - 1] == stride && list_.kind(y[k + count]) == kind &&
           (stride == 0 || stretch_of(y[k + count]) == stretch))
      ++count;
    return count < kFewest ? OutputRun{1, 0} : OutputRun{count, stride};
  }
  // f(k, run)
  template <class F> void for_each_output(const F& f) const {
    for (std::size_t k = 0; k < list_.outputs.size();) {
      const OutputRun run = output_run(k);
      f(k, run);
      k += run.count;
    }
  }
  void write_outputs() {
    const auto element = [&](const std::string& index) {
      const std::string output = fmt::format("y[{}]", index);
      return options_.lanes ? of_column("double* const", output) : output;
    };
    for_each_output([&](std::size_t k, OutputRun run) {
      if (run.count == 1) {
        if (in_lane_ && !has_room()) close_segment();
        return statement(fmt::format("{} = {};", element(std::to_string(k)), operand(list_.outputs[k], 0)));
      }
      close_segment();
      line(fmt::format("for (long r = 0; r < {}; ++r) {{", run.count));
      indent_ += "  ";
      statement(fmt::format("{} = {};", element(index_of(static_cast<std::int64_t>(k), 1)), operand(list_.outputs[k], run.stride)));
      close_segment();
      indent_.resize(indent_.size() - 2);
      line("}");
    });
    close_segment();
  }

  const CppOptions options_;
  const std::string name_;
  detail::FunctionSource functions_;
  std::vector<char> uniform_;
  const WengertList list_;
  std::vector<Step> steps_;
  std::size_t split_ = 0;
  std::vector<Stretch> stretches_;
  std::vector<std::vector<Position>> positions_;  // of each stretch
  std::vector<std::uint32_t> segment_of_;         // where a lane's value is computed
  std::vector<char> stored_;
  std::uint32_t segment_ = 0;  // the open one
  int length_ = 0;             // how many operations are in it
  std::string* to_ = nullptr;
  std::string indent_ = "  ", open_, pointers_;
  std::map<std::string, int> columns_, loaded_;  // of which the open segment has pointers, and elements that it has read
  std::string tables_, arrays_;
  std::map<std::string, std::size_t> known_arrays_;
  std::size_t saved_ = 0;
  int table_count_ = 0, filled_ = 0, column_count_ = 0, load_count_ = 0;
  bool in_lane_ = false;
};

bool is_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && is_letter(name[0]) && name.size() <= 200 &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

}  // namespace

std::string to_cpp(const Program& program, std::string_view name, const CppOptions& options) {
  if (!is_name(name))
    throw ValueError(fmt::format("to_cpp: '{}' is not a function's name; it needs a letter, then letters, digits and _", name));
  return CppWriter(program.list(), name, options).source();
}

}  // namespace wengert
