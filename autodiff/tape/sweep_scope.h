#pragma once
// Internal.
#include "autodiff/scalar/statements.h"

namespace wengert::detail {

inline thread_local constinit bool sweeping = false;  // during a sweep, values need no checks

/// Suspends recording and checks for a scope.
class PauseForSweep {
 public:
  explicit PauseForSweep(bool pause) : writer_(active_writer<double>), sweeping_(sweeping) {
    if (!pause) return;
    if (writer_) writer_->close();
    active_writer<double> = nullptr;
    sweeping = true;
  }
  ~PauseForSweep() {
    active_writer<double> = writer_;
    sweeping = sweeping_;
  }
  PauseForSweep(const PauseForSweep&) = delete;

 private:
  StatementWriter<double>* writer_;
  bool sweeping_;
};

}  // namespace wengert::detail
