#include "autodiff/io/atomic_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <system_error>
#include <utility>

#include "autodiff/error.h"

namespace wengert {
namespace {

std::string folder_of(const std::string& path) {
  return path.substr(0, path.find_last_of('/') + 1);  // npos + 1 is 0: a bare name has an empty folder
}

// The path with symbolic links followed, also where the last one leads to a file that there is not yet.
std::string resolve(std::string path) {
  constexpr int most = 40;  // as the system has it
  for (int i = 0; i < most; ++i) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
    if (real) return real.get();
    char link[PATH_MAX];
    const ssize_t length = ::readlink(path.c_str(), link, sizeof link);
    if (length <= 0 || length == sizeof link) return path;
    const std::string to(link, static_cast<std::size_t>(length));
    path = to.front() == '/' ? to : folder_of(path).append(to);
  }
  return path;
}

constexpr std::string_view kTemporaryBegin = ".wengert-", kTemporaryEnd = ".tmp";

// A name of its own for every file of every process; short, so that it fits where the target's name does.
std::string temporary_name(const std::string& target) {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}{}{}-{}{}", folder_of(target), kTemporaryBegin, ::getpid(), count++, kTemporaryEnd);
}

int open_retrying(const std::string& path, int flags) {
  int descriptor;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0666);  // NOLINT: the umask applies
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

// Makes the rename survive a power failure. Some file systems do not support this; the file is complete in any case.
void synchronize_folder(int descriptor) {
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), target_(resolve(path_)) {
  struct stat status;
  const bool exists = ::stat(target_.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    descriptor_ = open_retrying(target_, O_WRONLY);
    if (descriptor_ < 0) fail(errno);
    return;
  }
  const std::string folder = folder_of(target_);
  if (::access("/proc/self/fd", X_OK) == 0)                                            // from there it gets its name
    descriptor_ = open_retrying(folder.empty() ? "." : folder, O_WRONLY | O_TMPFILE);  // nameless: gone if the process is killed
  nameless_ = descriptor_ >= 0;
  if (!nameless_) open_temporary();  // not every file system can do that
  if (exists) ::fchmod(descriptor_, status.st_mode & 07777);
}

// A file with a temporary name is locked as long as it has that name, so that others see whether its writer lives. False if it was taken
// for stale and removed before it was locked. (A file system without locks loses nothing: there no file is ever found to be stale.)
bool AtomicFile::lock() const {
  while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat status;
  return ::fstat(descriptor_, &status) != 0 || nameless_ || status.st_nlink > 0;
}

void AtomicFile::open_temporary() {
  while (true) {
    std::string temporary = temporary_name(target_);
    descriptor_ = open_retrying(temporary, O_WRONLY | O_CREAT | O_EXCL);
    if (descriptor_ < 0 && errno != EEXIST) fail(errno);
    if (descriptor_ < 0) continue;  // left over by a killed process that had the same id
    if (lock()) {
      temporary_ = std::move(temporary);
      return;
    }
    close();
  }
}

// Gives a nameless file a temporary name: a link cannot replace a file, a rename can.
void AtomicFile::name_temporary() {
  lock();
  const std::string self = fmt::format("/proc/self/fd/{}", descriptor_);
  std::string temporary;
  int failed;
  do {
    temporary = temporary_name(target_);
    failed = ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary.c_str(), AT_SYMLINK_FOLLOW);
  } while (failed && errno == EEXIST);
  if (failed) fail(errno);
  temporary_ = std::move(temporary);
}

AtomicFile::~AtomicFile() {
  close();
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      fail(errno);
    }
  }
}

void AtomicFile::commit() {
  const bool replaces = nameless_ || !temporary_.empty();
  if (replaces && ::fsync(descriptor_) != 0) fail(errno);
  if (nameless_) name_temporary();
  if (replaces) {
    // Opened first: after the rename nothing may fail.
    const std::string folder = folder_of(target_);
    const int folder_descriptor = open_retrying(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
    if (std::rename(temporary_.c_str(), target_.c_str()) != 0) {
      const int error = errno;
      if (folder_descriptor >= 0) ::close(folder_descriptor);
      fail(error);
    }
    temporary_.clear();
    synchronize_folder(folder_descriptor);
  }
  // Last, because it unlocks the file. What was replaced has been written already.
  if (::close(std::exchange(descriptor_, -1)) != 0 && !replaces) fail(errno);
}

void AtomicFile::fail(int error) const {
  throw DataError(fmt::format("{}: cannot be written: {}", path_, std::generic_category().message(error)));
}

void AtomicFile::close() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void write_file_atomically(const std::string& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

std::size_t remove_stale_temporaries(const std::string& path) {
  const std::string folder = folder_of(resolve(path));
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.empty() ? "." : folder.c_str()), ::closedir);
  if (!entries) return 0;
  std::size_t removed = 0;
  while (const dirent* entry = ::readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): nobody else has this stream
    const std::string_view name = entry->d_name;
    if (!name.starts_with(kTemporaryBegin) || !name.ends_with(kTemporaryEnd)) continue;
    const std::string file = folder + entry->d_name;
    const int descriptor = open_retrying(file, O_RDONLY | O_NOFOLLOW);
    if (descriptor < 0) continue;
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && ::unlink(file.c_str()) == 0) ++removed;
    ::close(descriptor);
  }
  return removed;
}

}  // namespace wengert
