#pragma once
// Internal.
// The container for a tape's records.
#include <bit>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "autodiff/scalar/statements.h"
#include "autodiff/tensor/storage.h"

namespace wengert::detail {

/// An array in chunks: references stay valid while it grows, and it keeps its memory when it shrinks.
template <class T> class StableVector {
 public:
  StableVector() : bits_(static_cast<unsigned>(std::bit_width(chunk_sizes.nodes) - 1)), mask_((1u << bits_) - 1) {}
  StableVector(const StableVector&) = delete;
  StableVector& operator=(const StableVector&) = delete;
  ~StableVector() {
    clear();
    for (T* c : chunks_) pool::release(c, sizeof(T) << bits_);
  }
  T& operator[](std::uint32_t i) { return chunks_[i >> bits_][i & mask_]; }
  const T& operator[](std::uint32_t i) const { return chunks_[i >> bits_][i & mask_]; }
  std::uint32_t size() const { return size_; }
  /// After this, adding `n` elements does not throw. A TapeError if their indices would exceed 32 bits.
  void reserve(std::uint32_t n) {
    if (n > chunk_sizes.max_records - size_) throw_too_many_records();
    while (capacity_ - size_ < n) {
      chunks_.reserve(chunks_.size() + 1);
      chunks_.push_back(static_cast<T*>(pool::allocate(sizeof(T) << bits_)));
      capacity_ += 1u << bits_;
    }
  }
  template <class... Parts> T& emplace(Parts&&... parts) { return *::new (&(*this)[size_++]) T{std::forward<Parts>(parts)...}; }
  void clear() {
    if constexpr (!std::is_trivially_destructible_v<T>)
      for (std::uint32_t i = 0; i < size_; ++i) (*this)[i].~T();
    size_ = 0;
  }
  std::size_t bytes() const { return chunks_.size() * (sizeof(T) << bits_); }

 private:
  unsigned bits_, mask_;
  std::uint32_t size_ = 0;
  std::uint64_t capacity_ = 0;
  pool::Vector<T*> chunks_;
};

}  // namespace wengert::detail
