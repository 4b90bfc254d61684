#pragma once
// Fits with error bars: nonlinear least squares for functions of a few parameters.
#include <cstdint>
#include <initializer_list>
#include <span>
#include <type_traits>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/scalar/scalar.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::optim {

struct LeastSquaresOptions {
  /// Whether the residuals are in units of their known standard deviations. Otherwise these are taken as equal, and estimated from chi^2:
  /// the covariance is multiplied by chi^2 / degrees of freedom.
  bool known_errors = false;
  Index max_steps = 1000;               ///< at least 1; steps that were refused count
  double tolerance_parameters = 1e-12;  ///< relative to the size of the parameters
  double tolerance_chi2 = 1e-14;        ///< of the relative decrease of chi^2, measured and predicted
  double tolerance_gradient = 1e-14;    ///< of the cosine between the residuals and any column of the Jacobian
  double damping = 1e-3;                ///< mu at the start; larger begins more carefully
};

/// The result of a fit: parameters, their covariance, and how well the model describes the data.
struct LeastSquaresFit {
  /// Why the fit ended: one of the tolerances, residuals that are all 0, or the number of steps.
  enum class Stop : std::uint8_t { parameters, chi2, gradient, exact, max_steps };

  Tensor parameters;         ///< float64, of the start's shape
  Tensor covariance;         ///< (n, n) for n parameters, float64; infinities if the residuals do not determine them
  Tensor residuals;          ///< at the end, float64, (m)
  double chi2;               ///< the sum of squared residuals
  Index degrees_of_freedom;  ///< m - n
  Index steps;               ///< that were tried: each evaluates the residuals twice
  Stop stop;

  /// Whether a tolerance ended the fit, and not the number of steps.
  bool converged() const { return stop != Stop::max_steps; }
  /// The standard deviations of the parameters: the roots of the covariance's diagonal, in the start's shape.
  Tensor errors() const;
};

/// The reason in words.
const char* to_string(LeastSquaresFit::Stop stop);

}  // namespace wengert::optim

namespace wengert::detail {
optim::LeastSquaresFit fit_least_squares(FunctionRef<Tensor(const Tensor&)> residuals, const Tensor& start,
                                         const optim::LeastSquaresOptions& options);
}  // namespace wengert::detail

namespace wengert::optim {

/// The parameters p at which the sum of squared residuals is smallest, near the start. The residuals are a function of one tensor of
/// parameters, float64, and give a tensor of any shape with at least as many elements:
///
///     const auto residuals = [&](const Tensor& p) { return p[0] * exp(-p[1] * x) - y; };
///     const auto fit = optim::fit_least_squares(residuals, Tensor::from({1, 1}, float64));
///
/// The Levenberg-Marquardt method (Madsen, Nielsen and Tingleff 2004, algorithm 3.16) with the scaling of More 1978. At each step, with the
/// residuals r, their Jacobian J, and D the diagonal matrix of the largest norms so far of J's columns, h minimizes
///
///     |r + J h|^2 + mu |D h|^2
///
/// by a QR decomposition. The path bends: with the second derivative r'' of the residuals along h, a minimizes
/// |r'' + J a|^2 + mu |D a|^2 (the geodesic acceleration of Transtrum and Sethna 2012). p + h + a / 2 is taken if 2 |D a| <= 0.75 |D h| and
/// chi^2 = |r|^2 falls; mu falls the better the linear model predicts the decrease, and otherwise rises. The covariance of the parameters
/// is (J^T J)^-1 at the end, times chi^2 / (m - n) unless `known_errors`. A point where a residual is not finite is never taken.
///
/// The Jacobian takes one push for each parameter, or one sweep for each residual, whichever are fewer. Nothing is recorded on a live tape.
/// A ValueError for options out of range and if the residuals at the start are not finite, a ShapeError if there are no parameters or fewer
/// residuals than parameters, a DtypeError unless both are float64.
template <class F>
requires std::is_invocable_r_v<Tensor, F&, const Tensor&> LeastSquaresFit fit_least_squares(F&& residuals, const Tensor& start,
                                                                                            const LeastSquaresOptions& options = {}) {
  return wengert::detail::fit_least_squares(residuals, start, options);
}

/// The same with scalars: `residuals(std::span<const Scalar> p)` gives a std::vector<Scalar>.
template <class F>
requires std::is_invocable_r_v<std::vector<Scalar>, F&, std::span<const Scalar>> LeastSquaresFit
fit_least_squares(F&& residuals, std::span<const double> start, const LeastSquaresOptions& options = {}) {
  const auto of_tensor = [&](const Tensor& p) {
    std::vector<Scalar> scalars;
    for (Index i = 0; i < p.size(); ++i) scalars.push_back(p(i));
    const std::vector<Scalar> r = residuals(std::span<const Scalar>(scalars));
    return stack(std::span<const Scalar>(r), float64);
  };
  return wengert::detail::fit_least_squares(of_tensor, Tensor::from(std::vector<double>(start.begin(), start.end())), options);
}
template <class F>
requires std::is_invocable_r_v<std::vector<Scalar>, F&, std::span<const Scalar>> LeastSquaresFit
fit_least_squares(F&& residuals, std::initializer_list<double> start, const LeastSquaresOptions& options = {}) {
  return fit_least_squares(residuals, std::span<const double>(start.begin(), start.size()), options);
}

}  // namespace wengert::optim
