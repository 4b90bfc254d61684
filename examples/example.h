#pragma once
// What the example programs share: how they end, and where they find the data that comes with the project.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>

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
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category(), "the standard output");
    return 0;
  } catch (const wengert::Error& error) {
    fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "{}: out of memory\n", app.get_name());
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
  }
  return kBadInput;
}

/// For option.check(): a finite number that is at least `least`, or above it.
inline CLI::Validator finite_number(const char* what, double least, bool above) {
  return CLI::Validator(
      [=](const std::string& text) {
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool good = error == std::errc() && end == text.data() + text.size() && std::isfinite(value) && value >= least;
        return good && !(above && value == least) ? std::string() : fmt::format("\"{}\" is not {}", text, what);
      },
      "");
}
inline const CLI::Validator positive = finite_number("a number above 0", 0, true);
inline const CLI::Validator not_negative = finite_number("0 or a number above it", 0, false);

/// Says before a long training that its output could not be written: an Error if the file's folder does not exist.
inline void check_folder_of(const std::string& file) {
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    throw wengert::DataError(fmt::format("{}: there is no folder {}", file, folder.string()));
}

/// A file of the project's folder data/, seen from the current folder or from where the program was built.
inline std::string data_file(const std::string& name) {
  namespace fs = std::filesystem;
  const fs::path here = fs::path("data") / name;
  std::error_code error;
  if (fs::exists(here, error)) return here.string();
  for (fs::path folder = fs::read_symlink("/proc/self/exe", error); folder.has_relative_path(); folder = folder.parent_path())
    if (fs::exists(folder.parent_path() / here, error)) return (folder.parent_path() / here).string();
  return here.string();
}

}  // namespace example
