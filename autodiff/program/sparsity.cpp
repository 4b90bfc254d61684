#include "autodiff/program/sparsity.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <numeric>
#include <utility>

#include "autodiff/program/transform.h"

namespace wengert {

// ---- bits -------------------------------------------------------------------------------------------------------------------------

void BitMatrix::check(std::size_t row, std::size_t column) const {
  if (row >= rows_ || column >= columns_)
    throw ValueError(fmt::format("BitMatrix: element ({}, {}) of a matrix of {} rows and {} columns", row, column, rows_, columns_));
}
bool BitMatrix::operator()(std::size_t row, std::size_t column) const {
  check(row, column);
  return (bits_[row * words_ + column / 64] >> column % 64 & 1) != 0;
}
void BitMatrix::set(std::size_t row, std::size_t column) {
  check(row, column);
  bits_[row * words_ + column / 64] |= std::uint64_t{1} << column % 64;
}
std::size_t BitMatrix::count() const {
  std::size_t bits = 0;
  for (std::uint64_t word : bits_) bits += static_cast<std::size_t>(std::popcount(word));
  return bits;
}
std::vector<std::uint32_t> BitMatrix::in_row(std::size_t row) const {
  std::vector<std::uint32_t> columns;
  for (std::size_t w = 0; w < words_; ++w)
    for (std::uint64_t word = bits_[row * words_ + w]; word != 0; word &= word - 1)
      columns.push_back(static_cast<std::uint32_t>(w * 64 + static_cast<std::size_t>(std::countr_zero(word))));
  return columns;
}
BitMatrix BitMatrix::transposed() const {
  BitMatrix to(columns_, rows_);
  for (std::size_t row = 0; row < rows_; ++row)
    for (std::uint32_t column : in_row(row)) to.set(column, row);
  return to;
}
void BitMatrix::merge_row(std::size_t row, const BitMatrix& other, std::size_t from) {
  for (std::size_t w = 0; w < words_; ++w) bits_[row * words_ + w] |= other.bits_[from * words_ + w];
}

CompressedRows compressed_rows(const BitMatrix& pattern) {
  CompressedRows rows{pattern.columns(), {0}, {}};
  for (std::size_t i = 0; i < pattern.rows(); ++i) {
    const std::vector<std::uint32_t> columns = pattern.in_row(i);
    rows.columns.insert(rows.columns.end(), columns.begin(), columns.end());
    rows.row_begin.push_back(static_cast<std::uint32_t>(rows.columns.size()));
  }
  return rows;
}

// ---- patterns ---------------------------------------------------------------------------------------------------------------------

namespace {

using detail::InputRange;

// Sorted lists of inputs, one for each value of a list: the inputs that the value depends on smoothly. They are short where a matrix is
// sparse, which sets of bits would not use.
class Dependences {
 public:
  Dependences(const WengertList& list, InputRange wrt) : of_(list.size()) {
    for (std::uint32_t v = wrt.begin; v < wrt.end; ++v) of_[v] = {v - wrt.begin};
    for (std::uint32_t v = list.first_instruction(); v < list.size(); ++v) {
      const Instruction& i = list.instruction(v);
      for (int k = 0; k < info(i.opcode).operands; ++k)
        if (detail::has_slope(i, k)) merge(of_[v], of_[i.operands[static_cast<std::size_t>(k)]]);
    }
  }
  const std::vector<std::uint32_t>& operator[](std::uint32_t v) const { return of_[v]; }

 private:
  void merge(std::vector<std::uint32_t>& to, const std::vector<std::uint32_t>& from) {
    if (to.empty() || from.empty()) {
      if (to.empty()) to = from;
      return;
    }
    merged_.clear();
    std::set_union(to.begin(), to.end(), from.begin(), from.end(), std::back_inserter(merged_));
    to = merged_;
  }
  std::vector<std::vector<std::uint32_t>> of_;
  std::vector<std::uint32_t> merged_;
};

BitMatrix jacobian_pattern(const WengertList& list, InputRange wrt) {
  BitMatrix pattern(list.outputs.size(), wrt.size());
  const Dependences dependences(list, wrt);
  for (std::size_t o = 0; o < list.outputs.size(); ++o)
    for (std::uint32_t x : dependences[list.outputs[o]]) pattern.set(o, x);
  return pattern;
}
// That of the gradient, made symmetric: of two elements across the diagonal one may be known to be 0, and then both are.
BitMatrix hessian_pattern(const WengertList& list, Wrt wrt) {
  const BitMatrix of_gradient = jacobian_pattern(detail::gradient_of(list, wrt, false), detail::range_of(list, wrt));
  BitMatrix pattern(of_gradient.rows(), of_gradient.columns());
  for (std::size_t i = 0; i < pattern.rows(); ++i)
    for (std::uint32_t j : of_gradient.in_row(i))
      if (of_gradient(j, i)) pattern.set(i, j);
  return pattern;
}

// The union of the patterns of all paths.
template <class F> BitMatrix pattern_of(const Program& program, F&& pattern_of_list) {
  BitMatrix pattern = pattern_of_list(program.list());
  for (int path = 1; path < program.paths(); ++path) {
    const BitMatrix other = pattern_of_list(program.path(path));
    for (std::size_t i = 0; i < pattern.rows(); ++i) pattern.merge_row(i, other, i);
  }
  return pattern;
}

// Vertices by falling number of neighbours.
std::vector<std::uint32_t> largest_first(const std::vector<std::size_t>& neighbours) {
  std::vector<std::uint32_t> order(neighbours.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return neighbours[a] > neighbours[b]; });
  return order;
}

constexpr std::uint32_t kNoColour = ~std::uint32_t{0};

// Which colours a vertex must not get. To start anew for the next vertex costs nothing.
class Forbidden {
 public:
  explicit Forbidden(std::size_t vertices) : by_(vertices + 1, kNoColour) {}
  void start(std::uint32_t vertex) { vertex_ = vertex; }
  void add(std::uint32_t colour) {
    if (colour != kNoColour) by_[colour] = vertex_;
  }
  std::uint32_t smallest_allowed() const {
    std::uint32_t colour = 0;
    while (by_[colour] == vertex_) ++colour;
    return colour;
  }

 private:
  std::vector<std::uint32_t> by_;
  std::uint32_t vertex_ = 0;
};

std::vector<std::vector<std::uint32_t>> rows_of(const BitMatrix& pattern) {
  std::vector<std::vector<std::uint32_t>> rows;
  for (std::size_t i = 0; i < pattern.rows(); ++i) rows.push_back(pattern.in_row(i));
  return rows;
}

void check_inside(const char* name, const BitMatrix& pattern, const BitMatrix& of_path) {
  for (std::size_t i = 0; i < of_path.rows(); ++i)
    for (std::uint32_t j : of_path.in_row(i))
      if (!pattern(i, j))
        throw ValueError(
            fmt::format("{}: a path of the program has element ({}, {}), which the pattern of the paths known before does not "
                        "have; hint: evaluate the program at such inputs before its {} is made",
                        name, i, j, name));
}

// The elements of a pattern from derivatives along colours.
std::vector<Recorded> along_columns(const WengertList& list, const std::vector<Recorded>& values, const CompressedRows& pattern,
                                    const Colouring& colouring, InputRange wrt) {
  std::vector<Recorded> elements(pattern.columns.size()), direction(wrt.size());
  for (std::uint32_t colour = 0; colour < colouring.colours; ++colour) {
    for (std::uint32_t x = 0; x < wrt.size(); ++x) direction[x] = colouring.colour_of[x] == colour ? 1 : 0;
    const std::vector<Recorded> compressed = detail::forward(list, values, direction, wrt);
    for (std::size_t i = 0; i < pattern.rows(); ++i)
      for (std::uint32_t k = pattern.row_begin[i]; k < pattern.row_begin[i + 1]; ++k)
        if (colouring.colour_of[pattern.columns[k]] == colour) elements[k] = compressed[i];
  }
  return elements;
}
std::vector<Recorded> along_rows(detail::Recorder& recorder, const WengertList& list, const std::vector<Recorded>& values,
                                 const CompressedRows& pattern, const Colouring& colouring, InputRange wrt) {
  std::vector<Recorded> elements(pattern.columns.size()), seeds(list.outputs.size());
  for (std::uint32_t colour = 0; colour < colouring.colours; ++colour) {
    for (std::size_t o = 0; o < seeds.size(); ++o) seeds[o] = colouring.colour_of[o] == colour ? 1 : 0;
    const std::vector<Recorded> compressed = detail::reverse(recorder, list, values, seeds, wrt);
    for (std::size_t i = 0; i < pattern.rows(); ++i)
      if (colouring.colour_of[i] == colour)
        for (std::uint32_t k = pattern.row_begin[i]; k < pattern.row_begin[i + 1]; ++k) elements[k] = compressed[pattern.columns[k]];
  }
  return elements;
}

// Where element (i, j) of a symmetric matrix can be read: from row i in the colour of j, if no other element of row i has that colour;
// else from row j in the colour of i.
bool alone_in_its_row(const CompressedRows& pattern, const Colouring& colouring, std::uint32_t i, std::uint32_t j) {
  int of_that_colour = 0;
  for (std::uint32_t k = pattern.row_begin[i]; k < pattern.row_begin[i + 1]; ++k)
    of_that_colour += colouring.colour_of[pattern.columns[k]] == colouring.colour_of[j];
  return of_that_colour == 1;
}

// Where each element of a symmetric matrix is read: element of which row, along which colour.
struct Reading {
  std::uint32_t row, colour;
};
std::vector<Reading> readings(const CompressedRows& pattern, const Colouring& colouring) {
  std::vector<Reading> from;
  for (std::uint32_t i = 0; i < pattern.rows(); ++i)
    for (std::uint32_t k = pattern.row_begin[i]; k < pattern.row_begin[i + 1]; ++k) {
      const std::uint32_t j = pattern.columns[k];
      const bool both = alone_in_its_row(pattern, colouring, i, j) && alone_in_its_row(pattern, colouring, j, i);
      // Of two that hold the element alone, both triangles take the same, so that they are equal to the bit.
      const bool from_i = both ? i >= j : alone_in_its_row(pattern, colouring, i, j);
      from.push_back(from_i ? Reading{i, colouring.colour_of[j]} : Reading{j, colouring.colour_of[i]});
    }
  return from;
}

}  // namespace

BitMatrix jacobian_sparsity(const Program& program, Wrt wrt) {
  detail::need_inputs("jacobian_sparsity", program, wrt);
  return pattern_of(program, [&](const WengertList& list) { return jacobian_pattern(list, detail::range_of(list, wrt)); });
}
BitMatrix hessian_sparsity(const Program& program, Wrt wrt) {
  detail::need_one_output("hessian_sparsity", program);
  detail::need_inputs("hessian_sparsity", program, wrt);
  return pattern_of(program, [&](const WengertList& list) { return hessian_pattern(list, wrt); });
}

// ---- colours ----------------------------------------------------------------------------------------------------------------------

Colouring colour_columns(const BitMatrix& pattern) {
  const std::vector<std::vector<std::uint32_t>> rows = rows_of(pattern), columns = rows_of(pattern.transposed());
  std::vector<std::size_t> neighbours(columns.size());
  for (std::size_t x = 0; x < columns.size(); ++x)
    for (std::uint32_t row : columns[x]) neighbours[x] += rows[row].size() - 1;
  Colouring colouring{std::vector<std::uint32_t>(columns.size(), kNoColour), 0};
  Forbidden forbidden(columns.size());
  for (std::uint32_t x : largest_first(neighbours)) {
    forbidden.start(x);
    for (std::uint32_t row : columns[x])
      for (std::uint32_t other : rows[row]) forbidden.add(colouring.colour_of[other]);
    colouring.colour_of[x] = forbidden.smallest_allowed();
    colouring.colours = std::max(colouring.colours, colouring.colour_of[x] + 1);
  }
  return colouring;
}

Colouring colour_symmetric(const BitMatrix& pattern) {
  if (!(pattern == pattern.transposed())) throw ValueError("colour_symmetric: the pattern is not symmetric");
  std::vector<std::vector<std::uint32_t>> neighbours = rows_of(pattern);
  std::vector<std::size_t> degrees;
  for (std::uint32_t v = 0; v < neighbours.size(); ++v) {
    std::erase(neighbours[v], v);
    degrees.push_back(neighbours[v].size());
  }
  Colouring colouring{std::vector<std::uint32_t>(neighbours.size(), kNoColour), 0};
  const std::vector<std::uint32_t>& colour = colouring.colour_of;
  Forbidden forbidden(neighbours.size());
  for (std::uint32_t v : largest_first(degrees)) {
    forbidden.start(v);
    for (std::uint32_t w : neighbours[v]) {
      forbidden.add(colour[w]);
      for (std::uint32_t x : neighbours[w]) {
        if (x == v || colour[x] == kNoColour) continue;
        // Of a path v w x y, v must not have the colour of x if w has that of y. Vertices around one without a colour get different ones,
        // so a path x w v y has three.
        if (colour[w] == kNoColour) {
          forbidden.add(colour[x]);
          continue;
        }
        for (std::uint32_t y : neighbours[x])
          if (y != w && colour[y] == colour[w]) forbidden.add(colour[x]);
      }
    }
    colouring.colour_of[v] = forbidden.smallest_allowed();
    colouring.colours = std::max(colouring.colours, colouring.colour_of[v] + 1);
  }
  return colouring;
}

// ---- programs ---------------------------------------------------------------------------------------------------------------------

SparseProgram sparse_jacobian(const Program& program, Wrt wrt) {
  const BitMatrix pattern = jacobian_sparsity(program, wrt);
  const CompressedRows rows = compressed_rows(pattern);
  const Colouring of_columns = colour_columns(pattern), of_rows = colour_columns(pattern.transposed());
  const bool by_columns = of_columns.colours <= of_rows.colours;
  Program elements = detail::transformed(program, [=](const WengertList& list) {
    const InputRange x = detail::range_of(list, wrt);
    check_inside("sparse_jacobian", pattern, jacobian_pattern(list, x));
    detail::Transformation to(list);
    return to.finish(by_columns ? along_columns(list, to.values, rows, of_columns, x)
                                : along_rows(to.recorder, list, to.values, rows, of_rows, x));
  });
  return {rows, std::move(elements), by_columns ? of_columns.colours : of_rows.colours};
}

SparseProgram sparse_hessian(const Program& program, Wrt wrt) {
  const BitMatrix pattern = hessian_sparsity(program, wrt);
  const CompressedRows rows = compressed_rows(pattern);
  const Colouring colouring = colour_symmetric(pattern);
  const std::vector<Reading> from = readings(rows, colouring);
  Program elements = detail::transformed(program, [=](const WengertList& list) {
    check_inside("sparse_hessian", pattern, hessian_pattern(list, wrt));
    const WengertList gradient = detail::gradient_of(list, wrt, false);
    const InputRange x = detail::range_of(list, wrt);
    detail::Transformation to(gradient);
    std::vector<Recorded> h(from.size()), direction(x.size());
    for (std::uint32_t colour = 0; colour < colouring.colours; ++colour) {
      for (std::uint32_t k = 0; k < x.size(); ++k) direction[k] = colouring.colour_of[k] == colour ? 1 : 0;
      const std::vector<Recorded> compressed = detail::forward(gradient, to.values, direction, x);
      for (std::size_t k = 0; k < from.size(); ++k)
        if (from[k].colour == colour) h[k] = compressed[from[k].row];
    }
    return to.finish(h);
  });
  return {rows, std::move(elements), colouring.colours};
}

}  // namespace wengert
