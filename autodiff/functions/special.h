#pragma once
// Internal.
// Special functions that the C++ library lacks, or has with a side effect.

namespace wengert::fn {

/// ln |Gamma(x)|. Unlike std::lgamma it does not write the sign to a global variable, so it is thread-safe.
double lgamma(double x);
float lgamma(float x);
/// The derivative of lgamma; NaN at 0, -1, -2, ... except that it is infinite, of the opposite sign, at 0.0 and -0.0.
double digamma(double x);
inline float digamma(float x) { return static_cast<float>(digamma(static_cast<double>(x))); }
/// The nth derivative of digamma for n = 0, 1, ..., 60, NaN for any other n; at 0, -1, -2, ... infinite for odd n. For even n it is
/// infinite, of the opposite sign, at 0.0 and -0.0, and NaN at -1, -2, ...
double polygamma(double n, double x);
inline float polygamma(float n, float x) { return static_cast<float>(polygamma(static_cast<double>(n), static_cast<double>(x))); }

}  // namespace wengert::fn
