// The steps of random programs: each does an operation with the library and with the reference, and says how it is written in C++.
#include <algorithm>
#include <limits>
#include <numeric>

#include "networks.h"
#include "program.h"

namespace wengert::fuzz {
namespace {

using Value = Program::Value;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// ---- elementwise ------------------------------------------------------------------------------------------------------------------

void arithmetic(Program& p) {
  const Value a = p.any(), b = p.one_in(15) ? p.any() : p.of_shape(p.shape_like(a.array.shape), a.array.dtype);
  const Index kind = p.below(4);
  p.step(
      "arithmetic",
      [&] {
        return kind == 0 ? a.tensor + b.tensor : kind == 1 ? a.tensor - b.tensor : kind == 2 ? a.tensor * b.tensor : a.tensor / b.tensor;
      },
      [&] { return code("{} {} {}", a, "+-*/"[kind], b); },
      [&] {
        need(is_floating(a.array.dtype) || (a.array.dtype == int64 && kind < 3));
        return zip(a.array, b.array, a.array.dtype, [&](double s, double t) {
          return kind == 0 ? s + t : kind == 1 ? s - t : kind == 2 ? s * t : s / t;
        });
      });
}

void with_number(Program& p) {
  const Value x = p.any();
  const double number = p.one_in(2) ? static_cast<double>(p.between(-3, 3)) : p.real();
  const bool left = p.one_in(2);
  p.step(
      "a number", [&] { return left ? number * x.tensor + 1 : x.tensor * number + 1; },
      [&] { return left ? code("{} * {} + 1", number, x) : code("{} * {} + 1", x, number); },
      [&] {
        need(is_floating(x.array.dtype) || (x.array.dtype == int64 && number == std::floor(number)));
        const double as_element = rounded(number, x.array.dtype);
        Array y = map(map(x.array, [&](double v) { return v * as_element; }), [](double v) { return v + 1; });
        for (const double v : x.array.values) y.magnitudes.push_back(std::abs(v * as_element) + 1);
        return y;
      });
}

void comparison(Program& p) {
  const Value a = p.any(), b = p.one_in(15) ? p.any() : p.of_shape(p.shape_like(a.array.shape), a.array.dtype);
  const Index kind = p.below(3);
  p.step(
      "comparison", [&] { return kind == 0   ? a.tensor < b.tensor
                                 : kind == 1 ? a.tensor >= b.tensor
                                             : a.tensor == b.tensor; },
      [&] {
        return code("{} {} {}", a, kind == 0 ? "<" : kind == 1 ? ">=" : "==", b);
      },
      [&] { return zip(a.array, b.array, boolean, [&](double s, double t) { return kind == 0   ? s < t
                                                                                   : kind == 1 ? s >= t
                                                                                               : s == t; }); });
}

void selection(Program& p) {
  const Value a = p.any(), b = p.of_shape(p.shape_like(a.array.shape), p.one_in(15) ? float64 : a.array.dtype);
  const Value c = p.one_in(20) ? p.any() : p.of_shape(p.shape_like(a.array.shape), boolean);
  p.step(
      "where", [&] { return where(c.tensor, a.tensor, b.tensor); }, [&] { return code("where({}, {}, {})", c, a, b); },
      [&] {
        need(c.array.dtype == boolean && a.array.dtype == b.array.dtype);
        return array_of(broadcast(broadcast(a.array.shape, b.array.shape), c.array.shape), a.array.dtype, [&](const Shape& q) {
          return broadcast_at(c.array, q) != 0 ? broadcast_at(a.array, q) : broadcast_at(b.array, q);
        });
      });
}

struct Function {
  const char* name;
  Tensor (*ours)(const Tensor&, Location);
  double (*reference)(double);
};
constexpr Function kFunctions[] = {
    {"exp", exp, [](double x) { return std::exp(x); }},
    {"sin", sin, [](double x) { return std::sin(x); }},
    {"tanh", tanh, [](double x) { return std::tanh(x); }},
    {"sqrt", sqrt, [](double x) { return std::sqrt(x); }},
    {"log", log, [](double x) { return std::log(x); }},
    {"reciprocal", reciprocal, [](double x) { return 1 / x; }},
    {"sigmoid", sigmoid, [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }},
    {"floor", floor, [](double x) { return std::floor(x); }},
    {"expm1", expm1, [](double x) { return std::expm1(x); }},
};

void function(Program& p) {
  const Value x = p.any_floating();
  const Function& f = kFunctions[p.below(std::size(kFunctions))];
  p.step(
      "function", [&] { return f.ours(x.tensor, Location::here()); }, [&] { return code("{}({})", f.name, x); },
      [&] {
        need_floating(x.array);
        return map(x.array, f.reference);
      });
}

void function_of_integers_too(Program& p) {
  const Value x = p.any();
  const Index kind = p.below(3);
  p.step(
      "square, abs or relu", [&] { return kind == 0   ? square(x.tensor)
                                          : kind == 1 ? abs(x.tensor)
                                                      : relu(x.tensor); },
      [&] {
        return code("{}({})", kind == 0 ? "square" : kind == 1 ? "abs" : "relu", x);
      },
      [&] {
        need(x.array.dtype != boolean);
        return map(x.array, [&](double v) { return kind == 0 ? v * v : kind == 1 ? std::abs(v) : v <= 0 ? 0 : v; });
      });
}

void conversion(Program& p) {
  const Value x = p.any();
  const Dtype to = p.floating();
  p.step(
      "to", [&] { return x.tensor.to(to); }, [&] { return code("{}.to({})", x, to); },
      [&] { return array_of(x.array.shape, to, [&](const Shape& q) { return x.array.at(q); }); });
}

// ---- reductions -------------------------------------------------------------------------------------------------------------------

// The dtype of sums and products: booleans are counted.
Dtype counting(Dtype dtype) { return dtype == boolean ? int64 : dtype; }

double total(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }
double largest(const std::vector<double>& v) {
  double best = -kInfinity;
  for (const double x : v) best = std::isnan(x) || std::isnan(best) ? kNan : std::max(best, x);
  return best;
}
double log_of_sum(const std::vector<double>& v) {
  const double max = largest(v);
  if (!std::isfinite(max)) return max;
  double s = 0;
  for (const double x : v) s += std::exp(x - max);
  return max + std::log(s);
}

// [sum]
void sums(Program& p) {
  const Value x = p.any();
  const Dims dims = p.dims(x.array.rank());
  const bool keepdim = p.one_in(2);
  p.step(
      "sum", [&] { return sum(x.tensor, dims, {.keepdim = keepdim}); },
      [&] { return code("sum({}, {}, {{.keepdim = {}}})", x, dims, keepdim); },
      [&] { return reduce(x.array, dims, keepdim, counting(x.array.dtype), total); });
}
// [sum]

void means(Program& p) {
  const Value x = p.any_floating();
  const Dims dims = p.dims(x.array.rank());
  const bool keepdim = p.one_in(2);
  p.step(
      "mean", [&] { return mean(x.tensor, dims, {.keepdim = keepdim}); },
      [&] { return code("mean({}, {}, {{.keepdim = {}}})", x, dims, keepdim); },
      [&] {
        need_floating(x.array);
        return reduce(x.array, dims, keepdim, x.array.dtype, [](const auto& v) { return total(v) / static_cast<double>(v.size()); });
      });
}

void products(Program& p) {
  const Value x = p.any_floating();
  const Dims dims = p.dims(x.array.rank());
  const bool keepdim = p.one_in(2);
  p.step(
      "prod", [&] { return prod(x.tensor, dims, {.keepdim = keepdim}); },
      [&] { return code("prod({}, {}, {{.keepdim = {}}})", x, dims, keepdim); },
      [&] {
        return reduce(x.array, dims, keepdim, counting(x.array.dtype),
                      [](const auto& v) { return std::accumulate(v.begin(), v.end(), 1.0, std::multiplies<>()); });
      });
}

// Refused if x has no elements: then there is no largest or smallest one.
Array not_of_nothing(Array y, const Array& x) {
  need(x.size() > 0 || y.size() == 0);
  return y;
}

void extremes(Program& p) {
  const Value x = p.any_floating();
  const Dims dims = p.dims(x.array.rank());
  const bool keepdim = p.one_in(2);
  p.step(
      "max", [&] { return max(x.tensor, dims, {.keepdim = keepdim}); },
      [&] { return code("max({}, {}, {{.keepdim = {}}})", x, dims, keepdim); },
      [&] { return not_of_nothing(reduce(x.array, dims, keepdim, x.array.dtype, largest), x.array); });
}

void positions(Program& p) {
  const Value x = p.any_floating();
  const Index dim = p.dim(x.array.rank());
  const bool keepdim = p.one_in(2);
  p.step(
      "argmax", [&] { return argmax(x.tensor, dim, {.keepdim = keepdim}); },
      [&] { return code("argmax({}, {}, {{.keepdim = {}}})", x, dim, keepdim); },
      [&] {
        const Array y = reduce(x.array, {dim}, keepdim, int64, [](const auto& v) {
          std::size_t best = 0;
          for (std::size_t k = 0; k < v.size(); ++k)
            if (!std::isnan(v[best]) && (std::isnan(v[k]) || v[k] > v[best])) best = k;
          return static_cast<double>(best);
        });
        return not_of_nothing(y, x.array);
      });
}

void logsumexps(Program& p) {
  const Value x = p.any_floating();
  const Dims dims = p.dims(x.array.rank());
  const bool keepdim = p.one_in(2);
  p.step(
      "logsumexp", [&] { return logsumexp(x.tensor, dims, {.keepdim = keepdim}); },
      [&] { return code("logsumexp({}, {}, {{.keepdim = {}}})", x, dims, keepdim); },
      [&] {
        need_floating(x.array);
        Array y = reduce(x.array, dims, keepdim, x.array.dtype, log_of_sum);
        for (double& magnitude : y.magnitudes) magnitude += 1;
        return y;
      });
}

void variances(Program& p) {
  const Value x = p.any_floating();
  const Dims dims = p.dims(x.array.rank());
  const Index correction = p.below(2);
  p.step(
      "var", [&] { return var(x.tensor, dims, {.correction = correction}); },
      [&] { return code("var({}, {}, {{.correction = {}}})", x, dims, correction); },
      [&] {
        need_floating(x.array);
        Array y = reduce(x.array, dims, false, x.array.dtype, [&](const auto& v) {
          const double n = static_cast<double>(v.size()), m = total(v) / n;
          double s = 0;
          for (const double e : v) s += (e - m) * (e - m);
          return n > static_cast<double>(correction) ? s / (n - static_cast<double>(correction)) : kNan;
        });
        for (double& magnitude : y.magnitudes) magnitude = magnitude * magnitude + 1e-20;
        return y;
      });
}

void running_sums(Program& p) {
  const Value x = p.any_floating();
  const Index dim = p.dim(x.array.rank());
  p.step(
      "cumsum", [&] { return cumsum(x.tensor, dim); }, [&] { return code("cumsum({}, {})", x, dim); },
      [&] {
        return along(x.array, dimension(dim, x.array.rank()), counting(x.array.dtype), [](std::vector<double> v) {
          std::partial_sum(v.begin(), v.end(), v.begin());
          return v;
        });
      });
}

void softmaxes(Program& p) {
  const Value x = p.any_floating();
  const Index dim = p.dim(x.array.rank());
  const bool logarithm = p.one_in(2);
  p.step(
      "softmax", [&] { return logarithm ? log_softmax(x.tensor, dim) : softmax(x.tensor, dim); },
      [&] { return code("{}softmax({}, {})", logarithm ? "log_" : "", x, dim); },
      [&] {
        need_floating(x.array);
        return along(x.array, dimension(dim, x.array.rank()), x.array.dtype, [&](std::vector<double> v) {
          double max = largest(v), s = 0;
          for (const double e : v) s += std::exp(e - max);
          for (double& e : v) e = logarithm ? e - max - std::log(s) : std::exp(e - max) / s;
          return v;
        });
      });
}

// ---- shapes -----------------------------------------------------------------------------------------------------------------------

// A step whose result consists of elements of x; `from` returns the position of each in x.
template <class Library, class Text, class ShapeOf, class From>
void rearrangement(Program& p, const char* name, const Value& x, Library&& library, Text&& text, ShapeOf&& shape_of, From&& from) {
  p.step(name, library, text, [&] {
    const Shape shape = shape_of();
    return array_of(shape, x.array.dtype, [&](const Shape& q) { return x.array.at(from(q)); });
  });
}

void transposes(Program& p) {
  const Value x = p.any();
  const Index first = p.dim(x.array.rank()), second = p.dim(x.array.rank());
  const auto swapped = [&](Shape s) {
    std::swap(s[dimension(first, x.array.rank())], s[dimension(second, x.array.rank())]);
    return s;
  };
  rearrangement(
      p, "transpose", x, [&] { return transpose(x.tensor, first, second); },
      [&] { return code("transpose({}, {}, {})", x, first, second); },
      [&] {
        static_cast<void>(dimension(first, x.array.rank()) + dimension(second, x.array.rank()));
        return swapped(x.array.shape);
      },
      swapped);
}

void permutations(Program& p) {
  const Value x = p.any();
  Dims order;
  for (int d = 0; d < x.array.rank(); ++d) order.push_back(d);
  for (int d = x.array.rank(); d > 1; --d) std::swap(order[d - 1], order[static_cast<int>(p.below(d))]);
  if (p.one_in(10) && order.rank() > 0) order[0] = p.dim(x.array.rank());
  rearrangement(
      p, "permute", x, [&] { return permute(x.tensor, order); }, [&] { return code("permute({}, {})", x, order); },
      [&] {
        Shape s;
        std::vector<bool> seen(static_cast<std::size_t>(x.array.rank()));
        for (const Index given : order) {
          const auto d = static_cast<std::size_t>(dimension(given, x.array.rank()));
          need(!seen[d]);
          seen[d] = true;
          s.push_back(x.array.shape[static_cast<int>(d)]);
        }
        return s;
      },
      [&](const Shape& q) {
        Shape from = x.array.shape;
        for (int d = 0; d < q.rank(); ++d) from[dimension(order[d], x.array.rank())] = q[d];
        return from;
      });
}

void reshapes(Program& p) {
  const Value x = p.any();
  Shape wanted;
  Index left = x.array.size();
  for (Index rank = p.below(4); rank > 0 && left > 0; --rank) {
    Index size = p.between(1, 4);
    while (left % size) --size;
    wanted.push_back(size);
    left /= size;
  }
  wanted.push_back(p.one_in(4) ? -1 : left);
  if (p.one_in(10)) wanted.push_back(p.between(-2, 2));
  p.step(
      "reshape", [&] { return reshape(x.tensor, wanted); }, [&] { return code("reshape({}, {})", x, wanted); },
      [&] {
        Shape shape = wanted;
        Index known = 1, open = -1;
        for (int d = 0; d < shape.rank(); ++d) {
          need(shape[d] >= -1 && (shape[d] != -1 || open < 0));
          if (shape[d] == -1) {
            open = d;
          } else {
            known *= shape[d];
          }
        }
        if (open >= 0) {
          need(known > 0 && x.array.size() % known == 0);
          shape[static_cast<int>(open)] = x.array.size() / known;
        }
        need(count(shape) == x.array.size());
        return Array{shape, x.array.dtype, x.array.values};
      });
}

void expansions(Program& p) {
  const Value x = p.any();
  Shape to;
  if (p.one_in(3) && x.array.rank() < 4) to.push_back(p.between(0, 3));
  for (const Index size : x.array.shape) to.push_back(size == 1 ? p.between(0, 3) : size);
  if (p.one_in(10) && to.rank() > 0) to[static_cast<int>(p.below(to.rank()))] = p.between(-1, 5);
  rearrangement(
      p, "expand", x, [&] { return expand(x.tensor, to); }, [&] { return code("expand({}, {})", x, to); },
      [&] {
        const int added = to.rank() - x.array.rank();
        need(added >= 0);
        for (int d = 0; d < to.rank(); ++d)
          need(to[d] >= 0 && (d < added || x.array.shape[d - added] == 1 || x.array.shape[d - added] == to[d]));
        return to;
      },
      [&](const Shape& q) {
        Shape from = x.array.shape;
        for (int d = 0; d < from.rank(); ++d) from[d] = from[d] == 1 ? 0 : q[q.rank() - from.rank() + d];
        return from;
      });
}

// Shapes whose number of elements exceeds any memory, and overflows to 0 in 64 bits.
void huge_shapes(Program& p) {
  const Index size = Index(1) << p.between(31, 33);
  const bool zeros = p.one_in(2);
  const Value x = p.any();
  p.step(
      "a huge shape",
      [&] {
        return zeros ? Tensor::zeros({size, size, 8}) : expand(sum(x.tensor), {size, size, 8});
      },
      [&] { return zeros ? code("Tensor::zeros({{{0}, {0}, 8}})", size) : code("expand(sum({0}), {{{1}, {1}, 8}})", x, size); },
      []() -> Array { throw Refused(); });
}

void slices(Program& p) {
  const Value x = p.any();
  const Index dim = p.dim(x.array.rank()), start = p.between(-6, 6), stop = p.between(-6, 6), step = p.one_in(12) ? 0 : p.between(1, 3);
  const auto first = [&](Index n) { return std::clamp<Index>(start < 0 ? start + n : start, 0, n); };
  rearrangement(
      p, "slice", x, [&] { return slice(x.tensor, dim, start, stop, step); },
      [&] { return code("slice({}, {}, {}, {}, {})", x, dim, start, stop, step); },
      [&] {
        Shape s = x.array.shape;
        Index& n = s[dimension(dim, x.array.rank())];
        need(step > 0);
        const Index from = first(n), to = std::clamp<Index>(stop < 0 ? stop + n : stop, 0, n);
        n = std::max<Index>(0, (to - from + step - 1) / step);
        return s;
      },
      [&](Shape q) {
        const int d = dimension(dim, x.array.rank());
        q[d] = first(x.array.shape[d]) + q[d] * step;
        return q;
      });
}

void selects(Program& p) {
  const Value x = p.any();
  const Index dim = p.dim(x.array.rank()), index = p.between(-4, 3);
  p.step(
      "select", [&] { return select(x.tensor, dim, index); }, [&] { return code("select({}, {}, {})", x, dim, index); },
      [&] {
        const int d = dimension(dim, x.array.rank());
        const Index n = x.array.shape[d];
        need(index >= -n && index < n);
        Shape shape;
        for (int k = 0; k < x.array.rank(); ++k)
          if (k != d) shape.push_back(x.array.shape[k]);
        return array_of(shape, x.array.dtype, [&](const Shape& q) {
          Shape from = x.array.shape;
          for (int k = 0; k < x.array.rank(); ++k) from[k] = k == d ? (index < 0 ? index + n : index) : q[k < d ? k : k - 1];
          return x.array.at(from);
        });
      });
}

void flips(Program& p) {
  const Value x = p.any();
  const Dims dims = p.dims(x.array.rank());
  std::vector<bool> over(static_cast<std::size_t>(x.array.rank()));
  rearrangement(
      p, "flip", x, [&] { return flip(x.tensor, dims); }, [&] { return code("flip({}, {})", x, dims); },
      [&] {
        for (const Index given : dims) {
          const auto d = static_cast<std::size_t>(dimension(given, x.array.rank()));
          need(!over[d]);
          over[d] = true;
        }
        return x.array.shape;
      },
      [&](Shape q) {
        for (int d = 0; d < q.rank(); ++d)
          if (over[static_cast<std::size_t>(d)]) q[d] = x.array.shape[d] - 1 - q[d];
        return q;
      });
}

void unsqueezes(Program& p) {
  const Value x = p.any();
  if (x.array.rank() > 4) return;
  const Index dim = p.between(-x.array.rank() - 2, x.array.rank() + 1);
  p.step(
      "unsqueeze", [&] { return unsqueeze(x.tensor, dim); }, [&] { return code("unsqueeze({}, {})", x, dim); },
      [&] {
        const int at = dimension(dim, x.array.rank() + 1);
        Shape s;
        for (int d = 0; d <= x.array.rank(); ++d) {
          if (d == at) s.push_back(1);
          if (d < x.array.rank()) s.push_back(x.array.shape[d]);
        }
        return Array{s, x.array.dtype, x.array.values};
      });
}

void joins(Program& p) {
  const Value a = p.any();
  const Index dim = p.dim(a.array.rank());
  Shape other = a.array.shape;
  if (other.rank() > 0 && dim >= -other.rank() && dim < other.rank() && !p.one_in(10))
    other[static_cast<int>(dim < 0 ? dim + other.rank() : dim)] = p.below(4);
  if (p.one_in(10)) other = p.shape();
  const Value b = p.of_shape(other, a.array.dtype);
  p.step(
      "concat",
      [&] {
        return concat({a.tensor, b.tensor}, dim);
      },
      [&] { return code("concat({{{}, {}}}, {})", a, b, dim); },
      [&] {
        const int d = dimension(dim, a.array.rank());
        need(b.array.rank() == a.array.rank());
        Shape s = a.array.shape;
        for (int k = 0; k < s.rank(); ++k) need(k == d || s[k] == b.array.shape[k]);
        s[d] += b.array.shape[d];
        return array_of(s, a.array.dtype, [&](Shape q) {
          if (q[d] < a.array.shape[d]) return a.array.at(q);
          q[d] -= a.array.shape[d];
          return b.array.at(q);
        });
      });
}

void paddings(Program& p) {
  const Value x = p.any_floating();
  Dims before, after;
  for (int d = 0; d < x.array.rank(); ++d) {
    before.push_back(p.between(-1, 2));
    after.push_back(p.between(-1, 2));
  }
  if (p.one_in(15)) after.push_back(0);
  const double value = p.one_in(2) ? 0 : 0.5;
  p.step(
      "pad", [&] { return pad(x.tensor, before, after, value); }, [&] { return code("pad({}, {}, {}, {})", x, before, after, value); },
      [&] {
        need(before.rank() == x.array.rank() && after.rank() == x.array.rank());
        Shape s = x.array.shape;
        for (int d = 0; d < s.rank(); ++d) {
          s[d] += before[d] + after[d];
          need(s[d] >= 0);
        }
        need(is_floating(x.array.dtype) || value == 0);
        return array_of(s, x.array.dtype, [&](Shape q) {
          for (int d = 0; d < q.rank(); ++d) {
            q[d] -= before[d];
            if (q[d] < 0 || q[d] >= x.array.shape[d]) return value;
          }
          return x.array.at(q);
        });
      });
}

void triangles(Program& p) {
  const Value x = p.any_floating();
  const Index diagonal = p.between(-3, 3);
  const bool lower = p.one_in(2);
  p.step(
      "tril or triu", [&] { return lower ? tril(x.tensor, diagonal) : triu(x.tensor, diagonal); },
      [&] { return code("{}({}, {})", lower ? "tril" : "triu", x, diagonal); },
      [&] {
        need(x.array.rank() >= 2);
        return array_of(x.array.shape, x.array.dtype, [&](const Shape& q) {
          const Index right = q[q.rank() - 1] - q[q.rank() - 2];
          return (lower ? right <= diagonal : right >= diagonal) ? x.array.at(q) : 0;
        });
      });
}

// ---- positions --------------------------------------------------------------------------------------------------------------------

void index_selects(Program& p) {
  const Value x = p.any();
  const Index dim = p.dim(x.array.rank());
  const bool fits = dim >= -x.array.rank() && dim < x.array.rank();
  const Index n = fits ? x.array.shape[dimension(dim, x.array.rank())] : 1;
  const Value index = p.integers(p.one_in(15) ? p.shape() : Shape{p.below(5)}, 0, n - 1);
  p.step(
      "index_select", [&] { return index_select(x.tensor, dim, index.tensor); },
      [&] { return code("index_select({}, {}, {})", x, dim, index); },
      [&] {
        const int d = dimension(dim, x.array.rank());
        need(index.array.rank() == 1);
        for (const double at : index.array.values) need(at >= 0 && at < static_cast<double>(n));
        Shape s = x.array.shape;
        s[d] = index.array.size();
        return array_of(s, x.array.dtype, [&](Shape q) {
          q[d] = static_cast<Index>(index.array.values[static_cast<std::size_t>(q[d])]);
          return x.array.at(q);
        });
      });
}

void gathers(Program& p) {
  const Value x = p.any();
  const Index dim = p.dim(x.array.rank());
  Shape shape = x.array.shape;
  const bool fits = dim >= -x.array.rank() && dim < x.array.rank();
  const int at = fits ? dimension(dim, x.array.rank()) : 0;
  if (fits) shape[at] = p.below(4);
  if (p.one_in(10)) shape = p.shape();
  const Value index = p.integers(shape, 0, fits ? x.array.shape[at] - 1 : 0);
  p.step(
      "gather", [&] { return gather(x.tensor, dim, index.tensor); }, [&] { return code("gather({}, {}, {})", x, dim, index); },
      [&] {
        const int d = dimension(dim, x.array.rank());
        need(index.array.rank() == x.array.rank());
        for (int k = 0; k < shape.rank(); ++k) need(k == d || shape[k] <= x.array.shape[k]);
        for (const double i : index.array.values) need(i >= 0 && i < static_cast<double>(x.array.shape[d]));
        return array_of(shape, x.array.dtype, [&](Shape q) {
          q[d] = static_cast<Index>(index.array.at(q));
          return x.array.at(q);
        });
      });
}

void scatters(Program& p) {
  const Value x = p.any_floating();
  const Index dim = p.dim(x.array.rank());
  Shape shape = x.array.shape;
  const bool fits = dim >= -x.array.rank() && dim < x.array.rank();
  const int at = fits ? dimension(dim, x.array.rank()) : 0;
  if (fits) shape[at] = p.below(4);
  const Value index = p.integers(shape, 0, fits ? x.array.shape[at] - 1 : 0),
              source = p.of_shape(p.one_in(15) ? p.shape() : shape, x.array.dtype);
  p.step(
      "scatter_add", [&] { return scatter_add(x.tensor, dim, index.tensor, source.tensor); },
      [&] { return code("scatter_add({}, {}, {}, {})", x, dim, index, source); },
      [&] {
        const int d = dimension(dim, x.array.rank());
        need(source.array.shape == shape);
        need(x.array.dtype != boolean);
        for (const double i : index.array.values) need(i >= 0 && i < static_cast<double>(x.array.shape[d]));
        Array y = x.array;
        for (const double v : y.values) y.magnitudes.push_back(std::abs(v));
        for_each_position(shape, [&](const Shape& q) {
          Shape to = q;
          to[d] = static_cast<Index>(index.array.at(q));
          y.at(to) += source.array.at(q);
          y.magnitudes[y.flat(to)] += std::abs(source.array.at(q));
        });
        return y;
      });
}

// ---- parts and assignments ----------------------------------------------------------------------------------------------------------

// Indices for some of the first dimensions, and the positions that they select in each dimension. Refused if the indices do not fit.
struct RandomPart {
  std::vector<Subscript> index;
  struct Taken {
    std::vector<Index> positions;
    bool dropped;
  };
  std::vector<Taken> taken(const Shape& shape) const {
    std::vector<Taken> all;
    need(static_cast<int>(index.size()) <= shape.rank());
    for (int d = 0; d < shape.rank(); ++d) {
      const Index n = shape[d];
      const bool given = d < static_cast<int>(index.size());
      const Range range = given ? index[static_cast<std::size_t>(d)].range : All;
      const auto from_front = [n](Index i) { return i < 0 ? i + n : i; };
      Taken t{{}, given && index[static_cast<std::size_t>(d)].kind == Subscript::Kind::integer};
      if (t.dropped) {
        need(from_front(range.start) >= 0 && from_front(range.start) < n);
        t.positions = {from_front(range.start)};
      } else {
        need(range.step > 0);
        for (Index i = std::max<Index>(0, from_front(range.start)); i < std::min(n, from_front(range.stop));
             i += std::min(range.step, n + 1))
          t.positions.push_back(i);
      }
      all.push_back(t);
    }
    return all;
  }
};
RandomPart random_part(Program& p, int rank) {
  RandomPart part;
  const Index count = std::min<Index>(5, p.one_in(20) ? rank + 1 : p.below(rank + 1));  // x(...) takes no more
  for (Index k = 0; k < count; ++k) {
    if (p.one_in(3)) {
      part.index.emplace_back(p.one_in(20) ? p.between(-5, 5) : p.between(-1, 0));
    } else {
      part.index.emplace_back(Range(p.between(-3, 2), p.one_in(3) ? End : p.between(-2, 5), p.one_in(30) ? 0 : p.between(1, 3)));
    }
  }
  return part;
}
Shape shape_of(const std::vector<RandomPart::Taken>& taken) {
  Shape shape;
  for (const auto& t : taken)
    if (!t.dropped) shape.push_back(static_cast<Index>(t.positions.size()));
  return shape;
}
// The position in the whole tensor of an element of a part.
Shape position_of(const std::vector<RandomPart::Taken>& taken, const Shape& in_part) {
  Shape position;
  int k = 0;
  for (const auto& t : taken) position.push_back(t.positions[static_cast<std::size_t>(t.dropped ? 0 : in_part[k++])]);
  return position;
}

void parts(Program& p) {
  const Value x = p.any();
  const RandomPart part = random_part(p, x.array.rank());
  const auto& i = part.index;
  const bool bracket = i.size() == 1 && p.one_in(2);
  p.step(
      "x(...)",
      [&] {
        switch (i.size()) {
          case 0:
            return x.tensor(Ellipsis);
          case 1:
            return bracket ? x.tensor[i[0]] : x.tensor(i[0]);
          case 2:
            return x.tensor(i[0], i[1]);
          case 3:
            return x.tensor(i[0], i[1], i[2]);
          case 4:
            return x.tensor(i[0], i[1], i[2], i[3]);
          default:
            return x.tensor(i[0], i[1], i[2], i[3], i[4]);
        }
      },
      [&] {
        if (i.empty()) return code("{}(Ellipsis)", x);
        if (bracket) return code("{}[{}]", x, i[0]);
        std::vector<std::string> indices;
        for (const Subscript& index : i) indices.push_back(literal(index));
        if (i[0].kind == Subscript::Kind::integer) indices[0] = code("Subscript({})", i[0]);  // x(0, 1) is a Scalar
        return code("{}({})", x, list(indices));
      },
      [&] {
        const auto taken = part.taken(x.array.shape);
        return array_of(shape_of(taken), x.array.dtype, [&](const Shape& q) { return x.array.at(position_of(taken, q)); });
      });
}

void slice_updates(Program& p) {
  const Value x = p.any();
  const RandomPart part = random_part(p, x.array.rank());
  Shape shape = {};
  try {
    shape = shape_of(part.taken(x.array.shape));
  } catch (const Refused&) {
  }
  const Value v = p.of_shape(p.one_in(15) ? p.shape() : p.shape_like(shape), p.one_in(20) ? float64 : x.array.dtype);
  p.step(
      "slice_update", [&] { return slice_update(x.tensor, std::span<const Subscript>(part.index), v.tensor); },
      [&] { return code("slice_update({}, {}, {})", x, part.index, v); },
      [&] {
        const auto taken = part.taken(x.array.shape);
        need(x.array.dtype == v.array.dtype && broadcast(shape, v.array.shape) == shape);
        Array y = x.array;
        for_each_position(shape, [&](const Shape& q) { y.at(position_of(taken, q)) = broadcast_at(v.array, q); });
        y.magnitudes = {};
        return y;
      });
}

void index_puts(Program& p) {
  const Value x = p.any();
  const Index indexed = p.one_in(20) ? p.below(6) : std::min<Index>(x.array.rank(), p.between(1, 3)), count = p.below(4);
  std::vector<Value> index;
  for (Index d = 0; d < indexed; ++d)
    index.push_back(p.integers({count}, 0, d < x.array.rank() ? x.array.shape[static_cast<int>(d)] - 1 : 0));
  Shape shape{count};
  for (Index d = indexed; d < x.array.rank(); ++d) shape.push_back(x.array.shape[static_cast<int>(d)]);
  const Value v = p.of_shape(p.one_in(15) ? p.shape() : p.shape_like(shape), x.array.dtype);
  const bool accumulate = p.one_in(2);
  std::vector<Tensor> tensors;
  for (const Value& i : index) tensors.push_back(i.tensor);
  p.step(
      "index_put", [&] { return index_put(x.tensor, std::span<const Tensor>(tensors), v.tensor, {.accumulate = accumulate}); },
      [&] { return code("index_put({}, {}, {}, {{.accumulate = {}}})", x, index, v, accumulate); },
      [&] {
        need(indexed >= 1 && indexed <= x.array.rank());
        for (Index d = 0; d < indexed; ++d)
          for (const double i : index[static_cast<std::size_t>(d)].array.values)
            need(i >= 0 && i < static_cast<double>(x.array.shape[static_cast<int>(d)]));
        need(broadcast(shape, v.array.shape) == shape);
        need(!accumulate || x.array.dtype != boolean);
        Array y = x.array;
        y.magnitudes = {};
        for (const double e : y.values) y.magnitudes.push_back(std::abs(e));
        for_each_position(shape, [&](const Shape& q) {
          Shape to;
          for (const Value& i : index) to.push_back(static_cast<Index>(i.array.values[static_cast<std::size_t>(q[0])]));
          for (int d = 1; d < q.rank(); ++d) to.push_back(q[d]);
          const double value = broadcast_at(v.array, q);
          y.at(to) = accumulate ? rounded(y.at(to) + value, y.dtype) : value;
          y.magnitudes[y.flat(to)] += std::abs(value);
        });
        return y;
      });
}

void puts(Program& p) {
  const Value x = p.any();
  const Index dim = p.dim(x.array.rank());
  Shape shape = x.array.shape;
  const bool fits = dim >= -x.array.rank() && dim < x.array.rank();
  const int at = fits ? dimension(dim, x.array.rank()) : 0;
  if (fits) shape[at] = p.below(4);
  const Value index = p.integers(shape, 0, fits ? x.array.shape[at] - 1 : 0),
              source = p.of_shape(p.one_in(15) ? p.shape() : shape, x.array.dtype);
  p.step(
      "scatter", [&] { return scatter(x.tensor, dim, index.tensor, source.tensor); },
      [&] { return code("scatter({}, {}, {}, {})", x, dim, index, source); },
      [&] {
        const int d = dimension(dim, x.array.rank());
        need(source.array.shape == shape);
        for (const double i : index.array.values) need(i >= 0 && i < static_cast<double>(x.array.shape[d]));
        Array y = x.array;
        y.magnitudes = {};
        for_each_position(shape, [&](const Shape& q) {
          Shape to = q;
          to[d] = static_cast<Index>(index.array.at(q));
          y.at(to) = source.array.at(q);
        });
        return y;
      });
}

void masked_scatters(Program& p) {
  const Value x = p.any(), mask = p.of_shape(p.shape_like(x.array.shape), p.one_in(15) ? int64 : boolean);
  double count = 0;
  try {
    for_each_position(broadcast(x.array.shape, mask.array.shape), [&](const Shape& q) { count += broadcast_at(mask.array, q) != 0; });
  } catch (const Refused&) {
  }
  const Value source = p.of_shape({static_cast<Index>(count) + (p.one_in(15) ? 1 : 0)}, x.array.dtype);
  p.step(
      "masked_scatter", [&] { return masked_scatter(x.tensor, mask.tensor, source.tensor); },
      [&] { return code("masked_scatter({}, {}, {})", x, mask, source); },
      [&] {
        need(mask.array.dtype == boolean && broadcast(x.array.shape, mask.array.shape) == x.array.shape);
        need(static_cast<double>(source.array.size()) == count);
        std::size_t k = 0;
        return array_of(x.array.shape, x.array.dtype,
                        [&](const Shape& q) { return broadcast_at(mask.array, q) != 0 ? source.array.values[k++] : x.array.at(q); });
      });
}

// ---- logic --------------------------------------------------------------------------------------------------------------------------

void logic(Program& p) {
  const Value a = p.one_in(15) ? p.any() : p.of_shape(p.shape(), boolean),
              b = p.of_shape(p.shape_like(a.array.shape), p.one_in(15) ? int64 : boolean);
  const Index kind = p.below(4);
  p.step(
      "logic",
      [&] {
        return kind == 0   ? a.tensor && b.tensor
               : kind == 1 ? a.tensor || b.tensor
               : kind == 2 ? logical_xor(a.tensor, b.tensor)
                           : !a.tensor;
      },
      [&] {
        return kind == 3 ? code("!{}", a) : kind == 2 ? code("logical_xor({}, {})", a, b) : code("{} {} {}", a, kind == 0 ? "&&" : "||", b);
      },
      [&] {
        need(a.array.dtype == boolean);
        if (kind == 3) return map(a.array, [](double v) { return v == 0; });
        need(b.array.dtype == boolean);
        return zip(a.array, b.array, boolean, [&](double s, double t) {
          return kind == 0 ? s != 0 && t != 0 : kind == 1 ? s != 0 || t != 0 : s != t;
        });
      });
}

void any_or_all(Program& p) {
  const Value x = p.one_in(15) ? p.any() : p.of_shape(p.shape(), boolean);
  const Dims dims = p.dims(x.array.rank());
  const bool keepdim = p.one_in(2), any_of = p.one_in(2);
  p.step(
      "any or all", [&] { return any_of ? any(x.tensor, dims, {.keepdim = keepdim}) : all(x.tensor, dims, {.keepdim = keepdim}); },
      [&] { return code("{}({}, {}, {{.keepdim = {}}})", any_of ? "any" : "all", x, dims, keepdim); },
      [&] {
        need(x.array.dtype == boolean);
        return reduce(x.array, dims, keepdim, boolean, [&](const auto& v) {
          return any_of ? std::any_of(v.begin(), v.end(), [](double e) { return e != 0; })
                        : std::all_of(v.begin(), v.end(), [](double e) { return e != 0; });
        });
      });
}

void kinds_of_numbers(Program& p) {
  const Value x = p.any();
  const Index kind = p.below(3);
  p.step(
      "isnan, isinf or isfinite", [&] { return kind == 0   ? isnan(x.tensor)
                                               : kind == 1 ? isinf(x.tensor)
                                                           : isfinite(x.tensor); },
      [&] {
        return code("{}({})", kind == 0 ? "isnan" : kind == 1 ? "isinf" : "isfinite", x);
      },
      [&] {
        return array_of(x.array.shape, boolean, [&](const Shape& q) {
          const double v = x.array.at(q);
          return kind == 0 ? std::isnan(v) : kind == 1 ? std::isinf(v) : std::isfinite(v);
        });
      });
}

void masked_fills(Program& p) {
  const Value x = p.any_floating(), mask = p.of_shape(p.shape_like(x.array.shape), p.one_in(15) ? int64 : boolean);
  const double value = p.one_in(2) ? 1 : 0.25;
  p.step(
      "masked_fill", [&] { return masked_fill(x.tensor, mask.tensor, value); },
      [&] { return code("masked_fill({}, {}, {})", x, mask, value); },
      [&] {
        need(mask.array.dtype == boolean);
        need(is_floating(x.array.dtype) || value == std::floor(value));
        need(broadcast(x.array.shape, mask.array.shape) == x.array.shape);
        return array_of(x.array.shape, x.array.dtype,
                        [&](const Shape& q) { return broadcast_at(mask.array, q) != 0 ? value : x.array.at(q); });
      });
}

void sorts(Program& p) {
  const Value x = p.any_floating();
  const Index dim = p.dim(x.array.rank());
  const bool descending = p.one_in(2);
  p.step(
      "sort", [&] { return sort(x.tensor, dim, descending).values; }, [&] { return code("sort({}, {}, {}).values", x, dim, descending); },
      [&] {
        return along(x.array, dimension(dim, x.array.rank()), x.array.dtype, [&](std::vector<double> v) {
          const auto less = [](double a, double b) { return !std::isnan(a) && (std::isnan(b) || a < b); };
          std::sort(v.begin(), v.end(), [&](double a, double b) { return descending ? less(b, a) : less(a, b); });
          return v;
        });
      });
}

void one_hots(Program& p) {
  const Index classes = p.between(0, 4);
  const Value index = p.integers(p.shape(), 0, classes - 1);
  p.step(
      "one_hot", [&] { return one_hot(index.tensor, classes); }, [&] { return code("one_hot({}, {})", index, classes); },
      [&] {
        for (const double i : index.array.values) need(i >= 0 && i < static_cast<double>(classes));
        Shape s = index.array.shape;
        s.push_back(classes);
        return array_of(s, int64, [&](const Shape& q) {
          Shape from = index.array.shape;
          for (int d = 0; d < from.rank(); ++d) from[d] = q[d];
          return index.array.at(from) == static_cast<double>(q[q.rank() - 1]) ? 1 : 0;
        });
      });
}

// ---- matrices ---------------------------------------------------------------------------------------------------------------------

void matrix_products(Program& p) {
  const Value a = p.any_floating();
  Shape shape = p.shape();
  if (a.array.rank() > 0 && !p.one_in(8)) {
    shape = p.one_in(4) ? Shape{a.array.shape.back()} : Shape{a.array.shape.back(), p.below(4)};
    if (shape.rank() == 2 && a.array.rank() == 3 && p.one_in(2)) shape = {p.one_in(2) ? 1 : a.array.shape[0], shape[0], shape[1]};
  }
  const Value b = p.of_shape(shape, p.one_in(20) ? p.floating() : a.array.dtype);
  p.step(
      "matmul", [&] { return wengert::matmul(a.tensor, b.tensor); }, [&] { return code("matmul({}, {})", a, b); },
      [&] { return matmul(a.array, b.array); });
}

void inner_products(Program& p) {
  const Value a = p.any_floating(), b = p.of_shape(p.one_in(8) ? p.shape() : a.array.shape, a.array.dtype);
  p.step(
      "dot", [&] { return dot(a.tensor, b.tensor); }, [&] { return code("dot({}, {})", a, b); },
      [&] {
        need(a.array.rank() == 1 && b.array.rank() == 1);
        return matmul(a.array, b.array);
      });
}

}  // namespace

std::span<const Operation> operations() {
  static constexpr Operation kAll[] = {
      {"arithmetic", arithmetic},
      {"a number", with_number},
      {"comparison", comparison},
      {"where", selection},
      {"function", function},
      {"function of integers", function_of_integers_too},
      {"to", conversion},
      {"sum", sums},
      {"mean", means},
      {"prod", products},
      {"max", extremes},
      {"argmax", positions},
      {"logsumexp", logsumexps},
      {"var", variances},
      {"cumsum", running_sums},
      {"softmax", softmaxes},
      {"transpose", transposes},
      {"permute", permutations},
      {"reshape", reshapes},
      {"expand", expansions},
      {"huge shape", huge_shapes},
      {"slice", slices},
      {"select", selects},
      {"flip", flips},
      {"unsqueeze", unsqueezes},
      {"concat", joins},
      {"pad", paddings},
      {"triangle", triangles},
      {"index_select", index_selects},
      {"gather", gathers},
      {"scatter_add", scatters},
      {"masked_fill", masked_fills},
      {"x(...)", parts},
      {"slice_update", slice_updates},
      {"index_put", index_puts},
      {"scatter", puts},
      {"masked_scatter", masked_scatters},
      {"logic", logic},
      {"any or all", any_or_all},
      {"kinds of numbers", kinds_of_numbers},
      {"sort", sorts},
      {"one_hot", one_hots},
      {"matmul", matrix_products},
      {"dot", inner_products},
      {"convolution", convolutions},
      {"pooling", poolings},
      {"normalization", normalizations},
      {"attention", attentions},
      {"recurrence", recurrences},
      {"einsum", einsums},
  };
  return kAll;
}

}  // namespace wengert::fuzz
