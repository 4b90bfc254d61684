#pragma once
// Scalars: a C++ expression of any size becomes one statement {partial derivative, argument}* on the active tape.
//
// An operator on Scalars computes its value at once and returns a small tree of values, which lives in registers after inlining.
// When the tree is assigned to a Scalar, it propagates partial derivatives from the root to the leaves and writes one argument for each
// leaf. Operands are Scalars, expressions, and numbers. An expression may be kept in `auto`: it holds the values and numbers of its
// scalars.
// Only `s += x` could change what a number means, by extending the statement of s after the expression has read s. So a leaf also holds how
// far the tape had been written. If that has changed when the expression is recorded, and the statement of s was open then and has grown
// since, the slow path records the earlier part of that statement as a statement of its own. An expression that is used at once costs
// nothing for this: the compiler sees that the two positions are the same.
//
// What the hot path does, and why (each measured):
//  - One comparison with `args_limit` checks the room for both the arguments and the statement's length.
//  - An argument costs a subtraction and one branch that is never taken. Nothing is committed until all arguments have been checked.
//  - All other cases are calls out of line, in a branch of probability zero, that do not throw. Otherwise g++ keeps the sum of a loop in
//    memory, where an addition takes twelve cycles instead of three.
//  - Such a call takes copies of the leaves, made in its branch, and recomputes the rest. A reference to the expression or to *this would
//    force both into memory, and a product that is used twice cannot be fused with the addition that uses it.
//  - Arguments are stored with their types, so that the compiler knows that the stores do not alias the writer.
//  - A length is written and never read back here: reading back a value of fewer than 8 bytes takes eight cycles.
//  - A Scalar is copied as two words; one 16-byte load of two recent 8-byte stores would defeat store forwarding.
#include <bit>
#include <cmath>
#include <compare>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "autodiff/error.h"
#include "autodiff/functions/functions.h"
#include "autodiff/scalar/higher_order.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

template <class V> class StatementList;

namespace detail {

/// Returned in place of a number by functions that must not throw; the caller then throws the stored error. A call that may throw makes g++
/// keep all floating-point values that are used after it in memory, if the caller has anything to destroy, such as a tape.
constexpr std::uint64_t kFailed = ~std::uint64_t(0);
void keep_error() noexcept;
[[noreturn]] void throw_kept_error();

/// A branch hint stronger than [[unlikely]]: the condition is assumed never to hold. ([[unlikely]] means one time in ten, which is often
/// enough to spill registers.)
WENGERT_INLINE bool never(bool condition) { return __builtin_expect_with_probability(condition, false, 1.0); }

WENGERT_INLINE std::uint64_t valid(std::uint64_t number) {
  if (never(number == kFailed)) throw_kept_error();
  return number;
}

/// x, hidden from the optimizer. Used for copies in a branch that is never taken; otherwise g++ packs them into vectors before the branch.
template <class T> WENGERT_INLINE T opaque(const T& x) {
  if constexpr (sizeof(T) == sizeof(std::uint64_t)) {
    auto bits = std::bit_cast<std::uint64_t>(x);
    asm("" : "+r"(bits));
    return std::bit_cast<T>(bits);
  } else {
    return x;
  }
}

/// The same for a place: its constants are not kept in registers for a branch that is never taken.
WENGERT_INLINE Location opaque(Location site) {
  asm("" : "+r"(site.file), "+r"(site.line));
  return site;
}

/// What a statement records: the partial derivatives with respect to `count` scalars, and the scalar that it continues, 0 for none. `open`:
/// the next one may extend it.
template <class V> struct StatementArguments {
  const V* partials;
  const std::uint64_t* numbers;
  int count;
  std::uint64_t continued;
  bool open;
};

}  // namespace detail

// ---- the part of a tape that user code writes to directly ------------------------------------------------------------------

/// The place of the next statement. Arguments take 12 bytes (for doubles), unaligned: {partial; u32 index}. A u32 index may precede them:
/// the scalar that this statement continues, with partial 1 (`s += expression`). The arguments of a chunk are followed by the lengths of
/// its statements, in bytes. Statement k of a tape defines scalar k.
template <class V> struct StatementWriter {
  using Length = std::uint16_t;
  static constexpr std::uint32_t kArgumentBytes = sizeof(V) + sizeof(std::uint32_t);
  static constexpr std::uint32_t kMaxArguments = 127;  ///< of one expression
  static constexpr std::size_t kMaxLength = std::numeric_limits<Length>::max();

  char* args = nullptr;        ///< the next free byte
  char* args_limit = nullptr;  ///< beyond this, an expression of kMaxArguments might not fit; null: take the slow path
  std::uintptr_t lengths = 0;  ///< the address that the length of statement 0 would have in this chunk
  /// Low half: the index of the next statement; no scalar has index 0. High half: the open statement, or 0 for none: only one Scalar refers
  /// to it, so `+=` may extend it. Both are in one word, so that recording a statement closes the previous one at no cost.
  std::uint64_t position = 1;
  std::uint64_t base = 1;     ///< the number of a scalar is base + its index
  char* open_args = nullptr;  ///< the beginning of the open statement
  bool higher_order = false;  ///< expressions are recorded as operations on tensors (higher_order.h)
  bool watched = false;       ///< expressions with a value or slope that is not finite are shown to the tape's watch (higher_order.h)
  bool formulas = false;      ///< all expressions are
  /// In place of args_limit where a tape is watched and keeps no formulas: expressions whose numbers are finite need no more than room.
  char* checked_limit = nullptr;

  std::uint32_t next() const { return static_cast<std::uint32_t>(position); }
  std::uint64_t open_statement() const { return position >> 32; }
  void close() { position = next(); }
  Length& length_of(std::uint64_t statement) { return *reinterpret_cast<Length*>(lengths + statement * sizeof(Length)); }
  /// 0 for a constant and for a value of a tape that has ended; a TapeError for a value of another live tape and for a consumed one.
  std::uint32_t index_of(std::uint64_t number) {
    const std::uint64_t d = number - base;
    return d < next() ? static_cast<std::uint32_t>(d) : number ? resolve_other(number) : 0;
  }
  std::uint32_t resolve_other(std::uint64_t number);
  void make_room();
  /// The number of what `number` was when its statement ended at `end_then`, if it was open then. If `+=` has extended it since, the
  /// arguments before `end_then` become a new statement.
  std::uint64_t number_then(std::uint64_t number, const char* end_then);
  /// Records a statement. Constants among the arguments are left out. Handles all cases that the fast path does not, such as no writer or
  /// no room.
  static std::uint64_t record_carefully(StatementWriter* writer, const detail::StatementArguments<V>& arguments);
  /// Completes the next statement, `index`, whose arguments are in [begin, end).
  WENGERT_INLINE std::uint64_t commit(std::uint32_t index, char* begin, char* end, bool open) {
    length_of(index) = static_cast<Length>(end - begin);
    if (open) open_args = begin;
    args = end;
    position = std::uint64_t(index + 1) | (open ? std::uint64_t(index) << 32 : 0);
    return base + index;
  }
  /// Extends the open statement to `end`. Returns false if that makes it too long.
  WENGERT_INLINE bool extend(char* end) {
    const auto length = static_cast<std::size_t>(end - open_args);
    if (detail::never(length > kMaxLength)) return false;
    length_of(open_statement()) = static_cast<Length>(length);
    args = end;
    return true;
  }
};
extern template struct StatementWriter<double>;

/// The writer of the calling thread's active tape; null outside every tape and while recording is suspended.
template <class V> inline thread_local constinit StatementWriter<V>* active_writer = nullptr;

namespace detail {

/// How far a tape has been written.
template <class V> struct WrittenUpTo {
  const char* args = nullptr;
  std::uint64_t position = 0;

  WENGERT_INLINE static WrittenUpTo now() {
    const StatementWriter<V>* writer = active_writer<V>;
    return writer ? WrittenUpTo{writer->args, writer->position} : WrittenUpTo{};
  }
};

/// Checks a value used while nothing is recorded: a TapeError if its number belongs to a live tape of another thread.
void check_unrecorded(std::uint64_t number);

/// A value at any address of a chunk. Stored with its type, because bytes may alias anything: the compiler would have to reload the writer
/// after each store.
template <class T> struct __attribute__((packed)) Unaligned { T value; };
template <class T> WENGERT_INLINE char* write(char* p, const T& value) {
  if constexpr (std::is_arithmetic_v<T>) {
    reinterpret_cast<Unaligned<T>*>(p)->value = value;
  } else {
    std::memcpy(p, &value, sizeof value);
  }
  return p + sizeof value;
}
template <class V> WENGERT_INLINE char* write_argument(char* p, const V& partial, std::uint32_t index) {
  return write(write(p, partial), index);
}

/// Whether x is finite. (std::isfinite would be true for everything in a program that is compiled with -ffinite-math-only.)
WENGERT_INLINE bool finite(double x) {
  constexpr std::uint64_t kInfinity = std::bit_cast<std::uint64_t>(std::numeric_limits<double>::infinity());
  return std::bit_cast<std::uint64_t>(x) << 1 < kInfinity << 1;
}

/// The arguments of one statement.
template <class V, int K> struct Arguments {
  V partial[K > 0 ? K : 1];
  std::uint64_t number[K > 0 ? K : 1];
  bool merged[K > 0 ? K : 1];  ///< merged into an earlier argument of the same scalar
  int n = 0;

  WENGERT_INLINE Arguments(const auto& expression, const V& m) {
    expression.push(*this, m);
    merge_known_duplicates();
  }
  WENGERT_INLINE void add(const V& m, std::uint64_t k) {
    partial[n] = m;
    number[n] = k;
    merged[n] = false;
    ++n;
  }
  /// Merges arguments of the same scalar, so that x * x has one argument. This costs nothing: comparisons that the compiler cannot decide
  /// are dropped. (In long expressions it cannot decide any, because their loops are not unrolled.)
  WENGERT_INLINE void merge_known_duplicates() {
    if constexpr (K > 16) return;
#pragma GCC unroll 16
    for (int i = 1; i < K; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < i; ++j) {
        if (__builtin_constant_p(number[i] == number[j]) && number[i] == number[j] && !merged[j]) {
          partial[j] += partial[i];
          merged[i] = true;
          break;
        }
      }
    }
  }
};

// ---- crossings between scalars and tensors ------------------------------------------------------------------------------------------

Tensor scalar_to_tensor(double value, std::uint64_t number, Dtype dtype, Location site);
std::uint64_t tensor_to_scalar(const Tensor& rank0, Index flat, Location site);

}  // namespace detail

// ---- expressions: trees of values -----------------------------------------------------------------------------------------------

#define WENGERT_TERNARY \
  "an expression of Scalars converts only to Scalar; in `c ? 2 * a : 3 * a + 1` write Scalar(...) around one of the sides"

namespace detail {
/// ?: between expressions of different types would convert both to a pointer to this, so that the compiler says what to write instead.
struct WriteScalarAroundOneSide;
}  // namespace detail

template <class T> concept Number = std::is_arithmetic_v<std::remove_cvref_t<T>> ||
    (std::is_enum_v<std::remove_cvref_t<T>>&& std::is_convertible_v<T, double>);

// Argument-dependent look-up finds the names of this namespace: the operators, and the functions of <cmath>. So it has no others, which
// would hide a user's own template of the same name.
namespace numeric {

/// The base of all nodes. `v` is a node's value, `push` propagates the partial derivative m of the root with respect to the node to its
/// leaves, `list` passes the nodes to ExpressionList. A node can be reconstructed from its `source`. `moved`: whether the tape is not
/// where it was when the node's Scalars were read; `was_open`: whether the statement of one of them was open; `settle` replaces their
/// numbers by number_then. A number converts to an expression that is constant, so that `c ? x * x : 0` is one.
/// Nodes have user-provided copy constructors: a trivial copy in a cold branch would make g++ keep the whole tree in memory on the hot path
/// too.
struct Expression {
  /// Without this, the concepts of <iterator> (in std::span's constructors) would evaluate the type of a - b.
  using difference_type = void;
  Expression() = default;
  WENGERT_INLINE Expression(const Expression&) {}  // NOLINT(modernize-use-equals-default)
  WENGERT_UNAVAILABLE(WENGERT_TERNARY) operator const detail::WriteScalarAroundOneSide*() const;
};

template <class V> struct Leaf : Expression {
  using Value = V;
  static constexpr int kArguments = 1;
  static constexpr bool kFromNumber = true;
  V v;
  std::uint64_t number;
  detail::WrittenUpTo<V> then;
  WENGERT_INLINE Leaf(const V& value, std::uint64_t number, const detail::WrittenUpTo<V>& then = {})
      : v(value), number(number), then(then) {}
  WENGERT_INLINE Leaf(const Leaf& o) : Expression(), v(o.v), number(o.number), then(o.then) {}
  /// A constant.
  WENGERT_INLINE static Leaf of(double value) { return {V(value), 0}; }
  WENGERT_INLINE void push(auto& to, const auto& m) const { to.add(m, number); }
  WENGERT_INLINE bool moved(const char* args) const { return then.args != args; }
  WENGERT_INLINE bool was_open(std::uint64_t base) const { return number - base == then.position >> 32; }
  void settle(StatementWriter<V>& writer) {
    if (was_open(writer.base)) number = writer.number_then(number, then.args);
  }
  WENGERT_INLINE std::uint64_t any_number() const { return detail::opaque(number); }
  using Source = Leaf;
  WENGERT_INLINE Source source() const { return {detail::opaque(v), detail::opaque(number), then}; }
  // (Word by word: see the beginning of this file.)
  WENGERT_INLINE static Leaf from(const Source& s) {
    return {s.v, s.number, {detail::opaque(s.then.args), detail::opaque(s.then.position)}};
  }
  void list(auto& to) const { to.leaf(v, number); }
};
struct Literal : Expression {
  using Value = double;
  static constexpr int kArguments = 0;
  static constexpr bool kFromNumber = true;
  double v;
  WENGERT_INLINE explicit Literal(double value) : v(value) {}
  WENGERT_INLINE Literal(const Literal& o) : Expression(), v(o.v) {}
  WENGERT_INLINE static Literal of(double value) { return Literal(value); }
  WENGERT_INLINE void push(auto&, const auto&) const {}
  WENGERT_INLINE bool moved(const char*) const { return false; }
  WENGERT_INLINE bool was_open(std::uint64_t) const { return false; }
  void settle(auto&) {}
  using Source = Literal;
  WENGERT_INLINE static Literal from(const Source& s) { return Literal(s.v); }
  WENGERT_INLINE Source source() const { return Literal(detail::opaque(v)); }
  WENGERT_INLINE std::uint64_t any_number() const { return 0; }
  void list(auto& to) const { to.literal(v); }
};
template <class F, class E> struct Unary : Expression {
  using Value = typename E::Value;
  static constexpr int kArguments = E::kArguments;
  static constexpr bool kFromNumber = E::kFromNumber;
  E e;
  Value v;
  [[no_unique_address]] F f;
  struct Source {
    typename E::Source e;
    Value v;  // stored, because functions may be expensive
    [[no_unique_address]] F f;
  };
  WENGERT_INLINE Unary(Number auto c) requires kFromNumber : e(E::of(1)), v(static_cast<double>(c)) {}
  WENGERT_UNAVAILABLE(WENGERT_TERNARY) Unary(Number auto) requires(!kFromNumber);
  WENGERT_INLINE Unary(const F& f, const E& e) : e(e), v(fn::call(f, e.v)), f(f) {}
  WENGERT_INLINE explicit Unary(const Source& s) : e(E::from(s.e)), v(s.v), f(s.f) {}
  WENGERT_INLINE static Unary from(const Source& s) { return Unary(s); }
  WENGERT_INLINE Source source() const { return {e.source(), detail::opaque(v), f}; }
  WENGERT_INLINE Unary(const Unary& o) : Expression(), e(o.e), v(o.v), f(o.f) {}
  WENGERT_INLINE void push(auto& to, const Value& m) const { e.push(to, f.pullback(m, e.v, v)); }
  WENGERT_INLINE static Unary of(double value) { return Unary(value); }
  WENGERT_INLINE std::uint64_t any_number() const { return e.any_number(); }
  WENGERT_INLINE bool moved(const char* args) const { return e.moved(args); }
  WENGERT_INLINE bool was_open(std::uint64_t base) const { return e.was_open(base); }
  void settle(auto& writer) { e.settle(writer); }
  void list(auto& to) const {
    if (!any_number()) return to.literal(v);
    e.list(to);
    to.apply(f, 1);
  }
  /// What the expression was when it was written.
  constexpr const Value& value() const { return v; }
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr explicit operator T() const { return static_cast<T>(detail::plain(v)); }
};

/// The c of f(x, c) = x for all x, for the operators. (x + 0 is not x where that is -0.)
template <class F> constexpr bool kHasNeutral =
    std::is_same_v<F, fn::Add> || std::is_same_v<F, fn::Subtract> || std::is_same_v<F, fn::Multiply> || std::is_same_v<F, fn::Divide>;
template <class F> constexpr double kNeutral = std::is_same_v<F, fn::Add> ? -0.0 : std::is_same_v<F, fn::Subtract> ? 0.0 : 1.0;

template <class F, class L, class R> struct Binary : Expression {
  using Value = std::conditional_t<L::kArguments == 0, typename R::Value, typename L::Value>;
  static constexpr int kArguments = L::kArguments + R::kArguments;
  static constexpr bool kFromNumber = kHasNeutral<F> && L::kFromNumber && R::kFromNumber;
  L l;
  R r;
  Value v;
  [[no_unique_address]] F f;
  struct Source {
    typename L::Source l;
    typename R::Source r;
    [[no_unique_address]] F f;
  };
  WENGERT_INLINE Binary(Number auto c) requires kFromNumber : l(L::of(static_cast<double>(c))), r(R::of(kNeutral<F>)), v(l.v) {}
  WENGERT_UNAVAILABLE(WENGERT_TERNARY) Binary(Number auto) requires(!kFromNumber);
  WENGERT_INLINE Binary(const F& f, const L& l, const R& r) : l(l), r(r), v(f.value(l.v, r.v)), f(f) {}
  WENGERT_INLINE explicit Binary(const Source& s) : l(L::from(s.l)), r(R::from(s.r)), v(s.f.value(l.v, r.v)), f(s.f) {}
  WENGERT_INLINE static Binary from(const Source& s) { return Binary(s); }
  WENGERT_INLINE Source source() const { return {l.source(), r.source(), f}; }
  WENGERT_INLINE Binary(const Binary& o) : Expression(), l(o.l), r(o.r), v(o.v), f(o.f) {}
  WENGERT_INLINE void push(auto& to, const Value& m) const {
    if constexpr (L::kArguments > 0) l.push(to, f.left(m, l.v, r.v, v));
    if constexpr (R::kArguments > 0) r.push(to, f.right(m, l.v, r.v, v));
  }
  WENGERT_INLINE static Binary of(double value) { return Binary(value); }
  WENGERT_INLINE std::uint64_t any_number() const { return l.any_number() | r.any_number(); }
  WENGERT_INLINE bool moved(const char* args) const { return l.moved(args) || r.moved(args); }
  WENGERT_INLINE bool was_open(std::uint64_t base) const { return l.was_open(base) || r.was_open(base); }
  void settle(auto& writer) {
    l.settle(writer);
    r.settle(writer);
  }
  void list(auto& to) const {
    if (!any_number()) return to.literal(v);
    l.list(to);
    r.list(to);
    to.apply(f, 2);
  }
  /// What the expression was when it was written.
  constexpr const Value& value() const { return v; }
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr explicit operator T() const { return static_cast<T>(detail::plain(v)); }
};

}  // namespace numeric

template <class T> struct IsScalar : std::false_type {};
template <class V> struct IsScalar<BasicScalar<V>> : std::true_type {};

/// An expression of Scalars.
template <class T> concept ScalarExpression = std::is_base_of_v<numeric::Expression, std::remove_cvref_t<T>>;
template <class T> concept ScalarLike = IsScalar<std::remove_cvref_t<T>>::value || ScalarExpression<T>;
template <class T> concept ScalarOperand = ScalarLike<T> || Number<T>;
/// Two operands of an operator, at least one of which is a Scalar or an expression.
template <class A, class B> concept ScalarOperands = ScalarOperand<A> && ScalarOperand<B> &&(ScalarLike<A> || ScalarLike<B>);

namespace detail {

template <class T> struct IsExpression : std::false_type {};
template <class F, class E> struct IsExpression<numeric::Unary<F, E>> : std::true_type {};
template <class F, class L, class R> struct IsExpression<numeric::Binary<F, L, R>> : std::true_type {};

/// The Scalar type of an operation on A and B.
template <class A, class B> struct CommonScalar {};
template <class A, class B>
requires ScalarOperands<A, B>
struct CommonScalar<A, B> {
  using type = BasicScalar<typename std::conditional_t<ScalarLike<A>, A, B>::Value>;
};
template <class A, class B> using ScalarOf = typename CommonScalar<std::remove_cvref_t<A>, std::remove_cvref_t<B>>::type;

}  // namespace detail

// ---- the scalar -------------------------------------------------------------------------------------------------------------------

namespace numeric {

/// A scalar that a tape can record: a value, and its number on the tape (0: a constant). `Scalar` is BasicScalar<double>; other value types
/// (dual numbers) give second derivatives by forward over reverse.
template <class V> class BasicScalar {
 public:
  /// The type of the value.
  using Value = V;

  BasicScalar() = default;
  WENGERT_INLINE constexpr BasicScalar(Number auto value) : value_(static_cast<double>(value)) {}
  WENGERT_INLINE BasicScalar(const V& value) requires(!std::is_arithmetic_v<V>) : value_(value) {}
  WENGERT_INLINE BasicScalar(const V& value, std::uint64_t number) : value_(value), number_(number) {}
  WENGERT_INLINE BasicScalar(const BasicScalar& o) noexcept : value_(o.value_), number_(o.share()) {}
  WENGERT_INLINE BasicScalar& operator=(const BasicScalar& o) & noexcept {
    value_ = o.value_;
    number_ = o.share();
    return *this;
  }
  template <ScalarExpression E> WENGERT_INLINE BasicScalar(const E& e, Location site = Location::here())
      : value_(e.v), number_(record(e, site)) {}
  template <ScalarExpression E> WENGERT_INLINE BasicScalar& operator=(const E& e) & {
    number_ = record(e, Location());
    value_ = e.v;
    return *this;
  }
  WENGERT_UNAVAILABLE(WENGERT_TERNARY) BasicScalar(const detail::WriteScalarAroundOneSide*);
  /// The element of a tensor that has one element. Recorded.
  explicit BasicScalar(const Tensor& t, Location site = Location::here()) requires std::same_as<V, double>
      : value_(t.item()), number_(detail::tensor_to_scalar(t, 0, site)) {}

  WENGERT_INLINE BasicScalar& operator+=(ScalarOperand auto&& e) &;
  WENGERT_INLINE BasicScalar& operator-=(ScalarOperand auto&& e) &;
  WENGERT_INLINE BasicScalar& operator*=(ScalarOperand auto&& e) &;
  WENGERT_INLINE BasicScalar& operator/=(ScalarOperand auto&& e) &;

  BasicScalar& operator++() & { return *this += 1; }
  BasicScalar& operator--() & { return *this -= 1; }
  BasicScalar operator++(int) & {
    BasicScalar before = *this;
    ++*this;
    return before;
  }
  BasicScalar operator--(int) & {
    BasicScalar before = *this;
    --*this;
    return before;
  }

  // (An element of a tensor, x(0, 1), is a temporary Scalar.)
#define WENGERT_TEMPORARY \
  "this assigns to a temporary Scalar, a copy, and changes nothing; x = slice_update(x, {i, j}, value) replaces an element"
#define WENGERT_ASSIGNMENT(op) template <class E> WENGERT_UNAVAILABLE(WENGERT_TEMPORARY) BasicScalar& operator op(E&& e)&&;
  WENGERT_ASSIGNMENT(=)
  WENGERT_ASSIGNMENT(+=)
  WENGERT_ASSIGNMENT(-=)
  WENGERT_ASSIGNMENT(*=)
  WENGERT_ASSIGNMENT(/=)
#undef WENGERT_ASSIGNMENT
#undef WENGERT_TEMPORARY

  /// The value, without its history.
  constexpr const V& value() const { return value_; }
  /// The value as a number, without its derivative: static_cast<double>(x), static_cast<int>(x) (towards zero), `if (x)` (not 0).
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr explicit operator T() const { return static_cast<T>(detail::plain(value_)); }
  /// The number of this value on its tape; 0 for a constant. No two values of a process have the same number.
  std::uint64_t number() const { return share(); }
  /// The same value as a constant: gradients stop here.
  BasicScalar constant() const { return BasicScalar(value_, 0); }

  /// For operations: the node of an expression that stands for this scalar.
  WENGERT_INLINE Leaf<V> leaf() const { return {value_, number_, detail::WrittenUpTo<V>::now()}; }

 private:
  template <class> friend class wengert::StatementList;

  /// The number, for a second Scalar that refers to the same value: from now on `+=` starts a new statement. A move does the same, so that
  /// it is noexcept and leaves the source unchanged.
  WENGERT_INLINE std::uint64_t share() const noexcept {
    StatementWriter<V>* writer = active_writer<V>;
    if (detail::never(writer && number_ - writer->base == writer->open_statement())) writer->close();
    return number_;
  }

  template <class E> WENGERT_INLINE static std::uint64_t record(const E& e, Location site) {
    constexpr int n = E::kArguments;
    static_assert(n <= static_cast<int>(StatementWriter<V>::kMaxArguments), "an expression of more than 127 operands: split it");
    if constexpr (n == 0) return 0;
    StatementWriter<V>* writer = active_writer<V>;
    if (detail::never(!writer)) return e.any_number() ? detail::valid(record_slowly<E>(e.source(), detail::opaque(site))) : 0;
    char* const begin = writer->args;
    if (!detail::never(begin > writer->args_limit) && !detail::never(e.moved(begin) && e.was_open(writer->base))) {
      std::uint64_t number;
      if (write_statement(*writer, begin, detail::Arguments<V, n>(e, V(1)), number)) return number;
    }
    return detail::valid(record_slowly<E>(e.source(), detail::opaque(site)));
  }
  /// Writes a statement at `begin`. Returns false, and leaves the tape as it was, if an argument is not a scalar of this tape.
  template <int n> WENGERT_INLINE static bool write_statement(StatementWriter<V>& writer, char* begin, const detail::Arguments<V, n>& a,
                                                              std::uint64_t& number) {
    const std::uint32_t next = writer.next();
    char* p = begin;
    if (detail::never(!write_arguments(a, p, writer.base, next))) return false;
    number = writer.commit(next, begin, p, false);
    return true;
  }
  /// `value += sign * e`: extends the last statement if only this Scalar refers to it; otherwise starts one that continues this scalar.
  template <int kSign, class E> WENGERT_INLINE void accumulate(const E& e) {
    constexpr int n = E::kArguments;
    static_assert(n <= static_cast<int>(StatementWriter<V>::kMaxArguments), "an expression of more than 127 operands: split it");
    const V value = kSign > 0 ? V(value_ + e.v) : V(value_ - e.v);
    if constexpr (n > 0) number_ = accumulated<kSign>(e);
    value_ = value;
  }
  template <int kSign, class E> WENGERT_INLINE std::uint64_t accumulated(const E& e) const {
    StatementWriter<V>* writer = active_writer<V>;
    if (detail::never(!writer))
      return number_ | e.any_number() ? detail::valid(accumulate_slowly<kSign, E>(e.source(), value_, number_)) : 0;
    char* const begin = writer->args;
    if (!detail::never(begin > writer->args_limit) && !detail::never(e.moved(begin) && e.was_open(writer->base))) {
      std::uint64_t number;
      if (write_sum(*writer, begin, number_, detail::Arguments<V, E::kArguments>(e, V(kSign)), number)) return number;
    }
    return detail::valid(accumulate_slowly<kSign, E>(e.source(), value_, number_));
  }
  /// The same for a statement that continues the scalar `continued`, or extends its statement if that is open.
  template <int n> WENGERT_INLINE static bool write_sum(StatementWriter<V>& writer, char* begin, std::uint64_t continued,
                                                        const detail::Arguments<V, n>& a, std::uint64_t& number) {
    const std::uint64_t base = writer.base, own = continued - base;
    if (own == writer.open_statement()) {
      char* p = begin;
      const bool ours = write_arguments(a, p, base, own);  // no self-reference: only smaller indices
      number = continued;
      if (!detail::never(!ours || !writer.extend(p))) return true;
    }
    const std::uint32_t next = writer.next();
    const bool continues = own < next;
    if (detail::never(!continues && continued != 0)) return false;
    char* p = continues ? detail::write(begin, static_cast<std::uint32_t>(own)) : begin;
    if (detail::never(!write_arguments(a, p, base, next))) return false;
    number = writer.commit(next, begin, p, true);
    return true;
  }
  /// Writes the arguments at p; false if one of them is not a scalar below `limit` of this tape.
  template <int n>
  WENGERT_INLINE static bool write_arguments(const detail::Arguments<V, n>& a, char*& p, std::uint64_t base, std::uint64_t limit) {
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) {
      if (a.merged[i]) continue;
      const std::uint64_t d = a.number[i] - base;
      if (detail::never(d >= limit)) return false;
      p = detail::write_argument(p, a.partial[i], static_cast<std::uint32_t>(d));
    }
    return true;
  }

  // ---- out of line: no tape, no room, constants among the arguments, values of ended tapes, values that are errors (kFailed) ----

  // A tape with .check_finite comes here for each expression. Where all numbers are finite, it is recorded as quickly as it can be here.

  template <class E> __attribute__((noinline, cold)) static std::uint64_t record_slowly(typename E::Source source, Location site) noexcept {
    if constexpr (std::same_as<V, double>) {
      StatementWriter<V>* const writer = active_writer<V>;
      const E e = E::from(source);
      if (writer && may_be_checked(*writer, e)) {
        const detail::Arguments<V, E::kArguments> a(e, V(1));
        std::uint64_t number;
        if (all_finite(e.v, a) && write_statement(*writer, writer->args, a, number)) return number;
      }
    }
    return record_otherwise<E>(source, site);
  }
  template <int kSign, class E> __attribute__((noinline, cold)) static std::uint64_t accumulate_slowly(typename E::Source source, V value,
                                                                                                       std::uint64_t number) noexcept {
    if constexpr (std::same_as<V, double>) {
      StatementWriter<V>* const writer = active_writer<V>;
      const E e = E::from(source);
      if (writer && may_be_checked(*writer, e)) {
        const detail::Arguments<V, E::kArguments> a(e, V(kSign));
        if (all_finite(value + kSign * e.v, a) && write_sum(*writer, writer->args, number, a, number)) return number;
      }
    }
    return accumulate_otherwise<kSign, E>(source, value, number);
  }
  template <class E> WENGERT_INLINE static bool may_be_checked(const StatementWriter<V>& writer, const E& e) {
    return writer.args <= writer.checked_limit && !(e.moved(writer.args) && e.was_open(writer.base));
  }
  template <int n> WENGERT_INLINE static bool all_finite(double value, const detail::Arguments<V, n>& a) {
    bool all = detail::finite(value);
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) all &= detail::finite(a.partial[i]);
    return all;
  }

  // (Functions of their own: these need e in memory.)
  template <class E>
  __attribute__((noinline, cold)) static std::uint64_t record_otherwise(const typename E::Source& source, Location site) noexcept {
    E e = E::from(source);
    return record_slowly(e, V(1), 0, false, e, site);
  }
  template <int kSign, class E> __attribute__((noinline, cold)) static std::uint64_t accumulate_otherwise(const typename E::Source& source,
                                                                                                          V value,
                                                                                                          std::uint64_t number) noexcept {
    using F = std::conditional_t<(kSign > 0), fn::Add, fn::Subtract>;
    E e = E::from(source);
    Binary<F, Leaf<V>, E> sum(F{}, Leaf<V>(value, number), e);
    return record_slowly(e, V(kSign), number, true, sum, Location());
  }
  /// Records e. `whole` is the expression whose value the statement has; e is the part of it that the arguments come from.
  template <class E, class Whole>
  static std::uint64_t record_slowly(E& e, const V& m, std::uint64_t continued, bool open, Whole& whole, Location site) noexcept {
    try {
      StatementWriter<V>* const writer = active_writer<V>;
      if (writer) e.settle(*writer);
      const detail::Arguments<V, E::kArguments> a(e, m);
      const detail::StatementArguments<V> arguments{a.partial, a.number, E::kArguments, continued, open};
      if constexpr (std::same_as<V, double>) {
        if (writer && (writer->higher_order || writer->watched)) {
          whole.settle(*writer);
          return detail::record_expression(*writer, whole, arguments, site);
        }
      }
      return StatementWriter<V>::record_carefully(writer, arguments);
    } catch (...) {
      detail::keep_error();
      return detail::kFailed;
    }
  }

  V value_{};
  std::uint64_t number_ = 0;
};

}  // namespace numeric

static_assert(sizeof(Scalar) == 16);

inline Scalar Tensor::operator()(Location site) const { return element_as_scalar({}, site); }
template <IntegerType A> Scalar Tensor::operator()(A a, Location site) const { return element_as_scalar({a}, site); }
template <IntegerType A, IntegerType B> Scalar Tensor::operator()(A a, B b, Location site) const { return element_as_scalar({a, b}, site); }
template <IntegerType A, IntegerType B, IntegerType C> Scalar Tensor::operator()(A a, B b, C c, Location site) const {
  return element_as_scalar({a, b, c}, site);
}
template <IntegerType A, IntegerType B, IntegerType C, IntegerType D> Scalar Tensor::operator()(A a, B b, C c, D d, Location site) const {
  return element_as_scalar({a, b, c, d}, site);
}
template <IntegerType A, IntegerType B, IntegerType C, IntegerType D, IntegerType E>
Scalar Tensor::operator()(A a, B b, C c, D d, E e, Location site) const {
  return element_as_scalar({a, b, c, d, e}, site);
}
template <IntegerType... I>
requires(sizeof...(I) > 5) Scalar Tensor::operator()(I... index) const { return element_as_scalar({index...}, made_at()); }

namespace detail {

template <class V> WENGERT_INLINE numeric::Leaf<V> node(const BasicScalar<V>& s) { return s.leaf(); }
template <ScalarExpression E> WENGERT_INLINE const E& node(const E& e) { return e; }
WENGERT_INLINE numeric::Literal node(double v) { return numeric::Literal(v); }
template <class T> using Node = std::remove_cvref_t<decltype(node(std::declval<T>()))>;

/// The value that comparisons and queries use.
WENGERT_INLINE constexpr double value_of(double v) { return v; }
template <ScalarLike E> WENGERT_INLINE constexpr const auto& value_of(const E& e) {
  if constexpr (ScalarExpression<E>) {
    return e.v;
  } else {
    return e.value();
  }
}

template <class F> WENGERT_INLINE auto apply(const F& f, ScalarLike auto&& e) {
  return numeric::Unary<F, Node<decltype(e)>>(f, node(std::forward<decltype(e)>(e)));
}
template <class F> WENGERT_INLINE auto apply(const F& f, ScalarOperand auto&& a, ScalarOperand auto&& b) {
  return numeric::Binary<F, Node<decltype(a)>, Node<decltype(b)>>(f, node(std::forward<decltype(a)>(a)),
                                                                  node(std::forward<decltype(b)>(b)));
}

}  // namespace detail

// ---- operators and functions ------------------------------------------------------------------------------------------------------

namespace numeric {

#define WENGERT_OPERATOR(F, op)                                                 \
  template <class A, class B>                                                   \
  requires ScalarOperands<A, B> WENGERT_INLINE auto operator op(A&& a, B&& b) { \
    return detail::apply(fn::F{}, std::forward<A>(a), std::forward<B>(b));      \
  }
WENGERT_ARITHMETIC(WENGERT_OPERATOR)
#undef WENGERT_OPERATOR

template <class V> WENGERT_INLINE BasicScalar<V>& BasicScalar<V>::operator+=(ScalarOperand auto&& e) & {
  accumulate<1>(detail::node(std::forward<decltype(e)>(e)));
  return *this;
}
template <class V> WENGERT_INLINE BasicScalar<V>& BasicScalar<V>::operator-=(ScalarOperand auto&& e) & {
  accumulate<-1>(detail::node(std::forward<decltype(e)>(e)));
  return *this;
}
template <class V> WENGERT_INLINE BasicScalar<V>& BasicScalar<V>::operator*=(ScalarOperand auto&& e) & {
  return *this = detail::apply(fn::Multiply{}, *this, std::forward<decltype(e)>(e));
}
template <class V> WENGERT_INLINE BasicScalar<V>& BasicScalar<V>::operator/=(ScalarOperand auto&& e) & {
  return *this = detail::apply(fn::Divide{}, *this, std::forward<decltype(e)>(e));
}
template <ScalarLike E> WENGERT_INLINE auto operator-(E&& e) { return detail::apply(fn::Negative{}, std::forward<E>(e)); }
template <ScalarLike E> WENGERT_INLINE std::remove_cvref_t<E> operator+(E&& e) { return std::forward<E>(e); }

#define WENGERT_COMPARISON(op)                                                            \
  template <class A, class B>                                                             \
  requires ScalarOperands<A, B> WENGERT_INLINE constexpr bool operator op(A&& a, B&& b) { \
    return detail::value_of(a) op detail::value_of(b);                                    \
  }
WENGERT_COMPARISON(<)
WENGERT_COMPARISON(<=)
WENGERT_COMPARISON(>)
WENGERT_COMPARISON(>=)
WENGERT_COMPARISON(==)
WENGERT_COMPARISON(!=)
#undef WENGERT_COMPARISON
/// The order of the values.
template <class A, class B>
requires ScalarOperands<A, B>
constexpr std::partial_ordering operator<=>(A&& a, B&& b) {
  const auto &x = detail::value_of(a), &y = detail::value_of(b);
  return x < y    ? std::partial_ordering::less
         : x > y  ? std::partial_ordering::greater
         : x == y ? std::partial_ordering::equivalent
                  : std::partial_ordering::unordered;
}

#define WENGERT_FUNCTION(F, name) \
  template <ScalarLike E> WENGERT_INLINE auto name(E&& e) { return detail::apply(fn::F{}, std::forward<E>(e)); }
WENGERT_CMATH_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_FUNCTION(Abs, fabs)
WENGERT_FUNCTION(Round, rint)
WENGERT_FUNCTION(Round, nearbyint)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name)                                          \
  template <class A, class B>                                              \
  requires ScalarOperands<A, B> WENGERT_INLINE auto name(A&& a, B&& b) {   \
    return detail::apply(fn::F{}, std::forward<A>(a), std::forward<B>(b)); \
  }
WENGERT_BINARY_CMATH_FUNCTIONS(WENGERT_FUNCTION)
WENGERT_FUNCTION(Maximum, max)
WENGERT_FUNCTION(Minimum, min)
#undef WENGERT_FUNCTION

}  // namespace numeric

// The functions that <cmath> does not have. A user's own template of the same name, which a using-directive brings together with these, is
// ambiguous with them. (With concepts in place of enable_if these would be chosen silently, being more constrained.)
#define WENGERT_FUNCTION(F, name) \
  template <class E, std::enable_if_t<ScalarLike<E>, int> = 0> WENGERT_INLINE auto name(const E& e) { return detail::apply(fn::F{}, e); }
WENGERT_OWN_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default)                                                                             \
  template <class E, std::enable_if_t<ScalarLike<E>, int> = 0> WENGERT_INLINE auto name(const E& e, double p = p_default) { \
    return detail::apply(fn::checked(fn::F{p}), e);                                                                         \
  }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default)                        \
  template <class E, std::enable_if_t<ScalarLike<E>, int> = 0>                       \
  WENGERT_INLINE auto name(const E& e, double p = p_default, double q = q_default) { \
    return detail::apply(fn::checked(fn::F{p, q}), e);                               \
  }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name)                                                                                                 \
  template <class A, class B, std::enable_if_t<ScalarOperands<A, B>, int> = 0> WENGERT_INLINE auto name(const A& a, const B& b) { \
    return detail::apply(fn::F{}, a, b);                                                                                          \
  }
WENGERT_BINARY_OWN_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#undef WENGERT_TERNARY

}  // namespace wengert
