// The steps of random programs that networks are made of: convolution, pooling, normalization, attention, recurrence, and einsum. Their
// values are finite, because what becomes of infinities depends on how terms are grouped (docs/conventions.md).
#include "networks.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace wengert::fuzz {
namespace {

using Value = Program::Value;

// Sums terms, and their sizes.
struct Sum {
  double total = 0, magnitude = 0;
  void add(double term) {
    total += term;
    magnitude += std::abs(term);
  }
};

// The array of f(position), which returns a Sum.
template <class F> Array sums_of(const Shape& shape, Dtype dtype, F&& f) {
  Array y{shape, dtype, {}, {}};
  for_each_position(shape, [&](const Shape& position) {
    const Sum s = f(position);
    y.values.push_back(rounded(s.total, dtype));
    y.magnitudes.push_back(s.magnitude);
  });
  return y;
}

bool inside(Index i, Index size) { return i >= 0 && i < size; }

// How many windows fit; refused if there is none.
Index windows(Index size, Index kernel, Index stride, Index padding, Index dilation) {
  const Index reach = dilation * (kernel - 1) + 1;
  need(size + 2 * padding >= reach);
  return (size + 2 * padding - reach) / stride + 1;
}

}  // namespace

// ---- convolution and pooling ------------------------------------------------------------------------------------------------------

void convolutions(Program& p) {
  const Dtype dtype = p.floating();
  const Index groups = p.one_in(3) ? 2 : 1, in = groups * p.between(1, 3), out = groups * p.between(1, 3);
  const Value x = p.finite({p.between(0, 2), in, p.between(1, 7), p.between(1, 7)}, dtype);
  const Index given = p.one_in(20) ? in + 1 : in / groups;
  const Value weight = p.finite({out, given, p.between(1, 3), p.between(1, 3)}, dtype), bias = p.finite({out}, dtype);
  const bool biased = p.one_in(2);
  const Conv2dOptions o{.stride = {p.between(1, 2), p.between(1, 2)},
                        .padding = {p.below(3), p.below(3)},
                        .dilation = {p.between(1, 2), p.between(1, 2)},
                        .groups = groups};
  p.step(
      "conv2d", [&] { return biased ? conv2d(x.tensor, weight.tensor, bias.tensor, o) : conv2d(x.tensor, weight.tensor, o); },
      [&] {
        return code("conv2d({}, {}, {}{{.stride = {}, .padding = {}, .dilation = {}, .groups = {}}})", x, weight,
                    biased ? code("{}, ", bias) : "", o.stride, o.padding, o.dilation, o.groups);
      },
      [&] {
        need(given == in / groups);
        const Shape &size = x.array.shape, &kernel = weight.array.shape;
        const Index h = windows(size[2], kernel[2], o.stride.height, o.padding.height, o.dilation.height);
        const Index w = windows(size[3], kernel[3], o.stride.width, o.padding.width, o.dilation.width);
        return sums_of({size[0], out, h, w}, dtype, [&](const Shape& q) {
          Sum s;
          if (biased) s.add(bias.array.at({q[1]}));
          for_each_position({in / groups, kernel[2], kernel[3]}, [&](const Shape& k) {
            const Index row = q[2] * o.stride.height - o.padding.height + k[1] * o.dilation.height;
            const Index column = q[3] * o.stride.width - o.padding.width + k[2] * o.dilation.width;
            if (!inside(row, size[2]) || !inside(column, size[3])) return;
            const Index channel = q[1] / (out / groups) * (in / groups) + k[0];
            s.add(x.array.at({q[0], channel, row, column}) * weight.array.at({q[1], k[0], k[1], k[2]}));
          });
          return s;
        });
      });
}

void poolings(Program& p) {
  const Dtype dtype = p.floating();
  const Value x = p.finite({p.between(0, 2), p.between(1, 2), p.between(1, 6), p.between(1, 6)}, dtype);
  const HeightWidth kernel{p.between(1, 3), p.between(1, 3)}, stride{p.between(1, 3), p.between(1, 3)};
  const HeightWidth padding{p.below(2), p.below(2)};
  const bool largest = p.one_in(2), count_padding = p.one_in(2);
  p.step(
      largest ? "max_pool2d" : "avg_pool2d",
      [&] {
        return largest ? max_pool2d(x.tensor, kernel, {.stride = stride, .padding = padding})
                       : avg_pool2d(x.tensor, kernel, {.stride = stride, .padding = padding, .count_include_pad = count_padding});
      },
      [&] {
        return code("{}({}, {}, {{.stride = {}, .padding = {}{}}})", largest ? "max_pool2d" : "avg_pool2d", x, kernel, stride, padding,
                    largest ? "" : code(", .count_include_pad = {}", count_padding));
      },
      [&] {
        need(2 * padding.height <= kernel.height && 2 * padding.width <= kernel.width);
        const Shape& size = x.array.shape;
        const Index h = windows(size[2], kernel.height, stride.height, padding.height, 1);
        const Index w = windows(size[3], kernel.width, stride.width, padding.width, 1);
        return sums_of({size[0], size[1], h, w}, dtype, [&](const Shape& q) {
          double best = -std::numeric_limits<double>::infinity();
          Sum s;
          Index count = 0;
          for_each_position({kernel.height, kernel.width}, [&](const Shape& k) {
            const Index row = q[2] * stride.height - padding.height + k[0], column = q[3] * stride.width - padding.width + k[1];
            if (!inside(row, size[2]) || !inside(column, size[3])) return;
            const double v = x.array.at({q[0], q[1], row, column});
            best = std::max(best, v);
            s.add(v);
            ++count;
          });
          if (largest) return Sum{best, std::abs(best)};
          const auto n = static_cast<double>(count_padding ? kernel.height * kernel.width : count);
          return Sum{s.total / n, s.magnitude / n};
        });
      });
}

// ---- normalization ----------------------------------------------------------------------------------------------------------------

void normalizations(Program& p) {
  const Dtype dtype = p.floating();
  const Index channels = 2 * p.between(1, 2), kind = p.below(4);
  const Value x = p.finite({p.between(1, 3), channels, p.between(1, 4)}, dtype);
  const Shape& shape = x.array.shape;
  constexpr const char* names[] = {"layer_norm", "rms_norm", "group_norm", "batch_norm"};
  p.step(
      names[kind],
      [&] {
        if (kind == 0) return layer_norm(x.tensor, {shape[1], shape[2]});
        if (kind == 1) return rms_norm(x.tensor);
        return kind == 2 ? group_norm(x.tensor, 2) : batch_norm(x.tensor, {}, {}, {.training = true}).y;
      },
      [&] {
        if (kind == 0) return code("layer_norm({}, {{{}, {}}})", x, shape[1], shape[2]);
        if (kind == 1) return code("rms_norm({})", x);
        return kind == 2 ? code("group_norm({}, 2)", x) : code("batch_norm({}, {{}}, {{}}, {{.training = true}}).y", x);
      },
      [&] {
        if (kind == 3) need(shape[0] * shape[2] > 1);
        return sums_of(shape, dtype, [&](const Shape& q) {
          Sum all, squares;
          double n = 0;
          const auto with_all = [&](const auto& f) {
            for_each_position(shape, [&](const Shape& r) {
              const bool same_group = kind == 2 ? r[1] / (channels / 2) == q[1] / (channels / 2) : kind != 1 || r[1] == q[1];
              if (kind == 3 ? r[1] == q[1] : r[0] == q[0] && same_group) f(x.array.at(r));
            });
          };
          with_all([&](double v) {
            all.add(v);
            ++n;
          });
          const double mean = kind == 1 ? 0 : all.total / n;
          with_all([&](double v) { squares.add((v - mean) * (v - mean)); });
          const double scale = 1 / std::sqrt(squares.total / n + 1e-5);
          return Sum{(x.array.at(q) - mean) * scale, (1 + all.magnitude) * scale};
        });
      });
}

// ---- attention --------------------------------------------------------------------------------------------------------------------

void attentions(Program& p) {
  const Dtype dtype = p.floating();
  const Index batch = p.between(1, 2), queries = p.between(1, 3), keys = p.between(1, 4), depth = p.between(1, 3), width = p.between(1, 3);
  const Value q = p.finite({batch, queries, depth}, dtype), k = p.finite({batch, keys, depth}, dtype),
              v = p.finite({batch, keys, width}, dtype);
  const Value mask = p.of_shape(p.one_in(15) ? Shape{queries + 1, keys} : Shape{queries, keys}, boolean);
  const bool masked = p.one_in(2), causal = p.one_in(3);
  p.step(
      "attention",
      [&] {
        return scaled_dot_product_attention(q.tensor, k.tensor, v.tensor, {.mask = masked ? mask.tensor : Tensor(), .causal = causal})
            .output;
      },
      [&] {
        return code("scaled_dot_product_attention({}, {}, {}, {{.mask = {}, .causal = {}}}).output", q, k, v,
                    masked ? literal(mask) : "Tensor()", causal);
      },
      [&] {
        if (masked) need(mask.array.shape[0] == queries || mask.array.shape[0] == 1);
        return sums_of({batch, queries, width}, dtype, [&](const Shape& at) {
          std::vector<double> scores;
          double size = 4, largest = -std::numeric_limits<double>::infinity(), total = 0;
          for (Index j = 0; j < keys; ++j) {
            Sum s;
            for (Index d = 0; d < depth; ++d) s.add(q.array.at({at[0], at[1], d}) * k.array.at({at[0], j, d}));
            const bool seen = !(causal && j > at[1]) && !(masked && mask.array.at({at[1], j}) == 0);
            scores.push_back(seen ? s.total / std::sqrt(static_cast<double>(depth)) : -std::numeric_limits<double>::infinity());
            size += s.magnitude;
            largest = std::max(largest, scores.back());
          }
          Sum y;
          if (std::isinf(largest)) return y;  // a query that sees no key
          for (const double s : scores) total += std::exp(s - largest);
          for (Index j = 0; j < keys; ++j)
            y.add(std::exp(scores[static_cast<std::size_t>(j)] - largest) / total * v.array.at({at[0], j, at[2]}));
          return Sum{y.total, y.magnitude * size};
        });
      });
}

// ---- recurrence -------------------------------------------------------------------------------------------------------------------

void recurrences(Program& p) {
  const Dtype dtype = p.floating();
  const Index steps = p.between(0, 3), n = p.between(1, 2), in = p.between(1, 3), hidden = p.between(1, 3), kind = p.below(3);
  const Index gates = kind == 0 ? 1 : kind == 1 ? 3 : 4;
  const Value x = p.finite({steps, n, in}, dtype), w = p.finite({gates * hidden, in}, dtype), u = p.finite({gates * hidden, hidden}, dtype),
              b = p.finite({gates * hidden}, dtype), c = p.finite({gates * hidden}, dtype);
  const Value lengths = p.integers({n}, 0, steps);
  const bool padded = p.one_in(2);
  constexpr const char* names[] = {"rnn", "gru", "lstm"};
  p.step(
      names[kind],
      [&] {
        const RecurrentWeights weights[] = {{w.tensor, u.tensor, b.tensor, c.tensor}};
        const RecurrentOptions o{.lengths = padded ? lengths.tensor : Tensor()};
        if (kind == 0) return rnn(x.tensor, {}, weights, Nonlinearity::tanh, o).output;
        return kind == 1 ? gru(x.tensor, {}, weights, o).output : lstm(x.tensor, {}, weights, o).output;
      },
      [&] {
        return code("{}({}, {{}}, std::vector<RecurrentWeights>{{{{{}, {}, {}, {}}}}}, {}{{.lengths = {}}}).output", names[kind], x, w, u,
                    b, c, kind == 0 ? "Nonlinearity::tanh, " : "", padded ? literal(lengths) : "Tensor()");
      },
      [&] {
        if (padded)
          for (const double length : lengths.array.values) need(length >= 0 && length <= static_cast<double>(steps));
        const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
        Array y{{steps, n, hidden}, dtype, std::vector<double>(static_cast<std::size_t>(steps * n * hidden)), {}};
        y.magnitudes.assign(y.values.size(), 20);
        const auto size = static_cast<std::size_t>(hidden);
        for (Index row = 0; row < n; ++row) {
          std::vector<double> h(size), cell(size);
          for (Index t = 0; t < steps; ++t) {
            if (padded && static_cast<double>(t) >= lengths.array.at({row})) break;  // the rest of the output is 0
            const std::vector<double> before = h;
            for (Index i = 0; i < hidden; ++i) {
              const auto from_input = [&](Index gate) {
                double s = b.array.at({gate * hidden + i});
                for (Index k = 0; k < in; ++k) s += w.array.at({gate * hidden + i, k}) * x.array.at({t, row, k});
                return s;
              };
              const auto from_state = [&](Index gate) {
                double s = c.array.at({gate * hidden + i});
                for (Index k = 0; k < hidden; ++k) s += u.array.at({gate * hidden + i, k}) * before[static_cast<std::size_t>(k)];
                return s;
              };
              const auto gate = [&](Index g) { return from_input(g) + from_state(g); };
              double& state = h[static_cast<std::size_t>(i)];
              if (kind == 0) {
                state = std::tanh(gate(0));
              } else if (kind == 1) {
                const double reset = sigmoid(gate(0)), update = sigmoid(gate(1));
                state = (1 - update) * std::tanh(from_input(2) + reset * from_state(2)) + update * before[static_cast<std::size_t>(i)];
              } else {
                double& kept = cell[static_cast<std::size_t>(i)];
                kept = sigmoid(gate(1)) * kept + sigmoid(gate(0)) * std::tanh(gate(2));
                state = sigmoid(gate(3)) * std::tanh(kept);
              }
              y.at({t, row, i}) = rounded(state, dtype);
            }
          }
        }
        return y;
      });
}

// ---- einsum -----------------------------------------------------------------------------------------------------------------------

void einsums(Program& p) {
  constexpr Index kLetters = 4;
  const Dtype dtype = p.floating();
  Shape sizes;
  for (Index i = 0; i < kLetters; ++i) sizes.push_back(p.one_in(20) ? 0 : p.between(1, 3));
  std::vector<std::vector<Index>> letters(static_cast<std::size_t>(p.between(1, 3)));
  std::vector<Value> operands;
  std::string equation;
  bool used[kLetters] = {};
  for (auto& of_operand : letters) {
    Shape shape;
    if (!operands.empty()) equation += ',';
    for (Index rank = p.below(4); rank > 0; --rank) {
      const Index letter = p.below(kLetters);
      of_operand.push_back(letter);
      used[letter] = true;
      equation += static_cast<char>('a' + letter);
      shape.push_back(sizes[static_cast<int>(letter)]);
    }
    operands.push_back(p.finite(shape, dtype));
  }
  std::vector<Index> result;
  for (Index letter = 0; letter < kLetters; ++letter)
    if (used[letter] && p.one_in(2)) result.push_back(letter);
  if (result.size() > 1 && p.one_in(2)) std::reverse(result.begin(), result.end());
  equation += "->";
  for (const Index letter : result) equation += static_cast<char>('a' + letter);
  p.step(
      "einsum",
      [&] {
        std::vector<Tensor> x;
        x.reserve(operands.size());
        for (const Value& operand : operands) x.push_back(operand.tensor);
        return einsum(equation, x);
      },
      [&] { return code("einsum(\"{}\", {})", equation, operands); },
      [&] {
        Shape shape, summed;  // what is no letter of the equation has the size 1
        for (const Index letter : result) shape.push_back(sizes[static_cast<int>(letter)]);
        for (Index letter = 0; letter < kLetters; ++letter) {
          const bool is_summed = used[letter] && std::find(result.begin(), result.end(), letter) == result.end();
          summed.push_back(is_summed ? sizes[static_cast<int>(letter)] : 1);
        }
        return sums_of(shape, dtype, [&](const Shape& q) {
          Sum s;
          for_each_position(summed, [&](const Shape& inner) {
            Shape place = inner;
            for (std::size_t k = 0; k < result.size(); ++k) place[static_cast<int>(result[k])] = q[static_cast<int>(k)];
            double term = 1;
            for (std::size_t i = 0; i < operands.size(); ++i) {
              Shape at;
              for (const Index letter : letters[i]) at.push_back(place[static_cast<int>(letter)]);
              term *= operands[i].array.at(at);
            }
            s.add(term);
          });
          return s;
        });
      });
}

}  // namespace wengert::fuzz
