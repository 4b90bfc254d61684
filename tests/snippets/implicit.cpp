#include <autodiff/autodiff.h>
#include <autodiff/interop/odeint.h>

#include <cstdio>
#include <limits>
using namespace wengert;

// [external]
/// The trapezoidal rule over samples that the block keeps, and that no Scalar holds.
struct Work {
  static constexpr const char* name = "work";
  std::vector<double> force;  // at equal distances
  double path = 0;
  std::vector<double> forward(std::span<const double> x) {
    for (std::size_t i = 1; i < force.size(); ++i)
      path += 0.5 * (force[i - 1] + force[i]);
    return {path * x[0]};  // x: the distance
  }
  void vjp(std::span<const double> y_bar, std::span<double> x_bar) {
    x_bar[0] = path * y_bar[0];
  }
};
// [external]

int main() {
  {
    // [implicit]
    // Kepler's equation: the eccentric anomaly x for eccentricity p[0] and mean p[1]
    const auto kepler = []<class T>(std::span<const T> x, std::span<const T> p) {
      return std::array<T, 1>{x[0] - p[0] * sin(x[0]) - p[1]};
    };
    Tape tape;
    const std::vector<Scalar> p = tape.variables(std::vector{0.4, 1.1});
    const Scalar x = implicit(kepler, std::vector{1.0}, p)[0];
    const auto [by_eccentricity, by_mean] = tape.gradient(x, p[0], p[1]);
    // [implicit]
    std::printf("x %.6f, by e %.6f, by M %.6f\n", x.value(), by_eccentricity, by_mean);
  }
  {
    // [solve]
    Tape tape;
    const Scalar s = tape.variable(2);
    const std::vector<Scalar> a{s, 1, 0.5, s * s};  // row by row
    const std::vector<Scalar> x = solve(a, std::vector{1.0, 3.0});
    const double slope = tape.gradient(x[1], s);
    // [solve]
    std::printf("x %.6f %.6f, slope %.6f\n", x[0].value(), x[1].value(), slope);
  }
  {
    // [integrate]
    const auto bell = []<class T>(const T& x, std::span<const T> p) -> T {
      return exp(-p[0] * x * x);
    };
    const double infinity = std::numeric_limits<double>::infinity();
    Tape tape;
    const Scalar a = tape.variable(0.5);
    const std::vector<Scalar> p{tape.variable(1)};
    const Scalar tail = integrate(bell, a, infinity, p);
    const auto [by_bound, by_width] = tape.gradient(tail, a, p[0]);
    // [integrate]
    std::printf("tail %.6f, by a %.6f, by p %.6f\n", tail.value(), by_bound, by_width);
  }
  {
    // [ode]
    const auto lotka_volterra = []<class T>(std::span<const T> y, double /*t*/,
                                            std::span<const T> p) {
      return std::array<T, 2>{p[0] * y[0] - y[0] * y[1], y[0] * y[1] - p[1] * y[1]};
    };
    Tape tape;
    const std::vector<Scalar> p = tape.variables(std::vector{1.5, 1.0});
    const std::vector<double> first{1, 2}, times{0, 1, 2, 200};
    const auto y = integrate_ode(lotka_volterra, first, times, p);
    const std::size_t records = tape.statements() + tape.nodes();
    const double prey_by_growth = tape.gradient(y[3][0], p[0]);
    // [ode]
    for (std::size_t k = 0; k < y.size(); ++k)
      std::printf("t %4g: prey %.4f\n", times[k], y[k][0].value());
    std::printf("%zu records; prey by p[0] %.4f\n", records, prey_by_growth);
  }
  {
    // [call]
    Tape tape;
    const Scalar distance = tape.variable(0.25);
    const std::vector<double> samples{1, 3, 2};
    const Scalar work = external_function(Work{samples}, std::vector{distance})[0];
    const double slope = tape.gradient(Scalar(work * work), distance);
    // [call]
    std::printf("work %.4f, slope of its square %.4f\n", work.value(), slope);
  }
}
