#include "autodiff/program/opcode.h"

#include "autodiff/program/lane_functions.h"

namespace wengert {
namespace {

template <class F> constexpr bool kSloped = requires { F::smooth; };
template <class F> constexpr bool kFlat = std::is_same_v<F, fn::Sign> || std::is_same_v<F, fn::Floor> || std::is_same_v<F, fn::Ceil> ||
                                          std::is_same_v<F, fn::Round> || std::is_same_v<F, fn::Step>;

template <class F> constexpr OpcodeInfo info_of() {
  using Traits = detail::FunctionTraits<F>;
  constexpr bool choice = std::is_same_v<F, fn::Where>, sloped = kSloped<F> && !kFlat<F>;
  OpcodeInfo info{F::name, F::latex, Traits::operands, Traits::options, !kSloped<F> && !choice, sloped || choice, {}};
  if constexpr (choice) {
    info.reads = {fn::Reads::nothing, fn::Reads::a, fn::Reads::a};
  } else if constexpr (sloped && Traits::operands == 1) {
    info.reads[0] = F::reads;
  } else if constexpr (sloped) {
    info.reads = {F::reads_left, F::reads_right, fn::Reads::nothing};
  }
  return info;
}

constexpr OpcodeInfo kInfos[opcode_count] = {
    info_of<fn::Add>(),
    info_of<fn::Subtract>(),
    info_of<fn::Multiply>(),
    info_of<fn::Divide>(),
#define WENGERT_FUNCTION(F, ...) info_of<fn::F>(),
    WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION) WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION) WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
        WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION) WENGERT_CONDITIONS_OF_ONE(WENGERT_FUNCTION) WENGERT_CONDITIONS_OF_TWO(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
            info_of<fn::Where>(),
};

}  // namespace

const OpcodeInfo& info(Opcode opcode) { return kInfos[static_cast<int>(opcode)]; }

std::optional<Opcode> opcode_named(std::string_view name) {
  for (int i = 0; i < opcode_count; ++i)
    if (kInfos[i].name == name) return static_cast<Opcode>(i);
  return std::nullopt;
}

namespace detail {
namespace {

template <class T> double compute_as(Opcode opcode, const double* x, const double* options) {
  return visit_function(opcode, options, [x]<class F>(const F& f) -> double {
    if constexpr (FunctionTraits<F>::operands == 1) {
      return lane_value(f, static_cast<T>(x[0]));
    } else if constexpr (FunctionTraits<F>::operands == 2) {
      return lane_value(f, static_cast<T>(x[0]), static_cast<T>(x[1]));
    } else {
      return lane_value(f, static_cast<T>(x[0]), static_cast<T>(x[1]), static_cast<T>(x[2]));
    }
  });
}

}  // namespace

bool is_arithmetic(Opcode opcode) {
  switch (opcode) {
    case Opcode::add:
    case Opcode::subtract:
    case Opcode::multiply:
    case Opcode::divide:
    case Opcode::negative:
    case Opcode::square:
    case Opcode::reciprocal:
    case Opcode::sqrt:
    case Opcode::rsqrt:
    case Opcode::abs:
    case Opcode::sign:
    case Opcode::step:
    case Opcode::floor:
    case Opcode::ceil:
    case Opcode::round:
    case Opcode::softsign:
    case Opcode::hardsigmoid:
    case Opcode::relu:
    case Opcode::relu6:
    case Opcode::leaky_relu:
    case Opcode::hardswish:
    case Opcode::clamp:
    case Opcode::hardtanh:
    case Opcode::softshrink:
    case Opcode::maximum:
    case Opcode::minimum:
    case Opcode::where:
      return true;
    default:
      return info(opcode).condition;
  }
}

double compute(Opcode opcode, bool in_float32, const double* operands, const double* options) {
  return in_float32 ? compute_as<float>(opcode, operands, options) : compute_as<double>(opcode, operands, options);
}

}  // namespace detail
}  // namespace wengert
