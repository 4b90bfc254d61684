#pragma once
// Parameters that share options, and what an optimizer's options are called.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "autodiff/tape/parameter.h"

namespace wengert::optim {

/// Parameters with options of their own.
template <class Options> struct ParameterGroup {
  ParameterList parameters;
  Options options = {};
};

/// What an optimizer is made with where its parameters do not all have the same options:
///
///     optim::AdamW adam({{net.weights(), {.weight_decay = 0.1}}, {net.biases(), {.weight_decay = 0}}});
template <class Options> using ParameterGroups = std::vector<ParameterGroup<Options>>;

/// What a setting may be: finite and >= 0, finite and > 0, in [0, 1], in [0, 1).
enum class SettingRange : std::uint8_t { not_negative, positive, unit_interval, decay };

/// One field of an options struct: its name in messages and states, and the values that it may have.
template <class Options> struct Setting {
  const char* name;
  double Options::*number = nullptr;  ///< this, with a range,
  bool Options::*flag = nullptr;      ///< or that
  SettingRange range = SettingRange::not_negative;

  constexpr Setting(const char* name, double Options::*number, SettingRange range) : name(name), number(number), range(range) {}
  constexpr Setting(const char* name, bool Options::*flag) : name(name), flag(flag) {}
};

/// An optimizer apart from its formula.
template <class Options> struct Specification {
  const char* name;                                          ///< in messages and states: "Adam"
  std::span<const Setting<Options>> settings;                ///< all fields of the options; the first is "lr"
  std::span<const char* const> state = {};                   ///< what is kept for each parameter, at most Optimizer::kMaxStates tensors
  bool (*keeps)(std::size_t k, const Options& o) = nullptr;  ///< whether the kth of them is needed; null: always
  void (*check)(const Options& o) = nullptr;                 ///< throws a ValueError where settings do not go together
};

}  // namespace wengert::optim
