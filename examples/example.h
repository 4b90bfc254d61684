#pragma once
// What the example programs share: their command lines, how they end, and where they find the data that comes with the project.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <autodiff/error.h>

namespace example {

/// Which numbers an option takes: finite ones from `least` to `most`, `least` itself only if it is `included`.
struct Numbers {
  const char* name = "a number";
  double least = -HUGE_VAL, most = HUGE_VAL;
  bool included = true;
};
inline constexpr Numbers kAny;
inline constexpr Numbers kPositive{.name = "a number above 0", .least = 0, .included = false};
inline constexpr Numbers kNotNegative{.name = "0 or a number above it", .least = 0};

/// The command line of a program. An option's help shows the value that its variable has beforehand.
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
  /// An option without which the program does not start.
  void required(const char* name, std::string& value, const char* help);

  /// Parses the command line and runs the program; returns its exit status. What the user can mend (the command line, a data file) ends it
  /// with one line on stderr and status 2.
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

/// A file of the project's folder data/, seen from the current folder or from where the program was built.
std::string data_file(const std::string& name);

}  // namespace example
