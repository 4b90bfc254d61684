#include "optim/least_squares.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "autodiff/check_option.h"
#include "autodiff/transforms/derivatives.h"

namespace wengert::optim {
namespace {

using Vector = std::vector<double>;
using Stop = LeastSquaresFit::Stop;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
double norm(const Vector& a) { return std::sqrt(dot(a, a)); }
bool is_finite(const Vector& a) {
  return std::all_of(a.begin(), a.end(), [](double x) { return std::isfinite(x); });
}

// A matrix with few columns.
using Columns = std::vector<Vector>;

// Householder's QR decomposition in place: R is left in the upper triangle, and b becomes Q^T b. (Golub and Van Loan, algorithm 5.2.1)
void decompose(Columns& a, Vector& b) {
  for (std::size_t j = 0; j < a.size(); ++j) {
    Vector v(a[j].begin() + static_cast<std::ptrdiff_t>(j), a[j].end());
    const double length = norm(v);
    if (length == 0) continue;
    v[0] += std::copysign(length, v[0]);
    const double scale = 2 / dot(v, v);
    const auto reflect = [&](Vector& x) {
      double projection = 0;
      for (std::size_t i = 0; i < v.size(); ++i) projection += v[i] * x[j + i];
      for (std::size_t i = 0; i < v.size(); ++i) x[j + i] -= scale * projection * v[i];
    };
    for (std::size_t k = j; k < a.size(); ++k) reflect(a[k]);
    reflect(b);
  }
}

// The x with R x = b.
Vector back_substitute(const Columns& r, const Vector& b) {
  Vector x(r.size());
  for (std::size_t i = r.size(); i-- > 0;) {
    double rest = b[i];
    for (std::size_t k = i + 1; k < r.size(); ++k) rest -= r[k][i] * x[k];
    x[i] = rest / r[i][i];
  }
  return x;
}

// (J^T J)^-1 = R^-1 R^-T, with columns scaled to norm 1 for the sake of the rank; infinities if that is not full.
Columns inverse_of_squared(Columns j) {
  const std::size_t n = j.size();
  Vector scale(n);
  for (std::size_t k = 0; k < n; ++k) {
    scale[k] = norm(j[k]);
    for (double& x : j[k]) x /= scale[k] > 0 ? scale[k] : 1;
  }
  Vector unused(j[0].size());
  decompose(j, unused);
  Columns inverse(n, Vector(n, std::numeric_limits<double>::infinity()));
  const double least = static_cast<double>(j[0].size()) * std::numeric_limits<double>::epsilon();
  for (std::size_t k = 0; k < n; ++k)
    if (scale[k] == 0 || std::abs(j[k][k]) <= least) return inverse;
  Columns of_r(n);  // the columns of R^-1
  for (std::size_t k = 0; k < n; ++k) {
    Vector unit(n);
    unit[k] = 1;
    of_r[k] = back_substitute(j, unit);
  }
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < n; ++b) {
      double sum = 0;
      for (std::size_t k = 0; k < n; ++k) sum += of_r[k][a] * of_r[k][b];
      inverse[a][b] = sum / (scale[a] * scale[b]);
    }
  }
  return inverse;
}

// The residuals as a function of a vector.
class Problem {
 public:
  Problem(wengert::detail::FunctionRef<Tensor(const Tensor&)> f, const Tensor& start) : f_(f), shape_(start.shape()) {}

  Tensor tensor(const Vector& p) const { return reshape(Tensor::from(p), shape_); }
  Vector residuals(const Vector& p) const {
    const Tensor r = f_(tensor(p));
    if (r.dtype() != float64) throw DtypeError(fmt::format("fit_least_squares: the residuals are {}, not float64", describe(r)));
    return r.to_vector<double>();
  }
  Columns jacobian(const Vector& p) const {
    const Vector rows = wengert::detail::jacobian(f_, tensor(p)).to_vector<double>();
    const std::size_t n = p.size(), m = rows.size() / n;
    Columns j(n, Vector(m));
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t k = 0; k < n; ++k) j[k][i] = rows[i * n + k];
    return j;
  }

 private:
  wengert::detail::FunctionRef<Tensor(const Tensor&)> f_;
  Shape shape_;
};

void check(const LeastSquaresOptions& o, const Tensor& start) {
  using namespace wengert::detail;
  constexpr const char* kName = "fit_least_squares";
  if (o.max_steps < 1) throw ValueError(fmt::format("{}: max_steps must be at least 1, but it is {}", kName, o.max_steps));
  check_not_negative(kName, "tolerance_parameters", o.tolerance_parameters);
  check_not_negative(kName, "tolerance_chi2", o.tolerance_chi2);
  check_not_negative(kName, "tolerance_gradient", o.tolerance_gradient);
  check_positive(kName, "damping", o.damping);
  if (start.size() == 0) throw ShapeError(fmt::format("{}: there are no parameters", kName));
  if (start.dtype() != float64) throw DtypeError(fmt::format("{}: the parameters are {}, not float64", kName, describe(start)));
}

// The method's state between its steps.
class Fit {
 public:
  Fit(const Problem& problem, Vector p, const LeastSquaresOptions& options)
      : problem_(problem), options_(options), p_(std::move(p)), r_(problem.residuals(p_)), d_(p_.size()), mu_(options.damping) {
    if (r_.size() < p_.size())
      throw ShapeError(fmt::format("fit_least_squares: {} residuals do not determine {} parameters", r_.size(), p_.size()));
    if (!is_finite(r_)) throw ValueError("fit_least_squares: the residuals at the start are not all finite; hint: start elsewhere");
    chi2_ = dot(r_, r_);
    linearize();
  }

  Stop run() {
    for (;;) {
      if (chi2_ == 0) return Stop::exact;
      if (largest_cosine() <= options_.tolerance_gradient) return Stop::gradient;
      if (steps_ == options_.max_steps) return Stop::max_steps;
      if (const std::optional<Stop> reason = step()) return *reason;
    }
  }

  LeastSquaresFit result(Stop stop) const {
    const std::size_t n = p_.size();
    const Index freedom = static_cast<Index>(r_.size() - n);
    const double variance = options_.known_errors ? 1 : chi2_ / static_cast<double>(freedom);
    const Columns inverse = inverse_of_squared(j_);
    Vector covariance;
    for (const Vector& row : inverse)
      for (const double x : row)
        covariance.push_back(freedom == 0 && !options_.known_errors ? std::numeric_limits<double>::infinity() : variance * x);
    const Index size = static_cast<Index>(n);
    return {problem_.tensor(p_), reshape(Tensor::from(covariance), {size, size}), Tensor::from(r_), chi2_, freedom, steps_, stop};
  }

 private:
  void linearize() {
    j_ = problem_.jacobian(p_);
    for (std::size_t k = 0; k < p_.size(); ++k) {
      if (!is_finite(j_[k]))
        throw ValueError(fmt::format("fit_least_squares: the derivatives with respect to parameter {} are not all finite", k));
      d_[k] = std::max(d_[k], norm(j_[k]));
    }
  }
  double largest_cosine() const {
    double largest = 0;
    for (const Vector& column : j_)
      if (const double length = norm(column); length > 0) largest = std::max(largest, std::abs(dot(column, r_)) / length);
    return largest / std::sqrt(chi2_);
  }
  double weight(std::size_t k) const { return d_[k] > 0 ? d_[k] : 1; }
  double size_of(const Vector& x) const {
    double squares = 0;
    for (std::size_t k = 0; k < x.size(); ++k) squares += std::pow(weight(k) * x[k], 2);
    return std::sqrt(squares);
  }

  // The h that minimizes |c + J h|^2 + mu |D h|^2.
  Vector solve(const Vector& c) const {
    Columns a = j_;
    Vector b;
    for (const double x : c) b.push_back(-x);
    b.resize(b.size() + p_.size());
    for (std::size_t k = 0; k < p_.size(); ++k) {
      a[k].resize(b.size());
      a[k][r_.size() + k] = std::sqrt(mu_) * weight(k);
    }
    decompose(a, b);
    return back_substitute(a, b);
  }

  // J h.
  Vector along(const Vector& h) const {
    Vector jh(r_.size());
    for (std::size_t k = 0; k < h.size(); ++k)
      for (std::size_t i = 0; i < jh.size(); ++i) jh[i] += j_[k][i] * h[k];
    return jh;
  }
  // The second derivative of the residuals along h, from those a part of the way ahead. (Transtrum and Sethna 2012; a difference, because
  // it serves functions that can be differentiated once.)
  Vector curvature(const Vector& h, const Vector& jh) const {
    constexpr double kPart = 0.1;
    Vector p = p_;
    for (std::size_t k = 0; k < p.size(); ++k) p[k] += kPart * h[k];
    Vector second = residuals_at(p);
    for (std::size_t i = 0; i < second.size(); ++i) second[i] = 2 / kPart * ((second[i] - r_[i]) / kPart - jh[i]);
    return second;
  }
  Vector residuals_at(const Vector& p) const {
    Vector r = problem_.residuals(p);
    if (r.size() != r_.size())
      throw ShapeError(fmt::format("fit_least_squares: there are {} residuals now and {} at the start", r.size(), r_.size()));
    return r;
  }

  // Tries a step; why the fit has ended, if it has.
  std::optional<Stop> step() {
    ++steps_;
    const Vector h = solve(r_), jh = along(h), bend = solve(curvature(h, jh));
    const bool straight = 2 * size_of(bend) <= kMostBend * size_of(h);
    Vector p = p_;
    for (std::size_t k = 0; k < p.size(); ++k) p[k] += h[k] + bend[k] / 2;
    // |r|^2 - |r + J h|^2 = |J h|^2 + 2 mu |D h|^2, because h solves the problem.
    const double predicted = dot(jh, jh) + 2 * mu_ * std::pow(size_of(h), 2);
    const bool small = size_of(h) <= options_.tolerance_parameters * size_of(p_);
    Vector r = residuals_at(p);
    const double decrease = straight && is_finite(r) ? chi2_ - dot(r, r) : -std::numeric_limits<double>::infinity();
    const double gain = decrease / predicted;
    const bool flat = std::abs(decrease) <= options_.tolerance_chi2 * chi2_ && predicted <= options_.tolerance_chi2 * chi2_;
    if (decrease > 0) {
      p_ = std::move(p);
      r_ = std::move(r);
      chi2_ = dot(r_, r_);
      linearize();
      mu_ *= std::max(1.0 / 3, 1 - std::pow(2 * gain - 1, 3));
      growth_ = 2;
    } else {
      mu_ *= growth_;
      growth_ *= 2;
    }
    if (flat) return Stop::chi2;
    if (small) return Stop::parameters;
    return std::nullopt;
  }

  static constexpr double kMostBend = 0.75;
  const Problem& problem_;
  const LeastSquaresOptions& options_;
  Vector p_, r_, d_;  // parameters, residuals, D
  Columns j_;
  double chi2_ = 0, mu_, growth_ = 2;
  Index steps_ = 0;
};

}  // namespace

Tensor LeastSquaresFit::errors() const {
  Vector errors;
  for (Index k = 0; k < parameters.size(); ++k) errors.push_back(std::sqrt(covariance.element(k * (parameters.size() + 1))));
  return reshape(Tensor::from(errors), parameters.shape());
}

const char* to_string(LeastSquaresFit::Stop stop) {
  switch (stop) {
    case Stop::parameters:
      return "the parameters hardly change";
    case Stop::chi2:
      return "chi^2 hardly changes";
    case Stop::gradient:
      return "the gradient is zero";
    case Stop::exact:
      return "the residuals are zero";
    case Stop::max_steps:
      break;
  }
  return "the number of steps is used up";
}

}  // namespace wengert::optim

wengert::optim::LeastSquaresFit wengert::detail::fit_least_squares(FunctionRef<Tensor(const Tensor&)> residuals, const Tensor& start,
                                                                   const optim::LeastSquaresOptions& options) {
  const NoRecord pause;
  optim::check(options, start);
  const optim::Problem problem(residuals, start);
  optim::Fit fit(problem, start.to_vector<double>(), options);
  const auto stop = fit.run();
  return fit.result(stop);
}
