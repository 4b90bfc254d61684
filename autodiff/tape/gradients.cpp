#include "autodiff/tape/gradients.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/tape/records.h"
#include "autodiff/tape/sweep_operations.h"

namespace wengert {

Gradients::Gradients() = default;
Gradients::Gradients(const Gradients&) = default;
Gradients::Gradients(Gradients&&) noexcept = default;
Gradients& Gradients::operator=(const Gradients&) = default;
Gradients& Gradients::operator=(Gradients&&) noexcept = default;
Gradients::~Gradients() = default;

void Gradients::add(detail::Gradient gradient, const ParameterState* parameter) {
  gradients_.push_back(std::move(gradient));
  parameters_.push_back(parameter);
}
void Gradients::add(Tensor gradient, const ParameterState* parameter) { add(detail::Gradient(std::move(gradient)), parameter); }

Tensor Gradients::of(const ParameterState* p) const {
  const auto found = std::find(parameters_.begin(), parameters_.end(), p);
  if (!p || found == parameters_.end())
    throw TapeError(fmt::format("Gradients: there is no gradient of the parameter {}, because it was not among the sources",
                                p ? (p->name.empty() ? describe(p->value) : p->name) : "(none)"));
  return (*this)[static_cast<std::size_t>(found - parameters_.begin())];
}

Gradients& Gradients::operator+=(const Gradients& o) {
  if (o.empty()) return *this;
  if (empty()) return *this = o;
  if (parameters_ != o.parameters_)
    throw TapeError(
        fmt::format("Gradients: gradients of {} sources were added to gradients of {} others; both must be of the same sources in the same "
                    "order",
                    o.size(), size()));
  pool::Vector<detail::Gradient> sums;  // separate, so that an exception changes nothing
  sums.reserve(size());
  for (std::size_t i = 0; i < size(); ++i) sums.emplace_back(detail::add((*this)[i], o[i], Location::here()));
  gradients_ = std::move(sums);
  return *this;
}

}  // namespace wengert
