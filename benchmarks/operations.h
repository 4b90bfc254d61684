#pragma once
// The operations that the benchmark `ops/` compares, independent of any library: one row or more for each operation of the menu
// (autodiff/ops.h), with the operands of each. A test checks that none is missing.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/train_work.h"

namespace wengert::benchmark {

using Sizes = std::vector<std::int64_t>;

/// One operand. Only `Kind::numbers` have the row's dtype and a gradient.
struct OperandWork {
  enum class Kind {
    numbers,            ///< uniform in [low, high)
    constants,          ///< the same, without a gradient
    positive_definite,  ///< square matrices, symmetric, with a large diagonal
    indices,            ///< int64 in [0, high)
    permutation,        ///< int64: 0, 1, ..., n - 1 in random order
    booleans            ///< true with probability 1/2
  };
  Sizes sizes;
  double low = -1, high = 1;
  Kind kind = Kind::numbers;

  bool is_differentiated() const { return kind == Kind::numbers || kind == Kind::positive_definite; }
  std::int64_t count() const {
    std::int64_t n = 1;
    for (const std::int64_t size : sizes) n *= size;
    return n;
  }
};

/// Variants of a row: a matrix of few columns, and one with rows of an odd length.
inline constexpr std::string_view kNarrow = ".narrow", kOdd = ".odd";

struct OperationWork {
  std::string name;  ///< of the operation, and behind dots variants: "sum.dim0", "sum.dim0.narrow"
  std::vector<OperandWork> operands;
  bool differentiable = true;  ///< whether the row with the backward pass exists
  bool random = false;         ///< whether the result is random, so that the sides cannot agree

  /// The name without the variants that differ in the shapes alone.
  std::string function() const {
    for (const std::string_view shapes : {kNarrow, kOdd})
      if (name.ends_with(shapes)) return name.substr(0, name.size() - shapes.size());
    return name;
  }
};

/// The operand's elements; `seed` is its position.
template <class T> std::vector<T> elements_of(const OperandWork& operand, std::uint64_t seed) {
  using Kind = OperandWork::Kind;
  Numbers numbers(seed + 1);
  if (operand.kind == Kind::indices || operand.kind == Kind::permutation) {
    std::vector<std::int64_t> labels =
        numbers.labels(operand.count(), operand.kind == Kind::indices ? static_cast<std::int64_t>(operand.high) : operand.count());
    if (operand.kind == Kind::permutation) {
      const std::vector<std::int64_t> draws = labels;
      for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int64_t>(i);
      for (std::size_t i = labels.size(); i-- > 1;) std::swap(labels[i], labels[static_cast<std::size_t>(draws[i]) % (i + 1)]);
    }
    return std::vector<T>(labels.begin(), labels.end());
  }
  if (operand.kind == Kind::booleans) {
    const std::vector<std::int64_t> labels = numbers.labels(operand.count(), 2);
    return std::vector<T>(labels.begin(), labels.end());
  }
  std::vector<T> values = numbers.uniform<T>(operand.count(), operand.low, operand.high);
  if (operand.kind == Kind::positive_definite) {
    const auto n = static_cast<std::size_t>(operand.sizes.back());
    for (std::size_t first = 0; first < values.size(); first += n * n)
      for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j < i; ++j) values[first + j * n + i] = values[first + i * n + j];
        values[first + i * n + i] += static_cast<T>(n);
      }
  }
  return values;
}

/// All rows, in the order of the menu.
std::vector<OperationWork> operations();

/// ops/OPERATION/DTYPE, and "/backward" for value and gradient together.
inline std::string row_name(const OperationWork& work, std::string_view dtype, bool backward) {
  return "ops/" + work.name + "/" + std::string(dtype) + (backward ? "/backward" : "");
}

}  // namespace wengert::benchmark
