#pragma once
// Indices of parts of a tensor, as in x(Range(0, 3), 1).
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>

#include "autodiff/error.h"
#include "autodiff/tensor/shape.h"

namespace wengert {

/// One past the last position, for any size: `Range(2, End)`.
inline constexpr Index End = std::numeric_limits<Index>::max();

/// The positions start, start + step, ... before stop along one dimension. Negative bounds count from the end, and bounds outside the
/// dimension are clipped, as in Python's start:stop:step. The step is at least 1 (`flip` reverses).
struct Range {
  constexpr Range(Integer start, Integer stop, Integer step = 1) : start(start), stop(stop), step(step) {}
  Index start, stop, step;
};
/// A whole dimension: `x(All, 1)` is column 1.
inline constexpr Range All(0, End);
/// As many whole dimensions as needed for the following indices to refer to the last dimensions: `x(Ellipsis, 0)`. At most one.
enum class EllipsisTag : std::uint8_t { ellipsis };
/// In an index: as many whole dimensions as are missing, as NumPy's `...`.
inline constexpr EllipsisTag Ellipsis = EllipsisTag::ellipsis;

/// One index of a part: an integer, a Range or Ellipsis; and the caller's file and line.
class Subscript {
 public:
  enum class Kind : std::uint8_t { integer, range, ellipsis };

  Subscript(IntegerType auto index, Location site = Location::here())
      : site(site), kind(Kind::integer), range(index, static_cast<Index>(index)) {}
  Subscript(const Range& range, Location site = Location::here()) : site(site), kind(Kind::range), range(range) {}
  Subscript(EllipsisTag, Location site = Location::here()) : site(site), kind(Kind::ellipsis), range(All) {}

  Location site;
  Kind kind;
  Range range;  ///< for an integer, `start` is the index
};

/// A list of indices as a parameter: `{All, 1}`.
class Subscripts {
 public:
  Subscripts(std::span<const Subscript> list) : list_(list) {}
  Subscripts(std::initializer_list<Subscript> list) : list_(list.begin(), list.size()) {}
  std::span<const Subscript> list() const { return list_; }

 private:
  std::span<const Subscript> list_;
};

}  // namespace wengert
