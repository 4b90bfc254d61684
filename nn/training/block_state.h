#pragma once
// What a block of a step changes beside the gradients: running statistics and random numbers.
#include <span>
#include <vector>

#include "autodiff/tensor/random.h"
#include "nn/module/module.h"
#include "nn/training/running_values.h"

namespace wengert::nn {

// For a step whose blocks are shared by ranks. Each block finds the running statistics as they were when the step began, and random numbers
// of its own; so it makes no difference which rank computes it. Afterwards the statistics are the mean over the blocks of what each has
// made of them, weighted by examples.
class BlockState {
 public:
  // Every generator goes on by one number.
  BlockState(Module& module, const std::vector<Generator*>& generators);

  void begin(Index block);
  // Behind a block: its statistics, as numbers for other ranks.
  void append_to(std::vector<double>& numbers) const;
  // The statistics of the next block, as append_to gave them.
  void read(NumberReader& numbers, double weight);
  // When all blocks are read.
  void finish();

 private:
  struct Statistic {
    Tensor* tensor;
    Tensor before;
    std::vector<double> change;  // the sum over the blocks of weight times change; empty: there is none
    std::vector<double> first;   // of those that are not floating: what the first block that changes them has made of them
  };

  std::vector<Statistic> statistics_;
  std::vector<Generator*> generators_;
  std::vector<Generator> streams_, after_;
  double weight_ = 0;
};

}  // namespace wengert::nn
