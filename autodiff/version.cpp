#include "autodiff/version.h"

namespace wengert {

const char* version() { return WENGERT_VERSION_STRING; }

}  // namespace wengert
