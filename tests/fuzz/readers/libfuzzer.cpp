// One reader under libFuzzer, whose main function calls this. WENGERT_FUZZ_TARGET is the reader's name.
#include <cstdlib>

#include "targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const wengert::fuzz::Target* const target = wengert::fuzz::find_target(WENGERT_FUZZ_TARGET);
  if (!target) std::abort();
  wengert::fuzz::check_input(*target, {data, size});  // an exception that leaves here ends the program, and libFuzzer keeps the input
  return 0;
}
