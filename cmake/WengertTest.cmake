# How the programs of the tests are compiled: not optimised, because they spend their time in the library and compile in half the time;
# with LOOPS a little, for tests whose own naive loops take long. (Under sanitizers that would take five times as long to compile.)
function(wengert_test_options target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "LOOPS" "" "")
  if(WENGERT_SANITIZED)
    set(arg_LOOPS OFF)
  endif()
  wengert_compile_options(${target})
  target_compile_options(${target} PRIVATE -O$<BOOL:${arg_LOOPS}>)
endfunction()

# wengert_test_main(NAME [LOOPS]) makes a library with the main function of Boost.Test programs, and the precompiled header that they share.
function(wengert_test_main name)
  add_library(${name} STATIC support/main.cpp)
  wengert_test_options(${name} ${ARGN})
  target_compile_definitions(${name} PUBLIC BOOST_TEST_DYN_LINK)
  target_link_libraries(${name} PUBLIC wengert::wengert Boost::unit_test_framework fmt::fmt)
  target_compile_options(${name} PUBLIC ${WENGERT_PRECOMPILED_OPTIONS})
  target_precompile_headers(${name} PRIVATE <boost/test/unit_test.hpp> <autodiff/autodiff.h> <nn/nn.h> <optim/optim.h>)
endfunction()

# wengert_test(ROOM/NAME [OPTIMISED] [TIMEOUT seconds] [LABELS ...] [LIBRARIES ...])
# makes the program test_NAME from tests/ROOM/test_NAME.cpp (Boost.Test; the main function is support/main.cpp's) and registers it with
# ctest under NAME. Its report is left in test-reports/, where `./dev test` counts the test cases. OPTIMISED as users' programs are: for a
# few tests of what is compiled into those, scalars above all; they take long to compile. Under sanitizers no test is optimised.
function(wengert_test path)
  cmake_parse_arguments(PARSE_ARGV 1 arg "OPTIMISED" "TIMEOUT" "LABELS;LIBRARIES")
  cmake_path(GET path PARENT_PATH room)
  cmake_path(GET path FILENAME name)
  set(target test_${name})
  add_executable(${target} ${room}/${target}.cpp)
  if(arg_OPTIMISED AND NOT WENGERT_SANITIZED)
    wengert_compile_options(${target})
    target_link_libraries(${target} PRIVATE test_main)
  elseif(kernels IN_LIST arg_LABELS AND NOT WENGERT_SANITIZED)
    wengert_test_options(${target} LOOPS)
    target_link_libraries(${target} PRIVATE test_main_loops)
    target_precompile_headers(${target} REUSE_FROM test_main_loops)
  else()
    wengert_test_options(${target})
    target_link_libraries(${target} PRIVATE test_main)
    target_precompile_headers(${target} REUSE_FROM test_main)
  endif()
  target_link_libraries(${target} PRIVATE ${arg_LIBRARIES})
  if(kernels IN_LIST arg_LABELS)
    add_dependencies(kernel_tests ${target})
  endif()
  set(emulator ${CMAKE_CROSSCOMPILING_EMULATOR})
  add_test(NAME ${name}
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/run-boost-test ${WENGERT_TEST_REPORTS}/${name}.xml ${emulator} $<TARGET_FILE:${target}>
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  if(emulator)
    list(TRANSFORM emulator REPLACE "(.+)" "'\\1'")
    list(JOIN emulator " " emulator)
    target_compile_definitions(${target} PRIVATE WENGERT_EMULATOR="${emulator}")
  endif()
  wengert_test_properties(${name} TIMEOUT "${arg_TIMEOUT}" LABELS "${arg_LABELS}")
endfunction()

# wengert_script_test(NAME [TIMEOUT seconds] [LABELS ...] COMMAND ...)
# registers a command as one test: it passes with status 0, is skipped with 77, and fails otherwise.
function(wengert_script_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "LABELS;COMMAND")
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  wengert_test_properties(${name} TIMEOUT "${arg_TIMEOUT}" LABELS "${arg_LABELS}")
endfunction()

# Harmless to programs built without the sanitizers.
set(WENGERT_SANITIZER_OPTIONS
  ASAN_OPTIONS=detect_stack_use_after_return=1:check_initialization_order=1:strict_init_order=1:allocator_may_return_null=1
  UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
  TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1)

# What every test has: a time limit (ten times as long under an emulator), a status that means skipped, the sanitizers' options.
function(wengert_test_properties name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "LABELS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(CMAKE_CROSSCOMPILING_EMULATOR)
    math(EXPR arg_TIMEOUT "10 * ${arg_TIMEOUT}")
  endif()
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${arg_TIMEOUT}
    LABELS "${arg_LABELS}"
    SKIP_RETURN_CODE 77
    ENVIRONMENT "${WENGERT_SANITIZER_OPTIONS}")
endfunction()
