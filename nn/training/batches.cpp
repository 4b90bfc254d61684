#include "nn/training/batches.h"

namespace wengert::nn {

Batches::Batches(const Batch& examples) : Batches(DataLoader(examples, {.batch_size = 500})) {}

}  // namespace wengert::nn
