#include "autodiff/denormals.h"

#include "autodiff/kernels/denormal_mode.h"

namespace wengert {

FlushDenormals::FlushDenormals() noexcept : before_(kernels::denormal_mode()) { kernels::set_denormal_mode(kernels::kFlushedDenormals); }

FlushDenormals::~FlushDenormals() { kernels::set_denormal_mode(before_); }

}  // namespace wengert
