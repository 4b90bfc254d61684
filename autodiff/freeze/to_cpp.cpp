// How each step is written as C++17. Loops are plain, over memory m and arrays of constants, with sizes that the compiler knows.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "autodiff/freeze/frozen.h"
#include "autodiff/freeze/source_writer.h"
#include "autodiff/program/function_source.h"
#include "autodiff/version.h"

namespace wengert::detail::frozen {
namespace {

// ---- what sources bring along -----------------------------------------------------------------------------------------------------

constexpr const char* kMultiplyAdd = R"(/// a b + c, rounded once where the processor can.
inline float multiply_add(float a, float b, float c) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}
)";

constexpr const char* kLayer = R"(/// y = bias + x w + h v for weights (in, out): a block of sums at a time.
template <int kWidth, int kOut, int kIn, int kHidden, bool kRelu>
inline void layer_block(const float* x, const float* h, const float* w, const float* v, const float* bias, float* y) {
  float sums[kWidth];
  for (int j = 0; j < kWidth; ++j) sums[j] = bias ? bias[j] : 0.0f;
  for (int k = 0; k < kIn; ++k)
    for (int j = 0; j < kWidth; ++j) sums[j] = multiply_add(x[k], w[k * kOut + j], sums[j]);
  for (int k = 0; k < kHidden; ++k)
    for (int j = 0; j < kWidth; ++j) sums[j] = multiply_add(h[k], v[k * kOut + j], sums[j]);
  for (int j = 0; j < kWidth; ++j) y[j] = kRelu && sums[j] <= 0 ? 0.0f : sums[j];
}
template <int kRows, int kOut, int kIn, int kHidden, bool kRelu>
inline void layer(const float* x, const float* h, const float* w, const float* v, const float* bias, float* y) {
  constexpr int kBlock = 32, kWhole = kOut / kBlock * kBlock, kRest = kOut - kWhole;
  for (int row = 0; row < kRows; ++row, x += kIn, h += kHidden, y += kOut) {
    for (int j = 0; j < kWhole; j += kBlock)
      layer_block<kBlock, kOut, kIn, kHidden, kRelu>(x, h, w + j, v + j, bias ? bias + j : nullptr, y + j);
    if constexpr (kRest > 0)
      layer_block<kRest, kOut, kIn, kHidden, kRelu>(x, h, w + kWhole, v + kWhole, bias ? bias + kWhole : nullptr, y + kWhole);
  }
}
)";

constexpr const char* kProduct = R"(/// c = a b for matrices (m, k) and (k, n).
inline void product(int m, int n, int k, const float* a, const float* b, float* c) {
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) c[i * n + j] = 0;
    for (int l = 0; l < k; ++l)
      for (int j = 0; j < n; ++j) c[i * n + j] = multiply_add(a[i * k + l], b[l * n + j], c[i * n + j]);
  }
}
)";

constexpr const char* kAxis = R"(struct Range {
  int begin, end;
};
struct WindowAxis {
  int in, out, kernel, stride, padding, dilation;
  bool adaptive;

  // The positions of window i that are not padding, in steps of the dilation.
  Range inside(int i) const {
    if (adaptive) return {i * in / out, ((i + 1) * in + out - 1) / out};
    const int start = i * stride - padding, end = start + (kernel - 1) * dilation + 1;
    const int skipped = start >= 0 ? 0 : (-start + dilation - 1) / dilation * dilation;
    return {start + skipped, end < in ? end : in};
  }
  // How many positions window i has within the padded input.
  int padded(int i) const {
    const int start = i * stride - padding, end = start + kernel;
    return (end < in + padding ? end : in + padding) - start;
  }
};
)";

constexpr const char* kConvolution =
    R"(/// y of (batch, out_channels, height.out, width.out); each element is a sum over channels, rows and columns in order.
inline void convolution(int batch, int in_channels, int out_channels, int groups, WindowAxis height, WindowAxis width, const float* x,
                        const float* w, const float* bias, bool relu, float* y) {
  const int in_group = in_channels / groups, out_group = out_channels / groups, window = height.kernel * width.kernel;
  for (int n = 0; n < batch; ++n)
    for (int o = 0; o < out_channels; ++o)
      for (int i = 0; i < height.out; ++i, y += width.out) {
        for (int j = 0; j < width.out; ++j) y[j] = bias ? bias[o] : 0.0f;
        for (int c = 0; c < in_group; ++c)
          for (int r = 0; r < height.kernel; ++r) {
            const int row = i * height.stride - height.padding + r * height.dilation;
            if (row < 0 || row >= height.in) continue;
            const float* const from = x + ((n * in_channels + o / out_group * in_group + c) * height.in + row) * width.in;
            for (int s = 0; s < width.kernel; ++s) {
              const float weight = w[(o * in_group + c) * window + r * width.kernel + s];
              const int first = s * width.dilation - width.padding;  // the column of output 0
              const int begin = first >= 0 ? 0 : (-first + width.stride - 1) / width.stride;
              int end = first >= width.in ? 0 : (width.in - first + width.stride - 1) / width.stride;
              end = end < width.out ? end : width.out;
              for (int j = begin; j < end; ++j) y[j] = multiply_add(weight, from[first + j * width.stride], y[j]);
            }
          }
        for (int j = 0; relu && j < width.out; ++j) y[j] = y[j] <= 0 ? 0.0f : y[j];
      }
}
)";

constexpr const char* kMaxPool = R"(inline void max_pool(int planes, WindowAxis height, WindowAxis width, const float* x, float* y) {
  for (int p = 0; p < planes; ++p, x += height.in * width.in)
    for (int i = 0; i < height.out; ++i)
      for (int j = 0; j < width.out; ++j) {
        const Range rows = height.inside(i), columns = width.inside(j);
        float top = x[rows.begin * width.in + columns.begin];
        for (int r = rows.begin; r < rows.end; r += height.dilation)
          for (int s = columns.begin; s < columns.end; s += width.dilation) {
            const float v = x[r * width.in + s];
            if (v > top || v != v) top = v;
          }
        *y++ = top;
      }
}
)";

constexpr const char* kAveragePool =
    R"(inline void average_pool(int planes, WindowAxis height, WindowAxis width, bool padded, const float* x, float* y) {
  for (int p = 0; p < planes; ++p, x += height.in * width.in)
    for (int i = 0; i < height.out; ++i)
      for (int j = 0; j < width.out; ++j) {
        const Range rows = height.inside(i), columns = width.inside(j);
        double sum = 0;
        for (int r = rows.begin; r < rows.end; ++r)
          for (int s = columns.begin; s < columns.end; ++s) sum += static_cast<double>(x[r * width.in + s]);
        const int count = padded ? height.padded(i) * width.padded(j) : (rows.end - rows.begin) * (columns.end - columns.begin);
        *y++ = static_cast<float>(sum / count);
      }
}
)";

constexpr const char* kSoftmax = R"(/// Along the second dimension of (outer, n, inner).
inline void softmax(int outer, int n, int inner, bool logarithm, const float* x, float* y) {
  for (int o = 0; o < outer; ++o)
    for (int i = 0; i < inner; ++i) {
      const float* const from = x + o * n * inner + i;
      float* const to = y + o * n * inner + i;
      float top = from[0];
      for (int k = 1; k < n; ++k) top = from[k * inner] > top || from[k * inner] != from[k * inner] ? from[k * inner] : top;
      double sum = 0;
      for (int k = 0; k < n; ++k) {
        to[k * inner] = straight::exp(from[k * inner] - top);
        sum += static_cast<double>(to[k * inner]);
      }
      const float scale = 1 / static_cast<float>(sum), offset = straight::log(static_cast<float>(sum));
      for (int k = 0; k < n; ++k) to[k * inner] = logarithm ? from[k * inner] - top - offset : to[k * inner] * scale;
    }
}
)";

constexpr const char* kNormalization = R"(/// Mean 0 and variance 1 in each group of (outer, groups, inner).
inline void normalization(int outer, int groups, int inner, double eps, const float* x, float* y) {
  for (int g = 0; g < groups; ++g) {
    double mean = 0, variance = 0;
    for (int o = 0; o < outer; ++o)
      for (int i = 0; i < inner; ++i) mean += static_cast<double>(x[(o * groups + g) * inner + i]);
    mean /= static_cast<double>(outer) * inner;
    for (int o = 0; o < outer; ++o)
      for (int i = 0; i < inner; ++i) {
        const double distance = static_cast<double>(x[(o * groups + g) * inner + i]) - mean;
        variance += distance * distance;
      }
    const double scale = 1 / std::sqrt(variance / (static_cast<double>(outer) * inner) + eps);
    for (int o = 0; o < outer; ++o)
      for (int i = 0; i < inner; ++i) {
        const int at = (o * groups + g) * inner + i;
        y[at] = static_cast<float>((static_cast<double>(x[at]) - mean) * scale);
      }
  }
}
)";

constexpr const char* kSum = R"(/// y[i] = the sum of n elements / divisor.
inline void sum(int size, int n, double divisor, const float* x, float* y) {
  for (int i = 0; i < size; ++i) {
    double total = 0;
    for (int k = 0; k < n; ++k) total += static_cast<double>(x[i * n + k]);
    y[i] = static_cast<float>(total / divisor);
  }
}
)";

constexpr const char* kFusedExponential = R"(/// e^x and tanh with fused products, as in the gates of an LSTM.
inline float fused_exp(float x) {
  x = x > 89 ? 89.0f : x;
  x = x < -104 ? -104.0f : x;
  const float k = std::nearbyint(x * 1.44269504f);
  const float r = multiply_add(-k, -2.12194440e-4f, multiply_add(-k, 0.693359375f, x));
  float p = multiply_add(1.9875691500e-4f, r, 1.3981999507e-3f);
  p = multiply_add(p, r, 8.3334519073e-3f);
  p = multiply_add(p, r, 4.1665795894e-2f);
  p = multiply_add(p, r, 1.6666665459e-1f);
  p = multiply_add(p, r, 5.0000001201e-1f);
  p = multiply_add(p, r * r, r) + 1.0f;
  const std::int32_t exponent = x != x ? 0 : static_cast<std::int32_t>(k), half = exponent >> 1;
  return p * straight::fn::power_of_two(half) * straight::fn::power_of_two(exponent - half);
}
inline float fused_logistic(float x) { return 1.0f / (1.0f + fused_exp(-x)); }
inline float fused_tanh(float x) {
  const float z = x * x, magnitude = std::fabs(x);
  float p = multiply_add(-5.70498872745e-3f, z, 2.06390887954e-2f);
  p = multiply_add(p, z, -5.37397155531e-2f);
  p = multiply_add(p, z, 1.33314422036e-1f);
  p = multiply_add(p, z, -3.33332819422e-1f);
  const float near = multiply_add(p * z, x, x);
  const float far = std::copysign(1.0f - 2.0f / (fused_exp(magnitude + magnitude) + 1.0f), x);
  return magnitude > 0.625f ? far : near;
}
)";

constexpr const char* kLstm =
    R"(inline void lstm_gates(int rows, int hidden, const float* sums, const float* c, float* h_next, float* c_next) {
  for (int row = 0; row < rows; ++row, sums += 4 * hidden, c += hidden, h_next += hidden, c_next += hidden)
    for (int j = 0; j < hidden; ++j) {
      const float i = fused_logistic(sums[j]), f = fused_logistic(sums[hidden + j]);
      const float g = fused_tanh(sums[2 * hidden + j]), o = fused_logistic(sums[3 * hidden + j]);
      c_next[j] = multiply_add(f, c[j], i * g);
      h_next[j] = o * fused_tanh(c_next[j]);
    }
}
)";

constexpr const char* kGru = R"(inline float logistic(float x) { return 1 / (1 + straight::exp(-x)); }
inline void gru_gates(int rows, int hidden, const float* a, const float* b, const float* h, float* h_next) {
  for (int row = 0; row < rows; ++row, a += 3 * hidden, b += 3 * hidden, h += hidden, h_next += hidden)
    for (int j = 0; j < hidden; ++j) {
      const float r = logistic(a[j] + b[j]), z = logistic(a[hidden + j] + b[hidden + j]);
      const float n = straight::tanh(a[2 * hidden + j] + r * b[2 * hidden + j]);
      h_next[j] = (1 - z) * n + z * h[j];
    }
}
)";

// ---- steps ------------------------------------------------------------------------------------------------------------------------

std::string axis_of(const kernels::WindowAxis& a, bool adaptive = false) {
  return fmt::format("{{{}, {}, {}, {}, {}, {}, {}}}", a.in, a.out, a.kernel, a.stride, a.padding, a.dilation, adaptive);
}

// (in, out) of weights (out, in).
std::vector<float> transposed(const std::vector<float>& w, Index out, Index in) {
  std::vector<float> to;
  for (Index k = 0; k < in; ++k)
    for (Index j = 0; j < out; ++j) to.push_back(w[static_cast<std::size_t>(j * in + k)]);
  return to;
}

std::string array_or_null(SourceWriter& to, const std::vector<float>& values) { return values.empty() ? "nullptr" : to.array(values); }

bool is_name(std::string_view name) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && is_letter(name[0]) && name.size() <= 200 &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

void Layer::write(SourceWriter& to) const {
  to.need(kMultiplyAdd);
  to.need(kLayer);
  const std::string w = to.array(transposed(weights.w, weights.out, weights.in));
  const std::string v = weights.hidden > 0 ? to.array(transposed(weights.v, weights.out, weights.hidden)) : w;
  const std::string from = to.at(x, rows * weights.in), state = weights.hidden > 0 ? to.at(h, rows * weights.hidden) : from;
  to.line(fmt::format("layer<{}, {}, {}, {}, {}>({}, {}, {}, {}, {}, {});", rows, weights.out, weights.in, weights.hidden, relu, from,
                      state, w, v, array_or_null(to, weights.bias), to.at(y, 0)));
}

void Product::write(SourceWriter& to) const {
  to.need(kMultiplyAdd);
  to.need(kProduct);
  const std::string left = to.at(a, batch * m * k), right = to.at(b, (b_batch ? batch : 1) * k * n);
  to.line(fmt::format("for (int i = 0; i < {}; ++i) product({}, {}, {}, {} + i * {}, {} + i * {}, {} + i * {});", batch, m, n, k, left,
                      m * k, right, b_batch ? k * n : 0, to.at(c, 0), m * n));
}

void Elementwise::write(SourceWriter& to) const {
  std::array<std::string, 2> elements;
  for (std::size_t i = 0; i < static_cast<std::size_t>(operands); ++i) {
    if (x[i].base != kConstants) {
      elements[i] = fmt::format("m[{} + i]", x[i].offset);
      continue;
    }
    const std::string values = to.array(repeated[i].values);
    const std::size_t count = repeated[i].values.size();
    if (count == 1) {
      elements[i] = values + "[0]";
    } else {
      const std::string whole = repeated[i].inner == 1 ? "i" : fmt::format("i / {}", repeated[i].inner);
      const bool repeats = static_cast<Index>(count) * repeated[i].inner < size;
      elements[i] = repeats ? fmt::format("{}[{} % {}]", values, whole, count) : fmt::format("{}[{}]", values, whole);
    }
  }
  const std::string value = to.call(name, options, std::span(elements).first(static_cast<std::size_t>(operands)));
  to.line(fmt::format("for (int i = 0; i < {}; ++i) m[{} + i] = {};", size, y.offset, value));
}

void Move::write(SourceWriter& to) const {
  for (const Run& r : runs) {
    const std::string from = r.from.base == kConstants ? to.at(r.from, (r.count - 1) * r.stride + 1) : to.at(r.from, 0);
    to.line(fmt::format("for (int i = 0; i < {}; ++i) m[{} + i] = ({})[{} * i];", r.count, r.to, from, r.stride));
  }
}

void Convolution::write(SourceWriter& to) const {
  to.need(kMultiplyAdd);
  to.need(kAxis);
  to.need(kConvolution);
  const Index size = sizes.batch * sizes.output_size();
  const std::string from = to.at(x, sizes.batch * sizes.image_size()), w = to.array(weight), plus = array_or_null(to, bias);
  const std::string result = to.at(pool ? to.scratch(size) : y, size);
  to.line(fmt::format("convolution({}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});", sizes.batch, sizes.in_channels, sizes.out_channels,
                      sizes.groups, axis_of(sizes.height), axis_of(sizes.width), from, w, plus, relu, result));
  if (!pool) return;
  to.need(kMaxPool);
  const auto halves = [](Index in) { return kernels::WindowAxis{in, in / 2, 2, 2}; };
  to.line(fmt::format("max_pool({}, {}, {}, {}, {});", sizes.batch * sizes.out_channels, axis_of(halves(sizes.height.out)),
                      axis_of(halves(sizes.width.out)), result, to.at(y, 0)));
}

void Pool::write(SourceWriter& to) const {
  to.need(kAxis);
  to.need(form.maximum ? kMaxPool : kAveragePool);
  const kernels::Pooling& s = form.sizes;
  const bool adaptive = !form.maximum && form.divisor == kernels::Divisor::adaptive;
  const std::string from = to.at(x, s.planes * s.height.in * s.width.in);
  to.line(fmt::format("{}({}, {}, {}, {}{}, {});", form.maximum ? "max_pool" : "average_pool", s.planes, axis_of(s.height, adaptive),
                      axis_of(s.width, adaptive),
                      form.maximum                               ? ""
                      : form.divisor == kernels::Divisor::padded ? "true, "
                                                                 : "false, ",
                      from, to.at(y, 0)));
}

void Softmax::write(SourceWriter& to) const {
  to.need(kSoftmax);
  to.line(fmt::format("softmax({}, {}, {}, {}, {}, {});", lines.outer, lines.n, lines.inner, logarithm, to.at(x, lines.count() * lines.n),
                      to.at(y, 0)));
}

void Normalization::write(SourceWriter& to) const {
  to.need(kNormalization);
  to.line(fmt::format("normalization({}, {}, {}, {}, {}, {});", outer, groups, inner, literal_of(eps), to.at(x, outer * groups * inner),
                      to.at(y, 0)));
}

void Sum::write(SourceWriter& to) const {
  to.need(kSum);
  to.line(fmt::format("sum({}, {}, {}, {}, {});", size, n, literal_of(divisor), to.at(x, size * n), to.at(y, 0)));
}

void LstmGates::write(SourceWriter& to) const {
  to.need(kMultiplyAdd);
  to.need(kFusedExponential);
  to.need(kLstm);
  to.line(fmt::format("lstm_gates({}, {}, {}, {}, {}, {});", rows, hidden, to.at(sums, 4 * rows * hidden), to.at(c, rows * hidden),
                      to.at(h_next, 0), to.at(c_next, 0)));
}

void GruGates::write(SourceWriter& to) const {
  to.need(kGru);
  to.line(fmt::format("gru_gates({}, {}, {}, {}, {}, {});", rows, hidden, to.at(a, 3 * rows * hidden), to.at(b, 3 * rows * hidden),
                      to.at(h, rows * hidden), to.at(h_next, 0)));
}

std::string Plan::source(std::string_view name) const {
  if (!is_name(name))
    throw ValueError(fmt::format("to_cpp: '{}' is not a class's name; it needs a letter, then letters, digits and _", name));
  if (size > std::numeric_limits<std::int32_t>::max())
    throw ValueError(fmt::format("to_cpp: {} needs memory for {} numbers, which is too many for a source", name, size));
  SourceWriter writer(constants, size);
  writer.line(fmt::format("std::memcpy(m, x, sizeof(float) * {});", input.size()));
  for (const auto& step : steps) step->write(writer);
  if (y.base != kOutput) writer.line(fmt::format("std::memcpy(y, {}, sizeof(float) * {});", writer.at(y, output.size()), output.size()));
  std::string reset;
  for (const Kept& k : kept) {
    writer.line(fmt::format("std::memcpy(m + {}, {}, sizeof(float) * {});", k.state.offset, writer.at(k.from, k.size), k.size));
    reset += fmt::format("    for (int i = 0; i < {}; ++i) memory_[{} + i] = 0.0f;\n", k.size, k.state.offset);
  }
  return fmt::format(
      "// Written by Wengert {0}: a network's forward pass, {1} -> {2}. C++17, needs nothing but the C++ library.\n"
      "#pragma once\n\n#include <cmath>\n#include <cstdint>\n#include <cstring>\n#include <limits>\n#include <type_traits>\n\n"
      // Two plugins of a program may bring different networks of one name.
      "namespace [[gnu::visibility(\"hidden\")]] {3}_functions {{\n\n{4}\n"
      "/// The forward pass, in memory m.\n"
      "inline void run(float* const m, const float* x, float* y) noexcept {{\n{5}}}\n\n"
      "}}  // namespace {3}_functions\n\n"
      "/// Row-major {1} -> {2}. x and y may be the same memory. One thread at a time; copies are independent.\n"
      "class {3} {{\n public:\n  static constexpr int inputs = {6}, outputs = {7};\n\n"
      "  void operator()(const float* x, float* y) noexcept {{ {3}_functions::run(memory_, x, y); }}\n"
      "  /// Sets what is kept from call to call to 0.\n"
      "  void reset() noexcept {{\n{8}  }}\n\n private:\n  alignas(64) float memory_[{9}] = {{}};\n}};\n",
      WENGERT_VERSION_STRING, to_string(input), to_string(output), name, writer.definitions(), writer.body(), input.size(), output.size(),
      reset, writer.size());
}

}  // namespace wengert::detail::frozen
