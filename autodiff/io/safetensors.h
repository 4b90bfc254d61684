#pragma once
// Named tensors in one file, in the safetensors format: a length, a header of JSON, the elements.
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "autodiff/io/mapped_file.h"
#include "autodiff/tensor/named_tensor.h"

namespace wengert {

/// The contents of a safetensors file.
struct Safetensors {
  std::vector<NamedTensor> tensors;                           ///< in the order of the header
  std::vector<std::pair<std::string, std::string>> metadata;  ///< strings that the writer added, in the order of the header

  /// The tensor of that name, or null.
  const Tensor* find(std::string_view name) const;
};

/// Reads a whole file: tensors of float32 (F32, F16, BF16), float64 (F64), int64 (I64, I8, I16, I32, U8, U16, U32) and boolean (BOOL),
/// row-major; every value is exact. Everything that the header says is checked against the format and the file's size before memory is
/// taken. What is wrong with a file is a DataError that names file and tensor; nothing is returned then.
Safetensors read_safetensors(const std::string& path);

/// The same without reading the elements: the tensors borrow the mapped file (see MappedFile), so a large file opens at once, and what is
/// never looked at is never read; only types that are no dtype of ours (F16, I32 ...) are converted when it is opened. The tensors, their
/// copies and their views must not outlive this object; `clone()` makes one independent.
class MappedSafetensors {
 public:
  explicit MappedSafetensors(const std::string& path);

  /// The names and tensors of the file, and its metadata.
  const Safetensors& contents() const { return contents_; }

 private:
  MappedFile file_;
  Safetensors contents_;
};

/// Writes the tensors under distinct names, and strings of the caller's choice. Each tensor starts at a multiple of its element size from
/// the start of the file, so that a mapped file can be used in place. The file appears complete or, on a DataError, not at all; then an
/// existing file of that name is unchanged.
void write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                       std::span<const std::pair<std::string, std::string>> metadata = {});

}  // namespace wengert
