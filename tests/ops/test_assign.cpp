#include <autodiff/autodiff.h>

#include <boost/test/unit_test.hpp>

#include "tests/support/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

// 0, 1, 2, ... in row-major order.
Tensor counted(const Shape& shape) { return reshape(Tensor::arange(0, static_cast<double>(shape.size()), 1, float64), shape); }

Tensor index(std::initializer_list<double> values) { return Tensor::from(values, int64); }

// The same values with the dimensions in reverse order in memory.
Tensor strided(const Tensor& x) {
  Dims reverse;
  for (int d = x.rank(); d-- > 0;) reverse.push_back(d);
  return permute(permute(x, reverse).contiguous(), reverse);
}

}  // namespace

// ---- against loops ----------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(slice_update_against_a_loop) {
  for (const Dtype dtype : {float64, float32, int64, boolean})
    for (const bool dense : {true, false}) {
      const Tensor values = (counted({3, 4}) > 5).to(dtype), x = dense ? values : strided(values);
      const Tensor v = Tensor::from({1, 0}, dtype);
      Tensor expected = values.clone();
      for (const Index i : {0, 2})
        for (const Index k : {0, 1}) expected.set({i, 1 + 2 * k}, v.at({k}));
      const Tensor y = slice_update(x, {Range(0, End, 2), Range(1, End, 2)}, v);
      BOOST_TEST((y.dtype() == dtype));
      check_numbers(numbers(y), numbers(expected), 0);
      check_numbers(numbers(x), numbers(values), 0);  // as it was
    }
  const Tensor x = counted({2, 3});
  check_numbers(numbers(slice_update(x, {All, 1}, 9)), {0, 9, 2, 3, 9, 5}, 0);
  check_numbers(numbers(slice_update(x, {All, -1}, Tensor::from({7, 8}, float64))), {0, 1, 7, 3, 4, 8}, 0);
  check_numbers(numbers(slice_update(x, {1}, x[0])), {0, 1, 2, 0, 1, 2}, 0);
  check_numbers(numbers(slice_update(x, {1, 2}, Scalar(4))), {0, 1, 2, 3, 4, 4}, 0);
  check_numbers(numbers(slice_update(x, {Ellipsis}, transpose(reshape(x, {3, 2})))), {0, 2, 4, 1, 3, 5}, 0);
  check_numbers(numbers(slice_update(x, {}, 0)), {0, 0, 0, 0, 0, 0}, 0);
  check_numbers(numbers(slice_update(x, {Range(1, 1)}, 9)), numbers(x), 0);
  check_numbers(numbers(slice_update(Tensor::full({}, 3), {}, 4)), {4}, 0);
}

BOOST_AUTO_TEST_CASE(index_put_against_a_loop) {
  for (const bool dense : {true, false})
    for (const bool accumulate : {false, true}) {
      const Tensor values = counted({3, 2, 2}), x = dense ? values : strided(values);
      const Tensor i = Tensor::from({{0, 2}, {2, 0}}, int64), j = index({1, 0});  // (0,1) (2,0) (2,1) (0,0)
      const Tensor v = counted({2, 2, 2}) * 100 + 100;
      Tensor expected = values.clone();
      for (const Index a : {0, 1})
        for (const Index b : {0, 1})
          for (const Index k : {0, 1}) {
            const auto row = static_cast<Index>(i.at({a, b})), column = static_cast<Index>(j.at({b}));
            expected.set({row, column, k}, v.at({a, b, k}) + (accumulate ? expected.at({row, column, k}) : 0));
          }
      check_numbers(numbers(index_put(x, {i, j}, dense ? v : strided(v), {.accumulate = accumulate})), numbers(expected), 0);
    }
  const Tensor x = counted({4});
  check_numbers(numbers(index_put(x, {index({1, 3})}, 9)), {0, 9, 2, 9}, 0);
  check_numbers(numbers(index_put(x, {index({1, 1, 1})}, Tensor::from({5, 6, 7}, float64))), {0, 7, 2, 3}, 0);
  check_numbers(numbers(index_put(x, {index({1, 1, 1})}, Tensor::from({5, 6, 7}, float64), {.accumulate = true})), {0, 19, 2, 3}, 0);
  check_numbers(numbers(index_put(x, {Tensor::full({}, 2, int64)}, 8)), {0, 1, 8, 3}, 0);
  check_numbers(numbers(index_put(x, {Tensor::zeros({0}, int64)}, 8)), {0, 1, 2, 3}, 0);
  check_numbers(numbers(index_put(counted({2, 2}).to(int64), {index({1})}, Tensor::from({{8, 9}}, int64))), {0, 1, 8, 9}, 0);
}

BOOST_AUTO_TEST_CASE(scatter_against_a_loop) {
  for (const Index dim : {0, 1})
    for (const bool dense : {true, false}) {
      const Tensor values = counted({3, 3}), x = dense ? values : strided(values);
      const Tensor at = Tensor::from({{2, 0, 1}, {2, 2, 0}}, int64), source = counted({2, 3}) + 10;
      Tensor expected = values.clone();
      for (const Index i : {0, 1})
        for (const Index j : {0, 1, 2}) {
          const auto k = static_cast<Index>(at.at({i, j}));
          expected.set({dim == 0 ? k : i, dim == 0 ? j : k}, source.at({i, j}));
        }
      check_numbers(numbers(scatter(x, dim - 2, dense ? at : strided(at), dense ? source : strided(source))), numbers(expected), 0);
    }
}

BOOST_AUTO_TEST_CASE(masked_scatter_against_a_loop) {
  const Tensor x = counted({2, 3});
  check_numbers(numbers(masked_scatter(x, x > 2, Tensor::from({7, 8, 9}, float64))), {0, 1, 2, 7, 8, 9}, 0);
  check_numbers(numbers(masked_scatter(transpose(x), transpose(x) > 2, Tensor::from({7, 8, 9}, float64))), {0, 7, 1, 8, 2, 9}, 0);
  check_numbers(numbers(masked_scatter(x, Tensor::from({1, 0, 1}, boolean), Tensor::from({{6, 7}, {8, 9}}, float64))), {6, 1, 7, 8, 4, 9},
                0);
  check_numbers(numbers(masked_scatter(x, x > 9, Tensor::zeros({0}, float64))), numbers(x), 0);
}

// ---- derivatives that test_ops does not cover ---------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_last_of_several_values_takes_the_gradient) {
  const Tensor w = Tensor::from({10, 20, 30}, float64);
  const auto put = [&](const Tensor& v) { return w * index_put(w, {index({1, 0, 1, 1})}, v); };
  check_numbers(gradient_of(put, counted({4})), {0, 10, 0, 20}, 0);
  const auto into = [&](const Tensor& x) { return w * index_put(x, {index({1, 0, 1})}, 5); };
  check_numbers(gradient_of(into, w), {0, 0, 30}, 0);
  const Tensor at = Tensor::from({{0, 0}, {0, 1}}, int64);
  const auto scattered = [&](const Tensor& s) { return scatter(Tensor::zeros({2, 2}, float64), 0, at, s) * (counted({2, 2}) + 1); };
  check_numbers(gradient_of(scattered, counted({2, 2})), {0, 2, 1, 4}, 0);
  const auto added = [&](const Tensor& v) { return w * index_put(w, {index({1, 0, 1, 1})}, v, {.accumulate = true}); };
  check_numbers(gradient_of(added, counted({4})), {20, 10, 20, 20}, 0);
  // A value that is broadcast counts once for each position.
  const auto one = [&](const Tensor& v) { return w * index_put(w, {index({0, 2, 2})}, v); };
  check_numbers(gradient_of(one, Tensor::full({}, 1, float64)), {40}, 0);
}

BOOST_AUTO_TEST_CASE(forward_mode_with_one_tangent_only) {
  const Tensor x = counted({3}), v = Tensor::from({5, 6}, float64), ones2 = Tensor::ones({2}, float64), ones3 = Tensor::ones({3}, float64);
  const Tensor twice = index({1, 1});
  check_numbers(numbers(jvp([&](const Tensor& a) { return index_put(a, {twice}, v); }, x, ones3)), {1, 0, 1}, 0);
  check_numbers(numbers(jvp([&](const Tensor& a) { return index_put(x, {twice}, a); }, v, Tensor::from({2, 3}, float64))), {0, 3, 0}, 0);
  check_numbers(numbers(jvp([&](const Tensor& a) { return scatter(a, 0, twice, v); }, x, ones3)), {1, 0, 1}, 0);
  check_numbers(numbers(jvp([&](const Tensor& a) { return scatter(x, 0, twice, a); }, v, ones2)), {0, 1, 0}, 0);
  check_numbers(numbers(jvp([&](const Tensor& a) { return slice_update(a, {Range(1, End)}, v); }, x, ones3)), {1, 0, 0}, 0);
  check_numbers(numbers(jvp([&](const Tensor& a) { return slice_update(x, {Range(1, End)}, a); }, v, ones2)), {0, 1, 1}, 0);
}

BOOST_AUTO_TEST_CASE(a_loop_that_fills_a_tensor_is_differentiable) {
  // x_0 = s, x_{k+1} = x_k^2: the last is s^8.
  const auto f = [](const Tensor& s) {
    Tensor x = Tensor::zeros({4}, float64);
    x = slice_update(x, {0}, s);
    for (Index k = 1; k < 4; ++k) x = slice_update(x, {k}, square(x[k - 1]));
    return x[-1];
  };
  const Tensor s = Tensor::full({}, 0.9, float64);
  BOOST_TEST(gradient(f, s).item() == 8 * std::pow(0.9, 7), boost::test_tools::tolerance(1e-14));
  BOOST_TEST(hessian(f, s).item() == 56 * std::pow(0.9, 6), boost::test_tools::tolerance(1e-14));
}

BOOST_AUTO_TEST_CASE(scalars_and_parameters_as_values) {
  const Parameter w(Tensor::from({1, 2}));
  Tape tape;
  const Scalar s = tape.variable(3);
  const Tensor x = slice_update(slice_update(w, {0}, s), {1}, w(0));
  const auto [s_bar, w_bar] = tape.gradient(sum(x * Tensor::from({10, 100})), s, w);
  BOOST_TEST(s_bar == 10);
  check_numbers(numbers(w_bar), {100, 0}, 0);
}

// ---- errors -----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const Tensor x = counted({2, 3}), whole = x.to(int64), m = x > 2;
  const auto shape_error = [](const auto& f, std::initializer_list<const char*> told) {
    const std::string message = message_of<ShapeError>(f);
    for (const char* part : told) BOOST_TEST(contains(message, part));
  };
  const auto dtype_error = [](const auto& f, std::initializer_list<const char*> told) {
    const std::string message = message_of<DtypeError>(f);
    for (const char* part : told) BOOST_TEST(contains(message, part));
  };
  shape_error([&] { slice_update(x, {All, 3}, 1); }, {"slice_update: index 3 of dimension 1", "(2, 3)"});
  shape_error([&] { slice_update(x, {0, 0, 0}, 1); }, {"slice_update: 3 indices"});
  shape_error([&] { slice_update(x, {All, Range(0, 2)}, x); }, {"slice_update: the value (2, 3)", "broadcast to (2, 2)"});
  shape_error([&] { slice_update(x, {0}, x); }, {"slice_update", "broadcast to (3,)"});
  dtype_error([&] { slice_update(x, {0}, whole[0]); }, {"slice_update", "float64", "int64", ".to("});
  dtype_error([&] { slice_update(whole, {0}, 0.5); }, {"0.5", "int64"});
  shape_error([&] { index_put(x, {index({2})}, 1); }, {"index_put: index 2 at position 0", "[0, 2)"});
  shape_error([&] { index_put(x, {index({0}), index({-1})}, 1); }, {"index_put: index -1", "dimension 1"});
  shape_error([&] { index_put(x, {index({0, 1}), index({0, 1, 2})}, 1); }, {"index_put: the shapes do not broadcast"});
  shape_error([&] { index_put(x, {index({0}), index({0}), index({0})}, 1); }, {"index_put: 3 indices", "at most 2"});
  shape_error([&] { index_put(x, std::span<const Tensor>(), 1); }, {"index_put: 0 indices"});
  shape_error([&] { index_put(x, {index({0, 1})}, Tensor::zeros({2, 2}, float64)); }, {"index_put: the values (2, 2)", "to (2, 3)"});
  dtype_error([&] { index_put(x, {x}, 1); }, {"index_put", "not int64"});
  dtype_error([&] { index_put(x, {m}, 1); }, {"index_put", "boolean", "masked_scatter"});
  dtype_error([&] { index_put(x, {index({0})}, whole[0]); }, {"index_put", "float64", "int64"});
  shape_error([&] { scatter(x, 2, whole, x); }, {"scatter: dimension 2"});
  shape_error([&] { scatter(x, 0, whole, x); }, {"scatter: index 2 at position 2", "[0, 2)"});
  shape_error([&] { scatter(x, 0, index({0}), x[0]); }, {"scatter: the index (1,)"});
  shape_error([&] { scatter(x, 1, Tensor::zeros({2, 1}, int64), x); }, {"scatter", "shape of the index (2, 1)"});
  dtype_error([&] { scatter(x, 1, Tensor::zeros({2, 3}, int64), whole); }, {"scatter", "int64"});
  dtype_error([&] { scatter(x, 1, x, x); }, {"scatter", "not int64"});
  dtype_error([&] { masked_scatter(x, x, x); }, {"masked_scatter", "not boolean", "x > 0"});
  dtype_error([&] { masked_scatter(x, m, whole); }, {"masked_scatter", "int64"});
  shape_error([&] { masked_scatter(x, m, x); }, {"masked_scatter", "6 elements", "3 true elements"});
  shape_error([&] { masked_scatter(x[0], m, x); }, {"masked_scatter", "does not broadcast to (3,)"});
}

BOOST_AUTO_TEST_CASE(they_name_the_line_of_the_caller) {
  const Tensor x = counted({3}), i = index({0});
  for (const Tensor& y : {slice_update(x, {0}, 1), index_put(x, {i}, 1), index_put(x, {i}, x[0], {.accumulate = true}),
                          scatter(x, 0, i, x(Range(0, 1))), masked_scatter(x, x > 1, x(Range(0, 1)))}) {
    BOOST_TEST(to_string(y.made_at()).rfind("test_assign.cpp:", 0) == 0u, to_string(y.made_at()));
    BOOST_TEST(y.made_at().line + 5 > static_cast<std::uint32_t>(__LINE__));
  }
}
