#include "autodiff/freeze/frozen.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "autodiff/freeze/read.h"
#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/random.h"

namespace wengert {
namespace {

// How far a frozen function may be from the function itself, in units of the largest result: much more than rounding.
constexpr double kTolerance = 1e-3;

[[noreturn]] void throw_wrong_size(const char* what, std::size_t given, const Shape& wanted) {
  throw ShapeError(fmt::format("freeze: the {} has {} elements, but the function was frozen for {}, which has {}", what, given,
                               to_string(wanted), wanted.size()));
}

bool is_close(const Tensor& y, std::span<const float> frozen) {
  const std::vector<float> wanted = y.constant().contiguous().to_vector<float>();
  double largest = 0;
  for (const float v : wanted)
    if (std::isfinite(v)) largest = std::max(largest, std::abs(static_cast<double>(v)));
  const double tolerance = kTolerance * largest + 1e-6;
  return std::equal(wanted.begin(), wanted.end(), frozen.begin(), frozen.end(),
                    [&](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= tolerance; });
}

}  // namespace

Frozen::Frozen(std::shared_ptr<const detail::frozen::Plan> plan)
    : plan_(std::move(plan)),
      x_size_(static_cast<std::size_t>(plan_->input.size())),
      memory_(static_cast<std::size_t>(plan_->size), 0.f),
      result_(static_cast<std::size_t>(plan_->output.size()), 0.f) {}

const Shape& Frozen::input() const { return plan_->input; }
const Shape& Frozen::output() const { return plan_->output; }

void Frozen::operator()(std::span<const float> x, std::span<float> y) {
  if (x.size() != x_size_) [[unlikely]]
    throw_wrong_size("input", x.size(), plan_->input);
  if (y.size() != result_.size()) [[unlikely]]
    throw_wrong_size("output", y.size(), plan_->output);
  plan_->run(memory_.data(), x.data(), y.data());
}

std::span<const float> Frozen::operator()(std::span<const float> x) {
  (*this)(x, result_);
  return result_;
}

void Frozen::reset() {
  for (const detail::frozen::Kept& k : plan_->kept) std::fill_n(memory_.data() + k.state.offset, k.size, 0.f);
}

std::string Frozen::to_cpp(std::string_view name) const { return plan_->source(name); }

Frozen detail::freeze(FunctionRef<Tensor(const Tensor&)> run, std::span<Tensor* const> state, const Shape& input, Location site) {
  constexpr int kCalls = 3;
  Generator numbers(20);
  const auto probe = [&] { return numbers.uniform(input, -1, 1, float32, site); };
  std::vector<Tensor> zeros;
  {
    const NoRecord pause;
    const Tensor x = probe();
    if (x.size() == 0) throw ShapeError(fmt::format("freeze: the input {} has no elements", to_string(input)), CallSite::of(site));
    for (Tensor* const part : state) *part = Tensor();
    static_cast<void>(run(x));
    for (const Tensor* const part : state) {
      if (!part->defined())
        throw ValueError(fmt::format("freeze: the function has a state that is still undefined after a call; it must set all of it"),
                         CallSite::of(site));
      zeros.push_back(Tensor::zeros(part->shape(), part->dtype(), site));
    }
  }
  auto plan = std::make_shared<frozen::Plan>(frozen::read_plan(run, state, zeros, probe(), site));
  Frozen result(std::move(plan));

  const NoRecord pause;
  for (std::size_t i = 0; i < state.size(); ++i) *state[i] = zeros[i];
  for (int call = 0; call < kCalls; ++call) {
    const Tensor x = probe();
    const Tensor y = run(x);
    if (!(y.shape() == result.output()) || !is_close(y, result({x.data<float>(), static_cast<std::size_t>(x.size())})))
      throw ValueError(
          fmt::format(
              "freeze: on another input the function computes something else than what was recorded; hint: its result must depend on x "
              "by operations on tensors alone: not by branches, comparisons or masks, random numbers, or what it keeps between calls"),
          CallSite::of(site));
  }
  result.reset();
  return result;
}

}  // namespace wengert
