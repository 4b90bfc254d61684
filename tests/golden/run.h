#pragma once
// Running a case in several ways.
#include <optional>
#include <string>
#include <vector>

#include "case.h"
#include "compare.h"

namespace wengert::golden {

/// float64 as the data is; float32; float64 with every tensor a strided view whose gaps hold poison.
enum class Way { float64, float32, noncontiguous };
const char* to_string(Way way);

/// Runs a case and compares all that it expects. An exception of the library is a failed verdict; Missing passes through.
Verdict run(const Case& c, Way way);

/// The same values as a view that is not row-major (with gaps and, for rank 2 and more, transposed). The gaps hold values that spoil every
/// result that reads them.
Tensor strided_view(const Tensor& x);

}  // namespace wengert::golden
