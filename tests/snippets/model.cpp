#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <cstdio>
#include <vector>
using namespace wengert;

struct Net : nn::Module {
  nn::Linear first{2, 8}, last{8, 1};
  std::vector<nn::Linear> blocks{nn::Linear(8, 8), nn::Linear(8, 8)};
  nn::Dropout dropout{0.1};

  Tensor operator()(const Tensor& x) const {
    Tensor h = tanh(first(x));
    for (const nn::Linear& block : blocks) h = h + dropout(tanh(block(h)));
    return last(h);
  }
  void visit(nn::Visitor& v) override {
    v("first", first);
    v("blocks", blocks);
    v("last", last);
  }
};

int main() {
  Net net;
  std::puts(nn::to_string(net).c_str());
  try {
    nn::check(net, Tensor::zeros({4, 2}));
  } catch (const Error& error) {
    std::puts(error.what());
  }
}
