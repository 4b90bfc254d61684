#pragma once
// The rows model/ of one side: model_ours.cpp and model_libtorch.cpp.
#include <vector>

#include "benchmarks/train_server.h"

namespace wengert::benchmark {

std::vector<ServedRow> model_rows();

}  // namespace wengert::benchmark
