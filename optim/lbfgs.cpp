#include "optim/lbfgs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "autodiff/check_option.h"
#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "optim/parameter_checks.h"
#include "optim/state_reader.h"

namespace wengert::optim {
namespace {

double inner(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }
double largest(const Tensor& a) { return a.size() == 0 ? 0 : max(abs(a)).item(); }

void check(const LBFGSOptions& o) {
  const auto at_least = [](const char* option, Index value, Index least) {
    if (value < least) throw ValueError(fmt::format("LBFGS: {} must be at least {}, but it is {}", option, least, value));
  };
  wengert::detail::check_positive("LBFGS", "lr", o.lr);
  wengert::detail::check_not_negative("LBFGS", "tolerance_grad", o.tolerance_grad);
  wengert::detail::check_not_negative("LBFGS", "tolerance_change", o.tolerance_change);
  at_least("max_iterations", o.max_iterations, 1);
  at_least("max_evaluations", o.max_evaluations, 0);
  at_least("history_size", o.history_size, 1);
}

// A point of the line, t from its start.
struct Trial {
  double t, value;
  Tensor gradient;
  double slope;
};

// Where the cubic through two trials and their slopes, the left trial first, has its minimum, brought into [low, high]; the middle if it
// has none. (Nocedal and Wright 3.59)
double cubic_minimum(const Trial& a, const Trial& b, double low, double high) {
  const double d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t);
  const double square = d1 * d1 - a.slope * b.slope;
  const double d2 = std::sqrt(square);
  const double t = b.t - (b.t - a.t) * (b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2);
  return std::isfinite(t) ? std::min(std::max(t, low), high) : (low + high) / 2;
}

// A step that fulfils the strong Wolfe conditions, or the best one that was found. (Nocedal and Wright, algorithms 3.5 and 3.6)
class LineSearch {
 public:
  // at(t) evaluates a trial; steps below `resolution` change nothing.
  LineSearch(wengert::detail::FunctionRef<Trial(double)> at, const Trial& start, double resolution)
      : at_(at), start_(start), resolution_(resolution) {}

  Trial run(double t) {
    Trial low = start_, high = at_(t);
    if (!bracket(low, high)) return high;
    return zoom(std::move(low), std::move(high));
  }

 private:
  static constexpr int kMostTrials = 25;
  bool falls_too_little(const Trial& trial) const { return trial.value > start_.value + 1e-4 * trial.t * start_.slope; }
  bool is_flat(const Trial& trial) const { return std::abs(trial.slope) <= -0.9 * start_.slope; }

  // Goes on until a step lies between the two trials; false if the second is one.
  bool bracket(Trial& low, Trial& high) {
    for (; trials_ < kMostTrials; ++trials_) {
      if (falls_too_little(high) || (trials_ > 0 && high.value >= low.value)) return true;
      if (is_flat(high)) return false;
      if (high.slope >= 0) return true;
      const double t = cubic_minimum(low, high, high.t + 0.01 * (high.t - low.t), 10 * high.t);
      low = std::exchange(high, at_(t));
    }
    low = start_;
    return true;
  }

  Trial zoom(Trial a, Trial b) {
    Trial low = std::move(a), high = std::move(b);
    if (high.value < low.value) std::swap(low, high);
    bool slow = false;  // whether the trial before was close to an end
    for (; trials_ < kMostTrials && std::abs(high.t - low.t) * resolution_ >= 1; ++trials_) {
      const auto [left, right] = std::minmax(low.t, high.t);
      double t = cubic_minimum(low.t < high.t ? low : high, low.t < high.t ? high : low, left, right);
      const double margin = 0.1 * (right - left);
      if (std::min(right - t, t - left) >= margin) {
        slow = false;
      } else if (slow || t >= right || t <= left) {
        t = std::abs(t - right) < std::abs(t - left) ? right - margin : left + margin;
        slow = false;
      } else {
        slow = true;
      }
      Trial now = at_(t);
      if (falls_too_little(now) || now.value >= low.value) {
        high = std::move(now);
        if (high.value < low.value) std::swap(low, high);
        continue;
      }
      if (is_flat(now)) return now;
      if (now.slope * (high.t - low.t) >= 0) high = std::move(low);
      low = std::move(now);
    }
    return low;
  }

  wengert::detail::FunctionRef<Trial(double)> at_;
  Trial start_;
  double resolution_;
  int trials_ = 0;
};

}  // namespace

// The function of one vector.
class LBFGS::Function {
 public:
  Function(wengert::detail::FunctionRef<Tensor()> f, const ParameterList& parameters) : f_(f), parameters_(parameters) {
    for (const ParameterRef& p : parameters) start_.push_back(p->value);
  }
  Tensor position() const {
    std::vector<Tensor> flat;
    for (const ParameterRef& p : parameters_) flat.push_back(reshape(p->value, {p->value.size()}).to(float64));
    return concat(flat);
  }
  void move_to(const Tensor& x) const {
    Index first = 0;
    for (const ParameterRef& p : parameters_) {
      const Tensor& old = p->value;
      const Index n = old.size();
      if (!p->frozen) p->value = reshape(narrow(x, 0, first, n), old.shape()).to(old.dtype()).clone();
      first += n;
    }
  }
  void move_back() const {
    for (std::size_t i = 0; i < start_.size(); ++i) parameters_[i]->value = start_[i];
  }
  // The value there and the gradient; no number counts as infinitely large.
  std::pair<double, Tensor> at(const Tensor& x) {
    move_to(x);
    ++evaluations;
    double value = 0;
    Gradients gradients;
    {
      Tape tape;
      const Tensor loss = f_();
      gradients = tape.gradient(loss, parameters_);
      value = loss.constant().item();
    }
    std::vector<Tensor> flat;
    for (const Tensor& g : gradients) flat.push_back(reshape(g, {g.size()}).to(float64));
    return {std::isnan(value) ? std::numeric_limits<double>::infinity() : value, concat(flat)};
  }

  Index evaluations = 0;

 private:
  wengert::detail::FunctionRef<Tensor()> f_;
  const ParameterList& parameters_;
  std::vector<Tensor> start_;
};

LBFGS::LBFGS(const ParameterList& parameters, LBFGSOptions options) : options_(options), parameters_(parameters) {
  check(options);
  check_parameters("LBFGS", parameters);
}

void LBFGS::set_options(const LBFGSOptions& options) {
  check(options);
  options_ = options;
}

double LBFGS::run(wengert::detail::FunctionRef<Tensor()> function) {
  Function f(function, parameters_);
  Memory memory = memory_;
  try {
    const double value = iterate(memory, f);
    memory.evaluations += f.evaluations;
    memory_ = std::move(memory);
    return value;
  } catch (...) {
    f.move_back();
    throw;
  }
}

double LBFGS::iterate(Memory& memory, Function& f) const {
  const Index most = options_.max_evaluations > 0 ? options_.max_evaluations : options_.max_iterations * 5 / 4;
  Tensor x = f.position();
  auto [value, gradient] = f.at(x);
  if (!std::isfinite(value)) throw ValueError("LBFGS: the value of the function is not finite where the step starts");
  const double first = value;
  if (largest(gradient) <= options_.tolerance_grad) return first;
  for (Index n = 1;; ++n) {
    ++memory.iterations;
    set_direction(memory, gradient);
    const Tensor& d = memory.direction;
    const double slope = inner(gradient, d), before = value;
    double& t = memory.length;
    t = memory.iterations == 1 ? std::min(1.0, 1 / sum(abs(gradient)).item()) * options_.lr : options_.lr;
    if (slope > -options_.tolerance_change) break;
    if (options_.line_search) {
      const auto at = [&](double length) {
        auto [there, g] = f.at(x + length * d);
        const double along = inner(g, d);
        return Trial{length, there, std::move(g), along};
      };
      Trial best = LineSearch(at, {0, value, gradient, slope}, largest(d) / options_.tolerance_change).run(t);
      t = best.t;
      value = best.value;
      gradient = std::move(best.gradient);
    }
    x = x + t * d;
    if (options_.line_search || n == options_.max_iterations) {
      f.move_to(x);
    } else {
      std::tie(value, gradient) = f.at(x);
    }
    if (n == options_.max_iterations || f.evaluations >= most || largest(gradient) <= options_.tolerance_grad) break;
    if (largest(d) * t <= options_.tolerance_change || std::abs(value - before) < options_.tolerance_change) break;
  }
  return first;
}

// Takes the pair of the iteration before, then d = -H g in two loops over the pairs. (Nocedal and Wright, algorithm 7.4)
void LBFGS::set_direction(Memory& memory, const Tensor& gradient) const {
  if (memory.direction.defined()) {
    const Tensor s = memory.length * memory.direction, y = gradient - memory.gradient;
    const double ys = inner(y, s);
    if (ys > 1e-10) {
      const std::size_t most = static_cast<std::size_t>(options_.history_size);
      if (memory.s.size() >= most) {
        const auto excess = static_cast<std::ptrdiff_t>(memory.s.size() - most + 1);
        memory.s.erase(memory.s.begin(), memory.s.begin() + excess);
        memory.y.erase(memory.y.begin(), memory.y.begin() + excess);
      }
      memory.s.push_back(s);
      memory.y.push_back(y);
      memory.scale = ys / inner(y, y);
    }
  }
  const std::size_t pairs = memory.s.size();
  std::vector<double> rho(pairs), alpha(pairs);
  Tensor q = -gradient;
  for (std::size_t i = pairs; i-- > 0;) {
    rho[i] = 1 / inner(memory.y[i], memory.s[i]);
    alpha[i] = rho[i] * inner(memory.s[i], q);
    q = q - alpha[i] * memory.y[i];
  }
  q = memory.scale * q;
  for (std::size_t i = 0; i < pairs; ++i) q = q + (alpha[i] - rho[i] * inner(memory.y[i], q)) * memory.s[i];
  memory.direction = q;
  memory.gradient = gradient;
}

Index LBFGS::size() const {
  Index n = 0;
  for (const ParameterRef& p : parameters_) n += p->value.size();
  return n;
}

namespace {

Tensor as_tensor(const Shape& shape) {
  Tensor t = Tensor::zeros({shape.rank()}, int64);
  for (Index i = 0; i < shape.rank(); ++i) t.mutable_data<std::int64_t>()[i] = shape[static_cast<std::size_t>(i)];
  return t;
}

}  // namespace

std::vector<NamedTensor> LBFGS::state() const {
  std::vector<NamedTensor> state{named_number("LBFGS.settings.lr", options_.lr),
                                 named_integer("LBFGS.settings.max_iterations", options_.max_iterations),
                                 named_integer("LBFGS.settings.max_evaluations", options_.max_evaluations),
                                 named_number("LBFGS.settings.tolerance_grad", options_.tolerance_grad),
                                 named_number("LBFGS.settings.tolerance_change", options_.tolerance_change),
                                 named_integer("LBFGS.settings.history_size", options_.history_size),
                                 named_integer("LBFGS.settings.line_search", options_.line_search ? 1 : 0),
                                 named_integer("LBFGS.iterations", memory_.iterations),
                                 named_integer("LBFGS.evaluations", memory_.evaluations),
                                 named_integer("LBFGS.pairs", static_cast<Index>(memory_.s.size()))};
  const std::vector<std::string> names = state_names(parameters_);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string prefix = fmt::format("LBFGS.parameters.{}.", names[i]);
    state.push_back(named_integer(prefix + "position", static_cast<Index>(i)));
    state.push_back({prefix + "shape", as_tensor(parameters_[i]->value.shape())});
  }
  if (!memory_.direction.defined()) return state;
  state.push_back(named_number("LBFGS.length", memory_.length));
  state.push_back(named_number("LBFGS.scale", memory_.scale));
  state.push_back({"LBFGS.direction", memory_.direction});
  state.push_back({"LBFGS.gradient", memory_.gradient});
  for (std::size_t i = 0; i < memory_.s.size(); ++i) {
    state.push_back({fmt::format("LBFGS.s.{}", i), memory_.s[i]});
    state.push_back({fmt::format("LBFGS.y.{}", i), memory_.y[i]});
  }
  return state;
}

void LBFGS::load_state(std::span<const NamedTensor> state, const std::string& source) {
  StateReader reader("LBFGS", source, state);
  LBFGSOptions options{.lr = reader.number("settings.lr"),
                       .max_iterations = reader.integer("settings.max_iterations"),
                       .max_evaluations = reader.integer("settings.max_evaluations"),
                       .tolerance_grad = reader.number("settings.tolerance_grad"),
                       .tolerance_change = reader.number("settings.tolerance_change"),
                       .history_size = reader.integer("settings.history_size"),
                       .line_search = reader.integer("settings.line_search") != 0};
  Memory memory;
  memory.iterations = reader.integer("iterations");
  memory.evaluations = reader.integer("evaluations");
  const Index pairs = reader.integer("pairs");
  const std::vector<std::string> names = reader.names_of(parameters_);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (const Index position = reader.integer(fmt::format("parameters.{}.position", names[i])); position != static_cast<Index>(i))
      reader.complain(fmt::format("LBFGS.parameters.{} is at position {}, but here at {}", names[i], position, i));
    const std::string name = fmt::format("parameters.{}.shape", names[i]);
    const Shape& own = parameters_[i]->value.shape();
    const Tensor shape = reader.tensor(name, {own.rank()}, int64);
    if (shape.defined() && shape.to_vector<std::int64_t>() != as_tensor(own).to_vector<std::int64_t>())
      reader.complain(fmt::format("LBFGS.{} is another than {}", name, to_string(own)));
  }
  if (memory.iterations > 0) {
    const Shape shape{size()};
    memory.length = reader.number("length");
    memory.scale = reader.number("scale");
    memory.direction = reader.tensor("direction", shape, float64);
    memory.gradient = reader.tensor("gradient", shape, float64);
    for (Index i = 0; i < std::min(pairs, static_cast<Index>(state.size())); ++i) {
      memory.s.push_back(reader.tensor(fmt::format("s.{}", i), shape, float64));
      memory.y.push_back(reader.tensor(fmt::format("y.{}", i), shape, float64));
    }
  }
  reader.finish();
  try {
    check(options);
  } catch (const ValueError& e) {
    throw DataError(fmt::format("{}: {}", source, e.what()));
  }
  options_ = options;
  memory_ = std::move(memory);
}

}  // namespace wengert::optim
