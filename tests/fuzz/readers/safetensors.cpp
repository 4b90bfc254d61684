// Tensors with names.
#include <autodiff/io/safetensors.h>

#include "memory_file.h"
#include "targets.h"
#include "use.h"

namespace wengert::fuzz::readers {

void safetensors(Bytes input) { use(read_safetensors(MemoryFile(input).path()).tensors); }

void safetensors_mapped(Bytes input) {
  const MemoryFile file(input);
  use(MappedSafetensors(file.path()).contents().tensors);
}

}  // namespace wengert::fuzz::readers
