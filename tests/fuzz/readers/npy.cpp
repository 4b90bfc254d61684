// Arrays of NumPy.
#include <autodiff/io/npy.h>

#include "memory_file.h"
#include "targets.h"
#include "use.h"

namespace wengert::fuzz::readers {

void npy(Bytes input) { use(read_npy(MemoryFile(input).path())); }
void npz(Bytes input) { use(read_npz(MemoryFile(input).path(), {.max_bytes = kExpandedBytes})); }

}  // namespace wengert::fuzz::readers
