#include "nn/data/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <utility>

namespace wengert::nn {
namespace {

std::size_t row_bytes(const Tensor& x) {
  Index elements = 1;
  for (int dim = 1; dim < x.rank(); ++dim) elements *= x.size(dim);
  return static_cast<std::size_t>(elements * bytes_of(x.dtype()));
}

Tensor uninitialized_rows(const Tensor& x, Index rows, Location where) {
  Shape shape = x.shape();
  shape[0] = rows;
  return Tensor::uninitialized(shape, x.dtype(), where);
}

// x must be row-major and the positions must be valid.
Tensor gather(const Tensor& x, const Index* rows, Index count, Location where) {
  Tensor batch = uninitialized_rows(x, count, where);
  const std::size_t bytes = row_bytes(x);
  const auto* from = static_cast<const std::byte*>(x.elements()->data);
  auto* to = static_cast<std::byte*>(batch.elements()->data);
  if (bytes == 0) return batch;
  for (Index i = 0; i < count; ++i)
    std::memcpy(to + static_cast<std::size_t>(i) * bytes, from + static_cast<std::size_t>(rows[i]) * bytes, bytes);
  return batch;
}

// The same for neighbours.
Tensor copy_range(const Tensor& x, Index first, Index count, Location where) {
  Tensor batch = uninitialized_rows(x, count, where);
  const std::size_t bytes = row_bytes(x);
  const auto* from = static_cast<const std::byte*>(x.elements()->data) + static_cast<std::size_t>(first) * bytes;
  if (batch.size() > 0) std::memcpy(batch.elements()->data, from, static_cast<std::size_t>(count) * bytes);
  return batch;
}

Generator& generator_or_default(Generator* generator) { return generator ? *generator : default_generator(); }

void check_examples(const char* operation, const Tensor& x, const Tensor& y) {
  if (x.rank() == 0 || y.rank() == 0 || x.size(0) != y.size(0)) {
    throw ShapeError(fmt::format("{}: inputs {} and targets {} must have the same number of rows", operation, describe(x), describe(y)));
  }
}

}  // namespace

DataLoader::DataLoader(const Tensor& x, const Tensor& y, const LoaderOptions& options, Location where) : options_(options) {
  check_examples("DataLoader", x, y);
  if (options.batch_size <= 0)
    throw ShapeError(fmt::format("DataLoader: batch_size {} is not positive; made at {}", options.batch_size, to_string(where)));
  x_ = x.constant().contiguous(where);
  y_ = y.constant().contiguous(where);
}

DataLoader::Iterator DataLoader::begin() const {
  return {*this, options_.shuffle ? generator_or_default(options_.generator).permutation(examples()) : Tensor()};
}

Index DataLoader::batches() const {
  const Index full = examples() / options_.batch_size;
  return full * options_.batch_size == examples() || options_.drop_last ? full : full + 1;
}

Batch DataLoader::Iterator::operator*() const {
  const Tensor &x = loader_->x_, &y = loader_->y_;
  const Index first = batch_ * loader_->options_.batch_size;
  const Index count = std::min(loader_->options_.batch_size, loader_->examples() - first);
  if (!order_.defined()) return {copy_range(x, first, count, x.made_at()), copy_range(y, first, count, y.made_at())};
  const Index* rows = order_.data<Index>() + first;
  return {gather(x, rows, count, x.made_at()), gather(y, rows, count, y.made_at())};
}

Split split_validation(const Tensor& x, const Tensor& y, const SplitOptions& options, Location where) {
  check_examples("split_validation", x, y);
  const Index n = x.size(0);
  const double share = std::isfinite(options.validation) ? std::clamp(options.validation, 0.0, 1.0) : 0;
  const Index kept_back = std::llround(share * static_cast<double>(n)), rest = n - kept_back;
  if (kept_back == 0 || rest == 0) {
    throw ShapeError(
        fmt::format("split_validation: a share of {} leaves {} of {} examples for training and {} for validation; both need some, at {}",
                    options.validation, rest, n, kept_back, to_string(where)));
  }
  const Tensor order =
      options.shuffle ? generator_or_default(options.generator).permutation(n) : Tensor::arange(0, static_cast<double>(n), 1, int64);
  const std::span<const Index> rows(order.data<Index>(), static_cast<std::size_t>(n));
  const auto train = rows.first(static_cast<std::size_t>(rest)), validation = rows.last(static_cast<std::size_t>(kept_back));
  return {{take_rows(x, train, where), take_rows(y, train, where)}, {take_rows(x, validation, where), take_rows(y, validation, where)}};
}

Tensor take_rows(const Tensor& x, std::span<const Index> rows, Location where) {
  if (x.rank() == 0) throw ShapeError(fmt::format("take_rows: {} has no rows, at {}", describe(x), to_string(where)));
  for (const Index row : rows) {
    if (row < 0 || row >= x.size(0))
      throw ShapeError(fmt::format("take_rows: row {} of {} does not exist, at {}", row, describe(x), to_string(where)));
  }
  return gather(x.constant().contiguous(where), rows.data(), static_cast<Index>(rows.size()), where);
}

}  // namespace wengert::nn
