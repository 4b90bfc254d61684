#pragma once
// Internal: a reference to a function, for the length of a call.
#include <concepts>
#include <type_traits>
#include <utility>

namespace wengert::detail {

template <class Signature> class FunctionRef;

/// Refers to anything that can be called with Args and returns an R. It owns nothing and allocates nothing: what it refers to must outlive
/// it, as the argument of a call does.
template <class R, class... Args> class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, FunctionRef> && std::is_invocable_r_v<R, F&, Args...>)
      FunctionRef(F&& f)                             // NOLINT(bugprone-forwarding-reference-overload): the requirement keeps copies out
      : object_(reinterpret_cast<const void*>(&f)),  // f may be a function
        call_([](const void* object, Args... args) -> R {
          return (*reinterpret_cast<std::remove_reference_t<F>*>(const_cast<void*>(object)))(std::forward<Args>(args)...);
        }) {}
  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  const void* object_;
  R (*call_)(const void*, Args...);
};

}  // namespace wengert::detail
