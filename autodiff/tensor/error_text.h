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

}  // namespace wengert::detail
