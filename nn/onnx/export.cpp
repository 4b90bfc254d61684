#include "nn/onnx/export.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/io/atomic_file.h"
#include "autodiff/tensor/call_site.h"
#include "nn/module/state.h"
#include "nn/onnx/traces.h"
#include "nn/onnx/translate.h"

namespace wengert::nn {
namespace {

// Another input, with one more element along a dimension unless it is negative: the elements of x in reverse, so that integers remain in
// the range that the model knows, and floating ones moved a little.
Tensor other_input(const Tensor& x, int dim) {
  Shape shape = x.shape();
  if (dim >= 0) ++shape[dim];
  const Index count = x.size();
  std::vector<std::int64_t> positions;
  for (Index i = 0; i < shape.size(); ++i) positions.push_back(count - 1 - i % count);
  const Tensor taken = reshape(index_select(reshape(x.constant(), {count}), 0, Tensor::from(positions)), shape);
  return is_floating(x.dtype()) ? taken * 0.875 + 0.0625 : taken;
}

// The checked dynamic dimensions, from the front.
Dims checked_dynamic(const Tensor& x, const Dims& dynamic, Location site) {
  Dims dims = dynamic;
  for (int i = 0; i < dims.rank(); ++i) {
    if (dims[i] < -x.rank() || dims[i] >= x.rank())
      throw ShapeError(fmt::format("export_onnx: the example {} has no dimension {}, which is to be dynamic", describe(x), dims[i]),
                       CallSite::of(site));
    if (dims[i] < 0) dims[i] += x.rank();
    if (std::count(dims.begin(), dims.begin() + i, dims[i]) > 0)
      throw ShapeError(fmt::format("export_onnx: the dynamic dimension {} is named twice", dims[i]), CallSite::of(site));
  }
  return dims;
}

}  // namespace

void detail::export_onnx(Module& copy, onnx::Forward forward, const Tensor& example, const std::string& path, const OnnxOptions& options,
                         Location site) {
  if (!example.defined()) throw ValueError("export_onnx: the example is undefined", CallSite::of(site));
  if (example.size() == 0)
    throw ShapeError(fmt::format("export_onnx: the example {} has no elements", describe(example)), CallSite::of(site));
  const Dims dynamic = checked_dynamic(example, options.dynamic, site);
  copy.eval();
  copy.freeze(false);  // what depends on the input by frozen parameters alone is recorded, too
  copy.parameters();   // gives them their names
  const std::vector<NamedTensor> members = state(copy);
  const auto run = [&](const Tensor& x) { return onnx::trace(forward, x, members, onnx::known_compositions()); };
  std::vector<onnx::Trace> runs{run(example), run(other_input(example, -1))};
  for (const Index dim : dynamic) {
    const Tensor x = other_input(example, static_cast<int>(dim));
    try {
      runs.push_back(run(x));
    } catch (const Error& error) {
      throw Error(fmt::format("export_onnx: the model does not take another size of dimension {}, as {} has; hint: name the dimensions "
                              "whose size may differ, .dynamic = {{}} for none\n{}",
                              dim, describe(x), error.what()),
                  CallSite::of(site));
    }
  }
  const onnx::Traces traces(std::move(runs), dynamic);
  write_file_atomically(path, onnx::to_bytes(onnx::GraphWriter(traces).finish()));
}

}  // namespace wengert::nn
