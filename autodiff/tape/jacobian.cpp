// Jacobians of scalars: reverse sweeps for several targets at once.
#include <fmt/format.h>

#include <algorithm>

#include "autodiff/kernels/adjoints.h"
#include "autodiff/tape/sources.h"

namespace wengert {
namespace detail {
namespace {

constexpr std::size_t kRows = kernels::kSweepRows;
static_assert(sizeof(RowAdjoints) == kRows * sizeof(double));

// Whether a scalar may depend on other scalars through tensors.
bool crosses_tensors(const TapeState& t) {
  bool stacked = false;
  for (std::uint32_t k = 0; k < t.nodes.size(); ++k) {
    if (t.nodes[k].kind == TapeNode::stack) stacked = true;
    if (t.nodes[k].kind == TapeNode::element && stacked) return true;
  }
  return false;
}

// A sweep over the statements for up to kRows targets, given by their indices (kNoIndex: a constant). Sets
// out[k * n + j] = d targets[k] / d source j of n.
void sweep_rows(TapeState& t, std::span<const std::uint32_t> targets, const SourceIndices& at, std::size_t n, double* out) {
  RowAdjoints* const adjoints = t.row_adjoints.reserve(t.next());
  std::uint32_t end = 1;  // beyond the last target
  for (std::size_t k = 0; k < targets.size(); ++k) {
    if (targets[k] == kNoIndex) continue;
    adjoints[targets[k]].row[k] = 1;
    end = std::max(end, targets[k] + 1);
  }
  WalkBack<double> walk(t);
  walk.down_to(end, [](const std::uint16_t* lengths, char* args, std::size_t from, std::size_t to) {
    for (std::size_t s = from; s-- > to;) args -= lengths[s];
    return args;
  });
  const bool clear = at.variables_only();
  double* const rows = adjoints->row;
  walk.down_to(1, [=](const std::uint16_t* lengths, char* args, std::size_t from, std::size_t to) {
    return kernels::reverse_statements(lengths, rows, args, from, to, clear);
  });
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t k = 0; k < targets.size(); ++k) out[k * n + j] = adjoints[at[j]].row[k];
  t.for_each_segment([&](const Segment& s) {
    if (!s.args || !clear) std::fill(adjoints + s.first, adjoints + s.end, RowAdjoints());
  });
}

}  // namespace
}  // namespace detail

using namespace detail;

void Tape::jacobian(std::span<const Scalar> targets, std::span<const Scalar> sources, std::span<double> out, const JacobianOptions& o) {
  TapeState& t = *state_;
  const std::size_t m = targets.size(), n = sources.size();
  if (n != 0 ? out.size() / n != m || out.size() % n != 0 : !out.empty())
    throw ShapeError(fmt::format("jacobian: {} targets and {} sources, but room for {} derivatives", m, n, out.size()));
  check_thread(t, "jacobian");
  if (t.in_sweep) throw TapeError("jacobian: this tape is in the middle of a sweep, and one of its rules called jacobian()");
  t.close();
  pool::Vector<std::uint32_t> index(m);
  for (std::size_t i = 0; i < m; ++i) index[i] = find(t, Source(targets[i]));
  const std::uint32_t first = t.run_of_variables(sources);
  const auto source_at = [&](std::size_t j) { return Source(sources[j]); };
  const SourceIndices at = first ? SourceIndices(first) : SourceIndices(t, n, source_at, {.unreached = Unreached::zero});
  for (std::size_t j = 0; j < n; ++j)
    if (at[j] == kNoIndex)
      throw TapeError(fmt::format("jacobian: source {} is a constant on this tape; hint: make it with tape.variable(x)", j));

  const bool row_by_row = t.watch || crosses_tensors(t);
  const std::size_t rows_at_once = row_by_row ? 1 : kRows;
  for (std::size_t i = 0; i < m; i += rows_at_once) {
    const std::size_t rows = std::min(rows_at_once, m - i);
    if (rows == 1) {
      gradient(targets[i], sources, out.subspan(i * n, n), {.retain = true, .unreached = Unreached::zero});
    } else {
      sweep_rows(t, std::span(index).subspan(i, rows), at, n, out.data() + i * n);
    }
  }
  if (!o.retain) t.discard_records();
}

std::vector<double> Tape::jacobian(std::span<const Scalar> targets, std::span<const Scalar> sources, const JacobianOptions& options) {
  std::vector<double> out(targets.size() * sources.size());
  jacobian(targets, sources, out, options);
  return out;
}

}  // namespace wengert
