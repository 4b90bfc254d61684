// The plugin that host.cpp loads at run time.
#include <autodiff/autodiff.h>

/// y = 3 x^2 + sum t^2, on the active tape of the calling thread.
extern "C" void plugin_compute(const wengert::Scalar& x, const wengert::Tensor& t, wengert::Scalar& y) {
  y = 3 * square(x) + wengert::Scalar(sum(t * t));
}
extern "C" bool plugin_records() { return wengert::recording(); }
