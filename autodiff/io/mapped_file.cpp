#include "autodiff/io/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "autodiff/error.h"

namespace wengert {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) { throw DataError(fmt::format("{}: {}", path, what)); }
[[noreturn]] void fail(const std::string& path, int error) {
  fail(path, error == ENOENT ? "there is no such file" : std::generic_category().message(error));
}

// An open regular file, closed at the end of the scope.
class Descriptor {
 public:
  explicit Descriptor(const std::string& path) {
    do {
      descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // opening a pipe must not block until it has a writer
    } while (descriptor_ < 0 && errno == EINTR);
    if (descriptor_ < 0) fail(path, errno);
    try {
      struct stat status;
      if (::fstat(descriptor_, &status) != 0) fail(path, errno);
      if (!S_ISREG(status.st_mode)) fail(path, "is not a file");
      size_ = static_cast<std::uint64_t>(status.st_size);
    } catch (...) {
      ::close(descriptor_);
      throw;
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }
  // It stays open.
  int release() { return std::exchange(descriptor_, -1); }
  std::uint64_t size() const { return size_; }

 private:
  int descriptor_;
  std::uint64_t size_ = 0;
};

}  // namespace

MappedFile::MappedFile(std::string path) : path_(std::move(path)) {
  const Descriptor file(path_);  // a mapping outlives its descriptor
  const auto size = static_cast<std::size_t>(file.size());
  if (size == 0) return;  // nothing cannot be mapped
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) fail(path_, errno);
  bytes_ = {static_cast<const std::byte*>(mapped), size};
}

MappedFile::MappedFile(MappedFile&& o) noexcept : path_(std::move(o.path_)), bytes_(std::exchange(o.bytes_, {})) {}

MappedFile& MappedFile::operator=(MappedFile&& o) noexcept {
  std::swap(path_, o.path_);
  std::swap(bytes_, o.bytes_);
  return *this;
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  Descriptor file(path_);
  size_ = file.size();
  descriptor_ = file.release();
}

InputFile::~InputFile() { ::close(descriptor_); }

void InputFile::read(std::uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t got = ::pread(descriptor_, to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path_, errno);
    if (got == 0) fail(path_, fmt::format("ends at byte {}: it has become shorter while it was read", offset));
    offset += static_cast<std::uint64_t>(got);
    to = to.subspan(static_cast<std::size_t>(got));
  }
}

std::vector<std::byte> InputFile::read_all() const {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_));
  read(0, bytes);
  return bytes;
}

}  // namespace wengert
