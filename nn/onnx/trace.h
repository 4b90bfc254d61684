#pragma once
// The operations of one forward pass: what a tape with a watch of its own sees.
#include <span>
#include <string>
#include <vector>

#include "autodiff/tape/operation_options.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/tensor/named_tensor.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::nn::onnx {

/// The function that is traced.
using Forward = wengert::detail::FunctionRef<std::vector<NamedTensor>(const Tensor&)>;

/// Where an operand comes from.
struct Operand {
  enum class Kind : std::uint8_t { none, input, state, constant, result };
  Kind kind = Kind::none;  ///< `none`: the operation was called without it
  int index = -1;          ///< of the state (in Trace::state) or of the result (in Trace::results)
  Tensor value = {};       ///< of a state and a constant
  Shape shape = {};
  Dtype dtype = float32;

  bool given() const { return kind != Kind::none; }
};

/// A recorded operation, or one that is composed of others and stands for them.
struct TracedOperation {
  std::string name = {};
  std::string whole = {};  ///< the composition that it is a part of, if that is not known as one
  Location site = {};
  OperationOptions options = {};
  std::vector<Operand> operands = {};
  std::vector<int> results = {};
};

struct TracedResult {
  Shape shape;
  Dtype dtype;
};

struct Trace {
  Shape input_shape = {};
  Dtype input_dtype = float32;
  std::vector<TracedOperation> operations = {};
  std::vector<TracedResult> results = {};
  std::vector<NamedTensor> state = {};  ///< the parameters and state of the model
  std::vector<Operand> outputs = {};
  std::vector<std::string> output_names = {};
};

/// Runs f on x, once, on a tape. `state` has the tensors that operands are recognized as, by identity. Compositions whose names are not in
/// `known` are seen as their parts. An Error if f makes Scalars of tensors or the other way round, which have no counterpart.
Trace trace(Forward f, const Tensor& x, std::span<const NamedTensor> state, std::span<const std::string_view> known);

}  // namespace wengert::nn::onnx
