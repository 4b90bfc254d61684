#pragma once
// Kernels on every instruction set.
#include <boost/test/unit_test.hpp>

#include "autodiff/kernels/isa.h"

namespace wengert::testing {

/// Calls f with every instruction set that this processor has, from the best downwards; the best again afterwards.
template <class F> void on_every_isa(F&& f) {
  using kernels::Isa;
  const Isa best = kernels::best_isa();
  for (int level = static_cast<int>(best); level >= 0; --level) {
    if (best == Isa::neon && level != static_cast<int>(Isa::neon) && level != static_cast<int>(Isa::baseline)) continue;
    kernels::set_isa(static_cast<Isa>(level));
    BOOST_TEST_CONTEXT("on " << kernels::name_of(kernels::isa())) { f(); }
  }
  kernels::set_isa(best);
}

}  // namespace wengert::testing
