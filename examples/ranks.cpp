#include "ranks.h"

#ifdef EXAMPLE_WITH_MPI
#include <optim/distributed/mpi.h>
#endif

using namespace wengert;

namespace example {
namespace {

void on_mpi([[maybe_unused]] const std::function<void(optim::Ranks*)>& program) {
#ifdef EXAMPLE_WITH_MPI
  optim::train_on_mpi([&](optim::Ranks& ranks) { program(&ranks); });
#else
  throw DataError("--mpi: this program was built without MPI; hint: install libopenmpi-dev and openmpi-bin, and build it again");
#endif
}

}  // namespace

void sharing(CommandLine& line, Sharing& sharing) {
  line.option("--blocks", sharing.blocks, "parts of a batch that processes share; 0: none", kNotNegative);
  line.flag("--mpi", sharing.mpi, "share them with the other processes that mpirun has started");
}

void on_ranks(const Sharing& sharing, int batch, const std::function<void(optim::Ranks*)>& program) {
  if (sharing.mpi && sharing.blocks == 0) throw DataError("--mpi: there are no blocks to share; hint: --blocks 8");
  if (sharing.blocks > 0 && batch % sharing.blocks != 0)
    throw DataError(fmt::format("--blocks: a batch of {} cannot be cut into {} equal blocks", batch, sharing.blocks));
  if (sharing.mpi) return on_mpi(program);
  optim::OneRank alone;
  program(sharing.blocks > 0 ? &alone : nullptr);
}

}  // namespace example
