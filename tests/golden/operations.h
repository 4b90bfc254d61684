#pragma once
// The operations of the reference data in terms of the library's public interface: one line each, one file per group. The library lacks an
// operation that is not in the tables.
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/tensor/tensor.h"
#include "case.h"

namespace wengert::golden {

/// The library lacks what a case needs: an operation, or one of its options.
struct Missing {
  std::string what;
};

/// The results of an operation: one tensor or several.
struct Outputs : std::vector<Tensor> {
  Outputs(Tensor single) : std::vector<Tensor>{std::move(single)} {}
  Outputs(std::initializer_list<Tensor> several) : std::vector<Tensor>(several) {}
  explicit Outputs(std::vector<Tensor> several) : std::vector<Tensor>(std::move(several)) {}
};

// What an entry's function takes: the operands in call order, and the attributes.
using In = std::span<const Tensor>;
using At = const Attributes&;

struct Operation {
  const char* name;
  Outputs (*apply)(In in, At at);
};

std::span<const Operation> unary_operations();    // g1
std::span<const Operation> binary_operations();   // g2
std::span<const Operation> reductions();          // g3
std::span<const Operation> shape_operations();    // g4
std::span<const Operation> linear_algebra();      // g5
std::span<const Operation> network_operations();  // g6: products and windows
std::span<const Operation> layer_operations();    // g6: normalisation, noise, words, attention, recurrence
std::span<const Operation> losses();              // g6: losses

/// Throws Missing if no table has the name.
const Operation& operation_named(std::string_view name);

/// @name The expected tensors of a case, computed from the given ones
/// The given floating tensors have one dtype, which is also that of the results. Each function throws Missing.
/// @{
Values compute(const Case& c, const Values& given);               ///< all groups
Values compute_vjp(const Case& c, const Values& given);           ///< g1 to g6: outputs, gradients for random cotangents
Values compute_trajectory(const Case& c, const Values& given);    ///< g7: parameters after each step of an optimizer; learning rates
Values compute_second_order(const Case& c, const Values& given);  ///< g8: derivatives of derivatives
/// @}

}  // namespace wengert::golden
