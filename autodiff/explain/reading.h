#pragma once
// Internal.
// What a trace's steps are in the source: the line of a statement, and the names that the line gives to values.
#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

#include "autodiff/explain/source_text.h"
#include "autodiff/explain/trace.h"

namespace wengert::detail {

/// Whether the expression computes the value: the same operations on the same number of operands.
bool matches(const Trace& trace, std::uint32_t value, const SourceExpression& expression);

/// The line of a step. `y = ...` and `y += ...` on Scalars have none, and are found by what they say: the next statement after the last
/// known place that computes the same. Unknown if there is none.
Location place_of(const Trace& trace, const TracedStep& step);

/// "model.cpp:41"; for an unknown place "after model.cpp:40", or "an unknown line".
std::string place_text(const Trace& trace, const TracedStep& step);

inline bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Names for the values that have none: the names that the source gives them where they are made and where they are used.
void read_names(Trace& trace);

}  // namespace wengert::detail
