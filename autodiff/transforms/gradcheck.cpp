#include "autodiff/transforms/gradcheck.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "autodiff/tape/forward_sweep.h"
#include "autodiff/tape/reverse_sweep.h"
#include "autodiff/tensor/random.h"

namespace wengert {

double GradientCheck::Row::error() const { return std::abs(value - expected); }

bool GradientCheck::passed() const {
  return !rows_.empty() && std::all_of(rows_.begin(), rows_.end(), [](const Row& r) { return r.passed; });
}

static std::string value_there(const GradientCheck::Row& row) {
  return row.input < 0 ? std::string() : fmt::format(", where the value is {},", row.at);
}

std::string GradientCheck::to_string() const {
  std::string text = fmt::format("check_gradient: {}\n  {:<30} {:<8} {:>12} {:>24} {:>24} {:>10} {:>10}\n", passed() ? "passed" : "FAILED",
                                 "check", "input", "element", "tape", "expected", "error", "allowed");
  const Row* first = nullptr;
  for (const Row& r : rows_) {
    text += fmt::format("  {:<30} {:<8} {:>12} {:>24.16g} {:>24.16g} {:>10.2g} {:>10.2g}{}\n", r.what,
                        r.input < 0 ? std::string("-") : fmt::format("{}", r.input), r.element, r.value, r.expected, r.error(), r.allowed,
                        r.passed ? "" : "  <- FAILED");
    if (!r.passed && !first) first = &r;
  }
  if (first)
    text += fmt::format(
        "  worst of {}: {} instead of {}{}\n", first->what, first->value, first->expected,
        first->where.empty() ? std::string() : fmt::format(" at element {}{} of {}", first->element, value_there(*first), first->where));
  return text;
}

namespace detail {
namespace {

using TensorList = std::vector<Tensor>;
using Values = std::vector<std::vector<double>>;  // the elements of each input, in row-major order

std::string position_of(Index flat, const Shape& shape) {
  Shape position = shape;
  for (int d = shape.rank(); d-- > 0; flat /= shape[d]) position[d] = flat % shape[d];
  return wengert::to_string(position);
}

// The elements of each tensor.
Values values_of(std::span<const Tensor> x) {
  Values v;
  for (const Tensor& t : x) v.push_back(t.to_vector<double>());
  return v;
}

double inner_product(std::span<const double> a, std::span<const double> b, double& magnitude) {
  double s = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    s += a[i] * b[i];
    magnitude += std::abs(a[i] * b[i]);
  }
  return s;
}
double inner_product(const Values& a, const Values& b, double& magnitude) {
  double s = 0;
  for (std::size_t k = 0; k < a.size(); ++k) s += inner_product(a[k], b[k], magnitude);
  return s;
}

double largest(const Values& v) {
  double m = 0;
  for (const auto& x : v)
    for (const double e : x)
      if (std::isfinite(e)) m = std::max(m, std::abs(e));
  return m;
}

// The first element whose bits differ, or -1; 0 also if the shapes or dtypes differ.
Index first_other_bits(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return 0;
  const Tensor p = a.clone(), q = b.clone();
  const auto width = static_cast<std::size_t>(bytes_of(p.dtype()));
  const char *s = static_cast<const char*>(p.elements()->data), *t = static_cast<const char*>(q.elements()->data);
  for (Index i = 0; i < p.size(); ++i, s += width, t += width)
    if (std::memcmp(s, t, width) != 0) return i;
  return -1;
}

// Random numbers of magnitude 0.5 to 1.5 and either sign.
Tensor random_like(const Tensor& x, Generator& random) {
  std::vector<double> v(static_cast<std::size_t>(x.size()));
  for (double& e : v) e = (random.next_bernoulli(0.5) ? 1 : -1) * random.next_uniform(0.5, 1.5);
  return Tensor::from(v, x.shape()).to(x.dtype());
}
TensorList random_like(std::span<const Tensor> x, Generator& random) {
  TensorList r;
  for (const Tensor& t : x) r.push_back(random_like(t, random));
  return r;
}

// x + h v, in v's dtype.
TensorList step_along(std::span<const Tensor> x, const TensorList& v, double h) {
  TensorList r;
  for (std::size_t k = 0; k < x.size(); ++k) r.push_back(x[k] + h * v[k]);
  return r;
}
TensorList convert(std::span<const Tensor> x, Dtype dtype) {
  TensorList r;
  for (const Tensor& t : x) r.push_back(t.to(dtype));
  return r;
}

// (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h: the error is of order h^4.
template <class F> std::vector<double> fourth_order_difference(F&& f, double h) {
  std::vector<double> d = f(h);
  const std::vector<double> back = f(-h), far = f(2 * h), far_back = f(-2 * h);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = (8 * (d[i] - back[i]) - (far[i] - far_back[i])) / (12 * h);
  return d;
}

class Checker {
 public:
  Checker(FunctionOfTensors f, std::span<const Tensor> x, const GradientCheckOptions& options)
      : f_(f), x_(converted_constants(x)), o_(options), random_(options.seed) {
    prepare();
  }

  GradientCheck run() {
    check_recording();
    check_reverse();
    check_forward();
    if (o_.order > 1) check_second_order();
    return std::move(result_);
  }

 private:
  static TensorList converted_constants(std::span<const Tensor> x) {
    TensorList r;
    for (const Tensor& t : x) {
      if (!is_floating(t.dtype()))
        throw DtypeError(fmt::format("check_gradient: the input {} is not floating; hint: capture it in the function", describe(t)));
      r.push_back(t.constant());
    }
    if (r.empty()) throw ShapeError("check_gradient: no inputs");
    return r;
  }

  // Chooses the precision of the differences, the cotangent, the step and the tolerance.
  void prepare() {
    y_ = value(x_);
    if (!is_floating(y_.dtype())) throw DtypeError(fmt::format("check_gradient: the result {} is not floating", describe(y_)));
    const bool given = !o_.by_hand.empty() || !o_.instead_of_differences.empty();
    w_ = o_.cotangent.defined() ? o_.cotangent : given ? Tensor::ones(y_.shape(), y_.dtype()) : random_like(y_, random_);
    v_ = random_like(x_, random_);
    const bool single = std::any_of(x_.begin(), x_.end(), [](const Tensor& t) { return t.dtype() == float32; }) || y_.dtype() == float32;
    bool coarse = false;
    wide_ = x_;
    if (single) {
      try {
        wide_ = convert(x_, float64);
        coarse = value(wide_).dtype() != float64;
      } catch (const DtypeError&) {
        coarse = true;
      }
      if (coarse) wide_ = x_;
    }
    step_ = o_.step > 0 ? o_.step : coarse ? 0.02 : 2e-4;
    tolerance_ = o_.tolerance > 0 ? o_.tolerance : coarse ? 0.02 : single ? 1e-4 : 1e-8;
    rounding_ = single ? 1e-6 : 1e-14;
    noise_ = (coarse ? 1e-6 : 1e-15) / step_;
    check_given(o_.by_hand, ".by_hand");
    check_given(o_.instead_of_differences, ".instead_of_differences");
  }
  void check_given(const TensorList& given, const char* name) const {
    if (given.empty()) return;
    bool fits = given.size() == x_.size();
    for (std::size_t k = 0; fits && k < given.size(); ++k) fits = given[k].shape() == x_[k].shape();
    if (!fits) throw ShapeError(fmt::format("check_gradient: {} must hold one tensor of the shape of each input", name));
    if (y_.size() != 1 && !o_.cotangent.defined())
      throw ShapeError(
          fmt::format("check_gradient: {} needs .cotangent, because the result {} has more than one element", name, describe(y_)));
  }

  Tensor value(std::span<const Tensor> x) const {
    NoRecord pause;
    return f_(x).constant();
  }
  TensorList variables(Tape& tape, std::span<const Tensor> x) const {
    TensorList v;
    for (const Tensor& t : x) v.push_back(tape.variable(t));
    return v;
  }
  // J^T w.
  TensorList gradient(std::span<const Tensor> x, const Tensor& w) const {
    Tape tape({.isolated = true});
    const TensorList v = variables(tape, x);
    const Tensor y = f_(v);
    if (!y.number()) return zeros_like(x);
    return tape.gradient(y, std::span<const Tensor>(v), {.seed = w.to(y.dtype()), .unreached = Unreached::zero});
  }
  static TensorList zeros_like(std::span<const Tensor> x) {
    TensorList z;
    for (const Tensor& t : x) z.push_back(Tensor::zeros(t.shape(), t.dtype()));
    return z;
  }

  void check_recording() {
    {
      Tape tape({.isolated = true});
      const TensorList v = variables(tape, x_);
      const std::uint64_t sweeps = sweeps_of_thread();
      const Tensor y = f_(v).constant();
      // A sweep of f's own adds in another order where it is recorded: a product does not add to what is there already. That is as much
      // rounding as between the modes.
      if (sweeps_of_thread() == sweeps) {
        add_same("recorded / not recorded", -1, y, y_, "the result " + describe(y_));
      } else {
        const std::vector<double> plain = y_.to_vector<double>();
        add_result("recorded / not recorded", y.to_vector<double>(), plain, 10 * rounding_ * largest({plain}));
      }
    }
    gradient_ = gradient(x_, w_);
    const TensorList again = gradient(x_, w_);
    for (std::size_t k = 0; k < x_.size(); ++k)
      add_same("gradient, twice", static_cast<int>(k), again[k], gradient_[k], fmt::format("input {}, {}", k, describe(x_[k])));
    const TensorList none = gradient(x_, Tensor::zeros(w_.shape(), w_.dtype()));
    add_all("cotangent 0", values_of(none), values_of(zeros_like(x_)), 0);
  }

  void check_reverse() {
    const Values tape = values_of(gradient_);
    if (!o_.by_hand.empty()) add_all("tape / by hand", tape, values_of(o_.by_hand), tolerance_ * largest(values_of(o_.by_hand)));
    if (!o_.instead_of_differences.empty()) {
      const Values other = values_of(o_.instead_of_differences);
      add_all("tape / given", tape, other, tolerance_ * largest(other));
    } else {
      const Values differences = differences_of_value();
      add_all("tape / differences", tape, differences, tolerance_ * std::max(largest(differences), largest(tape)) + noise_ * weight());
    }
  }
  // sum |w f(x)|: the scale of the rounding errors of differences.
  double weight() const {
    double magnitude = 0;
    inner_product(w_.to_vector<double>(), y_.to_vector<double>(), magnitude);
    return 10 * magnitude;
  }
  Values differences_of_value() const {
    const std::vector<double> w = w_.to_vector<double>();
    Values all;
    TensorList at = wide_;
    for (Tensor& x : at) {
      const Tensor start = x;
      std::vector<double> slopes;
      for (Index i = 0; i < start.size(); ++i) {
        const double center = start.element(i), scale = std::max(1.0, std::abs(center));
        const auto shifted = [&](double h) {
          x = start.clone();
          set_element(x, i, center + h);
          double ignored = 0;
          return std::vector<double>{inner_product(w, value(at).to_vector<double>(), ignored)};
        };
        slopes.push_back(fourth_order_difference(shifted, step_ * scale)[0]);
      }
      x = start;
      all.push_back(std::move(slopes));
    }
    return all;
  }
  static void set_element(Tensor& x, Index i, double value) {
    if (x.dtype() == float32) {
      x.mutable_data<float>()[i] = static_cast<float>(value);
    } else {
      x.mutable_data<double>()[i] = value;
    }
  }

  void check_forward() {
    try {
      compare_forward();
    } catch (const NoForwardMode&) {
      has_forward_ = false;
      result_.add({.what = "forward mode", .element = "there is none"});
    }
  }
  void compare_forward() {
    Tape tape({.isolated = true});
    const TensorList v = variables(tape, x_);
    const Tensor y = f_(v);
    const Tensor y_dot = y.number() ? tape.jvp(y, std::span<const Tensor>(v), v_) : Tensor::zeros(y_.shape(), y_.dtype());
    const std::vector<double> pushed = y_dot.to_vector<double>();
    const Tensor none = y.number() ? tape.jvp(y, std::span<const Tensor>(v), zeros_like(x_)) : y_dot;
    add_result("tangent 0", none.to_vector<double>(), Tensor::zeros(y_.shape(), y_.dtype()).to_vector<double>(), 0);

    const TensorList direction = convert(v_, wide_[0].dtype());
    const std::vector<double> differences =
        fourth_order_difference([&](double h) { return value(step_along(wide_, direction, h)).to_vector<double>(); }, step_);
    const double size = std::max(largest({differences}), largest({pushed}));
    add_result("forward / differences", pushed, differences, tolerance_ * size + 10 * noise_ * largest({y_.to_vector<double>()}));

    double magnitude = 0;
    const double forward = inner_product(w_.to_vector<double>(), pushed, magnitude);
    const double reverse = inner_product(values_of(gradient_), values_of(v_), magnitude);
    add_number("<w, J v> / <J^T w, v>", forward, reverse, 10 * rounding_ * magnitude);
  }

  // The gradient of <v, J^T w>, from the recorded sweep: H v for the Hessian H of <w, f>.
  void check_second_order() {
    Tape tape({.higher_order = true, .isolated = true});
    const TensorList x = variables(tape, x_);
    const Tensor y = f_(x);
    Tensor along = Tensor::zeros({}, x_[0].dtype());
    if (y.number()) {
      const TensorList g = tape.gradient(y, std::span<const Tensor>(x), {.seed = w_, .differentiable = true, .unreached = Unreached::zero});
      for (std::size_t k = 0; k < g.size(); ++k) along = along + sum(g[k] * v_[k]).to(along.dtype());
    }
    TensorList second = zeros_like(x_);
    double forward = 0;
    const TensorList u = random_like(x_, random_);
    if (along.number()) {
      if (has_forward_) forward = tape.jvp(along, std::span<const Tensor>(x), u).item();
      second = tape.gradient(along, std::span<const Tensor>(x), {.unreached = Unreached::zero});
    }

    const TensorList direction = convert(v_, wide_[0].dtype());
    const auto flat_gradient = [&](double h) {
      std::vector<double> flat;
      for (const auto& g : values_of(gradient(step_along(wide_, direction, h), w_))) flat.insert(flat.end(), g.begin(), g.end());
      return flat;
    };
    const std::vector<double> flat = fourth_order_difference(flat_gradient, step_);
    Values differences;
    for (std::size_t k = 0, at = 0; k < x_.size(); at += static_cast<std::size_t>(x_[k++].size()))
      differences.emplace_back(flat.begin() + static_cast<std::ptrdiff_t>(at),
                               flat.begin() + static_cast<std::ptrdiff_t>(at) + x_[k].size());

    const Values tape_values = values_of(second);
    add_all("second order / differences", tape_values, differences,
            tolerance_ * std::max(largest(tape_values), largest(differences)) + 10 * noise_ * largest(values_of(gradient_)));
    if (!has_forward_) return;
    double magnitude = 0;
    const double reverse = inner_product(tape_values, values_of(u), magnitude);
    add_number("forward over reverse / reverse", forward, reverse, 100 * rounding_ * (magnitude + largest(tape_values)));
  }

  // ---- rows of the result ----

  void add_same(const char* what, int input, const Tensor& value, const Tensor& expected, const std::string& where) {
    const Index i = first_other_bits(value, expected);
    const auto at = [i](const Tensor& t) { return i < t.size() ? t.element(i) : 0; };
    if (i < 0) {
      result_.add({.what = what, .input = input, .element = "same bits"});
    } else {
      result_.add({.what = what,
                   .input = input,
                   .element = position_of(i, expected.shape()),
                   .at = input < 0 ? 0 : at(x_[static_cast<std::size_t>(input)]),
                   .value = at(value),
                   .expected = at(expected),
                   .where = where,
                   .passed = false});
    }
  }
  void add_number(const char* what, double value, double expected, double allowed) {
    result_.add({.what = what, .value = value, .expected = expected, .allowed = allowed, .passed = agree(value, expected, allowed)});
  }
  static bool agree(double value, double expected, double allowed) { return value == expected || std::abs(value - expected) <= allowed; }
  // The element with the largest error; NaN counts as the largest.
  static std::size_t worst_of(const std::vector<double>& value, const std::vector<double>& expected) {
    std::size_t worst = 0;
    double error = -1;
    for (std::size_t i = 0; i < value.size(); ++i) {
      const double e = value[i] == expected[i] ? 0 : std::abs(value[i] - expected[i]);
      if (e > error || std::isnan(e)) {
        worst = i;
        error = e;
        if (std::isnan(e)) break;
      }
    }
    return worst;
  }
  void add_result(const char* what, const std::vector<double>& value, const std::vector<double>& expected, double allowed) {
    if (value.empty()) return;
    const std::size_t i = worst_of(value, expected);
    result_.add({.what = what,
                 .element = position_of(static_cast<Index>(i), y_.shape()),
                 .value = value[i],
                 .expected = expected[i],
                 .allowed = allowed,
                 .where = "the result " + describe(y_),
                 .passed = agree(value[i], expected[i], allowed)});
  }
  // The worst element of each input.
  void add_all(const char* what, const Values& value, const Values& expected, double allowed) {
    for (std::size_t k = 0; k < value.size(); ++k) {
      if (value[k].empty()) continue;
      const std::size_t i = worst_of(value[k], expected[k]);
      result_.add({.what = what,
                   .input = static_cast<int>(k),
                   .element = position_of(static_cast<Index>(i), x_[k].shape()),
                   .at = x_[k].element(static_cast<Index>(i)),
                   .value = value[k][i],
                   .expected = expected[k][i],
                   .allowed = allowed,
                   .where = fmt::format("input {}, {}", k, describe(x_[k])),
                   .passed = agree(value[k][i], expected[k][i], allowed)});
    }
  }

  FunctionOfTensors f_;
  TensorList x_;
  const GradientCheckOptions& o_;
  Generator random_;
  Tensor y_, w_;
  TensorList v_, wide_, gradient_;
  bool has_forward_ = true;  // whether all operations have rules for forward mode
  double step_ = 0, tolerance_ = 0, rounding_ = 0, noise_ = 0;
  GradientCheck result_;
};

}  // namespace

GradientCheck check_gradient(FunctionOfTensors f, std::span<const Tensor> x, const GradientCheckOptions& options) {
  return Checker(f, x, options).run();
}

namespace {

// Parameters in the place of the inputs of a function: while this lives they have other values, and on a tape they are its variables.
class ParameterSubstitution {
 public:
  explicit ParameterSubstitution(const ParameterList& parameters) {
    for (const ParameterRef& p : parameters) {
      if (p->frozen) continue;
      parameters_.push_back(p);
      values.push_back(p->value);
    }
    if (values.empty()) throw ShapeError("check_gradient: there are no parameters, or all are frozen");
  }
  ~ParameterSubstitution() {
    for (std::size_t k = 0; k < values.size(); ++k) parameters_[k]->value = values[k];
  }
  ParameterSubstitution(const ParameterSubstitution&) = delete;
  ParameterSubstitution& operator=(const ParameterSubstitution&) = delete;

  void set(std::span<const Tensor> x) const {
    for (std::size_t k = 0; k < x.size(); ++k) {
      ParameterState& p = *parameters_[k].get();
      p.value = x[k].constant();
      if (recording() && x[k].number()) active_tape()->read_as(p, x[k]);
    }
  }

  TensorList values;  // their own

 private:
  std::vector<ParameterRef> parameters_;
};

}  // namespace

GradientCheck check_gradient(FunctionOfParameters f, const ParameterList& parameters, const GradientCheckOptions& options) {
  const ParameterSubstitution substitution(parameters);
  const auto with_values = [&](std::span<const Tensor> x) {
    substitution.set(x);
    return f();
  };
  return Checker(with_values, substitution.values, options).run();
}

void wrong_number_of_inputs(int wanted, std::size_t given) {
  throw ShapeError(fmt::format("check_gradient: the function takes {} inputs, but {} were given", wanted, given));
}

}  // namespace detail
}  // namespace wengert
