#pragma once
// Processes that train together.
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "autodiff/tensor/named_tensor.h"
#include "autodiff/tensor/shape.h"

namespace wengert::optim {

/// The blocks [first, last) of those that a step's examples are cut into.
struct BlockRange {
  Index first, last;
  /// Whether the block is one of them.
  bool contains(Index block) const { return first <= block && block < last; }
};

/// The processes of a training, numbered 0, 1, ..., and what they send each other. All of them make the same calls in the same order.
/// `train_on_mpi` (optim/distributed/mpi.h) makes one for the processes that `mpirun` has started; `OneRank` is a process on its own.
/// An Error if another rank has failed or does not answer in time.
class Ranks {
 public:
  Ranks() = default;
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;
  virtual ~Ranks() = default;

  /// This process.
  virtual int rank() const = 0;
  /// How many there are.
  virtual int size() const = 0;
  /// Whether this is rank 0, which prints and saves.
  bool is_first() const { return rank() == 0; }

  /// Gives all ranks the bytes of rank 0.
  virtual void broadcast(std::span<std::byte> bytes) = 0;

  /// What is on its way while the program computes. Its memory must stay where it is until it is done.
  class Transfer {
   public:
    Transfer() = default;
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;
    virtual ~Transfer() = default;
    /// Whether all has arrived; moves it on.
    virtual bool done() = 0;
    virtual void wait() = 0;
  };
  /// Sends the first out_sizes[0] bytes to rank 0, the next out_sizes[1] to rank 1, ..., and receives in_sizes[r] bytes from rank r, which
  /// are put one behind the other. Exchanges are begun in the same order everywhere; so are gatherings, independently of them.
  virtual std::unique_ptr<Transfer> exchange(std::span<const std::byte> out, std::span<const std::size_t> out_sizes,
                                             std::span<std::byte> in, std::span<const std::size_t> in_sizes) = 0;
  /// Sends `out` to all ranks, and receives in_sizes[r] bytes from rank r.
  virtual std::unique_ptr<Transfer> gather(std::span<const std::byte> out, std::span<std::byte> in,
                                           std::span<const std::size_t> in_sizes) = 0;
};

/// A process that trains alone.
class OneRank final : public Ranks {
 public:
  /// Rank 0 of 1; what it sends has arrived at once.
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void broadcast(std::span<std::byte>) override {}
  std::unique_ptr<Transfer> exchange(std::span<const std::byte> out, std::span<const std::size_t> out_sizes, std::span<std::byte> in,
                                     std::span<const std::size_t> in_sizes) override;
  std::unique_ptr<Transfer> gather(std::span<const std::byte> out, std::span<std::byte> in, std::span<const std::size_t> in_sizes) override;
};

/// Which of a step's blocks are a rank's: neighbours, and as many as any other rank has, give or take one.
BlockRange blocks_of(int rank, int ranks, Index blocks);

/// The numbers of all ranks, of which each may have its own number: element r is what rank r has given.
std::vector<std::vector<double>> gather_numbers(Ranks& ranks, std::span<const double> own);

/// Gives all ranks the tensors of rank 0; what the others pass is ignored.
std::vector<NamedTensor> broadcast_tensors(Ranks& ranks, std::span<const NamedTensor> tensors);

}  // namespace wengert::optim
