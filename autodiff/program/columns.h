#pragma once
// The data of many lanes.
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/tensor/shape.h"

namespace wengert {

/// The data inputs of a program for many lanes, by columns: column i holds input i of every lane. Refers to the numbers; copies none.
template <class T> class BasicColumns {
 public:
  BasicColumns() = default;
  BasicColumns(std::initializer_list<std::span<const T>> columns) : BasicColumns(std::span(columns.begin(), columns.size())) {}
  BasicColumns(const std::vector<std::vector<T>>& columns) {
    for (const std::vector<T>& column : columns) add(column);
  }
  /// A ShapeError if the lengths differ.
  explicit BasicColumns(std::span<const std::span<const T>> columns) {
    for (std::span<const T> column : columns) add(column);
  }

  /// Appends the numbers of one more data input, one for each lane.
  void add(std::span<const T> column) {
    if (!columns_.empty() && static_cast<Index>(column.size()) != lanes_) throw ShapeError(unequal(columns_.size(), column.size(), lanes_));
    columns_.push_back(column.data());
    lanes_ = static_cast<Index>(column.size());
  }
  /// `without_data`: for a program without data, as many equal lanes. `size`: the number of data inputs.
  static BasicColumns without_data(Index lanes) {
    BasicColumns columns;
    columns.lanes_ = lanes;
    return columns;
  }
  Index lanes() const { return lanes_; }
  std::size_t size() const { return columns_.size(); }
  const T* operator[](std::size_t column) const { return columns_[column]; }
  const T* const* pointers() const { return columns_.data(); }

 private:
  static std::string unequal(std::size_t column, std::size_t length, Index lanes) {
    return "Columns: column " + std::to_string(column) + " has " + std::to_string(length) + " lanes and the columns before it " +
           std::to_string(lanes);
  }

  std::vector<const T*> columns_;
  Index lanes_ = 0;
};
/// Data in float64.
using Columns = BasicColumns<double>;

}  // namespace wengert
