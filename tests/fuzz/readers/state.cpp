// Parameters, and the state of an optimizer.
#include <nn/nn.h>
#include <optim/optim.h>

#include "memory_file.h"
#include "targets.h"

namespace wengert::fuzz::readers {

void model(Bytes input) {
  nn::Linear layer(2, 1);
  nn::load(layer, MemoryFile(input).path());
}

void optimizer(Bytes input) {
  nn::Linear layer(2, 1);
  optim::Adam adam(layer.parameters());
  optim::load(adam, MemoryFile(input).path());
}

}  // namespace wengert::fuzz::readers
