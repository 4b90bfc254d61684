#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [source]
  const Program pendulum = record(
      [](auto p) {
        auto x = p[0], v = p[1];
        for (int step = 0; step < 10'000; ++step) {
          v -= 0.001 * sin(x);
          x += 0.001 * v;
        }
        return x;
      },
      {.parameters = 2}, {0.5, 0.25});
  const std::string source = to_cpp(pendulum, "pendulum");
  std::puts(
      &source[source.find("static inline")]);  // what is before is the formula of sin
  // [source]
}
