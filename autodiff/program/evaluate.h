#pragma once
// Internal.
// Evaluates a program on lanes.
#include <functional>

#include "autodiff/program/columns.h"
#include "autodiff/program/paths.h"

namespace wengert::detail {

/// What to compute. Null pointers are for what is not wanted.
template <class T> struct Request {
  std::span<const T> parameters;
  const T* const* columns = nullptr;  ///< of data
  Index lanes = 1;
  T* values = nullptr;                     ///< [output][lane]
  T* const* value_rows = nullptr;          ///< instead of values: where the lanes of each output go, which is no operand
  T* sums = nullptr;                       ///< [output], over the lanes
  const T* seeds = nullptr;                ///< [output][lane]: the adjoints of the outputs; null: 1 for each
  T* parameters_gradient = nullptr;        ///< [parameter], summed over the lanes
  T* data_gradient = nullptr;              ///< [data][lane]
  T* const* data_gradient_rows = nullptr;  ///< instead of data_gradient: where the lanes of each go, which is no operand; null: nowhere
  /// Of a program without guards: whether value_rows has rows for costly_values behind those of the outputs, or `columns` has them behind
  /// the data.
  Costly costly = Costly::computed;
  std::int32_t* paths = nullptr;  ///< [lane]
  /// Called for each lane that takes none of the paths and for which none can be recorded; without it that is a ValueError.
  const std::function<void(Index lane, int path, std::uint32_t guard)>* left = nullptr;
};
template <class T> void evaluate(PathSet& paths, const Request<T>& request);
extern template void evaluate(PathSet&, const Request<float>&);
extern template void evaluate(PathSet&, const Request<double>&);

/// The path that a lane takes, recorded if it must be.
int path_of(PathSet& paths, std::span<const double> parameters, std::span<const double> data, bool in_float32);

}  // namespace wengert::detail
