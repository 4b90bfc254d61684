#pragma once
// First values of parameters. Each function sets a parameter's value and keeps its shape and dtype.
#include <cstdint>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/random.h"

namespace wengert::nn::init {

/// How many inputs an output depends on (in), and how many outputs an input contributes to (out).
struct Fans {
  Index in, out;
};
/// Of a linear weight (out, in) or a convolution's (out, in / groups, k...), where each position of the kernel counts. A ShapeError for
/// rank 0 and 1.
Fans fans(const Shape& weight);

/// @name Factors that preserve the variance through an activation
/// @{
inline constexpr double kLinearGain = 1;  ///< also for the sigmoid
inline constexpr double kTanhGain = 5.0 / 3;
inline constexpr double kReluGain = 1.4142135623730951;  ///< sqrt(2)
/// @}

/// Sets every element to one value.
void constant(Parameter& p, double value, Location site = Location::here());
/// Uniform on [low, high), and normal with that mean and standard deviation.
void uniform(Parameter& p, double low, double high, Generator& generator, Location site = Location::here());
void normal(Parameter& p, double mean, double stddev, Generator& generator, Location site = Location::here());

struct XavierOptions {
  double gain = kLinearGain;
};
/// Glorot and Bengio 2010: variance gain^2 2 / (in + out).
void xavier_uniform(Parameter& p, Generator& generator, XavierOptions options = {}, Location site = Location::here());
void xavier_normal(Parameter& p, Generator& generator, XavierOptions options = {}, Location site = Location::here());

/// Whether kaiming preserves the variance of the forward pass (in) or of the backward pass (out).
enum class Fan : std::uint8_t { in, out };
struct KaimingOptions {
  Fan mode = Fan::in;
  double gain = kReluGain;
};
/// He et al. 2015: variance gain^2 / fan.
void kaiming_uniform(Parameter& p, Generator& generator, KaimingOptions options = {}, Location site = Location::here());
void kaiming_normal(Parameter& p, Generator& generator, KaimingOptions options = {}, Location site = Location::here());

struct OrthogonalOptions {
  double gain = 1;
};
/// Saxe, McClelland and Ganguli 2014: as a matrix (first dimension, all others), gain times orthonormal rows, or columns where they are
/// fewer; uniform over such matrices. A ShapeError for rank 0 and 1.
void orthogonal(Parameter& p, Generator& generator, OrthogonalOptions options = {}, Location site = Location::here());

struct TruncatedNormalOptions {
  double mean = 0, stddev = 1;
  double low = -2, high = 2;  ///< the interval, in the parameter's units
};
/// Normal numbers conditioned on lying in [low, high]. A ValueError for an empty interval, or one beyond the distribution's
/// reach.
void truncated_normal(Parameter& p, Generator& generator, TruncatedNormalOptions options = {}, Location site = Location::here());

}  // namespace wengert::nn::init
