#include "autodiff/program/replay.h"

namespace wengert::detail {

std::vector<Recorded> replay(Recorder& recorder, const WengertList& list, std::span<const Recorded> inputs) {
  std::vector<Recorded> values(inputs.begin(), inputs.end());
  values.reserve(list.size());
  values.insert(values.end(), list.constants.begin(), list.constants.end());
  for (const Instruction& i : list.instructions) {
    const auto operand = [&](int k) { return values[i.operands[static_cast<std::size_t>(k)]]; };
    if (i.opcode == Opcode::where) {
      values.push_back(recorder.where(Recorder::as_condition(operand(0)), operand(1), operand(2)));
      continue;
    }
    const Recorded operands[] = {operand(0), operand(1)};
    values.push_back(recorder.operation(i.opcode, operands, list.options(i).data()));
  }
  for (const Guard& guard : list.guards) recorder.repeat_guard(guard, values[guard.value]);
  return values;
}

}  // namespace wengert::detail
