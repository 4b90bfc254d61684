#include "autodiff/kernels/elementwise.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "autodiff/kernels/strided.h"

namespace wengert::kernels {
namespace {

constexpr Index kBlock = 1024;       // elements of a block: of four operands, 32 KiB at most
constexpr Index kTileBytes = 16384;  // of a tile of a transposed operand, whose lines should be long

// Where one operand of a plane lies, `rows` rows of n elements.
struct PlaneOperand {
  const std::byte* data;
  Index row_step, step;  // in elements
  Index size;            // of an element in bytes
  std::byte* buffer;     // of kTileBytes
};

// How a plane is cut into blocks.
struct Cut {
  Index rows, columns;
};

// Elements of any type of so many bytes.
using Bytes1 [[gnu::may_alias]] = std::uint8_t;
using Bytes4 [[gnu::may_alias]] = std::uint32_t;
using Bytes8 [[gnu::may_alias]] = std::uint64_t;

template <class T> void gather(const std::byte* from, Index rows, Index row_step, Index n, Index step, std::byte* to) {
  copy_rows(reinterpret_cast<const T*>(from), rows, row_step, n, step, reinterpret_cast<T*>(to), n);
}

void gather(const PlaneOperand& x, Index row, Index rows, Index column, Index columns) {
  const std::byte* from = x.data + (row * x.row_step + column * x.step) * x.size;
  switch (x.size) {
    case 1:
      return gather<Bytes1>(from, rows, x.row_step, columns, x.step, x.buffer);
    case 4:
      return gather<Bytes4>(from, rows, x.row_step, columns, x.step, x.buffer);
    default:
      return gather<Bytes8>(from, rows, x.row_step, columns, x.step, x.buffer);
  }
}

// Blocks that each operand's buffer can hold: whole rows, as many as there is room for, or parts of one; of operands that are transposed,
// tiles, in which what is read together lies together.
template <std::size_t N> Cut cut_of(const std::array<PlaneOperand, N>& x, Index rows, Index n) {
  constexpr Index kTileRows = 16, kLongest = 256;
  Index columns = kLongest;
  for (const PlaneOperand& o : x) columns = std::min(columns, kTileBytes / (kTileRows * o.size));
  const auto transposed = [](const PlaneOperand& o) { return is_transposed(o.row_step, o.step); };
  if (rows > 1 && n > kBlock / kTileRows && std::any_of(x.begin(), x.end(), transposed)) return {kTileRows, std::min(n, columns)};
  if (rows > 1 && 2 * n <= kBlock) return {std::min(rows, kBlock / n), n};
  return {1, std::min(n, kBlock)};
}

// The operand of two that is repeated along the rows, or -1.
template <std::size_t N> int repeated_operand(const std::array<PlaneOperand, N>& x) {
  if constexpr (N == 2) {
    if (x[0].step == 0 && x[1].step == 1) return 0;
    if (x[0].step == 1 && x[1].step == 0) return 1;
  }
  return -1;
}

template <std::size_t N>
void run_plane(const std::array<PlaneOperand, N>& x, Index rows, Index n, std::byte* y, Index pitch, Index y_size, DenseLoop loop) {
  constexpr Index kShortRow = 8;
  ElementwiseRows r;
  r.repeated = repeated_operand(x);
  const bool runs_as_it_is = r.repeated >= 0 || std::all_of(x.begin(), x.end(), [](const PlaneOperand& o) { return o.step == 1; });
  if (runs_as_it_is && (rows == 1 || n > kShortRow)) {
    for (std::size_t k = 0; k < N; ++k) r.x[k] = x[k].data, r.pitch[k] = x[k].row_step;
    r.rows = rows, r.n = n, r.y = y, r.y_pitch = pitch;
    return loop(r);
  }
  r.repeated = -1;
  const Cut cut = cut_of(x, rows, n);
  const bool whole_rows = cut.columns == n && (rows == 1 || pitch == n);
  // Whether all blocks have the same elements of an operand.
  const auto is_constant = [&](const PlaneOperand& o) { return o.row_step == 0 && (o.step == 0 || whole_rows); };
  // Whether an operand's elements in a block lie as the loop wants them, in one row if the block has whole rows.
  const auto is_dense = [&](const PlaneOperand& o) { return o.step == 1 && (cut.rows == 1 || !whole_rows || o.row_step == n); };
  for (const PlaneOperand& o : x)
    if (!is_dense(o) && is_constant(o)) gather(o, 0, cut.rows, 0, cut.columns);
  for (Index row = 0; row < rows; row += cut.rows) {
    const Index block_rows = std::min(cut.rows, rows - row);
    for (Index column = 0; column < n; column += cut.columns) {
      const Index columns = std::min(cut.columns, n - column);
      for (std::size_t k = 0; k < N; ++k) {
        const PlaneOperand& o = x[k];
        if (is_dense(o)) {
          r.x[k] = o.data + (row * o.row_step + column) * o.size;
          r.pitch[k] = o.row_step;
        } else {
          if (!is_constant(o)) gather(o, row, block_rows, column, columns);
          r.x[k] = o.buffer;
          r.pitch[k] = columns;
        }
      }
      r.rows = whole_rows ? 1 : block_rows;
      r.n = whole_rows ? block_rows * n : columns;
      r.y = y + (row * pitch + column) * y_size;
      r.y_pitch = pitch;
      loop(r);
    }
  }
}

template <std::size_t N> void run(const Shape& shape, const StridedOperand* x, void* y, Index y_size, DenseLoop loop) {
  std::array<const Shape*, N> strides;
  for (std::size_t k = 0; k < N; ++k) strides[k] = x[k].strides;
  auto* const to = static_cast<std::byte*>(y);
  Rows<static_cast<int>(N)>(shape, strides)
      .for_each_plane(
          loop.ns(y_size), [&](const auto& offset, Index rows, const auto& row_step, Index n, const auto& step, Index at, Index pitch) {
            alignas(64) std::byte buffers[N][kTileBytes];
            std::array<PlaneOperand, N> operands;
            for (std::size_t k = 0; k < N; ++k)
              operands[k] = {static_cast<const std::byte*>(x[k].data) + offset[k] * x[k].size, row_step[k], step[k], x[k].size, buffers[k]};
            run_plane(operands, rows, n, to + at * y_size, pitch, y_size, loop);
          });
}

}  // namespace

void elementwise_dense(const ElementwiseRows& row, std::span<const Index> x_sizes, Index y_size, DenseLoop loop) {
  constexpr Index kUnit = 1024;  // elements: a page of memory
  for_blocks_of(row.n, loop.ns(y_size), kUnit, [&](Index first, Index last) {
    ElementwiseRows part;
    part.n = last - first;
    part.y = static_cast<std::byte*>(row.y) + first * y_size;
    part.repeated = row.repeated;
    for (std::size_t k = 0; k < x_sizes.size(); ++k) {
      const Index moved = static_cast<int>(k) == row.repeated ? 0 : first * x_sizes[k];
      part.x[k] = static_cast<const std::byte*>(row.x[k]) + moved;
      part.pitch[k] = row.pitch[k];
    }
    loop(part);
  });
}

void elementwise_strided(const Shape& shape, std::span<const StridedOperand> x, void* y, Index y_size, DenseLoop loop) {
  switch (x.size()) {
    case 1:
      return run<1>(shape, x.data(), y, y_size, loop);
    case 2:
      return run<2>(shape, x.data(), y, y_size, loop);
    case 3:
      return run<3>(shape, x.data(), y, y_size, loop);
    default:
      return run<4>(shape, x.data(), y, y_size, loop);
  }
}

}  // namespace wengert::kernels
