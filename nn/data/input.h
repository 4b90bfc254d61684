#pragma once
// Bytes of a data file, plain or compressed by gzip.
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wengert::nn {

/// Throws a DataError "path: what".
[[noreturn]] void refuse_file(const std::string& path, const std::string& what);

/// A data file read from its beginning to its end. Gzip files (recognised by their first bytes, not by their names) are inflated on
/// the way, never further than what is read. Failures are DataErrors that name the file, and the offset where there is one.
class Input {
 public:
  explicit Input(std::string path);
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  ~Input();

  /// Reads `bytes` bytes; fewer only at the end of the file. At the end gzip's checksum has been verified.
  std::size_t read(unsigned char* to, std::size_t bytes);

  const std::string& path() const { return path_; }
  bool compressed() const { return inflating_; }
  /// The total number of bytes, where it is known beforehand: for a plain regular file.
  std::optional<std::uint64_t> size() const { return size_; }

 private:
  [[noreturn]] void fail(const std::string& what) const;
  std::size_t read_file(unsigned char* to, std::size_t bytes);
  std::size_t read_plain(unsigned char* to, std::size_t bytes);
  std::size_t read_inflated(unsigned char* to, std::size_t bytes);
  bool refill();
  bool next_member();

  std::string path_;
  int descriptor_ = -1;
  std::optional<std::uint64_t> size_;
  std::vector<unsigned char> buffer_;  // read ahead; of a plain file its first bytes alone
  std::uint64_t offset_ = 0;           // of the file, behind what is in the buffer
  bool inflating_ = false;
  bool ended_ = false;  // gzip's last member is complete
  z_stream stream_{};   // its next_in and avail_in say what of the buffer is left, also for a plain file
};

/// All bytes of a data file. If there are more than `max_bytes`, plain or inflated, a DataError that calls this limit `limit`.
std::string read_whole(const std::string& path, std::uint64_t max_bytes, std::string_view limit);

}  // namespace wengert::nn
