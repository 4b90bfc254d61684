#include "autodiff/program/operation_source.h"

#include <fmt/format.h>

#include <type_traits>
#include <vector>

#include "autodiff/program/recorder.h"

namespace wengert::detail {

const char* operator_pattern(Opcode opcode) {
  switch (opcode) {
    case Opcode::add:
      return "#1 + #2";
    case Opcode::subtract:
      return "#1 - #2";
    case Opcode::multiply:
      return "#1 * #2";
    case Opcode::divide:
      return "#1 / #2";
    case Opcode::negative:
      return "-#1";
    case Opcode::square:
      return "#1 * #1";
    case Opcode::abs:
      return "std::fabs(#1)";
    case Opcode::round:
      return "std::rint(#1)";
    case Opcode::sqrt:
    case Opcode::floor:
    case Opcode::ceil:
    case Opcode::signbit:
      return "std::@(#1)";
    case Opcode::less:
      return "#1 < #2";
    case Opcode::less_equal:
      return "#1 <= #2";
    case Opcode::equal:
      return "#1 == #2";
    case Opcode::not_equal:
      return "#1 != #2";
    default:
      return nullptr;
  }
}

std::string filled(std::string_view pattern, Opcode opcode, const std::array<std::string, 3>& operands) {
  std::string text;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '@') {
      text += info(opcode).name;
    } else if (pattern[i] == '#') {
      text += operands[static_cast<std::size_t>(pattern[++i] - '1')];
    } else {
      text += pattern[i];
    }
  }
  return text;
}

WengertList formula_of(Opcode opcode, const std::array<double, 2>& options) {
  return visit_function(opcode, options.data(), []<class F>(const F& f) -> WengertList {
    constexpr bool is_series =
        std::is_same_v<F, fn::Polygamma> || std::is_same_v<F, fn::Digamma> || std::is_same_v<F, fn::Lgamma> || std::is_same_v<F, fn::Round>;
    if constexpr (is_series || !requires { F::smooth; }) {
      throw ValueError(fmt::format("to_cpp: there is no source for {}", F::name));
    } else {
      Recorder recorder(Computed::not_at_all);
      std::vector<Recorded> x;
      x.reserve(FunctionTraits<F>::operands);
      for (int k = 0; k < FunctionTraits<F>::operands; ++k) x.push_back(recorder.input(0));
      std::vector<Recorded> y;
      if constexpr (FunctionTraits<F>::operands == 1) {
        y = {f.value(x[0])};
      } else {
        y = {f.value(x[0], x[1])};
      }
      return recorder.finish(static_cast<std::uint32_t>(x.size()), y);
    }
  });
}

}  // namespace wengert::detail
