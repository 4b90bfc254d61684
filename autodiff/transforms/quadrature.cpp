#include "autodiff/transforms/quadrature.h"

#include <fmt/format.h>

#include <algorithm>

namespace wengert::detail {
namespace {

// Nodes and weights for [-1, 1], from the middle outwards: Piessens, de Doncker-Kapenga, Überhuber and Kahaner, QUADPACK (1983), qk15.
constexpr int kHalf = 8;
constexpr double kNode[kHalf] = {0,
                                 0.207784955007898467600689403773245,
                                 0.405845151377397166906606412076961,
                                 0.586087235467691130294144691693,
                                 0.741531185599394439863864773280788,
                                 0.864864423359769072789712788640926,
                                 0.949107912342758524526189684047851,
                                 0.991455371120812639206854697526329};
constexpr double kKronrod[kHalf] = {0.209482141084727828012999174891714, 0.204432940075298892414161999234649,
                                    0.190350578064785409913256402421014, 0.169004726639267902826583426598550,
                                    0.140653259715525918745189590510238, 0.104790010322250183839876322541518,
                                    0.063092092629978553290700663189204, 0.022935322010529224963732008058970};
constexpr double kGauss[kHalf] = {0.417959183673469387755102040816327, 0, 0.381830050505118944950369775488975, 0,
                                  0.279705391489276667901467771423780, 0, 0.129484966168869693270611432679082, 0};

// A part with its sums, for each component: the integral, its estimated error, and the integral of the absolute value.
struct Part {
  QuadraturePart range;
  std::vector<double> sum, error, absolute;
};

// The error estimate is QUADPACK's: |K - G|, which is that of the 7-point rule, made smaller where it is small beside the integral of
// |f - mean f|.
Part evaluate(IntegrandAt f, std::size_t components, double from, double to) {
  Part part{{from, to}, std::vector<double>(components), std::vector<double>(components), std::vector<double>(components)};
  constexpr int kNodes = QuadratureRule::kNodes;
  const double middle = 0.5 * (from + to), half = 0.5 * (to - from);
  std::vector<double> values(components * kNodes);
  for (int k = 0; k < kNodes; ++k) {
    const int i = k < kHalf ? k : k - kHalf + 1;
    const double s = middle + (k < kHalf ? half : -half) * kNode[i];
    const std::span<double> at(values.data() + static_cast<std::size_t>(k) * components, components);
    f(s, at);
    for (const double v : at)
      if (!std::isfinite(v))
        throw ConvergenceError(fmt::format(
            "integrate: the integrand or its derivative is not finite at a node (at {:.6g} of the range from 0 to 1 or, between two "
            "infinite bounds, from -1 to 1); hint: divide the range at the place where it is not",
            s));
  }
  for (std::size_t c = 0; c < components; ++c) {
    double kronrod = 0, gauss = 0, absolute = 0, spread = 0;
    const auto each = [&](auto&& use) {
      for (int k = 0; k < kNodes; ++k) use(k < kHalf ? k : k - kHalf + 1, values[static_cast<std::size_t>(k) * components + c]);
    };
    each([&](int i, double v) {
      kronrod += kKronrod[i] * v;
      gauss += kGauss[i] * v;
      absolute += kKronrod[i] * std::fabs(v);
    });
    each([&](int i, double v) { spread += kKronrod[i] * std::fabs(v - 0.5 * kronrod); });
    double error = std::fabs((kronrod - gauss) * half);
    spread *= std::fabs(half);
    if (spread > 0 && error > 0) error = spread * std::min(1.0, std::pow(200 * error / spread, 1.5));
    part.sum[c] = kronrod * half;
    part.error[c] = error;
    part.absolute[c] = absolute * std::fabs(half);
  }
  return part;
}

}  // namespace

Substitution::Substitution(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) throw ValueError(fmt::format("integrate: the bounds {} and {} must be numbers", a, b));
  if (a > b) {
    std::swap(a, b);
    sign = -1;
  }
  if (a == b && std::isinf(a)) throw ValueError(fmt::format("integrate: both bounds are {}", a));
  kind = std::isinf(a) ? (std::isinf(b) ? both : lower) : std::isinf(b) ? upper : none;
  if (kind == both) from = -1;
}

QuadratureRule rule_of(const QuadraturePart& part) {
  QuadratureRule rule{};
  const double middle = 0.5 * (part.from + part.to), half = 0.5 * (part.to - part.from);
  for (int k = 0; k < QuadratureRule::kNodes; ++k) {
    const int i = k < kHalf ? k : k - kHalf + 1;
    rule.node[k] = middle + (k < kHalf ? half : -half) * kNode[i];
    rule.weight[k] = kKronrod[i] * half;
  }
  return rule;
}

QuadratureSums integrate_adaptively(IntegrandAt f, std::size_t components, double from, double to, const QuadratureOptions& options) {
  if (!(options.relative >= 0 && options.absolute >= 0 && options.relative + options.absolute > 0))
    throw ValueError(
        fmt::format("integrate: the relative error {} and the absolute error {} must not be negative, and one must be positive",
                    options.relative, options.absolute));
  if (options.max_intervals < 1)
    throw ValueError(fmt::format("integrate: max_intervals is {}, but must be at least 1", options.max_intervals));
  std::vector<Part> parts;
  parts.push_back(evaluate(f, components, from, to));
  for (;;) {
    std::vector<double> sum(components), error(components), absolute(components);
    for (const Part& part : parts)
      for (std::size_t c = 0; c < components; ++c) {
        sum[c] += part.sum[c];
        error[c] += part.error[c];
        absolute[c] += part.absolute[c];
      }
    const auto allowed = [&](std::size_t c) { return std::max(options.absolute, options.relative * absolute[c]); };
    std::size_t worst = components;  // the component that is farthest from what is allowed
    for (std::size_t c = 0; c < components; ++c)
      if (error[c] > allowed(c) && (worst == components || error[c] * allowed(worst) > error[worst] * allowed(c))) worst = c;
    if (worst == components) {
      QuadratureSums sums{std::move(sum), {}};
      for (const Part& part : parts) sums.parts.push_back(part.range);
      return sums;
    }
    if (static_cast<int>(parts.size()) >= options.max_intervals)
      throw ConvergenceError(fmt::format(
          "integrate: {} parts of the range do not suffice: the error of {} is about {:.3g}, but {:.3g} is allowed; hint: divide "
          "the range at singular places, raise max_intervals or allow a larger error",
          parts.size(), worst == 0 ? "the integral" : fmt::format("its derivative with respect to parameter {}", worst - 1), error[worst],
          allowed(worst)));
    const auto largest =
        std::max_element(parts.begin(), parts.end(), [&](const Part& a, const Part& b) { return a.error[worst] < b.error[worst]; });
    const QuadraturePart range = largest->range;
    const double middle = 0.5 * (range.from + range.to);
    *largest = evaluate(f, components, range.from, middle);
    parts.push_back(evaluate(f, components, middle, range.to));
  }
}

bool any_recorded(std::span<const Scalar> x) {
  StatementWriter<double>* writer = active_writer<double>;
  bool any = false;
  for (const Scalar& s : x) {
    if (writer) {
      any |= s.number() != 0 && writer->index_of(s.number()) != 0;
    } else {
      check_unrecorded(s.number());
    }
  }
  return any;
}

}  // namespace wengert::detail
