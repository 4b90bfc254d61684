#include "autodiff/kernels/slices.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/copy_bytes.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/tensor/storage.h"

namespace wengert::kernels {
namespace {

// The positions in ascending order: where in `index` each occurs.
struct Order {
  Order(std::span<const std::int64_t> index, Index n) : places(index.size()) {
    if (const auto positions = static_cast<std::size_t>(n); positions / 8 <= index.size()) {
      pool::Vector<Index> next(positions + 1);  // place of the next term of each position
      for (const std::int64_t p : index) ++next[static_cast<std::size_t>(p) + 1];
      std::partial_sum(next.begin(), next.end(), next.begin());
      for (std::size_t k = 0; k < index.size(); ++k)
        places[static_cast<std::size_t>(next[static_cast<std::size_t>(index[k])]++)] = static_cast<Index>(k);
    } else {
      std::iota(places.begin(), places.end(), Index(0));
      std::stable_sort(places.begin(), places.end(),
                       [&](Index p, Index q) { return index[static_cast<std::size_t>(p)] < index[static_cast<std::size_t>(q)]; });
    }
    for (std::size_t k = 0; k < places.size(); ++k)
      if (k == 0 || index[static_cast<std::size_t>(places[k])] != index[static_cast<std::size_t>(places[k - 1])])
        firsts.push_back(static_cast<Index>(k));
    firsts.push_back(static_cast<Index>(places.size()));
  }

  Index positions() const { return static_cast<Index>(firsts.size()) - 1; }
  // The terms of the kth position that occurs.
  std::span<const Index> terms(Index k) const {
    const auto* const first = firsts.data() + k;
    return {places.data() + first[0], places.data() + first[1]};
  }

  pool::Vector<Index> places, firsts;
};

// to += the rows of s at these places, n elements each.
template <class T>
__attribute__((always_inline)) inline void add_rows(const T* s, Index pitch, std::span<const Index> places, Index n, T* to) {
  if (places.size() == 1) {  // rounded as the sum in double would be
    const T* const from = s + places[0] * pitch;
    for (Index i = 0; i < n; ++i) to[i] += from[i];
    return;
  }
  constexpr Index kStrip = 64;
  for (Index first = 0; first < n; first += kStrip) {
    const Index columns = std::min(kStrip, n - first);
    double sums[kStrip];
    for (Index i = 0; i < columns; ++i) sums[i] = static_cast<double>(to[first + i]);
    for (const Index place : places) {
      const T* const from = s + place * pitch + first;
      for (Index i = 0; i < columns; ++i) sums[i] += static_cast<double>(from[i]);
    }
    for (Index i = 0; i < columns; ++i) to[first + i] = static_cast<T>(sums[i]);
  }
}

// f(i, o, k) with i = o * count + k for each i in [first, last): without a division for each.
template <class F> __attribute__((always_inline)) inline void for_each_pair(Index first, Index last, Index count, const F& f) {
  for (Index i = first, o = first / count; i < last; ++o) {
    const Index before = o * count, end = std::min(last, before + count);
    for (; i < end; ++i) f(i, o, i - before);
  }
}

// Where each position occurs last.
class LastOfEach {
 public:
  LastOfEach(std::span<const std::int64_t> index, Index n) : index_(index.data()), last_(n) {
    for (std::size_t k = 0; k < index.size(); ++k) last_.data()[index[k]] = static_cast<Index>(k);
  }
  bool operator()(Index k) const { return last_.data()[index_[k]] == k; }

 private:
  const std::int64_t* index_;
  Scratch<Index> last_;  // set for the positions that occur
};

// Slices of one number, and of any bytes.
template <class T> struct Numbers {
  void copy(const void* from, Index i, void* to, Index j) const { static_cast<T*>(to)[j] = static_cast<const T*>(from)[i]; }
  void zero(void* to, Index j) const { static_cast<T*>(to)[j] = 0; }
};
struct Bytes {
  void copy(const void* from, Index i, void* to, Index j) const {
    copy_bytes(static_cast<std::byte*>(to) + j * size, static_cast<const std::byte*>(from) + i * size, static_cast<std::size_t>(size));
  }
  void zero(void* to, Index j) const { std::memset(static_cast<char*>(to) + j * size, 0, static_cast<std::size_t>(size)); }

  Index size;
};

// f(slices, k, number of the dense slice (o, k), of the slice (o, index[k])) for each o and k, in blocks over the pool; `slices` copies
// them.
template <class F> void for_each_slice(const Slices& l, std::span<const std::int64_t> index, Index size, const F& f) {
  const auto count = static_cast<Index>(index.size()), bytes = l.inner * size;
  const auto run = [&](const auto& slices) {
    for_blocks_of(l.outer * count, cost::kCopy<char> * static_cast<double>(bytes), [&](Index first, Index last) {
      for_each_pair(
          first, last, count, [&](Index at, Index o, Index k) __attribute__((always_inline)) {
            f(slices, k, at, o * l.n + index[static_cast<std::size_t>(k)]);
          });
    });
  };
  if (bytes == 4) return run(Numbers<std::uint32_t>());
  if (bytes == 8) return run(Numbers<std::uint64_t>());
  run(Bytes{bytes});
}

}  // namespace

void gather_slices(const Slices& l, std::span<const std::int64_t> index, const void* x, Index size, void* y) {
  for_each_slice(l, index, size, [=](const auto& slices, Index, Index at, Index position) { slices.copy(x, position, y, at); });
}

void gather_last_slices(const Slices& l, std::span<const std::int64_t> index, const void* x, Index size, void* y) {
  const LastOfEach is_last(index, l.n);
  for_each_slice(l, index, size, [&is_last, x, y](const auto& slices, Index k, Index at, Index position) {
    if (is_last(k)) {
      slices.copy(x, position, y, at);
    } else {
      slices.zero(y, at);
    }
  });
}

void put_slices(const Slices& l, std::span<const std::int64_t> index, const void* s, bool one_slice, Index size, void* y) {
  const LastOfEach is_last(index, l.n);
  for_each_slice(l, index, size, [&is_last, s, y, one_slice](const auto& slices, Index k, Index at, Index position) {
    if (is_last(k)) slices.copy(s, one_slice ? 0 : at, y, position);
  });
}

template <class T> void add_slices(const Slices& l, std::span<const std::int64_t> index, const T* s, T* y) {
  const Order order(index, l.n);
  const auto count = static_cast<Index>(index.size()), positions = order.positions();
  const auto add = [&](Index first, Index last, auto inner) __attribute__((always_inline)) {
    for_each_pair(
        first, last, positions, [&](Index, Index o, Index k) __attribute__((always_inline)) {
          const std::span<const Index> terms = order.terms(k);
          const Index position = index[static_cast<std::size_t>(terms[0])];
          add_rows(s + o * count * inner, inner, terms, inner, y + (o * l.n + position) * inner);
        });
  };
  for_blocks_of(l.outer * positions, cost::kCopy<T> * static_cast<double>(l.inner), [&](Index first, Index last) {
    if (l.inner == 1) return add(first, last, std::integral_constant<Index, 1>());  // nothing to multiply, no loop
    run_elements<T>([&]() __attribute__((always_inline)) { add(first, last, l.inner); });
  });
}

template void add_slices(const Slices&, std::span<const std::int64_t>, const float*, float*);
template void add_slices(const Slices&, std::span<const std::int64_t>, const double*, double*);

}  // namespace wengert::kernels
