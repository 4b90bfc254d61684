#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

// The range in metres of a ball with air resistance (per unit of mass and of velocity
// squared), by Euler steps until it lands.
Scalar range(const Scalar& angle, const Scalar& resistance) {
  const double dt = 0.001, g = 9.81;
  Scalar x = 0, y = 0, vx = 30 * cos(angle), vy = 30 * sin(angle);
  for (;;) {
    const Scalar drag = resistance * sqrt(vx * vx + vy * vy), x_next = x + vx * dt,
                 y_next = y + vy * dt;
    // The last step ends on the ground, in the same direction.
    if (y_next.value() < 0) return x + y * vx / -vy;
    vx -= drag * vx * dt;
    vy -= (g + drag * vy) * dt;
    x = x_next;
    y = y_next;
  }
}

int main() {
  double angle = 0.5;
  for (int step = 0; step <= 4; ++step) {
    Tape tape;
    const Scalar a = tape.variable(angle), k = tape.variable(0.01);
    const Scalar x = range(a, k);
    const auto [dx_da, dx_dk] = tape.gradient(x, a, k);
    std::printf(
        "angle %.2f deg  range %.3f m  d/d angle %+8.4f m/rad  d/d resistance %.0f "
        "m/(1/m)\n",
        angle * 180 / M_PI, x.value(), dx_da, dx_dk);
    angle += 0.005 * dx_da;  // gradient ascent towards the angle with the longest range
  }
}
