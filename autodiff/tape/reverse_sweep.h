#pragma once
// Internal.
// The reverse sweep: propagates a target's cotangent back through all records.
#include "autodiff/tape/records.h"
#include "autodiff/tape/sweep_scope.h"
#include "autodiff/tensor/function_ref.h"

namespace wengert::detail {

/// Is given the gradients of a sweep's sources one by one, each as soon as no record is left that adds to it.
class SourceReceiver {
 public:
  virtual void ready(std::size_t i, const Cotangent& gradient) = 0;

 protected:
  ~SourceReceiver() = default;
};

/// One sweep over a tape. Usage: request() the sources, run(), and read their cotangents from slots, adjoints and recorded_adjoints. The
/// destructor restores the tape, also after an exception.
class ReverseSweep {
 public:
  /// `variables_only`: none of the sources is a scalar that a statement defines.
  ReverseSweep(TapeState& tape, const GradientOptions& options, bool variables_only);
  ReverseSweep(const ReverseSweep&) = delete;

  /// Makes the slot a source. `may_defer`: its cotangent may be a deferred product.
  void request(std::uint32_t slot, bool may_defer);
  using AfterNode = FunctionRef<void(const TapeNode&)>;
  /// Sweeps from the target down to the first record. The target's cotangent is the seed, or 1 if that is undefined. `after` is called
  /// after each node.
  void run(const Source& target, std::uint32_t index, const Tensor& seed, const AfterNode* after = nullptr);

 private:
  /// Restores the tape after a sweep.
  struct CleanUp {
    ~CleanUp();
    TapeState& t;
    bool consume, variables_only;
    std::uint32_t slots;  // how many there were before the sweep, which may record more
    int exceptions;       // how many were in flight before the sweep
  };

  void set_seed(const Source& target, std::uint32_t index, const Tensor& seed);
  // What is done for every node is defined in reverse_sweep.cpp, and becomes one loop there.
  inline void reverse(const TapeNode& node);
  inline void reverse_operation(const TapeNode& node);
  void reverse_measured(const TapeNode& node);
  inline void reverse_stack(const TapeNode& node);
  inline void reverse_element(const TapeNode& node);
  inline bool take_cotangents_of_outputs(const TapeNode& node);
  inline bool find_inputs(const TapeNode& node);
  inline void accumulate_inputs(const TapeNode& node);
  inline void accumulate(Slot& slot, Tensor g, Location site);
  inline Tensor& cotangent_of(Slot& slot);
  inline void release_saved(const TapeNode& node);

  TapeState& t_;
  const bool consume_, record_, variables_only_;
  bool collects_products_ = false;
  double* adjoints_;
  CleanUp clean_up_;
  PauseForSweep pause_;
};

/// How many reverse sweeps the calling thread has begun.
std::uint64_t sweeps_of_thread() noexcept;

/// The gradients of the target with respect to all sources; implements Tape::gradient. `may_defer`: those of parameters may be deferred
/// products. `receiver`: is given each gradient as well, those that are parameters' or tensors' while the sweep goes on.
Gradients sweep_back(TapeState& tape, const Source& target, std::span<const Source> sources, const GradientOptions& options,
                     bool may_defer = false, SourceReceiver* receiver = nullptr);

}  // namespace wengert::detail
