#pragma once
// Memory for the length of a computation, from the pool.
#include <type_traits>

#include "autodiff/tensor/shape.h"
#include "autodiff/tensor/storage.h"

namespace wengert::kernels {

/// `count` numbers or plain structs that are not set. Released by whichever thread destroys it.
template <class T> class Scratch {
  static_assert(std::is_trivial_v<T>);

 public:
  explicit Scratch(Index count) : bytes_(static_cast<std::size_t>(count) * sizeof(T)), data_(static_cast<T*>(pool::allocate(bytes_))) {}
  ~Scratch() { pool::release(data_, bytes_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  T* data() const { return data_; }

 private:
  std::size_t bytes_;
  T* data_;
};

}  // namespace wengert::kernels
