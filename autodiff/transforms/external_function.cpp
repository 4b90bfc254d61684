#include "autodiff/transforms/external_function.h"

#include <fmt/format.h>

#include <algorithm>

#include "autodiff/ops.h"
#include "autodiff/tape/forward_sweep.h"
#include "autodiff/tape/records.h"
#include "autodiff/tensor/call_site.h"

namespace wengert::detail {
namespace {

std::span<const double> elements(const Tensor& t) { return {t.data<double>(), static_cast<std::size_t>(t.size())}; }
std::span<double> mutable_elements(Tensor& t) { return {t.mutable_data<double>(), static_cast<std::size_t>(t.size())}; }

// x: a vector of all operands; y: a vector of all results.
class ExternalOperation : public Operation {
 public:
  explicit ExternalOperation(std::unique_ptr<ExternalCall> call) : call_(std::move(call)) {}
  const char* name() const override { return call_->name(); }
  ValueSet saved_for(int) const override { return kNoValues; }

  void vjp(const Saved& s, std::span<const Tensor> y_bar, Cotangents& x_bar) const override {
    if (recording())
      throw TapeError(
          fmt::format("{}: there is no second derivative, because the function has a reverse pass of its own, which is not recorded; hint: "
                      "write it with Scalar operations, as a higher order needs them",
                      name()));
    const Tensor seed = y_bar[0].contiguous();
    Tensor result = Tensor::zeros(s.x_shape(), float64);
    call_->vjp(elements(seed), mutable_elements(result));
    x_bar[0] = result;
  }
  void jvp(const Saved& s, std::span<const Tensor> x_dot, std::span<Tensor> y_dot) const override {
    if (!call_->has_jvp()) throw NoForwardMode(fmt::format("{}: forward mode needs a jvp, but the external function has none", name()));
    const Tensor tangent = x_dot[0].contiguous();
    Tensor result = Tensor::zeros(s.y_shape(), float64);
    call_->jvp(elements(tangent), mutable_elements(result));
    y_dot[0] = result;
  }

 private:
  std::unique_ptr<ExternalCall> call_;
};

}  // namespace

std::vector<Scalar> call_external(std::unique_ptr<ExternalCall> call, std::span<const Scalar> x, Location site) {
  std::vector<double> values;
  values.reserve(x.size());
  for (const Scalar& s : x) values.push_back(s.value());
  {
    const NoRecord forward;
    values = call->forward(values);
  }
  const Tensor inputs = stack(x, float64, site);
  std::vector<Scalar> y(values.begin(), values.end());
  if (!inputs.number()) return y;
  Tensor outputs = Tensor::uninitialized({static_cast<Index>(values.size())}, float64, site);
  std::copy(values.begin(), values.end(), outputs.mutable_data<double>());
  const Tensor* const pointer = &inputs;
  record_all(ExternalOperation(std::move(call)), site, {&pointer, 1}, {&outputs, 1});
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = Scalar(values[i], tensor_to_scalar(outputs, static_cast<Index>(i), site));
  return y;
}

}  // namespace wengert::detail
