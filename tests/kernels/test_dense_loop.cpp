// The blocks in which strided operands reach an elementwise loop: whatever their shapes and strides, each element of the result is the
// function of its operands, to the bit, on every instruction set.
#include "autodiff/kernels/elementwise.h"

#include <algorithm>
#include <array>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "autodiff/tensor/shape.h"
#include "tests/support/every_isa.h"

using namespace wengert;
using kernels::StridedOperand;
using testing::on_every_isa;

namespace {

// The elements of one operand and how they are walked.
template <class T> struct Strided {
  std::vector<T> elements;
  Shape strides;
  Index start = 0;

  const T* data() const { return elements.data() + start; }
  StridedOperand operand() const { return {data(), &strides, sizeof(T)}; }
  T at(const Shape& position) const {
    Index offset = 0;
    for (int d = 0; d < position.rank(); ++d) offset += position[d] * strides[d];
    return data()[offset];
  }
};

class Draw {
 public:
  Index below(Index n) { return static_cast<Index>(random_() % static_cast<std::uint64_t>(n)); }

  // Dimensions of sizes around those at which loops are cut, and rarely empty ones.
  Shape shape() {
    constexpr std::array<Index, 14> kSizes{1, 2, 3, 7, 8, 9, 17, 63, 64, 65, 130, 511, 1025, 0};
    Shape s;
    Index size = 1;
    for (Index rank = below(4); s.rank() < rank;) {
      const Index n = kSizes[static_cast<std::size_t>(below(below(20) == 0 ? 14 : 13))];
      if (size * n > 20000) continue;
      size *= n;
      s.push_back(n);
    }
    return s;
  }

  // Eighths, whose products are exact; dense, transposed, repeated along some dimensions, with gaps, or backwards along one.
  template <class T> Strided<T> operand(const Shape& shape) {
    Strided<T> r;
    r.strides.resize(shape.rank());
    std::vector<int> order;
    for (int d = shape.rank(); d-- > 0;) order.push_back(d);
    if (below(3) == 0) std::shuffle(order.begin(), order.end(), random_);
    const bool repeats = below(2) == 0;
    Index stride = below(4) == 0 ? 2 : 1;
    for (const int d : order) {
      const bool repeated = repeats && below(2) == 0;
      r.strides[d] = repeated ? 0 : stride;
      if (!repeated && shape[d] > 0) stride *= shape[d] + (below(8) == 0 ? 3 : 0);
    }
    for (Index i = 0; i < stride; ++i) r.elements.push_back(static_cast<T>(static_cast<double>(below(1001)) / 8));
    if (shape.rank() > 0 && below(8) == 0) {
      const int d = static_cast<int>(below(shape.rank()));
      if (shape[d] > 0) r.start += r.strides[d] * (shape[d] - 1);
      r.strides[d] = -r.strides[d];
    }
    return r;
  }

 private:
  std::mt19937_64 random_{20};
};

template <class Y, class F, class... X> void check(const Shape& shape, F f, const Strided<X>&... x) {
  Index size = 1;
  for (const Index n : shape) size *= n;
  constexpr Index kGuard = 16;
  std::vector<Y> y(static_cast<std::size_t>(size + kGuard), Y(77));
  const std::array operands{x.operand()...};
  kernels::elementwise_strided(shape, operands, y.data(), sizeof(Y), kernels::dense_loop<Y, X...>(f));
  Index wrong = 0;
  Shape position = shape;
  for (Index& p : position) p = 0;
  for (Index i = 0; i < size; ++i) {
    wrong += y[static_cast<std::size_t>(i)] != static_cast<Y>(f(x.at(position)...));
    for (int d = shape.rank() - 1; d >= 0 && ++position[d] == shape[d]; --d) position[d] = 0;
  }
  for (Index i = 0; i < kGuard; ++i) wrong += y[static_cast<std::size_t>(size + i)] != Y(77);
  BOOST_CHECK_MESSAGE(wrong == 0, wrong << " of " << size << " elements are wrong in the shape " << to_string(shape));
}

template <class T> void check_all(int rounds) {
  Draw draw;
  for (int i = 0; i < rounds; ++i) {
    const Shape shape = draw.shape();
    const auto a = draw.operand<T>(shape), b = draw.operand<T>(shape), c = draw.operand<T>(shape), d = draw.operand<T>(shape);
    const auto condition = draw.operand<std::uint8_t>(shape);
    check<T>(
        shape, [](T p) { return p * p; }, a);
    check<T>(
        shape, [](T p, T q) { return p * 3 - q; }, a, b);
    check<std::uint8_t>(
        shape, [](T p, T q) { return p < q; }, a, b);
    check<T>(
        shape, [](std::uint8_t k, T p, T q) { return k > 60 ? p : q; }, condition, a, b);
    check<T>(
        shape, [](T p, T q, T r, T s) { return p * q - r * s; }, a, b, c, d);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(strided_operands_give_the_function_of_their_elements) {
  on_every_isa([] {
    check_all<float>(150);
    check_all<double>(150);
    check_all<std::int64_t>(100);
  });
}

// A block with an element that needs it takes the costly formula as a whole, which changes no bit of the others.
BOOST_AUTO_TEST_CASE(blocks_without_rare_elements_take_the_usual_formula) {
  const auto rare = [](double x) { return x > 5; };
  const auto usual = [](double x) { return x + 1; };
  const auto both = [](double x) { return x > 5 ? -x : x + 1; };
  on_every_isa([&] {
    for (const Index n : {1, 63, 64, 65, 128, 1000}) {
      for (const Index at : {Index(-1), Index(0), n / 2, n - 1}) {
        std::vector<double> x(static_cast<std::size_t>(n), 2.5), y(x.size()), expected(x.size(), 3.5);
        if (at >= 0) x[static_cast<std::size_t>(at)] = 9, expected[static_cast<std::size_t>(at)] = -9;
        kernels::ElementwiseRows rows;
        rows.n = n;
        rows.y = y.data();
        rows.x[0] = x.data();
        kernels::DenseLoop(kernels::dense_loop_by_blocks<double, double>(rare, usual, both))(rows);
        BOOST_TEST(y == expected, boost::test_tools::per_element());
      }
    }
  });
}
