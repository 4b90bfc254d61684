#pragma once
// Memory for the length of a computation, from the pool.
#include <new>
#include <type_traits>

#include "autodiff/tensor/shape.h"
#include "autodiff/tensor/storage.h"

namespace wengert::kernels {

/// `count` numbers or plain structs that are not set. Released by whichever thread destroys it.
template <class T> class Scratch {
  static_assert(std::is_trivial_v<T>, "Scratch holds numbers and plain structs: its elements are neither constructed nor destroyed");

 public:
  explicit Scratch(Index count) : bytes_(bytes_of(count)), data_(static_cast<T*>(pool::allocate(bytes_))) {}
  ~Scratch() { pool::release(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return data_; }

 private:
  static std::size_t bytes_of(Index count) {
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(count, sizeof(T), &bytes)) throw std::bad_array_new_length();
    return bytes;
  }

  std::size_t bytes_;
  T* data_;
};

}  // namespace wengert::kernels
