#include "targets.h"

#include <algorithm>
#include <array>

namespace wengert::fuzz {
namespace {

constexpr std::array kTargets{
    Target{"safetensors", readers::safetensors},
    Target{"safetensors_mapped", readers::safetensors_mapped},
    Target{"npy", readers::npy},
    Target{"npz", readers::npz},
    Target{"csv", readers::csv},
    Target{"idx", readers::idx},
    Target{"cifar", readers::cifar},
    Target{"text", readers::text},
    Target{"program", readers::program},
    Target{"model", readers::model},
    Target{"onnx", readers::onnx},
    Target{"optimizer", readers::optimizer},
    Target{"equation", readers::equation},
    Target{"command_line", readers::command_line},
};

}  // namespace

std::span<const Target> targets() { return kTargets; }

const Target* find_target(std::string_view name) {
  const auto found = std::find_if(kTargets.begin(), kTargets.end(), [&](const Target& t) { return t.name == name; });
  return found == kTargets.end() ? nullptr : &*found;
}

}  // namespace wengert::fuzz
