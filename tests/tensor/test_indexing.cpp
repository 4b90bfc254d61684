#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>
#include <limits>

#include "tests/support/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// 0, 1, 2, ... in row-major order.
Tensor counted(const Shape& shape) { return reshape(Tensor::arange(0, static_cast<double>(shape.size()), 1, float64), shape); }

Tensor index(std::initializer_list<double> values) { return Tensor::from(values, int64); }

}  // namespace

// ---- values ----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(elements_at_positions) {
  const Tensor x = counted({2, 3});
  check_numbers(numbers(index_select(x, 1, index({2, 0, 2}))), {2, 0, 2, 5, 3, 5});
  check_numbers(numbers(index_select(transpose(x), 0, index({1}))), {1, 4});
  check_numbers(numbers(gather(x, 0, Tensor::from({{1, 0, 1}}, int64))), {3, 1, 5});
  check_numbers(numbers(gather(x, 1, unsqueeze(index({1, 2}), 1))), {1, 5});
  check_numbers(numbers(index_add(x, 0, index({1, 1}), Tensor::ones({2, 3}, float64))), {0, 1, 2, 5, 6, 7});
  check_numbers(numbers(scatter_add(x, 1, Tensor::from({{0, 0}, {2, 1}}, int64), Tensor::from({{1, 2}, {3, 4}}, float64))),
                {3, 1, 2, 3, 8, 8});
  check_numbers(numbers(masked_fill(x, x > 3, -1)), {0, 1, 2, 3, -1, -1});
  check_numbers(numbers(masked_select(transpose(x), transpose(x) > 1)), {3, 4, 2, 5});
  check_numbers(numbers(masked_select(x, Tensor::from({1, 0, 1}, boolean))), {0, 2, 3, 5});
}

BOOST_AUTO_TEST_CASE(parts) {
  const Tensor x = counted({5, 2});
  check_numbers(numbers(narrow(x, 0, -2, 2)), {6, 7, 8, 9});
  BOOST_TEST((narrow(x, 0, 5, 0).shape() == Shape{0, 2}));
  const auto parts = split(x, {2, 0, 3});
  BOOST_TEST(parts.size() == 3u);
  check_numbers(numbers(parts[2]), {4, 5, 6, 7, 8, 9});
  const auto chunks = chunk(x, 3);
  BOOST_TEST(chunks.size() == 3u);
  check_numbers(numbers(chunks[2]), {8, 9});
  BOOST_TEST(chunk(x, 4).size() == 3u);  // of 2, 2 and 1 rows
  BOOST_TEST(chunk(Tensor::zeros({0}), 2).size() == 1u);
  BOOST_TEST((squeeze(counted({1, 2, 1})).shape() == Shape{2}));
}

BOOST_AUTO_TEST_CASE(other_orders) {
  const Tensor x = counted({2, 3});
  check_numbers(numbers(flip(x, {0})), {3, 4, 5, 0, 1, 2});
  check_numbers(numbers(flip(transpose(x), {0, 1})), {5, 2, 4, 1, 3, 0});
  check_numbers(numbers(flip(flip(x, {1}), {-1})), numbers(x));
  check_numbers(numbers(slice(flip(x, {1}), 1, 0, 3, 2)), {2, 0, 5, 3});
  check_numbers(numbers(matmul(flip(x, {0, 1}), flip(transpose(x), {0}))),
                numbers(matmul(flip(x, {0, 1}).contiguous(), flip(transpose(x), {0}).contiguous())));
  BOOST_TEST((flip(Tensor::zeros({0, 2}), {0}).shape() == Shape{0, 2}));
  check_numbers(numbers(roll(counted({5}), {2}, {0})), {3, 4, 0, 1, 2});
  check_numbers(numbers(roll(counted({5}), {-12}, {0})), {2, 3, 4, 0, 1});
  check_numbers(numbers(roll(x, {1, 1}, {0, 1})), {5, 3, 4, 2, 0, 1});
  check_numbers(numbers(repeat(counted({2}), {2, 2})), {0, 1, 0, 1, 0, 1, 0, 1});
  BOOST_TEST((repeat(x, {0, 1}).shape() == Shape{0, 3}));
}

BOOST_AUTO_TEST_CASE(padding) {
  const Tensor x = counted({4});
  check_numbers(numbers(pad(x, {2}, {1}, 9)), {9, 9, 0, 1, 2, 3, 9});
  check_numbers(numbers(pad(x, {-1}, {-2})), {1});
  check_numbers(numbers(pad(x, {5}, {-4}, 7)), {7, 7, 7, 7, 7});
  check_numbers(numbers(pad(x, {-4}, {2}, 7)), {7, 7});
  check_numbers(numbers(pad(x, {2}, {3}, Padding::reflect)), {2, 1, 0, 1, 2, 3, 2, 1, 0});
  check_numbers(numbers(pad(x, {2}, {1}, Padding::replicate)), {0, 0, 0, 1, 2, 3, 3});
  check_numbers(numbers(pad(x, {2}, {1}, Padding::circular)), {2, 3, 0, 1, 2, 3, 0});
  check_numbers(numbers(pad(Tensor::from({1, 0}, boolean), {1}, {0}, 1)), {1, 1, 0});
}

BOOST_AUTO_TEST_CASE(triangles_and_diagonals) {
  const Tensor x = counted({2, 3}) + 1;
  check_numbers(numbers(tril(x)), {1, 0, 0, 4, 5, 0});
  check_numbers(numbers(triu(x, 1)), {0, 2, 3, 0, 0, 6});
  check_numbers(numbers(diagonal(x)), {1, 5});
  check_numbers(numbers(diagonal(x, 2)), {3});
  check_numbers(numbers(diagonal(transpose(x), -1)), {2, 6});
  BOOST_TEST((diagonal(x, 3).shape() == Shape{0}));
  check_numbers(numbers(trace(counted({2, 2, 2}))), {3, 11});
  check_numbers(numbers(tril(Tensor::full({2, 2}, kNaN, float64), -1)), {0, 0, kNaN, 0});
}

BOOST_AUTO_TEST_CASE(order) {
  const Tensor x = Tensor::from({3, kNaN, 1, 3}, float64);
  check_numbers(numbers(sort(x).values), {1, 3, 3, kNaN});
  check_numbers(numbers(sort(x).indices), {2, 0, 3, 1});
  check_numbers(numbers(sort(x, 0, true).indices), {1, 0, 3, 2});
  check_numbers(numbers(topk(x, 2, 0, false).values), {1, 3});
  check_numbers(numbers(topk(counted({2, 3}), 1, 0).values), {3, 4, 5});
  check_numbers(numbers(topk(counted({3}).to(int64), 2).values), {2, 1});
  check_numbers(gradient_of([](const Tensor& x) { return topk(x, 1).values; }, Tensor::from({2, 5, 5}, float64)), {0, 1, 0});
  BOOST_TEST((sort(Tensor::zeros({2, 0})).indices.shape() == Shape{2, 0}));
}

// ---- nothing ---------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(empty_pieces_and_empty_indices_pass_through) {
  const Tensor x = counted({2, 3});
  check_numbers(gradient_of([](const Tensor& x) { return concat({x, Tensor::zeros({0, 3}, float64)}); }, x), {1, 1, 1, 1, 1, 1});
  const auto none = [](const Tensor& x) { return index_select(x, 0, Tensor::zeros({0}, int64)); };
  BOOST_TEST((none(x).shape() == Shape{0, 3}));
  check_numbers(gradient_of(none, x), {0, 0, 0, 0, 0, 0});
  BOOST_TEST((index_select(Tensor::zeros({0, 3}), 0, Tensor::zeros({0}, int64)).shape() == Shape{0, 3}));
}

BOOST_AUTO_TEST_CASE(repeated_positions_add_their_gradients) {
  const Tensor x = counted({3});
  check_numbers(gradient_of([](const Tensor& x) { return index_select(x, 0, index({1, 1, 2})); }, x), {0, 2, 1});
  check_numbers(hessian_times(
                    [](const Tensor& x) {
                      return square(gather(x, 0, index({1, 1})));
                    },
                    x, Tensor::ones({3}, float64)),
                {0, 4, 0});
}

BOOST_AUTO_TEST_CASE(an_unused_part_contributes_zero) {
  check_numbers(gradient_of([](const Tensor& x) { return split(x, {1, 2})[0]; }, counted({3})), {1, 0, 0});
}

// ---- errors ----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(an_index_out_of_range_is_refused_before_anything_is_written) {
  const Tensor x = Tensor::zeros({2, 3});
  for (const double wrong : {3.0, -1.0}) {
    const Tensor at = Tensor::from({0, wrong}, int64), each = Tensor::from({{0, wrong}, {0, 0}}, int64);
    const std::string told = "index " + std::to_string(static_cast<int>(wrong)) + " at position 1 of ";
    for (const std::string& message : {message_of<ShapeError>([&] { index_select(x, 1, at); }),
                                       message_of<ShapeError>([&] { gather(x, 1, each); }), message_of<ShapeError>([&] {
                                         index_add(x, 1, at, Tensor::zeros({2, 2}));
                                       }),
                                       message_of<ShapeError>([&] {
                                         scatter_add(x, 1, each, Tensor::zeros({2, 2}));
                                       })}) {
      BOOST_TEST(contains(message, told));
      BOOST_TEST(contains(message, "is not in [0, 3), the size of dimension 1 of (2, 3)"));
      BOOST_TEST(contains(message, "test_indexing.cpp"));
    }
  }
}

BOOST_AUTO_TEST_CASE(wrong_operands_of_indexing_are_explained) {
  const Tensor x = Tensor::zeros({2, 3}), mask = Tensor::zeros({2, 3}, boolean);
  const auto shape_error = [](auto f) { return message_of<ShapeError>(f); };
  const auto dtype_error = [](auto f) { return message_of<DtypeError>(f); };
  BOOST_TEST(contains(dtype_error([&] { index_select(x, 0, Tensor::zeros({2})); }), "index_select: the index (2,) float32"));
  BOOST_TEST(contains(dtype_error([&] { gather(x, 0, x); }), "gather: the index (2, 3) float32"));
  BOOST_TEST(contains(dtype_error([&] { masked_fill(x, x, 0); }), "masked_fill: the mask (2, 3) float32"));
  BOOST_TEST(contains(dtype_error([&] { masked_select(x, x); }), "masked_select: the mask (2, 3) float32"));
  BOOST_TEST(contains(dtype_error([&] { index_add(x, 0, index({0}), Tensor::zeros({1, 3}, float64)); }), "index_add: the dtypes differ"));
  BOOST_TEST(contains(dtype_error([&] {
                        scatter_add(x, 0, Tensor::zeros({1, 3}, int64), Tensor::zeros({1, 3}, float64));
                      }),
                      "scatter_add: the dtypes differ"));
  BOOST_TEST(contains(dtype_error([&] { index_add(mask, 0, index({0}), slice(mask, 0, 0, 1)); }), "index_add: cannot add to (2, 3)"));
  BOOST_TEST(contains(dtype_error([&] { scatter_add(mask, 0, Tensor::zeros({1, 3}, int64), mask); }), "scatter_add: cannot add to (2, 3)"));
  BOOST_TEST(contains(dtype_error([&] { pad(Tensor::zeros({2}, int64), {1}, {1}, 0.5); }),
                      "pad: the value 0.5 cannot be an element of (2,) int64"));
  BOOST_TEST(contains(dtype_error([&] { masked_fill(Tensor::zeros({2, 3}, int64), mask, 0.5); }), "test_indexing.cpp"));
  BOOST_TEST(contains(shape_error([&] { index_select(x, 0, Tensor::zeros({1, 1}, int64)); }), "must have one dimension"));
  BOOST_TEST(contains(shape_error([&] { index_select(x, 2, index({0})); }), "index_select: dimension 2"));
  BOOST_TEST(contains(shape_error([&] { gather(x, 0, index({0})); }), "gather: the index (1,)"));
  BOOST_TEST(contains(shape_error([&] { gather(x, 0, Tensor::zeros({1, 4}, int64)); }), "larger only in dimension 0"));
  BOOST_TEST(contains(shape_error([&] { index_add(x, 0, index({0}), x); }), "it must have the shape (1, 3)"));
  BOOST_TEST(contains(shape_error([&] { scatter_add(x, 0, Tensor::zeros({1, 3}, int64), x); }), "must have the shape of the index (1, 3)"));
  BOOST_TEST(contains(shape_error([&] { masked_fill(x, Tensor::zeros({4}, boolean), 0); }),
                      "masked_fill: the shapes do not broadcast: sizes 3 and 4 in dimension -1: left (2, 3)"));
  BOOST_TEST(contains(shape_error([&] { masked_fill(x, Tensor::zeros({2, 2, 3}, boolean), 0); }), "does not broadcast to (2, 3)"));
  BOOST_TEST(contains(shape_error([&] { masked_select(x, Tensor::zeros({4}, boolean)); }),
                      "masked_select: the shapes do not broadcast: sizes 3 and 4 in dimension -1: left (2, 3)"));
}

BOOST_AUTO_TEST_CASE(wrong_shapes_are_explained) {
  const Tensor x = Tensor::zeros({2, 3});
  const auto shape_error = [](auto f) { return message_of<ShapeError>(f); };
  const std::vector<std::pair<std::string, std::string>> told{
      {shape_error([&] { narrow(x, 1, 2, 2); }), "narrow: 2 positions from 2 on exceed dimension 1 of (2, 3)"},
      {shape_error([&] { narrow(x, 1, 0, -1); }), "narrow: -1 positions"},
      {shape_error([&] {
         split(x, {1, 1}, 1);
       }),
       "split: the sizes (1, 1) do not sum to 3, the size of dimension 1 of (2, 3)"},
      {shape_error([&] {
         split(x, {4, -1}, 1);
       }),
       "split: the sizes (4, -1)"},
      {message_of<ValueError>([&] { chunk(x, 0); }), "chunk: the number of parts must be at least 1, not 0: input (2, 3)"},
      {shape_error([&] {
         flip(x, {0, -2});
       }),
       "flip: dimension -2 of (2, 3)"},
      {shape_error([&] { flip(x, {2}); }), "flip: dimension 2"},
      {shape_error([&] {
         roll(x, {1, 2}, {0});
       }),
       "roll: 2 shifts for 1 dimensions of (2, 3)"},
      {shape_error([&] { roll(x, {1}, {2}); }), "roll: dimension 2"},
      {shape_error([&] { repeat(x, {2}); }), "repeat: (2, 3)"},
      {shape_error([&] {
         repeat(x, {2, -1});
       }),
       "repeat: the repeats (2, -1) of (2, 3)"},
      {shape_error([&] { repeat(Tensor::zeros({2}), {Index(1) << 62}); }), "more elements than memory can hold"},
      {shape_error([&] { pad(x, {1}, {1}); }), "pad: (2, 3)"},
      {shape_error([&] {
         pad(x, {0, -2}, {0, -2});
       }),
       "pad: widths -2 and -2 do not fit dimension 1 of (2, 3)"},
      {shape_error([&] {
         pad(x, {0, std::numeric_limits<Index>::max()}, {0, 0});
       }),
       "pad: widths"},
      {shape_error([&] {
         pad(x, {0, 3}, {0, 0}, Padding::reflect);
       }),
       "pad: widths 3 and 0 of dimension 1 of (2, 3)"},
      {shape_error([&] {
         pad(x, {0, 4}, {0, 0}, Padding::circular);
       }),
       "pad: widths 4 and 0"},
      {shape_error([&] {
         pad(x, {0, -1}, {0, 0}, Padding::replicate);
       }),
       "pad: widths -1 and 0"},
      {shape_error([&] { tril(Tensor::zeros({3})); }), "tril: (3,)"},
      {shape_error([&] { triu(Tensor::zeros({3})); }), "triu: (3,)"},
      {shape_error([&] { diagonal(x, 4); }), "diagonal: offset 4 is outside [-2, 3] of (2, 3)"},
      {shape_error([&] { trace(Tensor::zeros({})); }), "trace: ()"},
      {shape_error([&] { sort(x, 2); }), "sort: dimension 2"},
      {shape_error([&] { topk(x, 4); }), "topk: cannot take 4 elements of dimension -1 of (2, 3)"},
  };
  for (const auto& [message, part] : told) BOOST_TEST(contains(message, part));
}

BOOST_AUTO_TEST_CASE(sizes_that_overflow_are_refused) {
  for (const Shape& shape :
       {Shape{Index(1) << 32, Index(1) << 32}, Shape{Index(1) << 33, Index(1) << 31}, Shape{Index(1) << 31, Index(1) << 31, 32}}) {
    BOOST_TEST(contains(message_of<ShapeError>([&] { Tensor::zeros(shape); }), "more elements than memory can hold"));
    BOOST_TEST(contains(message_of<ShapeError>([&] { expand(Tensor::zeros({}), shape); }), "more elements than memory can hold"));
  }
}

BOOST_AUTO_TEST_CASE(results_are_made_where_the_user_called) {
  const Tensor x = counted({2, 3});
  for (const Tensor& y :
       {index_select(x, 0, index({1})), masked_fill(x, x > 1, 0), masked_select(x, x > 1), narrow(x, 0, 0, 1), split(x, {1, 1})[0],
        flip(x, {0}), roll(x, {1}, {0}), repeat(x, {2, 2}), pad(x, {1, 1}, {1, 1}), pad(x, {1, 1}, {1, 1}, Padding::replicate), tril(x),
        triu(x), diagonal(x), trace(x), sort(x).values, topk(x, 1).indices})
    BOOST_TEST(to_string(y.made_at()).rfind("test_indexing.cpp:", 0) == 0u, to_string(y.made_at()));
}
