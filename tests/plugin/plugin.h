#pragma once
// The interface of the plugin.
#include <autodiff/autodiff.h>

extern "C" {
/// y = x^2 exp(x), computed in the plugin.
void plugin_tensors(const wengert::Tensor& x, wengert::Tensor& y);
void plugin_scalars(const wengert::Scalar& x, wengert::Scalar& y);
/// The address of this thread's active tape, as the plugin sees it.
const void* plugin_active_tape();
/// Whether the plugin is refused a tape, because the program has one.
bool plugin_is_refused_a_tape();
}
