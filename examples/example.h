#pragma once
// What the example programs share: how they end, and where they find the data that comes with the project.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>

#include <autodiff/error.h>

namespace example {

inline constexpr int kBadInput = 2;

/// Parses the command line and runs the program. What the user can mend (the command line, a data file) ends it with one line on stderr
/// and status 2.
template <class Program> int run(CLI::App& app, int argc, char** argv, Program&& program) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "{}: {}; see {} --help\n", app.get_name(), error.what(), app.get_name());
    return kBadInput;
  }
  try {
    program();
    return 0;
  } catch (const wengert::Error& error) {
    fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "{}: out of memory\n", app.get_name());
  }
  return kBadInput;
}

/// A file of the project's folder data/, seen from the current folder or from where the program was built.
inline std::string data_file(const std::string& name) {
  namespace fs = std::filesystem;
  const fs::path here = fs::path("data") / name;
  if (fs::exists(here)) return here.string();
  std::error_code error;
  for (fs::path folder = fs::read_symlink("/proc/self/exe", error); folder.has_relative_path(); folder = folder.parent_path())
    if (fs::exists(folder.parent_path() / here)) return (folder.parent_path() / here).string();
  return here.string();
}

}  // namespace example
