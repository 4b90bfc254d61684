// The component distributed, from outside; without mpirun there is one rank.
#include <optim/distributed/mpi.h>

#include <stdexcept>
#include <vector>

using namespace wengert;

int main() {
  return optim::train_on_mpi([](optim::Ranks& ranks) {
    const double own = 2.5;
    if (optim::gather_numbers(ranks, {&own, 1}) != std::vector<std::vector<double>>{{own}}) throw std::runtime_error("not one rank");
  });
}
