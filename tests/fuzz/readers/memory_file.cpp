#include "memory_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr const char* kPath = "/in-memory/input";
constexpr int kFirstDescriptor = 1 << 30;  // the kernel gives none of these
constexpr std::size_t kMostOpen = 8;

struct OpenFile {
  bool open = false;
  std::size_t at = 0;  // where read() goes on
};

// What exists, as in a kernel there is one.
bool exists = false, opened = false;
std::span<const std::uint8_t> contents;
std::array<OpenFile, kMostOpen> descriptors;
int mappings = 0;

OpenFile* open_file(int descriptor) {
  if (descriptor < kFirstDescriptor || descriptor >= kFirstDescriptor + static_cast<int>(kMostOpen)) return nullptr;
  OpenFile& file = descriptors[static_cast<std::size_t>(descriptor - kFirstDescriptor)];
  return file.open ? &file : nullptr;
}

std::size_t copy_from(std::size_t at, void* to, std::size_t bytes) {
  const std::size_t got = at < contents.size() ? std::min(bytes, contents.size() - at) : 0;
  if (got > 0) std::memcpy(to, contents.data() + at, got);
  return got;
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "fuzz_readers: Fault: %s\n", what);
  std::abort();
}

}  // namespace

// The linker gives these for the functions that are named behind __wrap_ (its option --wrap).
extern "C" {
int __real_open(const char* path, int flags, ...);
int __real_fstat(int descriptor, struct stat* status);
ssize_t __real_read(int descriptor, void* to, std::size_t bytes);
ssize_t __real_pread(int descriptor, void* to, std::size_t bytes, off_t at);
void* __real_mmap(void* address, std::size_t bytes, int protection, int flags, int descriptor, off_t at);
int __real_munmap(void* address, std::size_t bytes);
int __real_close(int descriptor);

int __wrap_open(const char* path, int flags, ...) {
  if (!exists || std::strcmp(path, kPath) != 0) {
    va_list mode;
    va_start(mode, flags);
    const int descriptor = __real_open(path, flags, flags & O_CREAT ? va_arg(mode, int) : 0);
    va_end(mode);
    return descriptor;
  }
  const auto free = std::find_if(descriptors.begin(), descriptors.end(), [](const OpenFile& file) { return !file.open; });
  if (free == descriptors.end()) fail("too many descriptors are open");
  *free = {.open = true};
  opened = true;
  return kFirstDescriptor + static_cast<int>(free - descriptors.begin());
}

int __wrap_fstat(int descriptor, struct stat* status) {
  if (!open_file(descriptor)) return __real_fstat(descriptor, status);
  *status = {};
  status->st_mode = S_IFREG | S_IRUSR;
  status->st_size = static_cast<off_t>(contents.size());
  return 0;
}

ssize_t __wrap_read(int descriptor, void* to, std::size_t bytes) {
  OpenFile* const file = open_file(descriptor);
  if (!file) return __real_read(descriptor, to, bytes);
  const std::size_t got = copy_from(file->at, to, bytes);
  file->at += got;
  return static_cast<ssize_t>(got);
}

ssize_t __wrap_pread(int descriptor, void* to, std::size_t bytes, off_t at) {
  if (!open_file(descriptor)) return __real_pread(descriptor, to, bytes, at);
  return static_cast<ssize_t>(copy_from(static_cast<std::size_t>(at), to, bytes));
}

void* __wrap_mmap(void* address, std::size_t bytes, int protection, int flags, int descriptor, off_t at) {
  if (!open_file(descriptor)) return __real_mmap(address, bytes, protection, flags, descriptor, at);
  if (protection != PROT_READ || at != 0 || bytes != contents.size()) fail("a mapping that is not the whole file for reading");
  ++mappings;
  return const_cast<std::uint8_t*>(contents.data());
}

int __wrap_munmap(void* address, std::size_t bytes) {
  if (!exists || address != contents.data()) return __real_munmap(address, bytes);
  if (bytes != contents.size() || --mappings < 0) fail("munmap of what is not mapped");
  return 0;
}

int __wrap_close(int descriptor) {
  OpenFile* const file = open_file(descriptor);
  if (!file) return __real_close(descriptor);
  file->open = false;
  return 0;
}
}

namespace wengert::fuzz {

MemoryFile::MemoryFile(std::span<const std::uint8_t> bytes) {
  if (exists) fail("there is one file in memory already");
  exists = true;
  opened = false;
  contents = bytes;
}

MemoryFile::~MemoryFile() {
  if (!opened) fail("nobody opened the file; the calls of a shared library are not seen here");
  if (mappings != 0) fail("a mapping is left");
  if (std::any_of(descriptors.begin(), descriptors.end(), [](const OpenFile& file) { return file.open; }))
    fail("a descriptor is left open");
  exists = false;
}

const char* MemoryFile::path() const { return kPath; }

}  // namespace wengert::fuzz
