#pragma once
// Models from ONNX files.
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "autodiff/tape/parameter.h"
#include "autodiff/tensor/named_tensor.h"
#include "nn/module/module.h"

namespace wengert::nn {

namespace onnx {
struct Program;
}  // namespace onnx

/// The graph of an ONNX file as a module. Its floating initializers are parameters with the names that they have in the file, the
/// statistics of batch normalisations are state, and Constant nodes are constants. So it trains on, is saved and loaded, and may be a layer
/// of a Sequential, like a module of your own.
///
/// A file describes evaluation, and so the module starts in evaluation mode. After train(), batch normalisations normalise by the batch
/// and move their statistics; nothing else changes, for files do not have the dropout of a training.
class OnnxModel : public Module {
 public:
  /// The first output, for a graph with one input. An Error of an operation that does not take its operands names the node.
  Tensor operator()(const Tensor& x, Location site = Location::here());
  /// The same for a const model. An Error in training mode if batch normalisations would change their statistics.
  Tensor operator()(const Tensor& x, Location site = Location::here()) const;

  /// All outputs, with their names, for as many inputs as the graph has. A ShapeError for another number of them.
  std::vector<NamedTensor> run(std::span<const Tensor> inputs, Location site = Location::here());
  std::vector<NamedTensor> run(std::span<const Tensor> inputs, Location site = Location::here()) const;

  /// The names of the graph's inputs.
  const std::vector<std::string>& inputs() const;

  void visit(Visitor& v) override;
  std::string label() const override;

 private:
  struct Trained {
    std::string name;
    Parameter parameter;
  };
  friend OnnxModel import_onnx(const std::string& path);
  explicit OnnxModel(const std::string& path);
  std::vector<NamedTensor> run(std::span<const Tensor> inputs, std::span<NamedTensor> changing, Location site) const;

  std::shared_ptr<const onnx::Program> program_;  // the same for all copies
  std::vector<Trained> trained_;
  std::vector<NamedTensor> state_;
};

/// Reads an ONNX file: of operator sets 13 to 20, the operations that multilayer perceptrons, convolutional and recurrent networks and
/// transformers are made of. A DataError names the file and what is wrong or not known; among it damaged files, values that are used before
/// they are computed, and elements that lie in other files. The memory it takes is bounded by a multiple of the file's size.
///
///     nn::OnnxModel model = nn::import_onnx("digits.onnx");
///     model.train();
OnnxModel import_onnx(const std::string& path);

}  // namespace wengert::nn
