#include "autodiff/tape/pending_products.h"

#include <algorithm>
#include <utility>

#include "autodiff/tape/records.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert::detail {
namespace {

// With more terms, or a smaller or narrower result, collecting a product does not pay.
constexpr Index kMaxTermsOfOne = 16, kMinBytes = 1 << 17, kMinWidth = 128;
constexpr Index kMaxTerms = 64;  // that wait for a cotangent

bool is_dense_matrix(const Tensor& x) { return x.rank() == 2 && x.is_row_major(); }

// The first rows of a matrix.
Tensor first_rows(const Tensor& x, Index rows) { return view(x, {rows, x.shape()[1]}, {x.shape()[1], 1}, 0, x.made_at()); }

// A factor's terms and the other size of its matrix.
struct Size {
  Index terms, width;
};
Size size_of(const MatrixFactor& f, bool terms_are_rows) {
  const Shape& shape = f.matrix.shape();
  return terms_are_rows ? Size{shape[0], shape[1]} : Size{shape[1], shape[0]};
}

// Writes the terms of a factor into the rows of `to`, from the one at `row`.
void copy_terms(const MatrixFactor& f, bool terms_are_rows, Tensor& to, Index row) {
  const auto [terms, width] = size_of(f, terms_are_rows);
  dispatch_floating(to.dtype(), [&, terms = terms, width = width](auto zero) {
    using T = decltype(zero);
    const T* const from = f.matrix.data<T>();
    T* const first = static_cast<T*>(to.elements()->data) + row * width;
    if (terms_are_rows || terms == 1) {
      std::copy_n(from, terms * width, first);
    } else {
      for (Index i = 0; i < width; ++i)
        for (Index t = 0; t < terms; ++t) first[t * width + i] = from[i * terms + t];
    }
  });
}

}  // namespace

bool PendingProducts::take(Slot& slot, const MatrixFactor& left, const MatrixFactor& right) {
  if (!is_dense_matrix(left.matrix) || !is_dense_matrix(right.matrix)) return false;
  const bool left_rows = left.transposed, right_rows = !right.transposed;  // whether terms are rows of the matrices
  const auto [terms, m] = size_of(left, left_rows);
  const Index n = size_of(right, right_rows).width;
  if (terms > kMaxTermsOfOne || std::min(m, n) < kMinWidth || m * n * bytes_of(slot.dtype) < kMinBytes || slot.shape != Shape{m, n})
    return false;
  auto sum = find(slot);
  if (sum == sums_.end()) {
    const Location site = left.matrix.made_at();
    sums_.push_back(
        {&slot, 0, Tensor::uninitialized({kMaxTerms, m}, slot.dtype, site), Tensor::uninitialized({kMaxTerms, n}, slot.dtype, site)});
    sum = sums_.end() - 1;
  }
  if (sum->terms + terms > kMaxTerms) add(*sum);
  copy_terms(left, left_rows, sum->left, sum->terms);
  copy_terms(right, right_rows, sum->right, sum->terms);
  sum->terms += terms;
  slot.awaits_terms = true;
  return true;
}

void PendingProducts::add(Sum& s) {
  const Index terms = std::exchange(s.terms, 0);
  s.slot->awaits_terms = false;
  if (terms == 0) return;
  const Tensor left = first_rows(s.left, terms), right = first_rows(s.right, terms);
  Tensor& sum = s.slot->cotangent.tensor();
  if (sum.may_write_in_place() && add_product_in_place(sum, transposed(left), right)) return;
  sum = detail::add(sum, multiply(transposed(left), right), sum.made_at());
}

pool::Vector<PendingProducts::Sum>::iterator PendingProducts::find(const Slot& slot) {
  return std::find_if(sums_.begin(), sums_.end(), [&](const Sum& s) { return s.slot == &slot; });
}

void PendingProducts::add_to(Slot& slot) {
  const auto sum = find(slot);
  if (sum == sums_.end()) return;
  add(*sum);
  if (sum != sums_.end() - 1) *sum = std::move(sums_.back());
  sums_.pop_back();
}

void PendingProducts::add_all() {
  for (Sum& s : sums_) add(s);
  sums_.clear();
}

}  // namespace wengert::detail
