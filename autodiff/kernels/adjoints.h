#pragma once
// The reverse sweep over scalar statements for eight targets at once.
#include <cstddef>
#include <cstdint>

namespace wengert::kernels {

/// How many targets one sweep serves.
inline constexpr std::size_t kSweepRows = 8;

/// reverse_statements() of scalar/statements.h for kSweepRows targets: sweeps over statements from - 1 down to `to`, whose arguments end at
/// `args`, and returns the beginning of the arguments of `to`. The adjoints of scalar i are the kSweepRows numbers from
/// adjoints + kSweepRows i on, a target each; the address is a multiple of 64 bytes. An argument is {double partial; u32 index}; `lengths`
/// is in bytes, by statement. `clear`: the adjoints of these statements are set to zero. Each target's adjoints have the bits of a sweep of
/// its own.
char* reverse_statements(const std::uint16_t* lengths, double* adjoints, char* args, std::size_t from, std::size_t to, bool clear);

}  // namespace wengert::kernels
