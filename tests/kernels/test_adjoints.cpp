#include "autodiff/kernels/adjoints.h"

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "autodiff/scalar/statements.h"
#include "autodiff/tape/records.h"
#include "tests/support/every_isa.h"

using namespace wengert;
using detail::RowAdjoints, kernels::kSweepRows;
using testing::on_every_isa;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity(), kNaN = std::numeric_limits<double>::quiet_NaN();

// Statements as a chunk holds them.
struct Chunk {
  std::vector<char> args;
  std::vector<std::uint16_t> lengths = {0};  // of scalar 0, which there is not

  std::size_t variable() {
    lengths.push_back(0);
    return lengths.size() - 1;
  }
  // `continued`: 0 for none.
  std::size_t statement(std::uint32_t continued, const std::vector<std::pair<double, std::uint32_t>>& arguments) {
    const std::size_t begin = args.size();
    if (continued) append(continued);
    for (const auto& [partial, index] : arguments) {
      append(partial);
      append(index);
    }
    lengths.push_back(static_cast<std::uint16_t>(args.size() - begin));
    return lengths.size() - 1;
  }

 private:
  template <class T> void append(const T& value) {
    args.resize(args.size() + sizeof value);
    std::memcpy(args.data() + args.size() - sizeof value, &value, sizeof value);
  }
};

// The adjoints of all scalars in row k of a sweep over the statements from `variables` + 1 on, and in a sweep of its own: by their bits.
void compare(Chunk& chunk, std::size_t variables, const std::vector<std::vector<double>>& seeds, bool clear) {
  const std::size_t n = chunk.lengths.size();
  std::vector<RowAdjoints> rows(n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < kSweepRows; ++k) rows[i].row[k] = seeds[k][i];
  char* const end = chunk.args.data() + chunk.args.size();
  BOOST_TEST(kernels::reverse_statements(chunk.lengths.data(), rows[0].row, end, n, variables + 1, clear) == chunk.args.data());
  for (std::size_t k = 0; k < kSweepRows; ++k) {
    std::vector<double> own = seeds[k];
    detail::reverse_statements(chunk.lengths.data(), own.data(), end, n, variables + 1, clear);
    for (std::size_t i = 0; i < n; ++i)
      BOOST_TEST((std::bit_cast<std::uint64_t>(rows[i].row[k]) == std::bit_cast<std::uint64_t>(own[i]) ||
                  (std::isnan(rows[i].row[k]) && std::isnan(own[i]))),
                 "scalar " << i << " in row " << k << ": " << rows[i].row[k] << ", alone " << own[i]);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(each_row_has_the_bits_of_a_sweep_of_its_own) {
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
  const auto number = [&] { return std::ldexp(static_cast<double>(random()) - 2e9, -31); };
  Chunk chunk;
  constexpr std::size_t kVariables = 5;
  for (std::size_t i = 0; i < kVariables; ++i) chunk.variable();
  for (int s = 0; s < 300; ++s) {
    const std::size_t known = chunk.lengths.size() - 1;
    std::vector<std::pair<double, std::uint32_t>> arguments(1 + below(s % 50 == 0 ? 100 : 4));
    for (auto& [partial, index] : arguments) {
      partial = number();
      index = 1 + below(known);
    }
    chunk.statement(below(3) == 0 ? 1 + below(known) : 0, arguments);
  }
  const std::size_t n = chunk.lengths.size();
  std::vector<std::vector<double>> seeds(kSweepRows, std::vector<double>(n));
  for (std::size_t k = 0; k + 1 < kSweepRows; ++k) seeds[k][n - 1 - below(40)] = number();  // one row stays without a target
  on_every_isa([&] {
    compare(chunk, kVariables, seeds, false);
    compare(chunk, kVariables, seeds, true);
  });
}

// Infinite partial derivatives, adjoints that are zero, NaN or of zero's sign: a zero adjoint propagates nothing, in its row alone.
BOOST_AUTO_TEST_CASE(a_zero_adjoint_propagates_nothing_in_its_row) {
  Chunk chunk;
  const auto x = static_cast<std::uint32_t>(chunk.variable()), y = static_cast<std::uint32_t>(chunk.variable());
  const auto a = static_cast<std::uint32_t>(chunk.statement(0, {{kInfinity, x}, {kNaN, y}}));
  const auto b = static_cast<std::uint32_t>(chunk.statement(x, {{-0.0, y}, {1e-300, a}}));
  chunk.statement(0, {{2, b}});
  std::vector<std::vector<double>> seeds(kSweepRows, std::vector<double>(chunk.lengths.size()));
  const std::vector<double> of_last = {0, 1, -0.0, kNaN, 1e-300, -kInfinity, 3, 0}, of_x = {0, 0, -0.0, 1, 2, -0.0, kNaN, -0.0};
  for (std::size_t k = 0; k < kSweepRows; ++k) {
    seeds[k].back() = of_last[k];
    seeds[k][x] = of_x[k];
  }
  on_every_isa([&] { compare(chunk, 2, seeds, false); });
}

BOOST_AUTO_TEST_CASE(clearing_leaves_the_adjoints_of_variables_alone) {
  Chunk chunk;
  const auto x = static_cast<std::uint32_t>(chunk.variable());
  const auto y = chunk.statement(0, {{3, x}});
  std::vector<RowAdjoints> rows(3);
  for (std::size_t k = 0; k < kSweepRows; ++k) rows[y].row[k] = static_cast<double>(k);
  kernels::reverse_statements(chunk.lengths.data(), rows[0].row, chunk.args.data() + chunk.args.size(), 3, 2, true);
  for (std::size_t k = 0; k < kSweepRows; ++k) {
    BOOST_TEST(rows[x].row[k] == 3 * static_cast<double>(k));
    BOOST_TEST(rows[y].row[k] == 0);
  }
}
