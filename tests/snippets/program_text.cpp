#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  // [text]
  const auto error = [](auto p, auto d) {
    return 0.5 * square(d[1] - sigmoid(p[0] * d[0] + p[1]));
  };
  const Program E = record(error, {.parameters = 2, .data = 2}, {0.5, -0.25, 2.0, 1.0});
  std::puts(to_text(E, {.names = {"w", "b", "x", "y"},
                        .at = {0.5, -0.25, 2, 1},
                        .adjoints = true})
                .c_str());
  // [text]
}
