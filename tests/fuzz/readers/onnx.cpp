// Networks in ONNX files.
#include <nn/module/state.h>
#include <nn/onnx/import.h>

#include "memory_file.h"
#include "targets.h"
#include "use.h"

namespace wengert::fuzz::readers {

void onnx(Bytes input) {
  nn::OnnxModel model = nn::import_onnx(MemoryFile(input).path());
  use(nn::state(model));
}

}  // namespace wengert::fuzz::readers
