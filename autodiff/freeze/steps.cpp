#include "autodiff/freeze/steps.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <utility>

#include "autodiff/kernels/direct_convolution.h"
#include "autodiff/kernels/gru_gates.h"
#include "autodiff/kernels/lstm_gates.h"
#include "autodiff/kernels/product.h"
#include "autodiff/kernels/softmax.h"

namespace wengert::detail::frozen {
namespace {

kernels::PackedLayer packed_layer(const LayerWeights& w, bool relu) {
  return {w.out, w.in, {w.w.data(), w.in, 1}, w.hidden, {w.v.data(), w.hidden, 1}, w.bias.empty() ? nullptr : w.bias.data(), relu};
}

std::uint8_t* bytes_at(float* p) { return reinterpret_cast<std::uint8_t*>(p); }

}  // namespace

Layer::Layer(Place x, Place h, Place y, Index rows, bool relu, LayerWeights weights)
    : x(x), h(h), y(y), rows(rows), relu(relu), weights(std::move(weights)), packed(packed_layer(this->weights, relu)) {}

void Layer::run(const Memory& m) const {
  const float *from = m.at(x), *state = m.at(h);
  float* to = m.to(y);
  for (Index row = 0; row < rows; ++row, from += weights.in, state += weights.hidden, to += weights.out) packed(from, state, to);
}

bool Layer::redirect(Place from, Index size) {
  constexpr Index kWhole = kernels::PackedLayer::kOverrun + 1;  // nothing is written behind so many outputs
  if (y.base != from.base || y.offset != from.offset || rows * weights.out != size || weights.out % kWhole != 0) return false;
  y = {0, kOutput};
  return true;
}

void Product::run(const Memory& memory) const {
  for (Index i = 0; i < batch; ++i)
    kernels::product<float>(m, n, k, {memory.at(a) + i * m * k, k, 1}, {memory.at(b) + (b_batch ? i * k * n : 0), n, 1},
                            memory.to(c) + i * m * n, n);
}

void Elementwise::run(const Memory& m) const {
  const float* const from[2] = {m.at(x[0]), m.at(x[1])};
  call(options, size, from, m.to(y));
}

void Move::run(const Memory& m) const {
  for (const Run& r : runs) {
    const float* const from = m.at(r.from);
    float* const to = m.values + r.to;
    if (r.stride == 1) {
      std::memcpy(to, from, static_cast<std::size_t>(r.count) * sizeof(float));
    } else {
      for (Index i = 0; i < r.count; ++i) to[i] = from[i * r.stride];
    }
  }
}

void Convolution::run(const Memory& m) const {
  const float* const plus = bias.empty() ? nullptr : bias.data();
  if (relu) {
    kernels::direct_convolution(sizes, {true, pool}, m.at(x), weight.data(), plus, m.to(y), pool ? bytes_at(m.to(positions)) : nullptr);
  } else {
    kernels::convolution_forward(sizes, m.at(x), weight.data(), plus, m.to(y));
  }
}

void Pool::run(const Memory& m) const {
  const kernels::Pooling& s = form.sizes;
  if (!form.maximum) return kernels::average_pool(s, form.divisor, m.at(x), m.to(y));
  if (s.height.kernel * s.width.kernel <= 256) return kernels::max_pool(s, m.at(x), m.to(y), bytes_at(m.to(positions)));
  kernels::max_pool(s, m.at(x), m.to(y), reinterpret_cast<std::int32_t*>(m.to(positions)));
}

void Softmax::run(const Memory& m) const { kernels::softmax_lines(m.at(x), m.to(y), lines, logarithm); }

void Normalization::run(const Memory& m) const {
  const float* const from = m.at(x);
  float* const to = m.to(y);
  const double count = static_cast<double>(outer * inner);
  kernels::run_elements<float>([&]() __attribute__((always_inline)) {
    for (Index g = 0; g < groups; ++g) {
      double mean = 0, variance = 0;
      for (Index o = 0; o < outer; ++o)
        mean += kernels::sum_of_run((o * groups + g) * inner,
                                    inner, [from](Index i) __attribute__((always_inline)) { return static_cast<double>(from[i]); });
      mean /= count;
      for (Index o = 0; o < outer; ++o)
        variance += kernels::sum_of_run((o * groups + g) * inner, inner, [ from, mean ](Index i) __attribute__((always_inline)) {
          const double distance = static_cast<double>(from[i]) - mean;
          return distance * distance;
        });
      const double scale = 1 / std::sqrt(variance / count + eps);
      for (Index o = 0; o < outer; ++o)
        for (Index i = (o * groups + g) * inner, end = i + inner; i < end; ++i)
          to[i] = static_cast<float>((static_cast<double>(from[i]) - mean) * scale);
    }
  });
}

void Sum::run(const Memory& m) const {
  const float* from = m.at(x);
  float* const to = m.to(y);
  for (Index i = 0; i < size; ++i, from += n)
    to[i] = static_cast<float>(kernels::sum_of_run(0, n, [from](Index k) { return static_cast<double>(from[k]); }) / divisor);
}

void LstmGates::run(const Memory& m) const {
  kernels::lstm_gates<float>(rows, hidden, m.at(sums), m.at(c), m.to(gates), m.to(h_next), m.to(c_next));
}

void GruGates::run(const Memory& m) const { kernels::gru_gates<float>(rows, hidden, m.at(a), m.at(b), m.at(h), m.to(gates), m.to(h_next)); }

void Plan::run(float* values, const float* from, float* to) const {
  const auto bytes = [](Index count) { return static_cast<std::size_t>(count) * sizeof(float); };
  const bool overlaps = std::less<>()(from, to + output.size()) && std::less<>()(to, from + input.size());
  if (overlaps) {
    std::memcpy(values, from, bytes(input.size()));
    from = values;
  }
  const Memory m{values, to, {values, constants.data(), from, to}};
  for (const auto& step : steps) step->run(m);
  if (y.base != kOutput) std::memcpy(to, m.at(y), bytes(output.size()));
  for (const Kept& k : kept) std::memcpy(m.to(k.state), m.at(k.from), bytes(k.size));
}

}  // namespace wengert::detail::frozen
