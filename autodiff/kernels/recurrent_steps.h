#pragma once
// Internal.
// Shared by the kernels of recurrent layers. Rows of the batch are done by one thread from step to step: nothing waits at a step, and
// weights are packed once. In the forward pass that is the whole sequence; backwards it is a chunk of steps, after which products over the
// whole chunk give the gradients of weights and of x.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/product.h"
#include "autodiff/kernels/recurrent_layer.h"
#include "autodiff/kernels/run_elements.h"

namespace wengert::kernels::recurrent {

/// Rows of the batch.
struct RowsOfBatch {
  Index first, count;
};

/// The columns of a row of gates. The first `input` of them take X W^T; the state's H U^T goes to all of these, or to the parts that
/// belong to some rows of U.
struct GateColumns {
  struct Part {
    Index column, count, row_of_u;
  };
  Index row, input;  ///< from a row to the next, and how many are of the input
  std::array<Part, 2> parts;
};

template <class T> MatrixView<T> rows_of(const T* data, Index row) { return {data, row, 1}; }

/// to += from
template <class T> void add_to(T* to, const T* from, Index count) {
  run_elements<T>([=]() __attribute__((always_inline)) {
    for (Index i = 0; i < count; ++i) to[i] += from[i];
  });
}

template <class T> bool all_finite(const T* x, Index count) {
  Index others = 0;
  run_elements<T>([&]() __attribute__((always_inline)) {
    for (Index i = 0; i < count; ++i) others += !(std::abs(x[i]) <= std::numeric_limits<T>::max());
  });
  return others == 0;
}

/// The place of the 1 in each row of x, if every row has one and 0 elsewhere.
template <class T> class Symbols {
 public:
  explicit Symbols(const RecurrentLayer<T>& l) : at_(l.steps * l.n) {
    for (Index t = 0; found_ && t < l.steps; ++t) find(l.x + t * l.x_step, l.n, l.x_row, l.in, t * l.n);
  }
  explicit operator bool() const { return found_; }
  Index operator[](Index row) const { return at_.data()[row]; }

 private:
  void find(const T* x, Index rows, Index x_row, Index columns, Index first) {
    run_elements<T>([&]() __attribute__((always_inline)) {
      for (Index row = 0; row < rows; ++row, x += x_row) {
        std::int32_t ones = 0, zeros = 0, place = 0;
        for (std::int32_t i = 0; i < columns; ++i) {
          ones += x[i] == 1;
          zeros += x[i] == 0;
          place += x[i] == 1 ? i : 0;
        }
        found_ = found_ && ones == 1 && zeros == columns - 1;
        at_.data()[first + row] = place;
      }
    });
  }

  Scratch<std::int32_t> at_;
  bool found_ = true;
};

/// A layer with the position of each step.
template <class T> struct Steps : RecurrentLayer<T> {
  Steps(const RecurrentLayer<T>& layer, const GateColumns& gates) : RecurrentLayer<T>(layer), gates(gates) {}

  /// Of the kth step.
  Index position(Index k) const { return this->backward ? this->steps - 1 - k : k; }
  /// Rows of x at position t.
  MatrixView<T> x_rows(Index t, Index first) const { return {this->x + t * this->x_step + first * this->x_row, this->x_row, 1}; }
  /// What comes before position t: one of the `states` (steps, n, hidden), or the initial one.
  const T* before(Index t, const T* states, const T* initial) const {
    return t == position(0) ? initial : states + (this->backward ? t + 1 : t - 1) * this->n * this->hidden;
  }
  const T* h_before(Index t) const { return before(t, this->h, this->h0); }

  /// f(rows) for rows that together are the batch, over the pool: for few enough at once to stay in the cache, but for as many as are
  /// worth a block. A row's bits do not depend on which rows are computed with it.
  template <class Function> void for_rows(Index steps_at_once, const Function& f) const {
    constexpr Index most = 64, unit = 4;         // with fewer rows, a product waits for the latency of its additions
    constexpr double ns = 0.02 * sizeof(T) / 4;  // for each product of two numbers
    const double row_ns = ns * static_cast<double>(steps_at_once * gates.input * (this->in + this->hidden));
    const auto worth_it = static_cast<Index>(std::min(kBlockTime / std::max(row_ns, 1.0), static_cast<double>(this->n)));
    const Index share = (this->n + usable_threads() - 1) / usable_threads();
    const Index size = std::max(std::min(most, (share + unit - 1) / unit * unit), worth_it);
    parallel_blocks((this->n + size - 1) / size, [&](Index block) {
      f(RowsOfBatch{block * size, std::min(size, this->n - block * size)});
    });
  }

  GateColumns gates;
};

/// X_t W^T + b of any rows.
template <class T> class InputSums {
 public:
  explicit InputSums(const Steps<T>& l) : l_(l), symbols_(l) {
    const Index columns = l.gates.input;
    if (symbols_ && all_finite(l.w, columns * l.in)) {  // 0 times infinity is NaN
      columns_.emplace(l.in * columns);
      for (Index i = 0; i < l.in; ++i)
        for (Index j = 0; j < columns; ++j) columns_->data()[i * columns + j] = l.w[j * l.in + i] + (l.bias ? l.bias[j] : 0);
    } else {
      weight_.emplace(l.in, columns, rows_of(l.w, l.in).transposed());
    }
  }
  /// To rows of gates.
  void write(Index t, RowsOfBatch rows, T* to) const {
    if (weight_) return gemm(rows.count, l_.x_rows(t, rows.first), *weight_, to, l_.gates.row, {.bias = l_.bias});
    const Index first = t * l_.n + rows.first;
    for (Index row = 0; row < rows.count; ++row)
      std::copy_n(columns_->data() + symbols_[first + row] * l_.gates.input, l_.gates.input, to + row * l_.gates.row);
  }

 private:
  const Steps<T>& l_;
  Symbols<T> symbols_;
  std::optional<Scratch<T>> columns_;      // a row for each symbol
  std::optional<PackedMatrix<T>> weight_;  // or else this
};

/// The gradients with respect to x, W, U and the biases, from rows of the gates' cotangents.
template <class T> class ProductBars {
 public:
  ProductBars(const Steps<T>& l, const RecurrentLayerBars<T>& bars) : l_(l), bars_(bars), sums_(l.gates.row) {
    const auto clear = [](T* to, Index count) {
      if (to) std::fill_n(to, count, T(0));
    };
    clear(bars.w, l.gates.input * l.in);
    clear(bars.u, l.gates.input * l.hidden);
    clear(sums_.data(), l.gates.row);
    if (!bars.w) return;
    symbols_.emplace(l);
    if (!*symbols_) return;
    columns_.emplace(l.in * l.gates.input);
    clear(columns_->data(), l.in * l.gates.input);
  }

  /// Adds what the positions low, low + 1, ... below high give, whose rows lie one behind the other.
  void add(Index low, Index high, const T* gates_bar) const {
    const Index columns = l_.gates.input, rows = (high - low) * l_.n;
    const auto at = [&](Index t) { return rows_of(gates_bar + (t - low) * l_.n * l_.gates.row, l_.gates.row); };
    if (bars_.x) product<T>(rows, l_.in, columns, at(low), rows_of(l_.w, l_.in), bars_.x + low * l_.n * l_.in, l_.in);
    if (bars_.w && !columns_) {
      const bool lies_evenly = l_.x_step == l_.n * l_.x_row;
      const Scratch<T> copy(lies_evenly ? 0 : rows * l_.in);
      for (Index t = low; !lies_evenly && t < high; ++t)
        for (Index row = 0; row < l_.n; ++row) std::copy_n(l_.x_rows(t, row).data, l_.in, copy.data() + ((t - low) * l_.n + row) * l_.in);
      product<T>(columns, l_.in, rows, at(low).transposed(), lies_evenly ? l_.x_rows(low, 0) : rows_of<T>(copy.data(), l_.in), bars_.w,
                 l_.in, {.accumulate = true});
    }
    if (bars_.u) {
      // The first step, which is at either end, follows the initial state; the others follow outputs.
      const Index first = l_.position(0);
      const bool has_first = low <= first && first < high;
      const Index from = has_first && first == low ? low + 1 : low, to = has_first && first != low ? high - 1 : high;
      if (has_first) add_to_u(at(first), l_.n, l_.h0);
      if (to > from) add_to_u(at(from), (to - from) * l_.n, l_.h_before(from));
    }
    add_rows(low * l_.n, rows, gates_bar);
  }

  /// To be called at the end.
  void finish() const {
    for (Index i = 0; columns_ && i < l_.in; ++i) {
      const T* const column = columns_->data() + i * l_.gates.input;
      for (Index j = 0; j < l_.gates.input; ++j) bars_.w[j * l_.in + i] = column[j];
      add_to(sums_.data(), column, l_.gates.input);
    }
    if (bars_.bias) std::copy_n(sums_.data(), l_.gates.input, bars_.bias);
    if (!bars_.bias_hh) return;
    for (const auto& part : l_.gates.parts) std::copy_n(sums_.data() + part.column, part.count, bars_.bias_hh + part.row_of_u);
  }

 private:
  void add_to_u(const MatrixView<T>& gates_bar, Index rows, const T* states) const {
    for (const auto& part : l_.gates.parts) {
      if (part.count == 0) continue;
      const MatrixView<T> bar{gates_bar.data + part.column, gates_bar.row, 1};
      product<T>(part.count, l_.hidden, rows, bar.transposed(), rows_of(states, l_.hidden), bars_.u + part.row_of_u * l_.hidden, l_.hidden,
                 {.accumulate = true});
    }
  }
  // To W's column of each row's symbol, whose sum is the bias's gradient, or to that sum.
  void add_rows(Index first, Index rows, const T* gates_bar) const {
    constexpr Index kPart = 128;  // of the columns
    const Index row = l_.gates.row, input = l_.gates.input;
    if (!bars_.bias && !bars_.bias_hh && !columns_) return;
    parallel_blocks((row + kPart - 1) / kPart, [&](Index block) {
      const Index begin = block * kPart, end = std::min(row, begin + kPart), middle = columns_ ? std::clamp(input, begin, end) : begin;
      for (Index i = 0; i < rows; ++i) {
        const T* const from = gates_bar + i * row;
        if (middle > begin) add_to(columns_->data() + (*symbols_)[first + i] * input + begin, from + begin, middle - begin);
        if (end > middle) add_to(sums_.data() + middle, from + middle, end - middle);
      }
    });
  }

  const Steps<T>& l_;
  const RecurrentLayerBars<T>& bars_;
  Scratch<T> sums_;  // of the columns over all rows
  std::optional<Symbols<T>> symbols_;
  std::optional<Scratch<T>> columns_;  // the gradient with respect to W where x is symbols, (in, columns of the input)
};

/// The backward sweep. For some rows of position t, `step` writes their rows of gates_bar and turns the cotangent of their state, to which
/// h_bar (steps, n, hidden) has been added, into that of the state before.
template <class T, class Step> void sweep(const Steps<T>& l, const T* h_bar, const RecurrentLayerBars<T>& bars, const Step& step) {
  constexpr Index most_rows = 256;  // of the gates at once: enough for a product to be fast, few enough to stay in the cache
  const ProductBars<T> products(l, bars);
  const Index states = l.n * l.hidden, chunk = std::max<Index>(1, most_rows / l.n);
  const Scratch<T> gates_bar(chunk * l.n * l.gates.row);
  std::fill_n(bars.h0, states, T(0));
  for (Index end = l.steps; end > 0; end -= std::min(end, chunk)) {
    const Index begin = std::max<Index>(0, end - chunk), low = std::min(l.position(begin), l.position(end - 1));
    l.for_rows(end - begin, [&](RowsOfBatch rows) {
      T* const state_bar = bars.h0 + rows.first * l.hidden;
      for (Index k = end; k-- > begin;) {
        const Index t = l.position(k);
        if (h_bar) add_to(state_bar, h_bar + t * states + rows.first * l.hidden, rows.count * l.hidden);
        step(t, rows, gates_bar.data() + ((t - low) * l.n + rows.first) * l.gates.row, state_bar);
      }
    });
    products.add(low, low + end - begin, gates_bar.data());
  }
  products.finish();
}

}  // namespace wengert::kernels::recurrent
