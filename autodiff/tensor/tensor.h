#pragma once
// A tensor: a cheap handle to shared elements.
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/tensor/indexing.h"
#include "autodiff/tensor/reference_count.h"
#include "autodiff/tensor/shape.h"

namespace wengert {

/// The type of a tensor's elements.
enum class Dtype : std::uint8_t { float32, float64, int64, boolean };
using enum Dtype;

/// "float32", "float64", "int64" or "boolean"; whether it is one of the first two; the size of an element in bytes.
const char* to_string(Dtype dtype);
constexpr bool is_floating(Dtype t) { return t == float32 || t == float64; }
constexpr Index bytes_of(Dtype t) { return t == float32 ? 4 : t == boolean ? 1 : 8; }

template <class T> struct DtypeOf;
template <> struct DtypeOf<float> { static constexpr Dtype value = float32; };
template <> struct DtypeOf<double> { static constexpr Dtype value = float64; };
template <> struct DtypeOf<std::int64_t> { static constexpr Dtype value = int64; };
template <> struct DtypeOf<bool> { static constexpr Dtype value = boolean; };
/// A C++ type that can be the element type of a tensor.
template <class T> concept Element = requires { DtypeOf<T>::value; };

/// A C++ number as an argument, without loss: an integer keeps digits that a double would not.
class ExactNumber {
 public:
  template <class T>
  requires std::is_arithmetic_v<T>
  constexpr ExactNumber(T value) : value_(static_cast<double>(value)) {
    if constexpr (std::is_same_v<T, bool>) {
      integer_ = value;
    } else if constexpr (std::is_integral_v<T>) {
      if (std::in_range<std::int64_t>(value)) integer_ = static_cast<std::int64_t>(value);
    } else if (value >= T(-0x1p63) && value < T(0x1p63)) {
      if (const auto truncated = static_cast<std::int64_t>(value); static_cast<T>(truncated) == value) integer_ = truncated;
    }
  }

  constexpr double value() const { return value_; }
  /// The number as an int64; nothing if it is no integer, or beyond the range of int64.
  constexpr std::optional<std::int64_t> integer() const { return integer_; }

 private:
  double value_;
  std::optional<std::int64_t> integer_;
};

namespace numeric {
template <class V> class BasicScalar;
}
using numeric::BasicScalar;
/// A double that the active tape follows.
using Scalar = BasicScalar<double>;

/// Shared elements with their shape and strides. The elements of a result follow this header in the same block of the pool; a view has none
/// of its own and keeps its base alive. A base is never a view itself, so destruction does not recurse.
struct alignas(64) Elements {
  /// For row-major elements that follow this header.
  Elements(const Shape& shape, Index size, Dtype dtype, Location made_at)
      : references(1),
        line(made_at.line),
        file(made_at.file),
        data(this + 1),
        base(nullptr),
        size(size),
        dtype(dtype),
        row_major(true),
        borrowed(false),
        shape(shape),
        strides(row_major_strides(shape)) {}

  detail::ReferenceCount references;
  std::uint32_t line;  // where the tensor was made
  const char* file;
  void* data;
  Elements* base;  // of a view: the owner of the elements
  Index size;
  Dtype dtype;
  bool row_major;                        // dense, in row-major order
  bool borrowed;                         // the elements are the user's memory
  std::atomic<std::uint32_t> label = 0;  // of the parameter that was last read with these elements (tensor/label.h)
  Shape shape, strides;
};

class RowIterator;

namespace detail {
/// The ValueError of an operation for a tensor that is undefined, which `operand` names: "mse: target is undefined: ...".
[[noreturn]] void throw_undefined(const char* operation, const char* operand = "the tensor");
}  // namespace detail

/// Shared elements with a shape, and the number of the recorded value that this is (0: a constant). Copies share the elements and
/// nothing that is done through one handle is ever seen through another: `mutable_data` copies elements that are shared.
class Tensor {
 public:
  /// No tensor at all: `defined()` is false, and every use but copying and assigning is a ValueError.
  Tensor() = default;
  Tensor(const Tensor& o) noexcept : elements_(o.elements_), number_(o.number_) { retain(elements_); }
  Tensor(Tensor&& o) noexcept : elements_(o.elements_), number_(o.number_) { o.forget(); }
  Tensor& operator=(const Tensor& o) & noexcept {  // NOLINT(bugprone-unhandled-self-assignment): retained before released
    retain(o.elements_);
    release(elements_);
    elements_ = o.elements_;
    number_ = o.number_;
    return *this;
  }
  Tensor& operator=(Tensor&& o) & noexcept {
    Elements* mine = elements_;
    elements_ = o.elements_;
    number_ = o.number_;
    if (this != &o) {
      o.forget();
      release(mine);
    }
    return *this;
  }
  WENGERT_UNAVAILABLE("this assigns to a temporary Tensor and changes nothing; x = slice_update(x, {i, j}, value) replaces a part of x")
  Tensor& operator=(const Tensor& o) &&;
  ~Tensor() { release(elements_); }

  /// @name Making tensors
  /// Shapes are checked: a negative size, or more elements than any memory can hold, is a ShapeError. If there is not enough memory, it is
  /// a MemoryError.
  /// @{
  static Tensor zeros(const Shape& shape, Dtype dtype = float32, Location site = Location::here());
  static Tensor ones(const Shape& shape, Dtype dtype = float32, Location site = Location::here());
  /// A ValueError for an int64 tensor and a number that is no integer or beyond its range.
  static Tensor full(const Shape& shape, ExactNumber value, Dtype dtype = float32, Location site = Location::here());
  /// Elements that are not set: for code that fills all of them through `mutable_data`.
  static Tensor uninitialized(const Shape& shape, Dtype dtype = float32, Location site = Location::here());
  /// The values in row-major order, as a vector or in the given shape, which must have the same number of elements.
  /// (A template, so that {{1}, {2}} is a matrix of one column.)
  template <class T = double>
  static Tensor from(std::initializer_list<std::type_identity_t<T>> values, Dtype dtype = float32, Location site = Location::here()) {
    return from(values, Shape{static_cast<Index>(values.size())}, dtype, site);
  }
  static Tensor from(std::initializer_list<double> values, const Shape& shape, Dtype dtype = float32, Location site = Location::here());
  /// A matrix, row by row; all rows must have the same length.
  static Tensor from(std::initializer_list<std::initializer_list<double>> rows, Dtype dtype = float32, Location site = Location::here());
  /// A copy of the values; the dtype follows their type.
  template <Element T> static Tensor from(std::span<const T> values, const Shape& shape, Location site = Location::here()) {
    return copy_of(values.data(), values.size(), shape, DtypeOf<T>::value, site);
  }
  template <Element T> static Tensor from(const std::vector<T>& values, Location site = Location::here()) {
    return from(std::span<const T>(values), Shape{static_cast<Index>(values.size())}, site);
  }
  template <Element T> static Tensor from(const std::vector<T>& values, const Shape& shape, Location site = Location::here()) {
    return from(std::span<const T>(values), shape, site);
  }
  /// Other integer types become int64.
  template <IntegerType T>
  requires(!Element<T>) static Tensor from(std::span<const T> values, const Shape& shape, Location site = Location::here()) {
    const std::vector<std::int64_t> converted(values.begin(), values.end());
    return from(std::span<const std::int64_t>(converted), shape, site);
  }
  template <IntegerType T>
  requires(!Element<T>) static Tensor from(const std::vector<T>& values, Location site = Location::here()) {
    return from(std::span<const T>(values), Shape{values.size()}, site);
  }
  template <IntegerType T>
  requires(!Element<T>) static Tensor from(const std::vector<T>& values, const Shape& shape, Location site = Location::here()) {
    return from(std::span<const T>(values), shape, site);
  }
  static Tensor from(const std::vector<bool>& values, Location site = Location::here()) { return from(values, Shape{values.size()}, site); }
  static Tensor from(const std::vector<bool>& values, const Shape& shape, Location site = Location::here());
  /// The user's memory, not copied. The caller must keep it alive and unchanged for as long as this tensor, its copies and views, and any
  /// records of operations on it exist. The library never writes to it: `mutable_data` copies.
  template <Element T> static Tensor borrow(std::span<const T> values, const Shape& shape, Location site = Location::here()) {
    return borrowed(values.data(), values.size(), shape, DtypeOf<T>::value, site);
  }
  template <Element T>
  requires(!std::is_same_v<T, bool>) static Tensor
      borrow(const std::vector<T>& values, const Shape& shape, Location site = Location::here()) {
    return borrowed(values.data(), values.size(), shape, DtypeOf<T>::value, site);
  }
  template <Element T>
  WENGERT_UNAVAILABLE("the tensor would refer to a temporary that ends with this line: keep the vector in a variable, or use Tensor::from")
  static Tensor borrow(std::vector<T>&& values, const Shape& shape, Location site = Location::here());
  /// start, start + step, ... up to but not including stop.
  static Tensor arange(double start, double stop, double step = 1, Dtype dtype = float32, Location site = Location::here());
  /// `count` values from start to stop, both included.
  static Tensor linspace(double start, double stop, Integer count, Dtype dtype = float32, Location site = Location::here());
  /// The (size, size) identity matrix.
  static Tensor eye(Integer size, Dtype dtype = float32, Location site = Location::here());
  /// @}

  /// Whether the tensor has elements, and its shape. A default-constructed or moved-from one has none, and operations refuse it.
  bool defined() const { return elements_ != nullptr; }
  const Shape& shape() const { return checked("shape").shape; }
  /// Elements (not bytes) from one position to the next, for each dimension; the number of dimensions.
  const Shape& strides() const { return checked("strides").strides; }
  int rank() const { return checked("rank").shape.rank(); }
  /// How many elements there are.
  Index size() const { return checked("size").size; }
  /// The size of one dimension, counted from the end if negative; the type of the elements; whether they lie row by row, without gaps.
  Index size(Integer dim) const;
  Dtype dtype() const { return checked("dtype").dtype; }
  bool is_row_major() const { return checked("is_row_major").row_major; }
  /// Where the user made this tensor.
  Location made_at() const {
    const Elements& e = checked("made_at");
    return {e.file, e.line};
  }

  /// The elements in row-major order. A DtypeError unless T matches the dtype; a ShapeError unless the elements are stored in that order
  /// (`contiguous()` returns a tensor of which they are).
  template <Element T> const T* data() const {
    check_access(DtypeOf<T>::value);
    return static_cast<const T*>(elements_->data);
  }
  /// The same for writing. Elements shared with a record, a view or another handle are copied first, and the tensor becomes a constant:
  /// values that a tape has recorded never change.
  template <Element T> T* mutable_data() {
    check_dtype(DtypeOf<T>::value);
    make_own();
    return static_cast<T*>(elements_->data);
  }
  /// The value of a tensor of one element, whatever its dtype.
  double item(Location site = Location::here()) const;
  /// The value at one position (one index for each dimension; negative ones count from the end), not recorded.
  double at(std::initializer_list<Integer> position, Location site = Location::here()) const;
  /// Sets the value at one position: for building data, element by element. Not differentiable (`slice_update` is): a TapeError if a tape
  /// has recorded this tensor. Elements that other handles share are copied first, so nobody else sees the change.
  void set(std::initializer_list<Integer> position, ExactNumber value, Location site = Location::here());
  /// All values in row-major order, converted to T.
  template <Element T> std::vector<T> to_vector() const {
    std::vector<T> values(static_cast<std::size_t>(size()));
    if constexpr (!std::is_same_v<T, bool>) {
      copy_to(values.data(), DtypeOf<T>::value);
    } else {
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = element(static_cast<Index>(i)) != 0;
    }
    return values;
  }
  /// One element as a Scalar, with one index for each dimension, negative ones counting from the end: `x(1, -1)`. Recorded, as a crossing
  /// from tensors to scalars.
  Scalar operator()(Location site = Location::here()) const;
  template <IntegerType A> Scalar operator()(A a, Location site = Location::here()) const;
  template <IntegerType A, IntegerType B> Scalar operator()(A a, B b, Location site = Location::here()) const;
  template <IntegerType A, IntegerType B, IntegerType C> Scalar operator()(A a, B b, C c, Location site = Location::here()) const;
  template <IntegerType A, IntegerType B, IntegerType C, IntegerType D>
  Scalar operator()(A a, B b, C c, D d, Location site = Location::here()) const;
  template <IntegerType A, IntegerType B, IntegerType C, IntegerType D, IntegerType E>
  Scalar operator()(A a, B b, C c, D d, E e, Location site = Location::here()) const;
  template <IntegerType... I>
  requires(sizeof...(I) > 5) Scalar operator()(I... index) const;
  /// A part of this tensor, a view of the same elements: `x(Range(0, 3), 1)`, `x(All, Range(1, End, 2))`, `x(Ellipsis, 0)`. An integer
  /// drops its dimension, a Range keeps it; dimensions without an index are kept whole. Recorded, as slices and selections. A ShapeError
  /// for more indices than dimensions, or for an integer that is out of range; Ranges are clipped.
  Tensor operator()(const Subscript& a) const { return part({a}); }
  Tensor operator()(Subscript a, Subscript b) const { return part({a, b}); }
  Tensor operator()(Subscript a, Subscript b, Subscript c) const { return part({a, b, c}); }
  Tensor operator()(Subscript a, Subscript b, Subscript c, Subscript d) const { return part({a, b, c, d}); }
  Tensor operator()(Subscript a, Subscript b, Subscript c, Subscript d, Subscript e) const { return part({a, b, c, d, e}); }
  /// Position `index` (or the positions of a Range) of the first dimension: `x[0]` is the first row of a matrix, and `x[0][1]` the second
  /// element of that row, a tensor of rank 0.
  Tensor operator[](const Subscript& index) const { return part({index}); }
  /// Iterates over the first dimension: `for (const Tensor row : x)`. Rank 0 is a ShapeError.
  RowIterator begin(Location site = Location::here()) const;
  RowIterator end() const;

  /// This tensor if its elements are stored in row-major order, otherwise a row-major copy. Recorded.
  Tensor contiguous(Location site = Location::here()) const;
  /// The same values as another dtype, rounded where need be: to int64 towards 0. Recorded between floating dtypes. A ValueError for NaN
  /// and numbers beyond the range of int64, if that is the dtype.
  Tensor to(Dtype dtype, Location site = Location::here()) const;
  /// The same elements as a constant: gradients stop here.
  Tensor constant() const {
    Tensor t = *this;
    t.number_ = 0;
    return t;
  }
  /// A dense constant copy that shares nothing with this tensor.
  Tensor clone(Location site = Location::here()) const;

  /// The number of this value on its tape; 0 for a constant. No two values of a process have the same number.
  std::uint64_t number() const { return number_; }

  /// @name For operations
  /// @{
  Tensor(Elements* adopted, std::uint64_t number) noexcept : elements_(adopted), number_(number) {}
  Elements* elements() const { return elements_; }
  /// Gives up the elements; the tensor is undefined afterwards.
  Elements* take() noexcept {
    Elements* e = elements_;
    forget();
    return e;
  }
  /// Whether this is the only handle to the elements, so that they may be changed in place.
  bool sole_owner() const {
    return elements_ && !elements_->base && !elements_->borrowed && elements_->references.load(std::memory_order_acquire) == 1;
  }
  /// Whether a sweep may add into the elements in place.
  bool may_write_in_place() const { return sole_owner() && elements_->row_major; }
  /// The row-major `flat`th value as a double.
  double element(Index flat) const;
  /// @}

 private:
  /// The elements; a ValueError of `call` if there are none.
  const Elements& checked(const char* call) const {
    if (!elements_) [[unlikely]]
      detail::throw_undefined(call);
    return *elements_;
  }
  static void retain(Elements* e) {
    if (e) detail::retain(e->references);
  }
  static void release(Elements* e) noexcept {
    if (e) release_reference(e);
  }
  static void release_reference(Elements* e) noexcept;
  void forget() {
    elements_ = nullptr;
    number_ = 0;
  }
  static Tensor copy_of(const void* values, std::size_t count, const Shape& shape, Dtype dtype, Location site);
  static Tensor borrowed(const void* values, std::size_t count, const Shape& shape, Dtype dtype, Location site);
  void copy_to(void* to, Dtype dtype) const;
  Index checked_position(const char* operation, std::span<const Index> position) const;
  Scalar element_as_scalar(std::initializer_list<Integer> position, Location site) const;
  Tensor part(Subscripts index) const;
  void check_dtype(Dtype wanted) const {
    if (checked("data").dtype != wanted) [[unlikely]]
      wrong_dtype(wanted);
  }
  void check_access(Dtype wanted) const {
    check_dtype(wanted);
    if (!elements_->row_major) [[unlikely]]
      not_row_major();
  }
  [[noreturn]] void wrong_dtype(Dtype wanted) const;
  [[noreturn]] void not_row_major() const;
  void make_own();

  Elements* elements_ = nullptr;
  std::uint64_t number_ = 0;
};

namespace detail {
/// A ValueError of the operation if the tensor is undefined.
inline void check_defined(const char* operation, const Tensor& x, const char* operand = "the tensor") {
  if (!x.defined()) [[unlikely]]
    throw_undefined(operation, operand);
}
}  // namespace detail

/// `dim` of x, to which an operation adds `added` dimensions, counted from the front. A ShapeError of `operation` that names the valid
/// range if it is outside.
int checked_dim(const char* operation, Index dim, const Tensor& x, int added = 0);

inline Index Tensor::size(Integer dim) const { return shape()[checked_dim("size", dim, *this)]; }

/// The iterator of `for (const Tensor row : x)`.
class RowIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Tensor;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using reference = Tensor;

  RowIterator(const Tensor& x, Index at, Location site) : x_(x), at_(at), site_(site) {}
  Tensor operator*() const { return x_[Subscript(at_, site_)]; }
  RowIterator& operator++() {
    ++at_;
    return *this;
  }
  void operator++(int) { ++at_; }
  friend bool operator==(const RowIterator& a, const RowIterator& b) { return a.at_ == b.at_; }

 private:
  Tensor x_;
  Index at_;
  Location site_;
};
inline RowIterator Tensor::end() const { return {*this, rank() > 0 ? size(0) : 0, {}}; }

/// @name Tensors of the same shape and dtype as x: constants.
/// @{
/// Zeros, ones, or one value everywhere.
inline Tensor zeros_like(const Tensor& x, Location site = Location::here()) { return Tensor::zeros(x.shape(), x.dtype(), site); }
inline Tensor ones_like(const Tensor& x, Location site = Location::here()) { return Tensor::ones(x.shape(), x.dtype(), site); }
inline Tensor full_like(const Tensor& x, ExactNumber value, Location site = Location::here()) {
  return Tensor::full(x.shape(), value, x.dtype(), site);
}
/// @}

/// A view of the elements of `base`, from the `offset`th one on, with the given shape and strides. Not recorded.
Tensor view(const Tensor& base, const Shape& shape, const Shape& strides, Index offset, Location site);

/// "(2, 3) float32 made at model.cpp:41", or "parameter hidden.weight (2, 3) float32 made at model.cpp:41" for the value of a Parameter:
/// how error messages name an operand.
std::string describe(const Tensor& tensor);
namespace detail {
/// The same without the location. The tensor must be defined.
std::string label_and_type(const Tensor& tensor);
}  // namespace detail

}  // namespace wengert
