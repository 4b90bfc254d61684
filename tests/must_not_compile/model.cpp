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

// Options of operations and of layers have different names, so that both namespaces can be used at once.
using namespace wengert::nn;
Conv2dOptions of_operation;
Conv2dLayerOptions of_layer;
BatchNormOptions of_batch_norm;
BatchNormLayerOptions of_batch_norm_layer;
