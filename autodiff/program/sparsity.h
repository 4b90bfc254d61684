#pragma once
// Which derivatives of a program can be other than 0, how few directions tell them all, and programs that compute no others.
//
// The pattern is that of the operations: an output depends on an input if a chain of operations with a slope leads from one to the other.
// What comes to 0 by chance, as in x - x, counts as an element. Patterns cover the paths that the program knows.
#include <cstdint>
#include <vector>

#include "autodiff/program/derivatives.h"

namespace wengert {

/// A matrix of bits, row by row.
class BitMatrix {
 public:
  BitMatrix() = default;
  BitMatrix(std::size_t rows, std::size_t columns) : rows_(rows), columns_(columns), words_((columns + 63) / 64), bits_(rows * words_) {}
  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  /// A ValueError outside the matrix.
  bool operator()(std::size_t row, std::size_t column) const;
  void set(std::size_t row, std::size_t column);
  /// How many bits are set.
  std::size_t count() const;
  /// The columns that are set in a row, in order; the matrix with rows and columns exchanged.
  std::vector<std::uint32_t> in_row(std::size_t row) const;
  BitMatrix transposed() const;
  /// Row `row` here |= row `from` of another matrix of as many columns.
  void merge_row(std::size_t row, const BitMatrix& other, std::size_t from);
  friend bool operator==(const BitMatrix&, const BitMatrix&) = default;

 private:
  void check(std::size_t row, std::size_t column) const;
  std::size_t rows_ = 0, columns_ = 0, words_ = 0;
  std::vector<std::uint64_t> bits_;
};

/// [output][input]: which derivatives can be other than 0.
BitMatrix jacobian_sparsity(const Program& program, Wrt wrt = Wrt::automatic);
/// [input][input], symmetric, of a program of one output.
BitMatrix hessian_sparsity(const Program& program, Wrt wrt = Wrt::automatic);

/// The rows of a compressed matrix: element k of `columns` for k from row_begin[i] to row_begin[i + 1] is a column of row i.
struct CompressedRows {
  std::size_t columns_of_matrix = 0;
  std::vector<std::uint32_t> row_begin, columns;

  /// The number of rows.
  std::size_t rows() const { return row_begin.size() - 1; }
  friend bool operator==(const CompressedRows&, const CompressedRows&) = default;
};
/// The entries of a pattern, row by row.
CompressedRows compressed_rows(const BitMatrix& pattern);

/// A colour for each of some columns, rows or variables; colours are 0, 1, ....
struct Colouring {
  std::vector<std::uint32_t> colour_of;
  std::uint32_t colours = 0;
};
/// Of the columns: no two of one colour have an element in one row, so the sum of the columns of a colour holds each of their elements by
/// itself. A partial distance-2 colouring of the bipartite graph, greedy, by falling number of neighbours (A. H. Gebremedhin, F. Manne,
/// A. Pothen: What Color Is Your Jacobian? Graph Coloring for Computing Derivatives. SIAM Review 47, 2005, sections 3.4 and 6).
Colouring colour_columns(const BitMatrix& pattern);
/// Of a symmetric matrix: neighbours differ, and every path of four vertices has at least three colours. Then of each element (i, j) one of
/// row i in the colour of j and row j in the colour of i holds it by itself. A star colouring, greedy (ibid., sections 4.2 and 6). A
/// ValueError if the matrix is not symmetric. Elements of the diagonal need nothing but that: a vertex has another colour than its
/// neighbours.
Colouring colour_symmetric(const BitMatrix& pattern);

/// A matrix whose elements other than 0 are computed by a program.
struct SparseProgram {
  CompressedRows pattern;
  Program elements;           ///< one output for each element, in the order of the rows
  std::uint32_t colours = 0;  ///< how many directions were differentiated along
};
/// The Jacobian [output][input]: forward mode along the colours of its columns, or reverse mode along those of its rows, whichever are
/// fewer. A path that becomes known later and has elements outside the pattern is a ValueError of the evaluation that meets it.
SparseProgram sparse_jacobian(const Program& program, Wrt wrt = Wrt::automatic);
/// The Hessian of a program of one output, both triangles: one derivative of the gradient along each colour.
SparseProgram sparse_hessian(const Program& program, Wrt wrt = Wrt::automatic);

}  // namespace wengert
