#pragma once
// Five scalar programs, each written once for every scalar type, with a gradient derived by hand.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <vector>

namespace wengert::benchmark {

inline std::vector<double> normal_numbers(std::size_t n, unsigned seed, double scale = 1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, scale);
  std::vector<double> values(n);
  for (double& v : values) v = normal(random);
  return values;
}

/// Rosenbrock's valley: sum over i of 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2.
struct Rosenbrock {
  static constexpr const char* name = "rosen";
  std::size_t n = 1000;

  std::vector<double> start() const {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> uniform(-1.5, 1.5);
    std::vector<double> x(n);
    for (double& v : x) v = uniform(random);
    return x;
  }
  template <class T> T operator()(std::span<const T> x) const {
    T f = 0.0;
    for (std::size_t i = 0; i + 1 < n; ++i) {
      T valley = x[i + 1] - x[i] * x[i];
      T slope = 1.0 - x[i];
      f += 100.0 * valley * valley + slope * slope;
    }
    return f;
  }
  void by_hand(std::span<const double> x, std::span<double> x_bar) const {
    std::fill(x_bar.begin(), x_bar.end(), 0.0);
    for (std::size_t i = 0; i + 1 < n; ++i) {
      const double valley = x[i + 1] - x[i] * x[i], slope = 1 - x[i];
      x_bar[i + 1] += 200 * valley;
      x_bar[i] -= 400 * valley * x[i] + 2 * slope;
    }
  }
};

/// Logistic regression with squared loss: inputs are the weights and, last, the bias.
struct LogisticRegression {
  static constexpr const char* name = "logreg";
  static constexpr std::size_t kRecords = 1000, kFeatures = 10;
  std::vector<double> features = normal_numbers(kRecords * kFeatures, 2), labels = normal_numbers(kRecords, 12);

  LogisticRegression() {
    for (double& label : labels) label = label > 0 ? 1 : 0;
  }
  std::vector<double> start() const { return normal_numbers(kFeatures + 1, 3, 0.3); }
  template <class T> T operator()(std::span<const T> w) const {
    using std::exp;
    T loss = 0.0;
    for (std::size_t i = 0; i < kRecords; ++i) {
      T z = w[kFeatures];
      for (std::size_t j = 0; j < kFeatures; ++j) z += w[j] * features[i * kFeatures + j];
      T p = 1.0 / (1.0 + exp(-z));
      T residual = labels[i] - p;
      loss += 0.5 * residual * residual;
    }
    return loss;
  }
  void by_hand(std::span<const double> w, std::span<double> w_bar) const {
    std::fill(w_bar.begin(), w_bar.end(), 0.0);
    for (std::size_t i = 0; i < kRecords; ++i) {
      const double* x = &features[i * kFeatures];
      double z = w[kFeatures];
      for (std::size_t j = 0; j < kFeatures; ++j) z += w[j] * x[j];
      const double p = 1 / (1 + std::exp(-z));
      const double z_bar = -(labels[i] - p) * p * (1 - p);
      for (std::size_t j = 0; j < kFeatures; ++j) w_bar[j] += z_bar * x[j];
      w_bar[kFeatures] += z_bar;
    }
  }
};

/// A perceptron 32-64-64-1 with tanh, one scalar at a time, squared loss of one record.
struct Perceptron {
  static constexpr const char* name = "mlp";
  static constexpr std::size_t kInputs = 32, kHidden = 64;
  static constexpr double kTarget = 0.37;
  static constexpr std::size_t kW1 = 0, kB1 = kW1 + kHidden * kInputs, kW2 = kB1 + kHidden, kB2 = kW2 + kHidden * kHidden,
                               kW3 = kB2 + kHidden, kB3 = kW3 + kHidden, kParameters = kB3 + 1;
  std::vector<double> record = normal_numbers(kInputs, 4);

  std::vector<double> start() const { return normal_numbers(kParameters, 5, 0.15); }

  /// b + W x, activated.
  template <std::size_t kColumns, class T, class X>
  static void layer(std::span<const T> p, std::size_t w, std::size_t b, const X& x, std::array<T, kHidden>& h) {
    using std::tanh;
    for (std::size_t i = 0; i < kHidden; ++i) {
      T s = p[b + i];
      for (std::size_t j = 0; j < kColumns; ++j) s += p[w + i * kColumns + j] * x[j];
      h[i] = tanh(s);
    }
  }
  template <class T> T operator()(std::span<const T> p) const {
    std::array<T, kHidden> h1, h2;
    layer<kInputs>(p, kW1, kB1, record, h1);
    layer<kHidden>(p, kW2, kB2, h1, h2);
    T out = p[kB3];
    for (std::size_t j = 0; j < kHidden; ++j) out += p[kW3 + j] * h2[j];
    T error = out - kTarget;
    T loss = 0.5 * error * error;
    return loss;
  }
  void by_hand(std::span<const double> p, std::span<double> p_bar) const {
    std::array<double, kHidden> h1, h2, h1_bar{};
    layer<kInputs>(p, kW1, kB1, record, h1);
    layer<kHidden>(p, kW2, kB2, h1, h2);
    double out = p[kB3];
    for (std::size_t j = 0; j < kHidden; ++j) out += p[kW3 + j] * h2[j];
    const double out_bar = out - kTarget;
    p_bar[kB3] = out_bar;
    for (std::size_t i = 0; i < kHidden; ++i) {
      p_bar[kW3 + i] = out_bar * h2[i];
      const double s_bar = out_bar * p[kW3 + i] * (1 - h2[i] * h2[i]);
      p_bar[kB2 + i] = s_bar;
      for (std::size_t j = 0; j < kHidden; ++j) {
        p_bar[kW2 + i * kHidden + j] = s_bar * h1[j];
        h1_bar[j] += s_bar * p[kW2 + i * kHidden + j];
      }
    }
    for (std::size_t i = 0; i < kHidden; ++i) {
      const double s_bar = h1_bar[i] * (1 - h1[i] * h1[i]);
      p_bar[kB1 + i] = s_bar;
      for (std::size_t j = 0; j < kInputs; ++j) p_bar[kW1 + i * kInputs + j] = s_bar * record[j];
    }
  }
};

/// The log-posterior of a Gaussian mixture (ADBench's GMM): with Q_k lower triangular, e^q on its diagonal,
///   sum_i lse_k(alpha_k + sum q_k - |Q_k (x_i - mu_k)|^2 / 2) - n lse(alpha) + sum_k (|e^q_k|^2 + |l_k|^2) / 2.
/// Inputs: alpha, mu, then for each k the diagonal q and the columns l below it.
struct GaussianMixture {
  static constexpr const char* name = "gmm";
  static constexpr std::size_t kPoints = 1000, kDims = 10, kComponents = 5, kFactor = kDims * (kDims + 1) / 2;
  static constexpr std::size_t kMeans = kComponents, kFactors = kMeans + kComponents * kDims,
                               kParameters = kFactors + kComponents * kFactor;
  std::vector<double> points = normal_numbers(kPoints * kDims, 6);

  std::vector<double> start() const { return normal_numbers(kParameters, 7, 0.3); }

  /// ln(sum e^v)
  template <class T> static T log_sum_exp(std::span<const T> v) {
    using std::exp;
    using std::log;
    std::size_t largest = 0;
    for (std::size_t k = 1; k < v.size(); ++k)
      if (v[largest] < v[k]) largest = k;
    T shift = v[largest], sum = 0.0;
    for (const T& e : v) sum += exp(e - shift);
    return T(shift + log(sum));
  }
  template <class T> T operator()(std::span<const T> p) const {
    using std::exp;
    std::array<T, kComponents * kDims> diagonal;
    std::array<T, kComponents> log_determinant, term;
    for (std::size_t k = 0; k < kComponents; ++k) {
      log_determinant[k] = 0.0;
      for (std::size_t d = 0; d < kDims; ++d) {
        log_determinant[k] += p[kFactors + k * kFactor + d];
        diagonal[k * kDims + d] = exp(p[kFactors + k * kFactor + d]);
      }
    }
    T likelihood = 0.0;
    std::array<T, kDims> centred, whitened;
    for (std::size_t i = 0; i < kPoints; ++i) {
      for (std::size_t k = 0; k < kComponents; ++k) {
        const T* l = &p[kFactors + k * kFactor + kDims];
        for (std::size_t d = 0; d < kDims; ++d) centred[d] = points[i * kDims + d] - p[kMeans + k * kDims + d];
        for (std::size_t d = 0; d < kDims; ++d) whitened[d] = diagonal[k * kDims + d] * centred[d];
        for (std::size_t column = 0; column < kDims; ++column)
          for (std::size_t row = column + 1; row < kDims; ++row) whitened[row] += *l++ * centred[column];
        T squares = 0.0;
        for (std::size_t d = 0; d < kDims; ++d) squares += whitened[d] * whitened[d];
        term[k] = p[k] + log_determinant[k] - 0.5 * squares;
      }
      likelihood += log_sum_exp<T>(term);
    }
    T prior = 0.0;
    for (std::size_t k = 0; k < kComponents; ++k) {
      const T* l = &p[kFactors + k * kFactor];
      T squares = 0.0;
      for (std::size_t d = 0; d < kDims; ++d) squares += diagonal[k * kDims + d] * diagonal[k * kDims + d];
      for (std::size_t j = kDims; j < kFactor; ++j) squares += l[j] * l[j];
      prior += 0.5 * squares;
    }
    T result = likelihood - static_cast<double>(kPoints) * log_sum_exp<T>(p.first(kComponents)) + prior;
    return result;
  }
  void by_hand(std::span<const double> p, std::span<double> p_bar) const {
    std::fill(p_bar.begin(), p_bar.end(), 0.0);
    std::array<double, kComponents * kDims> diagonal, diagonal_bar{};
    std::array<double, kComponents> log_determinant{}, log_determinant_bar{}, term, share;
    double centred[kComponents][kDims], whitened[kComponents][kDims];
    for (std::size_t k = 0; k < kComponents; ++k)
      for (std::size_t d = 0; d < kDims; ++d) {
        log_determinant[k] += p[kFactors + k * kFactor + d];
        diagonal[k * kDims + d] = std::exp(p[kFactors + k * kFactor + d]);
      }
    for (std::size_t i = 0; i < kPoints; ++i) {
      for (std::size_t k = 0; k < kComponents; ++k) {
        const double* l = &p[kFactors + k * kFactor + kDims];
        for (std::size_t d = 0; d < kDims; ++d) {
          centred[k][d] = points[i * kDims + d] - p[kMeans + k * kDims + d];
          whitened[k][d] = diagonal[k * kDims + d] * centred[k][d];
        }
        for (std::size_t column = 0; column < kDims; ++column)
          for (std::size_t row = column + 1; row < kDims; ++row) whitened[k][row] += *l++ * centred[k][column];
        double squares = 0;
        for (std::size_t d = 0; d < kDims; ++d) squares += whitened[k][d] * whitened[k][d];
        term[k] = p[k] + log_determinant[k] - 0.5 * squares;
      }
      softmax(term, share);
      for (std::size_t k = 0; k < kComponents; ++k) {
        p_bar[k] += share[k];
        log_determinant_bar[k] += share[k];
        double centred_bar[kDims];
        for (std::size_t d = 0; d < kDims; ++d) {
          const double whitened_bar = -share[k] * whitened[k][d];
          diagonal_bar[k * kDims + d] += whitened_bar * centred[k][d];
          centred_bar[d] = whitened_bar * diagonal[k * kDims + d];
        }
        const double* l = &p[kFactors + k * kFactor + kDims];
        double* l_bar = &p_bar[kFactors + k * kFactor + kDims];
        for (std::size_t column = 0; column < kDims; ++column)
          for (std::size_t row = column + 1; row < kDims; ++row) {
            const double whitened_bar = -share[k] * whitened[k][row];
            *l_bar++ += whitened_bar * centred[k][column];
            centred_bar[column] += whitened_bar * *l++;
          }
        for (std::size_t d = 0; d < kDims; ++d) p_bar[kMeans + k * kDims + d] -= centred_bar[d];
      }
    }
    std::copy_n(p.begin(), kComponents, term.begin());
    softmax(term, share);
    for (std::size_t k = 0; k < kComponents; ++k) {
      p_bar[k] -= static_cast<double>(kPoints) * share[k];
      double* factor_bar = &p_bar[kFactors + k * kFactor];
      for (std::size_t d = 0; d < kDims; ++d) {
        const double e = diagonal[k * kDims + d];
        factor_bar[d] = log_determinant_bar[k] + (diagonal_bar[k * kDims + d] + e) * e;
      }
      for (std::size_t j = kDims; j < kFactor; ++j) factor_bar[j] += p[kFactors + k * kFactor + j];
    }
  }

 private:
  static void softmax(const std::array<double, kComponents>& v, std::array<double, kComponents>& share) {
    double largest = v[0], sum = 0;
    for (double e : v) largest = e > largest ? e : largest;
    for (std::size_t k = 0; k < kComponents; ++k) sum += share[k] = std::exp(v[k] - largest);
    for (double& s : share) s /= sum;
  }
};

/// The Lotka-Volterra equations for prey x and predators y, x' = a x - b x y, y' = d x y - c y, by 10,000 Runge-Kutta steps.
/// Inputs: a, b, c, d, x(0), y(0); the result is x^2 + y at the end.
struct LotkaVolterra {
  static constexpr const char* name = "ode";
  static constexpr int kSteps = 10000;
  static constexpr double h = 1e-3;

  std::vector<double> start() const { return {1.5, 1, 3, 1, 1, 1.2}; }
  template <class T> T operator()(std::span<const T> p) const {
    const T &a = p[0], &b = p[1], &c = p[2], &d = p[3];
    T x = p[4], y = p[5];
    for (int step = 0; step < kSteps; ++step) {
      T k1x = a * x - b * x * y, k1y = d * x * y - c * y;
      T x2 = x + (0.5 * h) * k1x, y2 = y + (0.5 * h) * k1y;
      T k2x = a * x2 - b * x2 * y2, k2y = d * x2 * y2 - c * y2;
      T x3 = x + (0.5 * h) * k2x, y3 = y + (0.5 * h) * k2y;
      T k3x = a * x3 - b * x3 * y3, k3y = d * x3 * y3 - c * y3;
      T x4 = x + h * k3x, y4 = y + h * k3y;
      T k4x = a * x4 - b * x4 * y4, k4y = d * x4 * y4 - c * y4;
      x += (h / 6) * (k1x + 2.0 * k2x + 2.0 * k3x + k4x);
      y += (h / 6) * (k1y + 2.0 * k2y + 2.0 * k3y + k4y);
    }
    T result = x * x + y;
    return result;
  }
  // g++ 12 at -O3 with FMA vectorizes this one wrongly (a relative error of 1e-7); without SLP vectorization it is right.
#if defined(__GNUC__) && !defined(__clang__)
  __attribute__((noinline, optimize("no-tree-slp-vectorize")))
#endif
  void
  by_hand(std::span<const double> p, std::span<double> p_bar) const {
    const double a = p[0], b = p[1], c = p[2], d = p[3];
    const auto slope_x = [=](double x, double y) { return a * x - b * x * y; };
    const auto slope_y = [=](double x, double y) { return d * x * y - c * y; };
    struct Stages {
      double x[4], y[4], next_x, next_y;
    };
    const auto stages = [=](double x, double y) {
      constexpr double kReach[4] = {0, 0.5 * h, 0.5 * h, h}, kWeight[4] = {h / 6, h / 3, h / 3, h / 6};
      Stages s{};
      s.next_x = x;
      s.next_y = y;
      double kx = 0, ky = 0;
      for (int k = 0; k < 4; ++k) {
        s.x[k] = x + kReach[k] * kx;
        s.y[k] = y + kReach[k] * ky;
        kx = slope_x(s.x[k], s.y[k]);
        ky = slope_y(s.x[k], s.y[k]);
        s.next_x += kWeight[k] * kx;
        s.next_y += kWeight[k] * ky;
      }
      return s;
    };
    static thread_local std::vector<double> path(2 * kSteps);
    double x = p[4], y = p[5];
    for (int step = 0; step < kSteps; ++step) {
      path[2 * static_cast<std::size_t>(step)] = x;
      path[2 * static_cast<std::size_t>(step) + 1] = y;
      const Stages s = stages(x, y);
      x = s.next_x;
      y = s.next_y;
    }
    double x_bar = 2 * x, y_bar = 1, a_bar = 0, b_bar = 0, c_bar = 0, d_bar = 0;
    for (int step = kSteps; step-- > 0;) {
      const Stages s = stages(path[2 * static_cast<std::size_t>(step)], path[2 * static_cast<std::size_t>(step) + 1]);
      constexpr double kReachOfNext[4] = {0.5 * h, 0.5 * h, h, 0}, kWeight[4] = {h / 6, h / 3, h / 3, h / 6};
      double stage_x_bar = 0, stage_y_bar = 0, sum_x = x_bar, sum_y = y_bar;
      for (int k = 4; k-- > 0;) {
        const double kx_bar = kWeight[k] * x_bar + kReachOfNext[k] * stage_x_bar,
                     ky_bar = kWeight[k] * y_bar + kReachOfNext[k] * stage_y_bar;
        const double u = s.x[k], v = s.y[k];
        a_bar += kx_bar * u;
        b_bar -= kx_bar * u * v;
        c_bar -= ky_bar * v;
        d_bar += ky_bar * u * v;
        stage_x_bar = kx_bar * (a - b * v) + ky_bar * d * v;
        stage_y_bar = ky_bar * (d * u - c) - kx_bar * b * u;
        sum_x += stage_x_bar;
        sum_y += stage_y_bar;
      }
      x_bar = sum_x;
      y_bar = sum_y;
    }
    p_bar[0] = a_bar;
    p_bar[1] = b_bar;
    p_bar[2] = c_bar;
    p_bar[3] = d_bar;
    p_bar[4] = x_bar;
    p_bar[5] = y_bar;
  }
};

/// Calls f(function) for each function, in the order of the report.
template <class F> void for_each_function(F&& f) {
  f(Rosenbrock());
  f(LogisticRegression());
  f(Perceptron());
  f(GaussianMixture());
  f(LotkaVolterra());
}

}  // namespace wengert::benchmark
