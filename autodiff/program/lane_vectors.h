#pragma once
// Internal.
// Numbers of several lanes with the operators of numbers, on the vectors of GCC and clang. The text from [source] to [end] goes into the
// sources that to_cpp writes for lanes, which are C++17 and define `registers` themselves; nothing includes this file.
#include <cmath>
#include <memory>

namespace wengert::detail::lane_vectors {

/// How many registers a value has. In a loop whose rounds wait for each other, the processor works on one while the other waits.
constexpr int registers = 1;

// [source]
#if defined(__AVX512F__)
constexpr int register_width = 8;
#elif defined(__AVX__)
constexpr int register_width = 4;
#else
constexpr int register_width = 2;
#endif
constexpr long width = registers * register_width;

typedef double Vector __attribute__((vector_size(8 * register_width)));
typedef decltype(Vector() < Vector()) VectorMask;
// result.v[r] = value for each register. (Without loops and calls, which compilers would take long to see through.)
#define WENGERT_FOR_REGISTERS(result, value) \
  static_assert(registers <= 2, "");         \
  {                                          \
    constexpr int r = 0;                     \
    result.v[r] = (value);                   \
  }                                          \
  if constexpr (registers > 1) {             \
    constexpr int r = registers - 1;         \
    result.v[r] = (value);                   \
  }
// (Compilers would copy structs in pieces of 16 bytes.)
template <class V> struct Registers {
  Registers() = default;
  Registers(const Registers& x) { WENGERT_FOR_REGISTERS((*this), x.v[r]); }
  Registers& operator=(const Registers& x) {
    WENGERT_FOR_REGISTERS((*this), x.v[r]);
    return *this;
  }
  V v[registers];
};
struct Lanes : Registers<Vector> {
  Lanes() = default;
  Lanes(double x) { WENGERT_FOR_REGISTERS((*this), x - Vector{}); }
};
struct Mask : Registers<VectorMask> {
  Mask() = default;
  Mask(bool x) { WENGERT_FOR_REGISTERS((*this), VectorMask{} - x); }
};
#define WENGERT_IN_REGISTERS(Result, function, value) \
  inline Result function {                            \
    Result result;                                    \
    WENGERT_FOR_REGISTERS(result, value)              \
    return result;                                    \
  }
WENGERT_IN_REGISTERS(Lanes, operator+(Lanes x, Lanes y), x.v[r] + y.v[r])
WENGERT_IN_REGISTERS(Lanes, operator-(Lanes x, Lanes y), x.v[r] - y.v[r])
WENGERT_IN_REGISTERS(Lanes, operator*(Lanes x, Lanes y), x.v[r] * y.v[r])
WENGERT_IN_REGISTERS(Lanes, operator/(Lanes x, Lanes y), x.v[r] / y.v[r])
WENGERT_IN_REGISTERS(Lanes, operator-(Lanes x), -x.v[r])
WENGERT_IN_REGISTERS(Mask, operator<(Lanes x, Lanes y), x.v[r] < y.v[r])
WENGERT_IN_REGISTERS(Mask, operator<=(Lanes x, Lanes y), x.v[r] <= y.v[r])
WENGERT_IN_REGISTERS(Mask, operator==(Lanes x, Lanes y), x.v[r] == y.v[r])
WENGERT_IN_REGISTERS(Mask, operator!=(Lanes x, Lanes y), x.v[r] != y.v[r])
WENGERT_IN_REGISTERS(Mask, signbit(Lanes x), reinterpret_cast<VectorMask>(x.v[r]) < 0)
WENGERT_IN_REGISTERS(Mask, operator&(Mask x, Mask y), x.v[r] & y.v[r])
WENGERT_IN_REGISTERS(Mask, operator|(Mask x, Mask y), x.v[r] | y.v[r])
WENGERT_IN_REGISTERS(Mask, operator~(Mask x), ~x.v[r])
WENGERT_IN_REGISTERS(Lanes, where(Mask m, Lanes x, Lanes y), m.v[r] ? x.v[r] : y.v[r])
#define WENGERT_FUNCTION(f)                                       \
  inline Vector f(Vector x) {                                     \
    for (int l = 0; l < register_width; ++l) x[l] = std::f(x[l]); \
    return x;                                                     \
  }                                                               \
  WENGERT_IN_REGISTERS(Lanes, f(Lanes x), f(x.v[r]))
WENGERT_FUNCTION(sqrt)
WENGERT_FUNCTION(fabs)
WENGERT_FUNCTION(rint)
WENGERT_FUNCTION(floor)
WENGERT_FUNCTION(ceil)
WENGERT_FUNCTION(trunc)
#undef WENGERT_FUNCTION
inline Vector load_register(const double* from) {
  Vector x;
  __builtin_memcpy(&x, from, sizeof x);
  return x;
}
inline void store_register(double* to, Vector x) { __builtin_memcpy(to, &x, sizeof x); }
WENGERT_IN_REGISTERS(Lanes, load(const double* from), load_register(from + r * register_width))
inline void store(double* to, Lanes x) {
  store_register(to, x.v[0]);
  if constexpr (registers > 1) store_register(to + register_width, x.v[registers - 1]);
}
#undef WENGERT_IN_REGISTERS
#undef WENGERT_FOR_REGISTERS

/// The lanes of columns, from `first` on.
struct Columns {
  const double* const* columns;
  long first;
  Lanes operator[](long k) const { return load(columns[k] + first); }
};
struct Results {
  struct Element {
    double* to;
    void operator=(Lanes x) const { store(to, x); }
  };
  double* const* columns;
  long first;
  Element operator[](long k) const { return {columns[k] + first}; }
};
/// Sums over lanes, each of 16 parts, which lane i adds to part i % 16: so their rounding does not depend on the registers.
struct Sums {
  struct Element {
    double* to;
    Mask stays;
    void operator+=(Lanes x) const {
      store(to, load(to) + where(stays, x, -0.0));  // which changes no sum
    }
  };
  static constexpr long parts = 16;
  double* sums;  // those of the lanes at hand
  Mask stays;
  Element operator[](long k) const { return {sums + k * parts, stays}; }
};

/// f(d, first, n) for n lanes from `first` on, again and again: `width` of them, and at last those that remain, behind which d repeats the
/// last one. Of many columns some lanes are copied together, because lines of memory that are far apart displace each other in the cache.
template <int data, class F> void for_each_vector(long lanes, const double* const* columns, const F& f) {
  constexpr bool many = data > 64;
  constexpr long most = !many ? width : data > 512 ? 64 : 256;
  const long held = lanes < most ? (lanes + width - 1) / width * width : most, pitch = many ? held + 8 : held;
  const std::unique_ptr<double[]> memory(new double[data * pitch]);
  const std::unique_ptr<double*[]> copies(new double*[data]);
  for (long k = 0; k < data; ++k) copies[k] = &memory[k * pitch];
  for (long first = 0; first < lanes; first += most) {
    const bool all = lanes - first >= most;
    const long n = all ? most : lanes - first;
    for (long k = 0; (many || !all) && k < data; ++k) {
      for (long l = 0; l < n; ++l) copies[k][l] = columns[k][first + l];
      for (long l = n; l % width != 0; ++l) copies[k][l] = copies[k][n - 1];
    }
    for (long v = 0; v < n; v += width)
      f(many || !all ? Columns{copies.get(), v} : Columns{columns, first}, first + v, n - v < width ? n - v : width);
  }
}
inline void write_left(Lanes gone, long n, long* left) {
  double numbers[width];
  store(numbers, gone);
  for (long l = 0; l < n; ++l) left[l] = static_cast<long>(numbers[l]);
}

/// gone = compute(d, y) for all lanes.
template <int data, int outputs, class Compute>
void run(const Compute& compute, long lanes, const double* const* columns, double* const* y, long* left) {
  double* const* to = y;
  const std::unique_ptr<double[]> memory(new double[outputs * width]);
  const std::unique_ptr<double*[]> copies(new double*[outputs]);
  for (long o = 0; o < outputs; ++o) copies[o] = &memory[o * width];
  for_each_vector<data>(lanes, columns, [&](Columns d, long first, long n) {
    if (n < width) to = copies.get();
    const Lanes gone = compute(d, Results{to, n < width ? 0 : first});
    write_left(gone, n, left + first);
    for (long o = 0; n < width && o < outputs; ++o)
      for (long l = 0; l < n; ++l) y[o][first + l] = copies[o][l];
  });
}
/// The same for sums, to which compute adds.
template <int data, int outputs, class Compute>
void run(const Compute& compute, long lanes, const double* const* columns, double* y, long* left) {
  constexpr long parts = Sums::parts;
  const std::unique_ptr<double[]> sums(new double[outputs * parts]);
  for (long k = 0; k < outputs * parts; ++k) sums[k] = -0.0;
  for_each_vector<data>(lanes, columns, [&](Columns d, long first, long n) {
    Mask stays = true;
    for (long l = n; l < width; ++l) stays.v[l / register_width][l % register_width] = 0;
    write_left(compute(d, Sums{sums.get() + first % parts, stays}), n, left + first);
  });
  for (long o = 0; o < outputs; ++o) {
    double* const its = sums.get() + o * parts;  // as kernels::tree_sum
    for (long gap = 1; gap < parts; gap *= 2)
      for (long k = 0; k < parts; k += 2 * gap) its[k] += its[k + gap];
    y[o] = its[0];
  }
}
// [end]

}  // namespace wengert::detail::lane_vectors
