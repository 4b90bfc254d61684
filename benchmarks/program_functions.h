#pragma once
// The programs of the benchmark `program`: what they compute for one lane, written once for every number type.
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "benchmarks/scalar_functions.h"

namespace wengert::benchmark {

/// One record of LogisticRegression: the weights and the bias, and then the features and the label.
struct LogisticRecord {
  static constexpr std::size_t kFeatures = LogisticRegression::kFeatures;
  template <class P, class D> auto operator()(const P& w, const D& d) const {
    using std::exp;
    auto z = w[kFeatures] + w[0] * d[0];
    for (std::size_t j = 1; j < kFeatures; ++j) z += w[j] * d[j];
    const auto residual = d[kFeatures] - 1.0 / (1.0 + exp(-z));
    return 0.5 * residual * residual;
  }
};

/// One point of GaussianMixture. What does not depend on the point is MixtureRest.
struct MixturePoint {
  using G = GaussianMixture;
  template <class P, class D> auto operator()(const P& p, const D& x) const {
    using std::exp, std::log, std::max;
    using T = std::remove_cvref_t<decltype(p[0])>;
    std::array<T, G::kComponents> term;
    std::array<T, G::kDims> centred, whitened;
    for (std::size_t k = 0; k < G::kComponents; ++k) {
      const std::size_t q = G::kFactors + k * G::kFactor;
      T log_determinant = p[q];
      for (std::size_t d = 1; d < G::kDims; ++d) log_determinant += p[q + d];
      for (std::size_t d = 0; d < G::kDims; ++d) {
        centred[d] = x[d] - p[G::kMeans + k * G::kDims + d];
        whitened[d] = exp(p[q + d]) * centred[d];
      }
      std::size_t l = q + G::kDims;
      for (std::size_t column = 0; column < G::kDims; ++column)
        for (std::size_t row = column + 1; row < G::kDims; ++row) whitened[row] += p[l++] * centred[column];
      T squares = whitened[0] * whitened[0];
      for (std::size_t d = 1; d < G::kDims; ++d) squares += whitened[d] * whitened[d];
      term[k] = p[k] + log_determinant - 0.5 * squares;
    }
    T shift = term[0];
    for (std::size_t k = 1; k < G::kComponents; ++k) shift = max(shift, term[k]);
    T sum = exp(term[0] - shift);
    for (std::size_t k = 1; k < G::kComponents; ++k) sum += exp(term[k] - shift);
    return T(shift + log(sum));
  }
};
struct MixtureRest {
  using G = GaussianMixture;
  template <class P> auto operator()(const P& p) const {
    using std::exp, std::log;
    using T = std::remove_cvref_t<decltype(p[0])>;
    T sum = exp(p[0]), squares = 0.0;
    for (std::size_t k = 1; k < G::kComponents; ++k) sum += exp(p[k]);
    for (std::size_t k = 0; k < G::kComponents; ++k) {
      const std::size_t q = G::kFactors + k * G::kFactor;
      for (std::size_t d = 0; d < G::kDims; ++d) {
        const T e = exp(p[q + d]);
        squares += e * e;
      }
      for (std::size_t j = G::kDims; j < G::kFactor; ++j) squares += p[q + j] * p[q + j];
    }
    return T(0.5 * squares - static_cast<double>(G::kPoints) * log(sum));
  }
};

/// The payoff of a down-and-out call on one path of Heston's model (Review of Financial Studies 6, 1993) by Euler's method with full
/// truncation (Lord, Koekkoek, van Dijk, Quantitative Finance 10, 2010):
///   x += (r - v+/2) dt + sqrt(v+ dt) z_1,  v += kappa (theta - v+) dt + xi sqrt(v+ dt) (rho z_1 + sqrt(1 - rho^2) z_2),  v+ = max(v, 0),
/// where x = ln S. Parameters: S(0), v(0), kappa, theta, xi, rho; data: z_1 and z_2 of each step.
struct HestonPath {
  static constexpr std::size_t kSteps = 100, kPaths = 4096, kParameters = 6, kData = 2 * kSteps;
  static constexpr double kStrike = 100, kBarrier = 80, kRate = 0.03, kDt = 1.0 / kSteps;
  static std::vector<double> start() { return {100, 0.04, 1.5, 0.05, 0.5, -0.6}; }
  static std::vector<double> numbers() { return normal_numbers(kPaths * kData, 21); }

  /// `choose(condition, a, b)` and z(i), number i of the path.
  template <class P, class Z> static auto payoff(const P& p, const Z& z) {
    using std::exp, std::log, std::sqrt;
    using T = std::remove_cvref_t<decltype(p[0])>;
    const double lowest = std::log(kBarrier);
    const T across = sqrt(1.0 - p[5] * p[5]);
    T x = log(p[0]), v = p[1], alive = 1.0;
    for (std::size_t step = 0; step < kSteps; ++step) {
      const T positive = where(v > 0.0, v, 0.0), root = where(v > 0.0, sqrt(v * kDt), 0.0);
      const T next = v + p[2] * (p[3] - positive) * kDt + p[4] * root * (p[5] * z(2 * step) + across * z(2 * step + 1));
      x += (kRate - 0.5 * positive) * kDt + root * z(2 * step);
      v = next;
      alive = where(x < lowest, 0.0, alive);
    }
    const T s = exp(x);
    return T(alive * where(s > kStrike, s - kStrike, 0.0));
  }

  /// Adds the payoff's derivatives to p_bar; returns the payoff.
  static double by_hand(std::span<const double> p, const double* z, std::size_t stride, std::span<double> p_bar) {
    const double across = std::sqrt(1 - p[5] * p[5]), lowest = std::log(kBarrier);
    std::array<double, kSteps + 1> v;
    std::array<double, kSteps> root;
    double x = std::log(p[0]);
    v[0] = p[1];
    for (std::size_t step = 0; step < kSteps; ++step) {
      const double positive = v[step] > 0 ? v[step] : 0, z1 = z[2 * step * stride], z2 = z[(2 * step + 1) * stride];
      root[step] = std::sqrt(positive * kDt);
      v[step + 1] = v[step] + p[2] * (p[3] - positive) * kDt + p[4] * root[step] * (p[5] * z1 + across * z2);
      x += (kRate - 0.5 * positive) * kDt + root[step] * z1;
      if (x < lowest) return 0;
    }
    const double s = std::exp(x);
    if (s <= kStrike) return 0;
    const double x_bar = s;
    double v_bar = 0, across_bar = 0;
    for (std::size_t step = kSteps; step-- > 0;) {
      const double positive = v[step] > 0 ? v[step] : 0, z1 = z[2 * step * stride], z2 = z[(2 * step + 1) * stride];
      const double shock = p[5] * z1 + across * z2;
      p_bar[2] += v_bar * (p[3] - positive) * kDt;
      p_bar[3] += v_bar * p[2] * kDt;
      p_bar[4] += v_bar * root[step] * shock;
      p_bar[5] += v_bar * p[4] * root[step] * z1;
      across_bar += v_bar * p[4] * root[step] * z2;
      if (v[step] > 0) {
        const double root_bar = v_bar * p[4] * shock + x_bar * z1;
        v_bar += -v_bar * p[2] * kDt - 0.5 * x_bar * kDt + root_bar * kDt / (2 * root[step]);
      }
    }
    p_bar[0] += x_bar / p[0];
    p_bar[1] += v_bar;
    p_bar[5] -= across_bar * p[5] / across;
    return s - kStrike;
  }
};

/// One observation of bundle adjustment as in ADBench (F. Srajer, Z. Kukelova, A. Fitzgibbon, Optimization Methods and Software 33, 2018):
/// the weighted error of a point's projection by a camera. Inputs: the camera's rotation (3), centre (3), focal length, principal point (2)
/// and radial distortion (2), the point (3), the weight; and where it was seen (2).
struct BundleObservation {
  static constexpr std::size_t kObservations = 10000, kVariables = 15, kInputs = 17;

  /// Inputs of all observations: [input][observation].
  static std::vector<std::vector<double>> columns() {
    static constexpr std::array<double, kInputs> kCentre = {0.1,  -0.2,   0.15, 0.3, -0.4, -5, 500, 320, 240,
                                                            0.01, -0.002, 0.2,  0.3, 1,    1,  300, 250},
                                                 kSpread = {0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 20, 5, 5, 1e-3, 1e-4, 0.5, 0.5, 0.5, 0.1, 50, 50};
    std::vector<std::vector<double>> columns;
    for (std::size_t i = 0; i < kInputs; ++i) {
      columns.push_back(normal_numbers(kObservations, 31 + static_cast<unsigned>(i), kSpread[i]));
      for (double& x : columns.back()) x += kCentre[i];
    }
    return columns;
  }
  template <class D> auto operator()(const D& d) const {
    using std::cos, std::sin, std::sqrt;
    using T = std::remove_cvref_t<decltype(d[0])>;
    std::array<T, 3> x;
    for (std::size_t i = 0; i < 3; ++i) x[i] = d[11 + i] - d[3 + i];
    // Rodrigues' formula.
    const T squares = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
    std::array<T, 3> y;
    if (squares != 0.0) {
      const T angle = sqrt(squares), c = cos(angle), s = sin(angle), inverse = 1.0 / angle;
      const std::array<T, 3> w = {d[0] * inverse, d[1] * inverse, d[2] * inverse};
      const std::array<T, 3> cross = {w[1] * x[2] - w[2] * x[1], w[2] * x[0] - w[0] * x[2], w[0] * x[1] - w[1] * x[0]};
      const T along = (w[0] * x[0] + w[1] * x[1] + w[2] * x[2]) * (1.0 - c);
      for (std::size_t i = 0; i < 3; ++i) y[i] = x[i] * c + cross[i] * s + w[i] * along;
    } else {
      y = {x[0] + d[1] * x[2] - d[2] * x[1], x[1] + d[2] * x[0] - d[0] * x[2], x[2] + d[0] * x[1] - d[1] * x[0]};
    }
    const T u = y[0] / y[2], v = y[1] / y[2], r2 = u * u + v * v, stretch = 1.0 + d[9] * r2 + d[10] * r2 * r2;
    const T a = d[14] * (d[6] * u * stretch + d[7] - d[15]), b = d[14] * (d[6] * v * stretch + d[8] - d[16]);
    return std::array<T, 2>{a, b};
  }
};

/// A chain of small operations, as in `train/tiny_ops`: h = h c + a again and again, from h = a.
struct TinyChain {
  int rounds;
  template <class D> auto operator()(const D& d) const {
    auto h = d[0];
    for (int i = 0; i < rounds; ++i) h = h * d[1] + d[0];
    return h;
  }
};

}  // namespace wengert::benchmark
