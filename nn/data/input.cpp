#include "nn/data/input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <limits>
#include <system_error>
#include <utility>

#include "autodiff/error.h"

namespace wengert::nn {
namespace {

constexpr std::size_t kBufferBytes = 1 << 16;  // of a compressed file, inflated at once
constexpr std::size_t kFirstRead = 1 << 16;    // bytes allocated for a text whose length is not known
constexpr unsigned char kGzipMagic[] = {0x1f, 0x8b};
constexpr std::size_t kMagicBytes = sizeof kGzipMagic;

}  // namespace

Input::Input(std::string path) : path_(std::move(path)), buffer_(kMagicBytes) {
  do {
    descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  } while (descriptor_ < 0 && errno == EINTR);
  if (descriptor_ < 0) fail(std::generic_category().message(errno));
  try {
    struct stat status;
    if (::fstat(descriptor_, &status) != 0) fail(std::generic_category().message(errno));
    if (S_ISDIR(status.st_mode)) fail("is a directory, not a file");
    stream_.next_in = buffer_.data();
    stream_.avail_in = static_cast<uInt>(read_file(buffer_.data(), kMagicBytes));
    inflating_ = stream_.avail_in == kMagicBytes && std::equal(std::begin(kGzipMagic), std::end(kGzipMagic), buffer_.begin());
    if (!inflating_ && S_ISREG(status.st_mode)) size_ = static_cast<std::uint64_t>(status.st_size);
    if (inflating_) {
      buffer_.resize(kBufferBytes);
      stream_.next_in = buffer_.data();
      if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();  // 16: a gzip header, nothing else
    }
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

Input::~Input() {
  if (inflating_) inflateEnd(&stream_);
  ::close(descriptor_);
}

std::size_t Input::read(unsigned char* to, std::size_t bytes) { return inflating_ ? read_inflated(to, bytes) : read_plain(to, bytes); }

void refuse_file(const std::string& path, const std::string& what) { throw DataError(fmt::format("{}: {}", path, what)); }

void Input::fail(const std::string& what) const { refuse_file(path_, what); }

std::size_t Input::read_file(unsigned char* to, std::size_t bytes) {
  std::size_t have = 0;
  while (have < bytes) {
    const ssize_t got = ::read(descriptor_, to + have, bytes - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(fmt::format("cannot be read at byte {}: {}", offset_, std::generic_category().message(errno)));
    if (got == 0) break;
    have += static_cast<std::size_t>(got);
    offset_ += static_cast<std::uint64_t>(got);
  }
  return have;
}

std::size_t Input::read_plain(unsigned char* to, std::size_t bytes) {
  const std::size_t ahead = std::min<std::size_t>(bytes, stream_.avail_in);
  if (ahead > 0) std::memcpy(to, stream_.next_in, ahead);
  stream_.next_in += ahead;
  stream_.avail_in -= static_cast<uInt>(ahead);
  return ahead + read_file(to + ahead, bytes - ahead);
}

std::size_t Input::read_inflated(unsigned char* to, std::size_t bytes) {
  std::size_t have = 0;
  while (have < bytes && !ended_) {
    if (stream_.avail_in == 0 && !refill()) {
      fail(fmt::format("ends in the middle of its gzip data, after {} bytes: the file is truncated", offset_));
    }
    const std::size_t wanted = std::min<std::size_t>(bytes - have, std::numeric_limits<uInt>::max());
    stream_.next_out = to + have;
    stream_.avail_out = static_cast<uInt>(wanted);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    have += wanted - stream_.avail_out;
    if (status == Z_STREAM_END) {
      ended_ = !next_member();
    } else if (status == Z_MEM_ERROR) {
      throw std::bad_alloc();
    } else if (status != Z_OK && status != Z_BUF_ERROR) {
      fail(fmt::format("damaged gzip data near byte {}: {}", offset_ - stream_.avail_in,
                       stream_.msg ? stream_.msg : "not a stream of zlib"));
    }
  }
  return have;
}

bool Input::refill() {
  stream_.next_in = buffer_.data();
  stream_.avail_in = static_cast<uInt>(read_file(buffer_.data(), buffer_.size()));
  return stream_.avail_in > 0;
}

// A gzip file may be several compressed pieces, one after the other. False at the end of the file.
bool Input::next_member() {
  if (stream_.avail_in == 0 && !refill()) return false;
  if (*stream_.next_in != kGzipMagic[0])
    fail(fmt::format("holds something else after its gzip data, at byte {}", offset_ - stream_.avail_in));
  inflateReset(&stream_);
  return true;
}

std::string read_whole(const std::string& path, std::uint64_t max_bytes, std::string_view limit) {
  Input input(path);
  const auto too_large = [&] { return DataError(fmt::format("{}: larger than {} bytes, the limit {}", path, max_bytes, limit)); };
  if (input.size() && *input.size() > max_bytes) throw too_large();
  std::string text;
  std::size_t have = 0,
              wanted = input.size() ? static_cast<std::size_t>(*input.size()) + 1 : kFirstRead;  // + 1: so that the read reaches the end
  while (true) {
    text.resize(wanted);
    have += input.read(reinterpret_cast<unsigned char*>(text.data()) + have, wanted - have);
    if (have > max_bytes) throw too_large();
    if (have < wanted) break;
    wanted *= 2;
  }
  text.resize(have);
  return text;
}

}  // namespace wengert::nn
