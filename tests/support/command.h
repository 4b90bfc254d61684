#pragma once
// Runs a program as a user would, and returns its output.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "temporary_folder.h"

namespace wengert::testing {

struct CommandResult {
  int status = -1;  // of exit; -1 where a signal ended it
  std::string out, err;

  std::size_t error_lines() const { return static_cast<std::size_t>(std::count(err.begin(), err.end(), '\n')); }
  /// The lines of the standard output that begin with a text.
  std::vector<std::string> lines(std::string_view beginning) const {
    std::vector<std::string> found;
    for (std::size_t at = 0, end; at < out.size(); at = end + 1) {
      end = std::min(out.find('\n', at), out.size());
      if (out.compare(at, beginning.size(), beginning) == 0) found.push_back(out.substr(at, end - at));
    }
    return found;
  }
};

/// Runs a command. The words are passed unchanged; they must not contain single quotes.
inline CommandResult run_command(const std::vector<std::string>& words) {
  const TemporaryFolder streams;
  std::string command;
  for (const std::string& word : words) command += "'" + word + "' ";
  command += "</dev/null >'" + streams.path("out") + "' 2>'" + streams.path("err") + "'";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, streams.read("out"), streams.read("err")};
}

}  // namespace wengert::testing
