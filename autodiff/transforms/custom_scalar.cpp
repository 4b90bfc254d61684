#include "autodiff/transforms/custom_scalar.h"

#include <fmt/format.h>

namespace wengert {
namespace {

using detail::write_argument;

// Records a statement of up to 127 arguments, x[i] and its partial derivative, from `i` on. `number`: the statement that it continues.
std::uint64_t record_some(StatementWriter<double>& writer, std::span<const Scalar> x, std::span<const double> partials, std::size_t& i,
                          std::uint64_t number) {
  if (writer.args > writer.args_limit) writer.make_room();
  char* p = writer.args;
  std::uint32_t count = 0;
  if (const std::uint32_t continued = writer.index_of(number)) p = detail::write(p, continued);
  for (; i < x.size() && count < StatementWriter<double>::kMaxArguments; ++i)
    if (const std::uint32_t index = writer.index_of(x[i].number())) {
      p = write_argument(p, partials[i], index);
      ++count;
    }
  if (!count) return number;
  return writer.commit(writer.next(), writer.args, p, false);
}

}  // namespace

Scalar with_partials(double value, std::span<const Scalar> x, std::span<const double> partials) {
  if (x.size() != partials.size())
    throw ShapeError(fmt::format("with_partials: {} operands, but {} partial derivatives", x.size(), partials.size()));
  StatementWriter<double>* writer = active_writer<double>;
  if (!writer) {
    for (const Scalar& s : x) detail::check_unrecorded(s.number());
    return value;
  }
  for (const Scalar& s : x) writer->index_of(s.number());  // throws before anything is recorded
  if (writer->higher_order)
    throw TapeError(
        "with_partials: the tape was made with {.higher_order = true}, but the function has first derivatives only; write it with Scalar "
        "operations");
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < x.size();) number = record_some(*writer, x, partials, i, number);
  return Scalar(value, number);
}

}  // namespace wengert
