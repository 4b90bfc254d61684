#pragma once
// The scalar lane: a C++ expression of any size becomes one statement {partial derivative, argument}* on the active tape.
//
// An operator on Scalars computes its value at once and returns a small tree of values, which lives in registers after inlining.
// When the tree is assigned to a Scalar, it walks down from the root, carries the partial derivatives to its leaves and writes one
// argument a leaf. Operands are Scalars, temporaries of expressions, and numbers; an expression kept in `auto` is no operand,
// because its scalars may have moved on since.
//
// What the hot path does, and why (each measured):
//  - One comparison with `args_limit` covers room for the arguments and for the count byte.
//  - An argument costs a subtraction and one branch that is never taken. Nothing is committed before all arguments passed.
//  - Cold paths take copies that are made in the cold branch: a reference to the expression or to *this would force both into memory.
//  - A Scalar is copied as two words; one 16-byte load of two fresh 8-byte stores would fail to forward.
#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "autodiff/error.h"
#include "autodiff/math.h"
#include "autodiff/tensor.h"

namespace wengert {

// ---- the part of a tape that user code writes into directly ------------------------------------------------------------------

/// Where the next statement goes. Arguments are 12 bytes (for doubles), unaligned: {partial; u32 index}. Behind the arguments of a
/// chunk lies one count byte a statement: bits 0-6 the number of arguments; bit 7 says that a u32 index precedes them, the scalar
/// that this statement continues with partial 1 (`s += expression`). Statement k of a tape defines scalar k.
template <class V> struct Lane {
  static constexpr std::uint32_t kArgumentBytes = sizeof(V) + sizeof(std::uint32_t);
  static constexpr std::uint32_t kContinues = 128, kMostArguments = 127;

  char* args = nullptr;        ///< the next free byte
  char* args_limit = nullptr;  ///< beyond it a statement of kMostArguments might not fit; null: take the slow path
  std::uintptr_t counts = 0;   ///< the address of the count byte of statement 0, were it in this chunk
  /// Low half: the index of the next statement; index 0 is nobody's. High half: the open statement, to which one Scalar alone
  /// refers so that `+=` may extend it; 0: none. In one word, so that recording a statement closes the one before for free.
  std::uint64_t position = 1;
  std::uint64_t base = 1;     ///< the number of a scalar is base + its index
  bool higher_order = false;  ///< expressions go through the tensor lane, so that their gradients can be recorded too

  std::uint32_t next() const { return static_cast<std::uint32_t>(position); }
  std::uint64_t open_statement() const { return position >> 32; }
  void close() { position = next(); }
  std::uint8_t& count_of(std::uint64_t statement) { return *reinterpret_cast<std::uint8_t*>(counts + statement); }
  /// 0 for a constant and for a value of an ended tape; a TapeError for a value of another live tape or one that was consumed.
  std::uint32_t index_of(std::uint64_t number) {
    const std::uint64_t d = number - base;
    return d < next() ? static_cast<std::uint32_t>(d) : number ? foreign(number) : 0;
  }
  std::uint32_t foreign(std::uint64_t number);
  void make_room();
  WENGERT_INLINE std::uint64_t commit(std::uint32_t index, char* end, std::uint32_t count_byte, bool open) {
    count_of(index) = static_cast<std::uint8_t>(count_byte);
    args = end;
    position = std::uint64_t(index + 1) | (open ? std::uint64_t(index) << 32 : 0);
    return base + index;
  }
};
extern template struct Lane<double>;

/// The lane of the calling thread's active tape; null outside every tape and while recording is suspended.
template <class V> inline thread_local constinit Lane<V>* active_lane = nullptr;

namespace detail {

/// Nothing is recorded: a TapeError if the number belongs to a tape that lives on another thread.
void check_unrecorded(std::uint64_t number);

template <class V> WENGERT_INLINE char* put_argument(char* p, const V& partial, std::uint32_t index) {
  std::memcpy(p, &partial, sizeof partial);
  std::memcpy(p + sizeof partial, &index, sizeof index);
  return p + Lane<V>::kArgumentBytes;
}

/// The arguments of one statement.
template <class V, int K> struct Arguments {
  V partial[K > 0 ? K : 1];
  std::uint64_t number[K > 0 ? K : 1];
  bool merged[K > 0 ? K : 1];  ///< into an earlier argument of the same scalar, where the compiler can see it
  int n = 0;

  Arguments() = default;
  WENGERT_INLINE Arguments(const Arguments& o) : n(o.n) {  // as of expressions: one by one
#pragma GCC unroll 16
    for (int i = 0; i < K; ++i) {
      partial[i] = o.partial[i];
      number[i] = o.number[i];
      merged[i] = o.merged[i];
    }
  }
  WENGERT_INLINE void put(const V& m, std::uint64_t k) {
    partial[n] = m;
    number[n] = k;
    merged[n] = false;
    ++n;
  }
  /// x * x has one argument. This costs nothing: comparisons that the compiler cannot decide are dropped.
  WENGERT_INLINE void merge_known_duplicates() {
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

// ---- crossings to the tensor lane (a tape for higher orders sends every expression through it) -----------------------------------

Tensor scalar_to_tensor(double value, std::uint64_t number, Dtype dtype, Location where);
std::uint64_t tensor_to_scalar(const Tensor& rank0, Index flat, Location where);
template <class F> Tensor map(const F& f, const Tensor& x, Location where);
template <class F> Tensor zip(const F& f, const Tensor& a, const Tensor& b, Location where);

/// map or zip with a function whose type is known to the callee alone.
using FunctionOnTensors = Tensor (*)(const void* function, const Tensor* operands);
template <class F> Tensor call_on_tensors(const void* function, const Tensor* operands);

/// An expression as operations on tensors of rank 0, operands first. All of it is out of line: it must weigh nothing where expressions
/// are recorded as statements.
class ExpressionOnTensors {
 public:
  ExpressionOnTensors();
  ~ExpressionOnTensors();
  ExpressionOnTensors(const ExpressionOnTensors&) = delete;
  void leaf(double value, std::uint64_t number);
  void literal(double value);
  void apply(FunctionOnTensors call, const void* function, int operands);
  /// The number of the scalar that the expression is.
  std::uint64_t record();

 private:
  void push(Tensor t);
  Tensor* stack_;
  int size_ = 0, capacity_;
};

}  // namespace detail

// ---- expressions: trees of values -----------------------------------------------------------------------------------------------

/// The base of all nodes. `v` is a node's value, `push` carries the partial m of the root to the node's leaves.
/// Nodes have copy constructors of their own, member by member: a copy of trivial bytes in a cold branch would make g++ keep the whole
/// tree in memory on the hot path too.
struct Expression {
  Expression() = default;
  WENGERT_INLINE Expression(const Expression&) {}  // NOLINT(modernize-use-equals-default)
};

template <class V> struct Leaf : Expression {
  using Value = V;
  static constexpr int kArguments = 1;
  V v;
  std::uint64_t number;
  WENGERT_INLINE Leaf(const V& value, std::uint64_t number) : v(value), number(number) {}
  WENGERT_INLINE Leaf(const Leaf& o) : Expression(), v(o.v), number(o.number) {}
  WENGERT_INLINE void push(auto& to, const auto& m) const { to.put(m, number); }
  WENGERT_INLINE std::uint64_t any_number() const { return number; }
  void list(auto& to) const { to.leaf(v, number); }
};
struct Literal : Expression {
  using Value = double;
  static constexpr int kArguments = 0;
  double v;
  WENGERT_INLINE explicit Literal(double value) : v(value) {}
  WENGERT_INLINE Literal(const Literal& o) : Expression(), v(o.v) {}
  WENGERT_INLINE void push(auto&, const auto&) const {}
  WENGERT_INLINE std::uint64_t any_number() const { return 0; }
  void list(auto& to) const { to.literal(v); }
};
template <class F, class E> struct Unary : Expression {
  using Value = typename E::Value;
  static constexpr int kArguments = E::kArguments;
  E e;
  Value v;
  [[no_unique_address]] F f;
  WENGERT_INLINE Unary(const F& f, const E& e) : e(e), v(fn::call(f, e.v)), f(f) {}
  WENGERT_INLINE Unary(const Unary& o) : Expression(), e(o.e), v(o.v), f(o.f) {}
  WENGERT_INLINE void push(auto& to, const Value& m) const { e.push(to, f.chain(m, e.v, v)); }
  WENGERT_INLINE std::uint64_t any_number() const { return e.any_number(); }
  void list(auto& to) const {
    e.list(to);
    to.apply(&detail::call_on_tensors<F>, &f, 1);
  }
};
template <class F, class L, class R> struct Binary : Expression {
  using Value = std::conditional_t<L::kArguments == 0, typename R::Value, typename L::Value>;
  static constexpr int kArguments = L::kArguments + R::kArguments;
  L l;
  R r;
  Value v;
  [[no_unique_address]] F f;
  WENGERT_INLINE Binary(const F& f, const L& l, const R& r) : l(l), r(r), v(f.value(l.v, r.v)), f(f) {}
  WENGERT_INLINE Binary(const Binary& o) : Expression(), l(o.l), r(o.r), v(o.v), f(o.f) {}
  WENGERT_INLINE void push(auto& to, const Value& m) const {
    if constexpr (L::kArguments > 0) l.push(to, f.left(m, l.v, r.v, v));
    if constexpr (R::kArguments > 0) r.push(to, f.right(m, l.v, r.v, v));
  }
  WENGERT_INLINE std::uint64_t any_number() const { return l.any_number() | r.any_number(); }
  void list(auto& to) const {
    l.list(to);
    r.list(to);
    to.apply(&detail::call_on_tensors<F>, &f, 2);
  }
};

template <class T> struct IsScalar : std::false_type {};
template <class V> struct IsScalar<BasicScalar<V>> : std::true_type {};

/// An expression that nobody has a name for.
template <class T> concept TemporaryExpression = std::is_base_of_v<Expression, T> && !std::is_reference_v<T>;
template <class T> concept ScalarLike = IsScalar<std::remove_cvref_t<T>>::value || TemporaryExpression<T>;
template <class T> concept Number = std::is_arithmetic_v<std::remove_cvref_t<T>>;
template <class T> concept ScalarOperand = ScalarLike<T> || Number<T>;
/// Two operands of an operator, at least one of which is of the scalar lane.
template <class A, class B> concept ScalarOperands = ScalarOperand<A> && ScalarOperand<B> &&(ScalarLike<A> || ScalarLike<B>);

// ---- the scalar -------------------------------------------------------------------------------------------------------------------

/// A number that a tape can differentiate with respect to: its value, and the number of the recorded value that it is (0: a constant).
/// `Scalar` is BasicScalar<double>; other value types (dual numbers) give second derivatives by forward over reverse.
template <class V> class BasicScalar {
 public:
  using Value = V;

  BasicScalar() = default;
  WENGERT_INLINE BasicScalar(Number auto value) : value_(static_cast<double>(value)) {}
  WENGERT_INLINE BasicScalar(const V& value) requires(!std::is_arithmetic_v<V>) : value_(value) {}
  WENGERT_INLINE BasicScalar(const V& value, std::uint64_t number) : value_(value), number_(number) {}
  WENGERT_INLINE BasicScalar(const BasicScalar& o) noexcept : value_(o.value_), number_(o.share()) {}
  WENGERT_INLINE BasicScalar& operator=(const BasicScalar& o) noexcept {
    value_ = o.value_;
    number_ = o.share();
    return *this;
  }
  template <class E>  // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): an expression is no scalar
  requires TemporaryExpression<E> WENGERT_INLINE BasicScalar(E&& e) : value_(e.v), number_(record(e)) {}
  template <class E>
  requires TemporaryExpression<E> WENGERT_INLINE BasicScalar& operator=(E&& e) {
    number_ = record(e);
    value_ = e.v;
    return *this;
  }
  /// The element of a tensor that has just one. Recorded: the crossing from the tensor lane to the scalar lane.
  explicit BasicScalar(const Tensor& t, Location where = Location::here()) requires std::same_as<V, double>
      : value_(t.item()), number_(detail::tensor_to_scalar(t, 0, where)) {}

  WENGERT_INLINE BasicScalar& operator+=(ScalarOperand auto&& e);
  WENGERT_INLINE BasicScalar& operator-=(ScalarOperand auto&& e);
  WENGERT_INLINE BasicScalar& operator*=(ScalarOperand auto&& e);
  WENGERT_INLINE BasicScalar& operator/=(ScalarOperand auto&& e);

  const V& value() const { return value_; }
  /// The number of the recorded value that this is; 0 for a constant. No other value of the process ever has it.
  std::uint64_t number() const { return share(); }
  /// The same value as a constant: gradients stop here.
  BasicScalar constant() const { return BasicScalar(value_, 0); }

  WENGERT_INLINE Leaf<V> leaf() const { return {value_, number_}; }

 private:
  template <class> friend class LaneRecords;

  /// The number, for a second holder: from now on `+=` starts a new statement. Moving does the same, so that it is noexcept and
  /// leaves a moved-from Scalar that is still right.
  WENGERT_INLINE std::uint64_t share() const noexcept {
    Lane<V>* lane = active_lane<V>;
    if (lane && number_ - lane->base == lane->open_statement()) [[unlikely]]
      lane->close();
    return number_;
  }

  template <class E> WENGERT_INLINE static std::uint64_t record(const E& e) {
    constexpr int n = E::kArguments;
    static_assert(n <= static_cast<int>(Lane<V>::kMostArguments), "an expression of more than 127 operands: split it");
    Lane<V>* lane = active_lane<V>;
    if (n == 0) return 0;
    if (!lane) return unrecorded(e);
    if (lane->args > lane->args_limit) [[unlikely]] {
      if constexpr (std::same_as<V, double>) {
        if (lane->higher_order) return record_through_tensors(E(e));
      }
      lane->make_room();
    }
    detail::Arguments<V, n> a;
    e.push(a, V(1));
    a.merge_known_duplicates();
    const std::uint64_t base = lane->base;
    const std::uint32_t next = lane->next();
    char* p = lane->args;
    const std::uint32_t count = put_all(a, p, base, next);
    if (!count) [[unlikely]] {
      auto copy = a;
      return record_carefully(*lane, copy);
    }
    return lane->commit(next, p, count, false);
  }
  /// Writes the arguments at p; 0 if one of them is not a scalar below `limit` of this tape.
  template <int n>
  WENGERT_INLINE static std::uint32_t put_all(const detail::Arguments<V, n>& a, char*& p, std::uint64_t base, std::uint64_t limit) {
    std::uint32_t count = 0;
#pragma GCC unroll 16
    for (int i = 0; i < n; ++i) {
      if (!a.merged[i]) {
        const std::uint64_t d = a.number[i] - base;
        if (d >= limit) [[unlikely]]
          return 0;
        p = detail::put_argument(p, a.partial[i], static_cast<std::uint32_t>(d));
        ++count;
      }
    }
    return count;
  }
  /// `value += sign * e`: extends the last statement if it is ours alone, or starts one that continues this scalar.
  template <int kSign, class E> WENGERT_INLINE void accumulate(const E& e) {
    constexpr int n = E::kArguments;
    static_assert(n <= static_cast<int>(Lane<V>::kMostArguments), "an expression of more than 127 operands: split it");
    const V value = kSign > 0 ? V(value_ + e.v) : V(value_ - e.v);
    Lane<V>* lane = active_lane<V>;
    if (n == 0) {
      value_ = value;
      return;
    }
    if (!lane) {
      if (number_ | e.any_number()) [[unlikely]]
        number_ = check_accumulated(E(e), number_);
      value_ = value;
      return;
    }
    if (lane->args > lane->args_limit) [[unlikely]] {
      if constexpr (std::same_as<V, double>) {
        if (lane->higher_order) {
          number_ = accumulate_through_tensors<kSign>(E(e), value_, number_);
          value_ = value;
          return;
        }
      }
      lane->make_room();
    }
    detail::Arguments<V, n> a;
    e.push(a, V(kSign));
    a.merge_known_duplicates();
    const std::uint64_t base = lane->base, own = number_ - base;
    if (own == lane->open_statement()) {
      char* p = lane->args;
      const std::uint32_t count = put_all(a, p, base, own);  // an extended statement must not mention itself: smaller indices only
      const std::uint32_t total = lane->count_of(own) % Lane<V>::kContinues + count;
      if (count && total <= Lane<V>::kMostArguments) [[likely]] {
        lane->args = p;
        lane->count_of(own) = static_cast<std::uint8_t>(lane->count_of(own) + count);
        value_ = value;
        return;
      }
    }
    const std::uint32_t next = lane->next();
    const bool continues = own < next;
    const std::uint32_t continued = static_cast<std::uint32_t>(own);
    char* p = lane->args;
    if (continues) [[likely]] {
      std::memcpy(p, &continued, sizeof continued);
      p += sizeof continued;
    }
    const std::uint32_t count = put_all(a, p, base, next);
    if (!count || (!continues && number_ != 0)) [[unlikely]] {
      auto copy = a;
      number_ = accumulate_carefully(*lane, copy, number_);
    } else {
      number_ = lane->commit(next, p, count | (continues ? Lane<V>::kContinues : 0), true);
    }
    value_ = value;
  }

  // ---- cold paths: constants among the arguments, values of ended tapes (dropped), values that are errors ----

  template <int K>
  __attribute__((noinline)) static char* put_carefully(Lane<V>& lane, const detail::Arguments<V, K>& a, char* p, std::uint32_t& count) {
    for (int i = 0; i < K; ++i) {
      if (a.merged[i]) continue;
      if (const std::uint32_t index = lane.index_of(a.number[i])) {
        p = detail::put_argument(p, a.partial[i], index);
        ++count;
      }
    }
    return p;
  }
  template <int K> __attribute__((noinline)) static std::uint64_t record_carefully(Lane<V>& lane, const detail::Arguments<V, K>& a) {
    std::uint32_t count = 0;
    char* p = put_carefully(lane, a, lane.args, count);
    return count ? lane.commit(lane.next(), p, count, false) : 0;
  }
  template <int K> __attribute__((noinline)) static std::uint64_t accumulate_carefully(Lane<V>& lane, const detail::Arguments<V, K>& a,
                                                                                       std::uint64_t number) {
    std::uint32_t count = 0;
    const std::uint32_t own = lane.index_of(number);
    char* p = put_carefully(lane, a, lane.args + (own ? sizeof own : 0), count);
    if (!count) return own ? number : 0;
    if (own) std::memcpy(lane.args, &own, sizeof own);
    return lane.commit(lane.next(), p, count | (own ? Lane<V>::kContinues : 0), true);
  }
  /// Outside every tape the result is a constant.
  template <class E> WENGERT_INLINE static std::uint64_t unrecorded(const E& e) { return e.any_number() ? check_accumulated(E(e), 0) : 0; }
  template <class E> __attribute__((noinline, cold)) static std::uint64_t check_accumulated(E e, std::uint64_t number) {
    detail::Arguments<V, E::kArguments> a;
    e.push(a, V(1));
    detail::check_unrecorded(number);
    for (int i = 0; i < E::kArguments; ++i) detail::check_unrecorded(a.number[i]);
    return 0;
  }
  template <class E> __attribute__((noinline, cold)) static std::uint64_t record_through_tensors(E e) {
    detail::ExpressionOnTensors on_tensors;
    e.list(on_tensors);
    return on_tensors.record();
  }
  template <int kSign, class E>
  __attribute__((noinline, cold)) static std::uint64_t accumulate_through_tensors(E e, V value, std::uint64_t number) {
    using F = std::conditional_t<(kSign > 0), fn::Add, fn::Subtract>;
    return record_through_tensors(Binary<F, Leaf<V>, E>(F{}, Leaf<V>(value, number), e));
  }

  V value_{};
  std::uint64_t number_ = 0;
};
static_assert(sizeof(Scalar) == 16);

template <class... I>
requires(std::is_integral_v<I>&&...) Scalar Tensor::operator()(I... index) const {
  const Index position[] = {static_cast<Index>(index)..., 0};
  return element_as_scalar({position, sizeof...(index)});
}

namespace detail {

template <class V> WENGERT_INLINE Leaf<V> node(const BasicScalar<V>& s) { return s.leaf(); }
template <class E>
requires TemporaryExpression<E> WENGERT_INLINE const E& node(const E& e) { return e; }
WENGERT_INLINE Literal node(double v) { return Literal(v); }
template <class T> using Node = std::remove_cvref_t<decltype(node(std::declval<T>()))>;

template <class F> WENGERT_INLINE auto apply(const F& f, ScalarLike auto&& e) { return Unary<F, Node<decltype(e)>>(f, node(e)); }
template <class F> WENGERT_INLINE auto apply(const F& f, ScalarOperand auto&& a, ScalarOperand auto&& b) {
  return Binary<F, Node<decltype(a)>, Node<decltype(b)>>(f, node(a), node(b));
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

template <class V> WENGERT_INLINE BasicScalar<V>& BasicScalar<V>::operator+=(ScalarOperand auto&& e) {
  accumulate<1>(detail::node(e));
  return *this;
}
template <class V> WENGERT_INLINE BasicScalar<V>& BasicScalar<V>::operator-=(ScalarOperand auto&& e) {
  accumulate<-1>(detail::node(e));
  return *this;
}
template <class V> WENGERT_INLINE BasicScalar<V>& BasicScalar<V>::operator*=(ScalarOperand auto&& e) {
  return *this = detail::apply(fn::Multiply{}, *this, std::forward<decltype(e)>(e));
}
template <class V> WENGERT_INLINE BasicScalar<V>& BasicScalar<V>::operator/=(ScalarOperand auto&& e) {
  return *this = detail::apply(fn::Divide{}, *this, std::forward<decltype(e)>(e));
}
template <ScalarLike E> WENGERT_INLINE auto operator-(E&& e) { return detail::apply(fn::Negative{}, std::forward<E>(e)); }

#define WENGERT_FUNCTION(F, name) \
  template <ScalarLike E> WENGERT_INLINE auto name(E&& e) { return detail::apply(fn::F{}, std::forward<E>(e)); }
WENGERT_UNARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default) \
  template <ScalarLike E> WENGERT_INLINE auto name(E&& e, double p = p_default) { return detail::apply(fn::F{p}, std::forward<E>(e)); }
WENGERT_UNARY_FUNCTIONS_1(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name, p, p_default, q, q_default)                                           \
  template <ScalarLike E> WENGERT_INLINE auto name(E&& e, double p = p_default, double q = q_default) { \
    return detail::apply(fn::F{p, q}, std::forward<E>(e));                                              \
  }
WENGERT_UNARY_FUNCTIONS_2(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION
#define WENGERT_FUNCTION(F, name)                                          \
  template <class A, class B>                                              \
  requires ScalarOperands<A, B> WENGERT_INLINE auto name(A&& a, B&& b) {   \
    return detail::apply(fn::F{}, std::forward<A>(a), std::forward<B>(b)); \
  }
WENGERT_BINARY_FUNCTIONS(WENGERT_FUNCTION)
#undef WENGERT_FUNCTION

#define WENGERT_COMPARISON(op) \
  template <class A, class B>  \
  requires ScalarOperands<A, B> WENGERT_INLINE bool operator op(A&& a, B&& b) { return detail::node(a).v op detail::node(b).v; }
WENGERT_COMPARISON(<)
WENGERT_COMPARISON(<=)
WENGERT_COMPARISON(>)
WENGERT_COMPARISON(>=)
WENGERT_COMPARISON(==)
WENGERT_COMPARISON(!=)
#undef WENGERT_COMPARISON

}  // namespace wengert

/// Of the value type: `std::numeric_limits<Scalar>::infinity()` is a number, which converts.
template <class V> struct std::numeric_limits<wengert::BasicScalar<V>> : std::numeric_limits<V> {};
