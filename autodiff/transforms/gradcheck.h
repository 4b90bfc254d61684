#pragma once
// Gradient checks: compare the tape's derivatives with derivatives derived by hand and with finite differences.
#include <concepts>
#include <initializer_list>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/transforms/derivatives.h"

namespace wengert {

struct GradientCheckOptions {
  /// Gradients derived by hand, one for each input and in its shape, of sum(cotangent * f), or of f itself if it has one element.
  std::vector<Tensor> by_hand = {};
  /// The same gradients by another method (such as `complex_step`, in transforms/complex_step.h), to use in place of central differences.
  std::vector<Tensor> instead_of_differences = {};
  /// The cotangent of f(x), in its shape and dtype. By default random numbers; 1 if f(x) has one element and gradients are given.
  Tensor cotangent = {};
  /// 1: first derivatives. 2: second derivatives as well: the recorded sweep is compared with differences of first derivatives and with
  /// forward mode.
  int order = 2;
  /// Step of the central differences, times max(1, |x|). 0: 2e-4, or 0.02 if the function accepts only float32.
  double step = 0;
  /// Allowed error, as a fraction of the largest derivative. 0: 1e-8 in float64, 1e-4 in float32, 0.02 if the differences are float32.
  double tolerance = 0;
  /// Seed of the random cotangents and tangents.
  std::uint64_t seed = 1;
};

/// The result of `check_gradient`: true if it passed, and printable as a table.
class GradientCheck {
 public:
  /// One comparison, represented by its worst element (the largest error in units of the allowed error).
  struct Row {
    const char* what = "";     ///< what is compared, as in "tape / differences"
    int input = -1;            ///< the input whose gradient it is; -1 for a single number, such as an inner product
    std::string element = {};  ///< position of the worst element, as in "(1, 0)"
    double at = 0;             ///< value of the input there
    double value = 0;          ///< derivative by the tape
    double expected = 0;       ///< reference value
    double allowed = 0;        ///< allowed error
    std::string where = {};    ///< the input, with its shape and where it was made
    bool passed = true;
    double error() const;
  };

  /// Whether every comparison passed.
  bool passed() const;
  explicit operator bool() const { return passed(); }
  const std::vector<Row>& rows() const { return rows_; }
  /// The rows as a table with a headline; failed rows are marked, and the first of them is described in full.
  std::string to_string() const;

  /// Appends a comparison.
  void add(Row row) { rows_.push_back(std::move(row)); }

 private:
  std::vector<Row> rows_;
};

namespace detail {

using FunctionOfTensors = FunctionRef<Tensor(std::span<const Tensor>)>;

GradientCheck check_gradient(FunctionOfTensors f, std::span<const Tensor> x, const GradientCheckOptions& options);
GradientCheck check_gradient(FunctionOfParameters f, const ParameterList& parameters, const GradientCheckOptions& options);
/// Throws a ShapeError: f takes `wanted` arguments, but `given` were given.
[[noreturn]] void wrong_number_of_inputs(int wanted, std::size_t given);

/// Calls f with as many arguments of type X as it takes, or with all of them as a span.
template <class X, class F, class... Leading> decltype(auto) apply_to_all(F&& f, std::span<const X> x) {
  constexpr std::size_t kMaxArguments = 6;
  if constexpr (std::is_invocable_v<F&, const Leading&..., const X&>) {
    constexpr std::size_t n = sizeof...(Leading) + 1;
    if (x.size() != n) wrong_number_of_inputs(static_cast<int>(n), x.size());
    return [&]<std::size_t... i>(std::index_sequence<i...>)->decltype(auto) { return f(x[i]...); }
    (std::make_index_sequence<n>{});
  } else if constexpr (sizeof...(Leading) < kMaxArguments) {
    return apply_to_all<X, F, Leading..., X>(std::forward<F>(f), x);
  } else {
    return f(x);
  }
}

/// A result as a tensor: itself, or a Scalar as one of rank 0.
template <class Y> Tensor result_of_check(const Y& y, Dtype dtype) {
  if constexpr (std::is_convertible_v<const Y&, Tensor>) {
    return y;
  } else {
    static_assert(std::is_convertible_v<const Y&, Scalar>, "check_gradient: the function must return a Tensor or a Scalar");
    return select(stack({Scalar(y)}, dtype), 0, 0);
  }
}

}  // namespace detail

/// Checks the derivatives of f at x, where f takes one or more tensors (or one `std::span<const Tensor>`) and returns a tensor or a Scalar:
///
///     check_gradient([](const Tensor& a, const Tensor& b) { return matmul(a, b); }, {a, b})
///
/// The gradient of sum(w f(x)) for a cotangent w must agree with the one derived by hand, if given, and with central differences; forward
/// mode with differences along a direction; <w, J v> with <J^T w, v>; and the gradient of the recorded gradient (order 2) with differences
/// of first derivatives and with forward over reverse. Recording must not change values (beyond rounding, if f takes gradients itself), a
/// second run must give the same bits, and a cotangent of zeros must give gradients of exact zeros. f must be smooth within two steps of x.
///
/// A function that uses a custom operation without a jvp is checked without forward mode; a row of the result says so.
///
/// For float32 inputs the differences are computed in float64 if f accepts it.
template <class F> GradientCheck check_gradient(F&& f, std::initializer_list<Tensor> x, const GradientCheckOptions& options = {}) {
  const auto call = [&](std::span<const Tensor> inputs) {
    return detail::result_of_check(detail::apply_to_all<Tensor>(f, inputs), inputs.empty() ? float64 : inputs[0].dtype());
  };
  return detail::check_gradient(call, {x.begin(), x.size()}, options);
}

/// The same for a function of one or more Scalars (or one `std::span<const Scalar>`) that returns a Scalar.
template <class F> GradientCheck check_gradient(F&& f, std::span<const double> x, const GradientCheckOptions& options = {}) {
  const auto call = [&](std::span<const Tensor> inputs) {
    std::vector<Scalar> s;
    for (Index i = 0; i < inputs[0].size(); ++i) s.push_back(inputs[0](i));
    const Scalar y = detail::apply_to_all<Scalar>(f, std::span<const Scalar>(s));
    return detail::result_of_check(y, inputs[0].dtype());
  };
  const Tensor inputs[] = {Tensor::from(x, {static_cast<Index>(x.size())})};
  return detail::check_gradient(call, inputs, options);
}
template <class F> GradientCheck check_gradient(F&& f, std::initializer_list<double> x, const GradientCheckOptions& options = {}) {
  return check_gradient(f, std::span(x.begin(), x.size()), options);
}

/// The same with respect to the parameters of a model, for a function without arguments that reads them through it:
///
///     check_gradient([&] { return nn::mse(net(x), y); }, net.parameters())
///
/// Frozen parameters are constants and are left out. The function must compute the same each time: check a model with dropout after
/// eval(). Parameters have their values again afterwards. Convert model and data to float64 for a sharp check: what captures float32
/// tensors is compared with differences in float32.
template <class F, std::same_as<ParameterList> P>
requires ParameterFunction<F> GradientCheck check_gradient(F&& f, const P& parameters, const GradientCheckOptions& options = {}) {
  return detail::check_gradient(detail::FunctionOfParameters(f), parameters, options);
}

}  // namespace wengert
