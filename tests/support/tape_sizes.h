#pragma once
// Tapes with small chunks, so that every boundary is crossed.
#include <autodiff/scalar/statements.h>

#include <utility>

namespace wengert::support {

/// Tapes of new threads have these sizes while it lives. (A thread keeps the chunks of its tapes.)
class TapeSizes {
 public:
  explicit TapeSizes(const detail::ChunkSizes& sizes) : usual_(std::exchange(detail::chunk_sizes, sizes)) {}
  ~TapeSizes() { detail::chunk_sizes = usual_; }
  TapeSizes(const TapeSizes&) = delete;
  TapeSizes& operator=(const TapeSizes&) = delete;

 private:
  detail::ChunkSizes usual_;
};

}  // namespace wengert::support
