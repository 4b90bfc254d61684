# How the project's own targets are made: wengert_library, wengert_example, wengert_compile_options.

if(CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  set(WENGERT_SANITIZED ON)
endif()

# Options of one target, never of the directory or the user's code (all PRIVATE).
function(wengert_compile_options target)
  if(WENGERT_SANITIZED AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    set(quiet_under_sanitizers -Wno-maybe-uninitialized)
  endif()
  target_compile_features(${target} PRIVATE cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE
    -Wall -Wextra
    $<$<BOOL:${WENGERT_WERROR}>:-Werror>
    # g++ 12 finds these two in the standard library's own std::string and std::function where there is nothing to find, the second one
    # under sanitizers alone.
    $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
    ${quiet_under_sanitizers}
    # No build path in messages; in debug builds the debugger still finds the sources.
    $<IF:$<CONFIG:Debug>,-fmacro-prefix-map,-ffile-prefix-map>=${PROJECT_SOURCE_DIR}/=)
endfunction()

# wengert_library(NAME SOURCES ... HEADERS ... [INTERNAL_HEADERS ...] [LINK ...] [PRIVATE_LINK ...])
# makes wengert::NAME from the folder it is called in. HEADERS are the public ones. INTERNAL_HEADERS are installed too, because public
# headers include them, but users do not. Headers in neither list are not installed.
# Without SOURCES it is header-only.
function(wengert_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS;INTERNAL_HEADERS;LINK;PRIVATE_LINK")
  set(target wengert_${name})
  if(arg_SOURCES)
    add_library(${target} ${arg_SOURCES})
    set(scope PUBLIC)
    wengert_library_options(${target})
    wengert_precompiled_header(${target})
    target_link_libraries(${target} PRIVATE ${arg_PRIVATE_LINK})
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(wengert::${name} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(${target} ${scope} cxx_std_20)
  target_link_libraries(${target} ${scope} ${arg_LINK})
  target_include_directories(${target} ${scope} $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
  # Headers under interop/ need libraries that the program brings, so that they do not compile on their own.
  set(interop ${arg_HEADERS})
  list(FILTER interop INCLUDE REGEX "^interop/")
  list(FILTER arg_HEADERS EXCLUDE REGEX "^interop/")
  target_sources(${target} ${scope}
    FILE_SET interop TYPE HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${interop})
  target_sources(${target} ${scope}
    FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${arg_HEADERS} ${arg_INTERNAL_HEADERS})
  set_target_properties(${target} PROPERTIES INTERFACE_HEADER_SETS_TO_VERIFY HEADERS)
endfunction()

function(wengert_library_options target)
  wengert_compile_options(${target})
  set_target_properties(${target} PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${WENGERT_INTERFACE_VERSION}
    INSTALL_RPATH $ORIGIN
    DEFINE_SYMBOL ""  # static and shared objects are the same, and compiled once where ccache is used
    # A static library too may end in a plugin.
    POSITION_INDEPENDENT_CODE ON
    # The active tape of a thread is an inline thread_local variable of a public header and must exist once per process, in programs and
    # dlopen'ed plugins together. Hidden visibility would give every shared object its own; so nothing is hidden, whatever the
    # enclosing project's default is.
    CXX_VISIBILITY_PRESET default
    VISIBILITY_INLINES_HIDDEN OFF)
  target_compile_options(${target} PRIVATE
    $<$<CONFIG:Release,RelWithDebInfo>:-O3>
    # errno after sqrt, exp ...: nobody reads it, and it keeps loops from being vectorized. Values do not change.
    -fno-math-errno
    # The same for the processor's floating-point exception flags: loops with a choice in them become SIMD.
    -fno-trapping-math
    # Products and sums fuse only where the code says so: results do not depend on the compiler or on the SIMD target.
    -ffp-contract=off
    # Without it, position-independent code calls its own functions through the PLT and does not inline them.
    -fno-semantic-interposition)
endfunction()

# What goes with a precompiled header. Without the first option ccache refuses. g++ 12 forgets that what it read from such a header is the
# standard library's, and finds the others in std::string.
set(WENGERT_PRECOMPILED_OPTIONS
  "$<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>"
  "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")

# What every source of the libraries reads: the standard library and fmt are most of a small file's compile time. Sources include what they
# use all the same; CMAKE_DISABLE_PRECOMPILE_HEADERS=ON compiles without.
function(wengert_precompiled_header target)
  target_compile_options(${target} PRIVATE ${WENGERT_PRECOMPILED_OPTIONS})
  if(TARGET wengert_autodiff AND NOT target STREQUAL wengert_autodiff)
    target_precompile_headers(${target} REUSE_FROM wengert_autodiff)
  else()
    target_precompile_headers(${target} PRIVATE
      <algorithm> <cmath> <functional> <memory> <optional> <string> <utility> <vector> <fmt/format.h> <fmt/ranges.h>
      <autodiff/tape/operation.h> <autodiff/tensor/tensor.h>)
  endif()
endfunction()

# wengert_example(NAME) makes the program NAME from examples/NAME.cpp.
function(wengert_example name)
  add_executable(${name} ${name}.cpp)
  wengert_compile_options(${name})
  target_link_libraries(${name} PRIVATE wengert::wengert example_support fmt::fmt)
  target_precompile_headers(${name} REUSE_FROM example_support)
  set_property(GLOBAL APPEND PROPERTY WENGERT_EXAMPLE_PROGRAMS ${name})
endfunction()
