#pragma once
// The version of the library, stated here and nowhere else: CMake reads it from this file.

#define WENGERT_VERSION_MAJOR 0
#define WENGERT_VERSION_MINOR 1
#define WENGERT_VERSION_PATCH 0
#define WENGERT_VERSION_STRING "0.1.0"

namespace wengert {

/// The version of the compiled library, "0.1.0". It differs from WENGERT_VERSION_STRING where a program was compiled against the headers
/// of another version than the one it is linked with.
const char* version();

}  // namespace wengert
