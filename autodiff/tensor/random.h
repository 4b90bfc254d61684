#pragma once
// Counter-based random numbers: they depend on a seed and a position, never on time, threads or the order of evaluation.
#include <cstdint>

#include "autodiff/error.h"
#include "autodiff/tensor/shape.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

/// A stream of random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011) with the
/// seed as its key. Seed and counter are the whole state; a copy continues where the original is, and `Generator(g.seed(), g.counter())`
/// restores g, which is what checkpoints store.
///
/// A draw encrypts the blocks counter, counter + 1, ... (16 bytes each) and advances the counter past them. Element i of a draw depends
/// only on the seed, the counter and i. Every element is computed in double precision from 64 bits; a float32 draw is the float64 draw
/// rounded. Two threads must not draw from one generator at the same time; `fork()` gives each thread its own.
class Generator {
 public:
  explicit Generator(std::uint64_t seed, std::uint64_t counter = 0) : seed_(seed), counter_(counter) {}

  /// What the generator was made with.
  std::uint64_t seed() const { return seed_; }
  /// How many blocks have been used.
  std::uint64_t counter() const { return counter_; }
  /// A generator with a seed drawn from this one. Its stream is independent of this one and of all other forks.
  Generator fork() { return Generator(next_bits()); }

  /// @name Tensors
  /// For uniform and normal the dtype must be floating. Parameters that do not define a distribution are a ValueError.
  /// @{

  /// Uniform on [low, high).
  Tensor uniform(const Shape& shape, double low = 0, double high = 1, Dtype dtype = float32, Location site = Location::here());
  /// Normal, by the Box-Muller transform of 64-bit numbers: the tails extend to 9.4 standard deviations.
  Tensor normal(const Shape& shape, double mean = 0, double stddev = 1, Dtype dtype = float32, Location site = Location::here());
  /// 1 (or true) with the given probability, else 0. Any dtype.
  Tensor bernoulli(const Shape& shape, double probability, Dtype dtype = float32, Location site = Location::here());
  /// int64, uniform on low, low + 1, ..., high - 1. (Probabilities differ by at most 2^-64.)
  Tensor integers(const Shape& shape, Index low, Index high, Location site = Location::here());
  /// The numbers 0 to n - 1 in random order: int64 of shape (n,). Every order is equally likely.
  Tensor permutation(Index n, Location site = Location::here());
  /// @}

  /// @name Single numbers
  /// Each uses one block, and is what the first element of a tensor would have been.
  /// @{
  /// The next 64 random bits.
  std::uint64_t next_bits();
  double next_uniform(double low = 0, double high = 1);
  double next_normal(double mean = 0, double stddev = 1);
  bool next_bernoulli(double probability);
  Index next_integer(Index low, Index high);
  /// @}

  /// The position at which a draw begins.
  struct Position {
    std::uint64_t seed, counter;
  };

 private:
  Position take(std::uint64_t blocks);
  std::uint64_t seed_, counter_;
};

/// The seed of the default generator of the thread that draws first.
inline constexpr std::uint64_t kDefaultSeed = 1964;

/// The generator of the calling thread, used where none is passed. The first thread that calls this starts from `kDefaultSeed`, so that a
/// program with one thread gets the same numbers in every run; later threads start from other seeds, in the order of their first calls.
/// `default_generator() = Generator(7)` changes the seed.
Generator& default_generator();

}  // namespace wengert
