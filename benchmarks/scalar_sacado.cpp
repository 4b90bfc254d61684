// Sacado's reverse mode. Its package is configured for Kokkos, which is not needed here.
#define TRILINOS_NO_CONFIG_H
#define HAVE_SACADO_CXX11
#include <Sacado_trad.hpp>

#include "benchmarks/scalar_functions.h"
#include "benchmarks/scalar_sides.h"

namespace wengert::benchmark {

Side sacado() {
  using Variable = Sacado::Rad::ADvar<double>;
  Side side{"sacado", {}};
  for_each_function([&](auto f) {
    side.gradients.push_back([f](std::span<const double> x, std::span<double> x_bar) {
      std::vector<Variable> inputs(x.begin(), x.end());
      Variable y = f(std::span<const Variable>(inputs));
      Variable::Gradcomp();
      for (std::size_t i = 0; i < x.size(); ++i) x_bar[i] = inputs[i].adj();
    });
  });
  return side;
}

}  // namespace wengert::benchmark
