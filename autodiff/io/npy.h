#pragma once
// NumPy's files: .npy holds one array, .npz several by their names (a zip archive of .npy files).
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/tensor/named_tensor.h"

namespace wengert {

/// Reads an array in C or Fortran order and either byte order: f4 as float32, f8 as float64, b1 as boolean, integers of at most 8 bytes
/// (except u8) as int64. The header is checked against the file's size before memory is allocated. A DataError names the file and what is
/// wrong with it.
Tensor read_npy(const std::string& path);

/// Writes one array, row-major and little-endian. The file appears complete or, on a DataError, not at all.
void write_npy(const std::string& path, const Tensor& tensor);

struct NpzReadOptions {
  /// An archive whose deflated arrays take more bytes is refused: a small file may expand to a thousand times its size.
  std::uint64_t max_bytes = std::uint64_t{1} << 30;
};

/// Reads all arrays of an archive, as `read_npy` does, in the order of its directory and without the ending .npy of their names. Stored and
/// deflated entries are read and their checksums held against the data; memory grows with what really arrives. A DataError names file and
/// entry, and nothing is returned then. Archives of more than 4 GB are refused.
std::vector<NamedTensor> read_npz(const std::string& path, const NpzReadOptions& options = {});

struct NpzOptions {
  bool compress = false;  ///< deflate, as numpy.savez_compressed does
};

/// Writes arrays under distinct names. The file appears complete or, on a DataError, not at all.
void write_npz(const std::string& path, std::span<const NamedTensor> tensors, const NpzOptions& options = {});

}  // namespace wengert
