// What the nodes of an ONNX file compute, in operations of the library (onnx.ai/onnx/operators, operator sets 13 to 20).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "autodiff/error.h"
#include "autodiff/io/in_quotes.h"
#include "autodiff/ops.h"
#include "nn/onnx/program.h"

namespace wengert::nn::onnx {
namespace {

using Integers = std::vector<std::int64_t>;
using Operands = std::span<const Tensor>;

// A function of operands with one result.
template <class F> Run one(F f) {
  return [f = std::move(f)](Operands x, std::span<Tensor> y, RunContext&) { y[0] = f(x); };
}

Integers integers_of(const Tensor& t) {
  if (t.dtype() != int64) throw DtypeError(fmt::format("{} must be int64", describe(t)));
  return t.contiguous().to_vector<std::int64_t>();
}
Tensor at(Operands x, std::size_t i) { return i < x.size() ? x[i] : Tensor(); }
Dims as_dims(const Integers& v) { return Dims(std::span<const Index>(v)); }
double number_of(const Tensor& t) {
  if (t.size() != 1) throw ShapeError(fmt::format("{} must be one number", describe(t)));
  return t.element(0);
}
int dim_of(const Tensor& x, std::int64_t dim, int added = 0) {
  const int rank = x.rank() + added;
  if (dim < -rank || dim >= rank) throw ShapeError(fmt::format("there is no dimension {} of {}", dim, describe(x)));
  return static_cast<int>(dim < 0 ? dim + rank : dim);
}

// ---- elementwise ---------------------------------------------------------------------------------------------------------------------

template <Tensor (*kFunction)(const Tensor&, Location)> Run unary(NodeReader& n) {
  n.arity(1, 1);
  return one([](Operands x) { return kFunction(x[0], Location::here()); });
}
template <class F> Run binary(NodeReader& n, F f) {
  n.arity(2, 2);
  return one([f](Operands x) { return f(x[0], x[1]); });
}
// Of one operand or more, from the left.
template <class F> Run variadic(NodeReader& n, F f) {
  n.arity(1, std::numeric_limits<std::size_t>::max());
  return one([f](Operands x) {
    Tensor y = x[0];
    for (std::size_t i = 1; i < x.size(); ++i) y = f(y, x[i]);
    return y;
  });
}
template <class F> Run with_number(NodeReader& n, const char* attribute, double otherwise, F f) {
  n.arity(1, 1);
  return one([f, v = n.number(attribute, otherwise)](Operands x) { return f(x[0], v); });
}

Run clip(NodeReader& n) {
  n.arity(1, 3);
  return one([](Operands x) {
    const Tensor low = at(x, 1), high = at(x, 2);
    return clamp(x[0], low.defined() ? number_of(low) : -HUGE_VAL, high.defined() ? number_of(high) : HUGE_VAL);
  });
}
Run hard_sigmoid(NodeReader& n) {
  n.arity(1, 1);
  const auto alpha = static_cast<float>(n.number("alpha", 0.2)), beta = static_cast<float>(n.number("beta", 0.5));
  if (alpha == 1.0F / 6 && beta == 0.5F) return one([](Operands x) { return hardsigmoid(x[0]); });
  return one([alpha, beta](Operands x) { return clamp(x[0] * alpha + beta, 0, 1); });
}
Run scaled_elu(NodeReader& n) {
  n.arity(1, 1);
  if (n.has("alpha") || n.has("gamma")) {
    const bool usual =
        std::abs(n.number("alpha", 1.6732632) - 1.6732632) < 1e-6 && std::abs(n.number("gamma", 1.0507010) - 1.0507010) < 1e-6;
    if (!usual) n.fail("only its usual alpha and gamma are known");
  }
  return one([](Operands x) { return selu(x[0]); });
}
Run shrink(NodeReader& n) {
  n.arity(1, 1);
  const double lambda = n.number("lambd", 0.5), bias = n.number("bias", 0);
  if (lambda != bias || !(lambda >= 0)) n.fail("only the shrinkage whose bias is its lambd is known");
  return one([lambda](Operands x) { return softshrink(x[0], lambda); });
}
Run gelu_of(NodeReader& n) {
  n.arity(1, 1);
  const std::string approximate = n.text("approximate", "none");
  if (approximate == "tanh") return one([](Operands x) { return gelu_tanh(x[0]); });
  if (approximate != "none") n.fail(fmt::format("the approximation {} is not known", in_quotes(approximate)));
  return one([](Operands x) { return gelu(x[0]); });
}
Run leaky_by_weight(NodeReader& n) {
  n.arity(2, 2);
  return one([](Operands x) {
    const Tensor& slope = x[1];
    // (c, 1, ...): one slope for each channel
    const bool channels =
        slope.rank() == x[0].rank() - 1 && slope.rank() > 0 && slope.size() == slope.shape()[0] && slope.size() == x[0].shape()[1];
    if (slope.size() == 1 || channels) return prelu(x[0], slope.rank() == 1 ? slope : reshape(slope, {-1}));
    return where(x[0] > 0, x[0], x[0] * slope);
  });
}
Run cast(NodeReader& n) {
  n.arity(1, 1);
  n.integer("saturate", 1);
  const std::int64_t to = n.integer("to", 0);
  switch (to) {
    case 1:
      return one([](Operands x) { return x[0].to(float32); });
    case 11:
      return one([](Operands x) { return x[0].to(float64); });
    case 6:  // int32
    case 7:
      return one([](Operands x) { return x[0].to(int64); });
    case 9:
      return one([](Operands x) { return x[0].dtype() == boolean ? x[0] : x[0].constant() != 0; });
    default:
      n.fail(fmt::format("there are no tensors of the type {}", to));
  }
}

// ---- products and normalisation ------------------------------------------------------------------------------------------------------

Run gemm(NodeReader& n) {
  n.arity(2, 3);
  const double alpha = n.number("alpha", 1), beta = n.number("beta", 1);
  const bool left = n.integer("transA", 0) != 0, right = n.integer("transB", 0) != 0;
  return one([=](Operands x) {
    const Tensor a = left ? transpose(x[0]) : x[0], c = at(x, 2);
    if (alpha == 1 && a.rank() == 2 && x[1].rank() == 2) {  // as a linear layer, whose weight is (out, in)
      const Tensor weight = right ? x[1] : transpose(x[1]);
      if (!c.defined()) return linear(a, weight);
      if (beta == 1 && c.rank() == 1 && c.size() == weight.size(0)) return linear(a, weight, c);
    }
    Tensor y = matmul(a, right ? transpose(x[1]) : x[1]);
    if (alpha != 1) y = y * alpha;
    if (!c.defined()) return y;
    return beta == 1 ? y + c : y + c * beta;
  });
}
Run einstein_sum(NodeReader& n) {
  n.arity(1, std::numeric_limits<std::size_t>::max());
  return one([equation = n.text("equation", "")](Operands x) { return einsum(equation, x); });
}

Run batch_normalization(NodeReader& n) {
  n.arity(5, 5);
  n.require("training_mode", 0);
  const double eps = n.number("epsilon", 1e-5);
  const double momentum = shortest_decimal(static_cast<float>(1 - n.number("momentum", 0.9)));  // ONNX weighs the old statistics
  const int mean = n.state(3), variance = n.state(4);
  // A shift by a constant 0 would make 0 of -0.
  const Tensor bias = n.constant(2);
  const bool shifts = !bias.defined() || any(bias != 0).element(0) != 0;
  return [=](Operands x, std::span<Tensor> y, RunContext& context) {
    const bool by_batch = context.training && mean >= 0 && variance >= 0;
    BatchNormResult result = batch_norm(
        x[0], x[3], x[4],
        {.weight = x[1], .bias = shifts ? x[2] : Tensor(), .training = by_batch, .momentum = std::clamp(momentum, 0.0, 1.0), .eps = eps});
    y[0] = std::move(result.y);
    if (!by_batch || context.state.empty()) return;
    context.state[static_cast<std::size_t>(mean)].value = std::move(result.running_mean);
    context.state[static_cast<std::size_t>(variance)].value = std::move(result.running_var);
  };
}
Run layer_normalization(NodeReader& n) {
  n.arity(2, 3);
  n.integer("stash_type", 1);
  return one([axis = n.integer("axis", -1), eps = n.number("epsilon", 1e-5)](Operands x) {
    Shape normalized;
    for (int d = dim_of(x[0], axis); d < x[0].rank(); ++d) normalized.push_back(x[0].shape()[d]);
    return layer_norm(x[0], normalized, {.weight = x[1], .bias = at(x, 2), .eps = eps});
  });
}
Run instance_normalization(NodeReader& n) {
  n.arity(3, 3);
  const auto is = [](const Tensor& t, double v) { return t.defined() && any(t != v).element(0) == 0; };
  const bool plain = is(n.constant(1), 1) && is(n.constant(2), 0);
  return one([plain, eps = n.number("epsilon", 1e-5)](Operands x) {
    return plain ? instance_norm(x[0], {.eps = eps}) : instance_norm(x[0], {.weight = x[1], .bias = x[2], .eps = eps});
  });
}

// ---- convolution and pooling ---------------------------------------------------------------------------------------------------------

// The attributes of windows in one dimension (of the length) or two.
struct Windows {
  Integers kernel, strides, dilations, begin, end;

  explicit Windows(NodeReader& n) {
    const std::string auto_pad = n.text("auto_pad", "NOTSET");
    if (auto_pad != "NOTSET" && auto_pad != "VALID") n.fail(fmt::format("auto_pad {} is not known; write the pads", in_quotes(auto_pad)));
    kernel = n.integers("kernel_shape");
    strides = n.integers("strides");
    dilations = n.integers("dilations");
    const Integers pads = n.integers("pads");
    if (pads.size() % 2 != 0) n.fail("pads has an odd number of elements");
    begin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(pads.size() / 2));
    end.assign(pads.begin() + static_cast<std::ptrdiff_t>(pads.size() / 2), pads.end());
    for (const Integers* list : {&kernel, &strides, &dilations, &begin})
      if (list->size() > 2) n.fail("only one or two dimensions of windows are known");
  }
  bool symmetric() const { return begin == end; }
  // The number of dimension d of n, 0 or 1; `otherwise` where the attribute is not given. A ShapeError for another number of dimensions.
  static Index value(const Integers& list, int d, int dimensions, Index otherwise) {
    if (list.empty()) return otherwise;
    if (static_cast<int>(list.size()) != dimensions)
      throw ShapeError(fmt::format("the attributes are for {} dimensions of windows, but the operand has {}", list.size(), dimensions));
    return list[static_cast<std::size_t>(d)];
  }
  // For a single dimension and for two.
  Index length(const Integers& list, Index otherwise) const { return value(list, 0, 1, otherwise); }
  HeightWidth area(const Integers& list, Index otherwise) const { return {value(list, 0, 2, otherwise), value(list, 1, 2, otherwise)}; }
};

int dimensions_of(const Tensor& x) {
  if (x.rank() != 3 && x.rank() != 4)
    throw ShapeError(fmt::format("{} must be (n, channels, length) or (n, channels, height, width)", describe(x)));
  return x.rank() - 2;
}

// x with zeros around it where they are not the same on both sides; then there is no padding left.
Tensor padded(const Tensor& x, const Windows& w) {
  if (w.symmetric()) return x;
  Dims before{0, 0}, after{0, 0};
  for (std::size_t d = 0; d < w.begin.size(); ++d) {
    before.push_back(w.begin[d]);
    after.push_back(w.end[d]);
  }
  return pad(x, before, after, 0);
}

Conv2dOptions convolution_options(const Windows& w, Index groups) {
  return {.stride = w.area(w.strides, 1),
          .padding = w.symmetric() ? w.area(w.begin, 0) : HeightWidth(0),
          .dilation = w.area(w.dilations, 1),
          .groups = groups};
}

Run convolution(NodeReader& n) {
  n.arity(2, 3);
  return one([w = Windows(n), groups = n.integer("group", 1)](Operands x) {
    const Tensor in = padded(x[0], w);
    if (dimensions_of(x[0]) == 1)
      return conv1d(in, x[1], at(x, 2),
                    {.stride = w.length(w.strides, 1),
                     .padding = w.symmetric() ? w.length(w.begin, 0) : 0,
                     .dilation = w.length(w.dilations, 1),
                     .groups = groups});
    return conv2d(in, x[1], at(x, 2), convolution_options(w, groups));
  });
}
Run transposed_convolution(NodeReader& n) {
  n.arity(2, 3);
  const Windows w(n);
  if (!w.symmetric()) n.fail("pads that differ at the beginning and the end are not known");
  if (n.has("output_shape")) n.fail("output_shape is not known; write the pads and the output_padding");
  return one([w, groups = n.integer("group", 1), more = n.integers("output_padding")](Operands x) {
    return conv_transpose2d(x[0], x[1], at(x, 2),
                            {.stride = w.area(w.strides, 1),
                             .padding = w.area(w.begin, 0),
                             .output_padding = w.area(more, 0),
                             .dilation = w.area(w.dilations, 1),
                             .groups = groups});
  });
}

Run max_pool(NodeReader& n) {
  n.arity(1, 1);
  n.require("storage_order", 0);
  const Windows w(n);
  if (!w.symmetric()) n.fail("pads that differ at the beginning and the end are not known");
  if (w.kernel.empty()) n.fail("kernel_shape is missing");
  return one([w, ceil = n.integer("ceil_mode", 0) != 0](Operands x) {
    if (dimensions_of(x[0]) == 1)
      return max_pool1d(
          x[0], w.length(w.kernel, 1),
          {.stride = w.length(w.strides, 1), .padding = w.length(w.begin, 0), .dilation = w.length(w.dilations, 1), .ceil_mode = ceil});
    return max_pool2d(
        x[0], w.area(w.kernel, 1),
        {.stride = w.area(w.strides, 1), .padding = w.area(w.begin, 0), .dilation = w.area(w.dilations, 1), .ceil_mode = ceil});
  });
}
Run average_pool(NodeReader& n) {
  n.arity(1, 1);
  const Windows w(n);
  if (!w.symmetric()) n.fail("pads that differ at the beginning and the end are not known");
  if (w.kernel.empty()) n.fail("kernel_shape is missing");
  if (std::any_of(w.dilations.begin(), w.dilations.end(), [](std::int64_t d) { return d != 1; })) n.fail("dilations are not known here");
  n.require("ceil_mode", 0);
  return one([w, include = n.integer("count_include_pad", 0) != 0](Operands x) {
    if (dimensions_of(x[0]) == 1)
      return avg_pool1d(x[0], w.length(w.kernel, 1),
                        {.stride = w.length(w.strides, 1), .padding = w.length(w.begin, 0), .count_include_pad = include});
    return avg_pool2d(x[0], w.area(w.kernel, 1),
                      {.stride = w.area(w.strides, 1), .padding = w.area(w.begin, 0), .count_include_pad = include});
  });
}
Dims spatial(const Tensor& x) {
  Dims dims;
  for (int d = 2; d < x.rank(); ++d) dims.push_back(d);
  return dims;
}
Run global_average(NodeReader& n) {
  n.arity(1, 1);
  return one([](Operands x) { return x[0].rank() == 4 ? adaptive_avg_pool2d(x[0], 1) : mean(x[0], spatial(x[0]), {.keepdim = true}); });
}
Run global_max(NodeReader& n) {
  n.arity(1, 1);
  return one([](Operands x) { return max(x[0], spatial(x[0]), {.keepdim = true}); });
}

// ---- reductions ----------------------------------------------------------------------------------------------------------------------

// f(x, dims, keepdim), over the axes of the attribute or the operand; over all where there are none.
template <class F> Run reduction(NodeReader& n, F f) {
  n.arity(1, 2);
  const bool keep = n.integer("keepdims", 1) != 0, noop = n.integer("noop_with_empty_axes", 0) != 0;
  return one([f, keep, noop, axes = n.integers("axes")](Operands x) {
    const Tensor given = at(x, 1);
    Dims dims = as_dims(given.defined() ? integers_of(given) : axes);
    if (dims.rank() == 0) {
      if (noop) return x[0];
      for (int d = 0; d < x[0].rank(); ++d) dims.push_back(d);
    }
    return f(x[0], dims, ReductionOptions{.keepdim = keep});
  });
}
Tensor euclidean_norm(const Tensor& x, const Dims& dims, const ReductionOptions& options) { return norm(x, 2, dims, options); }
template <class F> Run along(NodeReader& n, std::int64_t otherwise, F f) {
  n.arity(1, 1);
  return one([f, axis = n.integer("axis", otherwise)](Operands x) { return f(x[0], axis); });
}
Run running_sum(NodeReader& n) {
  n.arity(2, 2);
  n.require("exclusive", 0);
  return one([reverse = n.integer("reverse", 0) != 0](Operands x) {
    const int dim = dim_of(x[0], static_cast<std::int64_t>(number_of(x[1])));
    return reverse ? flip(cumsum(flip(x[0], {dim}), dim), {dim}) : cumsum(x[0], dim);
  });
}

// ---- shapes --------------------------------------------------------------------------------------------------------------------------

Run reshape_to(NodeReader& n) {
  n.arity(2, 2);
  return one([allow_zero = n.integer("allowzero", 0) != 0](Operands x) {
    Shape shape = as_dims(integers_of(x[1]));
    for (int d = 0; d < shape.rank(); ++d)
      if (shape[d] == 0 && !allow_zero) shape[d] = x[0].shape()[dim_of(x[0], d)];
    return reshape(x[0], shape);
  });
}
Run flatten_at(NodeReader& n) {
  n.arity(1, 1);
  return one([axis = n.integer("axis", 1)](Operands x) {
    const int d = axis == x[0].rank() ? x[0].rank() : dim_of(x[0], axis);
    return reshape(x[0], {x[0].shape().size(0, d), x[0].shape().size(d, x[0].rank())});
  });
}
Run transposed(NodeReader& n) {
  n.arity(1, 1);
  return one([perm = n.integers("perm")](Operands x) {
    if (perm == Integers{1, 0}) return transpose(x[0], 0, 1);
    Dims dims = as_dims(perm);
    if (perm.empty())
      for (int d = x[0].rank(); d-- > 0;) dims.push_back(d);
    return permute(x[0], dims);
  });
}
Run expanded(NodeReader& n) {
  n.arity(2, 2);
  return one([](Operands x) {
    Shape shape = as_dims(integers_of(x[1]));
    while (shape.rank() < x[0].rank()) {
      Shape longer{1};
      for (const Index size : shape) longer.push_back(size);
      shape = longer;
    }
    for (int d = shape.rank() - x[0].rank(); d < shape.rank(); ++d)
      if (shape[d] == 1) shape[d] = x[0].shape()[d - (shape.rank() - x[0].rank())];
    return expand(x[0], shape);
  });
}
Run squeezed(NodeReader& n) {
  n.arity(1, 2);
  return one([](Operands x) {
    if (!at(x, 1).defined()) return squeeze(x[0]);
    Integers axes = integers_of(x[1]);
    for (std::int64_t& axis : axes) axis = dim_of(x[0], axis);
    std::sort(axes.rbegin(), axes.rend());
    Tensor y = x[0];
    for (const std::int64_t axis : axes) y = squeeze(y, axis);
    return y;
  });
}
Run unsqueezed(NodeReader& n) {
  n.arity(2, 2);
  return one([](Operands x) {
    Integers axes = integers_of(x[1]);
    const int added = static_cast<int>(axes.size());
    for (std::int64_t& axis : axes) axis = dim_of(x[0], axis, added);
    std::sort(axes.begin(), axes.end());
    Tensor y = x[0];
    for (const std::int64_t axis : axes) y = unsqueeze(y, axis);
    return y;
  });
}
Run concatenated(NodeReader& n) {
  n.arity(1, std::numeric_limits<std::size_t>::max());
  return one([axis = n.integer("axis", 0)](Operands x) { return concat(x, axis); });
}
Run split_up(NodeReader& n) {
  n.arity(1, 2, std::numeric_limits<std::size_t>::max());
  n.integer("num_outputs", 0);
  return [axis = n.integer("axis", 0)](Operands x, std::span<Tensor> y, RunContext&) {
    const Index size = x[0].shape()[dim_of(x[0], axis)];
    Shape sizes;
    if (at(x, 1).defined()) {
      sizes = as_dims(integers_of(x[1]));
    } else {
      const auto parts = static_cast<Index>(y.size()), part = (size + parts - 1) / parts;
      for (Index k = 0; k < parts; ++k) sizes.push_back(std::clamp<Index>(size - k * part, 0, part));
    }
    std::vector<Tensor> parts = split(x[0], sizes, axis);
    if (parts.size() != y.size()) throw ShapeError(fmt::format("there are {} parts for {} results", parts.size(), y.size()));
    std::move(parts.begin(), parts.end(), y.begin());
  };
}

// The positions along a dimension of size n, of which negative ones count from the end.
Tensor from_front(const Tensor& index, Index n) {
  if (index.size() == 0 || min(index).element(0) >= 0) return index;
  Integers positions = integers_of(index);
  for (std::int64_t& p : positions) p += p < 0 ? n : 0;
  return Tensor::from(positions, index.shape());
}
Run gather_at(NodeReader& n) {
  n.arity(2, 2);
  return one([axis = n.integer("axis", 0)](Operands x) {
    const int dim = dim_of(x[0], axis);
    if (x[1].rank() == 0) return select(x[0], dim, integers_of(x[1])[0]);
    const Tensor index = from_front(x[1], x[0].shape()[dim]);
    if (dim == 0 && x[0].rank() == 2 && is_floating(x[0].dtype())) return embedding(index, x[0]);
    Shape shape;
    for (int d = 0; d < dim; ++d) shape.push_back(x[0].shape()[d]);
    for (const Index size : index.shape()) shape.push_back(size);
    for (int d = dim + 1; d < x[0].rank(); ++d) shape.push_back(x[0].shape()[d]);
    return reshape(index_select(x[0], dim, reshape(index, {index.size()})), shape);
  });
}
Run gather_elements(NodeReader& n) {
  n.arity(2, 2);
  return one([axis = n.integer("axis", 0)](Operands x) { return gather(x[0], axis, from_front(x[1], x[0].shape()[dim_of(x[0], axis)])); });
}
// One dimension of a slice.
Tensor sliced(const Tensor& x, int dim, std::int64_t start, std::int64_t stop, std::int64_t step) {
  if (step > 0) return slice(x, dim, start, stop, step);
  if (step == 0) throw ValueError("the step of a slice is 0");
  const Index n = x.shape()[dim];
  const auto clip = [n](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + n : i, -1, n - 1); };
  const std::int64_t first = clip(start), end = stop < -n ? -1 : clip(stop);
  if (first == n - 1 && end == -1 && step == -1) return flip(x, {dim});
  Integers positions;
  const std::int64_t back = std::max<std::int64_t>(step, -std::max<Index>(n, 1));
  for (std::int64_t i = first; i > end; i += back) positions.push_back(i);
  return index_select(x, dim, Tensor::from(positions));
}
Run slice_of(NodeReader& n) {
  n.arity(3, 5);
  return one([](Operands x) {
    const Integers starts = integers_of(x[1]), stops = integers_of(x[2]);
    const Integers axes = at(x, 3).defined() ? integers_of(x[3]) : Integers(), steps = at(x, 4).defined() ? integers_of(x[4]) : Integers();
    if (stops.size() != starts.size() || (!axes.empty() && axes.size() != starts.size()) ||
        (!steps.empty() && steps.size() != starts.size()))
      throw ShapeError("starts, ends, axes and steps must have the same number of elements");
    Tensor y = x[0];
    for (std::size_t k = 0; k < starts.size(); ++k) {
      const int dim = dim_of(x[0], axes.empty() ? static_cast<std::int64_t>(k) : axes[k]);
      y = sliced(y, dim, starts[k], stops[k], steps.empty() ? 1 : steps[k]);
    }
    return y;
  });
}
Run padding(NodeReader& n) {
  n.arity(2, 4);
  const std::string mode = n.text("mode", "constant");
  const std::pair<std::string_view, std::optional<Padding>> modes[] = {
      {"constant", std::nullopt}, {"reflect", Padding::reflect}, {"edge", Padding::replicate}, {"wrap", Padding::circular}};
  const auto found = std::find_if(std::begin(modes), std::end(modes), [&](const auto& m) { return m.first == mode; });
  if (found == std::end(modes)) n.fail(fmt::format("the mode {} is not known", in_quotes(mode)));
  return one([kind = found->second](Operands x) {
    const Integers widths = integers_of(x[1]);
    Integers axes = at(x, 3).defined() ? integers_of(x[3]) : Integers();
    if (axes.empty())
      for (int d = 0; d < x[0].rank(); ++d) axes.push_back(d);
    if (widths.size() != 2 * axes.size()) throw ShapeError("pads must have two elements for each axis");
    Dims before, after;
    for (int d = 0; d < x[0].rank(); ++d) before.push_back(0), after.push_back(0);
    for (std::size_t k = 0; k < axes.size(); ++k) {
      before[dim_of(x[0], axes[k])] = widths[k];
      after[dim_of(x[0], axes[k])] = widths[k + axes.size()];
    }
    if (kind) return pad(x[0], before, after, *kind);
    return pad(x[0], before, after, at(x, 2).defined() ? number_of(x[2]) : 0);
  });
}
Run shape_of(NodeReader& n) {
  n.arity(1, 1);
  const std::int64_t start = n.integer("start", 0), end = n.integer("end", std::numeric_limits<std::int64_t>::max());
  return one([=](Operands x) {
    const Integers sizes(x[0].shape().begin(), x[0].shape().end());
    return slice(Tensor::from(sizes), 0, start, end);
  });
}
Run constant_of_shape(NodeReader& n) {
  n.arity(1, 1);
  const Attribute* const given = n.attribute("value");
  if (given && given->tensor.defined() && given->tensor.size() != 1) n.fail("the value must be one element");
  const Tensor value = given && given->tensor.defined() ? reshape(given->tensor, {}) : Tensor::zeros({});
  return one([value](Operands x) { return expand(value, as_dims(integers_of(x[0]))); });
}
Run triangle(NodeReader& n) {
  n.arity(1, 2);
  return one([upper = n.integer("upper", 1) != 0](Operands x) {
    const auto k = at(x, 1).defined() ? static_cast<Index>(number_of(x[1])) : 0;
    return upper ? triu(x[0], k) : tril(x[0], k);
  });
}

// ---- recurrence ----------------------------------------------------------------------------------------------------------------------

struct Kind {
  const char* name;
  int states;
  std::vector<Index> order;  // our gates, by their positions in ONNX's order
};

// Rows of (gates hidden, ...) in our order of the gates.
Tensor in_order(const Tensor& rows, const Kind& kind) {
  if (kind.order.size() == 1) return rows;
  const auto gates = static_cast<Index>(kind.order.size());
  if (rows.size(0) % gates != 0) throw ShapeError(fmt::format("the rows of {} cannot be divided into {} gates", describe(rows), gates));
  const Index hidden = rows.size(0) / gates;
  std::vector<Tensor> parts;
  for (const Index gate : kind.order) parts.push_back(narrow(rows, 0, gate * hidden, hidden));
  return concat(parts);
}

// X (t, n, in), W (directions, gates hidden, in), R, B (directions, 2 gates hidden), lengths, initial states (directions, n, hidden) ->
// Y (t, directions, n, hidden) and the last states.
void run_recurrence(const Kind& kind, std::string_view direction, Nonlinearity nonlinearity, Operands x, std::span<Tensor> y) {
  const bool backwards = direction == "reverse";
  const Index directions = direction == "bidirectional" ? 2 : 1;
  for (const std::size_t i : {std::size_t{1}, std::size_t{2}})
    if (x[i].rank() != 3 || x[i].size(0) != directions)
      throw ShapeError(fmt::format("the weights {} must be ({}, rows, columns)", describe(x[i]), directions));
  std::vector<RecurrentWeights> weights;
  for (Index d = 0; d < directions; ++d) {
    RecurrentWeights w{in_order(select(x[1], 0, d), kind), in_order(select(x[2], 0, d), kind)};
    if (const Tensor b = at(x, 3); b.defined()) {
      const Tensor both = select(b, 0, d);
      const Index half = both.size(0) / 2;
      w.bias_ih = in_order(narrow(both, 0, 0, half), kind);
      w.bias_hh = in_order(narrow(both, 0, half, half), kind);
    }
    weights.push_back(std::move(w));
  }
  const Tensor in = backwards ? flip(x[0], {0}) : x[0];
  const RecurrentOptions options{.bidirectional = directions == 2, .lengths = at(x, 4)};
  if (backwards && options.lengths.defined()) throw ValueError("sequence_lens of a single backward direction are not known");
  const Tensor h0 = at(x, 5), c0 = at(x, 6);
  Tensor output;
  std::vector<Tensor> last;
  if (kind.states == 2) {
    LstmSequence s = lstm(in, {h0, c0}, weights, options);
    output = std::move(s.output);
    last = {std::move(s.state.h), std::move(s.state.c)};
  } else {
    Sequence s = kind.order.size() == 1 ? rnn(in, h0, weights, nonlinearity, options) : gru(in, h0, weights, options);
    output = std::move(s.output);
    last = {std::move(s.h)};
  }
  if (backwards) output = flip(output, {0});
  const Shape& shape = output.shape();
  y[0] = directions == 1 ? unsqueeze(output, 1) : transpose(reshape(output, {shape[0], shape[1], 2, shape[2] / 2}), 1, 2);
  for (std::size_t k = 0; k + 1 < y.size(); ++k) y[k + 1] = std::move(last[k]);
}

Run recurrence(NodeReader& n, Kind kind) {
  const auto states = static_cast<std::size_t>(kind.states);
  n.arity(3, 5 + states, 1 + states);
  n.integer("hidden_size", 0);
  n.require("layout", 0);
  if (kind.order.size() == 4) n.require("input_forget", 0);
  if (kind.order.size() == 3 && n.integer("linear_before_reset", 0) == 0)
    n.fail("only GRUs with linear_before_reset = 1 are known, whose reset gate multiplies the recurrent term");
  const std::string direction = n.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    n.fail(fmt::format("the direction {} is not known", in_quotes(direction)));
  const std::size_t functions = (kind.order.size() == 4 ? 3 : kind.order.size() == 3 ? 2 : 1);
  auto nonlinearity = Nonlinearity::tanh;
  if (const Attribute* const a = n.attribute("activations")) {
    static constexpr std::string_view kUsual[] = {"Sigmoid", "Tanh", "Tanh"};
    for (std::size_t k = 0; k < a->texts.size(); ++k) {
      if (kind.order.size() == 1 && a->texts[k] == "Relu" && a->texts[k] == a->texts[0]) {
        nonlinearity = Nonlinearity::relu;
        continue;
      }
      const bool usual = a->texts[k] == (functions == 1 ? "Tanh" : kUsual[k % functions]) && nonlinearity == Nonlinearity::tanh;
      if (!usual) n.fail(fmt::format("the activation {} is not known there", in_quotes(a->texts[k])));
    }
  }
  return [kind = std::move(kind), direction, nonlinearity](Operands x, std::span<Tensor> y, RunContext&) {
    run_recurrence(kind, direction, nonlinearity, x, y);
  };
}

// ---- the list ------------------------------------------------------------------------------------------------------------------------

Run identity(NodeReader& n) {
  n.arity(1, 1);
  return one([](Operands x) { return x[0]; });
}
// In evaluation.
Run dropout(NodeReader& n) {
  n.arity(1, 3);
  n.integer("seed", 0);
  if (n.given(2) && (!n.constant(2).defined() || number_of(n.constant(2)) != 0)) n.fail("a dropout in training mode is not known");
  return one([](Operands x) { return x[0]; });
}

struct Maker {
  std::string_view operation;
  Run (*make)(NodeReader& n);
};
#define WENGERT_UNARY(Operation, function) \
  { #Operation, unary < function> }
#define WENGERT_BINARY(Operation, expression)                                                                         \
  {                                                                                                                   \
#Operation, [](NodeReader & n) { return binary(n, [](const Tensor& a, const Tensor& b) { return expression; }); } \
  }
#define WENGERT_REDUCTION(Operation, function)                                                                                      \
  {                                                                                                                                 \
#Operation,                                                                                                                     \
        [](NodeReader &                                                                                                             \
           n) { return reduction(n, [](const Tensor& x, const Dims& d, const ReductionOptions& o) { return function(x, d, o); }); } \
  }
const Maker kMakers[] = {
    WENGERT_UNARY(Abs, abs),
    WENGERT_UNARY(Acos, acos),
    WENGERT_UNARY(Acosh, acosh),
    WENGERT_BINARY(Add, a + b),
    WENGERT_BINARY(And, a&& b),
    WENGERT_UNARY(Asin, asin),
    WENGERT_UNARY(Asinh, asinh),
    WENGERT_UNARY(Atan, atan),
    WENGERT_UNARY(Atanh, atanh),
    {"AveragePool", average_pool},
    {"BatchNormalization", batch_normalization},
    {"Cast", cast},
    WENGERT_UNARY(Ceil, ceil),
    {"Clip", clip},
    {"Concat", concatenated},
    {"ConstantOfShape", constant_of_shape},
    {"Conv", convolution},
    {"ConvTranspose", transposed_convolution},
    WENGERT_UNARY(Cos, cos),
    WENGERT_UNARY(Cosh, cosh),
    {"CumSum", running_sum},
    WENGERT_BINARY(Div, a / b),
    {"Dropout", dropout},
    {"Einsum", einstein_sum},
    {"Elu", [](NodeReader& n) { return with_number(n, "alpha", 1, [](const Tensor& x, double v) { return elu(x, v); }); }},
    WENGERT_BINARY(Equal, a == b),
    WENGERT_UNARY(Erf, erf),
    WENGERT_UNARY(Exp, exp),
    {"Expand", expanded},
    {"Flatten", flatten_at},
    WENGERT_UNARY(Floor, floor),
    {"GRU",
     [](NodeReader& n) {
       return recurrence(n, {"GRU", 1, {1, 0, 2}});
     }},  // z r h -> r z n
    {"Gather", gather_at},
    {"GatherElements", gather_elements},
    {"Gelu", gelu_of},
    {"Gemm", gemm},
    {"GlobalAveragePool", global_average},
    {"GlobalMaxPool", global_max},
    WENGERT_BINARY(Greater, a > b),
    WENGERT_BINARY(GreaterOrEqual, a >= b),
    {"HardSigmoid", hard_sigmoid},
    WENGERT_UNARY(HardSwish, hardswish),
    {"Identity", identity},
    {"InstanceNormalization", instance_normalization},
    WENGERT_UNARY(IsInf, isinf),
    WENGERT_UNARY(IsNaN, isnan),
    {"LSTM",
     [](NodeReader& n) {
       return recurrence(n, {"LSTM", 2, {0, 2, 3, 1}});
     }},  // i o f c -> i f g o
    {"LayerNormalization", layer_normalization},
    {"LeakyRelu", [](NodeReader& n) { return with_number(n, "alpha", 0.01, [](const Tensor& x, double v) { return leaky_relu(x, v); }); }},
    WENGERT_BINARY(Less, a < b),
    WENGERT_BINARY(LessOrEqual, a <= b),
    WENGERT_UNARY(Log, log),
    {"LogSoftmax", [](NodeReader& n) { return along(n, -1, [](const Tensor& x, std::int64_t d) { return log_softmax(x, d); }); }},
    WENGERT_BINARY(MatMul, matmul(a, b)),
    {"Max", [](NodeReader& n) { return variadic(n, [](const Tensor& a, const Tensor& b) { return maximum(a, b); }); }},
    {"MaxPool", max_pool},
    {"Min", [](NodeReader& n) { return variadic(n, [](const Tensor& a, const Tensor& b) { return minimum(a, b); }); }},
    WENGERT_UNARY(Mish, mish),
    WENGERT_BINARY(Mul, a* b),
    WENGERT_UNARY(Neg, negative),
    {"Not",
     [](NodeReader& n) {
       n.arity(1, 1);
       return one([](Operands x) { return !x[0]; });
     }},
    WENGERT_BINARY(Or, a || b),
    {"PRelu", leaky_by_weight},
    {"Pad", padding},
    WENGERT_BINARY(Pow, pow(a, b)),
    {"RNN",
     [](NodeReader& n) {
       return recurrence(n, {"RNN", 1, {0}});
     }},
    WENGERT_UNARY(Reciprocal, reciprocal),
    WENGERT_REDUCTION(ReduceL2, euclidean_norm),
    WENGERT_REDUCTION(ReduceLogSumExp, logsumexp),
    WENGERT_REDUCTION(ReduceMax, max),
    WENGERT_REDUCTION(ReduceMean, mean),
    WENGERT_REDUCTION(ReduceMin, min),
    WENGERT_REDUCTION(ReduceProd, prod),
    WENGERT_REDUCTION(ReduceSum, sum),
    WENGERT_UNARY(Relu, relu),
    {"Reshape", reshape_to},
    WENGERT_UNARY(Round, round),
    {"Selu", scaled_elu},
    {"Shape", shape_of},
    {"Shrink", shrink},
    WENGERT_UNARY(Sigmoid, sigmoid),
    WENGERT_UNARY(Sign, sign),
    WENGERT_UNARY(Sin, sin),
    WENGERT_UNARY(Sinh, sinh),
    {"Slice", slice_of},
    {"Softmax", [](NodeReader& n) { return along(n, -1, [](const Tensor& x, std::int64_t d) { return softmax(x, d); }); }},
    {"Softplus",
     [](NodeReader& n) {
       n.arity(1, 1);
       return one([](Operands x) { return softplus(x[0]); });
     }},
    WENGERT_UNARY(Softsign, softsign),
    {"Split", split_up},
    WENGERT_UNARY(Sqrt, sqrt),
    {"Squeeze", squeezed},
    WENGERT_BINARY(Sub, a - b),
    {"Sum", [](NodeReader& n) { return variadic(n, [](const Tensor& a, const Tensor& b) { return a + b; }); }},
    WENGERT_UNARY(Tan, tan),
    WENGERT_UNARY(Tanh, tanh),
    {"Tile",
     [](NodeReader& n) { return binary(n, [](const Tensor& x, const Tensor& times) { return repeat(x, as_dims(integers_of(times))); }); }},
    {"Transpose", transposed},
    {"Trilu", triangle},
    {"Unsqueeze", unsqueezed},
    {"Where",
     [](NodeReader& n) {
       n.arity(3, 3);
       return one([](Operands x) { return where(x[0], x[1], x[2]); });
     }},
    WENGERT_BINARY(Xor, a ^ b),
};
#undef WENGERT_UNARY
#undef WENGERT_BINARY
#undef WENGERT_REDUCTION

}  // namespace

Run make_run(NodeReader& node) {
  const std::string& name = node.node().operation;
  const auto found = std::find_if(std::begin(kMakers), std::end(kMakers), [&](const Maker& m) { return m.operation == name; });
  if (found == std::end(kMakers)) node.fail("nothing is known of this operation");
  Run run = found->make(node);
  node.check_all_read();
  return run;
}

Run linear_run(bool relu) {
  return one([relu](Operands x) {
    if (x.size() == 2) return relu ? linear_relu(x[0], x[1]) : linear(x[0], x[1]);
    return relu ? linear_relu(x[0], x[1], x[2]) : linear(x[0], x[1], x[2]);
  });
}

Run convolution_relu_run(NodeReader& n, Index pool) {
  return one([w = Windows(n), groups = n.integer("group", 1), pool](Operands x) {
    if (x[0].rank() == 4) return conv2d_relu(padded(x[0], w), x[1], at(x, 2), convolution_options(w, groups), pool);
    return relu(conv1d(padded(x[0], w), x[1], at(x, 2),
                       {.stride = w.length(w.strides, 1),
                        .padding = w.symmetric() ? w.length(w.begin, 0) : 0,
                        .dilation = w.length(w.dilations, 1),
                        .groups = groups}));
  });
}

}  // namespace wengert::nn::onnx
