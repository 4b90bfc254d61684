#pragma once
// Our side of the training steps: all rows train/, infer/ and model/.
#include <vector>

#include "benchmarks/train_server.h"

namespace wengert::benchmark {

std::vector<ServedRow> train_rows();

}  // namespace wengert::benchmark
