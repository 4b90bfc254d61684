#pragma once
// Steps that depend on the signs of gradients alone, each element with a size of its own.
#include "optim/optimizer.h"

namespace wengert::optim {

struct RpropOptions {
  double lr = 1e-2;        ///< d at the first update; without effect later
  double shrink = 0.5;     ///< of d where the sign has changed, in (0, 1)
  double grow = 1.2;       ///< of d where the sign is the same, > 1
  double min_step = 1e-6;  ///< of d
  double max_step = 50;    ///< of d
  bool maximize = false;   ///< ascent
};

/// Riedmiller and Braun 1993 without weight backtracking, the variant iRprop- of Igel and Huesken 2000, as in PyTorch. For gradients of all
/// examples together; the signs of mini-batches are too noisy. h is the g of the update before, 0 at the first:
///
///     g  = g (or -g to maximize)
///     d  = grow d     where g h > 0, shrink d where g h < 0, then brought into [min_step, max_step]
///     g  = 0          where g h < 0
///     p -= sign(g) d
class Rprop final : public OptimizerWith<RpropOptions> {
 public:
  explicit Rprop(const ParameterList& parameters, RpropOptions options = {}) : Rprop({{parameters, options}}) {}
  explicit Rprop(const ParameterGroups<RpropOptions>& groups);

 private:
  void update(const Update<float>& u) const override;
  void update(const Update<double>& u) const override;
  template <class T> void apply(const Update<T>& u) const;
};

}  // namespace wengert::optim
