// Elements that a boolean mask chooses.
//
//   y = the chosen elements of x, in their order:   x_bar = 0, except y_bar at the chosen ones,   y_dot = the chosen ones of x_dot
//   y = x, except s at the chosen elements:         x_bar = y_bar, except 0 there,  s_bar = the chosen ones of y_bar
//
// The two are each other's transpose, and the mask is all that they keep.
#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "autodiff/kernels/nonzero.h"
#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

using Chosen = kernels::Nonzero<bool>;

Tensor select(const Tensor& x, const Tensor& mask, Location site);
Tensor put(const Tensor& x, const Tensor& mask, const Chosen& chosen, const Tensor& source, Location site);
Tensor put(const Tensor& x, const Tensor& mask, const Tensor& source, Location site) {
  return put(x, mask, Chosen(mask.data<bool>(), mask.size()), source, site);
}

class MaskedSelect : public Operation {  // x: the tensor, the mask
 public:
  const char* name() const override { return "masked_select"; }
  ValueSet saved_for(int) const override { return input(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Location site = y_bar[0].made_at();
    x_bar[0] = put(detail::repeated_zero(s.x_shape(), y_bar[0].dtype(), site), s.x(1), y_bar[0], site);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = select(x_dot[0], s.x(1), x_dot[0].made_at());
  }
};

class MaskedScatter : public Operation {  // x: the tensor, the mask, the new elements
 public:
  const char* name() const override { return "masked_scatter"; }
  ValueSet saved_for(int) const override { return input(1); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const Location site = y_bar[0].made_at();
    if (x_bar.needs(0)) x_bar[0] = where(s.x(1), Operand(0, site), y_bar[0]);
    if (x_bar.needs(2)) x_bar[2] = select(y_bar[0], s.x(1), site);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    const Tensor& given = x_dot[0].defined() ? x_dot[0] : x_dot[2];
    const Location site = given.made_at();
    y_dot[0] = x_dot[2].defined()
                   ? put(x_dot[0].defined() ? x_dot[0] : detail::repeated_zero(s.y_shape(), given.dtype(), site), s.x(1), x_dot[2], site)
                   : where(s.x(1), Operand(0, site), x_dot[0]);
  }
};

// The chosen elements of x. The mask has its shape, and is dense.
Tensor select(const Tensor& x, const Tensor& mask, Location site) {
  const bool* const m = mask.data<bool>();
  const Chosen chosen(m, mask.size());
  Tensor y = Tensor::uninitialized({chosen.count()}, x.dtype(), site);
  const Tensor dense = x.constant().contiguous(site);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const to = y.mutable_data<T>();
    const T* const from = dense.data<T>();
    chosen.for_each_block([=](Index i, Index, Index k, Index end) {
      for (; k < end; k += m[i++]) to[k] = from[i];
    });
  });
  return record(MaskedSelect(), site, {&x, &mask}, std::move(y));
}

// x, where the mask is true the elements of the source, of which there are as many.
Tensor put(const Tensor& x, const Tensor& mask, const Chosen& chosen, const Tensor& source, Location site) {
  Tensor y = Tensor::uninitialized(x.shape(), x.dtype(), site);
  const bool* const m = mask.data<bool>();
  const bool one_number = detail::is_repeated_number(x);
  const Tensor around = one_number ? x.constant() : x.constant().contiguous(site), dense = source.constant().contiguous(site);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* const to = y.mutable_data<T>();
    const T *const x0 = detail::data<T>(around), *const s = dense.data<T>();
    const Index step = one_number ? 0 : 1;
    chosen.for_each_block([=](Index first, Index last, Index k, Index) {
      for (Index i = first; i < last; k += m[i++]) {  // without a branch, which a mask that has no pattern would mislead
        const auto a = reinterpret_cast<std::uintptr_t>(x0 + i * step), b = reinterpret_cast<std::uintptr_t>(s + k);
        const auto all_bits_if_chosen = -static_cast<std::uintptr_t>(m[i]);
        to[i] = *reinterpret_cast<const T*>(a ^ ((a ^ b) & all_bits_if_chosen));
      }
    });
  });
  return record(MaskedScatter(), site, {&x, &mask, &source}, std::move(y));
}

void check_mask(const char* name, const Tensor& x, const Tensor& mask) {
  detail::check_defined(name, x);
  detail::check_defined(name, mask, "the mask");
  if (mask.dtype() != boolean)
    throw DtypeError(detail::ErrorText(name, "the mask {} is not boolean", describe(mask)).hint("compare it, as in x > 0"));
}

// The mask with each of its elements.
Tensor dense_mask(const Tensor& mask, const Shape& shape, Location site) { return expand(mask.constant(), shape, site).contiguous(site); }

}  // namespace

Tensor masked_fill(const Tensor& x, const Tensor& mask, ExactNumber value, Location site) {
  const CallSite scope(site);
  check_mask("masked_fill", x, mask);
  if (!(detail::broadcast_shape("masked_fill", x, mask) == x.shape()))
    throw ShapeError(fmt::format("masked_fill: the mask {} does not broadcast to {}", describe(mask), describe(x)));
  return value.integer() ? where(mask, *value.integer(), x) : where(mask, value.value(), x);
}

Tensor masked_select(const Tensor& x, const Tensor& mask, Location site) {
  const CallSite scope(site);
  check_mask("masked_select", x, mask);
  const Shape shape = detail::broadcast_shape("masked_select", x, mask);
  return select(expand(x, shape, site), dense_mask(mask, shape, site), site);
}

Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source, Location site) {
  const CallSite scope(site);
  check_mask("masked_scatter", x, mask);
  if (!detail::broadcasts_to(mask, x.shape()))
    throw ShapeError(fmt::format("masked_scatter: the mask {} does not broadcast to {}", describe(mask), describe(x)));
  detail::check_same_dtype("masked_scatter", x, source);
  const Tensor m = dense_mask(mask, x.shape(), site);
  const Chosen chosen(m.data<bool>(), m.size());
  if (chosen.count() != source.size())
    throw ShapeError(fmt::format("masked_scatter: the source {} has {} elements for the {} true elements of the mask {}", describe(source),
                                 source.size(), chosen.count(), describe(mask)));
  return put(x, m, chosen, reshape(source, {-1}, site), site);
}

}  // namespace wengert
