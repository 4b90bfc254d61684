#include "autodiff/kernels/elementwise.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "autodiff/kernels/strided.h"

namespace wengert::kernels {
namespace {

constexpr Index kBlock = 1024;  // elements of a block: of four operands, 32 KiB at most

/// How a plane of y, `rows` rows of n elements, is cut into blocks of group * columns elements. Either columns = n or the rows of a block
/// do not lie behind each other in y.
struct Cut {
  Index group, columns;
};

/// Where one operand of a plane lies.
struct PlaneOperand {
  const std::byte* data;
  Index row_step, step;  // in elements
  Index size;            // of an element in bytes
  std::byte* buffer;

  /// Whether the elements of a block lie behind each other, or row by row where its rows are run one by one.
  bool is_dense(const Cut& cut, Index n) const { return step == 1 && (cut.group == 1 || cut.columns < n || row_step == n); }
  /// Whether all blocks have the same elements.
  bool is_constant(const Cut& cut, Index n) const { return row_step == 0 && (step == 0 || cut.columns == n); }
};

/// Elements of any type of so many bytes.
using Bytes1 [[gnu::may_alias]] = std::uint8_t;
using Bytes4 [[gnu::may_alias]] = std::uint32_t;
using Bytes8 [[gnu::may_alias]] = std::uint64_t;

/// Whether a row's elements lie further apart than the rows.
bool is_transposed(Index row_step, Index step) { return 0 < row_step && row_step < step; }

template <class T> void gather(const std::byte* from, Index rows, Index row_step, Index n, Index step, std::byte* to) {
  const T* x = reinterpret_cast<const T*>(from);
  T* __restrict y = reinterpret_cast<T*>(to);
  if (is_transposed(row_step, step)) {  // what lies together is read together
    for (Index i = 0; i < n; ++i)
      for (Index r = 0; r < rows; ++r) y[r * n + i] = x[r * row_step + i * step];
    return;
  }
  for (Index r = 0; r < rows; ++r, x += row_step, y += n) {
    if (step == 0) {
      std::fill_n(y, n, *x);
    } else if (step == 1) {
      std::copy_n(x, n, y);
    } else {
      for (Index i = 0; i < n; ++i) y[i] = x[i * step];
    }
  }
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

template <std::size_t N> Cut cut_of(const std::array<PlaneOperand, N>& x, Index rows, Index n) {
  constexpr Index kTile = 64;
  const auto transposed = [](const PlaneOperand& o) { return is_transposed(o.row_step, o.step); };
  const auto is_row = [](const PlaneOperand& o) { return o.step == 1; };
  if (rows > 1 && n > kTile && std::any_of(x.begin(), x.end(), transposed)) return {kBlock / kTile, kTile};
  if (rows > 1 && 2 * n <= kBlock) return {std::min(rows, kBlock / n), n};
  return {1, std::all_of(x.begin(), x.end(), is_row) ? n : std::min(n, kBlock)};
}

template <std::size_t N> void run_plane(std::array<PlaneOperand, N>& x, Index rows, Index n, std::byte* y, Index y_size, DenseLoop loop) {
  const Cut cut = cut_of(x, rows, n);
  for (const PlaneOperand& o : x)
    if (!o.is_dense(cut, n) && o.is_constant(cut, n)) gather(o, 0, cut.group, 0, cut.columns);
  std::array<const void*, N> from;
  std::array<Index, N> pitch;  // from row to row of a block, in bytes
  for (Index row = 0; row < rows; row += cut.group) {
    const Index r = std::min(cut.group, rows - row);
    for (Index column = 0; column < n; column += cut.columns) {
      const Index c = std::min(cut.columns, n - column);
      for (std::size_t k = 0; k < N; ++k) {
        const PlaneOperand& o = x[k];
        if (o.is_dense(cut, n)) {
          from[k] = o.data + (row * o.row_step + column) * o.size;
          pitch[k] = o.row_step * o.size;
          continue;
        }
        from[k] = o.buffer;
        pitch[k] = c * o.size;
        if (!o.is_constant(cut, n)) gather(o, row, r, column, c);
      }
      std::byte* to = y + (row * n + column) * y_size;
      if (r == 1 || c == n) {
        loop(r * c, to, from.data());
        continue;
      }
      for (Index i = 0; i < r; ++i, to += n * y_size) {
        loop(c, to, from.data());
        for (std::size_t k = 0; k < N; ++k) from[k] = static_cast<const std::byte*>(from[k]) + pitch[k];
      }
    }
  }
}

template <std::size_t N> void run(const Shape& shape, const StridedOperand* x, void* y, Index y_size, DenseLoop loop) {
  alignas(64) std::byte buffers[N][kBlock * 8];
  std::array<const Shape*, N> strides;
  for (std::size_t k = 0; k < N; ++k) strides[k] = x[k].strides;
  auto* to = static_cast<std::byte*>(y);
  Rows<static_cast<int>(N)>(shape, strides)
      .for_each_plane([&](const auto& offset, Index rows, const auto& row_step, Index n, const auto& step) {
        std::array<PlaneOperand, N> operands;
        for (std::size_t k = 0; k < N; ++k)
          operands[k] = {static_cast<const std::byte*>(x[k].data) + offset[k] * x[k].size, row_step[k], step[k], x[k].size, buffers[k]};
        run_plane(operands, rows, n, to, y_size, loop);
        to += rows * n * y_size;
      });
}

}  // namespace

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
