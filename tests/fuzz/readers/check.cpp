#include <autodiff/error.h>
#include <autodiff/tensor/storage.h>
#include <fmt/format.h>

#include <exception>

#include "targets.h"

namespace wengert::fuzz {

void check_input(const Target& target, Bytes input) {
  // An element of an 8-bit type becomes a double or an int64 and is copied while it is used; compressed input expands to its limit at most.
  const std::size_t limit = (8 << 20) + 16 * kExpandedBytes + 64 * input.size();
  const std::int64_t before = pool::statistics().in_use;
  pool::reset_peak();
  try {
    target.read(input);
  } catch (const Error&) {
    // refused
  } catch (const std::exception& e) {
    throw ReaderFault(fmt::format("{}: an exception that is no wengert::Error: {}", target.name, e.what()));
  }
  const pool::Statistics after = pool::statistics();
  if (static_cast<std::size_t>(after.peak_in_use - before) > limit)
    throw ReaderFault(fmt::format("{}: {} bytes of tensors for an input of {}", target.name, after.peak_in_use - before, input.size()));
  if (after.in_use != before) throw ReaderFault(fmt::format("{}: {} bytes are never freed", target.name, after.in_use - before));
}

}  // namespace wengert::fuzz
