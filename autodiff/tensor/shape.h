#pragma once
// The sizes of a tensor, one for each dimension.
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <span>
#include <string>

#include "autodiff/error.h"

namespace wengert {

/// The type of sizes, strides, positions and dimensions.
using Index = std::int64_t;

/// Any integer type except bool, which is never a size, a dimension or an index.
template <class T> concept IntegerType = std::integral<T> && !std::same_as<std::remove_cv_t<T>, bool>;
/// An argument of any such type.
struct Integer {
  template <IntegerType T> constexpr Integer(T value) : value(static_cast<Index>(value)) {}
  constexpr operator Index() const { return value; }
  Index value;
};

class Shape;

}  // namespace wengert
// As a range it has `rank()` elements, not size().
template <> inline constexpr bool std::ranges::disable_sized_range<wengert::Shape> = true;
namespace wengert {

/// A short list of integers: the sizes of a tensor, its strides, or the dimensions that an operation works on.
/// Up to kInline of them are stored in the object itself; longer lists take a block of the storage pool.
class Shape {
 public:
  static constexpr int kInline = 4;

  Shape() noexcept : rank_(0) {}
  Shape(std::initializer_list<Integer> sizes) : rank_(0) {
    resize(static_cast<int>(sizes.size()));
    Index* to = begin();
    for (const Integer size : sizes) *to++ = size;
  }
  explicit Shape(std::span<const Index> sizes) : rank_(0) {
    resize(static_cast<int>(sizes.size()));
    if (!sizes.empty()) std::memcpy(begin(), sizes.data(), sizes.size_bytes());
  }
  Shape(const Shape& o) : rank_(0) {
    if (o.rank_ <= kInline) {
      copy_inline(o);
    } else {
      copy_long(o);
    }
  }
  Shape(Shape&& o) noexcept {
    copy_inline(o);
    o.rank_ = 0;
  }
  Shape& operator=(const Shape& o) {
    if (rank_ <= kInline && o.rank_ <= kInline) {
      copy_inline(o);
    } else if (this != &o) {
      Shape copy(o);
      swap(copy);
    }
    return *this;
  }
  Shape& operator=(Shape&& o) noexcept {
    swap(o);
    return *this;
  }
  ~Shape() {
    if (rank_ > kInline) release_long();
  }

  /// The number of dimensions, and the size of each.
  int rank() const { return rank_; }
  Index operator[](int i) const { return begin()[i]; }
  Index& operator[](int i) { return begin()[i]; }
  const Index* begin() const { return rank_ > kInline ? long_ : inline_; }
  const Index* end() const { return begin() + rank_; }
  Index* begin() { return rank_ > kInline ? long_ : inline_; }
  Index* end() { return begin() + rank_; }
  Index back() const { return begin()[rank_ - 1]; }
  operator std::span<const Index>() const { return {begin(), static_cast<std::size_t>(rank_)}; }

  /// The number of elements: the product of the sizes, 1 for rank 0. It does not overflow for the shape of a tensor (checked_size has
  /// verified that).
  Index size() const { return size(0, rank_); }
  /// The product of the sizes of dimensions `first` to `last` - 1, 1 if there are none. It may wrap if another size is 0.
  Index size(int first, int last) const {
    std::uint64_t n = 1;  // unsigned: may wrap
    for (int i = first; i < last; ++i) n *= static_cast<std::uint64_t>(begin()[i]);
    return static_cast<Index>(n);
  }
  /// Changes the rank and keeps the common entries; new entries are uninitialized.
  void resize(int rank) {
    if (rank <= kInline && rank_ <= kInline) {
      rank_ = rank;
    } else {
      resize_long(rank);
    }
  }
  void push_back(Index size) {
    resize(rank_ + 1);
    begin()[rank_ - 1] = size;
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    const Index *p = a.begin(), *q = b.begin();
    for (int i = 0; i < a.rank_; ++i)  // faster than a call of memcmp
      if (p[i] != q[i]) return false;
    return true;
  }

 private:
  void swap(Shape& o) noexcept {
    Index mine[kInline];
    std::memcpy(mine, inline_, sizeof mine);
    const int rank = rank_;
    copy_inline(o);
    std::memcpy(o.inline_, mine, sizeof mine);
    o.rank_ = rank;
  }
  void copy_inline(const Shape& o) {  // all bytes at once: faster than a loop over the rank
    std::memcpy(inline_, o.inline_, sizeof inline_);
    rank_ = o.rank_;
  }
  void resize_long(int rank);
  void copy_long(const Shape& o);
  void release_long() noexcept;

  union {
    Index inline_[kInline] = {};
    Index* long_;
  };
  int rank_;
};
/// The dimensions that an operation works on; negative ones count from the last.
using Dims = Shape;

/// "(2, 3)", "(5,)" for rank 1, "()" for rank 0.
std::string to_string(const Shape& shape);
/// shape.size(), after checking that no size is negative and that the product, also in bytes, does not overflow. Otherwise a ShapeError
/// that names `operation`.
Index checked_size(const char* operation, const Shape& shape);
/// The same for dimensions `first` to `last` - 1 of `shape`, which an operation merges into one.
Index checked_size(const char* operation, const Shape& shape, int first, int last);
/// Strides of a dense row-major tensor.
Shape row_major_strides(const Shape& shape);

}  // namespace wengert
