#include <autodiff/autodiff.h>

#include <array>
#include <cmath>
#include <cstdio>
using namespace wengert;

// [double]
using State = std::array<Scalar, 4>;  // two angles, two angular velocities

// Two rods of 1 m with masses of 1 kg at their ends.
State rates(const State& s) {
  const double g = 9.81;
  const Scalar d = s[0] - s[1];
  const Scalar sine = sin(d), cosine = cos(d);
  const Scalar below = 2 - cosine * cosine;
  const Scalar a = -s[3] * s[3] * sine - 2 * g * sin(s[0]);
  const Scalar b = s[2] * s[2] * sine - g * sin(s[1]);
  const Scalar first = (a - cosine * b) / below;
  const Scalar second = (2 * b - cosine * a) / below;
  return {s[2], s[3], first, second};
}

State moved(const State& s, double dt, const State& v) {
  State result;
  for (int k = 0; k < 4; ++k) result[k] = s[k] + dt * v[k];
  return result;
}

int main() {
  for (const double seconds : {1.0, 3.0, 5.0, 10.0}) {
    Tape tape;
    const Scalar start = tape.variable(2.0);
    State s{start, 2.0, 0, 0};
    const double dt = 0.002;
    for (int step = 0; step < static_cast<int>(seconds / dt + 0.5); ++step) {
      const State k1 = rates(s), k2 = rates(moved(s, dt / 2, k1));
      const State k3 = rates(moved(s, dt / 2, k2)), k4 = rates(moved(s, dt, k3));
      for (int k = 0; k < 4; ++k)
        s[k] += dt / 6 * (k1[k] + 2 * k2[k] + 2 * k3[k] + k4[k]);
    }
    const double slope = tape.gradient(s[1], start);
    std::printf("after %4.1f s: lower angle %+8.4f, d/d(start) %+.3g\n", seconds,
                s[1].value(), slope);
  }
}
// [double]
