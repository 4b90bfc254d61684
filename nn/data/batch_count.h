#pragma once
#include "autodiff/tensor/shape.h"

namespace wengert::nn::detail {

/// How many batches of `batch_size` examples an epoch has; the last one may be smaller, unless it is dropped.
inline Index batch_count(Index examples, Index batch_size, bool drop_last) {
  const Index full = examples / batch_size;
  return full * batch_size == examples || drop_last ? full : full + 1;
}

}  // namespace wengert::nn::detail
