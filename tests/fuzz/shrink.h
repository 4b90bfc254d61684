#pragma once
// Makes the choices of a failing program as few and as small as possible.
#include <functional>
#include <optional>

#include "choices.h"

namespace wengert::fuzz {

/// Runs the program with these choices. If it fails, the choices that it really made; nothing if it passes.
using Fails = std::function<std::optional<ChoiceList>(const std::vector<std::uint64_t>&)>;

struct ShrinkLimits {
  std::size_t runs = 20'000;
};

/// The simplest failing list that is found from a failing one: the shortest, and of these the first in lexicographic order. Parts and runs
/// of choices are deleted and single ones are lowered until nothing of this succeeds any more, or for `limits.runs` runs. The method is
/// that of Hypothesis (MacIver, Donaldson: Test-case reduction via test-case generation, ECOOP 2020): what shrinks are the choices, so
/// every candidate is a program that could have been drawn.
ChoiceList shrink(ChoiceList failing, const Fails& fails, const ShrinkLimits& limits = {});

}  // namespace wengert::fuzz
