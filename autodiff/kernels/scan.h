#pragma once
// Running results along lines (lines.h): each element follows from the one before.
#include <algorithm>

#include "autodiff/kernels/lines.h"
#include "autodiff/kernels/target.h"

namespace wengert::kernels {

/// Lines that are walked side by side where inner is 1, because each step waits for the one before. (More would not stay in the first-level
/// cache where the lengths of lines are powers of two: it holds eight lines of one address modulo 4096.)
inline constexpr Index kScansAbreast = 4;

/// y[at] = state = next(state, at, k) for the kth element of each line, from its first one on or from its last one on, where the state is
/// `initial`. Threads share the lines; an element takes `ns` nanoseconds (blocks.h).
template <class State, class T, class Next>
void scan_lines(const Lines& l, double ns, bool backwards, State initial, T* y, const Next& next) {
  const Index n = l.n;
  const auto position = [=](Index k) { return backwards ? n - 1 - k : k; };
  if (l.inner == 1) {
    for_blocks_of(l.outer, ns * static_cast<double>(n), kScansAbreast, [=](Index o, Index last) {
      for (; o + kScansAbreast <= last; o += kScansAbreast) {
        State states[kScansAbreast];
        std::fill_n(states, kScansAbreast, initial);
        for (Index k = 0; k < n; ++k)
          for (Index r = 0; r < kScansAbreast; ++r) {
            const Index at = (o + r) * n + position(k);
            states[r] = next(states[r], at, k);
            y[at] = static_cast<T>(states[r]);
          }
      }
      for (; o < last; ++o) {
        State state = initial;
        for (Index k = 0; k < n; ++k) {
          const Index at = o * n + position(k);
          state = next(state, at, k);
          y[at] = static_cast<T>(state);
        }
      }
    });
    return;
  }
  for_blocks_of_lines(l, ns, [=, &l](const SomeLines& some) {
    for_each_strip(some, kElementsTogether, [&](Index, Index first, Index columns) {
      run_on_best_target([&]() __attribute__((always_inline)) {
        State states[kElementsTogether];
        for (Index i = 0; i < columns; ++i) states[i] = initial;
        for (Index k = 0; k < n; ++k) {
          const Index row = first + position(k) * l.inner;
          for (Index i = 0; i < columns; ++i) {
            states[i] = next(states[i], row + i, k);
            y[row + i] = static_cast<T>(states[i]);
          }
        }
      });
    });
  });
}

}  // namespace wengert::kernels
