#pragma once
// One side of the training benchmark: a separate process that executes commands from its standard input:
//
//   list             -> for each row "NAME FLOPS", then an empty line
//   start NAME       -> makes the model and the data; "ok", or "unknown"
//   check N          -> runs N steps; the value of each, one per line
//   run N CLOCK      -> runs N steps; total microseconds. CLOCK: "thread" for the calling thread's CPU time, "passing" for wall-clock time
#include <functional>
#include <span>
#include <string>

namespace wengert::benchmark {

/// One step; the value (the loss, before the update) must be the same on every side.
using Step = std::function<double()>;

struct ServedRow {
  std::string name;
  double flops;  ///< of the matrix products; 0 if they are negligible or not counted
  std::function<Step()> make;
};

/// Executes commands until the input ends.
int serve(std::span<const ServedRow> rows);

}  // namespace wengert::benchmark
