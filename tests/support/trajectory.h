#pragma once
// The path of an optimizer on a quadratic, from reference data.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tape/tape.h"

namespace wengert {

/// f(p) = 1/2 p^T A p - b^T p with symmetric A, and the points that an independent implementation reaches from p[0] after 1, 2 and 20
/// steps.
struct Trajectory {
  double a[4][4];
  double b[4];
  double p[4][4];

  /// make(ParameterList) gives the optimizer; the gradients A p - b are computed here.
  template <class Make> void check(Make&& make) const {
    check_as<double>(make, 1e-10);
    check_as<float>(make, 2e-5);
  }

 private:
  template <class T, class Make> void check_as(Make&& make, double tolerance) const {
    const Parameter parameter(Tensor::from(std::vector<T>(std::begin(p[0]), std::end(p[0]))), "p");
    auto optimizer = make(ParameterList{parameter});
    for (int step = 1; step <= 20; ++step) {
      optimizer.step(gradients(parameter));
      if (step <= 2) check_values(parameter, p[step], tolerance);
    }
    check_values(parameter, p[3], tolerance);
  }

  Gradients gradients(const Parameter& parameter) const {
    const auto now = parameter.value().to_vector<double>();
    double g[4];
    for (std::size_t i = 0; i < 4; ++i) {
      g[i] = -b[i];
      for (std::size_t j = 0; j < 4; ++j) g[i] += a[i][j] * now[j];
    }
    Gradients gradients;
    gradients.add(Tensor::from({g[0], g[1], g[2], g[3]}, parameter.dtype()), parameter.ref().get());
    return gradients;
  }

  static void check_values(const Parameter& parameter, const double* expected, double tolerance) {
    const auto values = parameter.value().to_vector<double>();
    for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(std::abs(values[i] - expected[i]) <= tolerance * std::max(1.0, std::abs(expected[i])));
  }
};

/// make(ParameterList, maximize) returns the optimizer. With `maximize` and gradients g it must take the same steps as without and -g.
template <class Make> void check_ascent(Make&& make) {
  const Parameter up(Tensor::from({1, -2}), "up"), down(Tensor::from({1, -2}), "down");
  auto ascent = make(ParameterList{up}, true);
  auto descent = make(ParameterList{down}, false);
  for (int step = 0; step < 3; ++step) {
    Gradients g, minus_g;
    g.add(Tensor::from({0.5 + step, -1}), up.ref().get());
    minus_g.add(Tensor::from({-0.5 - step, 1}), down.ref().get());
    ascent.step(g);
    descent.step(minus_g);
  }
  BOOST_TEST(up.value().element(0) > 1);
  BOOST_TEST((up.value().to_vector<double>() == down.value().to_vector<double>()));
}

}  // namespace wengert
