// g6_nn: normalisation, noise, words, attention, recurrence
#include <autodiff/autodiff.h>

#include <string>

#include "operations.h"

namespace wengert::golden {
namespace {

Tensor operand_or_none(In in, std::size_t position) { return position < in.size() ? in[position] : Tensor(); }

// Weight and bias, where there are any, come from the operand `first` on.
NormalizationOptions affine(In in, At at, std::size_t first) {
  return {.weight = operand_or_none(in, first), .bias = operand_or_none(in, first + 1), .eps = at.number("eps")};
}

Outputs batch(In in, At at) {
  const bool training = at.flag("training");
  const BatchNormResult r = batch_norm(in[0], in[1], in[2],
                                       {.weight = operand_or_none(in, 3),
                                        .bias = operand_or_none(in, 4),
                                        .training = training,
                                        .momentum = at.number("momentum"),
                                        .eps = at.number("eps")});
  return training ? Outputs{r.y, r.running_mean, r.running_var} : Outputs(r.y);
}

Tensor drop(const Tensor& x, At at) {
  Generator generator(1);
  return at.flag("training") ? dropout(x, at.number("p"), generator) : x;
}

Tensor embed(In in, At at) {
  return embedding(in[0], in[1], at.has("padding_idx") ? std::optional(at.integer("padding_idx")) : std::nullopt);
}

Tensor dot_product_attention(In in, At at) {
  return scaled_dot_product_attention(in[0], in[1], in[2], {.mask = operand_or_none(in, 3), .causal = at.flag("causal")}).output;
}

Outputs multihead(In in, At at) {
  const std::string mode = at.text("mode");
  MultiheadOptions options{.heads = at.integer("num_heads")};
  if (mode == "kpm") options.padding_mask = in[7];
  if (mode == "amask") options.attention_mask = in[7];
  const Attention a = multihead_attention(in[0], in[1], in[2], {in[3], in[4], in[5], in[6]}, options);
  return {a.output, a.weights};
}

RecurrentWeights cell_weights(In in) { return {in[0], in[1], operand_or_none(in, 2), operand_or_none(in, 3)}; }

// The weights of all layers and directions.
std::vector<RecurrentWeights> sequence_weights(In in, At at) {
  const std::size_t each = at.flag("bias") ? 4 : 2;
  std::vector<RecurrentWeights> weights;
  for (std::size_t i = 0; i < in.size(); i += each) weights.push_back(cell_weights(in.subspan(i, each)));
  return weights;
}

RecurrentOptions sequence_options(At at) { return {.bidirectional = at.flag("bidirectional"), .batch_first = at.flag("batch_first")}; }

Outputs plain_sequence(In in, At at, Nonlinearity f) {
  const Sequence s = rnn(in[0], in[1], sequence_weights(in.subspan(2), at), f, sequence_options(at));
  return {s.output, s.h};
}

Outputs gru_sequence(In in, At at) {
  const Sequence s = gru(in[0], in[1], sequence_weights(in.subspan(2), at), sequence_options(at));
  return {s.output, s.h};
}

Outputs lstm_sequence(In in, At at) {
  const LstmSequence s = lstm(in[0], {in[1], in[2]}, sequence_weights(in.subspan(3), at), sequence_options(at));
  return {s.output, s.state.h, s.state.c};
}

Outputs one_lstm_step(In in) {
  const LstmState s = lstm_cell(in[0], {in[1], in[2]}, cell_weights(in.subspan(3)));
  return {s.h, s.c};
}

}  // namespace

std::span<const Operation> layer_operations() {
  static constexpr Operation kTable[] = {
      {"batch_norm", [](In in, At at) -> Outputs { return batch(in, at); }},
      {"layer_norm", [](In in, At at) -> Outputs { return layer_norm(in[0], at.list("normalized_shape"), affine(in, at, 1)); }},
      {"group_norm", [](In in, At at) -> Outputs { return group_norm(in[0], at.integer("num_groups"), affine(in, at, 1)); }},
      {"instance_norm", [](In in, At at) -> Outputs { return instance_norm(in[0], affine(in, at, 1)); }},
      {"rms_norm", [](In in, At at) -> Outputs { return rms_norm(in[0], affine(in, at, 1)); }},
      {"dropout", [](In in, At at) -> Outputs { return drop(in[0], at); }},
      {"prelu", [](In in, At) -> Outputs { return prelu(in[0], in[1]); }},
      {"embedding", [](In in, At at) -> Outputs { return embed(in, at); }},
      {"sdpa", [](In in, At at) -> Outputs { return dot_product_attention(in, at); }},
      {"multihead_attention", [](In in, At at) -> Outputs { return multihead(in, at); }},
      {"rnn_tanh_cell", [](In in, At) -> Outputs { return rnn_cell(in[0], in[1], cell_weights(in.subspan(2))); }},
      {"lstm_cell", [](In in, At) -> Outputs { return one_lstm_step(in); }},
      {"gru_cell", [](In in, At) -> Outputs { return gru_cell(in[0], in[1], cell_weights(in.subspan(2))); }},
      {"rnn_tanh", [](In in, At at) -> Outputs { return plain_sequence(in, at, Nonlinearity::tanh); }},
      {"rnn_relu", [](In in, At at) -> Outputs { return plain_sequence(in, at, Nonlinearity::relu); }},
      {"lstm", [](In in, At at) -> Outputs { return lstm_sequence(in, at); }},
      {"gru", [](In in, At at) -> Outputs { return gru_sequence(in, at); }},
  };
  return kTable;
}

}  // namespace wengert::golden
