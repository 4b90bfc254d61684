// Stands in for QuantLib's file of this name, so that the test of autodiff/interop/quantlib.h needs no QuantLib.
#pragma once
#include <limits>

#ifndef QL_REAL
#define QL_REAL double
#endif
#define QL_EPSILON ((std::numeric_limits<QL_REAL>::epsilon)())
#define QL_MIN_REAL -((std::numeric_limits<QL_REAL>::max)())
#define QL_MAX_REAL ((std::numeric_limits<QL_REAL>::max)())
#define QL_MIN_POSITIVE_REAL ((std::numeric_limits<QL_REAL>::min)())
