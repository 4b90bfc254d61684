#pragma once
// The contents of an ONNX file (onnx.proto3, IR version 8): a graph of nodes, in memory and as bytes.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "autodiff/tensor/named_tensor.h"
#include "autodiff/tensor/tensor.h"

namespace wengert::nn::onnx {

/// The version of the operator set that is written, and those that are read.
constexpr std::int64_t kOpset = 17, kMinOpset = 13, kMaxOpset = 20;

/// An attribute of a node: what it holds depends on its kind.
struct Attribute {
  enum class Kind : std::uint8_t { number = 1, integer = 2, text = 3, tensor = 4, graph = 5, numbers = 6, integers = 7, texts = 8, other };
  std::string name = {};
  Kind kind = Kind::other;
  float number = 0;
  std::int64_t integer = 0;
  std::string text = {};
  Tensor tensor = {};
  std::vector<float> numbers = {};
  std::vector<std::int64_t> integers = {};
  std::vector<std::string> texts = {};
};

Attribute attribute(std::string_view name, std::int64_t value);
Attribute attribute(std::string_view name, float value);
Attribute attribute(std::string_view name, std::string_view value);
Attribute attribute(std::string_view name, std::vector<std::int64_t> values);
Attribute attribute(std::string_view name, const Tensor& value);

/// An operation: values by their names, an empty name where an optional one is left out.
struct Node {
  std::string operation = {};
  std::string name = {};
  std::vector<std::string> inputs = {}, outputs = {};
  std::vector<Attribute> attributes = {};

  const Attribute* find(std::string_view attribute) const;
};

/// A size that is fixed, has a name, or is unknown.
struct Dimension {
  Index size = -1;
  std::string name = {};
};

/// An input or an output of a graph.
struct Value {
  std::string name = {};
  Dtype dtype = float32;
  std::vector<Dimension> shape = {};
};

struct Graph {
  std::vector<Node> nodes;  ///< each behind those whose results it uses
  std::vector<NamedTensor> initializers;
  std::vector<Value> inputs, outputs;
};

/// The bytes of a file. A ValueError if they are more than the 2 GiB that the format allows.
std::string to_bytes(const Graph& graph);

/// Reads a file. A DataError that names the file and what is wrong: bytes that are no ONNX, lengths beyond the end of the file, elements
/// that do not match their shape or lie in other files, a version of the operator set outside [kMinOpset, kMaxOpset], nodes of other
/// operator sets. The memory it takes is bounded by a multiple of the file's size.
Graph read_graph(const std::string& path);

}  // namespace wengert::nn::onnx
