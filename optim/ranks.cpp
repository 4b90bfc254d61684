#include "optim/ranks.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>

#include "autodiff/error.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert::optim {
namespace {

struct Arrived final : Ranks::Transfer {
  bool done() override { return true; }
  void wait() override {}
};

std::unique_ptr<Ranks::Transfer> copied(std::span<const std::byte> out, std::span<std::byte> in) {
  std::copy(out.begin(), out.end(), in.begin());
  return std::make_unique<Arrived>();
}

// ---- tensors as bytes: their number; for each one the length of its name, dtype, rank, sizes, name, elements ---------------------------

void append(std::vector<std::byte>& bytes, const void* from, std::size_t size) {
  const auto* first = static_cast<const std::byte*>(from);
  bytes.insert(bytes.end(), first, first + size);
}
void append_number(std::vector<std::byte>& bytes, std::int64_t number) { append(bytes, &number, sizeof number); }

std::vector<std::byte> packed(std::span<const NamedTensor> tensors) {
  std::vector<std::byte> bytes;
  append_number(bytes, std::ssize(tensors));
  for (const auto& [name, value] : tensors) {
    append_number(bytes, std::ssize(name));
    append_number(bytes, static_cast<std::int64_t>(value.dtype()));
    append_number(bytes, value.rank());
    for (Index d = 0; d < value.rank(); ++d) append_number(bytes, value.size(d));
    append(bytes, name.data(), name.size());
    const Tensor dense = value.constant().contiguous();
    wengert::detail::dispatch(dense.dtype(), [&](auto zero) {
      if (dense.size() > 0) append(bytes, dense.data<decltype(zero)>(), static_cast<std::size_t>(dense.size()) * sizeof zero);
    });
  }
  return bytes;
}

class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> bytes) : rest_(bytes) {}

  std::vector<NamedTensor> tensors() {
    std::vector<NamedTensor> all(static_cast<std::size_t>(number()));
    for (NamedTensor& t : all) t = tensor();
    return all;
  }

 private:
  std::int64_t number() {
    std::int64_t value;
    copy(&value, sizeof value);
    return value;
  }
  void copy(void* to, std::size_t size) {
    std::memcpy(to, rest_.data(), size);
    rest_ = rest_.subspan(size);
  }
  NamedTensor tensor() {
    std::string name(static_cast<std::size_t>(number()), '\0');
    const auto dtype = static_cast<Dtype>(number());
    std::vector<Index> sizes(static_cast<std::size_t>(number()));
    for (Index& size : sizes) size = number();
    copy(name.data(), name.size());
    Tensor value = Tensor::uninitialized(Shape(std::span<const Index>(sizes)), dtype);
    wengert::detail::dispatch(dtype, [&](auto zero) {
      if (value.size() > 0) copy(value.mutable_data<decltype(zero)>(), static_cast<std::size_t>(value.size()) * sizeof zero);
    });
    return {std::move(name), std::move(value)};
  }

  std::span<const std::byte> rest_;
};

}  // namespace

std::unique_ptr<Ranks::Transfer> OneRank::exchange(std::span<const std::byte> out, std::span<const std::size_t>, std::span<std::byte> in,
                                                   std::span<const std::size_t>) {
  return copied(out, in);
}
std::unique_ptr<Ranks::Transfer> OneRank::gather(std::span<const std::byte> out, std::span<std::byte> in, std::span<const std::size_t>) {
  return copied(out, in);
}

BlockRange blocks_of(int rank, int ranks, Index blocks) { return {blocks * rank / ranks, blocks * (rank + 1) / ranks}; }

std::vector<std::vector<double>> gather_numbers(Ranks& ranks, std::span<const double> own) {
  const auto n = static_cast<std::size_t>(ranks.size());
  const std::uint64_t count = own.size();
  std::vector<std::uint64_t> counts(n);
  std::vector<std::size_t> sizes(n, sizeof count);
  ranks.gather(std::as_bytes(std::span(&count, 1)), std::as_writable_bytes(std::span(counts)), sizes)->wait();
  std::vector<double> numbers(std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}));
  for (std::size_t r = 0; r < n; ++r) sizes[r] = counts[r] * sizeof(double);
  ranks.gather(std::as_bytes(own), std::as_writable_bytes(std::span(numbers)), sizes)->wait();
  std::vector<std::vector<double>> all;
  auto at = numbers.cbegin();
  for (const std::uint64_t c : counts) {
    const auto end = at + static_cast<std::ptrdiff_t>(c);
    all.emplace_back(at, end);
    at = end;
  }
  return all;
}

std::vector<NamedTensor> broadcast_tensors(Ranks& ranks, std::span<const NamedTensor> tensors) {
  std::vector<std::byte> bytes;
  if (ranks.is_first()) bytes = packed(tensors);
  std::uint64_t size = bytes.size();
  ranks.broadcast(std::as_writable_bytes(std::span(&size, 1)));
  bytes.resize(size);
  ranks.broadcast(bytes);
  return Unpacker(bytes).tensors();
}

}  // namespace wengert::optim
