#pragma once
// What reads bytes that anybody may have written: each reader of files, einsum's equations, and command lines.
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string_view>

namespace wengert::fuzz {

using Bytes = std::span<const std::uint8_t>;

/// What a compressed file of a few bytes may expand to.
constexpr std::size_t kExpandedBytes = 1 << 20;

/// A reader did what it must not: took memory beyond its limit, or threw what is no wengert::Error. (Other faults are crashes and hangs.)
struct ReaderFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What takes the inputs of one target, and returns if they are read, or refused with an Error.
namespace readers {
void safetensors(Bytes input);
void safetensors_mapped(Bytes input);
void npy(Bytes input);
void npz(Bytes input);
void csv(Bytes input);
void idx(Bytes input);
void cifar(Bytes input);
void text(Bytes input);
void program(Bytes input);
void model(Bytes input);
void onnx(Bytes input);
void optimizer(Bytes input);
void equation(Bytes input);
void command_line(Bytes input);
}  // namespace readers

struct Target {
  std::string_view name;  ///< also of the folder with its seeds
  void (*read)(Bytes input);
};

std::span<const Target> targets();
/// Null if there is none of that name.
const Target* find_target(std::string_view name);

/// Calls the target, and holds the memory that it takes against its limit. A ReaderFault says what is wrong.
void check_input(const Target& target, Bytes input);

}  // namespace wengert::fuzz
