#pragma once
// Arrays larger than memory: an .npy file of which rows are read.
#include <memory>
#include <string>

#include "autodiff/io/mapped_file.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

namespace detail {
struct NpyHeader;
}

/// An .npy file, mapped into memory: rows along its first dimension are read from the disk when they are asked for. Types are those of
/// `read_npy`. A DataError names the file and what is wrong with it; an array in Fortran order is refused, because its rows do not lie
/// together. Several threads may read at once.
class MappedNpy {
 public:
  explicit MappedNpy(const std::string& path);
  MappedNpy(MappedNpy&& o) noexcept;
  MappedNpy& operator=(MappedNpy&& o) noexcept;
  ~MappedNpy();

  /// Of the whole array.
  const Shape& shape() const;
  /// How many rows it has.
  Index size() const { return shape()[0]; }
  /// Row i, copied: the shape without its first dimension. A ShapeError if there is no such row.
  Tensor row(Index i) const;

 private:
  MappedFile file_;
  std::unique_ptr<detail::NpyHeader> header_;
};

}  // namespace wengert
