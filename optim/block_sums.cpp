#include "optim/block_sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "autodiff/error.h"
#include "autodiff/kernels/blocks.h"
#include "autodiff/tape/reverse_sweep.h"
#include "autodiff/tape/tape.h"
#include "autodiff/tensor/dispatch.h"

namespace wengert::optim {
namespace {

template <class T> void scale(const T* from, T factor, T* to, Index n) {
  kernels::for_blocks_of(n, kernels::cost::kCopy<T>, [=](Index first, Index last) {
    for (Index i = first; i < last; ++i) to[i] = factor * from[i];
  });
}

template <class T> void add(T* sum, const T* term, Index n) {
  kernels::for_blocks_of(n, kernels::cost::kCopy<T>, [=](Index first, Index last) {
    for (Index i = first; i < last; ++i) sum[i] += term[i];
  });
}

// ---- the tree -------------------------------------------------------------------------------------------------------------------------

// A node of the tree: the blocks [first, first + 2^level), as far as there are any.
struct TreeNode {
  Index first;
  int level;
};

// Whether the second is the right sibling of the first.
bool are_siblings(TreeNode left, TreeNode right) {
  return left.level == right.level && left.first + (Index{1} << left.level) == right.first && (left.first >> left.level) % 2 == 0;
}

// The largest nodes that hold the blocks of a range and no others, from left to right.
std::vector<TreeNode> largest_nodes(BlockRange range) {
  std::vector<TreeNode> nodes;
  for (Index first = range.first; first < range.last;) {
    int level = std::bit_width(static_cast<std::uint64_t>(range.last - first)) - 1;
    if (first > 0) level = std::min(level, std::countr_zero(static_cast<std::uint64_t>(first)));
    nodes.push_back({first, level});
    first += Index{1} << level;
  }
  return nodes;
}

template <class Value> struct Summed {
  TreeNode node;
  Value value;
};

// Takes the node to the right of the others, and adds siblings as long as there are any: add(left, right) puts the sum into the left one.
template <class Value, class Add> void push(std::vector<Summed<Value>>& nodes, Summed<Value> next, Add&& add) {
  nodes.push_back(std::move(next));
  while (nodes.size() > 1 && are_siblings(nodes[nodes.size() - 2].node, nodes.back().node)) {
    add(nodes[nodes.size() - 2].value, nodes.back().value);
    nodes.pop_back();
    ++nodes.back().node.level;
  }
}

// The root, when all nodes are there: at the right edge of the tree, nodes of different levels are siblings.
template <class Value, class Add> void add_right_edge(std::vector<Summed<Value>>& nodes, Add&& add) {
  for (; nodes.size() > 1; nodes.pop_back()) add(nodes[nodes.size() - 2].value, nodes.back().value);
}

std::span<std::byte> memory_of(Tensor& dense, Index first, Index count) {
  return wengert::detail::dispatch_floating(dense.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return std::as_writable_bytes(std::span(dense.mutable_data<T>() + first, static_cast<std::size_t>(count)));
  });
}

}  // namespace

// ---- a step ---------------------------------------------------------------------------------------------------------------------------

// All elements of all parameters stand in one row, the last parameter first, because its gradient is known first. The row is cut into
// buckets. For each bucket:
//
//     terms of the blocks  --this rank's part of the tree-->  nodes
//     nodes                --exchange-->  piece r of the nodes of all ranks, on rank r
//     piece r of the nodes --the rest of the tree-->  piece r of the sum
//     pieces of the sum    --gather-->  the sum, on all ranks
//
// Exchanges are begun in the order of the buckets, and gatherings as well.
class BlockSums::Step {
 public:
  Step(Ranks& ranks, const ParameterList& parameters, BlockSumsOptions options) : ranks_(ranks), parameters_(parameters) {
    if (options.bucket_bytes < 1)
      throw ValueError(fmt::format("BlockSums: bucket_bytes must be positive, but it is {}", options.bucket_bytes));
    if (parameters.empty()) throw ValueError("BlockSums: there are no parameters");
    places_.resize(parameters.size());
    for (std::size_t i = parameters.size(); i-- > 0;) place(i, options.bucket_bytes);
    for (const ParameterRef& p : parameters_) sources_.emplace_back(p);
  }

  void begin(Index blocks) {
    if (blocks < 1) throw ValueError(fmt::format("BlockSums: a step has at least one block, but it is {}", blocks));
    nodes_.clear();
    for (int r = 0; r < ranks_.size(); ++r) nodes_.push_back(largest_nodes(blocks_of(r, ranks_.size(), blocks)));
    own_ = blocks_of(ranks_.rank(), ranks_.size(), blocks);
    block_ = own_.first;
    started_ = gathered_ = 0;
    weights_.clear();
    for (Bucket& bucket : buckets_) {
      bucket.missing = bucket.pieces.size();
      bucket.complete = own_.first == own_.last;
    }
    start_complete();
  }

  BlockRange own() const { return own_; }

  void add(Tape& tape, const Tensor& loss, double weight) {
    check_open();
    struct Receiver final : wengert::detail::SourceReceiver {
      Receiver(Step& step, double weight) : step(step), weight(weight) {}
      void ready(std::size_t i, const wengert::detail::Cotangent& gradient) override { step.receive(i, gradient.value(), weight); }
      Step& step;
      double weight;
    } receiver(*this, weight);
    wengert::detail::sweep_back(wengert::detail::TapeAccess::state(tape), loss, sources_, {}, false, &receiver);
    weights_.push_back(weight);
    ++block_;
  }

  void add(const Gradients& gradients, double weight) {
    check_open();
    if (gradients.size() != parameters_.size())
      throw TapeError(fmt::format("BlockSums: {} gradients were given for {} parameters", gradients.size(), parameters_.size()));
    for (std::size_t i = parameters_.size(); i-- > 0;) {
      if (gradients.parameter(i) != parameters_[i].get())
        throw TapeError(
            fmt::format("BlockSums: gradient {} is of another parameter; hint: take the gradient with respect to the list "
                        "that the sums were made with",
                        i));
    }
    for (std::size_t i = parameters_.size(); i-- > 0;) receive(i, gradients[i].contiguous(), weight);
    weights_.push_back(weight);
    ++block_;
  }

  Gradients finish() {
    if (block_ != own_.last) {
      throw TapeError(fmt::format("BlockSums: rank {} has added {} of its {} blocks; add all before finish", ranks_.rank(),
                                  block_ - own_.first, own_.last - own_.first));
    }
    for (Bucket& bucket : buckets_) {
      if (bucket.gathering) continue;
      bucket.exchanging->wait();
      start_gathering(bucket);
    }
    const double weight = sum_of_weights(), factor = weight == 0 ? 0 : 1 / weight;
    pool::Vector<Tensor> sums;
    for (const ParameterRef& p : parameters_) sums.push_back(Tensor::uninitialized(p->value.shape(), p->value.dtype()));
    for (Bucket& bucket : buckets_) {
      bucket.gathering->wait();
      wengert::detail::dispatch_floating(bucket.dtype, [&](auto zero) {
        using T = decltype(zero);
        for (const Piece& p : bucket.pieces)
          scale(bucket.sum.data<T>() + p.at, static_cast<T>(factor), sums[p.parameter].mutable_data<T>() + p.offset, p.count);
      });
      bucket.exchanging.reset();
      bucket.gathering.reset();
      bucket.nodes.clear();
    }
    Gradients gradients;
    for (std::size_t i = 0; i < sums.size(); ++i) gradients.add(std::move(sums[i]), parameters_[i].get());
    own_ = {0, 0};
    block_ = 0;
    return gradients;
  }

 private:
  // Elements [offset, offset + count) of a parameter, in a bucket from `at` on.
  struct Piece {
    std::size_t parameter;
    Index offset, count, at;
  };
  struct Bucket {
    Dtype dtype;
    Index size = 0;
    std::vector<Piece> pieces = {};
    std::size_t missing = 0;  // pieces of the block in progress
    bool complete = false;    // all blocks of this rank are in it
    Tensor term = {};         // of the block in progress
    std::vector<Summed<Tensor>> nodes = {};
    Tensor out = {}, in = {}, sum = {};
    std::unique_ptr<Ranks::Transfer> exchanging = {}, gathering = {};
  };
  struct Place {
    std::size_t bucket, piece;
  };

  void place(std::size_t i, Index bucket_bytes) {
    const Tensor& value = parameters_[i]->value;
    wengert::detail::check_defined("BlockSums", value, "a parameter");
    const Index most = std::max(bucket_bytes / bytes_of(value.dtype()), Index{1});
    for (Index offset = 0; offset < value.size();) {
      if (buckets_.empty() || buckets_.back().dtype != value.dtype() || buckets_.back().size == most) buckets_.push_back({value.dtype()});
      Bucket& bucket = buckets_.back();
      const Index count = std::min(most - bucket.size, value.size() - offset);
      places_[i].push_back({buckets_.size() - 1, bucket.pieces.size()});
      bucket.pieces.push_back({i, offset, count, bucket.size});
      bucket.size += count;
      offset += count;
    }
  }

  void check_open() const {
    if (block_ == own_.last)
      throw TapeError(fmt::format("BlockSums: rank {} has no block left in this step; begin starts the next one", ranks_.rank()));
  }

  void receive(std::size_t i, const Tensor& gradient, double weight) {
    const Tensor& value = parameters_[i]->value;
    if (gradient.shape() != value.shape() || gradient.dtype() != value.dtype())
      throw ShapeError(fmt::format("BlockSums: parameter {} is {}, but its gradient is {}", i, describe(value), describe(gradient)));
    for (const Place& place : places_[i]) {
      Bucket& bucket = buckets_[place.bucket];
      const Piece& p = bucket.pieces[place.piece];
      wengert::detail::dispatch_floating(bucket.dtype, [&](auto zero) {
        using T = decltype(zero);
        if (!bucket.term.defined()) bucket.term = Tensor::uninitialized({bucket.size}, bucket.dtype);
        scale(gradient.data<T>() + p.offset, static_cast<T>(weight), bucket.term.mutable_data<T>() + p.at, p.count);
        if (--bucket.missing == 0) add_term<T>(bucket);
      });
    }
    start_complete();
    advance();
  }

  template <class T> void add_term(Bucket& bucket) {
    push(bucket.nodes, {{block_, 0}, std::move(bucket.term)},
         [&](Tensor& left, const Tensor& right) { optim::add(left.mutable_data<T>(), right.data<T>(), bucket.size); });
    bucket.term = Tensor();
    bucket.missing = bucket.pieces.size();
    bucket.complete = block_ + 1 == own_.last;
  }

  // Where the piece of rank r begins.
  Index piece_begin(const Bucket& bucket, int r) const { return bucket.size * r / ranks_.size(); }
  Index piece_size(const Bucket& bucket, int r) const { return piece_begin(bucket, r + 1) - piece_begin(bucket, r); }

  void start_complete() {
    for (; started_ < buckets_.size() && buckets_[started_].complete; ++started_) {
      wengert::detail::dispatch_floating(buckets_[started_].dtype, [&](auto zero) { start_exchange<decltype(zero)>(buckets_[started_]); });
    }
  }

  template <class T> void start_exchange(Bucket& bucket) {
    const Index own_nodes = std::ssize(bucket.nodes), own_piece = piece_size(bucket, ranks_.rank());
    Index all_nodes = 0;
    std::vector<std::size_t> out_sizes, in_sizes;
    bucket.out = Tensor::uninitialized({own_nodes * bucket.size}, bucket.dtype);
    T* to = bucket.out.mutable_data<T>();
    for (int r = 0; r < ranks_.size(); ++r) {
      const Index n = piece_size(bucket, r);
      for (const Summed<Tensor>& s : bucket.nodes) to = std::copy_n(s.value.template data<T>() + piece_begin(bucket, r), n, to);
      out_sizes.push_back(static_cast<std::size_t>(own_nodes * n) * sizeof(T));
      in_sizes.push_back(nodes_[static_cast<std::size_t>(r)].size() * static_cast<std::size_t>(own_piece) * sizeof(T));
      all_nodes += std::ssize(nodes_[static_cast<std::size_t>(r)]);
    }
    bucket.nodes.clear();
    bucket.in = Tensor::uninitialized({all_nodes * own_piece}, bucket.dtype);
    bucket.exchanging =
        ranks_.exchange(memory_of(bucket.out, 0, bucket.out.size()), out_sizes, memory_of(bucket.in, 0, bucket.in.size()), in_sizes);
  }

  // Goes on with what has arrived.
  void advance() {
    while (gathered_ < started_ && buckets_[gathered_].exchanging->done()) start_gathering(buckets_[gathered_]);
  }

  void start_gathering(Bucket& bucket) {
    const Index n = piece_size(bucket, ranks_.rank());
    wengert::detail::dispatch_floating(bucket.dtype, [&](auto zero) {
      using T = decltype(zero);
      const auto add_right = [&](T* left, const T* right) { optim::add(left, right, n); };
      std::vector<Summed<T*>> tree;
      T* at = bucket.in.mutable_data<T>();
      for (const std::vector<TreeNode>& of_rank : nodes_)
        for (const TreeNode& node : of_rank) push(tree, {node, std::exchange(at, at + n)}, add_right);
      add_right_edge(tree, add_right);
    });
    std::vector<std::size_t> sizes(nodes_.size());
    for (int r = 0; r < ranks_.size(); ++r)
      sizes[static_cast<std::size_t>(r)] = static_cast<std::size_t>(piece_size(bucket, r) * bytes_of(bucket.dtype));
    bucket.sum = Tensor::uninitialized({bucket.size}, bucket.dtype);
    bucket.gathering = ranks_.gather(memory_of(bucket.in, 0, n), memory_of(bucket.sum, 0, bucket.size), sizes);
    ++gathered_;
  }

  // Of all blocks, in their order.
  double sum_of_weights() {
    double sum = 0;
    for (const std::vector<double>& of_rank : gather_numbers(ranks_, weights_))
      for (const double weight : of_rank) sum += weight;
    return sum;
  }

  Ranks& ranks_;
  ParameterList parameters_;
  std::vector<wengert::detail::Source> sources_;
  std::vector<Bucket> buckets_;
  std::vector<std::vector<Place>> places_;    // of each parameter
  std::vector<std::vector<TreeNode>> nodes_;  // of each rank
  BlockRange own_{0, 0};
  Index block_ = 0;                         // the next one of this rank
  std::vector<double> weights_;             // of those it has added
  std::size_t started_ = 0, gathered_ = 0;  // buckets whose exchange, or gathering, has begun
};

BlockSums::BlockSums(Ranks& ranks, const ParameterList& parameters, BlockSumsOptions options)
    : step_(std::make_unique<Step>(ranks, parameters, options)) {}
BlockSums::~BlockSums() = default;

void BlockSums::begin(Index blocks) { step_->begin(blocks); }
BlockRange BlockSums::own() const { return step_->own(); }
void BlockSums::add(Tape& tape, const Tensor& loss, double weight) { step_->add(tape, loss, weight); }
void BlockSums::add(const Gradients& gradients, double weight) { step_->add(gradients, weight); }
Gradients BlockSums::finish() { return step_->finish(); }

}  // namespace wengert::optim
