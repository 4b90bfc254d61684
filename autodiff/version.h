#pragma once
// The version of the library. This is the only place that defines it; CMake reads it from this file.

/// Incremented by incompatible changes. While it is 0, minor versions may be incompatible, too.
#define WENGERT_VERSION_MAJOR 0
/// Incremented by new features.
#define WENGERT_VERSION_MINOR 1
/// Incremented by corrections.
#define WENGERT_VERSION_PATCH 0
/// All three, "major.minor.patch".
#define WENGERT_VERSION_STRING "0.1.0"

namespace wengert {

/// The version of the compiled library, "0.1.0". It differs from WENGERT_VERSION_STRING if a program was compiled with the headers of a
/// different version than the one it is linked with.
const char* version();

}  // namespace wengert
