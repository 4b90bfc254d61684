#pragma once
// What every exercise ends with: your numbers beside the tape's.
#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <utility>

/// Compares numbers and says in the end whether all were right.
class Verdict {
 public:
  explicit Verdict(int exercise) : exercise_(exercise) {}

  /// One number of yours and the tape's, and the inputs that it was computed from. Only the first three differences are printed.
  void compare(const std::string& name, double yours, double tape, std::initializer_list<std::pair<const char*, double>> inputs = {}) {
    ++compared_;
    if (std::abs(yours - tape) <= 1e-9 * (1 + std::abs(tape)) || ++wrong_ > 3) return;
    std::printf("  %s", name.c_str());
    const char* before = " at ";
    for (const auto& [input, value] : inputs) {
      std::printf("%s%s = %g", before, input, value);
      before = ", ";
    }
    std::printf(": your formula gives %.6g, the tape %.6g\n", yours, tape);
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
