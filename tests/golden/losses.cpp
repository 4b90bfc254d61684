// g6_nn: losses
#include <autodiff/autodiff.h>
#include <nn/nn.h>

#include <string>

#include "operations.h"

namespace wengert::golden {
namespace {

Reduction reduction(At at) {
  const std::string name = at.text("reduction");
  if (name == "none") return Reduction::none;
  if (name == "sum") return Reduction::sum;
  return name == "batchmean" ? Reduction::batch_mean : Reduction::mean;
}

// The operand `position` if the attribute says that there is one.
Tensor optional(In in, At at, const char* attribute, std::size_t position) { return at.flag(attribute) ? in[position] : Tensor(); }

Tensor class_loss(In in, At at) {
  return nn::cross_entropy(in[0], in[1],
                           {.reduction = reduction(at),
                            .class_weight = optional(in, at, "has_weight", 2),
                            .ignore_index = at.integer("ignore_index"),
                            .label_smoothing = at.number("label_smoothing")});
}

Tensor nll_loss(In in, At at) {
  return nn::nll(
      in[0], in[1],
      {.reduction = reduction(at), .class_weight = optional(in, at, "has_weight", 2), .ignore_index = at.integer("ignore_index")});
}

// In g8 the target is one number for all logits.
Tensor bce_with_logits(In in, At at) {
  const Tensor target = in.size() > 1 ? in[1] : Tensor::full(in[0].shape(), at.number("target"), in[0].dtype());
  return nn::bce_with_logits(in[0], target,
                             {.reduction = reduction(at),
                              .weight = optional(in, at, "has_weight", 2),
                              .pos_weight = optional(in, at, "has_pos_weight", at.flag("has_weight") ? 3 : 2)});
}

}  // namespace

std::span<const Operation> losses() {
  static constexpr Operation kTable[] = {
      {"cross_entropy", [](In in, At at) -> Outputs { return class_loss(in, at); }},
      {"cross_entropy_prob",
       [](In in, At at) -> Outputs {
         return nn::cross_entropy(in[0], in[1], {.reduction = reduction(at), .label_smoothing = at.number("label_smoothing")});
       }},
      {"nll_loss", [](In in, At at) -> Outputs { return nll_loss(in, at); }},
      {"mse_loss", [](In in, At at) -> Outputs { return nn::mse(in[0], in[1], {reduction(at)}); }},
      {"l1_loss", [](In in, At at) -> Outputs { return nn::l1(in[0], in[1], {reduction(at)}); }},
      {"smooth_l1_loss",
       [](In in, At at) -> Outputs {
         return nn::smooth_l1(in[0], in[1], {reduction(at), at.number("beta")});
       }},
      {"huber_loss",
       [](In in, At at) -> Outputs {
         return nn::huber(in[0], in[1], {reduction(at), at.number("delta")});
       }},
      {"bce_loss",
       [](In in, At at) -> Outputs {
         return nn::bce(in[0], in[1], {reduction(at), optional(in, at, "has_weight", 2)});
       }},
      {"bce_with_logits", [](In in, At at) -> Outputs { return bce_with_logits(in, at); }},
      {"kl_div",
       [](In in, At at) -> Outputs {
         return nn::kl_div(in[0], in[1], {reduction(at), at.flag("log_target")});
       }},
  };
  return kTable;
}

}  // namespace wengert::golden
