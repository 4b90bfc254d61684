#pragma once
// One side of the training benchmark is a process of its own that does what its standard input says:
//
//   list             -> for each row "NAME FLOPS", then an empty line
//   start NAME       -> makes the model and the data; "ok", or "unknown"
//   check N          -> N steps; the value of each, a line each
//   run N CLOCK      -> N steps; microseconds altogether. CLOCK: "thread" for the calling thread's processor time, "passing" for all time
#include <functional>
#include <span>
#include <string>

namespace wengert::benchmark {

/// One step; the value (the loss, before the update) must be the same on every side.
using Step = std::function<double()>;

struct ServedRow {
  std::string name;
  double flops;  ///< of the matrix products; 0 where there are none to speak of
  std::function<Step()> make;
};

/// Serves until the input ends.
int serve(std::span<const ServedRow> rows);

}  // namespace wengert::benchmark
