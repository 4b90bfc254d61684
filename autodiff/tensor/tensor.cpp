#include "autodiff/tensor/tensor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "autodiff/kernels/blocks.h"
#include "autodiff/kernels/strided.h"
#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/dispatch.h"
#include "autodiff/tensor/label.h"
#include "autodiff/tensor/storage.h"

namespace wengert {

using detail::dispatch;

const char* to_string(Dtype dtype) {
  switch (dtype) {
    case float32:
      return "float32";
    case float64:
      return "float64";
    case int64:
      return "int64";
    case boolean:
      return "boolean";
  }
  return "?";
}

void detail::throw_undefined(const char* operation, const char* operand) {
  throw ValueError(
      fmt::format("{}: {} is undefined: default-constructed, moved from, a part that got no share, or one that an option "
                  "leaves out, as {{.bias = false}} does",
                  operation, operand));
}

std::string detail::label_and_type(const Tensor& t) {
  const std::uint32_t label = t.elements()->label.load(std::memory_order_relaxed);
  return fmt::format("{}{}{} {}", text_of_label(label), label ? " " : "", to_string(t.shape()), to_string(t.dtype()));
}

std::string describe(const Tensor& t) {
  if (!t.defined()) return "(undefined)";
  const Location made_at = t.made_at();
  return detail::label_and_type(t) + (made_at.line ? " made at " + to_string(made_at) : "");
}

int checked_dim(const char* operation, Index dim, const Tensor& x, int added) {
  detail::check_defined(operation, x);
  const int rank = x.rank() + added;
  if (rank == 0) throw ShapeError(fmt::format("{}: dimension {} of {}: rank 0 has no dimensions", operation, dim, describe(x)));
  if (dim < -rank || dim >= rank)
    throw ShapeError(fmt::format("{}: dimension {} is outside [{}, {}] of {}", operation, dim, -rank, rank - 1, describe(x)));
  return static_cast<int>(dim < 0 ? dim + rank : dim);
}

// ---- elements ---------------------------------------------------------------------------------------------------------------------

static_assert(sizeof(Elements) == 128);

namespace {

std::size_t block_bytes(const Elements& e) {
  return sizeof(Elements) + (e.base || e.borrowed ? 0 : static_cast<std::size_t>(e.size * bytes_of(e.dtype)));
}

[[noreturn]] void out_of_memory(const Shape& shape, Index size, Dtype dtype, Location site) {
  throw MemoryError(fmt::format("tensor: there is not enough memory for {} {}, which takes {:.3g} GB", to_string(shape), to_string(dtype),
                                static_cast<double>(size) * static_cast<double>(bytes_of(dtype)) / 1e9),
                    CallSite::of(site));
}

// Memory for a header followed by elements.
void* allocate_elements(const Shape& shape, Index size, Dtype dtype, Location site) {
  try {
    return pool::allocate(sizeof(Elements) + static_cast<std::size_t>(size * bytes_of(dtype)));
  } catch (const std::bad_alloc&) {
    out_of_memory(shape, size, dtype, site);
  }
}

// A header, followed by uninitialized elements if `with_room`.
Elements* new_elements(const Shape& shape, Index size, Dtype dtype, Location site, bool with_room) {
  void* block = with_room ? allocate_elements(shape, size, dtype, site) : pool::allocate(sizeof(Elements));
  return ::new (block) Elements(shape, size, dtype, CallSite::of(site));
}

}  // namespace

void Tensor::release_reference(Elements* e) noexcept {
  if (!detail::release_was_last(e->references)) return;
  Elements* base = e->base;
  const std::size_t bytes = block_bytes(*e);
  e->~Elements();
  pool::release(e, bytes);
  if (base) release_reference(base);  // recurses at most once: a base is never a view
}

Tensor view(const Tensor& of, const Shape& shape, const Shape& strides, Index offset, Location site) {
  Elements* from = of.elements();
  Elements* e = new_elements(shape, shape.size(), from->dtype, site, false);
  e->row_major = e->size == 0 || [&] {
    for (int i = 0; i < shape.rank(); ++i)
      if (shape[i] != 1 && strides[i] != e->strides[i]) return false;
    return true;
  }();
  e->strides = strides;
  e->data = static_cast<char*>(from->data) + offset * bytes_of(from->dtype);
  e->base = from->base ? from->base : from;
  detail::retain(e->base->references);
  return Tensor(e, 0);
}

// ---- making tensors ---------------------------------------------------------------------------------------------------------------

Tensor Tensor::uninitialized(const Shape& shape, Dtype dtype, Location site) {
  return Tensor(new_elements(shape, checked_size("tensor", shape), dtype, site, true), 0);
}

static constexpr double kFillCost = kernels::cost::kCopy<char> / 2;  // of a byte, which is only written
static constexpr Index kPage = 4096;

Tensor Tensor::zeros(const Shape& shape, Dtype dtype, Location site) {
  const CallSite scope(site);
  Tensor t = uninitialized(shape, dtype, site);
  auto* const bytes = static_cast<char*>(t.elements_->data);
  kernels::for_blocks_of(t.size() * bytes_of(dtype), kFillCost, kPage,
                         [=](Index first, Index last) { std::memset(bytes + first, 0, static_cast<std::size_t>(last - first)); });
  return t;
}
namespace {

[[noreturn]] void no_int64(const char* operation, double value, Location site) {
  throw ValueError(fmt::format("{}: int64 has no {}", operation, value), CallSite::of(site));
}

// The number as an element; a ValueError of the operation if the type is int64 and has no such number.
template <class T> T element_of(const ExactNumber& value, const char* operation, Location site) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    if (const auto integer = value.integer()) return *integer;
    no_int64(operation, value.value(), site);
  } else {
    return static_cast<T>(value.value());
  }
}

// Rounded towards 0; a ValueError of the operation for NaN and what is beyond the range.
template <class T> std::int64_t truncated(T value, const char* operation, Location site) {
  if (!(value >= T(-0x1p63) && value < T(0x1p63))) no_int64(operation, static_cast<double>(value), site);
  return static_cast<std::int64_t>(value);
}

}  // namespace

Tensor Tensor::full(const Shape& shape, ExactNumber value, Dtype dtype, Location site) {
  const CallSite scope(site);
  return dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    const T element = element_of<T>(value, "full", site);
    Tensor t = uninitialized(shape, dtype, site);
    T* const to = static_cast<T*>(t.elements_->data);
    kernels::for_blocks_of(t.size(), kFillCost * sizeof(T), kPage,
                           [=](Index first, Index last) { kernels::fill(to + first, last - first, element); });
    return t;
  });
}
Tensor Tensor::ones(const Shape& shape, Dtype dtype, Location site) { return full(shape, 1, dtype, site); }

Tensor Tensor::from(std::initializer_list<double> values, const Shape& shape, Dtype dtype, Location site) {
  const CallSite scope(site);
  return copy_of(values.begin(), values.size(), shape, float64, site).to(dtype, site);
}
Tensor Tensor::from(std::initializer_list<std::initializer_list<double>> rows, Dtype dtype, Location site) {
  const CallSite scope(site);
  const std::size_t columns = rows.size() ? rows.begin()->size() : 0;
  Tensor t = uninitialized({static_cast<Index>(rows.size()), static_cast<Index>(columns)}, float64, site);
  auto* to = static_cast<double*>(t.elements_->data);
  std::size_t number = 0;
  for (const auto& row : rows) {
    if (row.size() != columns) throw ShapeError(fmt::format("tensor: row {} has {} values, the first row {}", number, row.size(), columns));
    to = std::copy(row.begin(), row.end(), to);
    ++number;
  }
  return t.to(dtype, site);
}

static void check_count(std::size_t count, const Shape& shape) {
  const Index size = checked_size("tensor", shape);
  if (size != static_cast<Index>(count))
    throw ShapeError(fmt::format("tensor: {} values for the shape {}, which has {} elements", count, to_string(shape), size));
}
Tensor Tensor::copy_of(const void* values, std::size_t count, const Shape& shape, Dtype dtype, Location site) {
  const CallSite scope(site);
  check_count(count, shape);
  Tensor t = uninitialized(shape, dtype, site);
  if (count > 0) std::memcpy(t.elements_->data, values, count * static_cast<std::size_t>(bytes_of(dtype)));
  return t;
}
Tensor Tensor::from(const std::vector<bool>& values, const Shape& shape, Location site) {
  const CallSite scope(site);
  check_count(values.size(), shape);
  Tensor t = uninitialized(shape, boolean, site);
  std::copy(values.begin(), values.end(), static_cast<bool*>(t.elements_->data));
  return t;
}
Tensor Tensor::borrowed(const void* values, std::size_t count, const Shape& shape, Dtype dtype, Location site) {
  const CallSite scope(site);
  check_count(count, shape);
  Elements* e = new_elements(shape, static_cast<Index>(count), dtype, site, false);
  e->data = const_cast<void*>(values);  // never written to: mutable_data copies borrowed elements
  e->borrowed = true;
  return Tensor(e, 0);
}

Tensor Tensor::arange(double start, double stop, double step, Dtype dtype, Location site) {
  const CallSite scope(site);
  if (!(step != 0) || !std::isfinite(step) || !std::isfinite(start) || !std::isfinite(stop))
    throw ValueError(fmt::format("arange: start {}, stop {} and step {} must be finite, and the step not 0", start, stop, step));
  const double steps = std::ceil((stop - start) / step);
  if (steps > 0x1p53) throw ShapeError(fmt::format("arange: {} elements are more than memory can hold", steps));
  const auto n = static_cast<Index>(std::max(0.0, steps));
  Tensor t = uninitialized({n}, dtype, site);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (Index i = 0; i < n; ++i) {
      const double value = start + static_cast<double>(i) * step;
      if constexpr (std::is_same_v<T, std::int64_t>) {
        static_cast<T*>(t.elements_->data)[i] = truncated(value, "arange", site);
      } else {
        static_cast<T*>(t.elements_->data)[i] = static_cast<T>(value);
      }
    }
  });
  return t;
}
Tensor Tensor::linspace(double start, double stop, Integer count, Dtype dtype, Location site) {
  const Index n = count;
  Tensor t = uninitialized({n}, dtype, site);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (Index i = 0; i < n; ++i) {
      const double share = n > 1 ? static_cast<double>(i) / static_cast<double>(n - 1) : 0;
      const double value = i == n - 1 && n > 1 ? stop : start + share * (stop - start);
      if constexpr (std::is_same_v<T, std::int64_t>) {
        static_cast<T*>(t.elements_->data)[i] = truncated(value, "linspace", site);
      } else {
        static_cast<T*>(t.elements_->data)[i] = static_cast<T>(value);
      }
    }
  });
  return t;
}
Tensor Tensor::eye(Integer size, Dtype dtype, Location site) {
  const Index n = size;
  Tensor t = zeros({n, n}, dtype, site);
  dispatch(dtype, [&](auto zero) {
    using T = decltype(zero);
    for (Index i = 0; i < n; ++i) static_cast<T*>(t.elements_->data)[i * (n + 1)] = static_cast<T>(1);
  });
  return t;
}

// ---- reading and writing ----------------------------------------------------------------------------------------------------------

static Index offset_of(const Tensor& t, Index flat) {
  if (t.is_row_major()) return flat;
  Index offset = 0;
  for (int i = t.rank(); i-- > 0; flat /= t.shape()[i]) offset += flat % t.shape()[i] * t.strides()[i];
  return offset;
}

double Tensor::element(Index flat) const {
  const Index offset = offset_of(*this, flat);
  return dispatch(dtype(), [&](auto zero) { return static_cast<double>(static_cast<const decltype(zero)*>(elements_->data)[offset]); });
}

double Tensor::item(Location site) const {
  const CallSite scope(site);
  detail::check_defined("item", *this);
  if (size() != 1) throw ShapeError(fmt::format("item: {} has {} elements, not one", describe(*this), size()));
  return element(0);
}

static Index flat_position(const Tensor& t, std::span<const Index> position, const char* operation) {
  detail::check_defined(operation, t);
  if (static_cast<int>(position.size()) != t.rank())
    throw ShapeError(fmt::format("{}: {} {} for the {} dimensions of {}; x[i] is a row of x, and x(i, All) a part", operation,
                                 position.size(), position.size() == 1 ? "index" : "indices", t.rank(), describe(t)));
  Index flat = 0;
  for (int i = 0; i < t.rank(); ++i) {
    const Index n = t.shape()[i], given = position[static_cast<std::size_t>(i)], k = given < 0 ? given + n : given;
    if (k < 0 || k >= n)
      throw ShapeError(fmt::format("{}: index {} of dimension {} is outside [{}, {}] of {}", operation, given, i, -n, n - 1, describe(t)));
    flat = flat * n + k;
  }
  return flat;
}

double Tensor::at(std::initializer_list<Integer> position, Location site) const {
  const CallSite scope(site);
  return element(flat_position(*this, Shape(position), "at"));
}
Index Tensor::checked_position(const char* operation, std::span<const Index> position) const {
  return flat_position(*this, position, operation);
}

void Tensor::copy_to(void* to, Dtype dtype) const {
  dispatch(this->dtype(), [&](auto from_zero) {
    using From = decltype(from_zero);
    dispatch(dtype, [&](auto to_zero) {
      using To = decltype(to_zero);
      const auto* from = static_cast<const From*>(elements_->data);
      if constexpr (std::is_floating_point_v<From> && std::is_same_v<To, std::int64_t>) {
        auto* next = static_cast<std::int64_t*>(to);
        kernels::Rows<1>(shape(), {&strides()}).for_each([&](const auto& offset, Index n, const auto& step) {
          for (Index i = 0; i < n; ++i) *next++ = truncated(from[offset[0] + i * step[0]], "to(int64)", made_at());
        });
      } else {
        kernels::copy_strided(from, shape(), strides(), static_cast<To*>(to));
      }
    });
  });
}

Tensor Tensor::clone(Location site) const {
  detail::check_defined("clone", *this);
  Tensor t = uninitialized(shape(), dtype(), site);
  copy_to(t.elements_->data, dtype());
  return t;
}

void Tensor::make_own() {
  if (!may_write_in_place()) {
    Tensor copy = clone(made_at());
    *this = std::move(copy);
  }
  number_ = 0;
}

void Tensor::wrong_dtype(Dtype wanted) const {
  throw DtypeError(fmt::format("data: the tensor {} was read as {}; hint: convert it with .to({})", describe(*this), to_string(wanted),
                               to_string(wanted)));
}
void Tensor::not_row_major() const {
  throw ShapeError(fmt::format("data: the elements of {} do not lie in row-major order (strides {}); hint: .contiguous()", describe(*this),
                               to_string(strides())));
}

}  // namespace wengert
