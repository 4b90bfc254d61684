// Operations on several threads: values and gradients have the bits that one thread gives, of dense and of strided operands, whether loops
// are cut or not. And the loops that are cut compute what they compute of each part alone.
#include <autodiff/autodiff.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "autodiff/tape/records.h"
#include "tests/support/sanitizers.h"
#include "tests/support/threads.h"

using namespace wengert;
using testing::Threads;

namespace {

using Inputs = std::span<const Tensor>;

struct Operation {
  const char* name;
  std::function<Tensor(Inputs)> call;
  std::vector<Shape> shapes;  // of the operands
};

// Around the sizes from which loops are cut, and far beyond; odd ones.
const Shape kSmall{63, 65}, kMatrix{301, 407}, kTall{22'001, 5}, kWide{5, 22'001}, kDeep{17, 31, 33, 7};

std::vector<Operation> elementwise() {
  std::vector<Operation> all;
  const auto add = [&](const char* name, const std::function<Tensor(Inputs)>& call) {
    for (const Shape& shape : {kSmall, kMatrix, kDeep}) all.push_back({name, call, {shape}});
  };
  add("exp", [](Inputs x) { return exp(x[0]); });
  add("tanh", [](Inputs x) { return tanh(3 * x[0]); });
  add("sin", [](Inputs x) { return sin(3e6 * x[0]); });  // both formulas
  add("relu", [](Inputs x) { return relu(x[0]); });
  add("lgamma", [](Inputs x) { return lgamma(2 + x[0]); });
  add("clamp", [](Inputs x) { return clamp(x[0], -0.5, 0.25); });
  add("to", [](Inputs x) { return x[0].to(x[0].dtype() == float32 ? float64 : float32); });
  add("< and where", [](Inputs x) { return where(x[0] < 0.125, x[0] * x[0], -x[0]); });
  add("isfinite", [](Inputs x) { return (isfinite(x[0]) && !(x[0] > 0)).to(float64); });
  add("dropout", [](Inputs x) {
    Generator generator(5);
    return dropout(x[0], 0.25, generator);
  });
  for (const auto& [a, b] : std::vector<std::pair<Shape, Shape>>{{kMatrix, kMatrix},
                                                                 {kMatrix, {407}},
                                                                 {kMatrix, {301, 1}},
                                                                 {kMatrix, {}},
                                                                 {{301, 1}, {1, 407}},
                                                                 {kDeep, {31, 1, 1}},
                                                                 {kTall, {5}}}) {
    all.push_back({"*", [](Inputs x) { return x[0] * x[1]; }, {a, b}});
    all.push_back({"/", [](Inputs x) { return x[0] / (2 + x[1]); }, {a, b}});
    all.push_back({"atan2", [](Inputs x) { return atan2(x[0], x[1]); }, {a, b}});
  }
  return all;
}

std::vector<Operation> reductions() {
  std::vector<Operation> list;
  const auto add = [&](const char* name, const std::function<Tensor(Inputs, Dims)>& call) {
    for (const Shape& shape : {kSmall, kMatrix, kTall, kWide, kDeep, Shape{150'001}})
      for (const Dims& dims : {Dims{0}, Dims{-1}, Dims{0, -1}, Dims{0, 2}}) {
        if (dims[dims.rank() - 1] >= shape.rank() || (dims.rank() == 2 && shape.rank() == 1)) continue;
        list.push_back({name, [=](Inputs x) { return call(x, dims); }, {shape}});
      }
  };
  add("sum", [](Inputs x, const Dims& dims) { return sum(x[0], dims); });
  add("mean", [](Inputs x, const Dims& dims) { return mean(x[0], dims); });
  add("max", [](Inputs x, const Dims& dims) { return max(x[0], dims); });
  add("logsumexp", [](Inputs x, const Dims& dims) { return logsumexp(x[0], dims); });
  add("var", [](Inputs x, const Dims& dims) { return var(x[0], dims); });
  add("norm", [](Inputs x, const Dims& dims) { return norm(x[0], 2, dims); });
  add("any", [](Inputs x, const Dims& dims) { return any(x[0] > 0.999, dims).to(float64) + all(x[0] > -0.999, dims).to(float64); });
  add("count", [](Inputs x, const Dims& dims) { return sum(x[0] > 0, dims).to(float64); });
  const auto add_along = [&](const char* name, const std::function<Tensor(Inputs, Index)>& call) {
    for (const Shape& shape : {kSmall, kMatrix, kTall, kWide, kDeep})
      for (const Index dim : {0, 1, 2})
        if (dim < shape.rank()) list.push_back({name, [=](Inputs x) { return call(x, dim); }, {shape}});
  };
  add_along("softmax", [](Inputs x, Index dim) { return softmax(x[0], dim); });
  add_along("log_softmax", [](Inputs x, Index dim) { return log_softmax(x[0], dim); });
  add_along("cumsum", [](Inputs x, Index dim) { return cumsum(x[0], dim); });
  add_along("sort", [](Inputs x, Index dim) { return sort(x[0], dim).values; });
  add_along("max_dim", [](Inputs x, Index dim) { return max_dim(x[0], dim).values; });
  list.push_back({"cumprod", [](Inputs x) { return cumprod(1 + x[0] / 1024, 0); }, {kMatrix}});
  list.push_back({"prod", [](Inputs x) { return prod(1 + x[0] / 1024, 1); }, {kMatrix}});
  list.push_back({"topk", [](Inputs x) { return topk(x[0], 3).values; }, {kMatrix}});
  return list;
}

Tensor positions(Index n, Index below) {
  Generator generator(3);
  return generator.integers({n}, 0, below);
}

std::vector<Operation> movements() {
  std::vector<Operation> all;
  const auto add = [&](const char* name, const std::function<Tensor(Inputs)>& call, const std::vector<Shape>& shapes) {
    all.push_back({name, call, shapes});
  };
  for (const Shape& shape : {kSmall, kMatrix, kTall, kWide}) {
    add("transpose", [](Inputs x) { return transpose(x[0]).contiguous(); }, {shape});
    add("flip", [](Inputs x) { return flip(x[0], {1}).contiguous(); }, {shape});
    add("roll", [](Inputs x) { return roll(x[0], {3, 2}, {0, 1}); }, {shape});
    add("slice", [](Inputs x) { return slice(x[0], 0, 1, 1 << 20, 2) * 2; }, {shape});
    add("pad", [](Inputs x) { return pad(x[0], {1, 2}, {3, 0}, 0.5); }, {shape});
    add("concat", [](Inputs x) { return concat({x[0], x[1], x[0]}, 0); }, {shape, shape});
    add("concat.dim1", [](Inputs x) { return concat({x[0], x[1], x[0]}, 1); }, {shape, shape});
    add("stack", [](Inputs x) { return stack({x[0], x[1], x[0]}, 2); }, {shape, shape});
    add("tril", [](Inputs x) { return tril(x[0], 1); }, {shape});
    add("slice_update", [](Inputs x) { return slice_update(x[0], {Range(1, 5)}, x[1]); }, {shape, {shape[1]}});
    for (const Index dim : {0, 1}) {
      const Tensor list = positions(std::min<Index>(1000, 2 * shape[dim]), shape[dim]);  // several times the same
      Generator generator(4);
      const Tensor each = generator.integers(shape, 0, shape[dim]);
      Shape taken = shape;
      taken[static_cast<int>(dim)] = list.size();
      add("index_select", [=](Inputs x) { return index_select(x[0], dim, list); }, {shape});
      add("index_add", [=](Inputs x) { return index_add(x[0], dim, list, x[1]); }, {shape, taken});
      add("gather", [=](Inputs x) { return gather(x[0], dim, each); }, {shape});
      add("scatter_add", [=](Inputs x) { return scatter_add(x[0], dim, each, x[1]); }, {shape, shape});
      add("scatter", [=](Inputs x) { return scatter(x[0], dim, each, x[1]); }, {shape, shape});
    }
  }
  add("permute", [](Inputs x) { return permute(x[0], {2, 0, 3, 1}).contiguous(); }, {kDeep});
  add("expand", [](Inputs x) { return expand(x[0], {501, 503}).contiguous(); }, {{1, 503}});
  add("embedding", [index = positions(3000, 50)](Inputs x) { return embedding(index, x[0]); }, {{50, 70}});
  add("masked_scatter", [](Inputs x) { return masked_scatter(x[0], Tensor::full(kMatrix, 1, boolean), x[1]); }, {kMatrix, kMatrix});
  return all;
}

std::vector<Operation> layers() {
  std::vector<Operation> all;
  const auto add = [&](const char* name, const std::function<Tensor(Inputs)>& call, const std::vector<Shape>& shapes) {
    all.push_back({name, call, shapes});
  };
  for (const Shape& shape : {kSmall, kMatrix, kTall, kWide}) {
    const Tensor labels = positions(shape[0], shape[1]);
    add("cross_entropy", [=](Inputs x) { return cross_entropy(x[0], labels); }, {shape});
    add("nll", [=](Inputs x) { return nll(log_softmax(x[0]), labels); }, {shape});
    add("layer_norm", [n = shape[1]](Inputs x) { return layer_norm(x[0], {n}, {.weight = x[1], .bias = x[1]}); }, {shape, {shape[1]}});
    add("rms_norm", [](Inputs x) { return rms_norm(x[0], {.weight = x[1]}); }, {shape, {shape[1]}});
    add("batch_norm", [](Inputs x) { return batch_norm(x[0], {}, {}, {.weight = x[1], .bias = x[1], .training = true}).y; },
        {shape, {shape[1]}});
  }
  add("batch_norm", [](Inputs x) { return batch_norm(x[0], {}, {}, {.weight = x[1], .bias = x[1], .training = true}).y; }, {kDeep, {31}});
  add("group_norm", [](Inputs x) { return group_norm(x[0], 31, {.weight = x[1], .bias = x[1]}); }, {kDeep, {31}});
  add("instance_norm", [](Inputs x) { return instance_norm(x[0]); }, {kDeep});
  add("prelu", [](Inputs x) { return prelu(x[0], x[1]); }, {kDeep, {31}});
  add("attention", [](Inputs x) { return scaled_dot_product_attention(x[0], x[1], x[2], {.causal = true}).output; },
      {{9, 101, 17}, {9, 101, 17}, {9, 101, 17}});
  const auto cell = [](Inputs x) { return RecurrentWeights{x[2], x[3]}; };
  add("gru_cell", [=](Inputs x) { return gru_cell(x[0], x[1], cell(x)); }, {{401, 9}, {401, 67}, {201, 9}, {201, 67}});
  const auto layer = [=](Inputs x) { return std::vector<RecurrentWeights>{cell(x)}; };
  add("gru", [=](Inputs x) { return gru(x[0], x[1], layer(x)).output; }, {{7, 101, 9}, {1, 101, 67}, {201, 9}, {201, 67}});
  add("lstm", [=](Inputs x) { return lstm(x[0], {x[1], x[1]}, layer(x)).output; }, {{7, 101, 9}, {1, 101, 67}, {268, 9}, {268, 67}});
  add("rnn", [=](Inputs x) { return rnn(x[0], x[1], layer(x), Nonlinearity::tanh).output; },
      {{7, 101, 9}, {1, 101, 67}, {67, 9}, {67, 67}});
  add("lstm_cell",
      [=](Inputs x) {
        const LstmState next = lstm_cell(x[0], {x[1], x[1] * 2}, cell(x));
        return next.h * next.c;
      },
      {{401, 9}, {401, 67}, {268, 9}, {268, 67}});
  add("rnn_cell", [=](Inputs x) { return rnn_cell(x[0], x[1], cell(x), Nonlinearity::tanh); }, {{401, 9}, {401, 67}, {67, 9}, {67, 67}});
  return all;
}

Tensor random_tensor(const Shape& shape, Dtype dtype, std::uint64_t seed) {
  Generator generator(seed);
  return generator.uniform(shape, -1, 1, dtype);
}

// The same elements with the dimensions in reverse order in memory.
Tensor strided(const Tensor& x) {
  Dims reverse;
  for (int d = x.rank(); d-- > 0;) reverse.push_back(d);
  return permute(permute(x, reverse).contiguous(), reverse);
}

// The value, and the gradients with respect to the operands, if there are any.
std::vector<Tensor> results(const Operation& operation, const std::vector<Tensor>& x) {
  Tape tape;
  std::vector<Tensor> variables;
  for (const Tensor& t : x) variables.push_back(tape.variable(t));
  const Tensor y = operation.call(variables);
  std::vector<Tensor> all{y.constant().contiguous()};
  if (!detail::TapeAccess::state(tape).holds(y)) return all;
  for (const Tensor& g : tape.gradient(y, variables, {.seed = random_tensor(y.shape(), y.dtype(), 77)})) all.push_back(g.contiguous());
  return all;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const auto bytes = static_cast<std::size_t>(a.size() * bytes_of(a.dtype()));
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.elements()->data, b.elements()->data, bytes) == 0;
}

void check_threads(const std::vector<Operation>& operations) {
  for (const Operation& operation : operations)
    for (const Dtype dtype : {float32, float64})
      for (const bool dense : {true, false}) {
        if (testing::kSanitizer && dense == (dtype == float32)) continue;  // it takes fifty times as long
        std::vector<Tensor> x;
        std::string shapes;
        for (const Shape& shape : operation.shapes) {
          const Tensor t = random_tensor(shape, dtype, x.size() + 1);
          x.push_back(dense ? t : strided(t));
          shapes += " " + to_string(shape);
        }
        std::vector<Tensor> expected;
        for (const int threads : testing::kSanitizer ? std::vector{1, 3} : std::vector{1, 2, 3, 8}) {
          const Threads scope(threads);
          const std::vector<Tensor> found = results(operation, x);
          if (threads == 1) expected = found;
          BOOST_REQUIRE(found.size() == expected.size());
          for (std::size_t i = 0; i < found.size(); ++i)
            BOOST_CHECK_MESSAGE(same_bits(found[i], expected[i]), operation.name << " of" << shapes << " " << to_string(dtype)
                                                                                 << (dense ? "" : " strided") << ": result " << i
                                                                                 << " with " << threads << " threads");
        }
      }
}

// f(x)[i] must have the bits of f of row i alone, which is too short to be cut.
void check_rows(const char* name, const std::function<Tensor(const Tensor&)>& f, const Tensor& x) {
  const Threads scope(3);
  const Tensor whole = f(x).contiguous();
  Index wrong = 0;
  for (Index i = 0; i < x.size(0); ++i) wrong += !same_bits(slice(whole, 0, i, i + 1).contiguous(), f(slice(x, 0, i, i + 1)).contiguous());
  BOOST_CHECK_MESSAGE(wrong == 0, name << " of " << to_string(x.shape()) << ": " << wrong << " rows differ");
}

}  // namespace

BOOST_AUTO_TEST_CASE(elementwise_operations_on_any_number_of_threads) { check_threads(elementwise()); }
BOOST_AUTO_TEST_CASE(reductions_on_any_number_of_threads) { check_threads(reductions()); }
BOOST_AUTO_TEST_CASE(movements_on_any_number_of_threads) { check_threads(movements()); }
BOOST_AUTO_TEST_CASE(layers_on_any_number_of_threads) { check_threads(layers()); }

BOOST_AUTO_TEST_CASE(what_is_cut_is_computed_as_its_rows_alone) {
  for (const Dtype dtype : {float32, float64})
    for (const Tensor& x : {random_tensor({301, 1009}, dtype, 1), strided(random_tensor({301, 1009}, dtype, 1))}) {
      check_rows(
          "exp", [](const Tensor& t) { return exp(t); }, x);
      check_rows(
          "x * row", [row = random_tensor({1009}, dtype, 2)](const Tensor& t) { return t * row; }, x);
      check_rows(
          "x < 0", [](const Tensor& t) { return t < 0; }, x);
      check_rows(
          "copy", [](const Tensor& t) { return t.clone(); }, x);
      check_rows(
          "flip", [](const Tensor& t) { return flip(t, {1}); }, x);
      check_rows(
          "to", [](const Tensor& t) { return t.to(t.dtype() == float32 ? float64 : float32); }, x);
      check_rows(
          "sum", [](const Tensor& t) { return sum(t, 1); }, x);
      check_rows(
          "max", [](const Tensor& t) { return max(t, 1); }, x);
      check_rows(
          "argmin", [](const Tensor& t) { return argmin(t, 1); }, x);
      check_rows(
          "logsumexp", [](const Tensor& t) { return logsumexp(t, 1); }, x);
      check_rows(
          "softmax", [](const Tensor& t) { return softmax(t, 1); }, x);
      check_rows(
          "log_softmax", [](const Tensor& t) { return log_softmax(t, 1); }, x);
      check_rows(
          "cumsum", [](const Tensor& t) { return cumsum(t, 1); }, x);
      check_rows(
          "sort", [](const Tensor& t) { return sort(t, 1).indices; }, x);
      check_rows(
          "layer_norm", [](const Tensor& t) { return layer_norm(t, {1009}); }, x);
      check_rows(
          "concat",
          [](const Tensor& t) {
            return concat({t, -t, t}, 1);
          },
          x);
      check_rows(
          "pad",
          [](const Tensor& t) {
            return pad(t, {0, 3}, {0, 5}, 1);
          },
          x);
      const Tensor list = positions(700, 1009);
      check_rows(
          "index_select", [=](const Tensor& t) { return index_select(t, 1, list); }, x);
      check_rows(
          "index_add", [=](const Tensor& t) { return index_add(t, 1, list, slice(t, 1, 0, 700)); }, x);
      check_rows(
          "scatter_add",
          [=](const Tensor& t) {
            return scatter_add(t, 1, expand(list, {t.size(0), 700}), slice(t, 1, 0, 700));
          },
          x);
    }
}

// Sums of multiples of a power of two are exact, in whatever order.
BOOST_AUTO_TEST_CASE(long_sums_have_every_term) {
  for (const Shape& shape : {Shape{1'000'003}, Shape{200'003, 3}, Shape{3, 200'003}, Shape{100'001, 2, 3}}) {
    const Tensor x = floor(1024 * random_tensor(shape, float64, 9)) / 1024;
    const std::vector<double> elements = x.to_vector<double>();
    double sum_of_all = 0, largest = -2;
    for (const double v : elements) sum_of_all += v, largest = std::max(largest, v);
    for (const int threads : {1, 3}) {
      const Threads scope(threads);
      BOOST_TEST(sum(x).item() == sum_of_all);
      BOOST_TEST(sum(sum(x, 0)).item() == sum_of_all);
      BOOST_TEST(sum(sum(x, -1)).item() == sum_of_all);
      BOOST_TEST(max(x).item() == largest);
      BOOST_TEST(sum(x > 0).item() + sum(x <= 0).item() == static_cast<double>(x.size()));
    }
  }
}

BOOST_AUTO_TEST_CASE(an_index_out_of_range_is_named_by_the_first) {
  for (const int threads : {1, 3}) {
    const Threads scope(threads);
    Tensor index = Tensor::zeros({200'000}, int64);
    index.mutable_data<std::int64_t>()[150'000] = 9;
    index.mutable_data<std::int64_t>()[190'000] = -1;
    try {
      static_cast<void>(index_select(Tensor::zeros({5}), 0, index));
      BOOST_ERROR("nothing was thrown");
    } catch (const ShapeError& error) {
      BOOST_TEST(std::string(error.what()).find("index 9 at position 150000") != std::string::npos, error.what());
    }
  }
}
