#pragma once
// Internal.
// The options of a recorded operation by their names, for readers of a tape such as the export to ONNX.
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "autodiff/tape/operation.h"
#include "autodiff/tensor/shape.h"

namespace wengert {

/// What an operation tells of itself beside its name and its operands: dimensions, strides, numbers. Dimensions are not negative.
class OperationOptions {
 public:
  template <class T>
  requires std::is_arithmetic_v<T>
  void set(const char* name, T value) {
    if constexpr (std::is_floating_point_v<T>) {
      list_.push_back({name, {}, static_cast<double>(value)});
    } else {
      list_.push_back({name, {static_cast<Index>(value)}, static_cast<double>(value)});
    }
  }
  void set(const char* name, std::span<const Index> values) { list_.push_back({name, {values.begin(), values.end()}, 0}); }

  /// The values of an option that was set with this name and kind; an Error if there is none.
  const std::vector<Index>& integers(std::string_view name) const& { return find(name).integers; }
  const std::vector<Index>& integers(std::string_view name) && = delete;  // they would be gone
  Index integer(std::string_view name) const { return find(name).integers.at(0); }
  bool flag(std::string_view name) const { return integer(name) != 0; }
  double number(std::string_view name) const { return find(name).number; }

  /// Whether both have the same options with the same values.
  friend bool operator==(const OperationOptions& a, const OperationOptions& b) { return a.list_ == b.list_; }

 private:
  struct Option {
    std::string_view name;
    std::vector<Index> integers;
    double number;
    friend bool operator==(const Option&, const Option&) = default;
  };
  const Option& find(std::string_view name) const;

  std::vector<Option> list_;
};

/// An operation with options that neither its name nor the shapes of its operands and results show.
class OperationWithOptions : public Operation {
 public:
  virtual void options(OperationOptions& to) const = 0;

 protected:
  ~OperationWithOptions() = default;
};

}  // namespace wengert
