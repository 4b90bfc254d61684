#pragma once
// Trainings that several processes share.
#include <optim/ranks.h>

#include <functional>

#include "example.h"

namespace example {

/// How a training is shared.
struct Sharing {
  int blocks = 0;    ///< that a batch is cut into; 0: the training is not shared
  bool mpi = false;  ///< whether mpirun has started several processes
};

/// --blocks and --mpi.
void sharing(CommandLine& line, Sharing& sharing);
/// Runs the program on its ranks: those of mpirun, or this process alone; without ranks (null) if the training is not shared. A DataError
/// for options that do not fit, and for --mpi where the program was built without MPI.
void on_ranks(const Sharing& sharing, int batch, const std::function<void(wengert::optim::Ranks*)>& program);

}  // namespace example
