#include "autodiff/program/to_cpp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
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
      : options_(options),
        name_(name),
        functions_(fmt::format("{}_", name), options.lanes),
        list_(options.lanes ? uniform_first(list, uniform_) : list) {
    steps_ = detail::steps_of(list_);
    if (options.lanes) {
      const auto lane_part = std::stable_partition(steps_.begin(), steps_.end(), [&](const Step& step) {
        return uniform_[step.is_guard ? list_.guards[step.number].value : step.number] != 0;
      });
      split_ = static_cast<std::size_t>(lane_part - steps_.begin());
    }
    if (options.loops) stretches_ = detail::find_stretches(list_, steps_, split_);
    for (const Stretch& stretch : stretches_) positions_.emplace_back(stretch.values_per_round);
    is_number_.resize(list_.size());
    mark();
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
    const std::string numbers = memory_of(false), vectors = memory_of(true);
    std::set<std::string> headers;
    if (saved_[0] > 0) headers.insert("vector");
    if (options_.lanes) headers.insert("memory");
    std::string text =
        fmt::format("// Written by Wengert {}. Compiled with -ffp-contract=off -fno-builtin it has the bits of the evaluator.\n",
                    WENGERT_VERSION_STRING);
    text += functions_.definitions(std::move(headers), waits_for_itself() ? 2 : 1) + tables_;
    text += fmt::format("// {} parameters p, {} data d, {} outputs y; {} the number of the guard that failed, or -1.\n", list_.parameters,
                        list_.data, list_.outputs.size(), options_.lanes ? "`left` of each lane is" : "the result is");
    if (!options_.lanes) {
      return text + fmt::format(
                        "extern \"C\" long {}([[maybe_unused]] const double* p, [[maybe_unused]] const double* d, double* y) {{\n"
                        "{}{}  return -1;\n}}\n",
                        name_, numbers, uniform);
    }
    text += fmt::format(
        "extern \"C\" void {0}(long lanes, [[maybe_unused]] const double* p, const double* const* columns,\n"
        "    {1} results, long* left) {{\n"
        "  using namespace {2};\n"
        "  using {2}::Lanes, {2}::Mask, {2}::Columns, {2}::{3};\n"
        "{4}{5}{6}",
        name_, options_.sums ? "double*" : "double* const*", functions_.lanes_namespace(), options_.sums ? "Sums" : "Results", numbers,
        uniform, vectors);
    text += fmt::format(
        "  const auto compute = [&]([[maybe_unused]] Columns d, {} y) {{\n"
        "    Lanes gone = -1.0;\n"
        "{}"
        "    return gone;\n"
        "  }};\n"
        "  run<{}, {}>(compute, lanes, columns, results, left);\n"
        "}}\n",
        options_.sums ? "Sums" : "Results", lane, list_.data, list_.outputs.size());
    return text;
  }

 private:
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
            for (int k = 0; k < count; ++k) {
              const OperandRule rule = detail::rule_of_operand(list_, steps_, stretch, j, k);
              mark(stretch, rule);
              if (!reads_condition(steps_[stretch.first + j], k)) mark_number(rule);
            }
          }
        },
        [&](const Step& step) {
          const detail::Operands operands = detail::operands_of(list_, step);
          for (int k = 0; k < operands.count; ++k) {
            mark_one(operands.at[k]);
            if (!reads_condition(step, k)) is_number_[operands.at[k]] = true;
          }
        });
    for_each_output([&](std::size_t k, OutputRun run) {
      mark_strided(list_.outputs[k], run.stride);
      is_number_[list_.outputs[k]] = true;
    });
  }
  // Whether a step asks no more of an operand than whether it is 0.
  bool reads_condition(const Step& step, int k) const {
    if (step.is_guard) return false;
    const Opcode opcode = list_.instruction(step.number).opcode;
    return (opcode == Opcode::where && k == 0) || opcode == Opcode::both || opcode == Opcode::either || opcode == Opcode::opposite;
  }
  void mark_number(const OperandRule& rule) {
    if (rule.kind == OperandRule::own ? rule.back == 0 : rule.kind == OperandRule::strided && rule.stride == 0)
      is_number_[rule.base] = true;
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
    for (; position.back < rule.back; ++position.back) {
      const std::uint32_t before = first_name(stretch, rule) - (position.back + 1) * stretch.values_per_round;
      mark_one(before);
      is_number_[before] = true;
    }
  }
  // The number, in round 0, of the value that an operand of an earlier round is.
  static std::uint32_t first_name(const Stretch& stretch, const OperandRule& rule) {
    return rule.base + rule.back * stretch.values_per_round;
  }

  bool in_lanes(std::uint32_t value) const { return in_lane_ && list_.kind(value) == ValueKind::instruction && !uniform_[value]; }

  // Whether there is a loop over lanes whose rounds wait for each other.
  bool waits_for_itself() const {
    for (std::size_t s = 0; s < stretches_.size(); ++s) {
      if (stretches_[s].first < split_) continue;
      if (std::ranges::any_of(positions_[s], [](const Position& its) { return its.back > 0; })) return true;
    }
    return false;
  }

  // ---- names ----

  std::string name_of(std::uint32_t value) const { return fmt::format("v{}", value - list_.first_instruction() + 1); }
  std::string mask_of(std::uint32_t value) const { return fmt::format("m{}", value - list_.first_instruction() + 1); }
  const char* type() const { return in_lane_ ? "Lanes" : "double"; }
  // Where the value of each round is kept.
  std::string rounds_of(const Stretch& stretch, std::uint32_t first) {
    std::string name = fmt::format("w{}", first - list_.first_instruction() + 1);
    if (known_arrays_.insert(name).second) {
      arrays_[in_lane_] += fmt::format("  {}* const {} = saved{}.{}() + {};\n", type(), name, in_lane_ ? "_lanes" : "",
                                       in_lane_ ? "get" : "data", saved_[in_lane_]);
      saved_[in_lane_] += stretch.rounds;
    }
    return name;
  }
  std::string memory_of(bool lanes) const {
    if (saved_[lanes] == 0) return {};
    return (lanes ? fmt::format("  const std::unique_ptr<Lanes[]> saved_lanes(new Lanes[{}]);\n", saved_[1])
                  : fmt::format("  std::vector<double> saved({});\n", saved_[0])) +
           arrays_[lanes];
  }
  std::string earlier_name(std::uint32_t first, std::uint32_t back) const { return fmt::format("{}_{}", name_of(first), back); }

  // Value base + stride * r, outside the stretch that computes it.
  std::string operand(std::uint32_t base, std::int64_t stride) const {
    switch (list_.kind(base)) {
      case ValueKind::parameter:
        return fmt::format("p[{}]", index_of(base, stride));
      case ValueKind::data:
        return fmt::format("d[{}]", index_of(base - list_.parameters, stride));
      case ValueKind::constant:
        return literal_of(list_.constant(base));
      case ValueKind::instruction:
        break;
    }
    const Stretch* stretch = stretch_of(base);
    if (!stretch) return name_of(base);
    const std::uint32_t round = round_of(*stretch, base), first = first_of(*stretch, base);
    if (stride == 0 && round + 1 == stretch->rounds) return name_of(first);
    return fmt::format("w{}[{}]", first - list_.first_instruction() + 1, index_of(round, stride / stretch->values_per_round));
  }
  std::string operand(const Stretch& stretch, std::size_t position, int k) {
    const OperandRule rule = detail::rule_of_operand(list_, steps_, stretch, position, k);
    switch (rule.kind) {
      case OperandRule::strided:
        return operand(rule.base, rule.stride);
      case OperandRule::constant_table:
        return table(stretch, position, k);
      case OperandRule::own:
        break;
    }
    const std::uint32_t first = first_name(stretch, rule);
    return rule.back > 0 ? earlier_name(first, rule.back) : name_of(first);
  }
  // The mask of an operand, if it is a condition that the same round has computed, or that stands outside of loops; else empty.
  std::string mask(std::uint32_t value) const {
    if (!in_lanes(value) || stretch_of(value)) return {};
    return info(list_.instruction(value).opcode).condition ? mask_of(value) : "";
  }
  std::string mask(const Stretch& stretch, std::size_t position, int k) const {
    const OperandRule rule = detail::rule_of_operand(list_, steps_, stretch, position, k);
    if (rule.kind == OperandRule::strided && rule.stride == 0) return mask(rule.base);
    if (rule.kind != OperandRule::own || rule.back > 0) return {};
    return info(list_.instruction(rule.base).opcode).condition ? mask_of(rule.base) : "";
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

  // `operand_of(k)` is how an operand is read, `mask_of_operand(k)` its mask. The value is called after `value`.
  template <class OperandOf, class MaskOf> void write_instruction(std::uint32_t value, const Instruction& i, bool is_variable,
                                                                  const OperandOf& operand_of, const MaskOf& mask_of_operand) {
    const bool is_condition = info(i.opcode).condition;
    const auto define = [&](const std::string& text) {
      line(is_variable ? fmt::format("{} = {};", name_of(value), text) : fmt::format("const {} {} = {};", type(), name_of(value), text));
    };
    detail::FunctionSource::Operands operands;
    for (int k = 0; k < info(i.opcode).operands; ++k) {
      auto& its = operands[static_cast<std::size_t>(k)];
      if (in_lane_ && reads_condition({value, false}, k)) its.mask = mask_of_operand(k);
      if (its.mask.empty()) its.text = operand_of(k);
    }
    if (!in_lane_) return define(functions_.expression(i.opcode, {operands[0].text, operands[1].text, operands[2].text}, list_.options(i)));
    if (!is_condition) return define(functions_.expression_on_lanes(i.opcode, operands, list_.options(i)));
    line(fmt::format("const Mask {} = {};", mask_of(value), functions_.mask(i.opcode, operands)));
    if (is_number_[value] || is_variable) define(fmt::format("where({}, 1.0, 0.0)", mask_of(value)));
  }

  void write_steps(std::size_t first, std::size_t end) {
    for_each_step(
        first, end, [&](const Stretch& stretch) { write_loop(stretch); },
        [&](const Step& step) {
          if (step.is_guard)
            return write_guard(list_.guards[step.number], operand(list_.guards[step.number].value, 0), std::to_string(step.number));
          const Instruction& i = list_.instruction(step.number);
          const auto operand_at = [&](int k) { return i.operands[static_cast<std::size_t>(k)]; };
          write_instruction(
              step.number, i, false, [&](int k) { return operand(operand_at(k), 0); }, [&](int k) { return mask(operand_at(k)); });
        });
  }

  void write_loop(const Stretch& stretch) {
    for (std::size_t j = 0; j < stretch.period; ++j) {
      const Step& step = steps_[stretch.first + j];
      if (step.is_guard) continue;
      const Position& position = position_of(stretch, step.number);
      if (position.saved || position.back > 0) is_number_[step.number] = true;
      if (position.after) line(fmt::format("{} {} = 0;", type(), name_of(step.number)));
      for (std::uint32_t back = position.back; back > 0; --back) {
        const std::string before = operand(step.number - back * stretch.values_per_round, 0);
        line(fmt::format("{} {} = {};", type(), earlier_name(step.number, back), before));
      }
    }
    line(fmt::format("for (long r = 0; r < {}; ++r) {{", stretch.rounds));
    indent_ += "  ";
    std::uint32_t guards = 0;
    for (std::size_t j = 0; j < stretch.period; ++j) guards += steps_[stretch.first + j].is_guard ? 1 : 0;
    for (std::size_t j = 0; j < stretch.period; ++j) {
      const Step& step = steps_[stretch.first + j];
      if (step.is_guard) {
        write_guard(list_.guards[step.number], operand(stretch, j, 0), index_of(step.number, guards));
        continue;
      }
      const Position& position = position_of(stretch, step.number);
      write_instruction(
          step.number, list_.instruction(step.number), position.after, [&](int k) { return operand(stretch, j, k); },
          [&](int k) { return mask(stretch, j, k); });
      if (position.saved) line(fmt::format("{}[r] = {};", rounds_of(stretch, step.number), name_of(step.number)));
    }
    for (std::size_t j = 0; j < stretch.period; ++j) {
      const Step& step = steps_[stretch.first + j];
      if (step.is_guard) continue;
      for (std::uint32_t back = position_of(stretch, step.number).back; back > 0; --back)
        line(fmt::format("{} = {};", earlier_name(step.number, back),
                         back > 1 ? earlier_name(step.number, back - 1) : name_of(step.number)));
    }
    indent_.resize(indent_.size() - 2);
    line("}");
  }

  void write_guard(const Guard& guard, const std::string& value, const std::string& number) {
    std::string fails;
    if (guard.kind == GuardKind::condition) {
      fails = fmt::format("{} {} 0", value, guard.outcome != 0 ? "==" : "!=");
    } else if (guard.outcome != guard.outcome) {
      fails = fmt::format("{0} == {0}", value);
    } else if (guard.kind == GuardKind::integer) {
      fails = fmt::format("{}trunc({}) != {}", in_lane_ ? "" : "std::", value, literal_of(guard.outcome));
    } else if (guard.outcome == 0) {
      const std::string sign = fmt::format("{}signbit({})", in_lane_ ? "" : "std::", value);
      fails = fmt::format("({} != 0) | {}", value, !std::signbit(guard.outcome) ? sign : in_lane_ ? "~" + sign : "!" + sign);
    } else {
      fails = fmt::format("{} != {}", value, literal_of(guard.outcome));
    }
    if (in_lane_) return line(fmt::format("gone = where((gone < 0) & ({}), {}, gone);{}", fails, number, comment_of(guard.site)));
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
    const auto write = [&](const std::string& index, const std::string& value) {
      line(fmt::format("y[{}] {} {};", index, options_.sums ? "+=" : "=", value));
    };
    const auto is_guard = [](const Step& step) { return step.is_guard; };
    if (options_.sums && std::any_of(steps_.begin() + static_cast<std::ptrdiff_t>(split_), steps_.end(), is_guard))
      line("y.stays = y.stays & (gone < 0);");
    for_each_output([&](std::size_t k, OutputRun run) {
      if (run.count == 1) return write(std::to_string(k), operand(list_.outputs[k], 0));
      line(fmt::format("for (long r = 0; r < {}; ++r) {{", run.count));
      indent_ += "  ";
      write(index_of(static_cast<std::int64_t>(k), 1), operand(list_.outputs[k], run.stride));
      indent_.resize(indent_.size() - 2);
      line("}");
    });
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
  std::vector<char> is_number_;                   // of conditions of lanes: whether they are read as 1 or 0, besides as masks
  std::string* to_ = nullptr;
  std::string indent_ = "  ";
  std::string tables_, arrays_[2];  // the arrays of numbers, and of vectors of lanes
  std::set<std::string> known_arrays_;
  std::size_t saved_[2] = {0, 0};
  int table_count_ = 0;
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
  if (options.sums && !options.lanes) throw ValueError("to_cpp: .sums are over lanes; hint: set .lanes, too");
  return CppWriter(program.list(), name, options).source();
}

}  // namespace wengert
