#pragma once
// Computations with a given number of threads.
#include <autodiff/runtime.h>

namespace wengert::testing {

/// A number of threads for one scope.
class Threads {
 public:
  explicit Threads(int count) : before_(num_threads()) { set_num_threads(count); }
  ~Threads() { set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

}  // namespace wengert::testing
