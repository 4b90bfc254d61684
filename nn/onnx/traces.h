#pragma once
// Several runs of one forward pass, and what is the same in all of them.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/onnx/graph.h"
#include "nn/onnx/trace.h"

namespace wengert::nn::onnx {

/// The first run, and those on other numbers and other sizes. They have the same operations on the same operands, or the constructor throws
/// an Error.
class Traces {
 public:
  Traces(std::vector<Trace> runs, Dims dynamic);

  const Trace& first() const { return runs_[0]; }
  std::size_t size() const { return runs_.size(); }

  /// The sizes of an operand or a result in all runs.
  std::vector<Shape> shapes(int operation, int operand) const;
  std::vector<Shape> result_shapes(int result) const;
  const OperationOptions& options(std::size_t run, int operation) const {
    return runs_[run].operations[static_cast<std::size_t>(operation)].options;
  }
  const Operand& operand(std::size_t run, int operation, int operand) const;
  const Shape& output_shape(std::size_t run, std::size_t output) const { return runs_[run].outputs[output].shape; }

  /// A shape for the file: fixed sizes, the names of the input's dynamic dimensions, or unknown ones.
  std::vector<Dimension> dimensions(std::span<const Shape> shapes) const;
  /// The shape of the input in the file.
  std::vector<Dimension> input_dimensions() const;

  /// "linear at net.cpp:12".
  std::string describe(int operation) const;

 private:
  void check_same(const Trace& other) const;

  std::vector<Trace> runs_;
  Dims dynamic_;
};

/// Whether a dimension has the same size in all shapes.
bool is_fixed(std::span<const Shape> shapes, int dim);
/// Whether all shapes are the same.
bool is_fixed(std::span<const Shape> shapes);

}  // namespace wengert::nn::onnx
