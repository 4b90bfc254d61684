#pragma once
// What every exercise ends with: your numbers beside the tape's.
#include <cmath>
#include <cstdio>

/// Compares numbers and says in the end whether all were right.
class Verdict {
 public:
  explicit Verdict(int exercise) : exercise_(exercise) {}

  /// One number of yours and the tape's, and where it was computed. Only the first three differences are printed.
  void compare(const char* name, double yours, double tape) {
    const bool right = std::abs(yours - tape) <= 1e-9 * (1 + std::abs(tape));
    if (!right && ++wrong_ <= 3) std::printf("  %s: your formula gives %.6g, the tape %.6g\n", name, yours, tape);
    ++compared_;
  }

  /// Prints the verdict and returns the program's status.
  int status() const {
    if (wrong_ == 0) {
      std::printf("exercise %d: right, in all %d places\n", exercise_, compared_);
    } else {
      std::printf("exercise %d: not yet, %d of %d numbers differ\n", exercise_, wrong_, compared_);
    }
    return wrong_ == 0 ? 0 : 1;
  }

 private:
  int exercise_, compared_ = 0, wrong_ = 0;
};
