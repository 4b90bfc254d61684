# What the library links. All of it is private: no public header includes any of these.
# A project that brings one of them itself (FetchContent) keeps its own.
# Global, because a program of the enclosing project links them through the static library.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)

foreach(dependency fmt::fmt nlohmann_json::nlohmann_json PNG::PNG Threads::Threads ZLIB::ZLIB)
  string(REGEX REPLACE "::.*" "" package ${dependency})
  if(NOT TARGET ${dependency})
    find_package(${package} REQUIRED)
  endif()
endforeach()

# Random123 is headers without a package file.
if(NOT TARGET Random123::Random123)
  find_path(RANDOM123_INCLUDE_DIR Random123/philox.h REQUIRED)
  mark_as_advanced(RANDOM123_INCLUDE_DIR)
  add_library(Random123::Random123 INTERFACE IMPORTED GLOBAL)
  target_include_directories(Random123::Random123 SYSTEM INTERFACE ${RANDOM123_INCLUDE_DIR})
endif()

# Of Highway the headers alone (autodiff/kernels/simd.h says why).
if(NOT TARGET hwy::hwy_headers)
  find_path(HIGHWAY_INCLUDE_DIR hwy/highway.h REQUIRED)
  mark_as_advanced(HIGHWAY_INCLUDE_DIR)
  add_library(hwy::hwy_headers INTERFACE IMPORTED GLOBAL)
  target_include_directories(hwy::hwy_headers SYSTEM INTERFACE ${HIGHWAY_INCLUDE_DIR})
endif()

# MPI, for wengert::distributed alone. Its C interface, although CMake's component is called CXX.
if(WENGERT_MPI STREQUAL AUTO AND (CMAKE_CROSSCOMPILING OR NOT PROJECT_IS_TOP_LEVEL))
  set(WENGERT_MPI OFF)
endif()
if(WENGERT_MPI)
  set(MPI_CXX_SKIP_MPICXX ON)
  find_package(MPI 3.0 QUIET COMPONENTS CXX)
  if(NOT MPI_CXX_FOUND AND NOT WENGERT_MPI STREQUAL AUTO)
    message(FATAL_ERROR "WENGERT_MPI is ON, but no MPI of version 3.0 or newer was found. Install one (Debian: libopenmpi-dev "
      "openmpi-bin), name its compiler with -DMPI_CXX_COMPILER=PATH, or leave it out with -DWENGERT_MPI=OFF.")
  endif()
endif()
