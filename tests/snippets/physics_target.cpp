#include <autodiff/autodiff.h>

#include <cmath>
#include <cstdio>
using namespace wengert;

// [target]
// The height at which a ball arrives at the wall, which stands at 20 m.
Scalar height_at_wall(const Scalar& angle, double speed) {
  const double dt = 0.001, g = 9.81, k = 0.01;  // drag per mass and speed squared, 1/m
  Scalar x = 0, y = 1.5, vx = speed * cos(angle), vy = speed * sin(angle);
  while (x.value() < 20) {
    const Scalar drag = k * sqrt(vx * vx + vy * vy);
    vx -= drag * vx * dt;
    vy -= (g + drag * vy) * dt;
    x += vx * dt;
    y += vy * dt;
  }
  return y - (x - 20) * vy / vx;  // back along the last direction, to the wall itself
}

int main() {
  double angle = 0.3;
  const double target = 3;  // m above the ground
  for (int step = 0; step < 5; ++step) {
    Tape tape;
    const Scalar a = tape.variable(angle);
    const Scalar miss = height_at_wall(a, 20) - target;
    const double slope = tape.gradient(miss, a);
    std::printf("angle %.5f deg  misses by %+.2e m  slope %.3f m/rad\n",
                angle * 180 / M_PI, miss.value(), slope);
    angle -= miss.value() / slope;  // Newton's method
  }
}
// [target]
