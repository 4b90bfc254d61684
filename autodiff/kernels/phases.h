#pragma once
// A padded dimension split into as many phases as the stride: phase a has every stride-th position, beginning with position a. What the
// windows of outputs i and i + 1 read at the same position are neighbours in a phase, whatever the stride is.
#include <array>
#include <cstddef>

#include "autodiff/kernels/windows.h"

#define WENGERT_LOOP __attribute__((always_inline)) inline

namespace wengert::kernels {

struct PhaseAxis {
  explicit PhaseAxis(const WindowAxis& axis) : axis(axis), size(axis.out + shift(axis.kernel - 1)) {
    for (Index k = 0; k < std::min(axis.kernel, axis.stride); ++k) count = std::max(count, phase(k) + 1);
    if (axis.stride == 2 && count == 2) pairs = std::clamp<Index>(std::min(axis.in / 2, size - (axis.padding + 1) / 2), 0, axis.in / 2);
    for (Index a = 0; a < std::min(count, kKnown); ++a) known[static_cast<std::size_t>(a)] = computed_inputs(a);
  }

  /// Output i reads at position k of its window element i + shift(k) of phase(k).
  Index phase(Index k) const { return k * axis.dilation % axis.stride; }
  Index shift(Index k) const { return k * axis.dilation / axis.stride; }
  /// The elements of a phase that are not padding.
  Range inputs(Index phase) const { return phase < kKnown ? known[static_cast<std::size_t>(phase)] : computed_inputs(phase); }
  Range computed_inputs(Index phase) const {
    const Index offset = phase - axis.padding;
    const Index first = std::clamp<Index>(divided_up(-offset, axis.stride), 0, size);
    return {first, std::clamp(divided_up(axis.in - offset, axis.stride), first, size)};
  }
  /// The input that is an element of a phase.
  Index input(Index phase, Index element) const { return element * axis.stride + phase - axis.padding; }

  WindowAxis axis;
  Index size;       ///< of a phase
  Index count = 1;  ///< how many phases the windows read, with those between them
  Index pairs = 0;  ///< with stride 2: how many of the first inputs are split two by two

  static constexpr Index kKnown = 4;
  std::array<Range, kKnown> known{};  ///< of the first phases, because divisions are slow
};

/// The elements with even inputs and those with odd ones, which are in two phases.
template <class T> struct Pairs {
  WENGERT_LOOP Pairs(const PhaseAxis& p, T* phases, Index distance)
      : even(phases + p.axis.padding % 2 * distance + p.axis.padding / 2),
        odd(phases + (p.axis.padding + 1) % 2 * distance + (p.axis.padding + 1) / 2) {}
  T *even, *odd;
};

/// Splits a row of inputs into its phases, which begin `distance` apart, with zeros for the padding. To be called in a loop of
/// run_elements.
template <class T> WENGERT_LOOP void split_row(const PhaseAxis& p, const T* inputs, T* phases, Index distance) {
  if (p.pairs > 0) {
    const Pairs<T> to(p, phases, distance);
    T* __restrict const even = to.even;
    T* __restrict const odd = to.odd;
    for (Index i = 0; i < p.pairs; ++i) even[i] = inputs[2 * i], odd[i] = inputs[2 * i + 1];
  }
  for (Index a = 0; a < p.count; ++a, phases += distance) {
    const Range valid = p.inputs(a);
    for (Index i = 0; i < valid.first; ++i) phases[i] = 0;
    const T* const from = inputs + p.input(a, 0);
    if (p.axis.stride == 1) {
      for (Index i = valid.first; i < valid.last; ++i) phases[i] = from[i];
    } else {
      for (Index i = valid.first + p.pairs; i < valid.last; ++i) phases[i] = from[i * p.axis.stride];
    }
    for (Index i = valid.last; i < p.size; ++i) phases[i] = 0;
  }
}

/// The transposed map: adds what is not padding to the inputs.
template <class T> WENGERT_LOOP void add_row(const PhaseAxis& p, T* phases, Index distance, T* inputs) {
  if (p.pairs > 0) {
    const Pairs<T> from(p, phases, distance);
    T* __restrict const to = inputs;
    const T *even = from.even, *odd = from.odd;
    for (Index i = 0; i < p.pairs; ++i) to[2 * i] += even[i], to[2 * i + 1] += odd[i];
  }
  for (Index a = 0; a < p.count; ++a, phases += distance) {
    const Range valid = p.inputs(a);
    T* const to = inputs + p.input(a, 0);
    if (p.axis.stride == 1) {
      for (Index i = valid.first; i < valid.last; ++i) to[i] += phases[i];
    } else {
      for (Index i = valid.first + p.pairs; i < valid.last; ++i) to[i * p.axis.stride] += phases[i];
    }
  }
}

}  // namespace wengert::kernels

#undef WENGERT_LOOP
