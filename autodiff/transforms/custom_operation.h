#pragma once
// Custom tensor operations: a forward function and its derivative rules.
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/ops.h"

namespace wengert {
namespace detail {

/// A custom operation as the tape calls it. x, y and cotangents are dense.
class CustomRules {
 public:
  CustomRules() = default;
  CustomRules(const CustomRules&) = default;
  CustomRules& operator=(const CustomRules&) = delete;
  virtual ~CustomRules() = default;
  static void* operator new(std::size_t bytes) { return pool::allocate(bytes); }
  static void operator delete(void* p, std::size_t bytes) { pool::release(p, bytes); }

  virtual CustomRules* copy() const = 0;
  virtual const char* name() const = 0;
  virtual bool linear() const = 0;
  virtual bool has_jvp() const = 0;
  virtual Tensor forward(std::span<const Tensor> x) const = 0;
  virtual void vjp(const Tensor& y_bar, const Tensor& y, std::span<const Tensor> x, std::span<Tensor> x_bar) const = 0;
  virtual Tensor jvp(std::span<const Tensor> x_dot, const Tensor& y, std::span<const Tensor> x) const = 0;
};

/// rules.forward(x), recorded.
Tensor apply_custom(const CustomRules& rules, std::span<const Tensor> x, Location site);

/// The number of tensors that forward takes, up to six; 0 if it takes no such list.
template <class R, class... Leading> constexpr std::size_t inputs_of() {
  constexpr std::size_t kMost = 6;
  if constexpr (requires(const R& r, const Leading&... l, const Tensor& x) { r.forward(l..., x); }) {
    return sizeof...(Leading) + 1;
  } else if constexpr (sizeof...(Leading) + 1 < kMost) {
    return inputs_of<R, Leading..., Tensor>();
  } else {
    return 0;
  }
}

template <class R, class I> class CustomRulesOf;
template <class R, std::size_t... i> class CustomRulesOf<R, std::index_sequence<i...>> final : public CustomRules {
 public:
  explicit CustomRulesOf(R rules) : r_(std::move(rules)) {}
  CustomRules* copy() const override { return new CustomRulesOf(*this); }
  const char* name() const override { return r_.name; }
  bool linear() const override {
    if constexpr (requires { r_.linear; }) {
      return r_.linear;
    } else {
      return false;
    }
  }
  bool has_jvp() const override { return kHasJvp; }
  Tensor forward(std::span<const Tensor> x) const override { return r_.forward(x[i]...); }
  void vjp(const Tensor& y_bar, const Tensor& y, std::span<const Tensor> x, std::span<Tensor> x_bar) const override {
    if constexpr (sizeof...(i) == 1) {
      x_bar[0] = r_.vjp(y_bar, y, x[0]);
    } else {
      std::array<Tensor, sizeof...(i)> all = r_.vjp(y_bar, y, x[i]...);
      for (std::size_t k = 0; k < all.size(); ++k) x_bar[k] = std::move(all[k]);
    }
  }
  Tensor jvp([[maybe_unused]] std::span<const Tensor> x_dot, [[maybe_unused]] const Tensor& y,
             [[maybe_unused]] std::span<const Tensor> x) const override {
    if constexpr (kHasJvp) {
      return r_.jvp(x_dot[i]..., y, x[i]...);
    } else {
      return {};
    }
  }

 private:
  static constexpr bool kHasJvp = requires(const R& r, std::span<const Tensor> x, const Tensor& y) { r.jvp(x[i]..., y, x[i]...); };
  R r_;
};

/// For the form with lambdas: stands for a missing jvp.
struct NoJvp {};
template <class Forward, class Vjp, class Jvp> struct LambdaRules {
  const char* name;
  Forward forward;
  Vjp vjp;
  Jvp jvp;
  bool linear = false;
};

/// A tensor and the caller's location.
struct CustomOperand {
  Tensor tensor;
  Location site;
  CustomOperand(const Tensor& t, Location site = Location::here()) : tensor(t), site(site) {}
  CustomOperand(const Parameter& p, Location site = Location::here()) : tensor(p), site(site) {}
};
template <std::size_t> using CustomOperandAt = const CustomOperand&;

}  // namespace detail

/// The result of `custom_operation`: a function of as many tensors as its forward takes.
template <class R, class I = std::make_index_sequence<detail::inputs_of<R>()>> class CustomOperation;
template <class R, std::size_t... i> class CustomOperation<R, std::index_sequence<i...>> {
 public:
  static_assert(sizeof...(i) > 0, "forward must take one to six tensors, all const Tensor&");
  explicit CustomOperation(R rules) : rules_(std::move(rules)) {}
  Tensor operator()(detail::CustomOperandAt<i>... x) const {
    const Tensor inputs[] = {x.tensor...};
    const Location places[] = {x.site...};
    return detail::apply_custom(rules_, inputs, places[0]);
  }

 private:
  detail::CustomRulesOf<R, std::index_sequence<i...>> rules_;
};

/// A custom tensor operation, from a struct with
///
///     const char* name;                                     // for errors and listings of the tape; must outlive the tapes
///     Tensor forward(const Tensor& a, ...) const;           // nothing that it computes is recorded
///     Tensor vjp(y_bar, y, a, ...) const;                   // J^T y_bar; for n > 1 inputs a std::array<Tensor, n>
///     Tensor jvp(a_dot, ..., y, a, ...) const;              // J x_dot; optional: forward mode needs it
///     static constexpr bool linear = true;                  // optional: J does not depend on the inputs
///
/// where all arguments are `const Tensor&`, dense, and may be read by `data()`. A cotangent has the shape of its input; undefined means
/// zero. The shapes and dtypes that rules return are checked. Rules written in public operations of y_bar, y and the inputs give
/// derivatives of any order. A rule that reads raw data gives first derivatives only; a recorded sweep detects this and throws a TapeError.
/// `check_gradient` checks whether the rules are right.
///
///     struct Cube {
///       static constexpr const char* name = "cube";
///       Tensor forward(const Tensor& x) const { return x * x * x; }
///       Tensor vjp(const Tensor& y_bar, const Tensor&, const Tensor& x) const { return 3 * x * x * y_bar; }
///       Tensor jvp(const Tensor& x_dot, const Tensor&, const Tensor& x) const { return 3 * x * x * x_dot; }
///     };
///     Tensor y = custom_operation(Cube())(x);
template <class R> CustomOperation<R> custom_operation(R rules) { return CustomOperation<R>(std::move(rules)); }

struct CustomOperationOptions {
  bool linear = false;  ///< the derivative does not depend on the inputs
};

/// The same from lambdas with the signatures of forward, vjp and jvp above.
template <class Forward, class Vjp, class Jvp>
auto custom_operation(const char* name, Forward forward, Vjp vjp, Jvp jvp, const CustomOperationOptions& options = {}) {
  using R = detail::LambdaRules<Forward, Vjp, Jvp>;
  return CustomOperation<R>(R{name, std::move(forward), std::move(vjp), std::move(jvp), options.linear});
}
/// Without a jvp: reverse mode only.
template <class Forward, class Vjp> auto custom_operation(const char* name, Forward forward, Vjp vjp) {
  return custom_operation(name, std::move(forward), std::move(vjp), detail::NoJvp());
}

}  // namespace wengert
