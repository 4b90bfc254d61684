#include "autodiff/program/block_kernels-inl.h"

namespace wengert::detail {

template <> const BlockKernels<double>& block_kernels() { return block_kernels_of_this_isa<double>(); }

}  // namespace wengert::detail
