#pragma once
// Sums over the blocks of a step, on all ranks, whose bits do not depend on how many ranks there are.
#include <cstddef>
#include <memory>

#include "autodiff/tape/gradients.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/tensor.h"
#include "optim/ranks.h"

namespace wengert {
class Tape;
}

namespace wengert::optim {

struct BlockSumsOptions {
  /// The gradients travel in pieces of at most so many bytes, each as soon as its last element is known. A ValueError unless it is
  /// positive.
  Index bucket_bytes = Index{1} << 20;
};

/// The mean gradient of a step whose examples are cut into blocks, which the ranks share:
///
///     optim::BlockSums sums(ranks, net.parameters());
///     ...
///     sums.begin(blocks);
///     for (Index b = sums.own().first; b < sums.own().last; ++b) {
///       Tape tape;
///       sums.add(tape, nn::mse(net(x[b]), y[b]), rows[b]);  // a mean over rows[b] examples
///     }
///     adam.step(sums.finish());  // the same gradients on all ranks, of the mean over all examples
///
/// The terms of the blocks are added in pairs, the pairs in pairs, and so on: a tree whose shape depends on the number of blocks alone. So
/// the bits are the same for any number of ranks. What a rank sends goes out while its last block's sweep is still running. All ranks have
/// parameters of the same shapes in the same order.
class BlockSums {
 public:
  BlockSums(Ranks& ranks, const ParameterList& parameters, BlockSumsOptions options = {});
  BlockSums(const BlockSums&) = delete;
  BlockSums& operator=(const BlockSums&) = delete;
  ~BlockSums();

  /// Starts a step of so many blocks. A ValueError unless there is one.
  void begin(Index blocks);
  /// This rank's blocks; there may be none.
  BlockRange own() const;
  /// The term of this rank's next block: the gradient of the loss, which consumes the tape's records as `tape.gradient` does. A TapeError
  /// if the rank has no block left, or if the loss does not depend on a parameter.
  void add(Tape& tape, const Tensor& loss, double weight);
  /// The same for gradients that are there already, of the same parameters in the same order.
  void add(const Gradients& gradients, double weight);
  /// The sum of weight times gradient over all blocks of all ranks, divided by the sum of the weights; zero if that is zero. A TapeError
  /// if a block of this rank is missing.
  Gradients finish();

 private:
  class Step;
  std::unique_ptr<Step> step_;
};

}  // namespace wengert::optim
