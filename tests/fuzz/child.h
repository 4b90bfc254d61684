#pragma once
// Runs a program in a process of its own, so that it may crash or hang.
#include <string>

#include "choices.h"

namespace wengert::fuzz {

/// How a program ended.
struct Report {
  /// What went wrong: "signal 11 (Segmentation fault)" for a crash, SIGALRM for a hang; empty if nothing did.
  std::string what;
  /// The signal that ended it, or 0.
  int signal = 0;
  ChoiceList made;
  /// What it is in C++, if asked for; after a crash up to the statement that crashed.
  std::string lines;

  bool failed() const { return !what.empty(); }
};

struct ChildOptions {
  unsigned seconds = 20;  ///< after which it is ended
  bool print = false;     ///< whether to report the lines
};

/// The report of the program with these choices. After an end without a report, as by SIGKILL or a sanitizer, `made` is empty.
Report run_in_child(Choices choices, const ChildOptions& options = {});

}  // namespace wengert::fuzz
