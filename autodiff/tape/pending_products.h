#pragma once
// Internal.
// Products that wait to be added to a cotangent. Weights that are used again and again, as in an unrolled network, get one product of few
// terms for each use. To add it, all elements are read and written, which takes longer than computing it. So the rows of the factors are
// collected, and multiplied together:
//
//   W_bar += A_1^T X_1 + A_2^T X_2 + ...  =  [A_1; A_2; ...]^T [X_1; X_2; ...]
#include "autodiff/tape/operation.h"
#include "autodiff/tensor/storage.h"

namespace wengert::detail {

class PendingProducts {
 public:
  /// Takes the terms of a product for the cotangent of `slot`, which has a value already. Returns false, and takes nothing, if there are
  /// many terms, or few elements or a narrow matrix.
  bool take(Slot& slot, const MatrixFactor& left, const MatrixFactor& right);
  /// Adds what waits for the cotangent of `slot`, or of all slots.
  void add_to(Slot& slot);
  void add_all();
  void clear() { sums_.clear(); }

 private:
  // Of one slot: matrices with room for kMaxTerms rows, of which `terms` are used.
  struct Sum {
    Slot* slot;
    Index terms;
    Tensor left, right;
  };
  static void add(Sum& sum);
  pool::Vector<Sum>::iterator find(const Slot& slot);

  pool::Vector<Sum> sums_;
};

}  // namespace wengert::detail
