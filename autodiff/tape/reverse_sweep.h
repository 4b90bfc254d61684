#pragma once
// Internal.
// The reverse sweep: carries a target's cotangent back through all records.
#include "autodiff/tape/records.h"
#include "autodiff/tape/sweep_scope.h"

namespace wengert::detail {

/// One sweep over a tape, which is as it must be again when this ends, however that comes about. In between: request() the sources, run(),
/// and read their cotangents from slots, adjoints and recorded_adjoints.
class ReverseSweep {
 public:
  /// `variables_only`: no source is a scalar that a statement defines.
  ReverseSweep(TapeState& tape, const GradientOptions& options, bool variables_only);
  ReverseSweep(const ReverseSweep&) = delete;

  /// The cotangent of the slot is wanted. `may_defer`: it may be a product that is not multiplied yet.
  void request(std::uint32_t slot, bool may_defer);
  /// From the target, whose cotangent is the seed, or 1 if that is undefined, down to the first record.
  void run(const Source& target, std::uint32_t index, const Tensor& seed);

 private:
  /// Leaves the tape as it must be after a sweep.
  struct CleanUp {
    ~CleanUp();
    TapeState& t;
    bool consume, variables_only;
    std::uint32_t slots;  // before the sweep, which may be recorded
    int exceptions;       // that are on their way already
  };

  void set_seed(const Source& target, std::uint32_t index, const Tensor& seed);
  // What is done for every node is defined in reverse_sweep.cpp, and becomes one loop there.
  inline void reverse(const TapeNode& node);
  inline void reverse_operation(const TapeNode& node);
  inline void reverse_stack(const TapeNode& node);
  inline void reverse_element(const TapeNode& node);
  inline bool take_cotangents_of_outputs(const TapeNode& node);
  inline bool find_inputs(const TapeNode& node);
  inline void accumulate_inputs(const TapeNode& node);
  inline void accumulate(Slot& slot, Tensor g, Location site);
  inline void release_saved(const TapeNode& node);

  TapeState& t_;
  const bool consume_, record_, variables_only_;
  double* adjoints_;
  CleanUp clean_up_;
  PauseForSweep pause_;
};

/// The gradients of the target by all sources: what Tape::gradient does. `may_defer`: those of parameters may be products that are not
/// multiplied yet.
Gradients sweep_back(TapeState& tape, const Source& target, std::span<const Source> sources, const GradientOptions& options,
                     bool may_defer = false);

}  // namespace wengert::detail
