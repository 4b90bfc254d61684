#pragma once
// The text of an error, in the form that all errors have:
// "matmul: the inner sizes 3 and 2 differ: left (2, 3) float32 made at a.cpp:7, right (2, 3) float32 made at a.cpp:8; hint: ..."
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "autodiff/tensor/tensor.h"

namespace wengert::detail {

class ErrorText {
 public:
  /// The operation, and what is wrong.
  template <class... Args> ErrorText(std::string_view operation, fmt::format_string<Args...> what, Args&&... args)
      : message_{fmt::format("{}: {}", operation, fmt::format(what, std::forward<Args>(args)...))} {}

  /// An operand with its shape, dtype and location. Undefined operands were not given, and are left out.
  ErrorText& operand(std::string_view name, const Tensor& tensor) {
    if (tensor.defined()) message_.operands.push_back({std::string(name), label_and_type(tensor), tensor.made_at()});
    return *this;
  }
  /// What the user can write instead; "" for no hint.
  ErrorText& hint(std::string_view remedy) {
    message_.hint = remedy;
    return *this;
  }
  operator const ErrorMessage&() const { return message_; }

 private:
  ErrorMessage message_;
};

/// Throws an error that was caught once more, of the same type if that is about operands, with a text before its own and a note after it.
[[noreturn]] inline void throw_again(const Error& caught, std::string_view before, std::string_view note) {
  if (dynamic_cast<const ShapeError*>(&caught)) throw ShapeError(caught, before, note);
  if (dynamic_cast<const DtypeError*>(&caught)) throw DtypeError(caught, before, note);
  if (dynamic_cast<const ValueError*>(&caught)) throw ValueError(caught, before, note);
  throw Error(caught, before, note);
}

}  // namespace wengert::detail
