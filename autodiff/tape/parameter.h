#pragma once
// Trainable tensors, shared between a model, its optimizer and its gradients.
#include <atomic>
#include <initializer_list>
#include <string>
#include <string_view>

#include "autodiff/tensor/storage.h"
#include "autodiff/tensor/tensor.h"

namespace wengert {

/// The state behind a Parameter handle. Its address identifies the parameter to modules, optimizers and gradients.
struct ParameterState {
  Tensor value;         ///< a constant
  std::string name;     ///< for messages; `rename` changes it
  bool frozen = false;  ///< tapes treat it as a constant
  detail::ReferenceCount references{0};
  std::atomic<std::uint32_t> label{0};  ///< of the name (tensor/label.h), for messages about the value; 0: not assigned yet
  std::atomic<std::uint64_t> leaf{0};   ///< a cache: its number on the tape that last read it

  /// Sets the name. A model's visitor names its parameters by their dotted paths.
  void rename(std::string_view to);
};

/// A shared reference to a parameter. Optimizers and lists hold these; a Parameter itself is a value.
class ParameterRef {
 public:
  ParameterRef() = default;
  explicit ParameterRef(ParameterState* state) noexcept : state_(state) { retain(); }
  ParameterRef(const ParameterRef& o) noexcept : ParameterRef(o.state_) {}
  ParameterRef(ParameterRef&& o) noexcept : state_(o.state_) { o.state_ = nullptr; }
  ParameterRef& operator=(ParameterRef o) noexcept {
    ParameterState* mine = state_;
    state_ = o.state_;
    o.state_ = mine;
    return *this;
  }
  ~ParameterRef() {
    if (state_ && detail::release_was_last(state_->references)) delete state_;
  }
  ParameterState* get() const { return state_; }
  ParameterState* operator->() const { return state_; }
  friend bool operator==(const ParameterRef& a, const ParameterRef& b) { return a.state_ == b.state_; }

 private:
  void retain() const {
    if (state_) detail::retain(state_->references);
  }
  ParameterState* state_ = nullptr;
};

/// A trainable tensor. Reading it under a tape gives that tape's leaf for it; a Tensor obtained from it before the tape was opened is a
/// constant. A copy is an independent parameter. Assignment copies the value and keeps the identity, so that optimizers and lists made from
/// this parameter stay valid (`model = best`).
class Parameter {
 public:
  Parameter() = default;
  explicit Parameter(const Tensor& value, std::string name = {});
  Parameter(const Parameter& o);
  Parameter(Parameter&& o) noexcept = default;
  Parameter& operator=(const Parameter& o);
  Parameter& operator=(Parameter&& o) noexcept;
  Parameter& operator=(const Tensor& value);
  ~Parameter() = default;

  /// The value; under an active tape, the tape's leaf for it. Freely convertible, so that a Parameter goes wherever a Tensor does. An
  /// undefined (default-constructed) parameter gives an undefined tensor, which the operation that takes it refuses by name.
  operator Tensor() const;
  /// The value as a constant, and the name.
  const Tensor& value() const { return state("value").value; }
  const std::string& name() const { return state("name").name; }
  /// Replaces the value and takes it as a constant. The tapes that have read the old value keep it. Shape and dtype may change.
  void set(const Tensor& value) { state("set").value = value.constant(); }
  /// A frozen parameter is a constant: nothing is saved for it, no gradient is computed, and as a source it has the gradient zero.
  void freeze(bool on = true) { state("freeze").frozen = on; }
  bool frozen() const { return state("frozen").frozen; }

  /// An element as a Scalar, a part, or a row, as for a Tensor: `w(0, 1)`, `w(All, 1)`, `w[0]`. Recorded by an active tape. (An element of
  /// `value()` is a constant.)
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
  Tensor operator()(const Subscript& a) const { return Tensor(*this)(a); }
  Tensor operator()(Subscript a, Subscript b) const { return Tensor(*this)(a, b); }
  Tensor operator()(Subscript a, Subscript b, Subscript c) const { return Tensor(*this)(a, b, c); }
  Tensor operator()(Subscript a, Subscript b, Subscript c, Subscript d) const { return Tensor(*this)(a, b, c, d); }
  Tensor operator()(Subscript a, Subscript b, Subscript c, Subscript d, Subscript e) const { return Tensor(*this)(a, b, c, d, e); }
  Tensor operator[](const Subscript& index) const { return Tensor(*this)[index]; }
  RowIterator begin(Location site = Location::here()) const { return Tensor(*this).begin(site); }
  RowIterator end() const { return value().end(); }

  /// The shape and the dtype of the value.
  const Shape& shape() const { return value().shape(); }
  Index size() const { return value().size(); }
  Dtype dtype() const { return value().dtype(); }
  const ParameterRef& ref() const { return ref_; }
  operator const ParameterRef&() const { return ref_; }

 private:
  ParameterState& state(const char* call) const {
    if (!ref_.get()) [[unlikely]]
      detail::throw_undefined(call, "the parameter");
    return *ref_.get();
  }

  ParameterRef ref_;
};

/// The parameters of a model, in the order of its members.
class ParameterList {
 public:
  ParameterList();
  ParameterList(std::initializer_list<ParameterRef> parameters);
  ParameterList(const ParameterList&);
  ParameterList(ParameterList&&) noexcept;
  ParameterList& operator=(const ParameterList&);
  ParameterList& operator=(ParameterList&&) noexcept;
  ~ParameterList();

  /// `add` appends a parameter, or those of another list.
  void add(const Parameter& parameter) { add(parameter.ref()); }
  void add(const ParameterRef& parameter);
  void add(const ParameterList& parameters);
  std::size_t size() const { return list_.size(); }
  bool empty() const { return list_.empty(); }
  const ParameterRef& operator[](std::size_t i) const { return list_[i]; }
  const ParameterRef* begin() const { return list_.data(); }
  const ParameterRef* end() const { return list_.data() + list_.size(); }

 private:
  pool::Vector<ParameterRef> list_;
};

}  // namespace wengert
