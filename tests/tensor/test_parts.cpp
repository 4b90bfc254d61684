#include <autodiff/autodiff.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <sstream>
#include <thread>

#include "tests/support/derivatives.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

// 0, 1, 2, ... in row-major order.
Tensor counted(const Shape& shape) { return reshape(Tensor::arange(0, static_cast<double>(shape.size()), 1, float64), shape); }

// What Range(start, stop, step) takes of n positions, by Python's definition of a slice.
std::vector<Index> positions(Index n, const Range& r) {
  const auto clip = [n](Index i) { return i < 0 ? std::max<Index>(0, i + n) : std::min(i, n); };
  std::vector<Index> list;
  for (Index i = clip(r.start); i < clip(r.stop); i += std::min<Index>(r.step, n + 1)) list.push_back(i);
  return list;
}

}  // namespace

// ---- x(...), x[i], rows -----------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(two_indices_against_loops) {
  const Range ranges[] = {All, {0, 2}, {1, End}, {-2, End}, {0, -1}, {0, End, 2}, {1, 4, 3}, {-100, 100}, {3, 1}, {0, End, End}, {2, 2}};
  for (const Tensor& x : {counted({3, 5}), transpose(counted({5, 3})), counted({3, 10})(All, Range(0, End, 2))})
    for (const Range& r : ranges) {
      for (const Range& s : ranges) {
        Numbers expected;
        for (const Index i : positions(3, r))
          for (const Index j : positions(5, s)) expected.push_back(x.at({i, j}));
        const Tensor part = x(r, s);
        check_numbers(numbers(part), expected, 0);
        BOOST_TEST((part.shape() == Shape{positions(3, r).size(), positions(5, s).size()}));
      }
      for (const Index j : {0, 4, -1, -5}) {
        Numbers expected;
        for (const Index i : positions(3, r)) expected.push_back(x.at({i, j}));
        check_numbers(numbers(x(r, j)), expected, 0);
        check_numbers(numbers(transpose(x)(j, r)), expected, 0);
        BOOST_TEST(x(r, j).rank() == 1);
      }
      check_numbers(numbers(x(r)), numbers(x(r, All)), 0);
      check_numbers(numbers(x[r]), numbers(x(r)), 0);
    }
}

BOOST_AUTO_TEST_CASE(more_dimensions_and_ellipsis) {
  const Tensor x = counted({2, 3, 4, 2, 2});
  const Tensor part = x(1, Range(0, 2), All, -1, Range(1, End));
  BOOST_TEST((part.shape() == Shape{2, 4, 1}));
  BOOST_TEST(part(1, 2, 0).value() == x.at({1, 1, 2, 1, 1}));
  check_numbers(numbers(x(Ellipsis, 1)), numbers(select(x, -1, 1)), 0);
  check_numbers(numbers(x(0, Ellipsis, 1)), numbers(select(select(x, 0, 0), -1, 1)), 0);
  check_numbers(numbers(x(Ellipsis)), numbers(x), 0);
  check_numbers(numbers(x(0, 1, 2, 1, Ellipsis)), numbers(x(0, 1, 2, 1, All)), 0);
  check_numbers(numbers(x(0, 1, Ellipsis, 1, 0)), numbers(x(0, 1, All, 1, 0)), 0);
  BOOST_TEST((x(0, Ellipsis).shape() == Shape{3, 4, 2, 2}));
  BOOST_TEST((Tensor::full({}, 3)(Ellipsis).shape() == Shape{}));
  BOOST_TEST(x(0, Range(1, 2), Ellipsis).elements()->base == x.elements()->base);  // a view
}

BOOST_AUTO_TEST_CASE(rows) {
  const Tensor x = counted({3, 2});
  check_numbers(numbers(x[1]), {2, 3}, 0);
  check_numbers(numbers(x[-1]), {4, 5}, 0);
  BOOST_TEST(x[2][1].item() == 5);
  Numbers seen;
  Index count = 0;
  for (const Tensor row : x) {
    BOOST_TEST((row.shape() == Shape{2}));
    for (const Tensor element : row) seen.push_back(element.item());
    ++count;
  }
  BOOST_TEST(count == 3);
  check_numbers(seen, numbers(x), 0);
  for (const Tensor row : Tensor::zeros({0, 2})) BOOST_ERROR("a row of nothing: " << to_string(row.shape()));
  std::vector<Tensor> list;
  for (const Tensor row : transpose(x)) list.push_back(row);  // of a temporary
  check_numbers(numbers(stack(std::span<const Tensor>(list))), numbers(transpose(x)), 0);
}

BOOST_AUTO_TEST_CASE(parts_are_differentiable) {
  const auto f = [](const Tensor& x) {
    Tensor y = sum(square(x(Range(0, 2), 1))) + sum(x(All, Range(0, End, 2))[0] * x[-1](Range(1, End)));
    for (const Tensor row : x) y = y * 0.5 + sum(row * row * row);
    return y;
  };
  const GradientCheck check = check_gradient(f, {counted({3, 3}) / 9 + 0.1});
  BOOST_TEST(check.passed(), check.to_string());
}

BOOST_AUTO_TEST_CASE(elements_and_parts_of_a_parameter_are_tracked) {
  const Parameter w(Tensor::from({{1, 2}, {3, 4}}));
  Tape tape;
  Scalar s = w(0, 1) * w(1, -1);
  for (const Tensor row : w) s += Scalar(sum(row * row));
  s += Scalar(sum(w[0]) + sum(w(All, 1)) + sum(w(Range(0, 1), Ellipsis)));
  check_numbers(numbers(tape.gradient(s, w)), {2 + 1 + 1, 4 + 4 + 1 + 1 + 1, 6, 8 + 2 + 1}, 0);
}

BOOST_AUTO_TEST_CASE(what_is_no_part_is_explained) {
  const Tensor x = counted({2, 3});
  const auto refused = [](const auto& f, std::initializer_list<const char*> told) {
    const std::string message = message_of<ShapeError>(f);
    for (const char* part : told) BOOST_TEST(contains(message, part));
  };
  refused([&] { x(All, 3); }, {"x(...)", "index 3 of dimension 1", "[-3, 2]", "(2, 3) float64 made at test_parts.cpp"});
  refused([&] { x(2, All); }, {"index 2 of dimension 0", "[-2, 1]", "(2, 3)"});
  refused([&] { x[-3]; }, {"index -3 of dimension 0"});
  refused([&] { x(All, All, 0); }, {"3 indices", "2 dimensions", "(2, 3)"});
  refused([&] { x(Ellipsis, Ellipsis); }, {"2 Ellipses"});
  refused([&] { x(Range(0, End, 0), 1); }, {"step 0", "flip(x, {0})"});
  refused([&] { x(Range(2, 0, -1)); }, {"step -1"});
  refused([&] { x(0); }, {"element: 1 index for the 2 dimensions", "x[i]"});
  refused([&] { x[0][0][0]; }, {"1 indices", "0 dimensions"});
  refused(
      [&] {
        for (const Tensor row : x[0][0]) static_cast<void>(row);
      },
      {"rank 0", "item()"});
}

BOOST_AUTO_TEST_CASE(parts_name_the_line_that_made_them) {
  const Tensor x = counted({2, 3});
  const Tensor part = x(All, 1), row = x[1];
  const auto line = static_cast<std::uint32_t>(__LINE__ - 1);
  BOOST_TEST(part.made_at().line == line);
  BOOST_TEST(row.made_at().line == line);
  BOOST_TEST(to_string(row.made_at()).rfind("test_parts.cpp", 0) == 0u);
  for (const Tensor r : x) BOOST_TEST(r.made_at().line == static_cast<std::uint32_t>(__LINE__));
}

// ---- set --------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(elements_are_set_in_this_handle_alone) {
  for (const Dtype dtype : {float32, float64, int64, boolean}) {
    Tensor x = Tensor::zeros({2, 3}, dtype);
    const Tensor before = x, column = x(All, 1);
    x.set({0, 1}, 1);
    x.set({-1, -1}, 1);
    check_numbers(numbers(x), {0, 1, 0, 0, 0, 1}, 0);
    check_numbers(numbers(before), {0, 0, 0, 0, 0, 0}, 0);
    check_numbers(numbers(column), {0, 0}, 0);
  }
  Tensor x = counted({2, 3}), turned = transpose(x);
  turned.set({2, 0}, -1);
  check_numbers(numbers(turned), {0, 3, 1, 4, -1, 5}, 0);
  check_numbers(numbers(x), {0, 1, 2, 3, 4, 5}, 0);
  Tensor number = Tensor::full({}, 1);
  number.set({}, 2.5);
  BOOST_TEST(number.item() == 2.5);
  const double memory[] = {1, 2};
  Tensor borrowed = Tensor::borrow(std::span<const double>(memory), {2});
  borrowed.set({0}, 5);
  BOOST_TEST(memory[0] == 1);
}

BOOST_AUTO_TEST_CASE(a_tensor_that_a_tape_has_recorded_is_not_set) {
  Tensor x = counted({3});
  {
    Tape tape;
    Tensor v = tape.variable(x), y = v * v;
    BOOST_TEST(contains(message_of<TapeError>([&] { v.set({0}, 1); }), "slice_update"));
    BOOST_TEST(begins_at(message_of<TapeError>([&] { y.set({0}, 1); }), "test_parts.cpp", "set: "));
    std::thread([&] { message_of<TapeError>([&] { y.set({0}, 1); }); }).join();
    x.set({0}, 7);  // a constant: v keeps the value that it has
    check_numbers(numbers(tape.gradient(sum(y), v)), {0, 2, 4}, 0);
    x = y.constant();
  }
  x.set({1}, 3);
  check_numbers(numbers(x), {0, 3, 4}, 0);
  BOOST_TEST(contains(message_of<ShapeError>([&] { x.set({3}, 1); }), "set: index 3 of dimension 0"));
  BOOST_TEST(contains(message_of<ShapeError>([&] { x.set({0, 0}, 1); }), "set: 2 indices"));
  Tensor whole = Tensor::zeros({2}, int64);
  for (const double value : {0.5, 1e300, std::numeric_limits<double>::quiet_NaN()})
    BOOST_TEST(contains(message_of<DtypeError>([&] { whole.set({0}, value); }), "int64"));
  check_numbers(numbers(whole), {0, 0}, 0);
}

// ---- makers -----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_default_floating_dtype_is_float32) {
  const Scalar a = 1, b = 2;
  for (const Tensor& t : {Tensor::zeros({1}), Tensor::ones({1}), Tensor::full({1}, 2), Tensor::from({1.0}), Tensor::from({{1.0}}),
                          Tensor::arange(0, 2), Tensor::linspace(0, 1, 3), Tensor::eye(2), stack({a, b}), Generator(1).normal({2})})
    BOOST_TEST((t.dtype() == float32));
  check_numbers(numbers(stack({a, b}) + Tensor::from({1, 2})), {2, 4}, 0);
  BOOST_TEST((stack({a, b}, float64).dtype() == float64));
}

BOOST_AUTO_TEST_CASE(vectors_of_any_numbers) {
  const auto check = [](const Tensor& t, Dtype dtype, const Numbers& expected) {
    BOOST_TEST((t.dtype() == dtype));
    check_numbers(numbers(t), expected, 0);
  };
  check(Tensor::from(std::vector<int>{1, -2}), int64, {1, -2});
  check(Tensor::from(std::vector<unsigned char>{200, 2}), int64, {200, 2});
  check(Tensor::from(std::vector<std::size_t>{1, 2}, {2, 1}), int64, {1, 2});
  check(Tensor::from(std::vector<long long>{1, 2}), int64, {1, 2});
  check(Tensor::from(std::span<const short>(std::vector<short>{4}), {1, 1}), int64, {4});
  check(Tensor::from(std::vector<bool>{true, false}), boolean, {1, 0});
  check(Tensor::from(std::vector<bool>{true, false}, {1, 2}), boolean, {1, 0});
  check(Tensor::from(std::vector<float>{1.5f}), float32, {1.5});
  check(Tensor::from(std::vector<double>{1.5}), float64, {1.5});
  BOOST_TEST(contains(message_of<ShapeError>([] { Tensor::from(std::vector<int>{1, 2}, {3}); }), "2 values for the shape (3,)"));
  BOOST_TEST(contains(message_of<ShapeError>([] { Tensor::from(std::vector<bool>{true}, {3}); }), "1 values for the shape (3,)"));
}

BOOST_AUTO_TEST_CASE(tensors_like_another) {
  for (const Dtype dtype : {float32, float64, int64, boolean}) {
    const Tensor x = transpose(Tensor::ones({2, 3}, dtype));
    for (const auto& [like, value] : {std::pair(zeros_like(x), 0), std::pair(ones_like(x), 1), std::pair(full_like(x, 1), 1)}) {
      BOOST_TEST((like.dtype() == dtype));
      BOOST_TEST((like.shape() == Shape{3, 2}));
      check_numbers(numbers(like), Numbers(6, value), 0);
    }
  }
  Tape tape;
  BOOST_TEST(zeros_like(tape.variable(counted({2}))).number() == 0u);
  const Parameter w(Tensor::from({1, 2}));
  check_numbers(numbers(full_like(w, 3)), {3, 3}, 0);
}

// ---- printing -----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(the_one_header_prints) {
  std::ostringstream out;
  out << Tensor::from({1, 2}) << ' ' << Shape{2, 3} << ' ' << float64 << ' ' << Scalar(0.5);
  BOOST_TEST(out.str() == "[1, 2] (2,) float32 (2, 3) float64 0.5");
}
