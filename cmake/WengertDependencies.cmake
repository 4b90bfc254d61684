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
