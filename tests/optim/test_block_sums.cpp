// Sums over blocks that ranks share: the bits do not depend on the number of ranks. The ranks are threads here; tests/distributed has MPI.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>
#include "tests/support/thread_ranks.h"
#include "tests/support/throws.h"

using namespace wengert;
using optim::BlockRange;
using optim::BlockSums;
using optim::Ranks;
using testing::run_on_ranks;

namespace {

struct Net : nn::Module {
  explicit Net(Generator& g) : first(5, 7, {}, g), second(7, 3, {}, g), scale(g.normal({3}, 0, 1, float64)) {}
  Tensor operator()(const Tensor& x) const { return second(tanh(first(x))).to(float64) * scale; }
  void visit(nn::Visitor& v) override {
    v("first", first);
    v("second", second);
    v("scale", scale);
  }
  nn::Linear first, second;
  Parameter scale;
};

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const auto equal = [&]<class T>(T) { return std::memcmp(a.data<T>(), b.data<T>(), static_cast<std::size_t>(a.size()) * sizeof(T)) == 0; };
  return a.dtype() == float32 ? equal(float{}) : equal(double{});
}

// The sum of blocks [first, last) of a tree over all blocks, by its definition.
Tensor tree_sum(const std::vector<Tensor>& terms, std::size_t first, std::size_t last) {
  if (last - first == 1) return terms[first];
  const std::size_t left = std::bit_floor(last - first - 1);
  return tree_sum(terms, first, first + left) + tree_sum(terms, first + left, last);
}

template <class E, class F> void check_throws(F&& f, const std::vector<std::string>& parts) {
  const std::string message = testing::message_of<E>(std::forward<F>(f));
  for (const std::string& part : parts) BOOST_TEST(testing::contains(message, part));
}

struct Data {
  std::vector<Tensor> x, y;
  std::vector<double> rows;

  // The last block is smaller.
  Data(Index blocks, Generator& g) {
    for (Index b = 0; b < blocks; ++b) {
      const Index n = b + 1 == blocks ? 2 : 6;
      x.push_back(g.normal({n, 5}));
      y.push_back(g.normal({n, 3}, 0, 1, float64));
      rows.push_back(static_cast<double>(n));
    }
  }
};

Tensor loss_of(const Net& net, const Data& data, Index b) {
  const auto i = static_cast<std::size_t>(b);
  return nn::mse(net(data.x[i]), data.y[i]);
}

std::vector<Tensor> shared_gradients(Ranks& ranks, Index blocks, int steps, Index bucket_bytes) {
  Generator g(3);
  const Net net(g);
  const Data data(blocks, g);
  BlockSums sums(ranks, net.parameters(), {.bucket_bytes = bucket_bytes});
  Gradients gradients;
  for (int step = 0; step < steps; ++step) {
    sums.begin(blocks);
    for (Index b = sums.own().first; b < sums.own().last; ++b) {
      Tape tape;
      sums.add(tape, loss_of(net, data, b), data.rows[static_cast<std::size_t>(b)]);
    }
    gradients = sums.finish();
  }
  return {gradients.begin(), gradients.end()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(blocks_are_shared_evenly) {
  for (int ranks = 1; ranks <= 6; ++ranks) {
    for (Index blocks = 0; blocks <= 20; ++blocks) {
      Index next = 0;
      for (int r = 0; r < ranks; ++r) {
        const BlockRange own = optim::blocks_of(r, ranks, blocks);
        BOOST_TEST(own.first == next);
        const Index n = own.last - own.first;
        BOOST_TEST((n == blocks / ranks || n == (blocks + ranks - 1) / ranks));
        next = own.last;
      }
      BOOST_TEST(next == blocks);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_bits_are_those_of_the_tree_for_any_number_of_ranks) {
  for (const Index blocks : {1, 2, 3, 5, 7, 8, 13}) {
    Generator g(3);
    const Net net(g);
    const Data data(blocks, g);
    double rows = 0;
    for (const double r : data.rows) rows += r;
    std::vector<Tensor> expected;
    for (std::size_t p = 0; p < net.parameters().size(); ++p) {
      std::vector<Tensor> terms;
      for (Index b = 0; b < blocks; ++b) {
        Tape tape;
        terms.push_back(tape.gradient(loss_of(net, data, b), net.parameters())[p] * data.rows[static_cast<std::size_t>(b)]);
      }
      expected.push_back(tree_sum(terms, 0, terms.size()) * (1 / rows));
    }
    for (const int ranks : {1, 2, 3, 4, 7}) {
      for (const Index bucket_bytes : {Index{1}, Index{40}, Index{1} << 20}) {
        run_on_ranks(ranks, [&](Ranks& r) {
          const std::vector<Tensor> gradients = shared_gradients(r, blocks, 2, bucket_bytes);
          static std::mutex mutex;  // Boost.Test is not made for threads
          const std::lock_guard lock(mutex);
          BOOST_TEST_REQUIRE(gradients.size() == expected.size());
          for (std::size_t p = 0; p < expected.size(); ++p)
            BOOST_TEST(same_bits(gradients[p], expected[p]), "parameter " << p << ", " << blocks << " blocks, rank " << r.rank() << " of "
                                                                          << ranks << ", buckets of " << bucket_bytes << " bytes");
        });
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(gradients_that_are_there_already_give_the_same_bits) {
  Generator g(3);
  const Net net(g);
  const Data data(5, g);
  optim::OneRank alone;
  const std::vector<Tensor> expected = shared_gradients(alone, 5, 1, 100);
  BlockSums sums(alone, net.parameters(), {.bucket_bytes = 100});
  sums.begin(5);
  for (Index b = 0; b < 5; ++b) {
    Tape tape;
    sums.add(tape.gradient(loss_of(net, data, b), net.parameters()), data.rows[static_cast<std::size_t>(b)]);
  }
  const Gradients gradients = sums.finish();
  for (std::size_t p = 0; p < expected.size(); ++p) BOOST_TEST(same_bits(gradients[p], expected[p]));
}

// What makes sending overlap with computing.
BOOST_AUTO_TEST_CASE(a_bucket_leaves_before_the_sweep_has_ended) {
  struct Counting final : Ranks {
    int rank() const override { return 0; }
    int size() const override { return 1; }
    void broadcast(std::span<std::byte>) override {}
    std::unique_ptr<Transfer> exchange(std::span<const std::byte> out, std::span<const std::size_t> a, std::span<std::byte> in,
                                       std::span<const std::size_t> b) override {
      swept_at_exchange.push_back(swept);
      return one.exchange(out, a, in, b);
    }
    std::unique_ptr<Transfer> gather(std::span<const std::byte> out, std::span<std::byte> in, std::span<const std::size_t> s) override {
      return one.gather(out, in, s);
    }
    optim::OneRank one;
    int swept = 0;
    std::vector<int> swept_at_exchange;
  } ranks;
  // Each layer's backward pass counts.
  const auto counted = custom_operation(
      "counted", [](const Tensor& x) { return x.clone(); },
      [&](const Tensor& y_bar, const Tensor&, const Tensor&) {
        ++ranks.swept;
        return y_bar;
      });
  std::vector<Parameter> w;
  ParameterList list;
  for (int i = 0; i < 3; ++i) w.emplace_back(Tensor::full({4, 4}, 0.1 + i));
  for (const Parameter& p : w) list.add(p);
  BlockSums sums(ranks, list, {.bucket_bytes = 64});
  sums.begin(2);
  for (int block = 0; block < 2; ++block) {
    BOOST_TEST(ranks.swept_at_exchange.empty());  // only the last block's gradients complete a bucket
    ranks.swept = 0;
    Tape tape;
    Tensor h = Tensor::ones({2, 4});
    for (const Parameter& p : w) h = counted(matmul(h, p));
    sums.add(tape, sum(h), 1);
  }
  BOOST_TEST(ranks.swept_at_exchange == (std::vector<int>{1, 2, 3}), boost::test_tools::per_element());
  sums.finish();
}

BOOST_AUTO_TEST_CASE(a_parameter_that_is_read_twice_is_sent_when_both_terms_are_there) {
  Parameter w(Tensor::from({1.0, 2.0}, float64)), v(Tensor::from({3.0, -1.0}, float64));
  optim::OneRank alone;
  const ParameterList list{w, v};
  BlockSums sums(alone, list, {.bucket_bytes = 1});
  sums.begin(1);
  Tape tape;
  const Tensor loss = sum(w * v) + sum(exp(v)) + sum(square(w));
  sums.add(tape, loss, 2);
  const Gradients gradients = sums.finish();
  BOOST_TEST(gradients[w].to_vector<double>() == (std::vector<double>{3 + 2, -1 + 4}), boost::test_tools::per_element());
  BOOST_TEST(gradients[v](0).value() == 1 + std::exp(3.0), boost::test_tools::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE(frozen_parameters_have_the_gradient_zero) {
  Parameter w(Tensor::ones({2})), frozen(Tensor::ones({2}));
  frozen.freeze();
  optim::OneRank alone;
  BlockSums sums(alone, {w, frozen});
  sums.begin(1);
  Tape tape;
  sums.add(tape, sum(w * frozen), 1);
  const Gradients gradients = sums.finish();
  BOOST_TEST(gradients[frozen].to_vector<double>() == (std::vector<double>{0, 0}), boost::test_tools::per_element());
  BOOST_TEST(gradients[w].to_vector<double>() == (std::vector<double>{1, 1}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(misuse_is_refused) {
  Parameter w(Tensor::ones({2})), other(Tensor::ones({2}));
  optim::OneRank alone;
  check_throws<ValueError>([&] { BlockSums(alone, {}); }, {"BlockSums", "no parameters"});
  check_throws<ValueError>([&] { BlockSums(alone, {w}, {.bucket_bytes = 0}); }, {"bucket_bytes", "0"});
  BlockSums sums(alone, {w});
  check_throws<ValueError>([&] { sums.begin(0); }, {"at least one block", "0"});
  Gradients of_w, of_other;
  of_w.add(Tensor::ones({2}), w.ref().get());
  of_other.add(Tensor::ones({2}), other.ref().get());
  check_throws<TapeError>([&] { sums.add(of_w, 1); }, {"no block left", "begin"});
  sums.begin(2);
  check_throws<TapeError>([&] { sums.add(of_other, 1); }, {"gradient 0", "another parameter"});
  check_throws<TapeError>([&] { sums.add(Gradients(), 1); }, {"0 gradients", "1 parameters"});
  sums.add(of_w, 1);
  check_throws<TapeError>([&] { sums.finish(); }, {"1 of its 2 blocks"});
}

BOOST_AUTO_TEST_CASE(numbers_and_tensors_travel_whole) {
  const std::vector<NamedTensor> sent{{"a", Tensor::arange(0, 6, 1, int64)},
                                      {"b.c", reshape(Tensor::linspace(0, 1, 6), {2, 3})},
                                      {"", Tensor::full({}, 0.1, float64)},
                                      {"none", Tensor::zeros({0, 2})},
                                      {"flags", Tensor::from(std::vector<bool>{true, false})}};
  std::mutex mutex;
  run_on_ranks(3, [&](Ranks& r) {
    const std::vector<NamedTensor> got =
        optim::broadcast_tensors(r, r.is_first() ? sent : std::vector<NamedTensor>{{"x", Tensor::ones({3})}});
    const std::vector<double> own(static_cast<std::size_t>(r.rank()), r.rank() + 0.5);
    const std::vector<std::vector<double>> numbers = optim::gather_numbers(r, own);
    const std::lock_guard lock(mutex);
    BOOST_TEST_REQUIRE(got.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      BOOST_TEST(got[i].name == sent[i].name);
      BOOST_TEST((got[i].value.shape() == sent[i].value.shape()));
      BOOST_TEST((got[i].value.dtype() == sent[i].value.dtype()));
      BOOST_TEST(got[i].value.to_vector<double>() == sent[i].value.to_vector<double>(), boost::test_tools::per_element());
    }
    BOOST_TEST((numbers == std::vector<std::vector<double>>{{}, {1.5}, {2.5, 2.5}}));
  });
}
