// An experimental prototype that gives up safety for speed: statements in memory that cannot grow, increments in place.
#define OPENST
#define INPLACE
#define TLS
#define PMODE 2
#include "scalar_tape.hpp"

#include "benchmarks/scalar_functions.h"
#include "benchmarks/scalar_sides.h"

namespace wengert::benchmark {

Side prototype() {
  Side side{"prototype", {}};
  for_each_function([&](auto f) {
    side.gradients.push_back([f](std::span<const double> x, std::span<double> x_bar) {
      static thread_local px::Tape* owned = new px::Tape;
      px::tp_ = owned;
      px::Tape& t = *owned;
      t.start();
      const std::size_t n = x.size();
      static thread_local std::vector<px::Var> inputs;
      inputs.resize(n);
      t.A[0] = 0;
      for (std::size_t i = 0; i < n; ++i) {
        inputs[i].v = x[i];
        inputs[i].id = static_cast<px::u32>(++t.ns);
        t.A[i + 1] = 0;
      }
      t.N[++t.ns] = px::N8(0);
      {
        px::Var y = f(std::span<const px::Var>(inputs));
        t.A[y.id & px::IDM] = 1;
      }
      px::reverse(t, static_cast<px::u32>(n) + 1);
      for (std::size_t i = 0; i < n; ++i) x_bar[i] = t.A[i + 1];
    });
  });
  return side;
}

}  // namespace wengert::benchmark
