// Attention, composed of other operations: matrix products dominate its cost, and softmax is numerically stable.
//
//   output = softmax(q k^T / sqrt(d) + mask) v
//
// What a hidden key and its value hold reaches nothing, be it infinite or NaN: 0 x NaN would be NaN, so products of such operands leave
// it out.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"
#include "autodiff/tensor/same_value.h"

namespace wengert {
namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

// (l, s), true where key j <= query i.
Tensor causal_mask(Index queries, Index keys) {
  const auto count = [](Index n) { return Tensor::arange(0, static_cast<double>(n), 1, int64); };
  return unsqueeze(count(queries), 1) >= count(keys);
}

// The softmax of each row of scores, and 0 for a row whose elements are all -inf, where softmax would be NaN. Rows of scores that are not
// masked are hardly ever so.
Tensor attention_weights(const Tensor& scores, bool masked) {
  if (scores.size() == 0) return scores;
  if (!masked) {
    Tensor weights = softmax(scores);
    if (std::isfinite(sum(weights.constant()).element(0))) return weights;
  }
  const Tensor top = max(scores.constant(), -1, {.keepdim = true});
  const Tensor sees_none = top == kHidden;  // false for NaN
  if (max(sees_none.to(int64)).item() == 0) return softmax(scores);
  return where(sees_none, 0, softmax(where(sees_none, 0, scores)));
}

// Whether x may hold elements that are not finite. (A sum that overflows is taken for one.)
bool may_be_infinite(const Tensor& x) { return x.size() > 0 && !std::isfinite(sum(x.constant()).element(0)); }

// The keys that each query may see: boolean, and broadcasts to (..., l, s). Undefined if all see all.
Tensor visible_keys(const AttentionOptions& options, Index queries, Index keys) {
  Tensor visible = options.causal ? causal_mask(queries, keys) : Tensor();
  if (!options.mask.defined()) return visible;
  const Tensor mask = options.mask.dtype() == boolean ? options.mask : options.mask.constant() != kHidden;
  return visible.defined() ? mask && visible : mask;
}

// Of each key (..., s, d), whether a query sees one that is not finite: (..., l, 1).
Tensor sees_infinite(const Tensor& visible, const Tensor& keys) {
  return any(visible && unsqueeze(!all(isfinite(keys), -1), -2), -1, {.keepdim = true});
}

// a b, where rows of a do not multiply what of b is not finite, except those of `rows` (..., l, 1).
Tensor product_without_infinite(const Tensor& a, const Tensor& b, const Tensor& rows) {
  const Tensor finite = where(isfinite(b), b, 0);
  if (any(rows).element(0) == 0) return matmul(a, finite);
  return where(rows, matmul(where(rows, a, 0), b), matmul(where(rows, 0, a), finite));
}

Tensor apply_dropout(const Tensor& x, double p, Generator* generator) {
  return p == 0 ? x : dropout(x, p, generator ? *generator : default_generator());
}

void check_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  const Tensor& mask = options.mask;
  const char* const name = "scaled_dot_product_attention";
  detail::check_floating(name, q);
  detail::check_same_dtype(name, q, k, "query", "key");
  detail::check_same_dtype(name, q, v, "query", "value");
  if (mask.defined() && mask.dtype() != boolean) detail::check_same_dtype(name, q, mask, "query", "mask");
  const bool fits = q.rank() >= 2 && k.rank() >= 2 && v.rank() >= 2 && q.size(-1) == k.size(-1) && k.size(-2) == v.size(-2);
  if (!fits)
    throw ShapeError(detail::ErrorText(name, "query, key and value must be (..., l, d), (..., s, d) and (..., s, e)")
                         .operand("query", q)
                         .operand("key", k)
                         .operand("value", v));
  const auto leading = [](const Tensor& t) {
    Shape shape = t.shape();
    shape.resize(t.rank() - 2);
    return shape;
  };
  const auto with_key = detail::broadcast(leading(q), leading(k));
  if (!with_key || !detail::broadcast(leading(q), leading(v)))
    throw ShapeError(
        detail::ErrorText(name, "the leading dimensions do not broadcast").operand("query", q).operand("key", k).operand("value", v));
  Shape scores = *with_key;
  scores.push_back(q.size(-2));
  scores.push_back(k.size(-2));
  if (mask.defined() && detail::broadcast(scores, mask.shape()) != scores)
    throw ShapeError(detail::ErrorText(name, "the mask does not broadcast to the scores {}", to_string(scores))
                         .operand("mask", mask)
                         .operand("query", q)
                         .operand("key", k));
  detail::check_probability(name, options.dropout, q);
}

// x W^T + b, where b may be undefined.
Tensor affine(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return bias.defined() ? linear(x, weight, bias) : linear(x, weight);
}

struct Projections {
  Tensor q, k, v;
};
Projections project(const Tensor& query, const Tensor& key, const Tensor& value, const MultiheadWeights& w) {
  const Index e = w.in_weight.size(1);
  if (detail::same_value(query, key) && detail::same_value(key, value)) {  // self-attention: one product instead of three
    const auto parts = split(affine(query, w.in_weight, w.in_bias), {e, e, e}, -1);
    return {parts[0], parts[1], parts[2]};
  }
  const auto part = [&](const Tensor& x, Index i) {
    const Tensor bias = w.in_bias.defined() ? narrow(w.in_bias, 0, i * e, e) : Tensor();
    return affine(x, narrow(w.in_weight, 0, i * e, e), bias);
  };
  return {part(query, 0), part(key, 1), part(value, 2)};
}

// (t, n, e) -> (n heads, t, e / heads)
Tensor split_heads(const Tensor& x, Index heads) { return transpose(reshape(x, {x.size(0), x.size(1) * heads, x.size(2) / heads}), 0, 1); }

// Both masks as one of scaled_dot_product_attention: boolean, true where the query may see the key, or added to the scores; undefined if
// there is none.
Tensor joint_mask(const MultiheadOptions& options, Index n, Index keys) {
  Tensor mask = options.attention_mask;
  const bool added = mask.defined() && mask.dtype() != boolean;
  if (mask.defined() && !added) mask = !mask;
  if (!options.padding_mask.defined()) return mask;
  const Tensor each_head = expand(reshape(options.padding_mask, {n, 1, 1, keys}), {n, options.heads, 1, keys});
  const Tensor padding = reshape(each_head, {n * options.heads, 1, keys});
  if (added) return where(padding, kHidden, mask);
  return mask.defined() ? mask && !padding : !padding;
}

// x (s, n, e) without what padding (n, s) holds that is not finite: the gradient of a weight sums over padding too, with factors 0.
Tensor without_infinite_padding(const Tensor& x, const Tensor& padding) {
  return where(unsqueeze(transpose(padding), 2) && !isfinite(x), 0, x);
}

void check_multihead(const Tensor& query, const Tensor& key, const Tensor& value, const MultiheadWeights& w, const MultiheadOptions& o) {
  const char* const name = "multihead_attention";
  if (!w.in_weight.defined() || !w.out_weight.defined()) throw ValueError("multihead_attention: in_weight and out_weight must be given");
  detail::check_floating(name, query);
  detail::check_same_dtype(name, query, key, "query", "key");
  detail::check_same_dtype(name, query, value, "query", "value");
  detail::check_same_dtype(name, query, w.in_weight, "query", "in_weight");
  detail::check_same_dtype(name, query, w.out_weight, "query", "out_weight");
  if (query.rank() != 3 || key.rank() != 3 || !(value.shape() == key.shape()) || key.size(1) != query.size(1) ||
      key.size(2) != query.size(2))
    throw ShapeError(detail::ErrorText(name, "query, key and value must be (l, n, e), (s, n, e) and (s, n, e)")
                         .operand("query", query)
                         .operand("key", key)
                         .operand("value", value));
  const Index e = query.size(2);
  if (o.heads < 1 || e % o.heads != 0)
    throw ShapeError(detail::ErrorText(name, "{} features cannot be divided among {} heads", e, o.heads).operand("query", query));
  const Index joint = checked_size(name, {3, e});  // rows of the weights of query, key and value together
  if (!(w.in_weight.shape() == Shape{joint, e}) || !(w.out_weight.shape() == Shape{e, e}))
    throw ShapeError(detail::ErrorText(name, "the weights must be ({}, {}) and ({}, {})", joint, e, e, e)
                         .operand("in_weight", w.in_weight)
                         .operand("out_weight", w.out_weight)
                         .operand("query", query));
  const auto check_bias = [&](const char* what, const Tensor& bias, Index size) {
    if (!bias.defined()) return;
    detail::check_same_dtype(name, query, bias, "query", what);
    if (!(bias.shape() == Shape{size}))
      throw ShapeError(
          detail::ErrorText(name, "{} must have the shape {}", what, to_string(Shape{size})).operand(what, bias).operand("query", query));
  };
  check_bias("in_bias", w.in_bias, joint);
  check_bias("out_bias", w.out_bias, e);
  detail::check_probability(name, o.dropout, query);
  const Tensor &mask = o.attention_mask, &padding = o.padding_mask;
  if (mask.defined() && mask.dtype() != boolean) detail::check_same_dtype(name, query, mask, "query", "mask");
  const Index n = query.size(1), l = query.size(0), s = key.size(0);
  if (mask.defined() && !(mask.shape() == Shape{l, s}) && !(mask.shape() == Shape{n * o.heads, l, s}))
    throw ShapeError(fmt::format("{}: the mask {} must be ({}, {}) or ({}, {}, {})", name, describe(mask), l, s, n * o.heads, l, s));
  if (padding.defined() && (padding.dtype() != boolean || !(padding.shape() == Shape{n, s})))
    throw ShapeError(fmt::format("{}: the padding mask {} must be boolean and ({}, {})", name, describe(padding), n, s));
}

}  // namespace

Attention scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options, Location site) {
  const CallSite scope(site);
  check_attention(q, k, v, options);
  const Tensor visible = visible_keys(options, q.size(-2), k.size(-2));
  const Tensor scaled = q * (1 / std::sqrt(static_cast<double>(q.size(-1))));
  const auto product = [&](const Tensor& a, const Tensor& b, const Tensor& keys) {
    return visible.defined() && may_be_infinite(keys) ? product_without_infinite(a, b, sees_infinite(visible, keys)) : matmul(a, b);
  };
  Tensor scores = product(scaled, transpose(k), k);
  if (options.mask.defined() && options.mask.dtype() != boolean) scores = scores + options.mask;
  if (visible.defined()) scores = where(visible, scores, kHidden);
  const Tensor weights =
      apply_dropout(attention_weights(scores, options.mask.defined() || visible.defined()), options.dropout, options.generator);
  return {product(weights, v, v), weights};
}

Attention multihead_attention(const Tensor& query, const Tensor& key, const Tensor& value, const MultiheadWeights& weights,
                              const MultiheadOptions& options, Location site) {
  const CallSite scope(site);
  check_multihead(query, key, value, weights, options);
  const Index l = query.size(0), n = query.size(1), e = query.size(2), s = key.size(0), heads = options.heads;
  Tensor in[] = {query, key, value};
  if (options.padding_mask.defined()) {
    for (int i : {1, 2}) {
      if (!may_be_infinite(in[i])) continue;
      const Tensor clean = without_infinite_padding(in[i], options.padding_mask), given = in[i];
      for (Tensor& x : in)
        if (detail::same_value(x, given)) x = clean;
    }
  }
  const Projections p = project(in[0], in[1], in[2], weights);
  const Attention each =
      scaled_dot_product_attention(split_heads(p.q, heads), split_heads(p.k, heads), split_heads(p.v, heads),
                                   {.mask = joint_mask(options, n, s), .dropout = options.dropout, .generator = options.generator});
  const Tensor joined = reshape(transpose(each.output, 0, 1), {l, n, e});
  return {affine(joined, weights.out_weight, weights.out_bias), mean(reshape(each.weights, {n, heads, l, s}), 1)};
}

}  // namespace wengert
