#pragma once
// What a training costs, line by line of the program.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace wengert {

struct ProfileOptions {
  bool events = false;      ///< keep each call with its time, for `trace_json`: 32 bytes a call. Measures every step.
  bool every_step = false;  ///< measure every step, also where that takes more than 3% of its time
};

/// The cost of a line, an operation or a module.
struct ProfileRow {
  std::string name;         ///< "model.cpp:41", "matmul", "encoder.0"
  std::string operations;   ///< of a line or a module: what it calls, "linear, relu"
  std::uint64_t calls = 0;  ///< of operations, forwards
  double forward = 0;       ///< seconds
  double backward = 0;      ///< seconds in the rules of these operations
  double kept = 0;          ///< bytes that a tape keeps for the sweep on their account, on average of all sweeps
  double flops = 0;         ///< floating-point operations of matrix products and convolutions, forwards and backwards

  double seconds() const { return forward + backward; }  ///< of both
};

/// Measures all tapes of the calling thread, those that are open included, from its construction to its destruction:
///
///     Profile profile;
///     for (int step = 0; step < 100; ++step) train_step();
///     std::puts(profile.report().c_str());
///
/// Where operations are short, looking at the clock takes a good part of their time. Then only some of the steps are measured, a step being
/// what a tape records until its gradient is taken, so that the program takes at most 3% longer. Each of them counts for the steps left out
/// before it, for each line with a `Tape` by itself, and `measured()` says how many there were. The first three are always measured.
///
/// Times are wall-clock times. The time of an operation, forwards, begins with the end of the one before it, so it contains what your
/// program does in between. What is recorded by a sweep (`.differentiable`) counts as backward time of its line. The gradient of a large
/// weight may be a product that only the optimizer multiplies: its time lies outside of the tapes. Elements that several operations keep
/// count for the first; values of parameters do not count.
class Profile {
 public:
  /// An Error if the thread has a Profile already.
  explicit Profile(const ProfileOptions& options = {});
  /// On the thread that made it.
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// @name Rows, the most expensive first
  /// @{
  std::vector<ProfileRow> lines() const;       ///< by source line
  std::vector<ProfileRow> operations() const;  ///< by the name of the operation
  /// By the module whose parameter an operation reads, so that activations have none. The name is the parameter's without its last part.
  std::vector<ProfileRow> modules() const;
  /// @}

  /// @name Time outside operations, in seconds
  /// @{
  double between() const;   ///< from the last operation of a tape to its sweep
  double sweeping() const;  ///< sweeps without the rules of operations: statements of Scalars, and products that are added together
  double outside() const;   ///< between the end of a sweep and the next tape: optimizer, data
  /// @}
  std::uint64_t sweeps() const;  ///< how many there were, those inside checkpoints included
  double measured() const;       ///< the share of the steps that were measured; what is told counts for all

  /// Three tables: lines, operations and modules.
  std::string report() const;
  /// All calls as JSON in the trace event format, for ui.perfetto.dev and chrome://tracing. An Error without `.events`.
  std::string trace_json() const;
  /// Forgets what was measured.
  void reset();

 private:
  class Recorder;
  std::unique_ptr<Recorder> recorder_;
};

}  // namespace wengert
