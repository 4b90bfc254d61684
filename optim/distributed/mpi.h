#pragma once
// Training on several processes, on one machine or many, by MPI. (The target wengert::distributed.)
#include "autodiff/error.h"  // first: without C++20 its message is the one to see

#include "autodiff/tensor/function_ref.h"
#include "optim/ranks.h"

namespace wengert::optim {

struct MpiOptions {
  /// How many seconds a rank waits for the others, in one call, before it gives up: more than the longest that one rank may be ahead of the
  /// others, as they are while rank 0 writes a checkpoint. A ValueError unless it is positive.
  double timeout = 300;
};

/// Runs a program on the ranks that `mpirun` has started, each in its process, and returns the process's exit status; without mpirun there
/// is one rank. It starts MPI and ends it, so it may be called once.
///
///     int main() {
///       return optim::train_on_mpi([](optim::Ranks& ranks) {
///         ...
///         nn::fit(net, adam, nn::mse, loader, {.accumulate = 8, .ranks = &ranks});
///       });
///     }
///
/// An exception of the program, or no answer of another rank in time, ends all ranks: the first one that notices says on the standard error
/// stream which rank it is and what has happened, and all have the status 1.
int train_on_mpi(wengert::detail::FunctionRef<void(Ranks&)> program, const MpiOptions& options = {});

}  // namespace wengert::optim
