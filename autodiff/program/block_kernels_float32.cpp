#include "autodiff/program/block_kernels-inl.h"

namespace wengert::detail {

template <> const BlockKernels<float>& block_kernels() { return block_kernels_of_this_isa<float>(); }

}  // namespace wengert::detail
