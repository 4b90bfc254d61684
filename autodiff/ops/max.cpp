// The largest and the smallest elements, and their positions.
//
//   y = max_d x:   x_bar = y_bar / (number of ties) where x = y, 0 elsewhere
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/extremes.h"
#include "autodiff/kernels/lines.h"
#include "autodiff/ops/reduction.h"
#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

using kernels::Extreme;
constexpr const char* adjective(Extreme e) { return e == Extreme::largest ? "largest" : "smallest"; }

// Whether the candidate is more extreme than the best so far; NaN counts as the most extreme, and 0 as larger than -0.
template <class T> bool beats(Extreme e, T candidate, T best) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(candidate)) return !std::isnan(best);
    if (candidate == 0 && best == 0) return std::signbit(candidate) != std::signbit(best) && std::signbit(best) == (e == Extreme::largest);
  }
  return e == Extreme::largest ? candidate > best : candidate < best;
}

void check_not_empty(const char* name, Extreme e, const Tensor& x, const detail::Reduced& r) {
  if (r.count == 0 && r.dropped.size() > 0)
    throw ShapeError(fmt::format("{}: there is no {} element along a dimension of size 0 of {}", name, adjective(e), describe(x)));
}

// f(n) for n up to kFew, as a constant: a loop over so many elements is no loop then.
constexpr Index kFew = 8;
template <Index kLength = 1, class F> __attribute__((always_inline)) inline void with_length(Index n, const F& f) {
  if constexpr (kLength <= kFew) n == kLength ? f(std::integral_constant<Index, kLength>()) : with_length<kLength + 1>(n, f);
}

class ExtremeOf : public detail::Reduction {
 public:
  ExtremeOf(Extreme extreme, const Dims& dims, const Shape& kept) : Reduction(dims, kept), extreme_(extreme) {}
  const char* name() const override { return extreme_ == Extreme::largest ? "max" : "min"; }
  const char* latex() const override { return extreme_ == Extreme::largest ? R"(\max #)" : R"(\min #)"; }
  ValueSet saved_for(int) const override { return input(0) | output(); }
  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    const auto lines = recording() ? std::nullopt : detail::lines_of(s.x(), kept_);
    x_bar[0] = lines && is_floating(s.x_dtype()) ? share_out(*lines, s.x(), s.y(), y_bar[0]) : share(s) * reshape(y_bar[0], kept_);
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    y_dot[0] = reshape(sum(share(s) * x_dot[0], dims_), s.y_shape());
  }

 private:
  // 1 / (number of ties) where x is the extreme: piecewise constant.
  Tensor share(const Saved& s) const {
    const Tensor best = (s.x().constant() == reshape(s.y().constant(), kept_)).to(s.x_dtype());
    return best / sum(best, dims_, {.keepdim = true});
  }
  // The same in two passes over the elements, not recorded. (Where y is NaN there are no ties, and so it is NaN.)
  static Tensor share_out(const kernels::Lines& l, const Tensor& x, const Tensor& y, const Tensor& y_bar) {
    const Tensor best = y.contiguous(), m = y_bar.contiguous();
    Tensor x_bar = Tensor::uninitialized(x.shape(), x.dtype());
    detail::dispatch_floating(x.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T *in = x.data<T>(), *top = best.data<T>(), *from = m.data<T>();
      T* to = x_bar.mutable_data<T>();
      if (l.inner == 1 && l.n <= kFew) return share_out_few(l, in, top, from, to);
      pool::Vector<T> shares(static_cast<std::size_t>(l.count()));
      T* share = shares.data();
      kernels::sum_all_lines(
          l, kernels::cost::kCopy<T>,
          [ in, top ](Index i, Index line) __attribute__((always_inline)) { return in[i] == top[line] ? 1.0 : 0.0; },
          [ share, from ](Index line, double ties) __attribute__((always_inline)) { share[line] = from[line] / static_cast<T>(ties); });
      kernels::for_each_in_all_lines(
          l, kernels::cost::kCopy<T>, to, top, share, [in](Index i, T t, T share) __attribute__((always_inline)) {
            return in[i] == t ? share : t == t ? T(0) : t;
          });
    });
    return x_bar;
  }
  // The same for lines of few elements, line by line.
  template <class T> static void share_out_few(const kernels::Lines& l, const T* x, const T* best, const T* m, T* x_bar) {
    using Word = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    kernels::for_blocks_of(l.count(), 2 * kernels::cost::kCopy<T> * static_cast<double>(l.n), [=](Index first, Index last) {
      kernels::run_on_best_target([=]() __attribute__((always_inline)) {
        with_length(
            l.n, [=](auto n) __attribute__((always_inline)) {
              for (Index line = first; line < last; ++line) {
                const T *const row = x + line * n, top = best[line];
                Word ties = 0;
                for (Index k = 0; k < n; ++k) ties += row[k] == top;
                const auto share = std::bit_cast<Word>(m[line] / static_cast<T>(ties)),
                           other = std::bit_cast<Word>(top == top ? T(0) : top);
                for (Index k = 0; k < n; ++k) {  // by bits: branches could not be foreseen
                  const Word is_top = Word(0) - static_cast<Word>(row[k] == top);
                  x_bar[line * n + k] = std::bit_cast<T>((is_top & share) | (~is_top & other));
                }
              }
            });
      });
    });
  }
  Extreme extreme_;
};

Tensor extreme_over(const char* name, Extreme e, const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  const detail::Reduced r = detail::reduce_over(name, x, dims);
  check_not_empty(name, e, x, r);
  Tensor y = Tensor::uninitialized(options.keepdim ? r.kept : r.dropped, x.dtype(), site);
  detail::dispatch(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* out = y.mutable_data<T>();
    if constexpr (std::is_floating_point_v<T>) {
      if (const auto lines = detail::lines_of(x, r.kept); lines && y.size() > 0)
        return kernels::extremes_of_all_lines(e, *lines, x.data<T>(), out);
    }
    pool::Vector<char> seen(static_cast<std::size_t>(y.size()));
    detail::for_each_reduced<T>(x, r, [&](Index at, T v) {
      char& first = seen[static_cast<std::size_t>(at)];
      if (!first || beats(e, v, out[at])) out[at] = v;
      first = true;
    });
  });
  return record(ExtremeOf(e, dims, r.kept), site, {&x}, std::move(y));
}

// Whether v is the extreme of its line, which is NaN if any element is.
template <class T> __attribute__((always_inline)) inline bool is_extreme(T v, T extreme) { return (v == extreme) | (v != v); }

// The positions of the first elements that are the extremes of their lines. Number holds every position.
template <class Number, class T>
__attribute__((always_inline)) inline void first_positions(const kernels::SomeLines& l, const T* x, const T* extremes, std::int64_t* to) {
  if (l.inner == 1 && l.n <= kFew) {
    with_length(
        l.n, [=](auto n) __attribute__((always_inline)) {
          for (Index line = l.first; line < l.last; ++line) {
            const T *const row = x + line * n, extreme = extremes[line];
            Number at = 0;
            for (Index k = n; k-- > 0;) {  // without branches, too
              const auto is_it = Number(0) - static_cast<Number>(is_extreme(row[k], extreme));
              at = (is_it & static_cast<Number>(k)) | (~is_it & at);
            }
            to[line] = at;
          }
        });
    return;
  }
  if (l.inner == 1) {
    constexpr Index kBlock = 64, kShort = 32;
    for (Index line = l.first; line < l.last; ++line) {
      const T* const row = x + line * l.n;
      const T extreme = extremes[line];
      if (l.n <= kShort) {  // to read all is faster than to guess where to stop
        Number at = 0;
        for (Index k = l.n; k-- > 0;) at = is_extreme(row[k], extreme) ? static_cast<Number>(k) : at;
        to[line] = at;
        continue;
      }
      Index i = 0;
      for (; i + kBlock < l.n; i += kBlock) {
        Number found = 0;
        for (Index k = 0; k < kBlock; ++k) found |= is_extreme(row[i + k], extreme);
        if (found) break;
      }
      while (!is_extreme(row[i], extreme)) ++i;
      to[line] = i;
    }
    return;
  }
  constexpr Index kMost = kernels::kLinesAbreast<T>;
  for_each_strip(
      l, kMost, [=](Index line, Index first, Index columns) __attribute__((always_inline)) {
        Number at[kMost] = {};
        const auto search = [&](Index columns) __attribute__((always_inline)) {
          for (Index k = l.n; k-- > 0;)
            for (Index i = 0; i < columns; ++i)
              at[i] = is_extreme(x[first + k * l.inner + i], extremes[line + i]) ? static_cast<Number>(k) : at[i];
        };
        columns == kMost ? search(kMost) : search(columns);
        for (Index i = 0; i < columns; ++i) to[line + i] = at[i];
      });
}

// The positions of the first extremes of each line.
template <class T> void positions_in_lines(Extreme e, const kernels::Lines& l, const T* x, std::int64_t* to) {
  if constexpr (std::is_floating_point_v<T>) {
    const kernels::Scratch<T> extremes(l.count());
    const T* const of_lines = extremes.data();
    kernels::extremes_of_all_lines(e, l, x, extremes.data());
    kernels::for_blocks_of_lines(l, kernels::cost::kCopy<T>, [=](const kernels::SomeLines& some) {
      kernels::run_on_best_target([=]() __attribute__((always_inline)) {
        if (sizeof(T) == 4 && l.n <= std::numeric_limits<std::int32_t>::max()) {
          first_positions<std::int32_t>(some, x, of_lines, to);
        } else {
          first_positions<std::int64_t>(some, x, of_lines, to);
        }
      });
    });
  } else {
    kernels::for_blocks_of(l.count(), kernels::cost::kScattered * static_cast<double>(l.n), [=](Index first, Index last) {
      for (Index line = first; line < last; ++line) {
        const T* const elements = x + line / l.inner * l.n * l.inner + line % l.inner;
        Index best = 0;
        for (Index k = 1; k < l.n; ++k)
          if (beats(e, elements[k * l.inner], elements[best * l.inner])) best = k;
        to[line] = best;
      }
    });
  }
}

Tensor position_of(const char* name, Extreme e, const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  const CallSite scope(site);
  const detail::Reduced r = detail::reduce_over(name, x, {dim});
  check_not_empty(name, e, x, r);
  const Tensor dense = x.constant().contiguous(site);
  Tensor y = Tensor::uninitialized(options.keepdim ? r.kept : r.dropped, int64, site);
  if (y.size() == 0) return y;
  const kernels::Lines lines = detail::lines_along(x.shape(), checked_dim(name, dim, x));
  detail::dispatch(x.dtype(),
                   [&](auto zero) { positions_in_lines(e, lines, dense.data<decltype(zero)>(), y.mutable_data<std::int64_t>()); });
  return y;
}

Tensor extreme_of_all(const char* name, Extreme e, const Tensor& x, Location site) {
  const CallSite scope(site);
  detail::check_defined(name, x);
  if (x.size() == 0) throw ShapeError(fmt::format("{}: {} has no elements", name, describe(x)));
  return extreme_over(name, e, x, detail::all_dims(name, x), {}, site);
}

Tensor position_in_all(const char* name, Extreme e, const Tensor& x, Location site) {
  const CallSite scope(site);
  detail::check_defined(name, x);
  if (x.size() == 0) throw ShapeError(fmt::format("{}: {} has no elements", name, describe(x)));
  return position_of(name, e, reshape(x.constant(), {-1}, site), 0, {}, site);
}

// The first extreme element along a dimension, which takes the whole gradient.
ValuesAndIndices first_extreme(const char* name, Extreme e, const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  const Tensor at = position_of(name, e, x, dim, {.keepdim = true}, site);
  const Tensor values = gather(x, dim, at, site);
  if (options.keepdim) return {values, at};
  return {squeeze(values, dim, site), squeeze(at, dim, site)};
}

}  // namespace

Tensor max(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  return extreme_over("max", Extreme::largest, x, dims, options, site);
}
Tensor min(const Tensor& x, const Dims& dims, const ReductionOptions& options, Location site) {
  return extreme_over("min", Extreme::smallest, x, dims, options, site);
}
Tensor max(const Tensor& x, Location site) { return extreme_of_all("max", Extreme::largest, x, site); }
Tensor min(const Tensor& x, Location site) { return extreme_of_all("min", Extreme::smallest, x, site); }

Tensor argmax(const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  return position_of("argmax", Extreme::largest, x, dim, options, site);
}
Tensor argmin(const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  return position_of("argmin", Extreme::smallest, x, dim, options, site);
}
Tensor argmax(const Tensor& x, Location site) { return position_in_all("argmax", Extreme::largest, x, site); }
Tensor argmin(const Tensor& x, Location site) { return position_in_all("argmin", Extreme::smallest, x, site); }

ValuesAndIndices max_dim(const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  return first_extreme("max_dim", Extreme::largest, x, dim, options, site);
}
ValuesAndIndices min_dim(const Tensor& x, Index dim, const ReductionOptions& options, Location site) {
  return first_extreme("min_dim", Extreme::smallest, x, dim, options, site);
}

}  // namespace wengert
