#include "autodiff/tensor/random.h"

#include <Random123/philox.h>
#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "autodiff/kernels/blocks.h"
#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/draws.h"

namespace wengert {
namespace {

__extension__ using Wide = unsigned __int128;

using Pair = std::array<std::uint64_t, 2>;

// One block of the stream: two numbers of 64 random bits.
Pair block(Generator::Position at) {
  const auto [seed, counter] = at;
  const auto low = [](std::uint64_t v) { return static_cast<std::uint32_t>(v); };
  const auto high = [](std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); };
  const auto join = [](std::uint32_t l, std::uint32_t h) { return std::uint64_t{h} << 32 | l; };
  const r123::Philox4x32 philox;  // ten rounds
  const auto words = philox({{low(counter), high(counter), 0, 0}}, {{low(seed), high(seed)}});
  return {join(words[0], words[1]), join(words[2], words[3])};
}

// Each distribution makes two elements from one block.

// The upper 53 bits as a multiple of 2^-53 in [0, 1).
double unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

struct Uniform {
  double low, high;
  std::array<double, 2> operator()(const Pair& bits) const {
    return {low + (high - low) * unit(bits[0]), low + (high - low) * unit(bits[1])};
  }
};

// The Box-Muller transform: (r cos phi, r sin phi) with r^2 / 2 exponential and phi uniform. r is made from 64 bits, because its largest
// value, which comes from the smallest u, is where the tails end.
struct Normal {
  double mean, stddev;
  std::array<double, 2> operator()(const Pair& bits) const {
    const double u = (static_cast<double>(bits[0]) + 0.5) * 0x1p-64;
    const double r = stddev * std::sqrt(-2 * std::log(u)), phi = 2 * std::numbers::pi * unit(bits[1]);
    return {mean + r * std::cos(phi), mean + r * std::sin(phi)};
  }
};

struct Bernoulli {
  double probability;
  std::array<bool, 2> operator()(const Pair& bits) const { return {unit(bits[0]) < probability, unit(bits[1]) < probability}; }
};

// floor(n bits / 2^64) for n values. There is no rejection, so every element takes exactly 64 bits.
struct Integers {
  Index low;
  std::uint64_t count;
  std::array<Index, 2> operator()(const Pair& bits) const { return {one(bits[0]), one(bits[1])}; }
  Index one(std::uint64_t bits) const {
    return static_cast<Index>(static_cast<std::uint64_t>(low) + static_cast<std::uint64_t>(Wide{bits} * count >> 64));
  }
};

void check_dtype(const char* operation, Dtype dtype) {
  if (!is_floating(dtype)) throw DtypeError(fmt::format("{}: the dtype must be float32 or float64, not {}", operation, to_string(dtype)));
}

Uniform checked_uniform(double low, double high) {
  if (!(low <= high && std::isfinite(high - low))) throw ValueError(fmt::format("uniform: [{}, {}) is not a finite interval", low, high));
  return {low, high};
}

Normal checked_normal(double mean, double stddev) {
  if (!(stddev >= 0 && std::isfinite(stddev) && std::isfinite(mean))) {
    throw ValueError(
        fmt::format("normal: the mean {} and the standard deviation {} must be finite, and the latter not negative", mean, stddev));
  }
  return {mean, stddev};
}

Bernoulli checked_bernoulli(double probability) {
  if (!(probability >= 0 && probability <= 1)) throw ValueError(fmt::format("bernoulli: the probability {} is not in [0, 1]", probability));
  return {probability};
}

Integers checked_integers(Index low, Index high) {
  if (low >= high) throw ValueError(fmt::format("integers: there are no integers in [{}, {})", low, high));
  return {low, static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low)};
}

// Rounding may carry an element of [low, high) to `high`; then the largest T below `high` is used instead.
template <class T> struct BelowHigh {
  T low, high;
  explicit BelowHigh(const Uniform& d) : low(static_cast<T>(d.low)), high(static_cast<T>(d.high)) {}
  T operator()(double value) const {
    const T t = static_cast<T>(value);
    return t < high ? t : std::nextafter(high, low);
  }
};

template <class T> struct Rounded {
  T operator()(auto value) const { return static_cast<T>(value); }
};

std::uint64_t blocks_of(const Tensor& out) { return (static_cast<std::uint64_t>(out.size()) + 1) / 2; }

template <class T> void fill(Tensor& out, Generator::Position at, const auto& distribution, const auto& convert) {
  constexpr Index kUnit = 64;  // even: blocks begin with a block of the stream
  const Index n = out.size();
  T* const to = out.mutable_data<T>();
  kernels::for_blocks_of(n, kernels::cost::kScalarCall, kUnit, [&](Index first, Index last) {
    Generator::Position here{at.seed, at.counter + static_cast<std::uint64_t>(first / 2)};
    for (Index i = first; i < last; i += 2, ++here.counter) {
      const auto pair = distribution(block(here));
      to[i] = convert(pair[0]);
      if (i + 1 < last) to[i + 1] = convert(pair[1]);
    }
  });
}

}  // namespace

// ---- repeating draws --------------------------------------------------------------------------------------------------------------

namespace detail {
namespace {

thread_local constinit DrawScope* innermost_draws = nullptr;

}  // namespace

DrawScope::DrawScope(Draws& draws, bool again) : draws_(draws), again_(again), outer_(std::exchange(innermost_draws, this)) {}
DrawScope::~DrawScope() { innermost_draws = outer_; }

bool DrawScope::meets(Generator::Position& at) {
  DrawScope* source = innermost_draws;
  while (source && !source->again_) source = source->outer_;
  if (source && source->next_ == source->draws_.size())
    throw TapeError("checkpoint: the function drew more random numbers when it was called again; it must do the same each time");
  if (source) at = source->draws_[source->next_];
  for (DrawScope* scope = innermost_draws; scope != source; scope = scope->outer_) scope->draws_.push_back(at);
  if (source) ++source->next_;
  return source;
}

}  // namespace detail

Generator::Position Generator::take(std::uint64_t blocks) {
  Position at{seed_, counter_};
  if (!detail::DrawScope::meets(at)) counter_ += blocks;
  return at;
}

// ---- distributions ----------------------------------------------------------------------------------------------------------------

Tensor Generator::uniform(const Shape& shape, double low, double high, Dtype dtype, Location site) {
  const CallSite scope(site);
  check_dtype("uniform", dtype);
  const Uniform distribution = checked_uniform(low, high);
  Tensor out = Tensor::uninitialized(shape, dtype, site);
  const Position at = take(blocks_of(out));
  if (dtype == float32) {
    fill<float>(out, at, distribution, BelowHigh<float>(distribution));
  } else {
    fill<double>(out, at, distribution, BelowHigh<double>(distribution));
  }
  return out;
}

Tensor Generator::normal(const Shape& shape, double mean, double stddev, Dtype dtype, Location site) {
  const CallSite scope(site);
  check_dtype("normal", dtype);
  const Normal distribution = checked_normal(mean, stddev);
  Tensor out = Tensor::uninitialized(shape, dtype, site);
  const Position at = take(blocks_of(out));
  if (dtype == float32) {
    fill<float>(out, at, distribution, Rounded<float>());
  } else {
    fill<double>(out, at, distribution, Rounded<double>());
  }
  return out;
}

Tensor Generator::bernoulli(const Shape& shape, double probability, Dtype dtype, Location site) {
  const CallSite scope(site);
  const Bernoulli distribution = checked_bernoulli(probability);
  Tensor out = Tensor::uninitialized(shape, dtype, site);
  const Position at = take(blocks_of(out));
  switch (dtype) {
    case float32:
      fill<float>(out, at, distribution, Rounded<float>());
      break;
    case float64:
      fill<double>(out, at, distribution, Rounded<double>());
      break;
    case int64:
      fill<std::int64_t>(out, at, distribution, Rounded<std::int64_t>());
      break;
    case boolean:
      fill<bool>(out, at, distribution, Rounded<bool>());
      break;
  }
  return out;
}

Tensor Generator::integers(const Shape& shape, Index low, Index high, Location site) {
  const CallSite scope(site);
  const Integers distribution = checked_integers(low, high);
  Tensor out = Tensor::uninitialized(shape, int64, site);
  const Position at = take(blocks_of(out));
  fill<std::int64_t>(out, at, distribution, Rounded<std::int64_t>());
  return out;
}

// The Fisher-Yates shuffle: from the last position i to the first, swaps i with one of 0 to i.
Tensor Generator::permutation(Index n, Location site) {
  const CallSite scope(site);
  Tensor out = Tensor::uninitialized({n}, int64, site);
  auto* const order = out.mutable_data<std::int64_t>();
  std::iota(order, order + n, 0);
  for (Index i = n - 1; i > 0; --i) std::swap(order[i], order[next_integer(0, i + 1)]);
  return out;
}

std::uint64_t Generator::next_bits() { return block(take(1))[0]; }

double Generator::next_uniform(double low, double high) {
  const Uniform distribution = checked_uniform(low, high);
  return BelowHigh<double>(distribution)(distribution(block(take(1)))[0]);
}

double Generator::next_normal(double mean, double stddev) { return checked_normal(mean, stddev)(block(take(1)))[0]; }

bool Generator::next_bernoulli(double probability) { return checked_bernoulli(probability)(block(take(1)))[0]; }

Index Generator::next_integer(Index low, Index high) { return checked_integers(low, high)(block(take(1)))[0]; }

Generator& default_generator() {
  static std::atomic<std::uint64_t> threads{0};
  thread_local Generator mine(kDefaultSeed + threads.fetch_add(1, std::memory_order_relaxed));
  return mine;
}

}  // namespace wengert
