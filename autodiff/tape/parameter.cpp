#include "autodiff/tape/parameter.h"

#include <mutex>

#include "autodiff/tape/records.h"
#include "autodiff/tensor/label.h"

namespace wengert {

Parameter::Parameter(const Tensor& value, std::string name) : ref_(new ParameterState) {
  ref_->value = value.constant();
  ref_->name = std::move(name);
}
Parameter::Parameter(const Parameter& o) {
  if (!o.ref_.get()) return;
  ref_ = ParameterRef(new ParameterState);
  ref_->value = o.ref_->value;
  ref_->name = o.ref_->name;
  ref_->frozen = o.ref_->frozen;
}
Parameter& Parameter::operator=(const Parameter& o) {
  if (!o.ref_.get()) {
    ref_ = ParameterRef();
  } else if (!ref_.get()) {
    *this = Parameter(o);
  } else {
    set(o.value());
  }
  return *this;
}
Parameter& Parameter::operator=(Parameter&& o) noexcept {
  if (ref_.get() && o.ref_.get()) {
    set(o.value());
  } else {
    ref_ = std::move(o.ref_);
  }
  return *this;
}
Parameter& Parameter::operator=(const Tensor& value) {
  if (!ref_.get()) ref_ = ParameterRef(new ParameterState);
  set(value);
  return *this;
}

namespace {

// Of names: one thread may read a parameter for the first time while another one names it.
std::mutex naming;

}  // namespace

void ParameterState::rename(std::string_view to) {
  const std::lock_guard lock(naming);
  name = to;
  label.store(0, std::memory_order_relaxed);
}

namespace {

// From now on, messages name these elements as the parameter.
void label_value(ParameterState& p) {
  Elements* const elements = p.value.elements();
  if (!elements) return;
  std::uint32_t label = p.label.load(std::memory_order_relaxed);
  if (label == 0) [[unlikely]] {
    const std::lock_guard lock(naming);
    label = detail::label_of_parameter(p.name);
    p.label.store(label, std::memory_order_relaxed);
  }
  elements->label.store(label, std::memory_order_relaxed);
}

}  // namespace

Parameter::operator Tensor() const {
  if (!ref_.get() || !ref_->value.defined()) return {};
  label_value(*ref_.get());
  if (!recording() || ref_->frozen) return ref_->value;
  return detail::active_tape()->leaf(*ref_.get());
}

ParameterList::ParameterList() = default;
ParameterList::ParameterList(std::initializer_list<ParameterRef> parameters) : list_(parameters.begin(), parameters.end()) {}
ParameterList::ParameterList(const ParameterList&) = default;
ParameterList::ParameterList(ParameterList&&) noexcept = default;
ParameterList& ParameterList::operator=(const ParameterList&) = default;
ParameterList& ParameterList::operator=(ParameterList&&) noexcept = default;
ParameterList::~ParameterList() = default;
void ParameterList::add(const ParameterRef& parameter) { list_.push_back(parameter); }
void ParameterList::add(const ParameterList& parameters) { list_.insert(list_.end(), parameters.list_.begin(), parameters.list_.end()); }

}  // namespace wengert
