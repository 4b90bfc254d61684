#include <autodiff/autodiff.h>

#include <cstdio>
using namespace wengert;

int main() {
  const Tensor weight = Tensor::zeros({2, 3});
  const Tensor batch = Tensor::zeros({2, 3});
  try {
    matmul(batch, weight);
  } catch (const ShapeError& error) {
    std::puts(error.what());
  }
}
