#include "program.h"

#include <algorithm>
#include <cmath>

namespace wengert::fuzz {

namespace {

constexpr double kLarge = 1e4;

// The mixing function of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

}  // namespace

// Mixed, because the random numbers of programs with consecutive seeds would overlap.
Program::Program(std::uint64_t seed, bool verbose) : state_(mixed(seed + 1)), verbose_(verbose) {}

std::uint64_t Program::bits() { return mixed(state_ += 0x9e3779b97f4a7c15u); }

// ---- shapes and values ------------------------------------------------------------------------------------------------------------

Shape Program::shape() {
  Shape s;
  for (Index rank = one_in(8) ? 4 : below(4); rank > 0; --rank) s.push_back(one_in(12) ? 0 : between(1, 4));
  return s;
}

Shape Program::shape_like(const Shape& shape) {
  if (one_in(12)) return this->shape();
  Shape s;
  const int dropped = one_in(3) && shape.rank() > 0 ? static_cast<int>(between(1, shape.rank())) : 0;
  if (!dropped && one_in(6) && shape.rank() < 4) s.push_back(between(1, 3));
  for (int d = dropped; d < shape.rank(); ++d) s.push_back(one_in(4) ? 1 : shape[d]);
  return s;
}

Index Program::dim(int rank) {
  if (one_in(15) || rank == 0) return between(-rank - 2, rank + 1);
  return between(-rank, rank - 1);
}

Dims Program::dims(int rank) {
  Dims all;
  for (int d = 0; d < rank; ++d)
    if (one_in(2)) all.push_back(one_in(2) ? d : d - rank);
  if (one_in(20)) all.push_back(dim(rank));
  return all;
}

const Program::Value& Program::any() { return values_[static_cast<std::size_t>(below(static_cast<Index>(values_.size())))]; }
const Program::Value& Program::any_floating() {
  const Value& value = any();
  return is_floating(value.array.dtype) || one_in(15) ? value : values_[0];
}

Program::Value Program::fresh(const Shape& shape, Dtype dtype, bool finite) {
  Array a{shape, dtype, {}};
  for (Index k = count(shape); k > 0; --k) {
    double value = dtype == boolean ? static_cast<double>(below(2)) : dtype == int64 ? static_cast<double>(between(-3, 3)) : real();
    if (is_floating(dtype) && one_in(40)) value = finite || one_in(2) ? 0 : one_in(2) ? HUGE_VAL : NAN;
    a.values.push_back(rounded(value, dtype));
  }
  look_at(a);
  Tensor t = Tensor::from(std::span<const double>(a.values), shape).to(dtype);
  if (tape_ && is_floating(dtype) && !one_in(3)) {
    t = tape_->variable(t);
    variables_.push_back(t);
  }
  return {one_in(2) ? strided(t) : t, a};
}

/// The same values with another layout in memory.
Tensor Program::strided(const Tensor& x) {
  Tensor t = x;
  if (one_in(2) && t.rank() > 1) t = transpose(transpose(t, 0, -1).contiguous(), 0, -1);
  if (one_in(2)) t = select(stack({t, t}, t.rank()), -1, 1);
  if (one_in(3) && t.rank() > 0) t = flip(flip(t, {0}).contiguous(), {0});
  return t;
}

Program::Value Program::of_shape(const Shape& shape, Dtype dtype) {
  if (one_in(3))
    for (const Value& value : values_)
      if (value.array.shape == shape && value.array.dtype == dtype) return value;
  return fresh(shape, dtype);
}

Program::Value Program::integers(const Shape& shape, Index low, Index high) {
  Array a{shape, int64, {}};
  for (Index k = count(shape); k > 0; --k) {
    const bool beyond = one_in(40) || low > high;
    a.values.push_back(static_cast<double>(beyond ? (one_in(2) ? high + 1 : low - 1) : between(low, high)));
  }
  const Tensor t = Tensor::from(std::span<const double>(a.values), shape).to(int64);
  return {one_in(3) ? strided(t) : t, a};
}

// ---- steps ------------------------------------------------------------------------------------------------------------------------

namespace {

std::string printed(const Array& a) { return fmt::format("{} {}", to_string(a.shape), to_string(a.dtype)); }

/// The position of the first wrong value, or -1.
Index first_difference(const Array& expected, const std::vector<double>& got) {
  const double fraction = expected.dtype == float64 ? 1e-11 : expected.dtype == float32 ? 2e-5 : 0;
  const double tiny = expected.dtype == float64 ? 1e-300 : 1e-36;
  for (std::size_t k = 0; k < got.size(); ++k) {
    const double e = expected.values[k], g = got[k];
    if (e == g || (std::isnan(e) && std::isnan(g))) continue;
    const double magnitude = std::max(std::abs(e), expected.magnitudes.empty() ? 0 : expected.magnitudes[k]);
    if (std::isfinite(g) && std::isfinite(e) && std::abs(e - g) <= fraction * magnitude + tiny) continue;
    if (!std::isfinite(magnitude) && std::isnan(g) == std::isnan(e)) continue;  // infinities of opposite sign cancel
    return static_cast<Index>(k);
  }
  return -1;
}

}  // namespace

void Program::finish(const char* name, std::optional<Tensor> result, std::optional<Array> expected, const std::string& message) {
  if (verbose_) {
    fmt::print("  {}: {}\n", name, expected ? printed(*expected) : "refused");
    if (result) fmt::print("    gave {} {}\n", to_string(result->shape()), to_string(result->dtype()));
    if (!result) fmt::print("    {}\n", message);
  }
  if (!expected && result) fail(fmt::format("{}: accepted what it must refuse", name));
  if (expected && !result) fail(fmt::format("{}: refused what it must do: {}", name, message));
  if (!expected) return;
  if (!(result->shape() == expected->shape) || result->dtype() != expected->dtype)
    fail(fmt::format("{}: {} {} instead of {}", name, to_string(result->shape()), to_string(result->dtype()), printed(*expected)));
  const std::vector<double> got = result->to_vector<double>();
  if (const Index k = first_difference(*expected, got); k >= 0)
    fail(fmt::format("{}: value {} is {} instead of {}", name, k, got[static_cast<std::size_t>(k)],
                     expected->values[static_cast<std::size_t>(k)]));
  expected->values = got;  // so that rounding errors do not accumulate
  keep({*result, *std::move(expected)});
}

void Program::look_at(const Array& a) {
  for (const double v : a.values) moderate_ &= !is_floating(a.dtype) || std::abs(v) < kLarge;
}

/// Keeps integers small, because products of large ones would overflow.
void Program::keep(Value value) {
  look_at(value.array);
  if (value.array.dtype == int64)
    for (const double v : value.array.values)
      if (std::abs(v) > 1e6) return;
  if (value.array.size() <= 2000) values_.push_back(std::move(value));
}

void Program::write() {
  Value& value = values_[static_cast<std::size_t>(below(static_cast<Index>(values_.size())))];
  if (value.array.size() == 0 || value.array.dtype != float64) return;
  const Index k = below(value.array.size());
  value.tensor.mutable_data<double>()[k] = 7.5;
  value.array.values[static_cast<std::size_t>(k)] = 7.5;
  if (verbose_) fmt::print("  write\n");
}

void Program::check_nothing_else_changed() {
  for (const Value& value : values_) {
    const std::vector<double> now = value.tensor.to_vector<double>();
    for (std::size_t k = 0; k < now.size(); ++k)
      if (now[k] != value.array.values[k] && !(std::isnan(now[k]) && std::isnan(value.array.values[k])))
        fail(fmt::format("value {} of a {} has changed from {} to {}", k, printed(value.array), value.array.values[k], now[k]));
  }
}

/// Checks <w, J v> = <J^T w, v>, unless some value or derivative is very large or not finite.
void Program::check_derivatives() {
  Tensor target = Tensor::zeros({}, float64);
  for (const Value& value : values_) {
    if (!is_floating(value.array.dtype) || value.tensor.number() == 0) continue;
    std::vector<double> w;
    for (Index k = value.array.size(); k > 0; --k) w.push_back(real());
    const Tensor weights = Tensor::from(std::span<const double>(w), value.array.shape);
    target = target + sum(value.tensor.to(float64) * weights);
  }
  if (target.number() == 0) return;
  std::vector<Tensor> directions;
  bool coarse = false;
  for (const Tensor& variable : variables_) {
    std::vector<double> v;
    for (Index k = variable.size(); k > 0; --k) v.push_back(real());
    directions.push_back(Tensor::from(std::span<const double>(v), variable.shape()).to(variable.dtype()));
    coarse |= variable.dtype() == float32;
  }
  const double pushed = tape_->jvp(target, std::span<const Tensor>(variables_), directions).item();
  if (!std::isfinite(pushed)) return;  // an infinite slope times 0 is NaN in one mode, and 0 in the other where a rule selects
  const std::vector<Tensor> gradient = tape_->gradient(target, std::span<const Tensor>(variables_), {.unreached = Unreached::zero});
  double pulled = 0, magnitude = 1;
  for (std::size_t k = 0; k < gradient.size(); ++k) {
    if (!(gradient[k].shape() == variables_[k].shape()) || gradient[k].dtype() != variables_[k].dtype())
      fail("a gradient has not the shape and dtype of its source");
    for (Index i = 0; i < gradient[k].size(); ++i) {
      const double term = gradient[k].element(i) * directions[k].element(i);
      if (!(std::abs(term) < kLarge)) return;
      pulled += term;
      magnitude += std::abs(term);
    }
  }
  for (const Value& value : values_) coarse |= value.array.dtype == float32;
  if (!(std::abs(pushed - pulled) <= (coarse ? 1e-2 : 1e-7) * magnitude))
    fail(fmt::format("<w, J v> is {}, but <J^T w, v> is {}", pushed, pulled));
}

void Program::run() {
  if (one_in(3)) tape_.emplace();
  values_.push_back(fresh(shape(), floating()));
  values_.push_back(fresh(shape(), one_in(3) ? int64 : one_in(4) ? boolean : floating()));
  const std::span<const Operation> all = operations();
  try {
    for (Index steps = between(1, 6); steps > 0; --steps) {
      const Operation& operation = all[static_cast<std::size_t>(below(static_cast<Index>(all.size())))];
      if (verbose_) fmt::print("{}\n", operation.name);
      operation.step(*this);
      if (one_in(8)) write();
    }
    check_nothing_else_changed();
    if (tape_ && !variables_.empty() && moderate_) check_derivatives();
  } catch (const Error& e) {
    fail(fmt::format("an error where none belongs: {}", e.what()));
  }
}

}  // namespace wengert::fuzz
