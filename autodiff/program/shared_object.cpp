#include "autodiff/program/shared_object.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

extern char** environ;

namespace wengert::detail {
namespace {

namespace fs = std::filesystem;

// A new folder that nobody else may read, removed at the end of its scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    std::string pattern = (fs::temp_directory_path(error) / "wengert-XXXXXX").string();
    if (error) {
      problem_ = error.message();
    } else if (!::mkdtemp(pattern.data())) {
      problem_ = fmt::format("{}: {}", pattern, std::strerror(errno));
    } else {
      path_ = pattern;
    }
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& problem() const { return problem_; }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
  std::string problem_;
};

// Runs a command, found in $PATH, without a shell; both its outputs go to a file. What is wrong, empty if its status is 0.
std::string run(const std::vector<std::string>& command, const std::string& output) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return std::strerror(error);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return std::strerror(errno);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return WIFEXITED(status) ? fmt::format("it ends with status {}", WEXITSTATUS(status))
                           : fmt::format("it ends by signal {}", WTERMSIG(status));
}

// The first lines of a file.
std::string beginning_of(const std::string& file) {
  constexpr std::size_t kMost = 1000;
  std::ifstream stream(file);
  std::string text;
  for (std::string line; text.size() < kMost && std::getline(stream, line);) text += "\n  " + line;
  return text;
}

}  // namespace

std::shared_ptr<const SharedObject> SharedObject::build(const std::string& source, const std::vector<std::string>& command,
                                                        std::string& report) {
  const TemporaryFolder folder;
  if (!folder.problem().empty()) {
    report = fmt::format("not compiled: there is no folder for temporary files: {}", folder.problem());
    return nullptr;
  }
  const std::string source_file = folder.file("program.cpp"), object = folder.file("program.so"), output = folder.file("output.txt");
  std::ofstream file(source_file);
  file << source;
  file.close();
  if (!file) {
    report = fmt::format("not compiled: {} cannot be written", source_file);
    return nullptr;
  }
  std::vector<std::string> all = command;
  for (const std::string& argument : {std::string("-shared"), std::string("-fPIC"), std::string("-o"), object, source_file})
    all.push_back(argument);
  if (const std::string problem = run(all, output); !problem.empty()) {
    report = fmt::format("not compiled: {}: {}{}", command[0], problem, beginning_of(output));
    return nullptr;
  }
  void* handle = ::dlopen(object.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    report = fmt::format("not loaded: {}", ::dlerror());
    return nullptr;
  }
  report = fmt::format("compiled by {}", fmt::join(command, " "));
  return std::shared_ptr<const SharedObject>(new SharedObject(handle));
}

SharedObject::~SharedObject() { ::dlclose(handle_); }
void* SharedObject::address_of(const char* name) const { return ::dlsym(handle_, name); }

}  // namespace wengert::detail
