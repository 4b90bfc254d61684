#pragma once
// Internal: functions that options structs keep.
#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

namespace wengert::nn {

template <class Signature> class SharedFunction;

/// Any function that can be called with Args, or none. Copies share it.
template <class R, class... Args> class SharedFunction<R(Args...)> {
 public:
  SharedFunction() = default;
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, SharedFunction> && std::is_invocable_r_v<R, const F&, Args...>)
      SharedFunction(F function)  // NOLINT(google-explicit-constructor): options take functions as they are
      : function_(std::make_shared<const FunctionOf<F>>(std::move(function))) {}

  explicit operator bool() const { return function_ != nullptr; }
  R operator()(Args... args) const { return function_->call(std::forward<Args>(args)...); }

 private:
  struct Function {
    Function() = default;
    Function(const Function&) = delete;
    Function& operator=(const Function&) = delete;
    virtual ~Function() = default;
    virtual R call(Args... args) const = 0;
  };
  template <class F> struct FunctionOf final : Function {
    explicit FunctionOf(F function) : function(std::move(function)) {}
    R call(Args... args) const override { return static_cast<R>(function(std::forward<Args>(args)...)); }
    F function;
  };

  std::shared_ptr<const Function> function_;
};

}  // namespace wengert::nn
