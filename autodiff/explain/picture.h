#pragma once
// Pictures of a tape: a box for each value, with the value and the gradient of the target with respect to it.
#include <cstddef>
#include <string>

#include "autodiff/tape/tape.h"

namespace wengert {

struct PictureOptions {
  /// Draws modules as one box each: 1: the outermost, 2: those directly inside them, and so on. 0: draws every operation. An operation
  /// belongs to the module whose parameter it reads, or to the one between whose operations it stands.
  int module_depth = 0;
  std::size_t max_boxes = 60;  ///< to_svg refuses more
};

namespace detail {
std::string to_dot(Tape& tape, const Source& target, const PictureOptions& options);
std::string to_svg(Tape& tape, const Source& target, const PictureOptions& options);
}  // namespace detail

/// What the target was computed from, in the language of Graphviz: `dot -Tsvg tape.dot -o tape.svg`. An edge is the wider, the larger the
/// norm of the cotangent that goes back through it, in steps of powers of ten; it is dashed where none does. Operations of a module stand
/// in a frame with its name. Values have names as in `explain`. Scalars of a tape without `.formulas` have no values, and no boxes for the
/// parts of an expression. The tape must still hold its records; nothing changes. A TapeError if the target is not on the tape.
inline std::string to_dot(Tape& tape, const Scalar& target, const PictureOptions& options = {}) {
  return detail::to_dot(tape, detail::Source(target), options);
}
inline std::string to_dot(Tape& tape, const Tensor& target, const PictureOptions& options = {}) {
  return detail::to_dot(tape, detail::Source(target), options);
}

/// The same as a picture of its own, for a small tape: an SVG file, without frames. A ValueError for more than `.max_boxes` boxes.
inline std::string to_svg(Tape& tape, const Scalar& target, const PictureOptions& options = {}) {
  return detail::to_svg(tape, detail::Source(target), options);
}
inline std::string to_svg(Tape& tape, const Tensor& target, const PictureOptions& options = {}) {
  return detail::to_svg(tape, detail::Source(target), options);
}

}  // namespace wengert
