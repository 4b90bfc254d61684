#pragma once
// Models as ONNX files.
#include <concepts>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tensor/function_ref.h"
#include "autodiff/tensor/named_tensor.h"
#include "nn/module/module.h"

namespace wengert::nn {

struct OnnxOptions {
  /// The dimensions of the input whose size may differ in the file's user's hands, by default the first, the batch's. The model is run at a
  /// second size of each. All other sizes are those of the example.
  Dims dynamic = {0};
};

namespace detail {

inline std::vector<NamedTensor> onnx_outputs(const Tensor& y) { return {{"output", y}}; }
inline std::vector<NamedTensor> onnx_outputs(const Sequence& y) { return {{"output", y.output}, {"h", y.h}}; }
inline std::vector<NamedTensor> onnx_outputs(const LstmSequence& y) { return {{"output", y.output}, {"h", y.state.h}, {"c", y.state.c}}; }
inline std::vector<NamedTensor> onnx_outputs(const Attention& y) { return {{"output", y.output}, {"weights", y.weights}}; }

void export_onnx(Module& copy, wengert::detail::FunctionRef<std::vector<NamedTensor>(const Tensor&)> forward, const Tensor& example,
                 const std::string& path, const OnnxOptions& options, Location site);

}  // namespace detail

/// A module that export_onnx takes: its forward pass makes of one tensor a tensor, a Sequence or an LstmSequence.
template <class M> concept OnnxExportable = ModuleType<M> && std::copy_constructible<M> && requires(M& model, const Tensor& x) {
  detail::onnx_outputs(model(x));
};

/// Writes the model as an ONNX file of operator set 17, which appears whole or not at all. Its input is called "input", its outputs
/// "output" and, of recurrent layers, "h" and "c"; parameters and state have their dotted paths.
///
/// A copy of the model runs on the example in evaluation mode, and the operations of this forward pass are what the file computes: any
/// operator() is understood, residual connections and attention included. What it decides by the values of its input cannot be seen, and so
/// the copy runs a second time on other numbers, and for each dynamic dimension once more at another size. Wherever the runs differ in
/// what is not recorded, an Error names the operation and its place. So does one for an operation without a counterpart in ONNX. Nothing
/// is written then.
///
///     nn::export_onnx(model, Tensor::zeros({1, 784}), "digits.onnx");
template <OnnxExportable M> void export_onnx(const M& model, const Tensor& example, const std::string& path,
                                             const OnnxOptions& options = {}, Location site = Location::here()) {
  M copy = model;
  const auto forward = [&](const Tensor& x) {
    if constexpr (std::invocable<M&, const Tensor&, Location>) {
      return detail::onnx_outputs(copy(x, site));
    } else {
      return detail::onnx_outputs(copy(x));
    }
  };
  detail::export_onnx(copy, forward, example, path, options, site);
}

}  // namespace wengert::nn
