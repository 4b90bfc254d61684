#include "autodiff/explain/named.h"

#include <string>

#include "autodiff/explain/history.h"

namespace wengert {
namespace {

void give_name(std::string_view name, std::uint64_t number) {
  const detail::TapeState* tape = detail::active_tape();
  detail::History* history = tape ? detail::history_of(*tape) : nullptr;
  if (history && number) history->names[number] = std::string(name);
}

}  // namespace

Scalar named(std::string_view name, const Scalar& x) {
  give_name(name, x.number());
  return x;
}
Tensor named(std::string_view name, const Tensor& x) {
  give_name(name, x.number());
  return x;
}

}  // namespace wengert
