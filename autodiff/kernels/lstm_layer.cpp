// Rows of the batch are done by one thread from step to step: nothing waits at a step, and weights are packed once. In the forward
// pass that is the whole sequence; backwards it is a chunk of steps, after which products over the whole chunk give the gradients of
// weights and of x.
#include "autodiff/kernels/lstm_layer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <type_traits>

#include "autodiff/kernels/lstm_gates.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/kernels/product.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/kernels/scratch.h"

namespace wengert::kernels {
namespace {

// Rows of the batch.
struct RowsOfBatch {
  Index first, count;
};

// How many rows a thread does at once: few enough for the cache, and some for every thread. A row's bits are the same in any company.
Index rows_at_once(Index n) {
  constexpr Index most = 64, unit = 4;  // with fewer rows, a product waits for the latency of its additions
  const Index share = (n + usable_threads() - 1) / usable_threads();
  return std::min(most, (share + unit - 1) / unit * unit);
}
template <class Function> void for_rows(Index n, const Function& function) {
  const Index size = rows_at_once(n);
  parallel_blocks((n + size - 1) / size, [&](Index block) { function(RowsOfBatch{block * size, std::min(size, n - block * size)}); });
}

template <class T> MatrixView<T> rows_of(const T* data, Index columns) { return {data, columns, 1}; }

// to += from
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

// The place of the 1 in each row of x, if every row has one and 0 elsewhere.
template <class T> class Symbols {
 public:
  explicit Symbols(const LstmLayer<T>& l) : at_(l.steps * l.n) {
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

// A layer with the position of each step.
template <class T> struct Steps : LstmLayer<T> {
  explicit Steps(const LstmLayer<T>& layer) : LstmLayer<T>(layer), gate_count(4 * layer.hidden) {}

  // Of the kth step.
  Index position(Index k) const { return this->backward ? this->steps - 1 - k : k; }
  // Rows of x at position t.
  MatrixView<T> x_rows(Index t, Index first) const { return {this->x + t * this->x_step + first * this->x_row, this->x_row, 1}; }
  // The state before position t.
  const T* h_before(Index t) const { return before(t, this->h, this->h0); }
  const T* c_before(Index t) const { return before(t, this->c, this->c0); }

  Index gate_count;

 private:
  const T* before(Index t, const T* states, const T* initial) const {
    return t == position(0) ? initial : states + (this->backward ? t + 1 : t - 1) * this->n * this->hidden;
  }
};

// X_t W^T + b of any rows.
template <class T> class InputSums {
 public:
  explicit InputSums(const Steps<T>& l) : l_(l), symbols_(l) {
    if (symbols_ && all_finite(l.w, l.gate_count * l.in)) {  // 0 times infinity is NaN
      columns_.emplace(l.in * l.gate_count);
      for (Index i = 0; i < l.in; ++i)
        for (Index j = 0; j < l.gate_count; ++j) columns_->data()[i * l.gate_count + j] = l.w[j * l.in + i] + (l.bias ? l.bias[j] : 0);
    } else {
      weight_.emplace(l.in, l.gate_count, rows_of(l.w, l.in).transposed());
    }
  }
  void write(Index t, RowsOfBatch rows, T* to) const {
    if (weight_) return gemm(rows.count, l_.x_rows(t, rows.first), *weight_, to, l_.gate_count, {.bias = l_.bias});
    const Index first = t * l_.n + rows.first;
    for (Index row = 0; row < rows.count; ++row)
      std::copy_n(columns_->data() + symbols_[first + row] * l_.gate_count, l_.gate_count, to + row * l_.gate_count);
  }

 private:
  const Steps<T>& l_;
  Symbols<T> symbols_;
  std::optional<Scratch<T>> columns_;      // a row for each symbol
  std::optional<PackedMatrix<T>> weight_;  // or else this
};

// The gradients with respect to x, W, U and the bias from A_bar.
template <class T> class ProductBars {
 public:
  ProductBars(const Steps<T>& l, const LstmLayerBars<T>& bars) : l_(l), bars_(bars) {
    const auto clear = [](T* to, Index count) {
      if (to) std::fill_n(to, count, T(0));
    };
    clear(bars.w, l.gate_count * l.in);
    clear(bars.u, l.gate_count * l.hidden);
    clear(bars.bias, l.gate_count);
    if (!bars.w) return;
    symbols_.emplace(l);
    if (!*symbols_) return;
    columns_.emplace(l.in * l.gate_count);
    clear(columns_->data(), l.in * l.gate_count);
  }

  // Adds what A_bar of the positions low, low + 1, ... below high gives, which lie one behind the other.
  void add(Index low, Index high, const T* a_bar) const {
    const Index gates = l_.gate_count, rows = (high - low) * l_.n;
    const auto a = [&](Index t) { return rows_of(a_bar + (t - low) * l_.n * gates, gates); };
    if (bars_.x) product<T>(rows, l_.in, gates, a(low), rows_of(l_.w, l_.in), bars_.x + low * l_.n * l_.in, l_.in);
    if (bars_.w && !columns_) {
      const bool lies_evenly = l_.x_step == l_.n * l_.x_row;
      const Scratch<T> copy(lies_evenly ? 0 : rows * l_.in);
      for (Index t = low; !lies_evenly && t < high; ++t)
        for (Index row = 0; row < l_.n; ++row) std::copy_n(l_.x_rows(t, row).data, l_.in, copy.data() + ((t - low) * l_.n + row) * l_.in);
      product<T>(gates, l_.in, rows, a(low).transposed(), lies_evenly ? l_.x_rows(low, 0) : rows_of(copy.data(), l_.in), bars_.w, l_.in,
                 {.accumulate = true});
    }
    if (bars_.u) {
      const auto add = [&](Index t, Index count, const T* states) {
        product<T>(gates, l_.hidden, count * l_.n, a(t).transposed(), rows_of(states, l_.hidden), bars_.u, l_.hidden, {.accumulate = true});
      };
      // The first step, which is at either end, follows the initial state; the others follow outputs.
      const Index first = l_.position(0);
      const bool has_first = low <= first && first < high;
      const Index from = has_first && first == low ? low + 1 : low, to = has_first && first != low ? high - 1 : high;
      if (has_first) add(first, 1, l_.h0);
      if (to > from) add(from, to - from, l_.h_before(from));
    }
    add_rows(low * l_.n, rows, a_bar);
  }

  // To be called at the end.
  void finish() const {
    if (!columns_) return;
    for (Index i = 0; i < l_.in; ++i) {
      const T* const column = columns_->data() + i * l_.gate_count;
      for (Index j = 0; j < l_.gate_count; ++j) bars_.w[j * l_.in + i] = column[j];
      if (bars_.bias) add_to(bars_.bias, column, l_.gate_count);
    }
  }

 private:
  // To W's column of each row's symbol, or to the bias's gradient, which is the sum of those columns.
  void add_rows(Index first, Index rows, const T* a_bar) const {
    constexpr Index part = 128;  // of the gates
    const Index gates = l_.gate_count;
    if (!bars_.bias && !columns_) return;
    parallel_blocks((gates + part - 1) / part, [&](Index block) {
      const Index begin = block * part, count = std::min(part, gates - begin);
      for (Index row = 0; row < rows; ++row)
        add_to((columns_ ? columns_->data() + (*symbols_)[first + row] * gates : bars_.bias) + begin, a_bar + row * gates + begin, count);
    });
  }

  const Steps<T>& l_;
  const LstmLayerBars<T>& bars_;
  std::optional<Symbols<T>> symbols_;
  std::optional<Scratch<T>> columns_;  // the gradient with respect to W where x is symbols, (in, 4 hidden)
};

}  // namespace

template <class T> void lstm_layer_forward(const LstmLayer<T>& layer) {
  const Steps<T> l(layer);
  const InputSums<T> inputs(l);
  const PackedMatrix<T> u_t(l.hidden, l.gate_count, rows_of(l.u, l.hidden).transposed());
  for_rows(l.n, [&](RowsOfBatch rows) {
    const Index state = rows.first * l.hidden;
    for (Index k = 0; k < l.steps; ++k) {
      const Index t = l.position(k), states = t * l.n * l.hidden + state;
      T* const sums = l.gates + 4 * states;
      inputs.write(t, rows, sums);
      gemm(rows.count, rows_of(l.h_before(t) + state, l.hidden), u_t, sums, l.gate_count, {.accumulate = true});
      lstm_gates(rows.count, l.hidden, sums, l.c_before(t) + state, sums, l.h + states, l.c + states);
    }
  });
}

template <class T> void lstm_layer_backward(const LstmLayer<T>& layer, const T* h_bar, const T* c_bar, const LstmLayerBars<T>& bars) {
  constexpr Index most_rows = 256;  // of A_bar at once: enough for a product to be fast, few enough to stay in the cache
  const Steps<T> l(layer);
  const ProductBars<T> products(l, bars);
  const PackedMatrix<T> u(l.gate_count, l.hidden, rows_of(l.u, l.hidden));
  const Index states = l.n * l.hidden, chunk = std::max<Index>(1, most_rows / l.n);
  const Scratch<T> a_bar(chunk * l.n * l.gate_count);
  std::fill_n(bars.h0, states, T(0));
  std::fill_n(bars.c0, states, T(0));
  for (Index end = l.steps; end > 0; end -= std::min(end, chunk)) {
    const Index begin = std::max<Index>(0, end - chunk), low = std::min(l.position(begin), l.position(end - 1));
    for_rows(l.n, [&](RowsOfBatch rows) {
      const Index state = rows.first * l.hidden, count = rows.count * l.hidden;
      T *const h_sum = bars.h0 + state, *const c_sum = bars.c0 + state;
      for (Index k = end; k-- > begin;) {
        const Index t = l.position(k), here = t * states + state;
        T* const sums_bar = a_bar.data() + ((t - low) * l.n + rows.first) * l.gate_count;
        if (h_bar) add_to(h_sum, h_bar + here, count);
        if (c_bar) add_to(c_sum, c_bar + here, count);
        lstm_gates_vjp(rows.count, l.hidden, l.gates + 4 * here, l.c_before(t) + state, l.c + here, h_sum, c_sum, sums_bar, c_sum);
        gemm(rows.count, rows_of(sums_bar, l.gate_count), u, h_sum, l.hidden);
      }
    });
    products.add(low, low + end - begin, a_bar.data());
  }
  products.finish();
}

template void lstm_layer_forward(const LstmLayer<float>&);
template void lstm_layer_forward(const LstmLayer<double>&);
template void lstm_layer_backward(const LstmLayer<float>&, const float*, const float*, const LstmLayerBars<float>&);
template void lstm_layer_backward(const LstmLayer<double>&, const double*, const double*, const LstmLayerBars<double>&);

}  // namespace wengert::kernels
