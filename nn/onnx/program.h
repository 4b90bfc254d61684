#pragma once
// The graph of an ONNX file as a list of steps that run one after the other.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "autodiff/tensor/named_tensor.h"
#include "nn/onnx/graph.h"

namespace wengert::nn::onnx {

/// What a step sees beside its operands.
struct RunContext {
  bool training = false;
  std::span<NamedTensor> state = {};  ///< in training: what the step may change
};

/// Computes results from operands. Operands that are left out are undefined.
using Run = std::function<void(std::span<const Tensor> x, std::span<Tensor> y, RunContext& context)>;

struct Step {
  std::string what;                    ///< for messages: "node \"conv_1\" (Conv)"
  std::vector<int> in = {}, out = {};  ///< values by number; -1 for what is left out
  std::vector<int> last = {};          ///< values that no later step uses
  Run run = {};
};

struct Program {
  std::string path = {};
  std::vector<std::string> inputs = {}, outputs = {};
  std::vector<int> input_values = {}, output_values = {};
  std::vector<int> trained = {}, state = {};  ///< the values of parameters and of state
  std::vector<std::pair<int, Tensor>> constants = {};
  std::vector<Step> steps = {};
  int values = 0;
};

/// A program with the first values of its parameters and state.
struct LoadedProgram {
  Program program = {};
  std::vector<NamedTensor> trained = {}, state = {};
};

/// A DataError that names the file and the node for what is wrong.
LoadedProgram load_program(const std::string& path, const Graph& graph);

/// The decimal number that became this float: the 0.1 that was meant, and not the double nearest to the float.
double shortest_decimal(float v);

/// A node while its step is made.
class NodeReader {
 public:
  /// `operands` has the tensors of operands that are the same in every run, else undefined ones; `state` the numbers of operands that are
  /// state, else -1.
  NodeReader(const std::string& path, const Node& node, std::vector<Tensor> operands, std::vector<int> state);

  const Node& node() const { return node_; }
  std::string describe() const;
  [[noreturn]] void fail(const std::string& what) const;

  // Attributes with their defaults. One of another kind is a DataError.
  std::int64_t integer(std::string_view name, std::int64_t otherwise);
  double number(std::string_view name, double otherwise);
  std::string text(std::string_view name, std::string_view otherwise);
  /// Empty without the attribute.
  std::vector<std::int64_t> integers(std::string_view name);
  const Attribute* attribute(std::string_view name);
  bool has(std::string_view name) const { return node_.find(name) != nullptr; }
  /// A DataError unless an attribute has the value that alone is understood.
  void require(std::string_view name, std::int64_t only);
  /// A DataError if an attribute has not been read: it might change what the node computes.
  void check_all_read() const;

  /// A DataError unless there are from `min` to `max` operands and at most `results` results.
  void arity(std::size_t min, std::size_t max, std::size_t results = 1) const;
  bool given(std::size_t operand) const { return operand < node_.inputs.size() && !node_.inputs[operand].empty(); }
  /// The tensor of an operand that is the same in every run, else undefined.
  Tensor constant(std::size_t operand) const { return operand < operands_.size() ? operands_[operand] : Tensor(); }
  int state(std::size_t operand) const { return state_[operand]; }

 private:
  const Attribute* find(std::string_view name, Attribute::Kind kind);

  const std::string& path_;
  const Node& node_;
  std::vector<Tensor> operands_;
  std::vector<int> state_;
  std::vector<std::string_view> read_;
};

/// The function of a node. A DataError if nothing is known of the operation, or if an attribute is out of range.
Run make_run(NodeReader& node);

// Several nodes as one operation.
/// x, weight (out, in) and perhaps the bias -> linear, followed by relu if asked for.
Run linear_run(bool relu);
/// A Conv and the Relu after it, and the MaxPool after that with windows of pool x pool.
Run convolution_relu_run(NodeReader& convolution, Index pool);

}  // namespace wengert::nn::onnx
