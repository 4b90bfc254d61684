#pragma once
// The tape: a scope in which operations are recorded, and the gradients of what it recorded.
#include <cstdint>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/scalar/scalar.h"
#include "autodiff/tape/gradients.h"
#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

struct TapeOptions {
  /// Records scalar expressions as tensor operations, so that their gradients can be differentiated again. Each takes about 40 times as
  /// long; tensors need no such tape.
  bool higher_order = false;
  /// Allows opening this tape inside another one, whose values are constants on this one.
  bool isolated = false;
  /// With `isolated`: using a value of the outer tape is a TapeError, not a constant.
  bool reject_outer_values = false;
  /// Stops at once where a result is not finite although its operands are, and where a gradient is not: a NotFiniteError says where it came
  /// from (explain/diagnose.h). Tapes that are opened inside this one check as well.
  bool check_finite = false;
  /// Keeps the formula of each scalar, and the values of all scalars and tensors until the records are consumed: what explain() reads.
  /// Also makes diagnose() and explain_gradient() exact. It takes time and memory, and is meant for explanations.
  bool formulas = false;
};

/// How to treat a source that the target does not depend on: throw a TapeError, or return zeros.
enum class Unreached { error, zero };

struct GradientOptions {
  Tensor seed = {};             ///< the cotangent of the target: its shape, or undefined for 1 (only for a target of one element)
  bool retain = false;          ///< keep the records for another sweep
  bool differentiable = false;  ///< record the sweep itself, so that the gradients can be differentiated
  Unreached unreached = Unreached::error;
};

/// Options of a Jacobian.
struct JacobianOptions {
  bool retain = false;  ///< keep the records for another sweep
};

namespace detail {

class TapeState;
struct TapeAccess;

/// The writer, or null if its tape has ended.
StatementWriter<double>* if_live(StatementWriter<double>* writer);
[[noreturn]] void throw_numbers_have_no_derivatives();

/// Something to differentiate with respect to.
struct Source {
  std::uint64_t number = 0;
  bool scalar = false;
  const ParameterState* parameter = nullptr;
  const Tensor* tensor = nullptr;  ///< for messages and for the shape of a zero gradient

  Source(const Tensor& t) : number(t.number()), tensor(&t) {}
  Source(const Scalar& s) : number(s.number()), scalar(true) {}
  Source(const Parameter& p) : parameter(p.ref().get()) {}
  Source(const ParameterRef& p) : parameter(p.get()) {}
};

}  // namespace detail

/// What to differentiate: a Scalar, a Tensor or what converts to one of them, and the line that asks for it.
class GradientTarget {
 public:
  /// A value of the tape, which it refers to.
  GradientTarget(const Scalar& scalar, Location site = Location::here()) : source_(scalar), site_(site) {}
  GradientTarget(const Tensor& tensor, Location site = Location::here()) : source_(tensor), site_(site) {}
  /// An expression, which is recorded here.
  template <class E>
  requires std::convertible_to<const E&, Scalar> GradientTarget(const E& expression, Location site = Location::here())
      : scalar_(recorded(expression, site)), source_(scalar_), site_(site) {}
  /// A Parameter.
  template <class T>
  requires std::convertible_to<const T&, Tensor> GradientTarget(const T& value, Location site = Location::here())
      : tensor_(value), source_(tensor_), site_(site) {}
  GradientTarget(const GradientTarget&) = delete;
  GradientTarget& operator=(const GradientTarget&) = delete;

  const detail::Source& source() const { return source_; }  ///< for sweeps
  Location site() const { return site_; }                   ///< the line that asks

 private:
  template <class T> static Scalar recorded(const T& expression, Location site) {
    if constexpr (ScalarExpression<T>) {
      return Scalar(expression, site);
    } else {
      return expression;
    }
  }

  Scalar scalar_;
  Tensor tensor_;
  detail::Source source_;
  Location site_;
};

/// Types accepted as individual sources.
template <class T> concept Differentiable = std::is_same_v<T, Tensor> || std::is_same_v<T, Scalar> || std::is_same_v<T, Parameter>;
template <Differentiable... S> struct Sources { std::tuple<const S&...> sources; };
/// Names the sources of `tape.gradient(target, wrt(a, b), options)`.
template <Differentiable... S> Sources<S...> wrt(const S&... sources) { return {{sources...}}; }

/// Records what the calling thread computes from the tape's construction to its destruction. An operation is recorded if one of its inputs
/// is tracked: a Parameter, a variable of this tape, or the result of a recorded operation. When a tape has ended, its values are
/// constants. A tape cannot be copied or moved, and belongs to the thread that made it.
class Tape {
 public:
  /// A TapeError if the thread has a live tape already, unless `.isolated`.
  explicit Tape(TapeOptions options = {}, Location site = Location::here());
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  /// @name Inputs
  /// @{
  /// A scalar or a tensor as an independent variable of this tape.
  Scalar variable(double value, Location site = Location::here());
  /// A floating tensor as a variable: an independent value that gradients can be taken with respect to.
  Tensor variable(const Tensor& value, Location site = Location::here());
  /// Many scalars at once; both spans must have the same length.
  void variables(std::span<const double> values, std::span<Scalar> out, Location site = Location::here());
  std::vector<Scalar> variables(std::span<const double> values, Location site = Location::here());
  /// @}

  /// @name Gradients
  /// d target / d source for every source. A source may be any value of this tape, not only an input. The call consumes the records (a
  /// second call, or using a value recorded before, is a TapeError) unless `.retain` or `.differentiable` is set.
  /// @{
  Gradients gradient(const GradientTarget& target, const ParameterList& sources, const GradientOptions& options = {});
  std::vector<Tensor> gradient(const GradientTarget& target, std::span<const Tensor> sources, const GradientOptions& options = {});
  /// Many scalars at once; `out` must have the length of `sources`.
  void gradient(const Scalar& target, std::span<const Scalar> sources, std::span<double> out, const GradientOptions& options = {},
                Location site = Location::here());
  /// One source: its gradient. More: a tuple for `auto [dw, db] = ...`. Scalars give double, tensors and parameters give Tensor. With
  /// Scalars among the sources `.differentiable` is a TapeError: differentiable_gradient() gives Scalars.
  template <class... S> auto gradient(const GradientTarget& target, const Sources<S...>& s, const GradientOptions& options = {}) {
    return numbers_and_tensors(target, s, options);
  }
  template <Differentiable... S>
  requires(sizeof...(S) > 0) auto gradient(const GradientTarget& target, const S&... s) { return gradient(target, wrt(s...)); }
  /// The same, recorded: Scalars give Scalar, and all results can be differentiated again. Scalars need a tape opened with
  /// `{.higher_order = true}`.
  template <Differentiable... S> auto differentiable_gradient(const GradientTarget& target, const S&... s) {
    return unpack<true>(sweep(target, wrt(s...), {.differentiable = true}), wrt(s...));
  }
  /// d targets[i] / d sources[j] for several targets: a matrix with a row for each target, row by row. A sweep computes eight rows at once,
  /// each with the bits of `gradient`; it computes one if scalars on this tape depend on others through tensors, or if the tape was opened
  /// with `.check_finite` or `.formulas`. A derivative is 0 where a target does not depend on a source. A source that is not on this tape
  /// is a TapeError. `out` must have room for the matrix (a ShapeError). The records are consumed as by `gradient`, unless `.retain`.
  void jacobian(std::span<const Scalar> targets, std::span<const Scalar> sources, std::span<double> out,
                const JacobianOptions& options = {});
  std::vector<double> jacobian(std::span<const Scalar> targets, std::span<const Scalar> sources, const JacobianOptions& options = {});
  /// @}

  /// @name Forward mode over the same records
  /// The tangent of the target for the given tangents of the sources (one each, in the source's shape; rank 0 for a Scalar).
  /// Nothing is consumed, and the result is a constant.
  /// @{
  template <class... S> Tensor jvp(const Tensor& target, const Sources<S...>& s, std::initializer_list<Tensor> tangents) {
    return jvp_of(target, s, tangents);
  }
  template <class... S> double jvp(const Scalar& target, const Sources<S...>& s, std::initializer_list<Tensor> tangents) {
    return jvp_of(target, s, tangents).item();
  }
  Tensor jvp(const Tensor& target, std::span<const Tensor> sources, std::span<const Tensor> tangents);
  /// @}

  /// @name Size
  /// @{
  std::size_t statements() const;  ///< scalars, variables included
  std::size_t arguments() const;   ///< arguments of all statements
  std::size_t nodes() const;       ///< tensor operations, and crossings between scalars and tensors
  std::size_t bytes() const;       ///< memory for all records, in use or kept for the next tape
                                   /// @}

 private:
  friend struct detail::TapeAccess;
  Gradients sweep_sources(const GradientTarget& target, std::span<const detail::Source> sources, const GradientOptions& options);
  Tensor jvp_of(const detail::Source& target, std::span<const detail::Source> sources, std::span<const Tensor> tangents);
  template <class Y, class... S> Tensor jvp_of(const Y& target, const Sources<S...>& s, std::initializer_list<Tensor> tangents) {
    return std::apply(
        [&](const S&... e) {
          const detail::Source list[] = {detail::Source(e)...};
          return jvp_of(detail::Source(target), list, {tangents.begin(), tangents.size()});
        },
        s.sources);
  }
  template <class... S> Gradients sweep(const GradientTarget& target, const Sources<S...>& s, const GradientOptions& options) {
    return std::apply(
        [&](const S&... e) {
          const detail::Source list[] = {detail::Source(e)...};
          return sweep_sources(target, list, options);
        },
        s.sources);
  }
  template <class... S> auto numbers_and_tensors(const GradientTarget& target, const Sources<S...>& s, const GradientOptions& options) {
    if constexpr ((std::is_same_v<S, Scalar> || ...))
      if (options.differentiable) detail::throw_numbers_have_no_derivatives();
    return unpack<false>(sweep(target, s, options), s);
  }
  template <bool kRecorded, class S> static auto one(const Tensor& g) {
    if constexpr (!std::is_same_v<S, Scalar>) {
      return g;
    } else if constexpr (kRecorded) {
      return Scalar(g);
    } else {
      return g.item();
    }
  }
  template <bool kRecorded, class... S> static auto unpack(const Gradients& g, const Sources<S...>&) {
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
      if constexpr (sizeof...(S) == 1) {
        return (one<kRecorded, S>(g[i]), ...);
      } else {
        return std::make_tuple(one<kRecorded, S>(g[i])...);
      }
    }
    (std::index_sequence_for<S...>{});
  }

  detail::TapeState* state_;
};

/// Suspends recording on the calling thread for a scope: values computed in it are constants.
class NoRecord {
 public:
  NoRecord() : saved_(active_writer<double>) {
    if (saved_) saved_->close();
    active_writer<double> = nullptr;
  }
  ~NoRecord() { active_writer<double> = detail::if_live(saved_); }
  NoRecord(const NoRecord&) = delete;
  NoRecord& operator=(const NoRecord&) = delete;

 private:
  StatementWriter<double>* saved_;
};

/// Whether the calling thread records.
inline bool recording() { return active_writer<double> != nullptr; }

inline Scalar Parameter::operator()(Location site) const { return Tensor(*this)(site); }
template <IntegerType A> Scalar Parameter::operator()(A a, Location site) const { return Tensor(*this)(a, site); }
template <IntegerType A, IntegerType B> Scalar Parameter::operator()(A a, B b, Location site) const { return Tensor(*this)(a, b, site); }
template <IntegerType A, IntegerType B, IntegerType C> Scalar Parameter::operator()(A a, B b, C c, Location site) const {
  return Tensor(*this)(a, b, c, site);
}
template <IntegerType A, IntegerType B, IntegerType C, IntegerType D>
Scalar Parameter::operator()(A a, B b, C c, D d, Location site) const {
  return Tensor(*this)(a, b, c, d, site);
}
template <IntegerType A, IntegerType B, IntegerType C, IntegerType D, IntegerType E>
Scalar Parameter::operator()(A a, B b, C c, D d, E e, Location site) const {
  return Tensor(*this)(a, b, c, d, e, site);
}
template <IntegerType... I>
requires(sizeof...(I) > 5) Scalar Parameter::operator()(I... index) const { return Tensor(*this)(index...); }

}  // namespace wengert
