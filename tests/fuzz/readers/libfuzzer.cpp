// One reader under libFuzzer, whose main function calls this. WENGERT_FUZZ_TARGET is the reader's name.
#include "targets.h"

#define WENGERT_NAME(name) #name
#define WENGERT_TARGET(name) \
  { WENGERT_NAME(name), wengert::fuzz::readers::name }

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Not from the list of all: what the program never calls is not linked, and libFuzzer has less to count.
  static constexpr wengert::fuzz::Target target = WENGERT_TARGET(WENGERT_FUZZ_TARGET);
  wengert::fuzz::check_input(target, {data, size});  // an exception that leaves here ends the program, and libFuzzer keeps the input
  return 0;
}
