#pragma once
// Internal.
// What transformations of programs are written with: a list is recorded once more, and what its derivatives compute behind it.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "autodiff/program/derivatives.h"
#include "autodiff/program/paths.h"
#include "autodiff/program/recorder.h"

namespace wengert {

struct ProgramAccess {
  static const std::shared_ptr<detail::PathSet>& paths(const Program& program) { return program.paths_; }
  static Program make(std::shared_ptr<detail::PathSet> paths) { return Program(std::move(paths)); }
};

namespace detail {

/// The inputs that a list is differentiated with respect to: numbers [begin, end) of its values.
struct InputRange {
  std::uint32_t begin, end;
  std::uint32_t size() const { return end - begin; }
};
InputRange range_of(const WengertList& list, Wrt wrt);

/// Whether the value of an instruction depends on its operand k smoothly somewhere.
inline bool has_slope(const Instruction& i, int k) { return info(i.opcode).has_slope && !(i.opcode == Opcode::where && k == 0); }

/// A recording of a transformed list: its inputs are those of the list, and behind each group new ones.
class Transformation {
 public:
  explicit Transformation(const WengertList& list, std::uint32_t new_parameters = 0, std::uint32_t new_data = 0);
  WengertList finish(const std::vector<Recorded>& outputs) const { return recorder.finish(parameters_, outputs); }

  Recorder recorder;
  std::vector<Recorded> values, new_inputs;

 private:
  std::uint32_t parameters_;
};

/// The derivatives of sum_k seeds[k] * output k by the inputs in the range.
std::vector<Recorded> reverse(Recorder& recorder, const WengertList& list, const std::vector<Recorded>& values,
                              std::span<const Recorded> seeds, InputRange wrt);
/// The tangents of the outputs for those of the inputs in the range.
std::vector<Recorded> forward(const WengertList& list, const std::vector<Recorded>& values, std::span<const Recorded> tangents,
                              InputRange wrt);
/// The list of the gradient.
WengertList gradient_of(const WengertList& list, Wrt wrt, bool with_value);

/// The program whose paths are those of `program`, transformed.
Program transformed(const Program& program, std::function<WengertList(const WengertList&)> transform);

void need_one_output(const char* name, const Program& program);
void need_inputs(const char* name, const Program& program, Wrt wrt);

}  // namespace detail
}  // namespace wengert
