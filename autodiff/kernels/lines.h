#pragma once
// Reductions along one dimension of a dense array, seen as (outer, n, inner): line l = o inner + i has the n elements at
// (o n + k) inner + i. To be called in a loop of run_elements. The order of sums depends on the sizes alone.
#include <algorithm>
#include <limits>

#include "autodiff/tensor/shape.h"

#define WENGERT_LOOP __attribute__((always_inline)) inline

namespace wengert::kernels {

struct Lines {
  Index outer, n, inner;
  Index count() const { return outer * inner; }
};

/// Lines that are reduced side by side where inner > 1.
inline constexpr Index kLinesAbreast = 32;

/// The sum of term(i) for i in [first, first + n), in the type of the terms, by kPartial sums side by side.
template <Index kPartial, class Term> WENGERT_LOOP auto sum_of_run(Index first, Index n, const Term& term) {
  decltype(term(first)) partial[kPartial] = {};
  Index i = 0;
  for (; i + kPartial <= n; i += kPartial)
    for (Index k = 0; k < kPartial; ++k) partial[k] += term(first + i + k);
  for (Index k = 0; i + k < n; ++k) partial[k] += term(first + i + k);
  for (Index half = kPartial / 2; half > 0; half /= 2)
    for (Index k = 0; k < half; ++k) partial[k] += partial[k + half];
  return partial[0];
}
/// The same, with as many sums as are worth their own addition.
template <class Term> WENGERT_LOOP auto sum_of_run(Index first, Index n, const Term& term) {
  return n < 128 ? sum_of_run<8>(first, n, term) : sum_of_run<32>(first, n, term);
}

/// f(o, first, columns) for each block of lines that lie side by side: `first` is the position of its first element.
template <class F> WENGERT_LOOP void for_each_block_of_lines(const Lines& l, const F& f) {
  for (Index o = 0; o < l.outer; ++o)
    for (Index c = 0; c < l.inner; c += kLinesAbreast) f(o * l.inner + c, o * l.n * l.inner + c, std::min(kLinesAbreast, l.inner - c));
}

/// to[line] = the sum of term(position, line) over its elements.
template <class T, class Term> WENGERT_LOOP void sum_lines(const Lines& l, T* to, const Term& term) {
  if (l.inner == 1) {
    for (Index o = 0; o < l.outer; ++o)
      to[o] = static_cast<T>(sum_of_run(
          o * l.n, l.n, [&](Index at) __attribute__((always_inline)) { return term(at, o); }));
    return;
  }
  for_each_block_of_lines(
      l, [&](Index line, Index first, Index columns) __attribute__((always_inline)) {
        double sums[kLinesAbreast] = {};
        if (columns == kLinesAbreast) {
          for (Index k = 0; k < l.n; ++k)
            for (Index i = 0; i < kLinesAbreast; ++i) sums[i] += term(first + k * l.inner + i, line + i);
        } else {
          for (Index k = 0; k < l.n; ++k)
            for (Index i = 0; i < columns; ++i) sums[i] += term(first + k * l.inner + i, line + i);
        }
        for (Index i = 0; i < columns; ++i) to[line + i] = static_cast<T>(sums[i]);
      });
}

/// The largest of some numbers side by side; a NaN stays.
template <class T> struct Largest {
  T top[kLinesAbreast], nan[kLinesAbreast];

  WENGERT_LOOP explicit Largest(T least) {
    for (Index k = 0; k < kLinesAbreast; ++k) top[k] = least, nan[k] = 0;
  }
  WENGERT_LOOP void take(Index k, T v) {
    top[k] = v > top[k] ? v : top[k];
    nan[k] = v == v ? nan[k] : v;
  }
  WENGERT_LOOP T of(Index k) const { return nan[k] == nan[k] ? top[k] : nan[k]; }
};
/// to[line] = the largest value(position) of its elements, or NaN if one is; n > 0.
template <class T, class Value> WENGERT_LOOP void max_lines(const Lines& l, T* to, const Value& value) {
  constexpr T kLeast = -std::numeric_limits<T>::infinity();
  if (l.inner == 1) {
    for (Index o = 0; o < l.outer; ++o) {
      const Index first = o * l.n;
      if (l.n < kLinesAbreast) {
        T top = kLeast, nan = 0;
        for (Index i = first; i < first + l.n; ++i) {
          const T v = value(i);
          top = v > top ? v : top;
          nan = v == v ? nan : v;
        }
        to[o] = nan == nan ? top : nan;
        continue;
      }
      Largest<T> largest(kLeast);
      Index i = 0;
      for (; i + kLinesAbreast <= l.n; i += kLinesAbreast)
        for (Index k = 0; k < kLinesAbreast; ++k) largest.take(k, value(first + i + k));
      for (Index k = 0; i + k < l.n; ++k) largest.take(k, value(first + i + k));
      for (Index half = kLinesAbreast / 2; half > 0; half /= 2)
        for (Index k = 0; k < half; ++k) largest.take(k, largest.of(k + half));
      to[o] = largest.of(0);
    }
    return;
  }
  for_each_block_of_lines(
      l, [&](Index line, Index first, Index columns) __attribute__((always_inline)) {
        Largest<T> largest(kLeast);
        if (columns == kLinesAbreast) {
          for (Index k = 0; k < l.n; ++k)
            for (Index i = 0; i < kLinesAbreast; ++i) largest.take(i, value(first + k * l.inner + i));
        } else {
          for (Index k = 0; k < l.n; ++k)
            for (Index i = 0; i < columns; ++i) largest.take(i, value(first + k * l.inner + i));
        }
        for (Index i = 0; i < columns; ++i) to[line + i] = largest.of(i);
      });
}

/// y[position] = f(position, a[line], b[line]) for every element.
template <class T, class F> WENGERT_LOOP void for_each_in_lines(const Lines& l, T* y, const T* a, const T* b, const F& f) {
  if (l.inner == 1) {
    for (Index o = 0; o < l.outer; ++o) {
      const T p = a[o], q = b[o];
      for (Index at = o * l.n; at < (o + 1) * l.n; ++at) y[at] = f(at, p, q);
    }
    return;
  }
  for (Index o = 0; o < l.outer; ++o)
    for (Index k = 0; k < l.n; ++k) {
      const Index first = (o * l.n + k) * l.inner, line = o * l.inner;
      for (Index i = 0; i < l.inner; ++i) y[first + i] = f(first + i, a[line + i], b[line + i]);
    }
}

}  // namespace wengert::kernels

#undef WENGERT_LOOP
