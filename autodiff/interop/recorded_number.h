#pragma once
// Internal.
#include "autodiff/scalar/eager_scalar.h"

namespace wengert::detail {

/// A number that a tape records.
template <class T> concept RecordedNumber = IsScalar<T>::value || IsEagerScalar<T>::value;

}  // namespace wengert::detail
