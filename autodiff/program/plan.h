#pragma once
// Internal.
// How a list is run over a block of lanes: which values are the same for all lanes (computed once a call), where the others lie, and the
// steps of the reverse sweep. Rows are used again as soon as nothing needs what is in them.
#include <vector>

#include "autodiff/program/list.h"

namespace wengert::detail {

/// Where a value or an adjoint lies: a position in a table of all numbers that are the same for all lanes (parameters, constants and
/// instructions, in this order), columns, rows of values and rows of adjoints.
using Position = std::uint32_t;

struct ForwardStep {
  Opcode opcode;
  std::uint8_t mode;  // of block_kernels.h
  std::int8_t pair;   // if it is two operations (block_kernels.h), of which `opcode` is the second; -1: it is one
  Position y;
  std::uint32_t options;  // where they begin in Plan::options
  Position operands[3];
};
/// to += rule of one operand at m. Of a number that is the same for all lanes, `to` and `m` are positions in an array of their adjoints.
struct ReverseStep {
  Opcode opcode;
  std::uint8_t operand, mode;
  bool first;   // nothing is in `to` yet
  bool sums;    // `to` is of the boundary
  Position to;  // with `sums`, an index into Plan::boundary
  Position m;
  std::uint32_t options;
  Position operands[3], y;
};
/// A guard, checked before step number `before`.
struct GuardStep {
  std::uint32_t before, guard;
  Position value;
};

/// What becomes of the values that cost much and that a reverse sweep reads (costly_values).
enum class Costly : std::uint8_t {
  computed,
  written,  ///< computed, and results behind the outputs
  given     ///< columns behind the data
};

/// What is wanted of a run: the values of the outputs, and by what a reverse sweep differentiates.
struct Wanted {
  bool parameters = false, data = false;
  bool outputs = true;
  Costly costly = Costly::computed;
  bool any_derivative() const { return parameters || data; }
};

/// The values that cost more to compute than to keep in memory, and that a reverse sweep by all inputs reads.
std::vector<std::uint32_t> costly_values(const WengertList& list);

struct Plan {
  Plan(const WengertList& list, Wanted wanted);

  std::vector<double> options;

  std::uint32_t uniforms = 0, columns = 0, rows = 0, adjoint_rows = 0;  // how many positions of each kind
  Position row(std::uint32_t number) const { return uniforms + columns + number; }
  Position adjoints(std::uint32_t number) const { return uniforms + columns + rows + number; }
  Position end() const { return adjoints(adjoint_rows); }
  bool is_uniform(Position position) const { return position < uniforms; }
  bool is_row(Position position) const { return position >= row(0) && position < adjoints(0); }

  // Of all lanes together.
  std::vector<double> constants;
  std::vector<ForwardStep> uniform_steps;
  std::vector<GuardStep> uniform_guards;
  std::vector<ReverseStep> uniform_reverse;

  // Of each block. The columns are of the data, and of given values.
  std::vector<ForwardStep> steps;
  std::vector<GuardStep> guards;
  std::vector<Position> outputs;      // empty if they are not wanted
  std::vector<char> output_is_first;  // of those in its row; false for what lies in no row

  static constexpr std::uint32_t kNoRow = ~std::uint32_t{0};
  std::vector<std::uint32_t> boundary;     // the uniform numbers that lanes read: their adjoints are sums over lanes
  std::vector<std::uint32_t> output_rows;  // of the adjoint of each output, or its position in the boundary; kNoRow where it is not wanted
  std::vector<char> output_is_shared;      // by all lanes: its adjoint is in the boundary
  std::vector<char> seed_is_first;         // in its row of adjoints
  std::vector<char> seed_is_only_read;     // and nothing else is ever in this row, so that it may lie where the seeds are
  std::vector<std::uint32_t> data_rows;    // of the adjoint of each data column; kNoRow where it is 0
  std::vector<char> data_is_first;         // of those in its row
  std::vector<ReverseStep> reverse;
};

}  // namespace wengert::detail
