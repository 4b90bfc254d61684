#pragma once
// Normalisation. Names, first values (1 and 0) and defaults are PyTorch's, so that state files map one to one.
#include <string>

#include "autodiff/ops.h"
#include "autodiff/tape/parameter.h"
#include "nn/module/module.h"

namespace wengert::nn {

struct LayerNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< with a weight
  bool bias = true;    ///< and a bias
};
/// layer_norm over the last dimensions, which must be `normalized`. A ValueError for a negative eps.
struct LayerNorm : Module {
  explicit LayerNorm(const Shape& normalized, LayerNormOptions options = {}, Location site = Location::here());
  explicit LayerNorm(Index features, LayerNormOptions options = {}, Location site = Location::here());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }
  std::string label() const override;

  Shape normalized;
  double eps;
  Parameter weight, bias;  ///< undefined without the options
};

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;  ///< with weight and bias
};
/// group_norm of (n, channels, ...). A ShapeError unless the groups divide the channels, a ValueError for a
/// negative eps.
struct GroupNorm : Module {
  GroupNorm(Index groups, Index channels, GroupNormOptions options = {}, Location site = Location::here());

  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
  }
  std::string label() const override;

  Index groups, channels;
  double eps;
  Parameter weight, bias;  ///< undefined without the option
};

struct BatchNormLayerOptions {
  double eps = 1e-5;
  double momentum = 0.1;      ///< weight of the newest batch in the running statistics
  bool affine = true;         ///< with weight and bias
  bool running_stats = true;  ///< without them evaluation normalises by the batch as well
};
/// What BatchNorm1d and BatchNorm2d share: batch_norm of (n, channels, ...). The running statistics are state: saved, not trained. A
/// ShapeError for negative channels, a ValueError for a negative eps and a momentum outside [0, 1].
struct BatchNorm : Module {
  /// In training normalises by the batch and moves the running statistics.
  Tensor operator()(const Tensor& x, Location site = Location::here());
  /// The same for a const layer, which must be in evaluation mode: an Error if it is not.
  Tensor operator()(const Tensor& x, Location site = Location::here()) const;
  void visit(Visitor& v) override {
    v("weight", weight);
    v("bias", bias);
    v("running_mean", running_mean);
    v("running_var", running_var);
    v("num_batches_tracked", num_batches_tracked);
  }
  std::string label() const override;

  Index channels;
  double eps, momentum;
  Parameter weight, bias;            ///< undefined without the option
  Tensor running_mean, running_var;  ///< 0 and 1 at first; undefined without the option
  Tensor num_batches_tracked;        ///< int64: how many batches have been seen in training

 protected:
  BatchNorm(Index channels, int min_rank, int max_rank, BatchNormLayerOptions options, Location site);

 private:
  BatchNormResult normalized(const Tensor& x, bool by_batch, Location site) const;
  int min_rank_, max_rank_;
};
/// Of (n, channels) or (n, channels, length).
struct BatchNorm1d : BatchNorm {
  explicit BatchNorm1d(Index channels, BatchNormLayerOptions options = {}, Location site = Location::here())
      : BatchNorm(channels, 2, 3, options, site) {}
};
/// Of (n, channels, height, width).
struct BatchNorm2d : BatchNorm {
  explicit BatchNorm2d(Index channels, BatchNormLayerOptions options = {}, Location site = Location::here())
      : BatchNorm(channels, 4, 4, options, site) {}
};

}  // namespace wengert::nn
