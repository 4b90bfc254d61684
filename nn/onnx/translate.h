#pragma once
// How recorded operations become nodes of ONNX.
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nn/onnx/graph.h"
#include "nn/onnx/traces.h"

namespace wengert::nn::onnx {

/// A graph under construction.
class GraphWriter {
 public:
  explicit GraphWriter(const Traces& traces);

  /// The nodes of all operations that the outputs depend on.
  Graph finish();

  const Traces& traces() const { return traces_; }

  // For the translation of one operation:

  /// The value of an operand; of one that was not given, the empty name.
  std::string value(const Operand& operand);
  /// Appends a node with a fresh name, and returns the names of its results.
  std::vector<std::string> node(std::string_view operation, std::vector<std::string> inputs, std::vector<Attribute> attributes,
                                int outputs);
  /// A tensor that is not trained.
  std::string constant(const Tensor& value);
  /// A tensor that is trained, or state; the same name twice is the same tensor.
  std::string initializer(const std::string& name, const Tensor& value);
  /// The value of a result.
  void bind(int result, std::string value) { results_[static_cast<std::size_t>(result)] = std::move(value); }
  bool is_needed(int result) const { return needed_[static_cast<std::size_t>(result)]; }

 private:
  void find_needed();
  void add_outputs();

  const Traces& traces_;
  Graph graph_;
  std::vector<std::string> results_;
  std::vector<char> needed_;  // results that an output depends on
  std::unordered_map<std::string, int> counts_;
  std::vector<std::pair<Tensor, std::string>> constants_;
};

/// Appends the nodes of an operation and binds its results. An Error if it has no counterpart.
void translate(GraphWriter& graph, int operation);

/// The composed operations that `translate` knows as a whole.
std::span<const std::string_view> known_compositions();

}  // namespace wengert::nn::onnx
