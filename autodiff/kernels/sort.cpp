// Elements are sorted as unsigned numbers, their keys, which have the same order. Then digits can be sorted instead of comparing elements:
// least significant digit first, by counting (D. E. Knuth, The Art of Computer Programming, vol. 3, section 5.2.5, algorithm R).
#include "autodiff/kernels/sort.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <type_traits>
#include <utility>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/run_elements.h"
#include "autodiff/kernels/scratch.h"

namespace wengert::kernels {
namespace {

template <class Key> struct Item {
  Key position, key;

  friend bool operator<(const Item& a, const Item& b) { return a.key < b.key || (a.key == b.key && a.position < b.position); }
};

// A number whose order is that of x.
template <class Key, class T> __attribute__((always_inline)) inline Key key_of(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    constexpr Bits kSign = ~(~Bits(0) >> 1);
    const auto bits = std::bit_cast<Bits>(x + T(0));  // 0 for -0
    const Bits key = (bits & kSign) != 0 ? ~bits : bits | kSign;
    return x == x ? key : ~Bits(0);
  } else if constexpr (std::is_same_v<T, bool>) {
    return x;
  } else {
    return static_cast<Key>(x) ^ static_cast<Key>(std::numeric_limits<T>::min());
  }
}

template <class Key> void sort_by_insertion(Item<Key>* items, Index n) {
  for (Index i = 1; i < n; ++i) {
    const Item<Key> item = items[i];
    Index j = i;
    for (; j > 0 && item.key < items[j - 1].key; --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

// Returns the sorted items, which are in either array.
template <class Key> Item<Key>* sort_by_digits(Item<Key>* items, Item<Key>* other, Index n) {
  constexpr int kDigits = sizeof(Key);
  constexpr auto digit = [](Key key, int d) { return static_cast<std::size_t>((key >> (8 * d)) & 255); };
  Key places[kDigits][256] = {};  // how often each digit occurs, and then where the next item with it goes
  for (Index i = 0; i < n; ++i)
    for (int d = 0; d < kDigits; ++d) ++places[d][digit(items[i].key, d)];
  for (int d = 0; d < kDigits; ++d) {
    if (places[d][digit(items[0].key, d)] == static_cast<Key>(n)) continue;  // it is the same in all
    Key next = 0;
    for (Key& place : places[d]) next += std::exchange(place, next);
    for (Index i = 0; i < n; ++i) other[places[d][digit(items[i].key, d)]++] = items[i];
    std::swap(items, other);
  }
  return items;
}

template <class Key, class T> void positions_in_rows(const T* x, Index rows, Index n, Index k, bool descending, std::int64_t* positions) {
  constexpr Index kFew = 64;            // items that are sorted faster by insertion
  const bool k_is_small = k <= n / 16;  // then a heap of k items changes rarely
  const Key flipped = descending ? ~Key(0) : Key(0);
  for_blocks_of(rows, cost::kScalarCall * static_cast<double>(n), [=](Index first, Index last) {
    const Scratch<Item<Key>> memory(2 * n);
    Item<Key>* const items = memory.data();
    for (Index r = first; r < last; ++r) {
      const T* const row = x + r * n;
      run_elements<T>([=]() __attribute__((always_inline)) {
        for (Index i = 0; i < n; ++i) items[i] = {static_cast<Key>(i), key_of<Key>(row[i]) ^ flipped};
      });
      const Item<Key>* sorted = items;
      if (n <= kFew) {
        sort_by_insertion(items, n);
      } else if (k_is_small) {
        std::partial_sort(items, items + k, items + n);
      } else {
        sorted = sort_by_digits(items, items + n, n);
      }
      for (Index i = 0; i < k; ++i) positions[r * k + i] = static_cast<std::int64_t>(sorted[i].position);
    }
  });
}

}  // namespace

template <class T> void positions_in_order(const T* x, Index rows, Index n, Index k, bool descending, std::int64_t* positions) {
  if constexpr (sizeof(T) <= 4)
    if (n <= Index{std::numeric_limits<std::int32_t>::max()}) return positions_in_rows<std::uint32_t>(x, rows, n, k, descending, positions);
  positions_in_rows<std::uint64_t>(x, rows, n, k, descending, positions);
}

template void positions_in_order(const float*, Index, Index, Index, bool, std::int64_t*);
template void positions_in_order(const double*, Index, Index, Index, bool, std::int64_t*);
template void positions_in_order(const std::int64_t*, Index, Index, Index, bool, std::int64_t*);
template void positions_in_order(const bool*, Index, Index, Index, bool, std::int64_t*);

}  // namespace wengert::kernels
