#pragma once
// The same scalar programs, compiled at the levels of optimisation 0 to 3.

namespace wengert::testing {

struct ValueAndSlope {
  double value, slope;
};

/// any_program: as users write them. ordered_program: one in which the order of all terms is written down.
#define WENGERT_PROGRAMS(level)            \
  namespace level {                        \
  ValueAndSlope any_program(double x);     \
  ValueAndSlope ordered_program(double x); \
  }
WENGERT_PROGRAMS(level_0)
WENGERT_PROGRAMS(level_1)
WENGERT_PROGRAMS(level_2)
WENGERT_PROGRAMS(level_3)
#undef WENGERT_PROGRAMS

}  // namespace wengert::testing
