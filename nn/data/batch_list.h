#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/tensor/shape.h"

namespace wengert::nn::detail {

/// The batches of an epoch that will be asked for: those of a list in ascending order, or all.
class BatchList {
 public:
  BatchList(std::optional<std::vector<Index>> only, Index all) : only_(std::move(only)), all_(all) {}

  Index size() const { return only_ ? std::ssize(*only_) : all_; }
  Index operator[](Index position) const { return only_ ? (*only_)[static_cast<std::size_t>(position)] : position; }
  /// A ShapeError if the batch is not in the list.
  Index position_of(Index batch) const {
    if (!only_) return batch;
    const auto found = std::lower_bound(only_->begin(), only_->end(), batch);
    if (found == only_->end() || *found != batch)
      throw ShapeError(fmt::format("DataLoader: batch {} was requested, but only() does not list it", batch));
    return found - only_->begin();
  }

 private:
  std::optional<std::vector<Index>> only_;
  Index all_;
};

}  // namespace wengert::nn::detail
