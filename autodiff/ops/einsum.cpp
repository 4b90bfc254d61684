// Sums of products in Einstein's notation. Composed: letters that repeat within an operand select its diagonal, letters that occur nowhere
// else are summed, and pairs of operands are contracted from left to right, each as one batched matrix product.
//
// Numbers name the dimensions: 'A'..'z' by their character codes, those of "..." by kEllipsis + their distance from the end of the
// ellipsis.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "autodiff/ops/broadcast.h"
#include "autodiff/ops/composition.h"
#include "autodiff/tensor/call_site.h"

namespace wengert {
namespace {

constexpr int kEllipsis = 128, kMaxEllipsis = 64, kNames = kEllipsis + kMaxEllipsis;

using Names = std::vector<int>;
bool holds(const Names& names, int name) { return std::find(names.begin(), names.end(), name) != names.end(); }

[[noreturn]] void wrong_equation(std::string_view equation, const std::string& what) {
  throw ShapeError(fmt::format("einsum: \"{}\": {}", equation, what));
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The names in one term. `ellipsis`: how many dimensions "..." stands for; -1 if it must not occur.
Names parse_term(std::string_view equation, std::string_view term, int ellipsis) {
  Names names;
  bool seen = false;
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (term[i] == ' ') continue;
    if (is_letter(term[i])) {
      names.push_back(term[i]);
    } else if (term.substr(i, 3) == "..." && !seen && ellipsis >= 0) {
      seen = true;
      i += 2;
      for (int k = ellipsis; k-- > 0;) names.push_back(kEllipsis + k);
    } else {
      wrong_equation(equation,
                     fmt::format("unexpected '{}' in the term \"{}\"; terms have letters and at most one \"...\"", term[i], term));
    }
  }
  return names;
}

// A factor of the product, and the names of its dimensions.
struct Factor {
  Tensor value;
  Names names;
};

struct Equation {
  std::vector<Names> operands;
  Names result;
};

std::vector<std::string_view> terms_of(std::string_view left) {
  std::vector<std::string_view> terms;
  for (;;) {
    const std::size_t comma = left.find(',');
    terms.push_back(left.substr(0, comma));
    if (comma == std::string_view::npos) return terms;
    left.remove_prefix(comma + 1);
  }
}

// The result of an equation without an arrow: the dimensions of "...", then the letters that occur once, in alphabetical order.
Names implied_result(const std::vector<Names>& operands) {
  std::array<int, kNames> count{};
  for (const Names& names : operands)
    for (const int name : names) ++count[static_cast<std::size_t>(name)];
  Names result;
  for (int name = kNames; name-- > kEllipsis;)
    if (count[static_cast<std::size_t>(name)] > 0) result.push_back(name);
  for (int name = 0; name < kEllipsis; ++name)
    if (count[static_cast<std::size_t>(name)] == 1) result.push_back(name);
  return result;
}

Equation parse(std::string_view equation, std::span<const Tensor> x) {
  const std::size_t arrow = equation.find("->");
  const auto terms = terms_of(equation.substr(0, arrow));
  if (terms.size() != x.size()) wrong_equation(equation, fmt::format("{} terms for {} operands", terms.size(), x.size()));
  Equation e;
  int widest = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const auto letters = static_cast<int>(std::count_if(terms[k].begin(), terms[k].end(), is_letter));
    const bool open = terms[k].find("...") != std::string_view::npos;
    const int rest = x[k].rank() - letters;
    if (rest < 0 || rest > kMaxEllipsis || (rest > 0 && !open))
      wrong_equation(equation, fmt::format("the term \"{}\" does not name the dimensions of {}", terms[k], describe(x[k])));
    e.operands.push_back(parse_term(equation, terms[k], rest));
    if (open) widest = std::max(widest, rest);
  }
  if (arrow == std::string_view::npos) {
    e.result = implied_result(e.operands);
  } else {
    e.result = parse_term(equation, equation.substr(arrow + 2), widest);
  }
  for (std::size_t i = 0; i < e.result.size(); ++i) {
    const int name = e.result[i];
    if (std::find(e.result.begin() + static_cast<std::ptrdiff_t>(i) + 1, e.result.end(), name) != e.result.end())
      wrong_equation(equation, fmt::format("the result names '{}' twice", static_cast<char>(name)));
    if (!std::any_of(e.operands.begin(), e.operands.end(), [&](const Names& names) { return holds(names, name); }))
      wrong_equation(equation, fmt::format("no operand names '{}' of the result", static_cast<char>(name)));
  }
  return e;
}

// The size of each name. Sizes must agree, except that 1 broadcasts in the dimensions of "...".
std::array<Index, kNames> sizes_of(std::string_view equation, const Equation& e, std::span<const Tensor> x) {
  std::array<Index, kNames> sizes;
  sizes.fill(-1);
  for (std::size_t k = 0; k < x.size(); ++k)
    for (int d = 0; d < x[k].rank(); ++d) {
      const int name = e.operands[k][static_cast<std::size_t>(d)];
      Index& size = sizes[static_cast<std::size_t>(name)];
      const Index here = x[k].shape()[d];
      if (size < 0 || (name >= kEllipsis && size == 1)) {
        size = here;
      } else if (size != here && !(name >= kEllipsis && here == 1)) {
        wrong_equation(equation, fmt::format("{} has size {} in {} and {} in another operand",
                                             name >= kEllipsis ? "a dimension of \"...\"" : fmt::format("'{}'", static_cast<char>(name)),
                                             here, describe(x[k]), size));
      }
    }
  return sizes;
}

Tensor in_order(const Tensor& x, const Names& names, const Names& order) {
  Dims dims;
  for (const int name : order) dims.push_back(std::find(names.begin(), names.end(), name) - names.begin());
  return permute(x, dims);
}

// Takes the diagonal of dimensions that share a name, so that each name occurs once.
Factor take_diagonals(Factor f) {
  for (std::size_t i = 0; i < f.names.size(); ++i)
    for (std::size_t j = i + 1; j < f.names.size(); ++j) {
      if (f.names[i] != f.names[j]) continue;
      Dims order;
      Names names;
      for (std::size_t k = 0; k < f.names.size(); ++k) {
        if (k == i || k == j) continue;
        order.push_back(static_cast<Index>(k));
        names.push_back(f.names[k]);
      }
      names.push_back(f.names[i]);
      order.push_back(static_cast<Index>(i));
      order.push_back(static_cast<Index>(j));
      return take_diagonals({diagonal(permute(f.value, order)), names});
    }
  return f;
}

// Drops dimensions of size 1 that are larger in other operands: a product broadcasts over them anyway.
Factor drop_broadcast(const Factor& f, const std::array<Index, kNames>& sizes) {
  Factor g{f.value, {}};
  for (std::size_t i = 0; i < f.names.size(); ++i) {
    const auto name = static_cast<std::size_t>(f.names[i]);
    if (f.value.shape()[static_cast<int>(i)] == 1 && sizes[name] != 1) {
      g.value = squeeze(g.value, static_cast<Index>(g.names.size()));
    } else {
      g.names.push_back(f.names[i]);
    }
  }
  return g;
}

// Sums over the names that are no longer needed.
template <class Needed> Factor sum_over_unneeded(const Factor& f, const Needed& needed) {
  Dims dims;
  Factor g{f.value, {}};
  for (std::size_t i = 0; i < f.names.size(); ++i) {
    if (needed(f.names[i])) {
      g.names.push_back(f.names[i]);
    } else {
      dims.push_back(static_cast<Index>(i));
    }
  }
  if (dims.rank() > 0) g.value = sum(f.value, dims);
  return g;
}

// The product of two factors, summed over the names in both that are no longer needed: (batch, left, inner) @ (batch, inner, right).
template <class Needed> Factor contract(const Factor& a, const Factor& b, const Needed& needed) {
  Names batch, left, inner, right;
  for (const int name : a.names) (!holds(b.names, name) ? left : needed(name) ? batch : inner).push_back(name);
  for (const int name : b.names)
    if (!holds(a.names, name)) right.push_back(name);
  const auto join = [](std::initializer_list<const Names*> lists) {
    Names all;
    for (const Names* list : lists) all.insert(all.end(), list->begin(), list->end());
    return all;
  };
  const auto sizes = [](const Factor& f, const Names& names) {
    Shape shape;
    for (const int name : names)
      shape.push_back(f.value.shape()[static_cast<int>(std::find(f.names.begin(), f.names.end(), name) - f.names.begin())]);
    return shape;
  };
  const Index n = sizes(a, batch).size(), rows = sizes(a, left).size(), k = sizes(a, inner).size(), columns = sizes(b, right).size();
  const Tensor p = reshape(in_order(a.value, a.names, join({&batch, &left, &inner})), {n, rows, k});
  const Tensor q = reshape(in_order(b.value, b.names, join({&batch, &inner, &right})), {n, k, columns});
  Shape shape = sizes(a, join({&batch, &left}));
  for (const Index size : sizes(b, right)) shape.push_back(size);
  return {reshape(matmul(p, q), shape), join({&batch, &left, &right})};
}

}  // namespace

Tensor einsum(std::string_view equation, std::span<const Tensor> x, Location site) {
  const CallSite scope(site);
  if (x.empty()) wrong_equation(equation, "there are no operands");
  for (const Tensor& t : x) {
    detail::check_floating("einsum", t);
    detail::check_same_dtype("einsum", x[0], t, "first", "other");
  }
  const Equation e = parse(equation, x);
  const auto sizes = sizes_of(equation, e, x);
  std::vector<Factor> factors;
  for (std::size_t k = 0; k < x.size(); ++k) factors.push_back(drop_broadcast(take_diagonals({x[k], e.operands[k]}), sizes));
  // Whether a name occurs in the result, or in factor `first` or a later one.
  const auto needed_from = [&](std::size_t first) {
    return [&, first](int name) {
      return holds(e.result, name) || std::any_of(factors.begin() + static_cast<std::ptrdiff_t>(first), factors.end(),
                                                  [&](const Factor& f) { return holds(f.names, name); });
    };
  };
  Factor product = sum_over_unneeded(factors[0], needed_from(1));
  for (std::size_t k = 1; k < factors.size(); ++k) {
    const auto in_product_or_later = [&](int name) { return holds(product.names, name) || needed_from(k + 1)(name); };
    product = contract(product, sum_over_unneeded(factors[k], in_product_or_later), needed_from(k + 1));
    product = sum_over_unneeded(product, needed_from(k + 1));
  }
  return in_order(product.value, product.names, e.result);
}

}  // namespace wengert
