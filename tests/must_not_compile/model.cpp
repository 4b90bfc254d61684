// Mistakes with models and layers (`run` says how to read this file).
#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <map>
#include <memory>
#include <string>
#include <vector>
using namespace wengert;

// `visit` names members that it may change.
struct Net : nn::Module {
  nn::Linear layer{2, 1};
#ifdef WRONG_const_member  // error: visit names members that are const here
  const nn::Linear fixed{1, 1};
#else
  nn::Linear fixed{1, 1};
#endif
#ifdef WRONG_map  // error: visit names parameters, tensors, modules
  std::map<std::string, nn::Linear> layers;
#else
  std::vector<nn::Linear> layers;
#endif
#ifdef WRONG_pointer  // error: visit names parameters, tensors, modules
  nn::Linear* other = nullptr;
#else
  std::unique_ptr<nn::Linear> other;
#endif
  Tensor operator()(const Tensor& x) const { return layer(x); }
  void visit(nn::Visitor& v) override {
    v("layer", layer);
    v("fixed", fixed);
    v("layers", layers);
    v("other", other);
  }
};

// The kernel of a convolution is required, and comes before the options.
nn::Conv2d convolution() {
#ifdef WRONG_no_kernel  // error: no matching
  return nn::Conv2d(1, 16);
#else
  return nn::Conv2d(1, 16, 3);
#endif
}

// A layer is called with one Tensor and returns one.
nn::Sequential layers() {
#ifdef WRONG_no_call  // error: this cannot be called with one Tensor
  return nn::Sequential(nn::Linear(2, 8), 0.5);
#else
  return nn::Sequential(nn::Linear(2, 8), [](const Tensor& x) { return 0.5 * x; });
#endif
}
void recurrent_layer(nn::Sequential& model) {
#ifdef WRONG_more_than_a_tensor  // error: a layer returns a Tensor; take one out of what returns more
  model.add(nn::LSTM(4, 8));
#else
  model.add([lstm = nn::LSTM(4, 8)](const Tensor& x) mutable { return lstm(x).output; });
#endif
}
#ifdef WRONG_residual  // error: a layer returns a Tensor; take one out of what returns more
nn::Residual shortcut(nn::LSTM(4, 4));
#else
nn::Residual shortcut(nn::Linear(4, 4));
#endif
void owner(nn::Sequential& model, std::unique_ptr<nn::Linear> inner) {
#ifdef WRONG_no_copy  // error: a layer can be copied
  model.add([inner = std::move(inner)](const Tensor& x) { return (*inner)(x); });
#else
  model.add([inner = *inner](const Tensor& x) { return inner(x); });
#endif
}

// Options of operations and of layers have different names, so that both namespaces can be used at once.
using namespace wengert::nn;
Conv2dOptions of_operation;
Conv2dLayerOptions of_layer;
BatchNormOptions of_batch_norm;
BatchNormLayerOptions of_batch_norm_layer;
