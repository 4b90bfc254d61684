#include "autodiff/format.h"

#include <fmt/format.h>

#include <boost/test/unit_test.hpp>
#include <limits>
#include <sstream>

#include "autodiff/ops.h"

using namespace wengert;

namespace {

template <class T> std::string streamed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_scalar_prints_its_value) {
  const Scalar x = 2.5;
  BOOST_TEST(streamed(x) == "2.5");
  BOOST_TEST(streamed(x * x + 1) == "7.25");
  BOOST_TEST(fmt::format("{} {:.3f}", x, x) == "2.5 2.500");
}

BOOST_AUTO_TEST_CASE(shapes_and_dtypes) {
  BOOST_TEST(streamed(Shape{2, 3}) == "(2, 3)");
  BOOST_TEST(fmt::format("{} {}", Shape{2, 3}, float32) == "(2, 3) float32");
  BOOST_TEST(streamed(int64) == "int64");
}

BOOST_AUTO_TEST_CASE(a_matrix_has_aligned_columns) {
  const Tensor t = Tensor::from({{1, 2.5}, {-3, 0.1}});
  BOOST_TEST(streamed(t) ==
             "[[  1, 2.5],\n"
             " [ -3, 0.1]] (2, 2) float32");
  BOOST_TEST(fmt::format("{}", transpose(t)) ==
             "[[  1,  -3],\n"
             " [2.5, 0.1]] (2, 2) float32");
}

BOOST_AUTO_TEST_CASE(every_rank_and_dtype) {
  BOOST_TEST(streamed(Tensor::full({}, 0.1, float64)) == "0.1 () float64");
  BOOST_TEST(streamed(Tensor::zeros({0, 3}, int64)) == "[] (0, 3) int64");
  BOOST_TEST(streamed(Tensor::from({1, 0}, boolean)) == "[ true, false] (2,) boolean");
  BOOST_TEST(streamed(Tensor()) == "undefined tensor");
  BOOST_TEST(streamed(Tensor::arange(0, 8, 1, int64)).substr(0, 12) == "[0, 1, 2, 3,");
  const Tensor cube = reshape(Tensor::arange(0, 8, 1, int64), {2, 2, 2});
  BOOST_TEST(streamed(cube) ==
             "[[[0, 1],\n"
             "  [2, 3]],\n\n"
             " [[4, 5],\n"
             "  [6, 7]]] (2, 2, 2) int64");
}

BOOST_AUTO_TEST_CASE(large_tensors_are_shortened) {
  BOOST_TEST(streamed(Tensor::arange(0, 2000, 1, int64)) == "[   0,    1,    2, ..., 1997, 1998, 1999] (2000,) int64");
}

BOOST_AUTO_TEST_CASE(limits_of_a_scalar_are_those_of_its_value) {
  static_assert(std::numeric_limits<Scalar>::is_specialized && !std::numeric_limits<Scalar>::is_integer);
  const Scalar largest = std::numeric_limits<Scalar>::max(), infinity = std::numeric_limits<Scalar>::infinity();
  BOOST_TEST((largest < infinity && largest.value() == std::numeric_limits<double>::max()));
}
