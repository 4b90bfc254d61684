#pragma once
// The line of the user's program that tensors and errors name when library code creates them.
#include "autodiff/error.h"

namespace wengert {

/// A scope for a function that is composed of operations: all tensors made, operations recorded and errors thrown in the scope name `site`,
/// the line that called the function, instead of the function's own lines.
///
///     Tensor rms(const Tensor& x, Location site = Location::here()) {
///       const CallSite scope(site);
///       return sqrt(mean(square(x)));
///     }
///
/// Scopes nest, and the outermost one counts: if a function with its own scope calls `rms`, the tensors name that function's caller. A
/// scope belongs to its thread. It costs two stores and allocates nothing.
class CallSite {
 public:
  explicit CallSite(Location site) noexcept : CallSite(of(site), current_) { current_ = this; }
  ~CallSite() { current_ = outer_; }
  CallSite(const CallSite&) = delete;
  CallSite& operator=(const CallSite&) = delete;

  /// The line to name for what is made at `site`: that of the scope, or `site` itself outside all scopes.
  static Location of(Location site) noexcept { return current_ ? current_->site_ : site; }

  /// @name For code that calls derivative rules and user functions
  /// @{
  /// A scope for the derivative rule of an operation that was called at `forward`. Replaces the scope in which the sweep runs.
  static CallSite of_rule(Location forward) noexcept { return {forward, InsteadOfCurrent()}; }
  /// A scope for a user function: its own lines count, even if a rule calls it.
  static CallSite of_user_code() noexcept { return {UserCode()}; }
  /// @}

 private:
  struct InsteadOfCurrent {};
  struct UserCode {};
  CallSite(Location site, const CallSite* outer) noexcept : site_(site), outer_(outer) {}
  CallSite(Location site, InsteadOfCurrent) noexcept : CallSite(site, current_) { current_ = this; }
  CallSite(UserCode) noexcept : CallSite({}, current_) { current_ = nullptr; }

  Location site_;
  const CallSite* outer_;
  inline static thread_local constinit const CallSite* current_ = nullptr;
};

}  // namespace wengert
