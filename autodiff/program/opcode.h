#pragma once
// Which operation an instruction of a program is: one of functions.h, a condition or a choice.
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include "autodiff/program/conditions.h"

namespace wengert {

enum class Opcode : std::uint16_t {
  add,
  subtract,
  multiply,
  divide,
#define WENGERT_FUNCTION(F, name, ...) name,
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION) WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION) WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
      WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION) WENGERT_CONDITIONS_OF_ONE(WENGERT_FUNCTION) WENGERT_CONDITIONS_OF_TWO(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
          where,  ///< a condition, then what is taken where it holds, then what is taken elsewhere
};
inline constexpr int opcode_count = static_cast<int>(Opcode::where) + 1;

struct OpcodeInfo {
  const char* name;                ///< as in functions.h
  const char* latex;               ///< the formula, with # for the operand, #1, #2 ... for several
  int operands;                    ///< 1 to 3
  int options;                     ///< numbers that are part of the function, such as the limits of clamp: 0 to 2
  bool condition;                  ///< its value is 1 or 0
  bool has_slope;                  ///< not 0 everywhere
  std::array<fn::Reads, 3> reads;  ///< what the rule of each operand reads; of `where` the condition, Reads::a
};
const OpcodeInfo& info(Opcode opcode);
/// The opcode of a name; empty if there is none.
std::optional<Opcode> opcode_named(std::string_view name);

namespace detail {

/// The opcode of a struct of functions.h or conditions.h, and the numbers that its object holds.
template <class F> struct FunctionTraits;
#define WENGERT_TRAITS(F, name, operand_count, option_count)               \
  template <> struct FunctionTraits<fn::F> {                               \
    static constexpr Opcode opcode = Opcode::name;                         \
    static constexpr int operands = operand_count, options = option_count; \
  };
WENGERT_TRAITS(Add, add, 2, 0)
WENGERT_TRAITS(Subtract, subtract, 2, 0)
WENGERT_TRAITS(Multiply, multiply, 2, 0)
WENGERT_TRAITS(Divide, divide, 2, 0)
WENGERT_TRAITS(Where, where, 3, 0)
#define WENGERT_FUNCTION(F, name) WENGERT_TRAITS(F, name, 1, 0)
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_CONDITIONS_OF_ONE(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default) WENGERT_TRAITS(F, name, 1, 1)
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default) WENGERT_TRAITS(F, name, 1, 2)
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name) WENGERT_TRAITS(F, name, 2, 0)
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_CONDITIONS_OF_TWO(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#undef WENGERT_TRAITS

template <class F> std::array<double, 2> options_of(const F& f) {
  if constexpr (FunctionTraits<F>::options == 0) {
    return {};
  } else if constexpr (FunctionTraits<F>::options == 1) {
    const auto& [p] = f;
    return {p, 0};
  } else {
    const auto& [p, q] = f;
    return {p, q};
  }
}
template <class F> WENGERT_INLINE F function_with(const double* options) {
  if constexpr (FunctionTraits<F>::options == 0) {
    return F{};
  } else if constexpr (FunctionTraits<F>::options == 1) {
    return F{options[0]};
  } else {
    return F{options[0], options[1]};
  }
}

/// Calls visitor(f) with the object of the struct that the opcode stands for; its options are the numbers at `options`.
template <class Visitor> decltype(auto) visit_function(Opcode opcode, const double* options, Visitor&& visitor) {
  switch (opcode) {
#define WENGERT_CASE(F, name, ...) \
  case Opcode::name:               \
    return visitor(function_with<fn::F>(options));
    WENGERT_CASE(Add, add)
    WENGERT_CASE(Subtract, subtract)
    WENGERT_CASE(Multiply, multiply)
    WENGERT_CASE(Divide, divide)
    WENGERT_UNARY_FUNCTIONS(WENGERT_CASE)
    WENGERT_UNARY_FUNCTIONS_1(WENGERT_CASE)
    WENGERT_UNARY_FUNCTIONS_2(WENGERT_CASE)
    WENGERT_BINARY_FUNCTIONS(WENGERT_CASE)
    WENGERT_CONDITIONS_OF_ONE(WENGERT_CASE)
    WENGERT_CONDITIONS_OF_TWO(WENGERT_CASE)
#undef WENGERT_CASE
    case Opcode::where:
      break;
  }
  return visitor(fn::Where{});
}

/// Whether an operation is a few instructions of the processor, so that a loop over it takes about as long as its memory.
bool is_arithmetic(Opcode opcode);
/// The value of one operation, computed in float32 or float64 as the evaluator does.
double compute(Opcode opcode, bool in_float32, const double* operands, const double* options);

}  // namespace detail
}  // namespace wengert
