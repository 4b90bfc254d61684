// Serves our side of the training steps: train_ours [THREADS].
#include <cstdlib>

#include "autodiff/runtime.h"
#include "benchmarks/train_rows.h"

int main(int argc, char** argv) {
  wengert::set_num_threads(argc > 1 ? std::atoi(argv[1]) : 1);
  return wengert::benchmark::serve(wengert::benchmark::train_rows());
}
