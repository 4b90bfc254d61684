#include "child.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>
#include <vector>

#include "program.h"

namespace wengert::fuzz {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGFPE, SIGBUS, SIGILL, SIGABRT, SIGALRM};

// ---- the child --------------------------------------------------------------------------------------------------------------------

// Begins a report; choices, marks, lines and the text follow.
struct Sizes {
  int signal;
  std::size_t choices, marks, lines, what;
};

// What the child reports, also from its signal handler.
struct Running {
  int pipe = -1;
  const Choices* choices = nullptr;
  const std::string* lines = nullptr;
} running;

void write_all(const void* data, std::size_t bytes) {
  for (const char* from = static_cast<const char*>(data); bytes > 0;) {
    const ssize_t written = write(running.pipe, from, bytes);
    if (written < 0) _exit(3);
    from += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

// (Calls nothing that a signal handler may not.)
void send_report(int signal, const char* what, std::size_t length) {
  const ChoiceList& made = running.choices->made();
  const Sizes sizes{signal, made.choices.size(), made.marks.size(), running.lines->size(), length};
  write_all(&sizes, sizeof sizes);
  write_all(made.choices.data(), made.choices.size() * sizeof made.choices[0]);
  write_all(made.marks.data(), made.marks.size() * sizeof made.marks[0]);
  write_all(running.lines->data(), running.lines->size());
  write_all(what, length);
  _exit(0);
}

extern "C" void report_signal(int signal) { send_report(signal, "", 0); }

// On a stack of its own: the program's may be full.
void handle_signals() {
  static std::vector<char> stack(1 << 16);
  const stack_t other{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
  sigaltstack(&other, nullptr);
  struct sigaction action = {};
  action.sa_handler = report_signal;
  action.sa_flags = SA_ONSTACK;
  for (const int signal : kSignals) sigaction(signal, &action, nullptr);
}

[[noreturn]] void be_the_child(int pipe, Choices& choices, const ChildOptions& options) {
  std::string lines;
  running = {pipe, &choices, &lines};
  handle_signals();
  alarm(options.seconds);
  const std::string what = run_program(choices, options.print ? &lines : nullptr);
  send_report(0, what.data(), what.size());
  _exit(0);
}

// ---- its parent -------------------------------------------------------------------------------------------------------------------

// Reads until the child has closed the pipe.
std::vector<char> read_all(int pipe) {
  std::vector<char> bytes;
  char part[1 << 14];
  for (;;) {
    const ssize_t got = read(pipe, part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return bytes;
    bytes.insert(bytes.end(), part, part + got);
  }
}

std::string name_of(int signal) { return fmt::format("signal {} ({})", signal, signal == SIGALRM ? "it hangs" : strsignal(signal)); }

// Takes values from the front of the bytes.
template <class T> void take(std::span<const char>& bytes, T* to, std::size_t count) {
  if (count == 0) return;
  std::memcpy(to, bytes.data(), count * sizeof(T));
  bytes = bytes.subspan(count * sizeof(T));
}

Report parsed(std::span<const char> bytes, int status) {
  Report report;
  Sizes sizes{};
  if (bytes.size() < sizeof sizes) {
    report.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    report.what = report.signal ? name_of(report.signal) : fmt::format("exit with status {}", WEXITSTATUS(status));
    return report;
  }
  take(bytes, &sizes, 1);
  report.signal = sizes.signal;
  report.made.choices.resize(sizes.choices);
  report.made.marks.resize(sizes.marks);
  report.lines.resize(sizes.lines);
  report.what.resize(sizes.what);
  take(bytes, report.made.choices.data(), sizes.choices);
  take(bytes, report.made.marks.data(), sizes.marks);
  take(bytes, report.lines.data(), sizes.lines);
  take(bytes, report.what.data(), sizes.what);
  if (report.signal) report.what = name_of(report.signal);
  return report;
}

}  // namespace

Report run_in_child(Choices choices, const ChildOptions& options) {
  int ends[2];
  if (pipe(ends) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) {
    close(ends[0]);
    be_the_child(ends[1], choices, options);
  }
  close(ends[1]);
  const std::vector<char> bytes = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return parsed(bytes, status);
}

}  // namespace wengert::fuzz
