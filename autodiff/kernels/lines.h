#pragma once
// Reductions along one dimension of a dense array, seen as (outer, n, inner): line l = o inner + i has the n elements at
// (o n + k) inner + i. The loops over some lines are to be called in a loop of run_elements; those at the end do that themselves, in blocks
// over the pool. The order of sums depends on the sizes alone.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/scratch.h"
#include "autodiff/kernels/target.h"
#include "autodiff/tensor/shape.h"

#define WENGERT_LOOP __attribute__((always_inline)) inline

namespace wengert::kernels {

struct Lines {
  Index outer, n, inner;
  Index count() const { return outer * inner; }
};

/// Lines of fewer elements, one behind the other, are reduced so many at a time: one alone would wait for each of its steps.
inline constexpr Index kShort = 32, kShortAbreast = 8;

/// The lines [first, last), of each the elements k in [begin, end).
struct SomeLines {
  Index n, inner, first, last, begin, end;
  SomeLines(const Lines& all) : SomeLines(all, 0, all.count()) {}  // all of them
  SomeLines(const Lines& all, Index first, Index last) : SomeLines(all, first, last, 0, all.n) {}
  SomeLines(const Lines& all, Index first, Index last, Index begin, Index end)
      : n(all.n), inner(all.inner), first(first), last(last), begin(begin), end(end) {}
  bool are_short() const { return inner == 1 && end - begin < kShort; }
};

/// Elements of a line that are reduced side by side, and their lines where inner > 1: of these, whole lines of the cache.
inline constexpr Index kAbreast = 32;
template <class T> inline constexpr Index kLinesAbreast = sizeof(T) == 4 ? 2 * kAbreast : kAbreast;

/// f(line, lines) for kShortAbreast lines at a time, a count that the compiler knows, and for the rest.
template <class F> WENGERT_LOOP void for_each_short_lines(const SomeLines& l, const F& f) {
  Index line = l.first;
  for (; line + kShortAbreast <= l.last; line += kShortAbreast) f(line, kShortAbreast);
  if (line < l.last) f(line, l.last - line);
}

/// Many floats whose sum is a double are added in groups of kGroup before they are converted, which takes longer than adding them. A group
/// is rounded at most twice, which changes a sum by at most 2^-23 of the sum of magnitudes; on most data the errors cancel and stay below
/// the last digit of a float32 result. Fewer floats are added in pairs, which are rounded once. Where a group or a pair may have
/// overflowed, the sum is in double alone.
inline constexpr Index kGroup = 4, kMany = 128, kSome = 32;
template <class Sum, class Term> inline constexpr bool kAddsGroups =
    std::conjunction_v<std::is_same<Sum, double>, std::is_same<std::invoke_result_t<const Term&, Index>, float>>;

/// The sum of a group's terms: at first, first + step ...
template <class Term> WENGERT_LOOP double sum_of_group(Index first, Index step, const Term& term) {
  return static_cast<double>((term(first) + term(first + step)) + (term(first + 2 * step) + term(first + 3 * step)));
}
template <class Term> WENGERT_LOOP double sum_of_pair(Index first, Index step, const Term& term) {
  return static_cast<double>(term(first) + term(first + step));
}
/// `sum`, or the sum of n terms in double if `sum` is no number and its terms are floats, which may have been added in groups.
template <class Sum, class Term> WENGERT_LOOP Sum checked_sum(Sum sum, Index first, Index n, Index step, const Term& term) {
  if constexpr (kAddsGroups<Sum, Term>) {
    if (sum - sum == 0) [[likely]]
      return sum;
    sum = 0;
    for (Index k = 0; k < n; ++k) sum += static_cast<double>(term(first + k * step));
  }
  return sum;
}

/// The sum of x[0] to x[count - 1], where count is a power of two: the upper half is added to the lower half until one number is left.
/// (By vectors of GCC and clang: loops would go through memory.)
template <Index count, class T> WENGERT_LOOP T sum_of_halves(const T* x) {
  if constexpr (count == 1) {
    return *x;
  } else {
    typedef T Half __attribute__((vector_size(count / 2 * sizeof(T))));
    Half low, high;
    T sums[count / 2];
    __builtin_memcpy(&low, x, sizeof(Half));
    __builtin_memcpy(&high, x + count / 2, sizeof(Half));
    low += high;
    __builtin_memcpy(sums, &low, sizeof(Half));
    return sum_of_halves<count / 2>(sums);
  }
}

/// kAbreast words of zeros, then kAbreast words of ones.
template <class Word> constexpr std::array<Word, 2 * kAbreast> kZerosAndOnes = [] {
  std::array<Word, 2 * kAbreast> words{};
  for (Index k = kAbreast; k < 2 * kAbreast; ++k) words[static_cast<std::size_t>(k)] = static_cast<Word>(-1);
  return words;
}();

/// Adds the terms from `done` on to kPartial sums. If n >= kPartial, the last kPartial terms are read, and those already added are masked
/// out: a loop of known length becomes SIMD.
template <Index kPartial, class Sum, class Term>
WENGERT_LOOP void add_last_terms(Sum* partial, Index first, Index done, Index n, const Term& term) {
  if (done == n) return;
  if (n < kPartial) {
    for (Index k = 0; k < n; ++k) partial[k] += static_cast<Sum>(term(first + k));
    return;
  }
  using Word = std::conditional_t<sizeof(Sum) == 4, std::uint32_t, std::uint64_t>;
  const Index from = n - kPartial;
  const Word* const is_left = kZerosAndOnes<Word>.data() + kAbreast - (done - from);
  for (Index k = 0; k < kPartial; ++k)
    partial[k] += std::bit_cast<Sum>(std::bit_cast<Word>(static_cast<Sum>(term(first + from + k))) & is_left[k]);
}

/// The sum of term(i) for i in [first, first + n), by kPartial sums side by side. Sum is the type of the terms, or double for floats.
template <Index kPartial, class Sum, class Term> WENGERT_LOOP Sum sum_of_run(Index first, Index n, const Term& term) {
  constexpr Index kGroups = kGroup * kPartial;
  Sum partial[kPartial] = {};
  Index i = 0;
  if constexpr (kAddsGroups<Sum, Term>) {
    for (; n >= kMany && i + kGroups <= n; i += kGroups)
      for (Index k = 0; k < kPartial; ++k) partial[k] += sum_of_group(first + i + k, kPartial, term);
    for (; n >= kSome && i + 2 * kPartial <= n; i += 2 * kPartial)
      for (Index k = 0; k < kPartial; ++k) partial[k] += sum_of_pair(first + i + k, kPartial, term);
  }
  for (; i + kPartial <= n; i += kPartial)
    for (Index k = 0; k < kPartial; ++k) partial[k] += static_cast<Sum>(term(first + i + k));
  add_last_terms<kPartial>(partial, first, i, n, term);
  return checked_sum(sum_of_halves<kPartial>(partial), first, n, 1, term);
}
/// The same, with as many sums as are worth their own addition.
template <class Sum, class Term> WENGERT_LOOP Sum sum_of_run(Index first, Index n, const Term& term) {
  return n < kMany ? sum_of_run<8, Sum>(first, n, term) : sum_of_run<32, Sum>(first, n, term);
}
template <class Term> WENGERT_LOOP auto sum_of_run(Index first, Index n, const Term& term) {
  return sum_of_run<decltype(term(first))>(first, n, term);
}
template <Index kPartial, class Term> WENGERT_LOOP auto sum_of_run(Index first, Index n, const Term& term) {
  return sum_of_run<kPartial, decltype(term(first))>(first, n, term);
}

/// The sums of a(i) and of b(i) for i in [0, n), each as above, in double.
struct TwoSums {
  double a, b;
};
template <Index kPartial, class A, class B> WENGERT_LOOP TwoSums sums_of_run(Index n, const A& a, const B& b) {
  constexpr Index kGroups = kGroup * kPartial;
  double of_a[kPartial] = {}, of_b[kPartial] = {};
  Index i = 0;
  if constexpr (kAddsGroups<double, A> && kAddsGroups<double, B>) {
    for (; n >= kMany && i + kGroups <= n; i += kGroups)
      for (Index k = 0; k < kPartial; ++k) of_a[k] += sum_of_group(i + k, kPartial, a), of_b[k] += sum_of_group(i + k, kPartial, b);
    for (; n >= kSome && i + 2 * kPartial <= n; i += 2 * kPartial)
      for (Index k = 0; k < kPartial; ++k) of_a[k] += sum_of_pair(i + k, kPartial, a), of_b[k] += sum_of_pair(i + k, kPartial, b);
  }
  for (; i + kPartial <= n; i += kPartial)
    for (Index k = 0; k < kPartial; ++k) of_a[k] += static_cast<double>(a(i + k)), of_b[k] += static_cast<double>(b(i + k));
  add_last_terms<kPartial>(of_a, 0, i, n, a);
  add_last_terms<kPartial>(of_b, 0, i, n, b);
  return {checked_sum(sum_of_halves<kPartial>(of_a), 0, n, 1, a), checked_sum(sum_of_halves<kPartial>(of_b), 0, n, 1, b)};
}
template <class A, class B> WENGERT_LOOP TwoSums sums_of_run(Index n, const A& a, const B& b) {
  return n < kMany ? sums_of_run<8>(n, a, b) : sums_of_run<32>(n, a, b);
}

/// f(line, position of its element `begin`, columns) for lines that lie side by side, at most `most` at a time.
template <class F> WENGERT_LOOP void for_each_strip(const SomeLines& l, Index most, const F& f) {
  for (Index line = l.first; line < l.last;) {
    const Index o = line / l.inner, i = line - o * l.inner, columns = std::min({most, l.inner - i, l.last - line});
    f(line, (o * l.n + l.begin) * l.inner + i, columns);
    line += columns;
  }
}

/// finish(line, sum) with the sum of term(position, line) over its elements. Sum is the type of the terms, or double for floats.
template <class Sum, class Term, class Finish> WENGERT_LOOP void sum_lines(const SomeLines& l, const Term& term, const Finish& finish) {
  const Index n = l.end - l.begin;
  if (l.are_short()) {
    static_assert(kShort <= kSome);  // no groups, no pairs
    for_each_short_lines(
        l, [&](Index first, Index lines) __attribute__((always_inline)) {
          Sum sums[kShortAbreast] = {};
          for (Index k = l.begin; k < l.end; ++k)
            for (Index i = 0; i < lines; ++i) sums[i] += static_cast<Sum>(term((first + i) * l.n + k, first + i));
          for (Index i = 0; i < lines; ++i) finish(first + i, sums[i]);
        });
    return;
  }
  if (l.inner == 1) {
    for (Index o = l.first; o < l.last; ++o)
      finish(o, sum_of_run<Sum>(
                    o * l.n + l.begin, n, [&](Index at) __attribute__((always_inline)) { return term(at, o); }));
    return;
  }
  constexpr Index kMost = kLinesAbreast<std::decay_t<decltype(term(Index{}, Index{}))>>;
  for_each_strip(
      l, kMost, [&](Index line, Index first, Index columns) __attribute__((always_inline)) {
        const auto term_of = [&](Index i) __attribute__((always_inline)) {
          return [&, i ](Index at) __attribute__((always_inline)) { return term(at, line + i); };
        };
        const auto reduce = [&](Index columns) __attribute__((always_inline)) {
          Sum sums[kMost];
          for (Index i = 0; i < columns; ++i) sums[i] = 0;
          Index k = 0;
          if constexpr (kAddsGroups<Sum, decltype(term_of(0))>) {
            for (; n >= kMany && k + kGroup <= n; k += kGroup)
              for (Index i = 0; i < columns; ++i) sums[i] += sum_of_group(first + k * l.inner + i, l.inner, term_of(i));
            for (; n >= kSome && k + 2 <= n; k += 2)
              for (Index i = 0; i < columns; ++i) sums[i] += sum_of_pair(first + k * l.inner + i, l.inner, term_of(i));
          }
          for (; k < n; ++k)
            for (Index i = 0; i < columns; ++i) sums[i] += static_cast<Sum>(term(first + k * l.inner + i, line + i));
          if (n >= kSome)
            for (Index i = 0; i < columns; ++i) sums[i] = checked_sum(sums[i], first + i, n, l.inner, term_of(i));
          for (Index i = 0; i < columns; ++i) finish(line + i, sums[i]);
        };
        columns == kMost ? reduce(kMost) : reduce(columns);
      });
}
/// to[line] = the sum.
template <class Sum, class T, class Term> WENGERT_LOOP void sum_lines(const SomeLines& l, T* to, const Term& term) {
  sum_lines<Sum>(
      l, term, [to](Index line, Sum sum) __attribute__((always_inline)) { to[line] = static_cast<T>(sum); });
}

/// y[position] = f(position, a[line], b[line]) for every element.
template <class T, class F> WENGERT_LOOP void for_each_in_lines(const SomeLines& l, T* y, const T* a, const T* b, const F& f) {
  const Index n = l.end - l.begin;
  if (l.inner == 1) {
    for (Index o = l.first; o < l.last; ++o) {
      const T p = a[o], q = b[o];
      for (Index at = o * l.n + l.begin; at < o * l.n + l.end; ++at) y[at] = f(at, p, q);
    }
    return;
  }
  for_each_strip(
      l, l.inner, [&](Index line, Index first, Index columns) __attribute__((always_inline)) {
        for (Index k = 0; k < n; ++k, first += l.inner)
          for (Index i = 0; i < columns; ++i) y[first + i] = f(first + i, a[line + i], b[line + i]);
      });
}

// ---- over the pool ----------------------------------------------------------------------------------------------------------------------

/// f(some lines) for blocks that together are all lines; an element takes `ns` nanoseconds (blocks.h).
template <class F> void for_blocks_of_lines(const Lines& l, double ns, F&& f) {
  const Index unit = l.inner == 1 ? 1 : std::min(l.inner, kElementsTogether);
  for_blocks_of(l.count(), ns * static_cast<double>(l.n), unit, [&](Index first, Index last) { f(SomeLines(l, first, last)); });
}

// (Loops capture by value: the compiler keeps in registers what nobody else can see.)

/// for_each_in_lines for all lines.
template <class T, class F> void for_each_in_all_lines(const Lines& l, double ns, T* y, const T* a, const T* b, const F& f) {
  const auto loop = [&](const SomeLines& some) {
    run_on_best_target([=]() __attribute__((always_inline)) { for_each_in_lines(some, y, a, b, f); });
  };
  if (l.outer >= l.n) {
    for_blocks_of(l.outer, ns * static_cast<double>(l.n * l.inner),
                  [&](Index first, Index last) { loop(SomeLines(l, first * l.inner, last * l.inner)); });
  } else {
    for_blocks_of(l.n, ns * static_cast<double>(l.count()), [&](Index begin, Index end) { loop(SomeLines(l, 0, l.count(), begin, end)); });
  }
}

/// A long line is reduced in parts of `size` elements, and then what is left of these. The size depends on those of the lines alone.
struct PartsOfLines {
  explicit PartsOfLines(const Lines& l) {
    constexpr Index kPart = 32768;
    const Index part = l.inner == 1 ? kPart : kPart / kAbreast;
    size = l.n < 2 * part ? std::max(l.n, Index{1}) : part;
    count = std::max((l.n + size - 1) / size, Index{1});
  }
  Index size, count;
};

/// Lines of few elements side by side leave vectors empty. Where they are long, `folds` rows are treated as one wider row, of which there
/// are `rows`; else folds is 1. (The last rows of a line may be left over.)
struct FoldedRows {
  explicit FoldedRows(const Lines& l) {
    constexpr Index kNarrow = 8, kLeastRows = 64;
    if (l.inner == 1 || l.inner >= kNarrow || l.n < kLeastRows * (kAbreast / l.inner)) return;
    folds = kAbreast / l.inner;
    rows = l.n / folds;
  }
  Index folds = 1, rows = 0;
};

/// f(some lines, p) for the pth parts of all lines, in blocks over the pool.
template <class F> void for_blocks_of_parts(const Lines& l, double ns, F&& f) {
  const PartsOfLines parts(l);
  const Index strip = l.inner == 1 ? 1 : kLinesAbreast<float>, strips = (l.count() + strip - 1) / strip;
  for_blocks_of(strips * parts.count, ns * static_cast<double>(strip * parts.size), [&](Index at, Index last) {
    for (Index next; at < last; at = next) {  // strips of the same part
      const Index p = at / strips, first_strip = at - p * strips;
      next = std::min(last, (p + 1) * strips);
      const Index first = first_strip * strip, end = std::min((first_strip + next - at) * strip, l.count());
      f(SomeLines(l, first, end, p * parts.size, std::min((p + 1) * parts.size, l.n)), p);
    }
  });
}

/// finish(line, sum) with the sum of term(position, line), as sum_lines has it: 0 for empty lines. The parts of a long line are added in
/// their order.
template <class Sum, class Term, class Finish> void sum_all_lines(const Lines& l, double ns, const Term& term, const Finish& finish) {
  const Index count = l.count(), parts = PartsOfLines(l).count;
  if (parts == 1) {
    return for_blocks_of_parts(l, ns, [&](const SomeLines& some, Index) {
      run_on_best_target([=]() __attribute__((always_inline)) { sum_lines<Sum>(some, term, finish); });
    });
  }
  const Scratch<Sum> sums_of_parts(parts * count);
  Sum* const sums = sums_of_parts.data();
  for_blocks_of_parts(l, ns, [&](const SomeLines& some, Index p) {
    run_on_best_target([=]() __attribute__((always_inline)) { sum_lines<Sum>(some, sums + p * count, term); });
  });
  for (Index line = 0; line < count; ++line) {
    for (Index p = 1; p < parts; ++p) sums[line] += sums[p * count + line];
    finish(line, sums[line]);
  }
}

template <class Term, class Finish> void sum_all_lines(const Lines& l, double ns, const Term& term, const Finish& finish) {
  sum_all_lines<decltype(term(Index{}, Index{}))>(l, ns, term, finish);
}

}  // namespace wengert::kernels

#undef WENGERT_LOOP
