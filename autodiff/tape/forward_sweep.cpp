#include "autodiff/tape/forward_sweep.h"

#include <fmt/format.h>

#include "autodiff/tape/sources.h"
#include "autodiff/tape/sweep_operations.h"
#include "autodiff/tape/sweep_scope.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace detail {
namespace {

// One pass over the records, first to last, with the operations' forward rules.
class ForwardSweep {
 public:
  explicit ForwardSweep(TapeState& t) : t_(t), tangents_(t.slots.size()), scalar_tangents_(t.next()) {}

  void seed(const Source& s, std::uint32_t index, const Tensor& tangent) {
    if (s.scalar) {
      scalar_tangents_[index] += tangent.item();
    } else {
      accumulate(index, tangent, {});
    }
  }
  void run() {
    ForwardStatements<double> statements(t_);
    const auto up_to = [&](std::uint32_t end) {
      statements.up_to(end, [&](std::uint32_t s, std::uint32_t i, double partial) {
        if (scalar_tangents_[i] != 0) scalar_tangents_[s] += partial * scalar_tangents_[i];
      });
    };
    t_.walk_forward(up_to, [&](const TapeNode& node) { forward(node); });
  }
  Tensor result(const Source& target, std::uint32_t y) const {
    if (target.scalar) return Tensor::full({}, scalar_tangents_[y], float64);
    return tangents_[y].defined() ? tangents_[y] : Tensor::zeros(t_.slots[y].shape, t_.slots[y].dtype);
  }

 private:
  // Adds the tangent: a source that is not a leaf has a tangent already, which the caller gave.
  void accumulate(std::uint32_t slot, Tensor tangent, Location site) {
    Tensor& sum = tangents_[slot];
    sum = sum.defined() ? add(sum, tangent, site) : std::move(tangent);
  }
  void forward(const TapeNode& node) {
    switch (node.kind) {
      case TapeNode::tensors:
        return forward_operation(node);
      case TapeNode::stack:
        return forward_stack(node);
      case TapeNode::element:
        return forward_element(node);
    }
  }
  void forward_element(const TapeNode& node) {
    const Tensor& x_dot = tangents_[t_.input(node, 0).index];
    if (x_dot.defined()) scalar_tangents_[node.first_output] += x_dot.element(node.flat);
  }
  void forward_stack(const TapeNode& node) {
    const Slot& slot = t_.slots[node.first_output];
    pool::Vector<double> values(node.inputs);
    for (std::uint32_t i = 0; i < node.inputs; ++i)
      if (const Input& x = t_.input(node, i); x.tracked()) values[i] = scalar_tangents_[x.index];
    const Tensor all = Tensor::from(std::span<const double>(values), slot.shape, node.site());
    accumulate(node.first_output, all.to(slot.dtype, node.site()), node.site());
  }
  //  y_dot = rule(x_dot)
  void forward_operation(const TapeNode& node) {
    pool::Vector<Tensor> x_dot(node.inputs), y_dot(node.outputs);
    bool any = false;
    for (std::uint32_t i = 0; i < node.inputs; ++i) {
      if (const Input& x = t_.input(node, i); x.tracked()) x_dot[i] = tangents_[x.index];
      any |= x_dot[i].defined();
    }
    if (!any) return;
    const CallSite rule = CallSite::of_rule(node.site());
    node.operation->jvp(Saved(t_, node), x_dot, y_dot);
    for (std::uint32_t j = 0; j < node.outputs; ++j)
      if (y_dot[j].defined())
        accumulate(node.first_output + j, expand(y_dot[j], t_.slots[node.first_output + j].shape, node.site()), node.site());
  }

  TapeState& t_;
  pool::Vector<Tensor> tangents_;
  pool::Vector<double> scalar_tangents_;
};

void check_tangent(std::size_t i, const Tensor& tangent, const Source& s, const TapeState& t, std::uint32_t index) {
  const Shape shape = s.scalar ? Shape{} : t.slots[index].shape;
  if (s.scalar ? tangent.size() != 1 : tangent.shape() != shape)
    throw ShapeError(fmt::format("jvp: tangent {} {} must have the shape of its source, {}", i, describe(tangent), to_string(shape)));
  if (!s.scalar && tangent.dtype() != t.slots[index].dtype)
    throw DtypeError(
        fmt::format("jvp: tangent {} {} must have the dtype of its source, {}", i, describe(tangent), to_string(t.slots[index].dtype)));
}

}  // namespace

Tensor sweep_forward(TapeState& t, const Source& target, std::span<const Source> sources, std::span<const Tensor> tangents) {
  check_thread(t, "jvp");
  if (sources.size() != tangents.size()) throw ShapeError(fmt::format("jvp: {} sources, but {} tangents", sources.size(), tangents.size()));
  const std::uint32_t y = find(t, target);
  if (y == kNoIndex) throw TapeError("jvp: the target was not recorded on this tape");
  const PauseForSweep pause(true);
  ForwardSweep sweep(t);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::uint32_t index = find(t, sources[i]);
    if (index == kNoIndex) continue;
    check_tangent(i, tangents[i], sources[i], t, index);
    sweep.seed(sources[i], index, tangents[i]);
  }
  sweep.run();
  return sweep.result(target, y);
}

}  // namespace detail

Tensor Tape::jvp_of(const detail::Source& target, std::span<const detail::Source> sources, std::span<const Tensor> tangents) {
  return detail::sweep_forward(*state_, target, sources, tangents);
}

Tensor Tape::jvp(const Tensor& target, std::span<const Tensor> sources, std::span<const Tensor> tangents) {
  const pool::Vector<detail::Source> list(sources.begin(), sources.end());
  return jvp_of(detail::Source(target), list, tangents);
}

}  // namespace wengert
