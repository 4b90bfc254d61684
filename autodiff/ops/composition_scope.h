#pragma once
// Tells an observer that operations are the parts of one that is composed of them.
#include <initializer_list>
#include <span>

#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {

/// Is told where composed operations begin and end: who knows the whole, as the export to ONNX knows a GRU, needs not know its parts.
class CompositionObserver {
 public:
  /// Operands may be undefined. Compositions nest.
  virtual void begin_composition(const char* name, Location site, std::span<const Tensor* const> x, const OperationOptions& options) = 0;
  /// Without results the composition has failed.
  virtual void end_composition(std::span<const Tensor* const> y) noexcept = 0;

 protected:
  ~CompositionObserver() = default;
};
/// The observer of the calling thread; null unless someone asks.
inline thread_local constinit CompositionObserver* composition_observer = nullptr;

/// A scope around the parts of a composed operation. It costs one comparison where nobody observes.
///
///     CompositionScope whole("gru", {&x, &h}, [&](OperationOptions& to) { to.set("bidirectional", true); });
///     ...
///     whole.end({&y});
class CompositionScope {
 public:
  /// The operands, undefined where one is not given, and the function that sets the options.
  template <class F> CompositionScope(const char* name, std::span<const Tensor* const> x, const F& set_options)
      : observer_(composition_observer) {
    if (!observer_) [[likely]]
      return;
    OperationOptions options;
    set_options(options);
    observer_->begin_composition(name, CallSite::of({}), x, options);
  }
  template <class F> CompositionScope(const char* name, std::initializer_list<const Tensor*> x, const F& set_options)
      : CompositionScope(name, std::span(x.begin(), x.size()), set_options) {}
  CompositionScope(const CompositionScope&) = delete;
  CompositionScope& operator=(const CompositionScope&) = delete;
  ~CompositionScope() {
    if (observer_) [[unlikely]]
      observer_->end_composition({});
  }

  /// The results. Without this call the composition has failed.
  void end(std::initializer_list<const Tensor*> y) {
    if (!observer_) [[likely]]
      return;
    observer_->end_composition({y.begin(), y.size()});
    observer_ = nullptr;
  }

 private:
  CompositionObserver* observer_;
};

}  // namespace wengert::detail
