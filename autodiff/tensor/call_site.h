#pragma once
// Which line of the user's program a tensor comes from, when code of a library makes it.
#include "autodiff/error.h"

namespace wengert {

/// For the scope of a function that is composed of operations: all tensors made and all operations recorded in the scope, and all
/// errors thrown there, name `site`, the line that called the function, instead of the function's own lines.
///
///     Tensor rms(const Tensor& x, Location site = Location::here()) {
///       const CallSite scope(site);
///       return sqrt(mean(square(x)));
///     }
///
/// Scopes nest, and the outermost one counts: if `rms` is called by a function with a scope of its own, its tensors name that
/// function's caller. A scope belongs to its thread. It costs two stores and allocates nothing.
class CallSite {
 public:
  explicit CallSite(Location site) noexcept : CallSite(of(site), current_) { current_ = this; }
  ~CallSite() { current_ = outer_; }
  CallSite(const CallSite&) = delete;
  CallSite& operator=(const CallSite&) = delete;

  /// The line to name for what is made at `site`: that of the scope, or `site` itself outside all scopes.
  static Location of(Location site) noexcept { return current_ ? current_->site_ : site; }

  /// @name For code that calls rules and functions of the user's
  /// @{
  /// A scope for a derivative rule of an operation that was called at `forward`, whatever scope the sweep runs in.
  static CallSite of_rule(Location forward) noexcept { return {forward, InsteadOfCurrent()}; }
  /// A scope for a function of the user's: its own lines count, even if the function is called within a rule.
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
