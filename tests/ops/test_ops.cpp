#include <autodiff/autodiff.h>
#include <autodiff/transforms/gradcheck.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/tape/records.h"

using namespace wengert;

namespace {

// ---- tensors to test with ---------------------------------------------------------------------------------------------------------

Generator random_numbers(7);

// Values that differ by about 0.1 (so that no two tie within a step of the differences) and stay away from 0.
Tensor distinct(const Shape& shape, Dtype dtype = float64) {
  const Tensor order = random_numbers.permutation(shape.size());
  std::vector<double> v(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < v.size(); ++i) {
    const double k = order.element(static_cast<Index>(i)) - static_cast<double>(v.size() / 2);
    v[i] = 0.1 * k + (k < 0 ? -0.4 : 0.5) + random_numbers.next_uniform(-0.001, 0.001);
  }
  return Tensor::from(v, shape).to(dtype);
}

// The same values, laid out with the dimensions in reverse order (and every other element skipped).
Tensor strided(const Tensor& x) {
  if (x.rank() == 0) return select(stack({x, x}), 0, 1);
  Dims reverse;
  for (int d = x.rank(); d-- > 0;) reverse.push_back(d);
  const Tensor turned = permute(x, reverse).contiguous();
  const Tensor doubled = stack({turned, turned}, turned.rank());
  return permute(select(doubled, -1, 1), reverse);
}

double at(const Tensor& t, const Shape& position) {
  Index flat = 0;
  for (int d = 0; d < t.rank(); ++d) flat = flat * t.shape()[d] + position[d];
  return t.element(flat);
}

// f(position) for every position of a shape, in row-major order.
template <class F> void for_each_position(const Shape& shape, F&& f) {
  Shape position = shape;
  for (Index flat = 0; flat < shape.size(); ++flat) {
    Index rest = flat;
    for (int d = shape.rank(); d-- > 0; rest /= shape[d]) position[d] = rest % shape[d];
    f(position);
  }
}

// y[position] must be expected(position), up to a fraction of its size.
template <class F> void check_values(const Tensor& y, const Shape& shape, F&& expected, double tolerance = 1e-14) {
  BOOST_REQUIRE_MESSAGE(y.shape() == shape, to_string(y.shape()) + " is not " + to_string(shape));
  for_each_position(shape, [&](const Shape& position) {
    const double value = at(y, position), wanted = expected(position);
    const bool same = value == wanted || (std::isnan(value) && std::isnan(wanted)) ||
                      std::abs(value - wanted) <= tolerance * std::max(1.0, std::abs(wanted));
    BOOST_CHECK_MESSAGE(same, to_string(position) << ": " << value << " instead of " << wanted);
  });
}

// The position of an operand's element that broadcasting pairs with a position of the result.
Shape source_position(const Shape& position, const Shape& operand) {
  Shape p = operand;
  for (int d = 0; d < operand.rank(); ++d) p[d] = operand[d] == 1 ? 0 : position[position.rank() - operand.rank() + d];
  return p;
}

Shape without(const Shape& shape, const std::vector<int>& dims, bool keepdim) {
  Shape s;
  for (int d = 0; d < shape.rank(); ++d) {
    const bool reduced = std::find(dims.begin(), dims.end(), d) != dims.end();
    if (!reduced) s.push_back(shape[d]);
    if (reduced && keepdim) s.push_back(1);
  }
  return s;
}

// ---- every operation of ops.h, differentiated -------------------------------------------------------------------------------------

using Inputs = std::span<const Tensor>;

struct Case {
  const char* name;  // as in ops.h
  std::function<Tensor(Inputs)> call;
  std::vector<Shape> shapes;
};

const Tensor condition = Tensor::from({{1, 0, 1}, {0, 0, 1}}, boolean);
const Tensor labels = Tensor::from({2, 0, 1}, int64);
const Tensor repeated = Tensor::from({1, 0, 1}, int64);
const Tensor positions = Tensor::from({{2, 0, 1}, {2, 2, 0}}, int64);

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"operator+", [](Inputs x) { return x[0] + x[1]; }, {{2, 3}, {2, 3}}},
      {"operator+", [](Inputs x) { return x[0] + x[1]; }, {{3, 1}, {1, 4}}},
      {"operator+", [](Inputs x) { return 2 + x[0] + 1; }, {{}}},
      {"operator-", [](Inputs x) { return x[0] - x[1]; }, {{2, 1, 3}, {4, 1}}},
      {"operator-", [](Inputs x) { return -(x[0] - 1) - x[0]; }, {{3}}},
      {"operator*", [](Inputs x) { return x[0] * x[1]; }, {{2, 3}, {3}}},
      {"operator*", [](Inputs x) { return x[0] * x[0] * x[0]; }, {{2, 2}}},
      {"operator*", [](Inputs x) { return x[0] * x[1]; }, {{2, 1, 2, 1, 2}, {3, 1, 2, 1}}},
      {"operator/", [](Inputs x) { return x[0] / x[1]; }, {{2, 3}, {1, 3}}},
      {"operator/", [](Inputs x) { return 1 / x[0]; }, {{2, 2}}},
      {"operator+=",
       [](Inputs x) {
         Tensor y = x[0];
         y += x[1];
         y += y;
         return y * y;
       },
       {{2, 3}, {3}}},
      {"operator-=",
       [](Inputs x) {
         Tensor y = x[0];
         y -= x[1] * y;
         return y;
       },
       {{2, 3}, {3}}},
      {"operator*=",
       [](Inputs x) {
         Tensor y = x[0];
         y *= y;
         y *= x[1];
         return y;
       },
       {{2, 3}, {}}},
      {"operator/=",
       [](Inputs x) {
         Tensor y = x[0];
         y /= x[1];
         y /= 3;
         return y;
       },
       {{2, 3}, {2, 1}}},
      {"where", [](Inputs x) { return where(condition, x[0] * x[0], x[1]); }, {{2, 3}, {3}}},
      {"where", [](Inputs x) { return where(condition, 1, x[0] * x[0]); }, {{2, 1}}},
      {"where", [](Inputs x) { return where(condition, x[0], 0.5); }, {{4, 1, 1}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[1]); }, {{2, 3}, {3, 4}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[0]); }, {{3, 3}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[1]); }, {{3}, {3}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[1]); }, {{3}, {3, 2}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[1]); }, {{2, 3}, {3}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[1]); }, {{2, 2, 3}, {3, 2}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[1]); }, {{2, 3}, {2, 3, 2}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[1]); }, {{2, 1, 2, 3}, {3, 3, 2}}},
      {"matmul", [](Inputs x) { return matmul(x[0], x[1]); }, {{2, 2, 3}, {3}}},
      {"matmul", [](Inputs x) { return matmul(matmul(x[0], x[1]), x[1]); }, {{2, 3}, {3, 3}}},
      {"linear", [](Inputs x) { return linear(x[0], x[1], x[2]); }, {{4, 3}, {2, 3}, {2}}},
      {"linear", [](Inputs x) { return linear(x[0], x[1]); }, {{2, 2, 3}, {4, 3}}},
      {"linear", [](Inputs x) { return linear(x[0], x[1], x[2]); }, {{3}, {2, 3}, {2}}},
      {"linear_relu",  // far from relu's kink
       [](Inputs x) {
         return linear_relu(x[0], x[1], x[2] + Tensor::from({20, -20}).to(x[2].dtype()));
       },
       {{4, 3}, {2, 3}, {2}}},
      {"dot", [](Inputs x) { return dot(x[0], x[1]); }, {{3}, {3}}},
      {"outer", [](Inputs x) { return outer(x[0], x[1]); }, {{3}, {2}}},
      {"bmm", [](Inputs x) { return bmm(x[0], x[1]); }, {{2, 2, 3}, {2, 3, 2}}},
      {"addmm", [](Inputs x) { return addmm(x[0], x[1], x[2], 0.5, 2); }, {{3}, {2, 2}, {2, 3}}},
      {"einsum", [](Inputs x) { return einsum("bij,bjk->ik", x); }, {{2, 2, 3}, {2, 3, 2}}},
      {"einsum", [](Inputs x) { return einsum("i,ij,j", x); }, {{2}, {2, 3}, {3}}},
      {"einsum", [](Inputs x) { return einsum("...ii->...i", {x[0] * x[0]}); }, {{2, 3, 3}}},
      {"einsum", [](Inputs x) { return einsum("...ij,...jk,k->i...", x); }, {{1, 2, 3}, {3, 3, 2}, {2}}},
      {"inverse", [](Inputs x) { return inverse(x[0] + 3 * Tensor::eye(3, x[0].dtype())); }, {{2, 3, 3}}},
      {"solve", [](Inputs x) { return solve(x[0] + 3 * Tensor::eye(3, x[0].dtype()), x[1]); }, {{3, 3}, {3}}},
      {"solve", [](Inputs x) { return solve(x[0] + 3 * Tensor::eye(2, x[0].dtype()), x[1]); }, {{2, 1, 2, 2}, {3, 2, 2}}},
      {"solve_triangular", [](Inputs x) { return solve_triangular(x[0] + 3 * Tensor::eye(3, x[0].dtype()), x[1]); }, {{3, 3}, {3, 2}}},
      {"solve_triangular",
       [](Inputs x) { return solve_triangular(x[0] + 3 * Tensor::eye(2, x[0].dtype()), x[1], true); },
       {{2, 2, 2}, {2}}},
      {"det", [](Inputs x) { return det(x[0]); }, {{2, 3, 3}}},
      {"logdet", [](Inputs x) { return logdet(x[0] + 3 * Tensor::eye(3, x[0].dtype())); }, {{3, 3}}},
      {"slogdet", [](Inputs x) { return slogdet(x[0] - 3 * Tensor::eye(3, x[0].dtype())).logarithm; }, {{2, 3, 3}}},
      {"cholesky", [](Inputs x) { return cholesky(matmul(x[0], transpose(x[0])) + Tensor::eye(3, x[0].dtype())); }, {{2, 3, 3}}},
      {"cholesky", [](Inputs x) { return cholesky(x[0] + 5 * Tensor::eye(2, x[0].dtype())); }, {{2, 2}}},
      {"sum", [](Inputs x) { return sum(x[0] * x[0]); }, {{2, 3}}},
      {"sum", [](Inputs x) { return sum(x[0] * x[0], 1); }, {{2, 3, 2}}},
      {"sum",
       [](Inputs x) {
         return sum(x[0] * x[0], {0, -1}, {.keepdim = true}) * x[0];
       },
       {{2, 3, 2}}},
      {"sum", [](Inputs x) { return sum(x[0]) * x[0]; }, {{}}},
      {"mean", [](Inputs x) { return mean(x[0] * x[0]); }, {{2, 3}}},
      {"mean", [](Inputs x) { return mean(x[0] * x[0], -2, {.keepdim = true}) * x[0]; }, {{2, 3}}},
      {"mean",
       [](Inputs x) {
         return mean(x[0] * x[0], {0, 2});
       },
       {{2, 3, 2}}},
      {"max", [](Inputs x) { return max(x[0] * x[0] * x[0]); }, {{2, 3}}},
      {"max", [](Inputs x) { return max(x[0], 1) * sum(x[0], 1); }, {{3, 4}}},
      {"max",
       [](Inputs x) {
         return max(x[0], {0, 2}, {.keepdim = true}) * x[0];
       },
       {{2, 3, 2}}},
      {"min", [](Inputs x) { return min(x[0] * x[0] * x[0]); }, {{2, 3}}},
      {"min",
       [](Inputs x) {
         return min(x[0], {0, 2}, {.keepdim = true}) * x[0];
       },
       {{2, 3, 2}}},
      {"max_dim", [](Inputs x) { return max_dim(x[0], 1).values * sum(x[0], 1); }, {{3, 4}}},
      {"min_dim", [](Inputs x) { return min_dim(x[0], 0, {.keepdim = true}).values * x[0]; }, {{3, 2}}},
      {"prod", [](Inputs x) { return prod(x[0]); }, {{5}}},
      {"prod",
       [](Inputs x) {
         return prod(x[0], {0, 2}, {.keepdim = true}) * x[0];
       },
       {{2, 2, 3}}},
      {"logsumexp", [](Inputs x) { return logsumexp(x[0]); }, {{2, 3}}},
      {"logsumexp",
       [](Inputs x) {
         return logsumexp(x[0] * x[0], {0, -1}, {.keepdim = true});
       },
       {{2, 3, 2}}},
      {"var", [](Inputs x) { return var(x[0]); }, {{2, 3}}},
      {"var",
       [](Inputs x) {
         return var(x[0], {0, 2}, {.keepdim = true, .correction = 0}) * x[0];
       },
       {{2, 2, 3}}},
      {"stddev", [](Inputs x) { return stddev(x[0]); }, {{4}}},
      {"stddev", [](Inputs x) { return stddev(x[0], 1, {.correction = 0}); }, {{2, 3}}},
      {"norm", [](Inputs x) { return norm(x[0]); }, {{2, 3}}},
      {"norm", [](Inputs x) { return norm(x[0], 1, {1}); }, {{2, 3}}},
      {"norm",
       [](Inputs x) {
         return norm(x[0], 3, {0, 2}, {.keepdim = true}) * x[0];
       },
       {{2, 2, 2}}},
      {"norm", [](Inputs x) { return norm(exp(x[0]), HUGE_VAL, {0}); }, {{3, 2}}},
      {"cumsum", [](Inputs x) { return cumsum(x[0] * x[0], 1); }, {{2, 3, 2}}},
      {"cumprod", [](Inputs x) { return cumprod(x[0], 0); }, {{5, 2}}},
      {"cumprod", [](Inputs x) { return cumprod(x[0], -1); }, {{2, 4}}},
      {"logcumsumexp", [](Inputs x) { return logcumsumexp(x[0], 1); }, {{2, 5}}},
      {"sum_to",
       [](Inputs x) {
         return sum_to(x[0] * x[0], {3, 1});
       },
       {{2, 3, 2}}},
      {"sum_to", [](Inputs x) { return sum_to(x[0] * x[0], {}); }, {{2, 2}}},
      {"reshape",
       [](Inputs x) {
         return reshape(x[0] * x[0], {3, -1});
       },
       {{2, 3}}},
      {"reshape",
       [](Inputs x) {
         return reshape(x[0], {2, 1, 3}) * x[0];
       },
       {{2, 3}}},
      {"flatten", [](Inputs x) { return flatten(x[0] * x[0], 1, 2); }, {{2, 3, 2}}},
      {"flatten", [](Inputs x) { return flatten(x[0] * x[0]); }, {{}}},
      {"transpose", [](Inputs x) { return transpose(x[0]) * transpose(x[0] * x[0]); }, {{2, 3}}},
      {"transpose", [](Inputs x) { return transpose(x[0] * x[0], 0, 2); }, {{2, 3, 4}}},
      {"permute",
       [](Inputs x) {
         return permute(x[0] * x[0], {2, 0, -2});
       },
       {{2, 3, 4}}},
      {"expand",
       [](Inputs x) {
         return expand(x[0] * x[0], {4, 2, 3});
       },
       {{2, 1}}},
      {"expand",
       [](Inputs x) {
         return expand(x[0], {2, 3}) * x[0];
       },
       {{}}},
      {"squeeze", [](Inputs x) { return squeeze(x[0] * x[0], 1); }, {{2, 1, 3}}},
      {"unsqueeze", [](Inputs x) { return unsqueeze(x[0] * x[0], -1); }, {{2, 3}}},
      {"squeeze", [](Inputs x) { return squeeze(x[0] * x[0]); }, {{1, 2, 1, 3}}},
      {"narrow", [](Inputs x) { return narrow(x[0] * x[0], 1, 1, 2); }, {{2, 4}}},
      {"split",
       [](Inputs x) {
         const auto parts = split(x[0], {1, 2}, 1);
         return parts[0] * parts[1] * parts[1];
       },
       {{2, 3}}},
      {"chunk", [](Inputs x) { return chunk(x[0] * x[0], 2)[1]; }, {{5, 2}}},
      {"flip",
       [](Inputs x) {
         return flip(x[0], {0, -1}) * x[0];
       },
       {{2, 3, 2}}},
      {"roll",
       [](Inputs x) {
         return roll(x[0], {1, -2}, {0, 1}) * x[0];
       },
       {{3, 4}}},
      {"repeat",
       [](Inputs x) {
         return repeat(x[0] * x[0], {2, 1, 3});
       },
       {{2, 2}}},
      {"pad",
       [](Inputs x) {
         return square(pad(x[0], {1, -1}, {0, 2}, 0.5));
       },
       {{2, 3}}},
      {"pad",
       [](Inputs x) {
         return pad(x[0] * x[0], {0, 2}, {1, 1}, Padding::reflect);
       },
       {{2, 3}}},
      {"pad",
       [](Inputs x) {
         return pad(x[0] * x[0], {3, 0}, {0, 2}, Padding::replicate);
       },
       {{2, 3}}},
      {"pad",
       [](Inputs x) {
         return pad(x[0] * x[0], {2, 1}, {0, 3}, Padding::circular);
       },
       {{2, 3}}},
      {"tril", [](Inputs x) { return tril(x[0] * x[0], -1); }, {{2, 3, 3}}},
      {"triu", [](Inputs x) { return triu(x[0] * x[0], 1); }, {{3, 4}}},
      {"diagonal", [](Inputs x) { return diagonal(x[0] * x[0], -1); }, {{2, 3, 4}}},
      {"trace", [](Inputs x) { return trace(x[0] * x[0]); }, {{3, 3}}},
      {"sort", [](Inputs x) { return sort(x[0], 0).values * x[0]; }, {{3, 2}}},
      {"topk", [](Inputs x) { return square(topk(x[0], 2).values); }, {{2, 4}}},
      {"index_select", [](Inputs x) { return index_select(x[0] * x[0], 1, labels); }, {{2, 3}}},
      {"gather", [](Inputs x) { return gather(x[0] * x[0], 0, positions); }, {{3, 3}}},
      {"index_add", [](Inputs x) { return square(index_add(x[0], 0, repeated, x[1])); }, {{3, 2}, {3, 2}}},
      {"scatter_add", [](Inputs x) { return square(scatter_add(x[0], 0, positions, x[1])); }, {{3, 3}, {2, 3}}},
      {"masked_fill", [](Inputs x) { return masked_fill(x[0] * x[0], condition, 2); }, {{4, 2, 3}}},
      {"masked_select", [](Inputs x) { return masked_select(x[0] * x[0], condition); }, {{2, 3}}},
      {"masked_scatter", [](Inputs x) { return square(masked_scatter(x[0], condition, x[1])); }, {{2, 3}, {3}}},
      {"scatter", [](Inputs x) { return square(scatter(x[0], 0, positions, x[1])); }, {{3, 3}, {2, 3}}},
      {"scatter", [](Inputs x) { return scatter(x[0] * x[0], 1, positions, x[0](Range(0, 2))); }, {{3, 3}}},
      {"index_put", [](Inputs x) { return square(index_put(x[0], {repeated}, x[1])); }, {{3, 2}, {3, 2}}},
      {"index_put",
       [](Inputs x) {
         return square(index_put(x[0], {repeated, labels}, x[1] * x[1]));
       },
       {{2, 3, 2}, {3, 1}}},
      {"index_put", [](Inputs x) { return square(index_put(x[0], {repeated}, x[1] * x[1], {.accumulate = true})); }, {{3, 2}, {2}}},
      {"slice_update",
       [](Inputs x) {
         return square(slice_update(x[0], {Range(0, End, 2), Range(1, 3)}, x[1]));
       },
       {{3, 4}, {2, 2}}},
      {"slice_update",
       [](Inputs x) {
         return slice_update(x[0] * x[0], {1, Ellipsis, -1}, x[1]) * x[0];
       },
       {{2, 2, 3}, {}}},
      {"slice_update",
       [](Inputs x) {
         return slice_update(x[0], {All, Range(1, End)}, x[0](All, Range(0, -1)) * x[0](All, Range(1, End)));
       },
       {{2, 3}}},
      {"slice", [](Inputs x) { return slice(x[0] * x[0], 1, 1, 6, 2); }, {{2, 6}}},
      {"slice", [](Inputs x) { return slice(x[0], 0, 0, 2) * slice(x[0], 0, -2, 3); }, {{3, 2}}},
      {"select", [](Inputs x) { return select(x[0], 0, 1) * select(x[0], 0, -1); }, {{3, 2}}},
      {"concat",
       [](Inputs x) {
         return concat({x[0] * x[0], x[1], x[0]}, 1);
       },
       {{2, 2}, {2, 1}}},
      {"concat",
       [](Inputs x) {
         return concat({x[0], x[1]}) * concat({x[1], x[0]});
       },
       {{2}, {2}}},
      {"stack",
       [](Inputs x) {
         return stack({x[0] * x[0], x[1]}, -1);
       },
       {{2, 3}, {2, 3}}},
      {"stack",
       [](Inputs x) {
         return stack({x[0](0), x[0](1) * x[0](1), Scalar(3)}, x[0].dtype());
       },
       {{2}}},
      {"softmax", [](Inputs x) { return softmax(x[0]); }, {{2, 3}}},
      {"softmax", [](Inputs x) { return softmax(x[0], 0); }, {{3, 2, 2}}},
      {"log_softmax", [](Inputs x) { return log_softmax(x[0]); }, {{2, 3}}},
      {"log_softmax", [](Inputs x) { return log_softmax(x[0], 1); }, {{2, 3, 2}}},
      {"cross_entropy", [](Inputs x) { return cross_entropy(x[0], labels); }, {{3, 4}}},
      {"cross_entropy", [](Inputs x) { return cross_entropy(x[0] * x[0], labels) * x[1]; }, {{3, 3}, {2}}},
      {"conv1d", [](Inputs x) { return conv1d(x[0], x[1], x[2], {.stride = 2, .padding = 1}); }, {{2, 2, 5}, {3, 2, 3}, {3}}},
      {"conv1d", [](Inputs x) { return conv1d(x[0], x[1], {.dilation = 2, .groups = 2}); }, {{1, 2, 6}, {4, 1, 2}}},
      {"conv2d", [](Inputs x) { return conv2d(x[0], x[1], x[2]); }, {{2, 2, 4, 3}, {2, 2, 3, 2}, {2}}},
      {"conv2d_relu", [](Inputs x) { return conv2d_relu(x[0], x[1], x[2]); }, {{2, 2, 4, 3}, {2, 2, 3, 2}, {2}}},
      {"conv2d_relu", [](Inputs x) { return conv2d_relu(x[0], x[1], x[2], {.padding = 1}, 2); }, {{1, 2, 4, 3}, {2, 2, 3, 2}, {2}}},
      {"conv2d",
       [](Inputs x) {
         return conv2d(x[0], x[1], {.stride = {2, 1}, .padding = {1, 2}, .dilation = {1, 2}, .groups = 2});
       },
       {{1, 4, 4, 3}, {2, 2, 2, 3}}},
      {"conv2d", [](Inputs x) { return conv2d(x[0], x[0], {.padding = 1}); }, {{2, 2, 2, 2}}},
      {"conv_transpose2d", [](Inputs x) { return conv_transpose2d(x[0], x[1], x[2]); }, {{2, 2, 2, 3}, {2, 2, 2, 2}, {2}}},
      {"conv_transpose2d",
       [](Inputs x) {
         return conv_transpose2d(x[0], x[1], {.stride = {2, 3}, .padding = 1, .output_padding = 1, .dilation = {2, 1}, .groups = 2});
       },
       {{1, 4, 2, 2}, {4, 1, 2, 3}}},
      {"max_pool2d", [](Inputs x) { return square(max_pool2d(x[0], 2)); }, {{2, 1, 4, 5}}},
      {"max_pool2d",
       [](Inputs x) {
         return square(max_pool2d(x[0], {3, 2}, {.stride = {1, 2}, .padding = 1, .dilation = {1, 2}, .ceil_mode = true}));
       },
       {{1, 2, 4, 4}}},
      {"max_pool2d_with_indices", [](Inputs x) { return square(max_pool2d_with_indices(x[0], 3, {.stride = 2}).values); }, {{1, 1, 5, 5}}},
      {"avg_pool2d",
       [](Inputs x) {
         return avg_pool2d(x[0] * x[0], {2, 3});
       },
       {{2, 1, 4, 5}}},
      {"avg_pool2d",
       [](Inputs x) { return avg_pool2d(x[0] * x[0], 3, {.stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}); },
       {{1, 2, 4, 4}}},
      {"adaptive_avg_pool2d",
       [](Inputs x) {
         return adaptive_avg_pool2d(x[0] * x[0], {2, 3});
       },
       {{1, 2, 3, 5}}},
      {"max_pool1d", [](Inputs x) { return square(max_pool1d(x[0], 3, {.stride = 2, .padding = 1})); }, {{2, 2, 5}}},
      {"avg_pool1d", [](Inputs x) { return avg_pool1d(x[0] * x[0], 2, {.padding = 1}); }, {{1, 2, 5}}},
      {"cross_entropy",
       [](Inputs x) {
         const Tensor weight = Tensor::from({0.5, 2, 1}, x[0].dtype());
         return cross_entropy(x[0], positions, {.class_weight = weight, .ignore_index = 0, .label_smoothing = 0.2});
       },
       {{2, 3, 3}}},
      {"cross_entropy", [](Inputs x) { return cross_entropy(x[0], labels, {.reduction = Reduction::none, .ignore_index = 1}); }, {{3, 4}}},
      {"cross_entropy",
       [](Inputs x) { return cross_entropy(x[0], softmax(x[1]), {.reduction = Reduction::sum, .label_smoothing = 0.1}); },
       {{2, 3}, {2, 3}}},
      {"nll", [](Inputs x) { return nll(x[0] * x[0], labels, {.reduction = Reduction::batch_mean, .ignore_index = 1}); }, {{3, 4}}},
      {"layer_norm", [](Inputs x) { return layer_norm(x[0], {4}, {.weight = x[1], .bias = x[2]}); }, {{2, 4}, {4}, {4}}},
      {"layer_norm",
       [](Inputs x) {
         return layer_norm(x[0], {3, 2}, {.weight = x[1], .bias = x[2]});
       },
       {{2, 3, 2}, {3, 2}, {3, 2}}},
      {"layer_norm",
       [](Inputs x) {
         return layer_norm(x[0], {3, 2}, {.weight = x[1], .eps = 0.1});
       },
       {{2, 3, 2}, {3, 2}}},
      {"group_norm", [](Inputs x) { return group_norm(x[0], 2, {.weight = x[1], .bias = x[2]}); }, {{2, 4, 3}, {4}, {4}}},
      {"instance_norm", [](Inputs x) { return instance_norm(x[0], {.weight = x[1]}); }, {{2, 2, 3}, {2}}},
      {"rms_norm", [](Inputs x) { return rms_norm(x[0], {.weight = x[1]}); }, {{2, 3}, {3}}},
      {"batch_norm",
       [](Inputs x) {
         const Tensor mean = Tensor::from({0.5, -0.5}, x[0].dtype()), var = Tensor::from({0.5, 2.0}, x[0].dtype());
         return batch_norm(x[0], mean, var, {.weight = x[1], .bias = x[2]}).y;
       },
       {{2, 2, 3}, {2}, {2}}},
      {"batch_norm",
       [](Inputs x) { return batch_norm(x[0], {}, {}, {.weight = x[1], .bias = x[2], .training = true}).y; },
       {{3, 2, 2}, {2}, {2}}},
      {"batch_norm",
       [](Inputs x) { return batch_norm(x[0], {}, {}, {.weight = x[1], .bias = x[2], .training = true}).y; },
       {{4, 3}, {3}, {3}}},
      {"batch_norm",
       [](Inputs x) {
         const Tensor mean = Tensor::from({0.5, -1}, x[0].dtype()), var = Tensor::from({2, 0.5}, x[0].dtype());
         return batch_norm(x[0] * x[0], mean, var, {.weight = x[1]}).y;
       },
       {{3, 2}, {2}}},
      {"dropout",
       [](Inputs x) {
         Generator generator(5);
         return dropout(x[0] * x[0], 0.4, generator);
       },
       {{3, 4}}},
      {"prelu", [](Inputs x) { return prelu(x[0], x[1]); }, {{2, 3, 2}, {3}}},
      {"prelu", [](Inputs x) { return prelu(x[0], x[1]); }, {{5}, {1}}},
      {"embedding", [](Inputs x) { return embedding(positions, x[0] * x[0]); }, {{3, 2}}},
      {"scaled_dot_product_attention",
       [](Inputs x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.mask = condition}).output; },
       {{2, 2, 3}, {2, 3, 3}, {2, 3, 2}}},
      {"scaled_dot_product_attention",
       [](Inputs x) { return scaled_dot_product_attention(x[0], x[0], x[0], {.mask = x[1], .causal = true}).output; },
       {{3, 2}, {3, 3}}},
      {"multihead_attention",
       [](Inputs x) {
         return multihead_attention(x[0], x[0], x[0], {x[1], x[2], x[3], x[4]}, {.heads = 2}).output;
       },
       {{2, 1, 4}, {12, 4}, {12}, {4, 4}, {4}}},
      {"multihead_attention",
       [](Inputs x) {
         const Attention a = multihead_attention(x[0], x[1], x[1], {x[2], {}, x[3], {}}, {.heads = 1, .padding_mask = condition});
         return concat({a.output, transpose(a.weights, 0, 1)}, -1);
       },
       {{2, 2, 2}, {3, 2, 2}, {6, 2}, {2, 2}}},
      {"rnn_cell",
       [](Inputs x) {
         return rnn_cell(x[0], x[1], {x[2], x[3], x[4], x[5]});
       },
       {{2, 3}, {2, 2}, {2, 3}, {2, 2}, {2}, {2}}},
      {"gru_cell",
       [](Inputs x) {
         return gru_cell(x[0], x[1], {x[2], x[3], x[4], x[5]});
       },
       {{2, 2}, {2, 2}, {6, 2}, {6, 2}, {6}, {6}}},
      {"gru_cell",
       [](Inputs x) {
         return gru_cell(x[0], x[1], {x[2], x[3]});
       },
       {{1, 1}, {1, 2}, {6, 1}, {6, 2}}},
      {"lstm_cell",
       [](Inputs x) {
         const LstmState s = lstm_cell(x[0], {x[1], x[1]}, {x[2], x[3], x[4], x[5]});
         return concat({s.h, s.c * s.c}, 1);
       },
       {{2, 2}, {2, 2}, {8, 2}, {8, 2}, {8}, {8}}},
      {"lstm_cell",
       [](Inputs x) {
         return lstm_cell(x[0], {x[1], x[2]}, {x[3], x[4]}).c;
       },
       {{1, 2}, {1, 1}, {1, 1}, {4, 2}, {4, 1}}},
      {"rnn",
       [](Inputs x) {
         const std::vector<RecurrentWeights> w{{x[2], x[3]}, {x[4], x[3]}};
         const Sequence s = rnn(x[0], x[1], w, Nonlinearity::tanh);
         return s.output * sum(s.h);
       },
       {{3, 2, 1}, {2, 2, 2}, {2, 1}, {2, 2}, {2, 2}}},
      {"rnn",
       [](Inputs x) {
         const std::vector<RecurrentWeights> w{{x[1], x[2], x[3], x[3]}};
         const Sequence s = rnn(x[0], {}, w, Nonlinearity::relu);
         return concat({s.output, s.output * s.output}, 0);
       },
       {{3, 2, 1}, {2, 1}, {2, 2}, {2}}},
      {"gru",
       [](Inputs x) {
         const std::vector<RecurrentWeights> w{{x[2], x[3], x[4], x[5]}};
         const Sequence s = gru(x[0], x[1], w);
         return concat({s.output, s.h * s.h}, 0);
       },
       {{3, 2, 1}, {1, 2, 2}, {6, 1}, {6, 2}, {6}, {6}}},
      {"gru",
       [](Inputs x) {
         const std::vector<RecurrentWeights> w{{x[1], x[2]}, {x[1], x[2]}};
         return gru(x[0], {}, w, {.bidirectional = true}).output;
       },
       {{2, 2, 1}, {6, 1}, {6, 2}}},
      {"gru",
       [](Inputs x) {
         const std::vector<RecurrentWeights> w{{x[1], x[2]}, {x[1], x[2]}};
         return gru(x[0], {}, w, {.bidirectional = true, .batch_first = true, .lengths = Tensor::from({2, 3}, int64)}).output;
       },
       {{2, 3, 1}, {6, 1}, {6, 2}}},
      {"lstm",
       [](Inputs x) {
         const std::vector<RecurrentWeights> w{{x[3], x[4], x[5], x[5]}};
         const LstmSequence s = lstm(x[0], {x[1], x[2]}, w);
         return concat({s.output, s.state.c * s.state.c}, 0);
       },
       {{3, 2, 1}, {1, 2, 2}, {1, 2, 2}, {8, 1}, {8, 2}, {8}}},
      {"lstm",
       [](Inputs x) {
         const std::vector<RecurrentWeights> w{{x[1], x[2]}, {x[1], x[2]}, {x[3], x[2]}, {x[3], x[2]}};
         const LstmSequence s = lstm(x[0], {}, w, {.bidirectional = true});
         return s.output * sum(s.state.h);
       },
       {{2, 1, 1}, {4, 1}, {4, 1}, {4, 2}}},
      {"lstm",
       [](Inputs x) {
         const std::vector<RecurrentWeights> w{{x[1], x[2], x[3], x[3]}, {x[1], x[2], x[3], x[3]}};
         const LstmSequence s = lstm(x[0], {}, w, {.bidirectional = true, .lengths = Tensor::from({2, 1}, int64)});
         return concat({s.output, narrow(s.state.c, 0, 0, 2), s.state.h}, 2);
       },
       {{2, 2, 1}, {4, 1}, {4, 1}, {4}}},
  };
  return all;
}

// Operations of ops.h that have no derivative; each has a test of its values below.
const std::set<std::string> not_differentiated{
    "operator<", "operator<=", "operator>", "operator>=",  "operator==", "operator!=",  "operator!",   "operator&&", "operator||",
    "operator&", "operator|",  "operator^", "logical_and", "logical_or", "logical_xor", "logical_not", "isnan",      "isinf",
    "isfinite",  "any",        "all",       "nonzero",     "argmax",     "argmin",      "one_hot"};

void check_case(const Case& c, Dtype dtype, bool dense, int order) {
  std::vector<Tensor> inputs;
  for (const Shape& shape : c.shapes) inputs.push_back(dense ? distinct(shape, dtype) : strided(distinct(shape, dtype)));
  const auto call = [&](std::span<const Tensor> x) -> Tensor { return c.call(x); };
  const GradientCheck check = detail::check_gradient(call, inputs, {.order = order});
  BOOST_CHECK_MESSAGE(check.passed(), c.name << ' ' << to_string(c.shapes[0]) << ": " << check.to_string());
}

std::string contents(const std::string& file) {
  std::ifstream in(file);
  BOOST_REQUIRE_MESSAGE(in, "run the tests in the project's root: cannot read " + file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Operations that are members of Tensor.
const std::vector<Case>& members() {
  static const std::vector<Case> all{
      {"to", [](Inputs x) { return x[0].to(x[0].dtype() == float64 ? float32 : float64).to(x[0].dtype()) * x[0]; }, {{2, 3}}},
      {"contiguous", [](Inputs x) { return transpose(x[0] * x[0]).contiguous() * transpose(x[0]); }, {{2, 3}}},
  };
  return all;
}

// Operations that only kernels for float32 record. Their derivatives are checked in test_direct_convolution.
const std::vector<Case>& float32_cases() {
  static const auto call = [](Inputs x, Index pool) {
    return conv2d_relu(x[0].to(float32), x[1].to(float32), x[2].to(float32), {.padding = 1}, pool);
  };
  static const std::vector<Case> all{
      {"conv2d_relu", [](Inputs x) { return call(x, 1); }, {{1, 8, 4, 4}, {8, 8, 3, 3}, {8}}},
      {"conv2d_relu", [](Inputs x) { return call(x, 2); }, {{1, 8, 4, 4}, {8, 8, 3, 3}, {8}}},
  };
  return all;
}

// A function that ops.h declares, and the lines from the last empty one up to its own.
struct Declaration {
  std::string name, paragraph;
};
std::vector<Declaration> declarations() {
  const std::string menu = contents("autodiff/ops.h");
  const std::regex declaration(R"(^(?:inline )?[\w:<>&]+ (operator[-+*/<>=!&|^]+|\w+)\((?!F,))", std::regex::multiline);
  std::vector<Declaration> found;
  for (std::sregex_iterator i(menu.begin(), menu.end(), declaration), end; i != end; ++i) {
    const auto at = static_cast<std::size_t>(i->position());
    const std::size_t empty_line = menu.rfind("\n\n", at);
    found.push_back({(*i)[1], menu.substr(empty_line, menu.find('\n', at) - empty_line)});
  }
  return found;
}

// The names in `a` that are not in `b`, with spaces between.
std::string only_in(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::string names;
  for (const std::string& name : a)
    if (!b.count(name)) names += (names.empty() ? "" : " ") + name;
  return names;
}

// The names of the operations of autodiff/ops, by their sources.
std::set<std::string> names_in_sources() {
  std::set<std::string> names;
  const std::regex member(R"(name\(\) const override \{ return (.*); \})"), text("\"(\\w+)\"");
  for (const auto& file : std::filesystem::directory_iterator("autodiff/ops")) {
    const std::string source = contents(file.path().string());
    for (std::sregex_iterator i(source.begin(), source.end(), member), end; i != end; ++i) {
      const std::string returned = (*i)[1];
      for (std::sregex_iterator j(returned.begin(), returned.end(), text); j != end; ++j) names.insert((*j)[1]);
    }
  }
  return names;
}

// Checks for balanced braces, and that placeholders refer to existing or optional operands. (An operation without LaTeX is its name in
// upright letters.)
void check_latex(const std::string& name, const std::string& latex, int inputs) {
  BOOST_CHECK_MESSAGE(!name.empty(), "an operation without a name");
  if (latex.empty()) return;
  int depth = 0;
  std::set<int> operands;
  for (std::size_t k = 0; k < latex.size(); ++k) {
    if (latex[k] == '{') ++depth;
    if (latex[k] == '}') --depth;
    BOOST_CHECK_MESSAGE(depth >= 0, name << ": " << latex);
    if (latex[k] == '#')
      operands.insert(k + 1 < latex.size() && std::isdigit(static_cast<unsigned char>(latex[k + 1])) ? latex[k + 1] - '0' : 1);
  }
  BOOST_CHECK_MESSAGE(depth == 0 && !operands.empty() && *operands.begin() >= 1 && *operands.rbegin() <= inputs + 1,
                      name << " of " << inputs << " operands: " << latex);
}

}  // namespace

// Every operation that autodiff/ops.h declares must have a case above, by which both modes and the second order are checked, and a comment;
// every recorded operation must have a name for documents.

BOOST_AUTO_TEST_CASE(every_operation_of_the_menu_is_tested) {
  std::set<std::string> declared, tested = not_differentiated;
  for (const Declaration& d : declarations()) declared.insert(d.name);
  for (const char* arithmetic : {"operator+", "operator-", "operator*", "operator/"}) declared.insert(arithmetic);
  for (const Case& c : cases()) tested.insert(c.name);
  BOOST_TEST(declared.size() > 30u);
  BOOST_CHECK_MESSAGE(declared == tested,
                      "declared in ops.h without a row in cases(): " << only_in(declared, tested)
                                                                     << "; with a row, but not declared: " << only_in(tested, declared));
}

// A bool where a dimension or an index belongs does not compile (ops.h, last section; tests/must_not_compile). No operation is forgotten.
BOOST_AUTO_TEST_CASE(every_operation_that_takes_indices_refuses_bools) {
  const std::string menu = contents("autodiff/ops.h");
  const std::size_t list = menu.find("#define WENGERT_TAKE_INDICES");
  BOOST_REQUIRE(list != std::string::npos);
  std::set<std::string> refusing, taking;
  const std::regex entry(R"(F\((\w+)\)|> void (\w+)\()");
  for (std::sregex_iterator i(menu.begin() + static_cast<std::ptrdiff_t>(list), menu.end(), entry), end; i != end; ++i)
    refusing.insert((*i)[1].matched ? (*i)[1] : (*i)[2]);
  const std::regex index(R"(^(?:inline )?[\w:<>&]+ (\w+)\((?:[^;{]|\{\})*\b(?:Index|IntegerType auto) \w+)", std::regex::multiline);
  for (std::sregex_iterator i(menu.begin(), menu.end(), index), end; i != end; ++i) taking.insert((*i)[1]);
  refusing.erase("name");
  BOOST_TEST(taking.size() > 40u);
  BOOST_CHECK_MESSAGE(taking == refusing, "missing in the list WENGERT_TAKE_INDICES of ops.h: "
                                              << only_in(taking, refusing) << "; there without an index: " << only_in(refusing, taking));
}

BOOST_AUTO_TEST_CASE(every_operation_of_the_menu_has_a_sentence) {
  for (const Declaration& d : declarations())
    BOOST_CHECK_MESSAGE(d.paragraph.find("///") != std::string::npos, d.name << " has no comment in its paragraph of ops.h");
  const std::string functions = contents("autodiff/functions/functions.h");
  const std::regex structure(R"regex((.*)\nstruct \w+ \{\n  (?:double .*\n  )?static constexpr const char \*name = "(\w+)")regex");
  std::size_t count = 0;
  for (std::sregex_iterator i(functions.begin(), functions.end(), structure), end; i != end; ++i, ++count)
    BOOST_CHECK_MESSAGE((*i)[1].str().rfind("///", 0) == 0, (*i)[2] << " has no comment in functions.h");
  BOOST_TEST(count > 30u);
}

BOOST_AUTO_TEST_CASE(every_kind_of_record_is_tested_and_has_a_name_in_documents) {
  std::set<std::string> recorded;
  std::map<std::string, std::pair<std::string, int>> latex;  // for each name, and its maximum number of operands
  std::vector<Case> all = cases();
  all.insert(all.end(), members().begin(), members().end());
  all.insert(all.end(), float32_cases().begin(), float32_cases().end());
  for (const Case& c : all) {
    Tape tape({.higher_order = true});
    std::vector<Tensor> inputs;
    for (const Shape& shape : c.shapes) inputs.push_back(tape.variable(strided(distinct(shape))));
    const Tensor y = c.call(inputs);
    if (y.number()) tape.gradient(sum(y * y), std::span<const Tensor>(inputs), {.differentiable = true, .unreached = Unreached::zero});
    const detail::TapeState& state = *detail::active_tape();
    for (std::uint32_t k = 0; k < state.nodes.size(); ++k) {
      const detail::TapeNode& node = state.nodes[k];
      if (node.kind != detail::TapeNode::tensors) continue;
      recorded.insert(node.operation->name());
      auto& [formula, operands] = latex[node.operation->name()];
      formula = node.operation->latex();
      operands = std::max(operands, static_cast<int>(node.inputs));
    }
  }
  for (const auto& [name, one] : latex) check_latex(name, one.first, one.second);
  for (const std::string& name : names_in_sources()) BOOST_CHECK_MESSAGE(recorded.count(name), "no case records the operation " << name);
}

BOOST_AUTO_TEST_CASE(derivatives_to_second_order) {
  for (const Case& c : cases()) check_case(c, float64, true, 2);
}
BOOST_AUTO_TEST_CASE(derivatives_at_strided_inputs) {
  for (const Case& c : cases()) check_case(c, float64, false, 2);
}
BOOST_AUTO_TEST_CASE(derivatives_of_members) {
  for (const bool dense : {true, false}) check_case(members()[1], float64, dense, 2);
  // Differences in float64 would be lost in the conversion, so this compares the sum of x^2, to the bit.
  const auto squares = [](const Tensor& at) { return sum(members()[0].call(std::span(&at, 1))); };
  const Tensor x = distinct({2, 3}, float32), v = distinct({2, 3}, float32) - 0.5;
  BOOST_TEST(gradient(squares, x).to_vector<float>() == (2 * x).to_vector<float>(), boost::test_tools::per_element());
  BOOST_TEST(jvp(squares, x, v).item() == sum(2 * x * v).item(), boost::test_tools::tolerance(1e-6));
  const Tensor product = hvp(squares, x, v);
  BOOST_TEST(product.to_vector<float>() == (2 * v).to_vector<float>(), boost::test_tools::per_element());
}
BOOST_AUTO_TEST_CASE(derivatives_in_float32) {
  for (const Case& c : cases()) check_case(c, float32, true, 1);
}

// ---- values -----------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(arithmetic_broadcasts_like_numpy) {
  const std::vector<std::pair<Shape, Shape>> pairs{
      {{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{2, 1}, {1, 3}}, {{}, {2, 2}}, {{4, 1, 2}, {3, 1}}, {{2, 1, 2, 1, 2}, {3, 1, 2, 1}},
      {{0, 3}, {1, 3}}, {{}, {}},      {{1}, {5}},       {{2, 0}, {}}};
  for (const auto& shapes : pairs)
    for (const Dtype dtype : {float64, float32, int64})
      for (const bool dense : {true, false}) {
        const Shape &s = shapes.first, &t = shapes.second;
        Tensor a = distinct(s), b = distinct(t);
        if (dtype == int64) a = a * 100, b = b * 100;
        a = a.to(dtype), b = b.to(dtype);
        if (!dense) a = strided(a), b = strided(b);
        Shape shape;
        shape.resize(std::max(s.rank(), t.rank()));
        for (int i = 1; i <= shape.rank(); ++i) {
          const Index p = i <= s.rank() ? s[s.rank() - i] : 1, q = i <= t.rank() ? t[t.rank() - i] : 1;
          shape[shape.rank() - i] = p == 1 ? q : p;
        }
        const double tolerance = dtype == float32 ? 1e-6 : 0;
        const auto with = [&](auto f) {
          return [&, f](const Shape& p) { return f(at(a, source_position(p, s)), at(b, source_position(p, t))); };
        };
        check_values(a + b, shape, with(std::plus<>()), tolerance);
        check_values(a - b, shape, with(std::minus<>()), tolerance);
        check_values(a * b, shape, with(std::multiplies<>()), tolerance);
        if (dtype != int64) check_values(a / b, shape, with(std::divides<>()), tolerance);
        check_values(a < b, shape, with(std::less<>()), 0);
        check_values(a <= b, shape, with(std::less_equal<>()), 0);
        check_values(a > b, shape, with(std::greater<>()), 0);
        check_values(a >= b, shape, with(std::greater_equal<>()), 0);
        check_values(a == b, shape, with(std::equal_to<>()), 0);
        check_values(a != b, shape, with(std::not_equal_to<>()), 0);
        const Tensor c = a < b;
        check_values(where(c, a, b), shape, with([](double p, double q) { return std::min(p, q); }), 0);
      }
}

BOOST_AUTO_TEST_CASE(numbers_and_scalars_take_the_dtype_of_the_tensor) {
  const Tensor x = Tensor::from({1, 2});
  for (const Tensor& y : {x + 0.5, 1 + x, x * Scalar(2), 2.5f / x, where(x > 1, x, 0)}) BOOST_TEST((y.dtype() == float32));
  const Tensor n = Tensor::from({1, 2}, int64);
  BOOST_TEST(((n * 2 - 1).dtype() == int64));
  BOOST_CHECK_THROW(n * 0.5, DtypeError);
}

BOOST_AUTO_TEST_CASE(reductions_against_loops) {
  for (const Shape& shape : {Shape{2, 3, 4}, Shape{5}, Shape{2, 1, 3, 2, 2}, Shape{17, 19}})
    for (const Dtype dtype : {float64, float32})
      for (const bool dense : {true, false}) {
        const Tensor values = distinct(shape, dtype), x = dense ? values : strided(values);
        std::vector<std::vector<int>> choices{{0}, {shape.rank() - 1}};
        if (shape.rank() > 1) choices.push_back({0, shape.rank() - 1});
        for (const auto& dims : choices)
          for (const bool keepdim : {false, true}) {
            Dims d;
            for (const int i : dims) d.push_back(i % 2 ? i : i - shape.rank());
            const Shape kept = without(shape, dims, true), result = without(shape, dims, keepdim);
            std::vector<double> sums(static_cast<std::size_t>(kept.size())), best(sums.size(), -1e9);
            for_each_position(shape, [&](const Shape& p) {
              Index flat = 0;
              const Shape q = source_position(p, kept);
              for (int i = 0; i < kept.rank(); ++i) flat = flat * kept[i] + q[i];
              sums[static_cast<std::size_t>(flat)] += at(x, p);
              best[static_cast<std::size_t>(flat)] = std::max(best[static_cast<std::size_t>(flat)], at(x, p));
            });
            const double count = static_cast<double>(shape.size()) / static_cast<double>(kept.size());
            const double tolerance = dtype == float32 ? 1e-6 : 1e-12;
            std::size_t k = 0, l = 0, m = 0;
            check_values(
                sum(x, d, {.keepdim = keepdim}), result, [&](const Shape&) { return sums[k++]; }, tolerance);
            check_values(
                mean(x, d, {.keepdim = keepdim}), result, [&](const Shape&) { return sums[l++] / count; }, tolerance);
            check_values(
                max(x, d, {.keepdim = keepdim}), result, [&](const Shape&) { return best[m++]; }, 0);
          }
        double total = 0;
        for_each_position(shape, [&](const Shape& p) { total += at(x, p); });
        check_values(
            sum(x), {}, [&](const Shape&) { return total; }, 1e-5);
      }
}

BOOST_AUTO_TEST_CASE(reductions_at_their_limits) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  BOOST_TEST(sum(Tensor::zeros({0})).item() == 0);
  BOOST_TEST(std::isnan(mean(Tensor::zeros({0})).item()));
  BOOST_TEST((sum(Tensor::zeros({2, 0, 3}), 1).shape() == Shape{2, 3}));
  BOOST_TEST((max(Tensor::zeros({0, 3}), 1).shape() == Shape{0}));
  BOOST_TEST(sum(Tensor::full({}, 3)).item() == 3);
  BOOST_TEST(sum(Tensor::from({1, 0, 1}, boolean)).item() == 2);
  BOOST_TEST((sum(Tensor::from({1, 0, 1}, boolean)).dtype() == int64));
  BOOST_TEST(sum(Tensor::full({1 << 20}, 0.1, float32)).item() == 0.1f * (1 << 20), boost::test_tools::tolerance(1e-6));
  BOOST_TEST(std::isnan(max(Tensor::from({1, nan, 3}, float64)).item()));
  BOOST_TEST(max(Tensor::from({3, 7, 7}, int64)).item() == 7);
  BOOST_TEST(argmax(Tensor::from({3, 7, 7}, int64), 0).item() == 1);
  BOOST_TEST(argmax(Tensor::from({3, nan, 7, nan}, float64), 0).item() == 1);
  const Tensor x = distinct({3, 4, 2});
  for (const bool keepdim : {false, true}) {
    const Tensor best = argmax(strided(x), 1, {.keepdim = keepdim}), top = max(x, 1, {.keepdim = keepdim});
    BOOST_TEST((best.dtype() == int64));
    check_values(top, best.shape(), [&](const Shape& p) { return at(x, {p[0], static_cast<Index>(at(best, p)), p[p.rank() - 1]}); });
  }
  check_values(sum_to(Tensor::ones({4, 2, 3}, float64), {2, 1}), {2, 1}, [](const Shape&) { return 12.0; });
}

BOOST_AUTO_TEST_CASE(ties_share_the_gradient_of_max) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({1, 3, 3, 2}, float64));
  BOOST_TEST(tape.gradient(max(x), x).to_vector<double>() == (std::vector<double>{0, 0.5, 0.5, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(matmul_against_loops) {
  const std::vector<std::pair<Shape, Shape>> pairs{
      {{2, 3}, {3, 4}}, {{1, 7}, {7, 1}}, {{5, 1}, {1, 5}}, {{2, 2, 3}, {3, 4}}, {{2, 3}, {4, 3, 2}},  {{2, 1, 2, 3}, {3, 3, 4}},
      {{0, 3}, {3, 2}}, {{2, 0}, {0, 3}}, {{2, 3}, {3, 0}}, {{0, 2, 3}, {3, 2}}, {{33, 65}, {65, 17}}, {{2, 3, 1, 2, 3}, {1, 4, 3, 2}}};
  // A sum that cancels keeps the rounding errors of its terms; with terms of at most 1 it is comparable.
  const auto up_to_1 = [](const Tensor& t) { return t.size() > 0 ? t / max(abs(t)) : t; };
  for (const auto& shapes : pairs)
    for (const Dtype dtype : {float64, float32})
      for (const int layout : {0, 1, 2, 3}) {
        const Shape &s = shapes.first, &t = shapes.second;
        Tensor a = up_to_1(distinct(s, dtype)), b = up_to_1(distinct(t, dtype));
        if (layout & 1) a = strided(a);
        if (layout & 2) b = transpose(transpose(b).contiguous());
        Shape shape;
        shape.resize(std::max(s.rank(), t.rank()));
        for (int i = 3; i <= shape.rank(); ++i)
          shape[shape.rank() - i] = std::max(i <= s.rank() ? s[s.rank() - i] : 1, i <= t.rank() ? t[t.rank() - i] : 1);
        if (s.size() == 0 && s[0] == 0 && s.rank() == 3) shape[0] = 0;
        shape[shape.rank() - 2] = s[s.rank() - 2];
        shape[shape.rank() - 1] = t[t.rank() - 1];
        check_values(
            matmul(a, b), shape,
            [&](const Shape& p) {
              Shape left = p, right = p;
              double total = 0;
              for (Index k = 0; k < s.back(); ++k) {
                left[p.rank() - 1] = right[p.rank() - 2] = k;
                total += at(a, source_position(left, s)) * at(b, source_position(right, t));
              }
              return total;
            },
            dtype == float32 ? 1e-4 : 1e-13);
      }
  const Tensor v = Tensor::from({1, 2, 3}, float64), m = Tensor::from({{1, 2}, {3, 4}, {5, 6}}, float64);
  BOOST_TEST(matmul(v, v).item() == 14);
  BOOST_TEST((matmul(v, v).shape() == Shape{}));
  BOOST_TEST(matmul(v, m).to_vector<double>() == (std::vector<double>{22, 28}), boost::test_tools::per_element());
  BOOST_TEST(matmul(transpose(m), v).to_vector<double>() == (std::vector<double>{22, 28}), boost::test_tools::per_element());
  BOOST_TEST((matmul(Tensor::ones({2, 4, 3}), Tensor::ones({3})).shape() == Shape{2, 4}));
  BOOST_TEST((matmul(Tensor::ones({3}), Tensor::ones({2, 3, 4})).shape() == Shape{2, 4}));
}

BOOST_AUTO_TEST_CASE(transposed_and_flipped_copies_of_any_size) {
  for (const Dtype dtype : {float64, float32, int64, boolean})
    for (const Index rows : {1, 15, 16, 35, 64})
      for (const Index n : {3, 16, 33, 130})
        for (const Index step : {1, 2}) {
          const Tensor number = Tensor::arange(0, static_cast<double>(rows * n * step)),
                       whole = dtype == boolean ? sin(number) > 0 : number.to(dtype);
          const Tensor x = slice(reshape(whole, {n, rows * step}), 1, 0, rows * step, step), y = transpose(x).contiguous();
          const Tensor z = flip(x, {1}).contiguous();
          bool same = true;
          for (Index i = 0; i < n; ++i)
            for (Index r = 0; r < rows; ++r) same &= y.at({r, i}) == x.at({i, r}) && z.at({i, rows - 1 - r}) == x.at({i, r});
          BOOST_TEST(same, to_string(dtype) << " " << rows << " " << n << " " << step);
          if (is_floating(dtype)) BOOST_TEST(all(exp(-transpose(x)) == exp(-y)).element(0) != 0);
        }
}

BOOST_AUTO_TEST_CASE(joined_parts_of_tensors) {
  const Tensor x = reshape(Tensor::arange(0, 120, 1, float64), {2, 3, 4, 5});
  for (const Index dim : {0, 1, 2, 3})
    for (const Tensor& whole : {x, strided(x), flip(x, {0}), transpose(transpose(x, 0, 1).contiguous(), 0, 1)}) {
      const Tensor parts[] = {slice(whole, dim, 1, 2), whole, narrow(whole, dim, 0, 1), expand(select(whole, 0, 1), {2, 3, 4, 5})};
      const Tensor y = concat(parts, dim);
      Index start = 0;
      for (const Tensor& part : parts) {
        BOOST_TEST(all(narrow(y, dim, start, part.size(dim)) == part).element(0) != 0);
        start += part.size(dim);
      }
    }
}

BOOST_AUTO_TEST_CASE(views_against_loops) {
  for (const bool dense : {true, false}) {
    const Tensor values = distinct({2, 3, 4}), x = dense ? values : strided(values);
    check_values(
        transpose(x, 0, -1), {4, 3, 2},
        [&](const Shape& p) {
          return at(x, {p[2], p[1], p[0]});
        },
        0);
    check_values(
        permute(x, {1, -1, 0}), {3, 4, 2},
        [&](const Shape& p) {
          return at(x, {p[2], p[0], p[1]});
        },
        0);
    check_values(
        slice(x, 2, 1, 4, 2), {2, 3, 2},
        [&](const Shape& p) {
          return at(x, {p[0], p[1], 1 + 2 * p[2]});
        },
        0);
    check_values(
        slice(x, -1, -3, -1), {2, 3, 2},
        [&](const Shape& p) {
          return at(x, {p[0], p[1], 1 + p[2]});
        },
        0);
    check_values(
        slice(x, 1, -100, 100), {2, 3, 4}, [&](const Shape& p) { return at(x, p); }, 0);
    check_values(
        slice(x, 1, 2, 1), {2, 0, 4}, [&](const Shape&) { return 0.0; }, 0);
    check_values(
        slice(x, 1, 0, 3, std::numeric_limits<Index>::max()), {2, 1, 4},
        [&](const Shape& p) {
          return at(x, {p[0], 0, p[2]});
        },
        0);
    check_values(
        select(x, 1, -1), {2, 4},
        [&](const Shape& p) {
          return at(x, {p[0], 2, p[1]});
        },
        0);
    check_values(
        expand(select(x, 0, 1), {5, 3, 4}), {5, 3, 4},
        [&](const Shape& p) {
          return at(x, {1, p[1], p[2]});
        },
        0);
    check_values(
        unsqueeze(x, 1), {2, 1, 3, 4},
        [&](const Shape& p) {
          return at(x, {p[0], p[2], p[3]});
        },
        0);
    check_values(
        squeeze(unsqueeze(x, -1), 3), {2, 3, 4}, [&](const Shape& p) { return at(x, p); }, 0);
    Index flat = 0;
    check_values(
        reshape(x, {4, -1}), {4, 6}, [&](const Shape&) { return values.element(flat++); }, 0);
    flat = 0;
    check_values(
        flatten(x, 0, 1), {6, 4}, [&](const Shape&) { return values.element(flat++); }, 0);
    check_values(concat({x, 2 * x, x}, 1), {2, 9, 4}, [&](const Shape& p) {
      return at(x, {p[0], p[1] % 3, p[2]}) * (p[1] / 3 == 1 ? 2 : 1);
    });
    check_values(stack({x, 2 * x}, 1), {2, 2, 3, 4}, [&](const Shape& p) { return at(x, {p[0], p[2], p[3]}) * (p[1] ? 2 : 1); });
  }
  BOOST_TEST(flatten(Tensor::full({}, 2)).shape().back() == 1);
  BOOST_TEST((reshape(Tensor::zeros({0, 3}), {3, 0}).shape() == Shape{3, 0}));
  BOOST_TEST((concat({Tensor::zeros({0, 2}), Tensor::ones({1, 2})}).shape() == Shape{1, 2}));
  BOOST_TEST((unsqueeze(Tensor::full({}, 2), 0).shape() == Shape{1}));
  const Tensor x = Tensor::zeros({2, 3});
  BOOST_TEST(transpose(x).elements()->data == x.elements()->data);  // nothing is copied
  BOOST_TEST(reshape(x, {6}).elements()->data == x.elements()->data);
  BOOST_TEST(!transpose(x).is_row_major());
  BOOST_TEST(transpose(x).contiguous().is_row_major());
}

BOOST_AUTO_TEST_CASE(softmax_against_loops) {
  for (const Dtype dtype : {float64, float32})
    for (const bool dense : {true, false})
      for (const int dim : {0, 1, 2}) {
        const Tensor values = distinct({3, 4, 2}, dtype), x = dense ? values : strided(values);
        const auto total = [&](Shape p) {
          double s = 0;
          for (p[dim] = 0; p[dim] < x.shape()[dim]; ++p[dim]) s += std::exp(at(x, p));
          return s;
        };
        const double tolerance = dtype == float32 ? 1e-6 : 1e-14;
        check_values(
            softmax(x, dim), x.shape(), [&](const Shape& p) { return std::exp(at(x, p)) / total(p); }, tolerance);
        check_values(
            log_softmax(x, dim), x.shape(), [&](const Shape& p) { return at(x, p) - std::log(total(p)); }, tolerance);
      }
  const double inf = std::numeric_limits<double>::infinity();
  check_values(softmax(Tensor::from({1000, 1000}, float64)), {2}, [](const Shape&) { return 0.5; });
  check_values(log_softmax(Tensor::from({-1e4, -1e4}, float64)), {2}, [](const Shape&) { return -std::log(2); });
  check_values(softmax(Tensor::from({-inf, 0}, float64)), {2}, [](const Shape& p) { return static_cast<double>(p[0]); });
  BOOST_TEST(std::isnan(softmax(Tensor::from({-inf, -inf}, float64)).element(0)));
  BOOST_TEST((softmax(Tensor::zeros({2, 0})).shape() == Shape{2, 0}));
}

BOOST_AUTO_TEST_CASE(cross_entropy_against_its_parts) {
  for (const Dtype dtype : {float64, float32}) {
    const Tensor x = distinct({3, 4}, dtype), p = log_softmax(x);
    const double loss = -(p.at({0, 2}) + p.at({1, 0}) + p.at({2, 1})) / 3;
    BOOST_TEST(cross_entropy(x, labels).item() == loss, boost::test_tools::tolerance(dtype == float32 ? 1e-6 : 1e-14));
    BOOST_TEST(cross_entropy(strided(x), strided(labels)).item() == cross_entropy(x, labels).item());
  }
  const Tensor far = Tensor::from({{1e4, 0}, {0, 1e4}}, float64);
  BOOST_TEST(cross_entropy(far, Tensor::from({0, 1}, int64)).item() == 0);
  BOOST_TEST(cross_entropy(far, Tensor::from({1, 0}, int64)).item() == 1e4);
  check_values(one_hot(labels, 4), {3, 4}, [](const Shape& p) { return p[1] == (p[0] == 0 ? 2 : p[0] - 1) ? 1.0 : 0.0; });
  BOOST_TEST((one_hot(Tensor::zeros({2, 3}, int64), 5).shape() == Shape{2, 3, 5}));
}

BOOST_AUTO_TEST_CASE(conversions) {
  const Tensor x = Tensor::from({-1.5, 0, 2.75}, float64);
  BOOST_TEST(x.to(int64).to_vector<double>() == (std::vector<double>{-1, 0, 2}), boost::test_tools::per_element());
  BOOST_TEST(x.to(boolean).to_vector<double>() == (std::vector<double>{1, 0, 1}), boost::test_tools::per_element());
  Tape tape;
  const Tensor v = tape.variable(x);
  const Tensor g = tape.gradient(sum(v.to(float32) * 3), v);
  BOOST_TEST((g.dtype() == float64));
  BOOST_TEST(g.element(2) == 3);
}

// ---- errors -----------------------------------------------------------------------------------------------------------------------

namespace {

const Tensor two_by_three = Tensor::zeros({2, 3});
const int line_of_two_by_three = __LINE__ - 1;
const Tensor number = Tensor::full({}, 1);
const Tensor wide = Tensor::zeros({2, 3}, float64);
const Tensor whole = Tensor::zeros({2, 3}, int64);
const Tensor empty = Tensor::zeros({0, 3});

struct Misuse {
  const char* operation;
  std::function<Tensor()> call;
  std::vector<std::string> told;  // what the message must contain, besides the operation
};
const std::string made = "test_ops.cpp:" + std::to_string(line_of_two_by_three);

const std::vector<Misuse> shape_errors{
    {"rnn", [] { return rnn(two_by_three, Tensor(), {}, Nonlinearity::tanh).output; }, {"(2, 3)", "(t, n, in)", made}},
    {"gru", [] { return gru(two_by_three, Tensor(), {}).output; }, {"(2, 3)", "(t, n, in)", made}},
    {"multihead_attention",
     [] {
       const MultiheadWeights weights{Tensor::zeros({9, 3}), {}, Tensor::zeros({3, 3}), {}};
       return multihead_attention(two_by_three, two_by_three, two_by_three, weights, {.heads = 1}).output;
     },
     {"(2, 3)", "(l, n, e)", made}},
    {"add", [] { return two_by_three + Tensor::zeros({4}); }, {"(2, 3)", "(4,)", "sizes 3 and 4", made}},
    {"multiply",
     [] {
       return two_by_three * Tensor::zeros({3, 3});
     },
     {"(2, 3)", "(3, 3)", made}},
    {"<", [] { return two_by_three < Tensor::zeros({4}); }, {"(2, 3)", "(4,)", made}},
    {"where", [] { return where(two_by_three > 0, two_by_three, Tensor::zeros({4})); }, {"a (2, 3)", "b (4,)", made}},
    {"where", [] { return where(Tensor::zeros({4}) > 0, two_by_three, 0); }, {"condition (4,)", "a (2, 3)"}},
    {"where", [] { return where(Tensor::zeros({4}) > 0, 0, two_by_three); }, {"condition (4,)", "b (2, 3)"}},
    {"matmul",
     [] { return matmul(two_by_three, two_by_three); },
     {"inner sizes 3 and 2 differ: left (2, 3)", "right (2, 3)", "; hint: transpose(right)", made}},
    {"matmul",
     [] {
       return matmul(two_by_three, Tensor::zeros({2, 4}));
     },
     {"transpose(left)", made}},
    {"matmul", [] { return matmul(two_by_three, number); }, {"rank 0", "*", made}},
    {"matmul",
     [] {
       return matmul(Tensor::zeros({2, 1, 3}), Tensor::zeros({3, 3, 1}));
     },
     {"leading dimensions"}},
    {"sum", [] { return sum(two_by_three, 2); }, {"dimension 2", "[-2, 1]", made}},
    {"sum",
     [] {
       return sum(two_by_three, {0, -2});
     },
     {"twice", made}},
    {"sum", [] { return sum(number, 0); }, {"rank 0"}},
    {"mean", [] { return mean(two_by_three, -3); }, {"dimension -3", "[-2, 1]", made}},
    {"max", [] { return max(empty); }, {"(0, 3)", "no elements"}},
    {"max", [] { return max(empty, 0); }, {"(0, 3)", "size 0"}},
    {"argmax", [] { return argmax(empty, 0); }, {"(0, 3)", "size 0"}},
    {"argmax", [] { return argmax(two_by_three, 5); }, {"dimension 5", made}},
    {"sum_to",
     [] {
       return sum_to(two_by_three, {2, 2});
     },
     {"(2, 3)", "(2, 2)", made}},
    {"sum_to",
     [] {
       return sum_to(two_by_three, {1, 2, 3});
     },
     {"(2, 3)", "(1, 2, 3)", made}},
    {"reshape", [] { return reshape(two_by_three, {4}); }, {"(2, 3)", "(4,)", "-1", made}},
    {"reshape",
     [] {
       return reshape(two_by_three, {-1, -1});
     },
     {"(-1, -1)", made}},
    {"reshape",
     [] {
       return reshape(empty, {-1, 0});
     },
     {"(-1, 0)"}},
    {"flatten", [] { return flatten(two_by_three, 1, 0); }, {"(2, 3)", made}},
    {"flatten", [] { return flatten(two_by_three, 0, 2); }, {"dimension 2", made}},
    {"transpose", [] { return transpose(two_by_three, 0, 2); }, {"dimension 2", "[-2, 1]", made}},
    {"transpose", [] { return transpose(Tensor::zeros({3})); }, {"dimension -2"}},
    {"permute",
     [] {
       return permute(two_by_three, {0, 0});
     },
     {"(0, 0)", "once", made}},
    {"permute", [] { return permute(two_by_three, {0}); }, {"(0,)", "(2, 3)", made}},
    {"expand",
     [] {
       return expand(two_by_three, {2, 6});
     },
     {"(2, 3)", "(2, 6)", made}},
    {"expand", [] { return expand(two_by_three, {3}); }, {"(2, 3)", "(3,)", made}},
    {"expand", [] { return expand(number, {-1}); }, {"negative size -1"}},
    {"squeeze", [] { return squeeze(two_by_three, 0); }, {"size 2, not 1", made}},
    {"unsqueeze", [] { return unsqueeze(two_by_three, 4); }, {"dimension 4", "[-3, 2]", made}},
    {"slice", [] { return slice(two_by_three, 2, 0, 1); }, {"dimension 2", made}},
    {"select", [] { return select(two_by_three, 1, 3); }, {"index 3", "[-3, 2]", made}},
    {"select", [] { return select(two_by_three, -3, 0); }, {"dimension -3", made}},
    {"concat",
     [] {
       return concat({two_by_three, Tensor::zeros({2, 4})});
     },
     {"(2, 3)", "(2, 4)", "a dimension other than 0", made}},
    {"concat",
     [] {
       return concat({two_by_three, number});
     },
     {"(2, 3)", "()", made}},
    {"concat", [] { return concat(std::span<const Tensor>()); }, {"no tensors"}},
    {"stack",
     [] {
       return stack({two_by_three, number});
     },
     {"(2, 3)", "()", made}},
    {"stack", [] { return stack(std::span<const Tensor>()); }, {"no tensors"}},
    {"softmax", [] { return softmax(number); }, {"rank 0"}},
    {"log_softmax", [] { return log_softmax(two_by_three, 2); }, {"dimension 2", made}},
    {"one_hot", [] { return one_hot(labels, 2); }, {"index 2 at position 0", "[0, 2)"}},
    {"one_hot", [] { return one_hot(labels, -1); }, {"-1"}},
    {"cross_entropy", [] { return cross_entropy(two_by_three, labels); }, {"(2, 3)", "(3,)", "(n, classes)", made}},
    {"cross_entropy",
     [] {
       return cross_entropy(two_by_three, Tensor::from({0, 3}, int64));
     },
     {"label 3 at position 1", "[0, 3)"}},
    {"tensor",
     [] {
       return Tensor::zeros({2, -1});
     },
     {"negative size -1"}},
    {"tensor",
     [] {
       return Tensor::zeros({Index(1) << 40, Index(1) << 40});
     },
     {"more elements than memory"}},
    {"tensor",
     [] {
       return Tensor::from({1, 2, 3}, {2, 2});
     },
     {"3 values", "(2, 2)", "test_ops.cpp"}},
    {"item", [] { return Tensor::full({}, two_by_three.item()); }, {"6 elements", made}},
    {"at",
     [] {
       return Tensor::full({}, two_by_three.at({0, 3}));
     },
     {"index 3", "[-3, 2]", made}},
    {"element", [] { return Tensor::full({}, two_by_three(2, 0).value()); }, {"index 2", "[-2, 1]", made}},
    {"data", [] { return Tensor::full({}, *transpose(two_by_three).data<float>()); }, {"row-major", "contiguous()"}},
};

const std::vector<Misuse> value_errors{
    {"multihead_attention",
     [] { return multihead_attention(two_by_three, two_by_three, two_by_three, {}, {.heads = 1}).output; },
     {"must be given"}},
    {"rnn_cell", [] { return rnn_cell(two_by_three, two_by_three, {}); }, {"must be given"}},
    {"slice", [] { return slice(two_by_three, 0, 0, 1, 0); }, {"step", "not 0", made}},
    {"chunk", [] { return chunk(two_by_three, 0)[0]; }, {"parts", "not 0", made}},
    {"norm", [] { return norm(two_by_three, 0.5); }, {"at least 1", "not 0.5", made}},
    {"dropout", [] { return dropout(two_by_three, -1); }, {"probability -1", "[0, 1]", made}},
    {"batch_norm", [] { return batch_norm(two_by_three, {}, {}).y; }, {"running mean", "hint: .training = true", made}},
    {"cross_entropy", [] { return cross_entropy(two_by_three, labels, {.label_smoothing = 1.5}); }, {"label_smoothing 1.5", "[0, 1]"}},
    {"arange", [] { return Tensor::arange(0, 1, 0); }, {"step 0", "not 0", "test_ops.cpp"}},
    {"uniform", [] { return default_generator().uniform({2}, 1, 0); }, {"[1, 0) is not a finite interval"}},
    {"normal", [] { return default_generator().normal({2}, 0, -1); }, {"deviation -1"}},
    {"bernoulli", [] { return default_generator().bernoulli({2}, 2); }, {"probability 2 is not in [0, 1]"}},
    {"integers", [] { return default_generator().integers({2}, 3, 3); }, {"no integers in [3, 3)"}},
};

const std::vector<Misuse> dtype_errors{
    {"add", [] { return two_by_three + wide; }, {"float32", "float64", ".to(", made}},
    {"subtract", [] { return wide - whole; }, {"int64", ".to(float64)"}},
    {"divide", [] { return whole / whole; }, {"int64", ".to(float32)"}},
    {"<", [] { return two_by_three < wide; }, {"float32", "float64", made}},
    {"where", [] { return where(two_by_three, 1, 2); }, {"not boolean", "x > 0", made}},
    {"where", [] { return where(two_by_three > 0, two_by_three, wide); }, {"float32", "float64", made}},
    {"matmul", [] { return matmul(two_by_three, wide); }, {"float32", "float64", ".to(", made}},
    {"matmul", [] { return matmul(whole, whole); }, {"int64", ".to(float32)"}},
    {"mean", [] { return mean(whole); }, {"int64", ".to("}},
    {"concat",
     [] {
       return concat({two_by_three, wide});
     },
     {"float32", "float64", made}},
    {"stack",
     [] {
       return stack({two_by_three, wide});
     },
     {"float32", "float64", made}},
    {"stack of scalars", [] { return stack({Scalar(1)}, int64); }, {"int64", "test_ops.cpp"}},
    {"softmax", [] { return softmax(whole); }, {"int64", ".to("}},
    {"log_softmax", [] { return log_softmax(whole); }, {"int64", ".to("}},
    {"one_hot", [] { return one_hot(two_by_three, 3); }, {"not int64", made}},
    {"cross_entropy", [] { return cross_entropy(whole, labels); }, {"int64", ".to("}},
    {"cross_entropy",
     [] { return cross_entropy(two_by_three, Tensor::zeros({2})); },
     {"dtype int64", "hint: convert the labels with .to(int64)", made}},
    {"exp", [] { return exp(whole); }, {"int64", ".to("}},
    {"data", [] { return Tensor::full({}, *wide.data<float>()); }, {"float64", ".to(float32)"}},
};

// Calls that have no parameter for their place.
constexpr std::string_view kWithoutPlace[] = {"data"};

template <class E> void check_errors(const std::vector<Misuse>& list) {
  for (const Misuse& misuse : list) {
    std::string message;
    try {
      misuse.call();
      BOOST_ERROR(std::string(misuse.operation) + " accepted what it should not: " + misuse.told[0]);
    } catch (const E& e) {
      message = e.what();
      BOOST_CHECK_MESSAGE(e.text().starts_with(misuse.operation), "does not begin with " << misuse.operation << ": " << message);
      const bool has_place = std::count(std::begin(kWithoutPlace), std::end(kWithoutPlace), std::string_view(misuse.operation)) == 0;
      BOOST_CHECK_MESSAGE(message.starts_with("test_ops.cpp:") == has_place, "the line of the call: " << message);
    } catch (const std::exception& e) {
      BOOST_ERROR(std::string(misuse.operation) + " threw another type: " + e.what());
    }
    for (const std::string& part : misuse.told)
      BOOST_CHECK_MESSAGE(message.find(part) != std::string::npos, "does not mention " << part << ": " << message);
    BOOST_CHECK_MESSAGE(message.find("/test_ops") == std::string::npos, "shows a path: " << message);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(shapes_that_do_not_fit_are_explained) { check_errors<ShapeError>(shape_errors); }
BOOST_AUTO_TEST_CASE(values_out_of_range_are_explained) { check_errors<ValueError>(value_errors); }
BOOST_AUTO_TEST_CASE(dtypes_that_do_not_fit_are_explained) { check_errors<DtypeError>(dtype_errors); }

// Whether a statement of the text that calls the operation expects an error.
static bool expects_refusal(const std::string& text, const std::string& operation) {
  if (text.find("\"" + operation + ": ") != std::string::npos) return true;
  const std::string call = operation + "(";
  for (std::size_t at = 0; (at = text.find(call, at)) != std::string::npos; ++at) {
    if (at > 0 && (std::isalnum(static_cast<unsigned char>(text[at - 1])) || text[at - 1] == '_')) continue;
    const std::size_t last = text.rfind(';', at), from = last == std::string::npos ? 0 : last;
    const std::string statement = text.substr(from, at - from);
    for (const char* expectation : {"rror(", "rror>(", "refused(", "THROW(", "EXCEPTION("})
      if (statement.find(expectation) != std::string::npos) return true;
  }
  return false;
}

BOOST_AUTO_TEST_CASE(every_operation_of_the_menu_has_a_test_of_what_it_refuses) {
  std::set<std::string> refused;
  for (const Misuse& misuse : shape_errors) refused.insert(misuse.operation);
  for (const Misuse& misuse : value_errors) refused.insert(misuse.operation);
  for (const Misuse& misuse : dtype_errors) refused.insert(misuse.operation);
  std::vector<std::string> tests;
  for (const auto& file : std::filesystem::recursive_directory_iterator("tests"))
    if (file.path().extension() == ".cpp") tests.push_back(contents(file.path().string()));
  std::set<std::string> untested;
  for (const Declaration& d : declarations()) {
    if (d.name.rfind("operator", 0) == 0) continue;                   // "add" and so on, in the lists above
    if (d.name == "nonzero" || d.name.rfind("is", 0) == 0) continue;  // isnan and so on take every tensor
    const auto tested = [&](const std::string& text) { return expects_refusal(text, d.name); };
    if (!refused.count(d.name) && std::none_of(tests.begin(), tests.end(), tested)) untested.insert(d.name);
  }
  BOOST_CHECK_MESSAGE(untested.empty(), "no test of what is refused: " << only_in(untested, {}));
}

BOOST_AUTO_TEST_CASE(results_name_the_line_that_made_them) {
  const Tensor x = distinct({2, 2}), square_of_x = matmul(x, x);
  const auto line = static_cast<std::uint32_t>(__LINE__ - 1);
  BOOST_TEST(square_of_x.made_at().line == line);
  const std::vector<Tensor> results{x + x,  2 * x,           where(x > 0, x, 0), sum(x),     mean(x, 0),
                                    max(x), reshape(x, {4}), transpose(x),       softmax(x), exp(x)};
  for (const Tensor& y : results) {
    BOOST_TEST(to_string(y.made_at()).rfind("test_ops.cpp:", 0) == 0u, to_string(y.made_at()));
    BOOST_TEST(y.made_at().line > line);
  }
}
