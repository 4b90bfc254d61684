#pragma once
// A program as the source of one C++ function that needs nothing but the C++ library.
#include <string>
#include <string_view>

#include "autodiff/program/program.h"

namespace wengert {

struct CppOptions {
  bool lanes = false;  ///< over lanes: data and outputs are arrays with one number per lane; in vectors of GCC and clang
  bool sums = false;   ///< with .lanes: the outputs summed over the lanes
  bool loops = true;   ///< where the list repeats itself, the source has a loop
};

/// The source of a function in float64 with C linkage, for the first path of the program:
///
///     extern "C" long NAME(const double* p, const double* d, double* y);
///     extern "C" void NAME(long lanes, const double* p, const double* const* d, double* const* y, long* left); // .lanes
///     extern "C" void NAME(long lanes, const double* p, const double* const* d, double* y, long* left);        // .lanes, .sums
///
/// p are the parameters, d the data and y the outputs. The result, and left[i] for lane i, is -1, or the number of a guard that turns out
/// otherwise than it was recorded; the outputs are then not written, or in part. Sums are over the lanes that did not leave, -0 if none
/// stays, and not written if a guard on what is the same for all lanes fails; their rounding does not depend on the processor. Values are
/// named as in to_text, except that .lanes computes first what is the same for all lanes. Vectors are as wide as the registers of the
/// target (-march).
///
/// Where the list repeats itself, as recorded loops do, the source has a loop again, so that its length does not depend on the number of
/// rounds; constants that differ from round to round are in a table. What a gradient needs of each round is saved in an array.
///
/// Elementary functions are written out as the straight formulas of the evaluator. The results have its bits if the source is compiled with
/// -ffp-contract=off -fno-builtin, without -ffast-math, and uses the same C library, which computes lgamma.
///
/// A ValueError if the name is not one that a C function can have, or if there are .sums without .lanes.
std::string to_cpp(const Program& program, std::string_view name, const CppOptions& options = {});

}  // namespace wengert
