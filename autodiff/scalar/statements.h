#pragma once
// Internal.
// The statements of a tape: chunks of memory, the reverse sweep and the forward sweep.
//
// A chunk holds arguments, followed by the length of each statement. A statement never crosses chunks. Independent scalars (variables, and
// elements of tensors) take an index and nothing else: a run of them is a segment without arguments, which no sweep visits.
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "autodiff/scalar/numbers.h"
#include "autodiff/scalar/scalar.h"
#include "autodiff/tensor/storage.h"

namespace wengert {
namespace detail {

/// Statements [first, end) of one chunk, with their arguments in [begin, args); or independent scalars (args null).
struct Segment {
  std::uint32_t first, end;
  char *begin, *args;
  std::uintptr_t lengths;
};

/// Memory from the pool that is initially all zero.
template <class V> class Adjoints {
 public:
  Adjoints() = default;
  Adjoints(const Adjoints&) = delete;
  Adjoints& operator=(const Adjoints&) = delete;
  ~Adjoints() { pool::release(data_, capacity_ * sizeof(V)); }
  V* reserve(std::size_t n) {
    if (capacity_ < n) {
      const std::size_t wanted = n > 2 * capacity_ ? n : 2 * capacity_;
      void* grown = pool::allocate(wanted * sizeof(V));
      pool::release(data_, capacity_ * sizeof(V));
      data_ = static_cast<V*>(grown);
      capacity_ = wanted;
      for (V* v = data_; v != data_ + wanted; ++v) *v = V{};
    }
    return data_;
  }
  std::size_t bytes() const { return capacity_ * sizeof(V); }

 private:
  V* data_ = nullptr;
  std::size_t capacity_ = 0;
};

[[noreturn]] void throw_too_many_statements();
[[noreturn]] void throw_too_many_records();
/// Why a Scalar cannot be used on a tape.
enum class Unusable { consumed, of_another_thread, of_the_outer_tape };
[[noreturn]] void throw_unusable_scalar(Unusable why);

/// Whether n scalars have consecutive numbers; `number` points to that of the first.
bool consecutive(const std::uint64_t* number, std::size_t n);

/// The sizes of chunks and the maximum number of records; tests make both tiny, so that every boundary is crossed.
struct ChunkSizes {
  std::uint32_t statements = 21504;
  std::uint32_t nodes = 512;
  std::uint32_t max_records = ~std::uint32_t(0) - 1;  ///< nodes, their inputs, their outputs: each on one tape
};
inline constinit ChunkSizes chunk_sizes{};

}  // namespace detail

template <class V> class StatementList : public StatementWriter<V> {
 public:
  using StatementWriter<V>::kArgumentBytes, StatementWriter<V>::kMaxArguments, typename StatementWriter<V>::Length;
  using StatementWriter<V>::args, StatementWriter<V>::args_limit, StatementWriter<V>::checked_limit, StatementWriter<V>::lengths,
      StatementWriter<V>::position, StatementWriter<V>::base, StatementWriter<V>::next, StatementWriter<V>::close;

  bool reject_outer_values = false;  ///< values of the outer tape are errors, not constants

  static constexpr std::uint32_t kMaxStatements = std::uint32_t(1) << 31;

  StatementList() = default;
  StatementList(const StatementList&) = delete;
  StatementList& operator=(const StatementList&) = delete;
  ~StatementList() {
    for (char* chunk : chunks_) pool::release(chunk, chunk_bytes());
  }

  /// Begins a tape.
  void start(bool higher_order, bool reject_outer_values = false, bool watched = false, bool formulas = false) {
    this->reject_outer_values = reject_outer_values;
    this->watched = watched && !higher_order;  // where expressions become tensor operations, these are watched
    this->formulas = formulas && !higher_order;
    if (chunks_.empty()) add_chunk();
    numbers_.open();
    base = numbers_.first();
    this->higher_order = higher_order;
    rewind();
  }
  void end() noexcept { numbers_.close(base + next()); }
  /// Discards all records; their numbers are never used again.
  void discard_records() {
    base = numbers_.reserve_from(base + next());
    rewind();
  }

  /// The index of the first scalar if they are variables registered before the first statement, with consecutive indices, as `variables`
  /// assigns them; otherwise 0.
  std::uint32_t run_of_variables(std::span<const BasicScalar<V>> scalars) const {
    if (scalars.empty()) return 0;
    const std::uint64_t index = scalars[0].number_ - base;
    const std::uint32_t end = first_statement_;
    const bool run = index < end && scalars.size() <= end - index && detail::consecutive(&scalars[0].number_, scalars.size());
    return run ? static_cast<std::uint32_t>(index) : 0;
  }

  BasicScalar<V> variable(const V& value) {
    if (next() >= variables_limit_) [[unlikely]]
      begin_variables(1);
    return BasicScalar<V>(value, base + position++);
  }
  /// Many at once: the counter stays in a register.
  void variables(std::span<const double> values, std::span<BasicScalar<V>> out) {
    if (values.empty()) return;
    if (values.size() > kMaxStatements - next() || next() >= variables_limit_) begin_variables(values.size());
    const std::uint64_t number = base + next();
    static_assert(std::same_as<V, double>);
    for (std::size_t k = 0; k < values.size(); ++k) {
      const Words words{std::bit_cast<std::uint64_t>(values[k]), number + k};
      std::memcpy(static_cast<void*>(&out[k]), &words, sizeof words);  // as one store
    }
    position += values.size();
  }
  /// The index of a new independent scalar, which a tensor node defines.
  std::uint32_t new_variable_index() {
    if (next() >= variables_limit_) [[unlikely]]
      begin_variables(1);
    return static_cast<std::uint32_t>(position++);
  }

  std::uint32_t statements() const { return next() - 1; }
  std::size_t arguments() const {
    std::size_t count = 0;
    for_each_segment([&](const detail::Segment& s) {
      if (!s.args) return;
      const auto* lengths = reinterpret_cast<const Length*>(s.lengths);
      for (std::uint32_t k = s.first; k < s.end; ++k) count += lengths[k] / kArgumentBytes + (lengths[k] % kArgumentBytes != 0);
    });
    return count;
  }
  std::size_t bytes() const { return chunks_.size() * chunk_bytes() + adjoints_.bytes() + segments_.capacity() * sizeof(detail::Segment); }

  /// The adjoints, zero for every scalar. They are zero between sweeps because a sweep clears what it reads, so no separate pass is needed.
  V* adjoints() { return adjoints_.reserve(next()); }
  void clear_variable_adjoints(V* adjoints) const {
    for_each_segment([&](const detail::Segment& s) {
      if (!s.args) set_to_zero(adjoints + s.first, adjoints + s.end);
    });
  }
  void clear_adjoints(V* adjoints) const { set_to_zero(adjoints, adjoints + next()); }
  /// Whether the scalar is independent, rather than the result of a statement.
  bool is_variable(std::uint32_t index) const {
    if (index < first_statement_) return true;
    return !segment_of(index).args;
  }
  /// The number of what `number` was when its statement ended at `end_then`: another one if `+=` has extended the statement since. Then the
  /// arguments before `end_then` are recorded once more, as a statement of their own, or as several if they are too many for one.
  std::uint64_t number_then(std::uint64_t number, const char* end_then) {
    const std::uint64_t index = number - base;
    if (index == 0 || index >= next()) return number;
    const detail::Segment segment = segment_of(static_cast<std::uint32_t>(index));
    if (!segment.args) return number;
    const auto* length = reinterpret_cast<const Length*>(segment.lengths);
    const char *end = segment.args, *begin = end;
    for (std::uint64_t k = segment.end; k-- > index;) {
      end = begin;
      begin -= length[k];
    }
    if (end_then <= begin || end_then >= end) return number;
    std::uint32_t continued = 0;
    if ((end_then - begin) % kArgumentBytes != 0) {
      std::memcpy(&continued, begin, sizeof continued);
      begin += sizeof continued;
    }
    while (begin != end_then) {
      if (args > args_limit) make_room_for_statement();
      const std::size_t rest = static_cast<std::size_t>(end_then - begin), most = std::size_t(kMaxArguments) * kArgumentBytes;
      const std::size_t bytes = rest < most ? rest : most;
      char* const p = continued ? detail::write(args, continued) : args;
      std::memcpy(p, begin, bytes);
      begin += bytes;
      continued = next();
      this->commit(continued, args, p + bytes, false);
    }
    return base + continued;
  }

  static void set_to_zero(V* first, V* last) {
    for (; first != last; ++first) *first = V{};
  }
  template <class F> void for_each_segment(F&& f) const {
    for (const detail::Segment& s : segments_) f(s);
    f(current());
  }

  void make_room_for_statement() {
    if (next() >= kMaxStatements) detail::throw_too_many_statements();
    const bool full = args > chunk_limit();
    if (this->watched && !full && !variables_limit_) return;  // a watched tape comes here whatever the room
    if (full && chunk_ + 1 == chunks_.size()) add_chunk();
    close_segment();
    if (full) args = chunks_[++chunk_];
    open_segment();
  }
  /// The index of a value that is not among the current records: 0 for a constant; otherwise a TapeError says why it cannot be used.
  std::uint32_t resolve_other(std::uint64_t number) const {
    if (numbers_.contains(number)) detail::throw_unusable_scalar(detail::Unusable::consumed);
    switch (detail::owner_of(number)) {
      case detail::Owner::none:
        return 0;
      case detail::Owner::this_thread:
        if (reject_outer_values) detail::throw_unusable_scalar(detail::Unusable::of_the_outer_tape);
        return 0;  // a value of the tape around this isolated one: a constant here
      case detail::Owner::another_thread:
        break;
    }
    detail::throw_unusable_scalar(detail::Unusable::of_another_thread);
  }

 private:
  template <class> friend class WalkBack;
  template <class> friend class ForwardStatements;

  /// The layout of a Scalar.
  struct Words {
    std::uint64_t value, number;
  };

  // The chunk size, fixed when the first chunk is made.
  std::size_t chunk_arguments() const { return std::size_t(chunk_statements_) * kArgumentBytes; }
  std::size_t chunk_bytes() const { return chunk_arguments() + std::size_t(chunk_statements_) * sizeof(Length); }
  char* chunk_limit() const { return chunks_[chunk_] + chunk_arguments() - (kMaxArguments * kArgumentBytes + 4); }
  void add_chunk() {
    chunks_.reserve(chunks_.size() + 1);
    chunks_.push_back(static_cast<char*>(pool::allocate(chunk_bytes())));
  }
  detail::Segment segment_of(std::uint32_t index) const {
    if (index >= first_) return current();
    std::size_t low = 0, high = segments_.size();  // the first segment that ends beyond the index
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (index < segments_[middle].end) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return segments_[low];
  }
  detail::Segment current() const { return {first_, next(), begin_, variables_limit_ ? nullptr : args, lengths}; }
  void close_segment() {
    if (first_ != next()) segments_.push_back(current());
    first_ = next();
    variables_limit_ = 0;
    close();
  }
  /// Opens a segment of statements at `args` in the current chunk.
  void open_segment() {
    if (segments_.size() == 1 && !segments_[0].args) first_statement_ = next();
    begin_ = args;
    const std::size_t used = static_cast<std::size_t>(args - chunks_[chunk_]);
    lengths = reinterpret_cast<std::uintptr_t>(chunks_[chunk_]) + chunk_arguments() + (used / kArgumentBytes - next()) * sizeof(Length);
    args_limit = this->higher_order || this->watched ? nullptr : chunk_limit();
    checked_limit = this->watched && !this->formulas ? chunk_limit() : nullptr;
  }
  void begin_variables(std::size_t n) {
    if (n > kMaxStatements - next()) detail::throw_too_many_statements();
    if (variables_limit_) return;
    close_segment();
    variables_limit_ = kMaxStatements;
    args_limit = checked_limit = nullptr;
  }
  void rewind() {
    position = 1;
    segments_.clear();
    chunk_ = 0;
    first_ = 1;
    first_statement_ = 1;
    variables_limit_ = 0;
    args = chunks_[0];
    open_segment();
  }

  pool::Vector<detail::Segment> segments_;  // the closed ones
  std::uint32_t first_ = 1;                 // the first statement of the current segment
  char* begin_ = nullptr;                   // the beginning of its arguments
  std::uint32_t first_statement_ = 1;       // all scalars before it are independent
  std::uint32_t variables_limit_ = 0;       // an open run of independent scalars may grow up to here; 0: no run is open
  std::uint32_t chunk_statements_ = detail::chunk_sizes.statements;
  pool::Vector<char*> chunks_;
  std::size_t chunk_ = 0;  // the current chunk
  detail::Adjoints<V> adjoints_;
  detail::NumberRange numbers_;
};

namespace detail {

template <class V> WENGERT_INLINE bool is_zero(const V& v) {
  if constexpr (std::is_arithmetic_v<V>) {
    return v == 0;
  } else {
    return v.is_zero();
  }
}

/// Sweeps over statements from - 1 down to `to`, whose arguments end at `args`:
///     adjoint of argument += partial * adjoint of statement
/// Returns the beginning of the arguments of `to`. A zero adjoint propagates nothing. `kFused`: one rounding instead of two.
template <bool kClear, bool kFused, class V> WENGERT_INLINE char* reverse_statements_inline(const std::uint16_t* lengths,
                                                                                            V* __restrict adjoints, char* args,
                                                                                            std::size_t from, std::size_t to) {
  constexpr std::size_t kBytes = StatementWriter<V>::kArgumentBytes;
  // [reverse]
  for (std::size_t s = from; s-- > to;) {
    const V adjoint = adjoints[s];
    if (kClear) adjoints[s] = V{};
    const char *p = args, *begin = args -= lengths[s];
    asm("" : "+r"(begin));  // or g++ 12 derives `args` from the inner loop's end: a division in every statement's dependency chain
    if (is_zero(adjoint)) [[unlikely]]
      continue;
    do {
      V partial;
      std::uint32_t i;
      p -= kBytes;
      std::memcpy(&partial, p, sizeof partial);
      std::memcpy(&i, p + sizeof partial, sizeof i);
      if constexpr (kFused) {
        adjoints[i] = __builtin_fma(partial, adjoint, adjoints[i]);
      } else {
        adjoints[i] += partial * adjoint;
      }
    } while (p >= begin + kBytes);
    if (p != begin) {
      std::uint32_t i;
      std::memcpy(&i, begin, sizeof i);
      adjoints[i] += adjoint;
    }
  }
  // [reverse]
  return args;
}
template <class V> __attribute__((noinline)) char* reverse_statements(const std::uint16_t* lengths, V* adjoints, char* args,
                                                                      std::size_t from, std::size_t to, bool clear) {
  return clear ? reverse_statements_inline<true, false>(lengths, adjoints, args, from, to)
               : reverse_statements_inline<false, false>(lengths, adjoints, args, from, to);
}
/// Fused if the processor supports it, because a separate multiplication adds most of an argument's latency. So the last bits of a gradient
/// depend on whether the processor has FMA (all since 2013 do), and on nothing else.
template <>
char* reverse_statements(const std::uint16_t* lengths, double* adjoints, char* args, std::size_t from, std::size_t to, bool clear);

}  // namespace detail

/// Walks the statements from the last one down, in steps to given points, so that the tensor nodes interleave with them.
template <class V> class WalkBack {
 public:
  explicit WalkBack(const StatementList<V>& list) : list_(list), next_(list.segments_.size()), at_(list.next()), segment_(list.current()) {}

  /// `sweep(lengths, args, from, to)` handles the statements from - 1 down to `to` of one chunk, whose arguments end at `args`, and returns
  /// the beginning of the arguments of `to`.
  template <class F> void down_to(std::uint32_t to, F&& sweep) {
    while (at_ > to) {
      const std::uint32_t stop = to > segment_.first ? to : segment_.first;
      if (segment_.args) {
        const auto* lengths = reinterpret_cast<const std::uint16_t*>(segment_.lengths);
        segment_.args = sweep(lengths, segment_.args, at_, stop);
      }
      at_ = stop;
      if (at_ == segment_.first && next_ > 0) segment_ = list_.segments_[--next_];
    }
  }

 private:
  const StatementList<V>& list_;
  std::size_t next_;  // number of segments not reached yet
  std::uint32_t at_;
  detail::Segment segment_;
};

/// The reverse sweep of one target.
template <class V> class ReverseStatements {
 public:
  /// `clear`: the adjoints of statements are reset to zero as they are read (no source is among them).
  ReverseStatements(const StatementList<V>& list, V* adjoints, bool clear) : walk_(list), adjoints_(adjoints), clear_(clear) {}

  void down_to(std::uint32_t to) {
    walk_.down_to(to, [this](const std::uint16_t* lengths, char* args, std::size_t from, std::size_t stop) {
      return detail::reverse_statements(lengths, adjoints_, args, from, stop, clear_);
    });
  }

 private:
  WalkBack<V> walk_;
  V* adjoints_;
  bool clear_;
};

/// Walks the statements from the first one up, in steps to given points, and calls f(statement, argument, partial) for every argument.
template <class V> class ForwardStatements {
 public:
  explicit ForwardStatements(const StatementList<V>& list) : list_(list) { enter(); }
  template <class F> void up_to(std::uint32_t to, F&& f) {
    while (at_ < to) {
      const std::uint32_t stop = to < segment_.end ? to : segment_.end;
      if (segment_.args) {
        for (; at_ < stop; ++at_) statement(f);
      }
      at_ = stop;
      if (at_ == segment_.end && at_ < list_.next()) {
        ++index_;
        enter();
      }
    }
  }

 private:
  void enter() {
    segment_ = index_ < list_.segments_.size() ? list_.segments_[index_] : list_.current();
    args_ = segment_.begin;
  }
  template <class F> void statement(F&& f) {
    const std::uint32_t length = reinterpret_cast<const std::uint16_t*>(segment_.lengths)[at_];
    const char* end = args_ + length;
    std::uint32_t i;
    if (length % StatementWriter<V>::kArgumentBytes != 0) {
      std::memcpy(&i, args_, sizeof i);
      args_ += sizeof i;
      f(at_, i, V(1));
    }
    for (; args_ < end; args_ += StatementWriter<V>::kArgumentBytes) {
      V partial;
      std::memcpy(&partial, args_, sizeof partial);
      std::memcpy(&i, args_ + sizeof partial, sizeof i);
      f(at_, i, partial);
    }
  }

  const StatementList<V>& list_;
  std::size_t index_ = 0;
  std::uint32_t at_ = 1;
  const char* args_ = nullptr;
  detail::Segment segment_;
};

template <class V> __attribute__((noinline, cold)) std::uint32_t StatementWriter<V>::resolve_other(std::uint64_t number) {
  return static_cast<StatementList<V>*>(this)->resolve_other(number);
}
template <class V> __attribute__((noinline, cold)) void StatementWriter<V>::make_room() {
  static_cast<StatementList<V>*>(this)->make_room_for_statement();
}

template <class V>
__attribute__((noinline, cold)) std::uint64_t StatementWriter<V>::number_then(std::uint64_t number, const char* end_then) {
  return static_cast<StatementList<V>*>(this)->number_then(number, end_then);
}

template <class V>
__attribute__((noinline, cold)) std::uint64_t StatementWriter<V>::record_carefully(StatementWriter* writer,
                                                                                   const detail::StatementArguments<V>& a) {
  if (!writer) {
    detail::check_unrecorded(a.continued);
    for (int i = 0; i < a.count; ++i) detail::check_unrecorded(a.numbers[i]);
    return 0;
  }
  if (writer->args > writer->args_limit) writer->make_room();
  const std::uint32_t own = writer->index_of(a.continued);
  char* const begin = own ? detail::write(writer->args, own) : writer->args;
  char* p = begin;
  for (int i = 0; i < a.count; ++i)
    if (const std::uint32_t index = writer->index_of(a.numbers[i])) p = detail::write_argument(p, a.partials[i], index);
  if (p == begin) return own ? a.continued : 0;
  return writer->commit(writer->next(), writer->args, p, a.open);
}

}  // namespace wengert
