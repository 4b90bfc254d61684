// Internal.
// The bodies of block_kernels.h, for the sources that compile them for one type each.
#pragma once
#include <algorithm>
#include <type_traits>

#include "autodiff/kernels/target.h"
#include "autodiff/program/block_kernels.h"
#include "autodiff/program/lane_functions.h"

// Before a loop: its results do not overlap its operands. (clang tests that at run time.)
#if defined(__clang__)
#define WENGERT_NO_OVERLAP
#else
#define WENGERT_NO_OVERLAP _Pragma("GCC ivdep")
#endif

namespace wengert::detail {

/// Functions that are computed one lane at a time in float64, so that wider registers do not help their loops.
template <class F> constexpr bool kCallsLibrary = std::is_same_v<F, fn::Lgamma> || std::is_same_v<F, fn::Polygamma>;
template <class T, class F> constexpr bool kGainsFromSimd = std::is_same_v<T, float> || !kCallsLibrary<F>;

/// Functions whose loops compilers do not turn into SIMD where an operand is one number: conditions on it become branches.
template <class F> constexpr bool kCopiesNumbers = std::is_same_v<F, fn::Pow>;

/// each(i) for i < n; in blocks for which is_rare(i) holds nowhere usual(i) in its place, which compilers make SIMD of.
template <class Rare, class Usual, class Each>
WENGERT_INLINE void run_by_blocks(Index n, const Rare& is_rare, const Usual& usual, const Each& each) {
  constexpr Index kBlock = 32;
  Index done = 0;
  for (; done + kBlock <= n; done += kBlock) {
    int rare = 0;
    for (Index i = done; i < done + kBlock; ++i) rare |= is_rare(i);
    if (rare) {
      for (Index i = done; i < done + kBlock; ++i) each(i);
    } else {
      WENGERT_NO_OVERLAP
      for (Index i = done; i < done + kBlock; ++i) usual(i);
    }
  }
  for (; done < n; ++done) each(done);
}

/// Element i of an operand, or its one number.
template <int mode, int k, class T> struct OperandOf {
  static constexpr bool one = (mode >> k & 1) != 0;
  const T* p;
  T number;
  WENGERT_INLINE explicit OperandOf(const T* p) : p(p), number(one ? *p : T()) {}
  WENGERT_INLINE T operator[](Index i) const {
    if constexpr (one) return number;
    return p[i];
  }
};

template <class T, class F, int mode> struct ForwardBody {
  WENGERT_INLINE static void run(const ForwardArguments<T>& x) {
    constexpr int operands = FunctionTraits<F>::operands;
    const F f = function_with<F>(x.options);
    T* y = x.y;
    const OperandOf<mode, 0, T> a(x.operands[0]);
    if constexpr (fn::kHoldsInPart<F>) {
      run_by_blocks(
          x.n, [&](Index i) __attribute__((always_inline)) { return fn::is_beyond<F>(a[i]); },
          [&](Index i) __attribute__((always_inline)) { y[i] = straight_value(f, a[i]); },
          [&](Index i) __attribute__((always_inline)) { y[i] = lane_value(f, a[i]); });
    } else if constexpr (operands == 1) {
      WENGERT_NO_OVERLAP
      for (Index i = 0; i < x.n; ++i) y[i] = straight_value(f, a[i]);
    } else if constexpr (operands == 2) {
      const OperandOf<mode, 1, T> b(x.operands[1]);
      WENGERT_NO_OVERLAP
      for (Index i = 0; i < x.n; ++i) y[i] = straight_value(f, a[i], b[i]);
    } else {
      const OperandOf<mode, 1, T> b(x.operands[1]);
      const OperandOf<mode, 2, T> c(x.operands[2]);
      WENGERT_NO_OVERLAP
      for (Index i = 0; i < x.n; ++i) y[i] = straight_value(f, a[i], b[i], c[i]);
    }
  }
};

template <class T, int pair, int mode> struct PairBody {
  WENGERT_INLINE static void run(const ForwardArguments<T>& x) {
    T* y = x.y;
    const OperandOf<mode, 0, T> a(x.operands[0]);
    const OperandOf<mode, 1, T> b(x.operands[1]);
    const OperandOf<mode, 2, T> c(x.operands[2]);
    WENGERT_NO_OVERLAP
    for (Index i = 0; i < x.n; ++i) {
      const T t = pair / 4 == 0 ? a[i] + b[i] : pair / 4 == 1 ? a[i] - b[i] : a[i] * b[i];
      y[i] = pair % 4 == 0 ? t + c[i] : pair % 4 == 1 ? t - c[i] : pair % 4 == 2 ? c[i] - t : t * c[i];
    }
  }
};

/// The rule of operand k: m times the derivative of y with respect to it.
template <class F, int k, class T> WENGERT_INLINE T straight_rule(const F& f, T m, T a, [[maybe_unused]] T b, [[maybe_unused]] T y) {
  using E = fn::Element<T>;
  if constexpr (std::is_same_v<F, fn::Where>) {
    return (a != 0) == (k == 1) ? m : T(0);
  } else if constexpr (FunctionTraits<F>::operands == 1) {
    return fn::pullback(f, E{m}, E{a}, E{y}).v;
  } else if constexpr (k == 0) {
    return fn::left(f, E{m}, E{a}, E{b}, E{y}).v;
  } else {
    return fn::right(f, E{m}, E{a}, E{b}, E{y}).v;
  }
}
template <class F, int k> constexpr fn::Reads reads_of() {
  if constexpr (std::is_same_v<F, fn::Where>) {
    return fn::Reads::a;
  } else if constexpr (FunctionTraits<F>::operands == 1) {
    return F::reads;
  } else {
    return k == 0 ? F::reads_left : F::reads_right;
  }
}

template <class T, class F, int k, int mode, bool first, bool has_sums = (mode >> k & 1) != 0> struct ReverseBody {
  WENGERT_INLINE static void run(const ReverseArguments<T>& x) {
    constexpr fn::Reads reads = reads_of<F, k>();
    // What is not read may lie outside every row: m stands in for it.
    const F f = function_with<F>(x.options);
    const T *m = x.m, *y = reads & fn::Reads::y ? x.y : x.m;
    // NOLINTBEGIN(bugprone-branch-clone): the mode may be 0
    const OperandOf<reads & fn::Reads::a ? mode : 0, 0, T> a(reads & fn::Reads::a ? x.operands[0] : x.m);
    const OperandOf<reads & fn::Reads::b ? mode : 0, 1, T> b(reads & fn::Reads::b ? x.operands[1] : x.m);
    // NOLINTEND(bugprone-branch-clone)
    // An adjoint of 0 passes nothing on, whatever the slope.
    const auto passed = [&](Index i, T slope) __attribute__((always_inline)) {
      if constexpr (reads == fn::Reads::nothing) {
        return slope;
      } else {
        return m[i] == 0 ? T(0) : slope;
      }
    };
    const auto part = [&](Index i) __attribute__((always_inline)) { return passed(i, straight_rule<F, k, T>(f, m[i], a[i], b[i], y[i])); };
    if constexpr (has_sums) {
      T sums[kPartialSums] = {};
      Index i = 0;
      for (; i + kPartialSums <= x.n; i += kPartialSums)
        for (Index j = 0; j < kPartialSums; ++j) sums[j] += part(i + j);
      for (; i < x.n; ++i) sums[i % kPartialSums] += part(i);
      for (Index j = 0; j < kPartialSums; ++j) x.to[j] += sums[j];
    } else {
      T* to = x.to;
      const auto pass = [&](Index i, T slope) __attribute__((always_inline)) {
        if constexpr (first) {
          to[i] = slope;
        } else {
          to[i] += slope;
        }
      };
      if constexpr (requires { F::slope_without_tail(T()); }) {
        run_by_blocks(
            x.n, [&](Index i) __attribute__((always_inline)) { return F::needs_tail(y[i]); },
            [&](Index i) __attribute__((always_inline)) { pass(i, passed(i, m[i] * F::slope_without_tail(y[i]))); },
            [&](Index i) __attribute__((always_inline)) { pass(i, part(i)); });
      } else if constexpr (fn::kHoldsInPart<F> && (reads & fn::Reads::x)) {
        run_by_blocks(
            x.n, [&](Index i) __attribute__((always_inline)) { return fn::is_beyond<F>(a[i]); },
            [&](Index i) __attribute__((always_inline)) { pass(i, part(i)); },
            [&](Index i) __attribute__((always_inline)) {
              if (fn::is_beyond<F>(a[i])) {
                pass(i, passed(i, f.pullback(m[i], a[i], y[i])));
              } else {
                pass(i, part(i));
              }
            });
      } else {
        WENGERT_NO_OVERLAP
        for (Index i = 0; i < x.n; ++i) pass(i, part(i));
      }
    }
  }
};

// ---- numbers that are copied to as many elements as a few lanes have -----------------------------------------------------------------

constexpr Index kCopies = 64;
static_assert(kCopies % kPartialSums == 0);

/// Calls each(first lane, how many) with operands[j] as an array where bit j of `mode` says that it is one number.
template <int mode, class T, class Each>
void for_lanes_with_copies(Index n, const T* const* numbers, const T** operands, const Each& each) {
  T copies[2][kCopies];
  for (int j = 0; j < 2; ++j)
    if (mode >> j & 1) std::fill_n(copies[j], std::min(n, kCopies), *numbers[j]);
  for (Index begin = 0; begin < n; begin += kCopies) {
    for (int j = 0; j < 2; ++j) operands[j] = mode >> j & 1 ? copies[j] : numbers[j] + begin;
    each(begin, std::min(n - begin, kCopies));
  }
}

/// The loop of a function of two operands, by one that takes an array for each of them.
template <class T, int mode> struct ForwardWithCopies {
  template <ForwardLoop<T> loop> static void run(const ForwardArguments<T>& x) {
    ForwardArguments<T> part = x;
    for_lanes_with_copies<mode>(x.n, x.operands, part.operands, [&](Index begin, Index n) {
      part.n = n;
      part.y = x.y + begin;
      loop(part);
    });
  }
};
template <class T, int mode, bool has_sums> struct ReverseWithCopies {
  template <ReverseLoop<T> loop> static void run(const ReverseArguments<T>& x) {
    ReverseArguments<T> part = x;
    for_lanes_with_copies<mode>(x.n, x.operands, part.operands, [&](Index begin, Index n) {
      part.n = n;
      part.to = has_sums ? x.to : x.to + begin;
      part.m = x.m + begin;
      if (x.y) part.y = x.y + begin;
      loop(part);
    });
  }
};

// ---- compiled for each instruction set ----------------------------------------------------------------------------------------------

template <class Body, class Arguments> void run_baseline(const Arguments& x) { Body::run(x); }
#if defined(__x86_64__) && defined(__GNUC__)
template <class Body, class Arguments> __attribute__((target("avx2"))) void run_in_avx2(const Arguments& x) { Body::run(x); }
template <class Body, class Arguments>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))) void run_in_avx512(const Arguments& x) {
  Body::run(x);
}
#endif

template <class Body, class Arguments, bool simd> void (*loop_on(kernels::Isa isa))(const Arguments&) {
#if defined(__x86_64__) && defined(__GNUC__)
  if constexpr (simd) {
    if (isa == kernels::Isa::avx512) return run_in_avx512<Body, Arguments>;
    if (isa == kernels::Isa::avx2) return run_in_avx2<Body, Arguments>;
  }
#endif
  static_cast<void>(isa);
  return run_baseline<Body, Arguments>;
}

/// The same by Copies::run.
template <class Copies, class Body, class Arguments, bool simd> void (*copying_loop_on(kernels::Isa isa))(const Arguments&) {
#if defined(__x86_64__) && defined(__GNUC__)
  if constexpr (simd) {
    if (isa == kernels::Isa::avx512) return Copies::template run<run_in_avx512<Body, Arguments>>;
    if (isa == kernels::Isa::avx2) return Copies::template run<run_in_avx2<Body, Arguments>>;
  }
#endif
  static_cast<void>(isa);
  return Copies::template run<run_baseline<Body, Arguments>>;
}

template <class T, class F, int mode, bool simd> ForwardLoop<T> forward_loop(kernels::Isa isa) {
  if constexpr (kCopiesNumbers<F> && mode != 0) {
    return copying_loop_on<ForwardWithCopies<T, mode>, ForwardBody<T, F, 0>, ForwardArguments<T>, simd>(isa);
  } else {
    return loop_on<ForwardBody<T, F, mode>, ForwardArguments<T>, simd>(isa);
  }
}
template <class T, class F, int k, int mode, bool first, bool simd> ReverseLoop<T> reverse_loop(kernels::Isa isa) {
  if constexpr (kCopiesNumbers<F> && mode != 0) {
    constexpr bool has_sums = (mode >> k & 1) != 0;
    return copying_loop_on<ReverseWithCopies<T, mode, has_sums>, ReverseBody<T, F, k, 0, first, has_sums>, ReverseArguments<T>, simd>(isa);
  } else {
    return loop_on<ReverseBody<T, F, k, mode, first>, ReverseArguments<T>, simd>(isa);
  }
}

template <class F> constexpr bool kHasSlope = requires { F::smooth; };
template <> inline constexpr bool kHasSlope<fn::Where> = true;
template <> inline constexpr bool kHasSlope<fn::Sign> = false;
template <> inline constexpr bool kHasSlope<fn::Floor> = false;
template <> inline constexpr bool kHasSlope<fn::Ceil> = false;
template <> inline constexpr bool kHasSlope<fn::Round> = false;
template <> inline constexpr bool kHasSlope<fn::Step> = false;

template <class T, class F> void add_loops(BlockKernels<T>& to, kernels::Isa isa) {
  constexpr bool simd = kGainsFromSimd<T, F>;
  constexpr int operands = FunctionTraits<F>::operands, opcode = static_cast<int>(FunctionTraits<F>::opcode);
  const auto add_mode = [&]<int mode>(std::integral_constant<int, mode>) {
    to.forward[opcode][mode] = forward_loop<T, F, mode, simd>(isa);
    const auto add_rule = [&]<int k>(std::integral_constant<int, k>) {
      constexpr bool sums = (mode >> k & 1) != 0;
      // A choice's rules read the condition alone.
      constexpr int its_mode = std::is_same_v<F, fn::Where> ? mode & (1 | 1 << k) : mode;
      to.reverse[opcode][k][mode] = reverse_loop<T, F, k, its_mode, false, simd>(isa);
      if constexpr (!sums) to.reverse_first[opcode][k][mode] = reverse_loop<T, F, k, its_mode, true, simd>(isa);
    };
    if constexpr (std::is_same_v<F, fn::Where>) {
      add_rule(std::integral_constant<int, 1>());
      add_rule(std::integral_constant<int, 2>());
    } else if constexpr (kHasSlope<F>) {
      add_rule(std::integral_constant<int, 0>());
      if constexpr (operands == 2) add_rule(std::integral_constant<int, 1>());
    }
  };
  [&]<int... mode>(std::integer_sequence<int, mode...>) { (add_mode(std::integral_constant<int, mode>()), ...); }
  (std::make_integer_sequence<int, (1 << operands) - 1>());
}

template <class T> void add_pairs(BlockKernels<T>& to, kernels::Isa isa) {
  const auto add_mode = [&]<int pair, int mode>(std::integral_constant<int, pair>, std::integral_constant<int, mode>) {
    if constexpr ((mode & 3) != 3) to.pairs[pair][mode] = loop_on<PairBody<T, pair, mode>, ForwardArguments<T>, true>(isa);
  };
  [&]<int... index>(std::integer_sequence<int, index...>) {
    (add_mode(std::integral_constant<int, index / 8>(), std::integral_constant<int, index % 8>()), ...);
  }
  (std::make_integer_sequence<int, 8 * kPairs>());
}

template <class T> BlockKernels<T> make_block_kernels(kernels::Isa isa) {
  BlockKernels<T> to{};
#define WENGERT_FUNCTION(F, ...) add_loops<T, fn::F>(to, isa);
  WENGERT_ARITHMETIC(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
  WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
  WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
  WENGERT_CONDITIONS_OF_ONE(WENGERT_FUNCTION)
  WENGERT_CONDITIONS_OF_TWO(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
  add_loops<T, fn::Where>(to, isa);
  add_pairs(to, isa);
  return to;
}

template <class T> const BlockKernels<T>& block_kernels_of_this_isa() {
  static const BlockKernels<T> tables[kernels::kIsaCount] = {
      make_block_kernels<T>(kernels::Isa::baseline), make_block_kernels<T>(kernels::Isa::sse4), make_block_kernels<T>(kernels::Isa::avx2),
      make_block_kernels<T>(kernels::Isa::avx512), make_block_kernels<T>(kernels::Isa::neon)};
  return tables[static_cast<int>(kernels::isa())];
}

}  // namespace wengert::detail
