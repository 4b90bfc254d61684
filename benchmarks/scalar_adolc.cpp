// ADOL-C, with the trace in memory, and a reverse pass that needs no second forward pass.
#include <adolc/adolc.h>

#include <memory>

#include "benchmarks/scalar_functions.h"
#include "benchmarks/scalar_sides.h"

namespace wengert::benchmark {

Side adolc() {
  Side side{"adolc", {}};
  for_each_function([&](auto f) {
    side.gradients.push_back([f](std::span<const double> x, std::span<double> x_bar) {
      constexpr short kTag = 1;
      const std::size_t n = x.size();
      static thread_local std::unique_ptr<adouble[]> inputs;
      static thread_local std::size_t size = 0;
      if (size != n) {
        inputs = std::make_unique<adouble[]>(n);
        size = n;
      }
      trace_on(kTag, 1);
      for (std::size_t i = 0; i < n; ++i) inputs[i] <<= x[i];
      adouble y = f(std::span<const adouble>(inputs.get(), n));
      double value;
      y >>= value;
      trace_off();
      double weight = 1;
      fos_reverse(kTag, 1, static_cast<int>(n), &weight, x_bar.data());
    });
  });
  return side;
}

}  // namespace wengert::benchmark
