#pragma once
// Internal.
// A list, recorded once more.
#include <span>
#include <vector>

#include "autodiff/program/recorder.h"

namespace wengert::detail {

/// Records the operations of a list on other inputs and asks its guards again. Returns what its values are there, by their numbers.
std::vector<Recorded> replay(Recorder& recorder, const WengertList& list, std::span<const Recorded> inputs);

}  // namespace wengert::detail
