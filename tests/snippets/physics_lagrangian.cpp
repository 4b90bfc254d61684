#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

// [lagrangian]
// A pendulum whose point of suspension is a cart: q = (x, phi), v = (x', phi').
const auto lagrangian = [](auto s) {
  const double M = 2, m = 1, l = 0.5, g = 9.81;
  const auto phi = s[1], vx = s[2], w = s[3];
  const auto kinetic =
      0.5 * (M + m) * vx * vx + m * l * vx * w * cos(phi) + 0.5 * m * l * l * w * w;
  return kinetic + m * g * l * cos(phi);
};

// d/dt dL/dv = dL/dq, solved for the accelerations:
// (d2L/dv2) a = dL/dq - (d2L/dv dq) v.
Tensor accelerations(const Program& gradient, const Program& hessian,
                     const std::vector<double>& s) {
  const Tensor H = reshape(Tensor::from(hessian.values(s)), {4, 4});
  const Tensor dL = Tensor::from(gradient.values(s));
  const Tensor v = Tensor::from(std::vector<double>{s[2], s[3]});
  const Tensor mass = H(Range(2, 4), Range(2, 4)), mixed = H(Range(2, 4), Range(0, 2));
  return solve(mass, dL(Range(0, 2)) - matmul(mixed, v));
}

int main() {
  const Program L = record(lagrangian, {.data = 4}, {0.0, 0.1, 0.0, 0.0});
  const Program dL = gradient(L), HL = hessian(L);
  std::vector<double> s{0, 1, 0, 0};  // at rest, with the rod at 1 rad
  const double dt = 1e-4;
  const auto energy = [&] {  // v dL/dv - L
    const std::vector<double> d = dL.values(s);
    return s[2] * d[2] + s[3] * d[3] - L(s);
  };
  std::printf("t 0.0  x %+.4f  phi %+.4f  energy %.6f\n", s[0], s[1], energy());
  for (int step = 1; step <= 10000; ++step) {
    // The midpoint rule.
    const Tensor a = accelerations(dL, HL, s);
    std::vector<double> mid = s;
    for (int k = 0; k < 2; ++k) {
      mid[k] += dt / 2 * s[k + 2];
      mid[k + 2] += dt / 2 * a.element(k);
    }
    const Tensor b = accelerations(dL, HL, mid);
    for (int k = 0; k < 2; ++k) {
      s[k] += dt * mid[k + 2];
      s[k + 2] += dt * b.element(k);
    }
    if (step % 5000 == 0)
      std::printf("t %.1f  x %+.4f  phi %+.4f  energy %.6f\n", step * dt, s[0], s[1],
                  energy());
  }
}
// [lagrangian]
