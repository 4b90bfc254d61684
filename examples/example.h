#pragma once
// Shared by the example programs: command lines, error handling, and the data that comes with the project.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <autodiff/error.h>

namespace example {

/// The numbers that an option accepts: finite ones from `min` to `max`, `min` itself only if `included`.
struct Numbers {
  const char* name = "a number";
  double min = -HUGE_VAL, max = HUGE_VAL;
  bool included = true;
};
inline constexpr Numbers kAny;
inline constexpr Numbers kPositive{.name = "a number above 0", .min = 0, .included = false};
inline constexpr Numbers kNotNegative{.name = "a number of at least 0", .min = 0};

/// Where a training is saved, so that it can go on after it was ended.
struct Saving {
  std::string checkpoint = {};  ///< empty: it is not saved
  bool resume = false;
};

/// What a command line asks for.
struct Request {
  enum class Kind : std::uint8_t { run, help, refused };
  Kind kind = Kind::run;
  std::string text = {};  ///< the help, or what is wrong
};

/// The command line of a program. The help of an option shows the initial value of its variable.
class CommandLine {
 public:
  CommandLine(std::string program, std::string description);
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;
  ~CommandLine();

  void option(const char* name, std::string& value, const char* help);
  void option(const char* name, std::string& value, const char* help, const std::vector<std::string>& choices);
  void option(const char* name, double& value, const char* help, Numbers allowed = kAny);
  void option(const char* name, int& value, const char* help, Numbers allowed = kAny);
  void option(const char* name, std::uint64_t& value, const char* help);
  void flag(const char* name, bool& value, const char* help);
  /// --checkpoint FILE and --resume.
  void saving(Saving& saving);
  /// A required option.
  void required(const char* name, std::string& value, const char* help);

  /// Parses the command line, and sets the variables of its options. If it is refused, these may have any values.
  Request parse(int argc, const char* const* argv);
  /// Parses the command line and runs the program; returns its exit status. Errors that the user can fix (in the command line or a data
  /// file) are printed as one line on stderr, with status 2.
  int run(int argc, char** argv, const std::function<void()>& program);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

/// Makes a folder for output, and those above it. A DataError if that fails.
void make_folder(const std::string& path);
/// Before a long training: makes the folder of a file that will be written. A DataError if that fails, or if the file's name does not end
/// in `ending`.
void make_folder_of(const std::string& file, const std::string& ending);

/// The path of a file in the project's folder data/, relative to the current folder or to where the program was built.
std::string data_file(const std::string& name);

}  // namespace example
