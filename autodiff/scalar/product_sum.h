#pragma once
// Internal.
// A sum of products as one statement: the inner products of matrices, whose length is known when they run.
#include <cstdint>

#include "autodiff/scalar/scalar.h"

namespace wengert::detail {

/// a_1 b_1 + a_2 b_2 + ... of Scalars and numbers. One statement for every 127 of its arguments. (One expression after the other on a tape
/// for higher orders, and on one with a watch, which is shown each of them.)
template <class V> class ProductSum {
 public:
  void add(const BasicScalar<V>& a, const BasicScalar<V>& b) {
    if (one_by_one_) return add_expression(a * b);
    value_ += a.value() * b.value();
    argument(b.value(), a.number());
    argument(a.value(), b.number());
  }
  void add(const BasicScalar<V>& a, double b) {
    if (one_by_one_) return add_expression(a * b);
    value_ += a.value() * b;
    argument(V(b), a.number());
  }
  void add(double a, const BasicScalar<V>& b) { add(b, a); }

  BasicScalar<V> result() {
    if (one_by_one_) return sum_;
    if (count_ > 0) record();
    return BasicScalar<V>(value_, number_);
  }

 private:
  static constexpr int kMost = StatementWriter<V>::kMaxArguments;

  void add_expression(const BasicScalar<V>& product) { sum_ = sum_ + product; }
  void argument(const V& partial, std::uint64_t number) {
    if (!number) return;
    if (count_ == kMost) record();
    partials_[count_] = partial;
    numbers_[count_++] = number;
  }
  void record() {
    number_ = StatementWriter<V>::record_carefully(writer_, {partials_, numbers_, count_, number_, false});
    count_ = 0;
  }

  StatementWriter<V>* writer_ = active_writer<V>;
  bool one_by_one_ = writer_ && (writer_->higher_order || writer_->watched);
  BasicScalar<V> sum_ = 0;
  V value_{};
  std::uint64_t number_ = 0;
  int count_ = 0;
  V partials_[kMost];
  std::uint64_t numbers_[kMost];
};

}  // namespace wengert::detail
