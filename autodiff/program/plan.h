#pragma once
// Internal.
// How a list is run over a block of lanes: which values are the same for all lanes (computed once a call), where the others lie, and the
// steps of the reverse sweep. Rows are used again as soon as nothing needs what is in them.
#include <vector>

#include "autodiff/program/list.h"

namespace wengert::detail {

/// Where a value lies.
class Place {
 public:
  enum Kind : std::uint32_t { row, column, uniform };  ///< a row of the block's memory, a column of the data, or one number for all lanes
  Place() = default;
  Place(Kind kind, std::uint32_t index) : bits_(kind << 30 | index) {}
  Kind kind() const { return static_cast<Kind>(bits_ >> 30); }
  std::uint32_t index() const { return bits_ & ((1u << 30) - 1); }

 private:
  std::uint32_t bits_ = 0;
};

struct ForwardStep {
  Opcode opcode;
  std::uint8_t mode;      // of block_kernels.h
  std::int8_t pair;       // if it is two operations (block_kernels.h), of which `opcode` is the second; -1: it is one
  std::uint32_t y;        // a row, or a uniform number
  std::uint32_t options;  // where they begin in Plan::options
  Place operands[3];
};
/// to += rule of one operand at m.
struct ReverseStep {
  Opcode opcode;
  std::uint8_t operand, mode;
  bool first;           // nothing is in `to` yet
  bool sums;            // `to` is of the boundary
  std::uint32_t to, m;  // rows of adjoints, positions in the boundary, or uniform numbers
  std::uint32_t options;
  Place operands[3], y;
};
/// A guard, checked before step number `before`.
struct GuardStep {
  std::uint32_t before, guard;
  Place value;
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

  // Of all lanes together. The numbers: parameters, constants, instructions.
  std::uint32_t uniforms = 0;
  std::vector<double> constants;
  std::vector<ForwardStep> uniform_steps;
  std::vector<GuardStep> uniform_guards;
  std::vector<ReverseStep> uniform_reverse;

  // Of each block.
  std::uint32_t columns = 0;  // of data, and of given values
  std::uint32_t rows = 0;
  std::vector<ForwardStep> steps;
  std::vector<GuardStep> guards;
  std::vector<Place> outputs;         // empty if they are not wanted
  std::vector<char> output_is_first;  // of those in its row; false for what lies in no row

  static constexpr std::uint32_t kNoRow = ~std::uint32_t{0};
  std::uint32_t adjoint_rows = 0;
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
