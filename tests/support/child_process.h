#pragma once
// For tests of things that happen once in a process: they run their own program again, with one test case and another environment.
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <string>

namespace wengert::testing {

/// The command that runs a program on another processor (for the preset aarch64), or empty.
inline constexpr const char* kEmulator =
#ifdef WENGERT_EMULATOR
    WENGERT_EMULATOR;
#else
    "";
#endif

struct ChildResult {
  int status = -1;     // of exit; -1 where a signal ended it
  std::string output;  // stdout and stderr
};

/// Whether this process is such a child. Test cases meant for children do nothing otherwise.
inline bool is_child() { return std::getenv("WENGERT_TEST_CHILD") != nullptr; }

/// Runs `test_case` of this program with settings like "NAME=value", or "NAME" alone to unset a variable.
inline ChildResult run_in_child(const std::string& test_case, std::initializer_list<std::string> settings) {
  std::string unset, set;
  for (const std::string& setting : settings)
    (setting.find('=') == std::string::npos ? unset += " -u " : set += " ") += "'" + setting + "'";
  std::string command = "env" + unset + " WENGERT_TEST_CHILD=1" + set;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  command += " " + std::string(kEmulator) + " '" + program + "' --color_output=no --report_level=no --run_test=" + test_case + " 2>&1";
  ChildResult result;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return result;
  for (int c; (c = std::fgetc(pipe)) != EOF;) result.output += static_cast<char>(c);
  const int status = pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

}  // namespace wengert::testing
