#pragma once
// Scalars: a C++ expression of any size becomes one statement {partial derivative, argument}* on the active tape.
//
// An operator on Scalars computes its value at once and returns a small tree of values, which lives in registers after inlining.
// When the tree is assigned to a Scalar, it propagates partial derivatives from the root to the leaves and writes one argument for each
// leaf. Operands are Scalars, temporary expressions, and numbers. An expression kept in `auto` is refused: it holds copies of its scalars,
// and `+=` may have extended their statements since.
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

/// Whether x is neither NaN nor infinite, whatever the user's options for floating-point numbers.
WENGERT_INLINE bool is_finite(double x) {
  constexpr std::uint64_t kExponent = 0x7ff0000000000000u;
  return (std::bit_cast<std::uint64_t>(x) & kExponent) != kExponent;
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
  /// Records a statement of n arguments that continues the scalar `continued`, unless that is 0. Constants among the arguments are left
  /// out. Handles all cases that the fast path does not, such as no writer or no room.
  static std::uint64_t record_carefully(StatementWriter* writer, const V* partials, const std::uint64_t* numbers, int n,
                                        std::uint64_t continued, bool open);
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

/// The base of all nodes. `v` is a node's value, `push` propagates the partial derivative m of the root with respect to the node to its
/// leaves, `list` passes the nodes to ExpressionList. A node can be reconstructed from its `source`.
/// Nodes have user-provided copy constructors: a trivial copy in a cold branch would make g++ keep the whole tree in memory on the hot path
/// too.
struct Expression {
  /// Without this, the concepts of <iterator> (in std::span's constructors) would evaluate the type of a - b, which named expressions
  /// refuse.
  using difference_type = void;
  Expression() = default;
  WENGERT_INLINE Expression(const Expression&) {}  // NOLINT(modernize-use-equals-default)
  WENGERT_UNAVAILABLE(WENGERT_TERNARY) operator const detail::WriteScalarAroundOneSide*() const;
};

template <class T> concept Number = std::is_arithmetic_v<std::remove_cvref_t<T>>;

template <class V> struct Leaf : Expression {
  using Value = V;
  static constexpr int kArguments = 1;
  V v;
  std::uint64_t number;
  WENGERT_INLINE Leaf(const V& value, std::uint64_t number) : v(value), number(number) {}
  WENGERT_INLINE Leaf(const Leaf& o) : Expression(), v(o.v), number(o.number) {}
  WENGERT_INLINE void push(auto& to, const auto& m) const { to.add(m, number); }
  WENGERT_INLINE std::uint64_t any_number() const { return detail::opaque(number); }
  using Source = Leaf;
  WENGERT_INLINE Source source() const { return {detail::opaque(v), detail::opaque(number)}; }
  void list(auto& to) const { to.leaf(v, number); }
};
struct Literal : Expression {
  using Value = double;
  static constexpr int kArguments = 0;
  double v;
  WENGERT_INLINE explicit Literal(double value) : v(value) {}
  WENGERT_INLINE Literal(const Literal& o) : Expression(), v(o.v) {}
  WENGERT_INLINE void push(auto&, const auto&) const {}
  using Source = Literal;
  WENGERT_INLINE Source source() const { return Literal(detail::opaque(v)); }
  WENGERT_INLINE std::uint64_t any_number() const { return 0; }
  void list(auto& to) const { to.literal(v); }
};
template <class F, class E> struct Unary : Expression {
  using Value = typename E::Value;
  static constexpr int kArguments = E::kArguments;
  E e;
  Value v;
  [[no_unique_address]] F f;
  struct Source {
    typename E::Source e;
    Value v;  // stored, because functions may be expensive
    [[no_unique_address]] F f;
  };
  WENGERT_UNAVAILABLE(WENGERT_TERNARY) Unary(Number auto);
  WENGERT_INLINE Unary(const F& f, const E& e) : e(e), v(fn::call(f, e.v)), f(f) {}
  explicit Unary(const Source& s) : e(s.e), v(s.v), f(s.f) {}
  WENGERT_INLINE Source source() const { return {e.source(), detail::opaque(v), f}; }
  WENGERT_INLINE Unary(const Unary& o) : Expression(), e(o.e), v(o.v), f(o.f) {}
  WENGERT_INLINE void push(auto& to, const Value& m) const { e.push(to, f.pullback(m, e.v, v)); }
  WENGERT_INLINE std::uint64_t any_number() const { return e.any_number(); }
  void list(auto& to) const {
    e.list(to);
    to.apply(f, 1);
  }
  /// What the expression was when it was written.
  const Value& value() const { return v; }
};
template <class F, class L, class R> struct Binary : Expression {
  using Value = std::conditional_t<L::kArguments == 0, typename R::Value, typename L::Value>;
  static constexpr int kArguments = L::kArguments + R::kArguments;
  L l;
  R r;
  Value v;
  [[no_unique_address]] F f;
  struct Source {
    typename L::Source l;
    typename R::Source r;
    [[no_unique_address]] F f;
  };
  WENGERT_UNAVAILABLE(WENGERT_TERNARY) Binary(Number auto);
  WENGERT_INLINE Binary(const F& f, const L& l, const R& r) : l(l), r(r), v(f.value(l.v, r.v)), f(f) {}
  explicit Binary(const Source& s) : l(s.l), r(s.r), v(s.f.value(l.v, r.v)), f(s.f) {}
  WENGERT_INLINE Source source() const { return {l.source(), r.source(), f}; }
  WENGERT_INLINE Binary(const Binary& o) : Expression(), l(o.l), r(o.r), v(o.v), f(o.f) {}
  WENGERT_INLINE void push(auto& to, const Value& m) const {
    if constexpr (L::kArguments > 0) l.push(to, f.left(m, l.v, r.v, v));
    if constexpr (R::kArguments > 0) r.push(to, f.right(m, l.v, r.v, v));
  }
  WENGERT_INLINE std::uint64_t any_number() const { return l.any_number() | r.any_number(); }
  void list(auto& to) const {
    l.list(to);
    r.list(to);
    to.apply(f, 2);
  }
  /// What the expression was when it was written.
  const Value& value() const { return v; }
};

template <class T> struct IsScalar : std::false_type {};
template <class V> struct IsScalar<BasicScalar<V>> : std::true_type {};

/// An expression of Scalars: a temporary, or kept in a variable (`auto`), which can no longer be an operand.
template <class T> concept ScalarExpression = std::is_base_of_v<Expression, std::remove_cvref_t<T>>;
template <class T> concept TemporaryExpression = ScalarExpression<T> && !std::is_reference_v<T>;
template <class T> concept KeptExpression = ScalarExpression<T> && std::is_lvalue_reference_v<T>;
template <class T> concept ScalarLike = IsScalar<std::remove_cvref_t<T>>::value || ScalarExpression<T>;
template <class T> concept ScalarOperand = ScalarLike<T> || Number<T>;
/// Two operands of an operator, at least one of which is a Scalar or an expression.
template <class A, class B> concept ScalarOperands = ScalarOperand<A> && ScalarOperand<B> &&(ScalarLike<A> || ScalarLike<B>);

namespace detail {

template <class T> struct IsExpression : std::false_type {};
template <class F, class E> struct IsExpression<Unary<F, E>> : std::true_type {};
template <class F, class L, class R> struct IsExpression<Binary<F, L, R>> : std::true_type {};

/// The Scalar type of an operation on A and B.
template <class A, class B> struct CommonScalar {};
template <class A, class B>
requires ScalarOperands<A, B>
struct CommonScalar<A, B> {
  using type = BasicScalar<typename std::conditional_t<ScalarLike<A>, A, B>::Value>;
};
template <class A, class B> using ScalarOf = typename CommonScalar<std::remove_cvref_t<A>, std::remove_cvref_t<B>>::type;

}  // namespace detail

#define WENGERT_KEPT "an expression kept in `auto` cannot be used, because its Scalars may have changed since: write `Scalar z = x * x`"

// ---- the scalar -------------------------------------------------------------------------------------------------------------------

/// A scalar that a tape can record: a value, and its number on the tape (0: a constant). `Scalar` is BasicScalar<double>; other value types
/// (dual numbers) give second derivatives by forward over reverse.
template <class V> class BasicScalar {
 public:
  using Value = V;

  BasicScalar() = default;
  WENGERT_INLINE BasicScalar(Number auto value) : value_(static_cast<double>(value)) {}
  WENGERT_INLINE BasicScalar(const V& value) requires(!std::is_arithmetic_v<V>) : value_(value) {}
  WENGERT_INLINE BasicScalar(const V& value, std::uint64_t number) : value_(value), number_(number) {}
  WENGERT_INLINE BasicScalar(const BasicScalar& o) noexcept : value_(o.value_), number_(o.share()) {}
  WENGERT_INLINE BasicScalar& operator=(const BasicScalar& o) & noexcept {
    value_ = o.value_;
    number_ = o.share();
    return *this;
  }
  template <class E>  // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): an expression is no scalar
  requires TemporaryExpression<E> WENGERT_INLINE BasicScalar(E&& e, Location site = Location::here())
      : value_(e.v), number_(record(e, site)) {}
  template <class E>
  requires TemporaryExpression<E> WENGERT_INLINE BasicScalar& operator=(E&& e) & {
    number_ = record(e, Location());
    value_ = e.v;
    return *this;
  }
  template <KeptExpression E> WENGERT_UNAVAILABLE(WENGERT_KEPT) BasicScalar(E&& e);  // NOLINT(bugprone-forwarding-reference-overload)
  WENGERT_UNAVAILABLE(WENGERT_TERNARY) BasicScalar(const detail::WriteScalarAroundOneSide*);
  template <KeptExpression E> WENGERT_UNAVAILABLE(WENGERT_KEPT) BasicScalar& operator=(E&& e) &;
  /// The element of a tensor that has one element. Recorded.
  explicit BasicScalar(const Tensor& t, Location site = Location::here()) requires std::same_as<V, double>
      : value_(t.item()), number_(detail::tensor_to_scalar(t, 0, site)) {}

  WENGERT_INLINE BasicScalar& operator+=(ScalarOperand auto&& e) &;
  WENGERT_INLINE BasicScalar& operator-=(ScalarOperand auto&& e) &;
  WENGERT_INLINE BasicScalar& operator*=(ScalarOperand auto&& e) &;
  WENGERT_INLINE BasicScalar& operator/=(ScalarOperand auto&& e) &;

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

  const V& value() const { return value_; }
  /// The number of this value on its tape; 0 for a constant. No two values of a process have the same number.
  std::uint64_t number() const { return share(); }
  /// The same value as a constant: gradients stop here.
  BasicScalar constant() const { return BasicScalar(value_, 0); }

  WENGERT_INLINE Leaf<V> leaf() const { return {value_, number_}; }

 private:
  template <class> friend class StatementList;

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
    if (!detail::never(begin > writer->args_limit)) {
      const detail::Arguments<V, n> a(e, V(1));
      const std::uint32_t next = writer->next();
      char* p = begin;
      if (!detail::never(!write_arguments(a, p, writer->base, next))) return writer->commit(next, begin, p, false);
    }
    return detail::valid(record_slowly<E>(e.source(), detail::opaque(site)));
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
    if (!detail::never(begin > writer->args_limit)) {
      const detail::Arguments<V, E::kArguments> a(e, V(kSign));
      const std::uint64_t base = writer->base, own = number_ - base;
      if (own == writer->open_statement()) {
        char* p = begin;
        const bool ours = write_arguments(a, p, base, own);  // no self-reference: only smaller indices
        if (!detail::never(!ours || !writer->extend(p))) return number_;
      }
      const std::uint32_t next = writer->next();
      const bool continues = own < next;
      if (!detail::never(!continues && number_ != 0)) {
        char* p = continues ? detail::write(begin, static_cast<std::uint32_t>(own)) : begin;
        if (!detail::never(!write_arguments(a, p, base, next))) return writer->commit(next, begin, p, true);
      }
    }
    return detail::valid(accumulate_slowly<kSign, E>(e.source(), value_, number_));
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

  template <class E> __attribute__((noinline, cold)) static std::uint64_t record_slowly(typename E::Source source, Location site) noexcept {
    return record_slowly(E(source), V(1), 0, false, site);
  }
  template <int kSign, class E> __attribute__((noinline, cold)) static std::uint64_t accumulate_slowly(typename E::Source source, V value,
                                                                                                       std::uint64_t number) noexcept {
    using F = std::conditional_t<(kSign > 0), fn::Add, fn::Subtract>;
    const E e(source);
    if (on_tensors()) return record_slowly(Binary<F, Leaf<V>, E>(F{}, Leaf<V>(value, number), e), V(1), 0, false, Location());
    if (is_watched()) return record_watched(e, V(kSign), number, true, Binary<F, Leaf<V>, E>(F{}, Leaf<V>(value, number), e), Location());
    return record_slowly(e, V(kSign), number, true, Location());
  }
  template <class E>
  static std::uint64_t record_slowly(const E& e, const V& m, std::uint64_t continued, bool open, Location site) noexcept {
    if (is_watched()) return record_watched(e, m, continued, open, e, site);
    try {
      if constexpr (std::same_as<V, double>) {
        if (on_tensors()) return detail::ExpressionList(e).record_on_tensors(site);
      }
      const detail::Arguments<V, E::kArguments> a(e, m);
      return StatementWriter<V>::record_carefully(active_writer<V>, a.partial, a.number, E::kArguments, continued, open);
    } catch (...) {
      detail::keep_error();
      return detail::kFailed;
    }
  }
  static bool on_tensors() {
    if constexpr (!std::same_as<V, double>) return false;
    return active_writer<V> && active_writer<V>->higher_order;
  }
  static bool is_watched() {
    if constexpr (!std::same_as<V, double>) return false;
    return active_writer<V> && active_writer<V>->watched;
  }
  /// Records e, and shows the tape's watch `shown`, of which it is the part that the statement's arguments come from.
  template <class E, class Shown> static std::uint64_t record_watched(const E& e, const V& m, std::uint64_t continued, bool open,
                                                                      const Shown& shown, Location site) noexcept {
    if constexpr (!std::same_as<V, double>) {
      return 0;
    } else {
      try {
        StatementWriter<V>* writer = active_writer<V>;
        const detail::Arguments<V, E::kArguments> a(e, m);
        bool finite = detail::is_finite(shown.v);
        for (int i = 0; i < E::kArguments; ++i) finite = finite && detail::is_finite(a.partial[i]);
        if (finite && !writer->formulas)
          return StatementWriter<V>::record_carefully(writer, a.partial, a.number, E::kArguments, continued, open);
        const detail::ExpressionList list(shown);
        detail::before_statement(*writer, list.steps(), site);
        const std::uint64_t number = StatementWriter<V>::record_carefully(writer, a.partial, a.number, E::kArguments, continued, open);
        detail::after_statement(*writer, number, list.steps(), site);
        return number;
      } catch (...) {
        detail::keep_error();
        return detail::kFailed;
      }
    }
  }

  V value_{};
  std::uint64_t number_ = 0;
};
static_assert(sizeof(Scalar) == 16);

template <IntegerType... I> Scalar Tensor::operator()(I... index) const {
  const Index position[] = {static_cast<Index>(index)..., 0};
  return element_as_scalar({position, sizeof...(index)});
}

namespace detail {

template <class V> WENGERT_INLINE Leaf<V> node(const BasicScalar<V>& s) { return s.leaf(); }
template <ScalarExpression E> WENGERT_INLINE const std::remove_reference_t<E>& node(E&& e) {
  static_assert(TemporaryExpression<E>, WENGERT_KEPT);
  return e;
}
WENGERT_INLINE Literal node(double v) { return Literal(v); }
template <class T> using Node = std::remove_cvref_t<decltype(node(std::declval<T>()))>;

/// The value that comparisons and queries use. They accept expressions kept in `auto`, whose values do not change.
WENGERT_INLINE double value_of(double v) { return v; }
template <ScalarLike E> WENGERT_INLINE const auto& value_of(const E& e) {
  if constexpr (ScalarExpression<E>) {
    return e.v;
  } else {
    return e.value();
  }
}

template <class F> WENGERT_INLINE auto apply(const F& f, ScalarLike auto&& e) {
  return Unary<F, Node<decltype(e)>>(f, node(std::forward<decltype(e)>(e)));
}
template <class F> WENGERT_INLINE auto apply(const F& f, ScalarOperand auto&& a, ScalarOperand auto&& b) {
  return Binary<F, Node<decltype(a)>, Node<decltype(b)>>(f, node(std::forward<decltype(a)>(a)), node(std::forward<decltype(b)>(b)));
}

}  // namespace detail

// ---- operators and functions ------------------------------------------------------------------------------------------------------

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
template <ScalarLike E> WENGERT_INLINE std::remove_cvref_t<E> operator+(E&& e) {
  static_assert(!KeptExpression<E>, WENGERT_KEPT);
  return std::forward<E>(e);
}

#define WENGERT_FUNCTION(F, name) \
  template <ScalarLike E> WENGERT_INLINE auto name(E&& e) { return detail::apply(fn::F{}, std::forward<E>(e)); }
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default)                                   \
  template <ScalarLike E> WENGERT_INLINE auto name(E&& e, double p = p_default) { \
    return detail::apply(fn::checked(fn::F{p}), std::forward<E>(e));              \
  }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default)                                           \
  template <ScalarLike E> WENGERT_INLINE auto name(E&& e, double p = p_default, double q = q_default) { \
    return detail::apply(fn::checked(fn::F{p, q}), std::forward<E>(e));                                 \
  }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name)                                          \
  template <class A, class B>                                              \
  requires ScalarOperands<A, B> WENGERT_INLINE auto name(A&& a, B&& b) {   \
    return detail::apply(fn::F{}, std::forward<A>(a), std::forward<B>(b)); \
  }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
// Under their names in the C++ library.
WENGERT_FUNCTION(Maximum, max)
WENGERT_FUNCTION(Minimum, min)
#undef WENGERT_FUNCTION
template <ScalarLike E> WENGERT_INLINE auto fabs(E&& e) { return detail::apply(fn::Abs{}, std::forward<E>(e)); }

/// The larger of two numbers, or the other one where one is NaN (`max` is NaN then).
template <class A, class B>
requires ScalarOperands<A, B> detail::ScalarOf<A, B> fmax(A&& a, B&& b) {
  const auto x = detail::value_of(a), y = detail::value_of(b);
  if (y != y) return detail::ScalarOf<A, B>(std::forward<A>(a));
  if (x != x) return detail::ScalarOf<A, B>(std::forward<B>(b));
  return max(std::forward<A>(a), std::forward<B>(b));
}
/// The smaller of two numbers, or the other one where one is NaN (`min` is NaN then).
template <class A, class B>
requires ScalarOperands<A, B> detail::ScalarOf<A, B> fmin(A&& a, B&& b) {
  const auto x = detail::value_of(a), y = detail::value_of(b);
  if (y != y) return detail::ScalarOf<A, B>(std::forward<A>(a));
  if (x != x) return detail::ScalarOf<A, B>(std::forward<B>(b));
  return min(std::forward<A>(a), std::forward<B>(b));
}

#define WENGERT_QUERY(name)                                 \
  template <ScalarLike E> WENGERT_INLINE bool name(E&& e) { \
    using std::name;                                        \
    return name(detail::value_of(e));                       \
  }
WENGERT_QUERY(isfinite)
WENGERT_QUERY(isinf)
WENGERT_QUERY(isnan)
WENGERT_QUERY(isnormal)
WENGERT_QUERY(signbit)
#undef WENGERT_QUERY

#define WENGERT_COMPARISON(op) \
  template <class A, class B>  \
  requires ScalarOperands<A, B> WENGERT_INLINE bool operator op(A&& a, B&& b) { return detail::value_of(a) op detail::value_of(b); }
WENGERT_COMPARISON(<)
WENGERT_COMPARISON(<=)
WENGERT_COMPARISON(>)
WENGERT_COMPARISON(>=)
WENGERT_COMPARISON(==)
WENGERT_COMPARISON(!=)
#undef WENGERT_COMPARISON
#undef WENGERT_KEPT
#undef WENGERT_TERNARY

}  // namespace wengert

/// Those of the value type: `std::numeric_limits<Scalar>::infinity()` is a plain number, which converts to Scalar.
template <class V> struct std::numeric_limits<wengert::BasicScalar<V>> : std::numeric_limits<V> {};
template <class F, class E> struct std::numeric_limits<wengert::Unary<F, E>> : std::numeric_limits<typename wengert::Unary<F, E>::Value> {};
template <class F, class L, class R> struct std::numeric_limits<wengert::Binary<F, L, R>>
    : std::numeric_limits<typename wengert::Binary<F, L, R>::Value> {};

/// The common type of an expression and a number, a Scalar or another expression is a Scalar.
template <class A, class B>
requires(wengert::detail::IsExpression<A>::value || wengert::detail::IsExpression<B>::value) struct std::common_type<A, B>
    : wengert::detail::CommonScalar<A, B> {
};
