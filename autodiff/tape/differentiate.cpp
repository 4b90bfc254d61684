// Gradients: runs a reverse sweep and collects the cotangents of the sources.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <optional>

#include "autodiff/tape/reverse_sweep.h"
#include "autodiff/tape/sources.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace detail {
namespace {

Tensor zero_for(const Source& s) {
  if (s.scalar) return Tensor::zeros({}, float64);
  const Tensor& like = s.parameter ? s.parameter->value : *s.tensor;
  return Tensor::zeros(like.shape(), like.dtype());
}

// Whether a cotangent other than an exact zero has reached the source.
bool is_reached(TapeState& t, const Source& s, std::uint32_t index, bool recorded) {
  if (index == kNoIndex) return false;
  if (!s.scalar) return t.slots[index].cotangent.defined();
  return recorded ? t.recorded_adjoints[index].defined() : t.adjoints()[index] != 0;
}

// The gradient that the sweep computed for a source; zeros if none reached it.
Cotangent gradient_of(TapeState& t, const Source& s, std::uint32_t index, bool recorded) {
  if (!is_reached(t, s, index, recorded)) return zero_for(s);
  if (s.scalar) return recorded ? t.recorded_adjoints[index] : Tensor::full({}, t.adjoints()[index], float64);
  const Cotangent& c = t.slots[index].cotangent;
  if (c.is_product()) return c;
  const Tensor g = c.value().contiguous();  // it may be a view, such as one number repeated by expand
  return recorded ? g : g.constant();
}

// Gives a receiver the gradients. That of a tensor is complete behind the first node that reads it, the last one to be swept; that of a
// scalar, or of what no node reads, at the end.
class Delivery {
 public:
  Delivery(TapeState& t, std::span<const Source> sources, const SourceIndices& at, bool recorded, SourceReceiver& receiver)
      : t_(t), sources_(sources), at_(at), recorded_(recorded), receiver_(receiver) {
    pool::Vector<const TapeNode*> first_reader(t.slots.size());
    pool::Vector<std::uint32_t> position(t.slots.size());
    for (std::uint32_t k = t.nodes.size(); k-- > 0;) {
      const TapeNode& node = t.nodes[k];
      for (std::uint32_t i = 0; i < node.inputs; ++i) {
        const Input& x = t.input(node, i);
        if (x.tracked() && !x.scalar) first_reader[x.index] = &node, position[x.index] = k;
      }
    }
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const bool is_read = !sources[i].scalar && at[i] != kNoIndex && first_reader[at[i]];
      waiting_.push_back(is_read ? Waiting{i, first_reader[at[i]], position[at[i]]} : Waiting{i, nullptr, 0});
    }
    // The next one stands at the end; those that no node reads come last.
    std::stable_sort(waiting_.begin(), waiting_.end(), [](const Waiting& a, const Waiting& b) {
      return (a.node != nullptr) != (b.node != nullptr) ? a.node == nullptr : a.position < b.position;
    });
  }

  void after(const TapeNode& node) {
    while (!waiting_.empty() && waiting_.back().node == &node) deliver_next();
  }
  void finish() {
    while (!waiting_.empty()) deliver_next();
  }

 private:
  struct Waiting {
    std::size_t source;
    const TapeNode* node;
    std::uint32_t position;
  };

  void deliver_next() {
    const std::size_t i = waiting_.back().source;
    waiting_.pop_back();
    receiver_.ready(i, gradient_of(t_, sources_[i], at_[i], recorded_));
  }

  TapeState& t_;
  std::span<const Source> sources_;
  const SourceIndices& at_;
  bool recorded_;
  SourceReceiver& receiver_;
  pool::Vector<Waiting> waiting_;
};

}  // namespace

Gradients sweep_back(TapeState& t, const Source& target, std::span<const Source> sources, const GradientOptions& o, bool may_defer,
                     SourceReceiver* receiver) {
  Gradients gradients;
  const std::uint32_t y = find_target(t, target, o);
  if (y == kNoIndex) {
    for (const Source& s : sources) gradients.add(zero_for(s), s.parameter);
    return gradients;
  }
  const auto source_at = [&](std::size_t i) -> const Source& { return sources[i]; };
  const SourceIndices at(t, sources.size(), source_at, o);

  ReverseSweep sweep(t, o, at.variables_only());
  for (std::size_t i = 0; i < sources.size(); ++i)
    if (!sources[i].scalar && at[i] != kNoIndex) sweep.request(at[i], may_defer && sources[i].parameter);
  std::optional<Delivery> delivery;
  if (receiver) {
    delivery.emplace(t, sources, at, o.differentiable, *receiver);
    const auto after = [&](const TapeNode& node) { delivery->after(node); };
    const ReverseSweep::AfterNode call(after);
    sweep.run(target, y, o.seed, &call);
  } else {
    sweep.run(target, y, o.seed);
  }
  if (t.watch) [[unlikely]]
    t.watch->after_sweep(t, target, y, o.seed, sources);

  const auto is_absent = [&](std::size_t i) { return !is_reached(t, sources[i], at[i], o.differentiable); };
  report_unreached(t, target, y, sources.size(), source_at, at, is_absent, o);
  if (delivery) delivery->finish();
  for (std::size_t i = 0; i < sources.size(); ++i) gradients.add(gradient_of(t, sources[i], at[i], o.differentiable), sources[i].parameter);
  return gradients;
}

}  // namespace detail

using namespace detail;

Gradients Tape::sweep_sources(const GradientTarget& target, std::span<const Source> sources, const GradientOptions& o) {
  const CallSite scope(target.site());
  return sweep_back(*state_, target.source(), sources, o);
}
Gradients Tape::gradient(const GradientTarget& target, const ParameterList& sources, const GradientOptions& options) {
  const CallSite scope(target.site());
  const pool::Vector<Source> list(sources.begin(), sources.end());
  return sweep_back(*state_, target.source(), list, options, true);
}
std::vector<Tensor> Tape::gradient(const GradientTarget& target, std::span<const Tensor> sources, const GradientOptions& options) {
  const pool::Vector<Source> list(sources.begin(), sources.end());
  const Gradients g = sweep_sources(target, list, options);
  return {g.begin(), g.end()};
}

void Tape::gradient(const Scalar& target, std::span<const Scalar> sources, std::span<double> out, const GradientOptions& o, Location site) {
  const CallSite scope(site);
  TapeState& t = *state_;
  if (sources.size() != out.size())
    throw ShapeError(fmt::format("gradient: {} sources, but room for {} derivatives", sources.size(), out.size()));
  if (o.differentiable) throw_numbers_have_no_derivatives();
  const Source wanted(target);
  const std::uint32_t y = find_target(t, wanted, o);
  if (y == kNoIndex) {
    std::fill(out.begin(), out.end(), 0.0);
    return;
  }
  const auto source_at = [&](std::size_t i) { return Source(sources[i]); };
  const std::uint32_t first = t.run_of_variables(sources);
  const SourceIndices at = first ? SourceIndices(first) : SourceIndices(t, sources.size(), source_at, o);

  ReverseSweep sweep(t, o, at.variables_only());
  sweep.run(wanted, y, o.seed);
  if (t.watch) [[unlikely]] {
    const pool::Vector<Source> list(sources.begin(), sources.end());
    t.watch->after_sweep(t, wanted, y, o.seed, list);
  }

  const double* adjoints = t.adjoints();
  std::uint64_t zeros = 0;
  if (first) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      const std::uint64_t magnitude = std::bit_cast<std::uint64_t>(out[i] = adjoints[first + i]) << 1;
      zeros |= (magnitude - 1) & ~magnitude;  // the top bit, of zero alone: vectorized on any machine
    }
    zeros >>= 63;
  } else {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = at[i] != kNoIndex ? adjoints[at[i]] : 0;
      zeros |= out[i] == 0;
    }
  }
  if (zeros)
    report_unreached(
        t, wanted, y, out.size(), source_at, at, [&](std::size_t i) { return out[i] == 0; }, o);
}

}  // namespace wengert
