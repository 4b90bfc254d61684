// A bool is never a dimension, a size, an index or a correction (`run` says how to read this file). Where the wording depends on the
// compiler, the first error must at least be in this file.
#include <autodiff/autodiff.h>

#include <vector>
using namespace wengert;

void reductions(const Tensor& x, const Parameter& w) {
#ifdef WRONG_sum  // error: deleted function
  sum(x, true);
#else
  sum(x, 1, {.keepdim = true});
#endif
#ifdef WRONG_sum_of_a_parameter  // error: deleted function
  sum(w, true);
#else
  sum(w, 0);
#endif
#ifdef WRONG_sum_keepdim  // error: deleted function
  sum(x, 1, true);
#else
  sum(x, 1, {.keepdim = true});
#endif
#ifdef WRONG_sum_dims_keepdim  // error: tensor.cpp:
  sum(x, {0, 1}, true);
#else
  sum(x, {0, 1}, {.keepdim = true});
#endif
#ifdef WRONG_dims  // error: tensor.cpp:
  sum(x, {0, true});
#else
  sum(x, {0, 1});
#endif
#ifdef WRONG_var  // error: deleted function
  var(x, 1, true);
#else
  var(x, 1, {.keepdim = true});
#endif
#ifdef WRONG_var_correction  // error: tensor.cpp:
  var(x, 1, {.correction = true});
#else
  var(x, 1, {.correction = 0});
#endif
#ifdef WRONG_stddev  // error: deleted function
  stddev(x, 1, 0, true);
#else
  stddev(x, 1, {.keepdim = true, .correction = 0});
#endif
#ifdef WRONG_norm  // error: deleted function
  norm(x, true);
#else
  norm(x, 2, 1);
#endif
#ifdef WRONG_max  // error: deleted function
  max(x, true);
#else
  max(x, 1u);
#endif
#ifdef WRONG_any  // error: deleted function
  any(x > 0, true);
#else
  any(x > 0, 1);
#endif
#ifdef WRONG_argmax  // error: deleted function
  argmax(x, 1, true);
#else
  argmax(x, 1, {.keepdim = true});
#endif
#ifdef WRONG_max_dim  // error: deleted function
  max_dim(x, true);
#else
  max_dim(x, 1);
#endif
}

void shapes(const Tensor& x) {
#ifdef WRONG_zeros  // error: tensor.cpp:
  Tensor::zeros({2, true});
#else
  Tensor::zeros({2, 1});
#endif
#ifdef WRONG_reshape  // error: tensor.cpp:
  reshape(x, {true, -1});
#else
  reshape(x, {1, -1});
#endif
#ifdef WRONG_size  // error: tensor.cpp:
  x.size(true);
#else
  x.size(1);
#endif
#ifdef WRONG_eye  // error: tensor.cpp:
  Tensor::eye(true);
#else
  Tensor::eye(1);
#endif
#ifdef WRONG_flatten  // error: deleted function
  flatten(x, true);
#else
  flatten(x, 1);
#endif
#ifdef WRONG_squeeze  // error: deleted function
  squeeze(x, true);
#else
  squeeze(x, 1);
#endif
#ifdef WRONG_transpose  // error: deleted function
  transpose(x, 0, true);
#else
  transpose(x, 0, 1);
#endif
#ifdef WRONG_permute  // error: tensor.cpp:
  permute(x, {true, false});
#else
  permute(x, {1, 0});
#endif
#ifdef WRONG_concat  // error: deleted function
  concat({x, x}, true);
#else
  concat({x, x}, 1);
#endif
#ifdef WRONG_stack  // error: deleted function
  stack({x, x}, true);
#else
  stack({x, x}, 1);
#endif
#ifdef WRONG_stack_of_a_list  // error: deleted function
  stack(std::vector<Tensor>{x, x}, true);
#else
  stack(std::vector<Tensor>{x, x}, 1);
#endif
#ifdef WRONG_sort  // error: deleted function
  sort(x, true);
#else
  sort(x, -1, true);
#endif
#ifdef WRONG_topk  // error: deleted function
  topk(x, 2, true);
#else
  topk(x, 2, -1, true);
#endif
#ifdef WRONG_softmax  // error: deleted function
  softmax(x, true);
#else
  softmax(x, 1);
#endif
#ifdef WRONG_conv_options  // error: tensor.cpp:
  conv2d(x, x, {.stride = true});
#else
  conv2d(x, x, {.stride = 1});
#endif
}

void indices(Tensor x, const Tensor& i) {
#ifdef WRONG_element  // error: tensor.cpp:
  x(0, true);
#else
  x(0, 1);
#endif
#ifdef WRONG_part  // error: tensor.cpp:
  x(All, true);
#else
  x(All, 1);
#endif
#ifdef WRONG_row  // error: tensor.cpp:
  x[true];
#else
  x[1];
#endif
#ifdef WRONG_at  // error: tensor.cpp:
  x.at({0, true});
#else
  x.at({0, 1});
#endif
#ifdef WRONG_set  // error: tensor.cpp:
  x.set({0, true}, 1);
#else
  x.set({0, 1}, 1);
#endif
#ifdef WRONG_range  // error: tensor.cpp:
  x(Range(0, true), 1);
#else
  x(Range(0, 1), 1);
#endif
#ifdef WRONG_slice  // error: deleted function
  slice(x, 0, 0, true);
#else
  slice(x, 0, 0, 1);
#endif
#ifdef WRONG_select  // error: deleted function
  select(x, 0, true);
#else
  select(x, 0, 1);
#endif
#ifdef WRONG_index_select  // error: deleted function
  index_select(x, true, i);
#else
  index_select(x, 1, i);
#endif
#ifdef WRONG_scatter  // error: deleted function
  scatter(x, true, i, x);
#else
  scatter(x, 1, i, x);
#endif
#ifdef WRONG_embedding  // error: tensor.cpp:
  embedding(i, x, true);
#else
  embedding(i, x, 1);
#endif
}

// Logic is for boolean tensors only, not for Scalars.
void logic(const Tensor& x, const Scalar& s) {
#ifdef WRONG_and_of_a_scalar  // error: tensor.cpp:
  (x > 0) && s;
#else
  (x > 0) && (s > 0);
#endif
#ifdef WRONG_and_of_a_number  // error: tensor.cpp:
  (x > 0) && 1;
#else
  (x > 0) && true;
#endif
}

std::vector<float> made();

void borrowing_from_a_temporary(const std::vector<float>& kept) {
#ifdef WRONG_borrowed_vector  // error: keep the vector in a variable
  Tensor::borrow<float>(made(), {2});
#else
  Tensor::borrow<float>(kept, {2});
#endif
#ifdef WRONG_borrowed_copy  // error: keep the vector in a variable
  Tensor::borrow(std::vector<float>(kept), {2});
#else
  Tensor::borrow(kept, {2});
#endif
}

void assignment_to_a_temporary(const Tensor& x, const Tensor& y) {
#ifdef WRONG_assigned_part  // error: slice_update
  select(x, 0, 1) = y;
#else
  Tensor z = slice_update(x, {1}, y);
#endif
#ifdef WRONG_assigned_row  // error: slice_update
  x[1] = y + y;
#else
  z = slice_update(x, {1}, y + y);
#endif
}
