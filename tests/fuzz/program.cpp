#include "program.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "checks.h"

namespace wengert::fuzz {

namespace {

// The bits of k from the last to the first.
std::uint64_t reversed(std::uint64_t k) {
  k = (k & 0x5555555555555555u) << 1 | (k >> 1 & 0x5555555555555555u);
  k = (k & 0x3333333333333333u) << 2 | (k >> 2 & 0x3333333333333333u);
  k = (k & 0x0f0f0f0f0f0f0f0fu) << 4 | (k >> 4 & 0x0f0f0f0f0f0f0f0fu);
  return __builtin_bswap64(k);
}

}  // namespace

// ---- choices ----------------------------------------------------------------------------------------------------------------------

Index Program::between(Index first, Index last) {
  const Index k = below(last - first + 1);
  if (first >= 0) return first + k;
  if (last <= 0) return last - k;
  const Index both = std::min(-first, last);  // 0, 1, -1, 2, -2, ... both, -both, and on to the end that is farther away
  if (k > 2 * both) return last > both ? k - both : both - k;
  return k % 2 == 1 ? (k + 1) / 2 : -k / 2;
}

double Program::real() {
  constexpr int kBits = 53;
  const std::uint64_t k = choices_.below(std::uint64_t(1) << kBits);
  const double u = static_cast<double>(reversed(k) >> (64 - kBits)) * 0x1p-53;  // 0, 1/2, 1/4, 3/4 ...: the sequence of van der Corput
  return u < 0.25 ? 4 * u + 1 : 4 * u - 3;
}

std::vector<double> Program::factors(Index n) {
  const std::uint64_t seed = choices_.below(1 << 16);
  Choices numbers(seed);
  std::vector<double> all;
  for (; n > 0; --n) all.push_back(seed == 0 ? 1 : static_cast<double>(numbers.below(16)) / 4 - 1.875);
  return all;
}

// ---- shapes and values ------------------------------------------------------------------------------------------------------------

Shape Program::shape() {
  Shape s;
  const Index choice = below(32);  // one choice, so that a lower one is a lower rank; 4 is rarer than the others
  for (Index rank = choice < 28 ? choice / 7 : 4; rank > 0; --rank) s.push_back(one_in(12) ? 0 : between(1, 4));
  choices_.mark();
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
    if (one_in(2)) all.push_back(one_in(2) ? d - rank : d);
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
  choices_.mark();
  for (Index k = count(shape); k > 0; --k) {
    double value = dtype == boolean ? static_cast<double>(below(2)) : dtype == int64 ? static_cast<double>(between(-3, 3)) : real();
    if (is_floating(dtype) && one_in(40)) value = finite || one_in(2) ? 0 : one_in(2) ? HUGE_VAL : NAN;
    a.values.push_back(rounded(value, dtype));
  }
  choices_.mark();
  look_at(a);
  return made(std::move(a), 2);
}

Program::Value Program::integers(const Shape& shape, Index low, Index high) {
  Array a{shape, int64, {}};
  choices_.mark();
  for (Index k = count(shape); k > 0; --k) {
    const bool beyond = one_in(40) || low > high;
    a.values.push_back(static_cast<double>(beyond ? (one_in(2) ? low - 1 : high + 1) : between(low, high)));
  }
  choices_.mark();
  return made(std::move(a), 3);
}

Program::Value Program::made(Array array, Index strided_one_in) {
  Tensor t = Tensor::from(std::span<const double>(array.values), array.shape).to(array.dtype);
  const int number = numbers_++;
  const std::string_view to = array.dtype == float32   ? ".to(float32)"
                              : array.dtype == int64   ? ".to(int64)"
                              : array.dtype == boolean ? ".to(boolean)"
                                                       : "";
  if (tape_ && is_floating(array.dtype) && below(3) != 0) {
    t = tape_->variable(t);
    variables_.push_back({t, number});
    print("const Tensor x{} = tape.variable(Tensor::from(std::vector<double>{}, Shape{}){});", number, array.values, array.shape, to);
    print("Tensor v{0} = x{0};", number);
  } else {
    print("Tensor v{} = Tensor::from(std::vector<double>{}, Shape{}){};", number, array.values, array.shape, to);
  }
  if (one_in(strided_one_in)) t = strided(t, number);
  return {std::move(t), std::move(array), number};
}

Tensor Program::strided(Tensor t, int number) {
  if (one_in(2) && t.rank() > 1) {
    t = transpose(transpose(t, 0, -1).contiguous(), 0, -1);
    print("v{0} = transpose(transpose(v{0}, 0, -1).contiguous(), 0, -1);", number);
  }
  if (one_in(2)) {
    t = select(stack({t, t}, t.rank()), -1, 1);
    print("v{0} = select(stack({{v{0}, v{0}}}, {1}), -1, 1);", number, t.rank());
  }
  if (one_in(3) && t.rank() > 0) {
    t = flip(flip(t, {0}).contiguous(), {0});
    print("v{0} = flip(flip(v{0}, {{0}}).contiguous(), {{0}});", number);
  }
  return t;
}

Program::Value Program::of_shape(const Shape& shape, Dtype dtype) {
  if (below(3) == 0)
    for (const Value& value : values_)
      if (value.array.shape == shape && value.array.dtype == dtype) return value;
  return fresh(shape, dtype);
}

// ---- steps ------------------------------------------------------------------------------------------------------------------------

namespace {

// How far each value may be off: a fraction of its magnitude. (Of an infinite one, where infinities of opposite sign may cancel: any.)
std::vector<double> errors_of(const Array& a) {
  if (!is_floating(a.dtype)) return {};
  const double fraction = a.dtype == float64 ? 1e-11 : 2e-5;
  const double tiny = a.dtype == float64 ? 1e-300 : 1e-36;
  std::vector<double> errors(a.values.size());
  for (std::size_t k = 0; k < errors.size(); ++k) {
    const double own = std::isinf(a.values[k]) ? 0 : std::abs(a.values[k]);
    errors[k] = fraction * std::max(own, a.magnitudes.empty() ? 0 : a.magnitudes[k]) + tiny;
  }
  return errors;
}

}  // namespace

void Program::print_step(const char* name, const std::string& call, const std::optional<Array>& expected) {
  calls_.push_back(outline(call) + (expected ? "" : ", refused"));
  if (!expected) return print("check(\"{}\", refusal([&] {{ return {}; }}));", name, call);
  print("Tensor v{} = {};", numbers_, call);
  print_check(numbers_, *expected);
}

void Program::print_check(int number, const Array& expected) {
  if (!lines_) return;
  std::vector<double> errors = errors_of(expected);
  for (double& e : errors) e = std::strtod(fmt::format("{:.2e}", e).c_str(), nullptr);  // fewer digits are easier to read
  const std::string last = errors.empty() ? "" : ", " + literal(errors);
  print("check(\"v{0}\", difference(v{0}, {1}, {2}, {3}{4}));", number, expected.shape, expected.dtype, expected.values, last);
}

void Program::finish(const char* name, std::optional<Tensor> result, std::optional<Array> expected, const std::string& message) {
  if (!expected && result) fail(fmt::format("{}: accepted what it must refuse", name));
  if (!expected) return;
  if (!result) fail(fmt::format("{}: refused what it must do: {}", name, message));
  const std::string wrong = difference(*result, expected->shape, expected->dtype, expected->values, errors_of(*expected));
  if (!wrong.empty()) fail(fmt::format("{}: {}", name, wrong));
  expected->values = result->to_vector<double>();  // so that rounding errors do not accumulate
  keep({*std::move(result), *std::move(expected), numbers_++});
}

void Program::look_at(const Array& a) {
  for (const double v : a.values) moderate_ &= !is_floating(a.dtype) || std::abs(v) < kLarge;
}

// Keeps integers small, because products of large ones would overflow.
void Program::keep(Value value) {
  look_at(value.array);
  if (value.array.dtype == int64)
    for (const double v : value.array.values)
      if (std::abs(v) > 1e6) return;
  if (value.array.size() <= 2000) values_.push_back(std::move(value));
}

// Writes to one element of a value; no other value may change.
void Program::write() {
  Value& value = values_[static_cast<std::size_t>(below(static_cast<Index>(values_.size())))];
  if (value.array.size() == 0 || value.array.dtype != float64) return;
  const Index k = below(value.array.size());
  print("{}.mutable_data<double>()[{}] = 7.5;", value, k);
  value.tensor.mutable_data<double>()[k] = 7.5;
  value.array.values[static_cast<std::size_t>(k)] = 7.5;
  written_ = true;
}

void Program::check_nothing_else_changed() {
  for (const Value& value : values_) {
    const Array& a = value.array;
    const std::string changed = difference(value.tensor, a.shape, a.dtype, a.values);
    if (written_ || !changed.empty()) print_check(value.number, a);
    if (!changed.empty()) fail(fmt::format("a {} {} has changed: {}", to_string(a.shape), to_string(a.dtype), changed));
  }
}

// Checks <w, J v> = <J^T w, v>.
void Program::check_derivatives() {
  Tensor target = Tensor::zeros({}, float64);
  print("Tensor target = Tensor::zeros({{}}, float64);");
  bool coarse = false;
  for (const Value& value : values_) {
    coarse |= value.array.dtype == float32;
    if (!is_floating(value.array.dtype) || value.tensor.number() == 0) continue;
    const std::vector<double> w = factors(value.array.size());
    print("target = target + sum({}.to(float64) * Tensor::from(std::vector<double>{}, Shape{}));", value, w, value.array.shape);
    target = target + sum(value.tensor.to(float64) * Tensor::from(std::span<const double>(w), value.array.shape));
  }
  if (target.number() == 0) return;
  std::vector<Tensor> sources, directions;
  std::string names, texts;
  for (const auto& [tensor, number] : variables_) {
    coarse |= tensor.dtype() == float32;
    const std::vector<double> v = factors(tensor.size());
    sources.push_back(tensor);
    directions.push_back(Tensor::from(std::span<const double>(v), tensor.shape()).to(tensor.dtype()));
    if (!lines_) continue;
    if (!names.empty()) names += ", ", texts += ", ";
    names += code("x{}", number);
    texts += code("Tensor::from(std::vector<double>{}, Shape{}).to({})", v, tensor.shape(), tensor.dtype());
  }
  const double fraction = coarse ? 1e-2 : 1e-7;
  print("check(\"derivatives\", difference_of_modes(tape, target, {{{}}}, {{{}}}, {}));", names, texts, fraction);
  const std::string wrong = difference_of_modes(*tape_, target, sources, directions, fraction);
  if (!wrong.empty()) fail(wrong);
}

void Program::run() {
  constexpr Index kMostSteps = 6;
  if (one_in(3)) {
    print("Tape tape;");
    tape_.emplace();
  }
  values_.push_back(fresh(shape(), floating()));
  if (below(8) != 0) values_.push_back(fresh(shape(), one_in(3) ? int64 : one_in(4) ? boolean : floating()));
  const std::span<const Operation> all = operations();
  try {
    for (Index steps = 0;; ++steps) {  // any number of them from 1 on is as likely as any other; rarely there is none
      choices_.mark();
      if (below(steps == 0 ? 64 : kMostSteps + 1 - steps) == 0) break;
      const Operation& operation = all[static_cast<std::size_t>(below(static_cast<Index>(all.size())))];
      print("// {}", operation.name);
      operation.step(*this);
      if (one_in(8)) write();
    }
    check_nothing_else_changed();
    if (tape_ && !variables_.empty() && moderate_) check_derivatives();
  } catch (const Error& e) {
    fail(fmt::format("an error where none belongs: {}", e.what()));
  }
}

std::string run_program(Choices& choices, std::string* lines) {
  try {
    Program(choices, lines).run();
    return "";
  } catch (const Failure& failure) {
    return failure.what;
  } catch (const std::exception& e) {
    return fmt::format("an exception that is not a wengert::Error: {}", e.what());
  }
}

}  // namespace wengert::fuzz
