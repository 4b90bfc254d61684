// The crossings between scalars and tensors: scalars become the elements of a tensor, or an element of a tensor becomes a scalar.
//
// The sweeps handle these two kinds of nodes themselves; `gather_element` and `scatter_element` are their rules while a sweep is recorded.
#include <fmt/format.h>

#include "autodiff/ops/broadcast.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace detail {
namespace {

class GatherElement : public Operation {
 public:
  explicit GatherElement(Index flat) : flat_(flat) {}
  const char* name() const override { return "gather_element"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = scatter_element(y_bar[0], s.x_shape(), flat_, {});
  }
  void jvp(const Saved&, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = gather_element(x_dot[0], flat_, {});
  }

 private:
  Index flat_;
};

class ScatterElement : public Operation {
 public:
  explicit ScatterElement(Index flat) : flat_(flat) {}
  const char* name() const override { return "scatter_element"; }
  ValueSet saved_for(int) const override { return kNoValues; }
  void vjp(const Saved&, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    x_bar[0] = gather_element(y_bar[0], flat_, {});
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = scatter_element(x_dot[0], s.y_shape(), flat_, {});
  }

 private:
  Index flat_;
};

// Records y, whose elements are the scalars, if one of them is tracked, and returns it with its number.
Tensor record_stack(Tensor y, const Scalar* scalars, std::size_t n, Location site) {
  TapeState* tape = active_tape();
  bool any = false;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t number = scalars[i].number();
    if (!number) continue;
    if (tape) {
      any |= tape->index_of(number) != 0;
    } else {
      check_unrecorded(number);
    }
  }
  if (!any) return y;
  pool::Vector<double> values;
  if (tape->watch) [[unlikely]] {
    for (std::size_t i = 0; i < n; ++i) values.push_back(scalars[i].value());
    tape->watch->before_stack(*tape, values, y, CallSite::of(site));
  }
  tape->nodes.reserve(1);
  tape->slots.reserve(1);
  tape->inputs.reserve(static_cast<std::uint32_t>(n));
  const std::uint32_t first_input = tape->inputs.size();
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t index = scalars[i].number() ? tape->index_of(scalars[i].number()) : 0;
    tape->inputs.emplace(Tensor(), index ? index : kNoIndex, true);
  }
  const std::uint32_t slot = tape->add_slot(y.shape(), y.dtype());
  tape->nodes.emplace(nullptr, Index(0), site.file, site.line, tape->next(), first_input, slot, static_cast<std::uint32_t>(n),
                      std::uint16_t(1), TapeNode::stack, false);
  Tensor recorded(y.take(), tape->tensor_base + slot);
  if (tape->watch) [[unlikely]]
    tape->watch->after_stack(*tape, values, recorded);
  return recorded;
}

}  // namespace

Tensor gather_element(const Tensor& x, Index flat, Location site) {
  return record(GatherElement(flat), site, {&x}, Tensor::full({}, x.element(flat), x.dtype(), site));
}

Tensor scatter_element(const Tensor& x, const Shape& shape, Index flat, Location site) {
  Tensor y = Tensor::zeros(shape, x.dtype(), site);
  dispatch_floating(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    y.mutable_data<T>()[flat] = static_cast<T>(x.item());
  });
  return record(ScatterElement(flat), site, {&x}, std::move(y));
}

Tensor scalar_to_tensor(double value, std::uint64_t number, Dtype dtype, Location site) {
  const CallSite scope(site);
  const Scalar s(value, number);
  Tensor y = Tensor::full({}, value, dtype, site);
  return number ? record_stack(std::move(y), &s, 1, site) : y;
}

std::uint64_t tensor_to_scalar(const Tensor& x, Index flat, Location site) {
  const Tensor* inputs[] = {&x};
  if (!any_tracked(inputs)) return 0;
  TapeState& tape = *active_tape();
  if (tape.watch) [[unlikely]]
    tape.watch->before_element(tape, x, CallSite::of(site));
  tape.nodes.reserve(1);
  tape.inputs.reserve(1);
  const std::uint32_t scalar = tape.new_variable_index(), input = tape.inputs.size();
  tape.inputs.emplace(Tensor(), tape.slot_of(x));
  tape.nodes.emplace(nullptr, flat, site.file, site.line, tape.next(), input, scalar, 1u, std::uint16_t(1), TapeNode::element, false);
  if (tape.watch) [[unlikely]]
    tape.watch->after_element(tape, x, scalar, x.element(flat));
  return tape.base + scalar;
}

}  // namespace detail

Scalar Tensor::element_as_scalar(std::initializer_list<Integer> position, Location site) const {
  const CallSite scope(site);
  const Index flat = checked_position("element", Shape(position));
  return Scalar(element(flat), detail::tensor_to_scalar(*this, flat, site));
}

Tensor stack(std::span<const Scalar> s, Dtype dtype, Location site) {
  const CallSite scope(site);
  if (!is_floating(dtype)) throw DtypeError(fmt::format("stack of scalars: the dtype {} is not floating", to_string(dtype)));
  Tensor y = Tensor::uninitialized({static_cast<Index>(s.size())}, dtype, site);
  detail::dispatch_floating(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* out = y.mutable_data<T>();
    for (std::size_t i = 0; i < s.size(); ++i) out[i] = static_cast<T>(s[i].value());
  });
  return detail::record_stack(std::move(y), s.data(), s.size(), site);
}

}  // namespace wengert
