#include "autodiff/program/to_cpp.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
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

// Two columns further to the right.
std::string indented(const std::string& lines) {
  std::string text;
  for (std::size_t from = 0; from < lines.size();) {
    const std::size_t next = lines.find('\n', from) + 1;
    text += "  " + lines.substr(from, next - from);
    from = next;
  }
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
    mark();
  }

  std::string source() {
    std::string uniform, lane;
    write_steps(0, split_, uniform);
    if (options_.lanes) in_lane_ = true;
    write_steps(split_, steps_.size(), lane);
    write_outputs(lane);
    std::string arrays;
    if (saved_ > 0) arrays = fmt::format("  std::vector<double> saved({});\n{}", saved_, arrays_);
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
                        name_, arrays, lane);
    }
    return text + fmt::format(
                      "extern \"C\" void {}(long lanes, [[maybe_unused]] const double* p, [[maybe_unused]] const double* const* d,\n"
                      "    double* const* y, long* left) {{\n"
                      "{}{}"
                      "  const auto lane = [&](long i) -> long {{\n{}    return -1;\n  }};\n"
                      "#ifndef __clang__\n#pragma GCC ivdep\n#endif\n"
                      "  for (long i = 0; i < lanes; ++i) left[i] = lane(i);\n}}\n",
                      name_, arrays, uniform, indented(lane));
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

  // ---- what is read from where ----

  void mark() {
    auto stretch = stretches_.begin();
    for (std::size_t s = 0; s < steps_.size();) {
      if (stretch != stretches_.end() && stretch->first == s) {
        for (std::size_t j = 0; j < stretch->period; ++j) {
          const int count = detail::operands_of(list_, steps_[s + j]).count;
          for (int k = 0; k < count; ++k) mark(*stretch, detail::rule_of_operand(list_, steps_, *stretch, j, k));
        }
        s += stretch->period * stretch->rounds;
        ++stretch;
        continue;
      }
      const detail::Operands operands = detail::operands_of(list_, steps_[s++]);
      for (int k = 0; k < operands.count; ++k) mark_one(operands.at[k]);
    }
    for (std::size_t k = 0; k < list_.outputs.size();) {
      const OutputRun run = output_run(k);
      mark_strided(list_.outputs[k], run.stride);
      k += run.count;
    }
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

  // ---- names ----

  std::string name_of(std::uint32_t value) const { return fmt::format("v{}", value - list_.first_instruction() + 1); }
  std::string array_of(std::uint32_t first) const { return fmt::format("w{}", first - list_.first_instruction() + 1); }

  // Value base + stride * r, outside the stretch that computes it.
  std::string operand(std::uint32_t base, std::int64_t stride) const {
    switch (list_.kind(base)) {
      case ValueKind::parameter:
        return fmt::format("p[{}]", index_of(base, stride));
      case ValueKind::data:
        return fmt::format("d[{}]{}", index_of(base - list_.parameters, stride), options_.lanes ? "[i]" : "");
      case ValueKind::constant:
        return literal_of(list_.constant(base));
      case ValueKind::instruction:
        break;
    }
    const Stretch* stretch = stretch_of(base);
    if (!stretch) return name_of(base);
    const std::uint32_t round = round_of(*stretch, base);
    if (stride == 0 && round + 1 == stretch->rounds) return name_of(first_of(*stretch, base));
    return fmt::format("{}[{}]", array_of(first_of(*stretch, base)), index_of(round, stride / stretch->values_per_round));
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
    const std::string name = name_of(first_name(stretch, rule));
    return rule.back == 0 ? name : fmt::format("{}_{}", name, rule.back);
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

  void write_steps(std::size_t first, std::size_t end, std::string& to) {
    auto stretch = std::lower_bound(stretches_.begin(), stretches_.end(), first,
                                    [](const Stretch& its, std::size_t step) { return its.first < step; });
    for (std::size_t s = first; s < end;) {
      if (stretch != stretches_.end() && stretch->first == s) {
        write_loop(*stretch, to);
        s += stretch->period * stretch->rounds;
        ++stretch;
        continue;
      }
      const Step& step = steps_[s++];
      if (step.is_guard) {
        write_guard(list_.guards[step.number], operand(list_.guards[step.number].value, 0), std::to_string(step.number), "  ", to);
        continue;
      }
      const Instruction& i = list_.instruction(step.number);
      std::array<std::string, 3> operands;
      for (int k = 0; k < info(i.opcode).operands; ++k)
        operands[static_cast<std::size_t>(k)] = operand(i.operands[static_cast<std::size_t>(k)], 0);
      to += fmt::format("  const double {} = {};\n", name_of(step.number), functions_.expression(i.opcode, operands, list_.options(i)));
    }
  }

  void write_loop(const Stretch& stretch, std::string& to) {
    std::string body, shifts;
    std::uint32_t guards = 0;
    for (std::size_t j = 0; j < stretch.period; ++j) guards += steps_[stretch.first + j].is_guard ? 1 : 0;
    for (std::size_t j = 0; j < stretch.period; ++j) {
      const Step& step = steps_[stretch.first + j];
      if (step.is_guard) {
        write_guard(list_.guards[step.number], operand(stretch, j, 0), index_of(step.number, guards), "    ", body);
        continue;
      }
      const Instruction& i = list_.instruction(step.number);
      std::array<std::string, 3> operands;
      for (int k = 0; k < info(i.opcode).operands; ++k) operands[static_cast<std::size_t>(k)] = operand(stretch, j, k);
      const std::string name = name_of(step.number);
      const Position& position = position_of(stretch, step.number);
      body += fmt::format("    {}{} = {};\n", position.after ? "" : "const double ", name,
                          functions_.expression(i.opcode, operands, list_.options(i)));
      if (position.after) to += fmt::format("  double {} = 0;\n", name);
      if (position.saved) {
        const std::string array = array_of(step.number);
        body += fmt::format("    {}[r] = {};\n", array, name);
        arrays_ += fmt::format("  double* const {} = saved.data() + {};\n", array, saved_);
        saved_ += stretch.rounds;
      }
      for (std::uint32_t back = position.back; back > 0; --back) {
        to += fmt::format("  double {}_{} = {};\n", name, back, operand(step.number - back * stretch.values_per_round, 0));
        shifts += fmt::format("    {}_{} = {}{};\n", name, back, name, back > 1 ? fmt::format("_{}", back - 1) : "");
      }
    }
    to += fmt::format("  for (long r = 0; r < {}; ++r) {{\n{}{}  }}\n", stretch.rounds, body, shifts);
  }

  void write_guard(const Guard& guard, const std::string& value, const std::string& number, const char* indent, std::string& to) const {
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
    const std::string leave =
        options_.lanes && !in_lane_
            ? fmt::format("{{\n{0}  for (long i = 0; i < lanes; ++i) left[i] = {1};\n{0}  return;\n{0}}}", indent, number)
            : fmt::format("return {};", number);
    to += fmt::format("{}if ({}) {}{}\n", indent, fails, leave, comment_of(guard.site));
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
  void write_outputs(std::string& to) {
    const char* lane = options_.lanes ? "[i]" : "";
    for (std::size_t k = 0; k < list_.outputs.size();) {
      const OutputRun run = output_run(k);
      const std::string value = operand(list_.outputs[k], run.stride);
      if (run.count == 1) {
        to += fmt::format("  y[{}]{} = {};\n", k, lane, value);
      } else {
        to += fmt::format("  for (long r = 0; r < {}; ++r) y[{}]{} = {};\n", run.count, index_of(static_cast<std::int64_t>(k), 1), lane,
                          value);
      }
      k += run.count;
    }
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
  std::string tables_, arrays_;
  std::size_t saved_ = 0;
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
  return CppWriter(program.list(), name, options).source();
}

}  // namespace wengert
