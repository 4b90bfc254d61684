#pragma once
// The version of the library, stated here and nowhere else: CMake reads it from this file.

/// Raised by incompatible changes. While it is 0, any minor version may be one.
#define WENGERT_VERSION_MAJOR 0
/// Raised by new features.
#define WENGERT_VERSION_MINOR 1
/// Raised by corrections.
#define WENGERT_VERSION_PATCH 0
/// All three, "major.minor.patch".
#define WENGERT_VERSION_STRING "0.1.0"

namespace wengert {

/// The version of the compiled library, "0.1.0". It differs from WENGERT_VERSION_STRING where a program was compiled against the headers
/// of another version than the one it is linked with.
const char* version();

}  // namespace wengert
