// Export and import: the same bits, trainings that go on, and what is refused.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "nn/layers/attention.h"
#include "nn/layers/basic.h"
#include "nn/layers/convolution.h"
#include "nn/layers/normalization.h"
#include "nn/layers/recurrent.h"
#include "nn/layers/residual.h"
#include "nn/layers/sequential.h"
#include "nn/losses.h"
#include "nn/module/state.h"
#include "nn/onnx/export.h"
#include "nn/onnx/graph.h"
#include "nn/onnx/import.h"
#include "optim/sgd.h"
#include "tests/support/layers.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::names_of;
using wengert::testing::random_numbers;
using wengert::testing::TemporaryFolder;
namespace onnx = nn::onnx;

namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  const Tensor x = a.contiguous(), y = b.contiguous();
  const auto same = [&](auto zero) {
    using T = decltype(zero);
    return std::memcmp(x.data<T>(), y.data<T>(), static_cast<std::size_t>(x.size()) * sizeof(T)) == 0;
  };
  return a.dtype() == float32 ? same(float{}) : same(double{});
}

// The model after export and import, in evaluation mode like the model itself.
template <class Model> nn::OnnxModel imported(Model& model, const Tensor& x, const nn::OnnxOptions& options = {}) {
  const TemporaryFolder folder;
  const std::string path = folder.path("model.onnx");
  nn::export_onnx(model, x, path, options);
  model.eval();
  return nn::import_onnx(path);
}

// A failed check unless both compute the same bits for inputs of several sizes.
template <class Model> void check_round_trip(Model model, const Tensor& x, const Tensor& other, const nn::OnnxOptions& options = {}) {
  const nn::OnnxModel back = imported(model, x, options);
  for (const Tensor* const input : {&x, &other}) {
    const std::vector<NamedTensor> expected = nn::detail::onnx_outputs(model(*input));
    const std::vector<NamedTensor> found = back.run(std::span(input, 1));
    BOOST_REQUIRE_EQUAL(found.size(), expected.size());
    for (std::size_t k = 0; k < found.size(); ++k) {
      BOOST_TEST(found[k].name == expected[k].name);
      BOOST_TEST(same_bits(found[k].value, expected[k].value), found[k].name);
    }
  }
}

nn::Sequential mlp(std::uint64_t seed) {
  Generator g(seed);
  return nn::Sequential{nn::Linear(5, 16, {}, g), nn::ReLU(), nn::Linear(16, 7, {}, g), nn::Tanh(), nn::Linear(7, 3, {}, g)};
}

nn::Sequential cnn(std::uint64_t seed) {
  Generator g(seed);
  nn::Sequential model{nn::Conv2d(2, 16, 3, {.padding = 1}, g),
                       nn::BatchNorm2d(16),
                       nn::ReLU(),
                       nn::MaxPool2d(2),
                       nn::Conv2d(16, 32, 3, {.padding = 1}, g),
                       nn::ReLU(),
                       nn::MaxPool2d(2),
                       nn::Conv2d(32, 32, 3, {.padding = 1}, g),
                       nn::ReLU(),
                       nn::Conv2d(32, 4, {3, 1}, {.stride = {1, 2}, .groups = 2}, g),
                       nn::Flatten(),
                       nn::Linear(16, 5, {}, g)};
  static_cast<void>(model(random_numbers({4, 2, 16, 16}, 8) * 2 + 0.5));  // moves the statistics
  model.eval();
  return model;
}

// A module around a function.
template <class F> struct Computes : nn::Stateless {
  explicit Computes(F f) : f(f) {}
  Tensor operator()(const Tensor& x) const { return f(x); }
  F f;
};

std::string refusal(const auto& f, const Tensor& x, const nn::OnnxOptions& options = {}) {
  const TemporaryFolder folder;
  const std::string path = folder.path("model.onnx");
  const std::string message = message_of<Error>([&] { nn::export_onnx(Computes(f), x, path, options); });
  BOOST_TEST(!std::filesystem::exists(path));
  return message;
}

// ---- files

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// The message with which the bytes are refused.
std::string refused(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::string path = folder.path("hostile.onnx");
  write(path, bytes);
  return message_of<DataError>([&] { nn::import_onnx(path); });
}

// y = Relu(x), and what a test changes of it.
onnx::Graph small_graph() {
  onnx::Graph g;
  g.inputs.push_back({"x", float32, {{.name = "n"}, {.size = 2}}});
  g.outputs.push_back({"y", float32, {}});
  g.nodes.push_back({"Relu", "first", {"x"}, {"y"}, {}});
  return g;
}
std::string refused_with(const std::function<void(onnx::Graph&)>& change) {
  onnx::Graph g = small_graph();
  change(g);
  return refused(onnx::to_bytes(g));
}
nn::OnnxModel model_of(const onnx::Graph& g) {
  const TemporaryFolder folder;
  const std::string path = folder.path("graph.onnx");
  write(path, onnx::to_bytes(g));
  return nn::import_onnx(path);
}

}  // namespace

BOOST_AUTO_TEST_CASE(round_trips_give_the_same_bits) {
  check_round_trip(mlp(1), random_numbers({4, 5}, 2), random_numbers({9, 5}, 3));
  check_round_trip(cnn(1), random_numbers({3, 2, 16, 16}, 2), random_numbers({1, 2, 16, 16}, 3));
  Generator g(4);
  const nn::OnnxOptions both{.dynamic = {0, 1}};
  const Tensor x = random_numbers({6, 3, 7}, 5), longer = random_numbers({8, 2, 7}, 6);
  check_round_trip(nn::LSTM(7, 9, {.layers = 2, .bidirectional = true}, g), x, longer, both);
  check_round_trip(nn::LSTM(7, 9, {.bias = false}, g), x, longer, both);
  check_round_trip(nn::GRU(7, 9, {.layers = 2, .bidirectional = true}, g), x, longer, both);
  check_round_trip(nn::GRU(7, 5, {.batch_first = true}, g), x, longer, both);
  check_round_trip(nn::RNN(7, 5, nn::Nonlinearity::relu, {.layers = 2}, g), x, longer, both);
  check_round_trip(nn::TransformerEncoderLayer(12, 3, {.feedforward = 20}, g), random_numbers({5, 2, 12}, 7), random_numbers({7, 3, 12}, 8),
                   both);
  check_round_trip(nn::Sequential{nn::Residual(nn::Linear(6, 6, {}, g)), nn::LayerNorm(6), nn::Softmax()}, random_numbers({3, 6}, 9),
                   random_numbers({1, 6}, 10));
  check_round_trip(
      nn::Sequential{nn::Conv2d(3, 4, 3, {}, g), nn::GroupNorm(2, 4), nn::AvgPool2d(2), nn::AdaptiveAvgPool2d(1), nn::Flatten()},
      random_numbers({2, 3, 8, 8}, 11), random_numbers({3, 3, 8, 8}, 12));
  nn::Sequential wide = mlp(13);
  wide.to(float64);
  check_round_trip(wide, random_numbers({4, 5}, 2, float64), random_numbers({2, 5}, 3, float64));
}

BOOST_AUTO_TEST_CASE(embeddings_take_integers) {
  Generator g(1);
  const Tensor tokens = Tensor::from(std::vector<std::int64_t>{1, 0, 4, 2, 2, 3}, {2, 3});
  const Tensor others = Tensor::from(std::vector<std::int64_t>{0, 3, 1, 2}, {4, 1});
  check_round_trip(nn::Sequential{nn::Embedding(5, 4, {}, g), nn::Linear(4, 2, {}, g)}, tokens, others, {.dynamic = {0, 1}});
}

BOOST_AUTO_TEST_CASE(parameters_keep_their_names) {
  nn::Sequential model = cnn(1);
  const nn::OnnxModel back = imported(model, random_numbers({1, 2, 16, 16}, 2));
  std::vector<std::string> expected;
  for (const std::string& name : names_of(model))
    if (name != "1.num_batches_tracked") expected.push_back(name);
  std::vector<std::string> found = names_of(back);
  std::sort(expected.begin(), expected.end());
  std::sort(found.begin(), found.end());
  BOOST_TEST(found == expected, boost::test_tools::per_element());
  Generator g(3);
  nn::LSTM lstm(2, 3, {.bidirectional = true}, g);
  const std::vector<std::string> gates{"W_l0", "R_l0", "B_l0"};
  BOOST_TEST(names_of(imported(lstm, random_numbers({4, 1, 2}, 1))) == gates, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(trainings_go_on_after_import) {
  // The same steps as of the model that was exported, to the bit: batch norm included, which normalises by the batch in training.
  const auto losses = [](auto& model, const Tensor& x, const Tensor& y) {
    model.train();
    optim::SGD sgd(model.parameters(), {.lr = 0.05});
    std::vector<double> list;
    for (int step = 0; step < 5; ++step) {
      Tape tape;
      const Tensor loss = nn::mse(model(x), y);
      list.push_back(loss.item());
      sgd.step(tape.gradient(loss, model.parameters()));
    }
    return list;
  };
  const auto check = [&](nn::Sequential model, const Tensor& x, const Tensor& y) {
    nn::OnnxModel back = imported(model, x);
    const std::vector<double> expected = losses(model, x, y), found = losses(back, x, y);
    BOOST_TEST(expected.back() < expected.front());
    BOOST_TEST(found == expected, boost::test_tools::per_element());
    model.eval();
    back.eval();
    BOOST_TEST(same_bits(back(x), model(x)));
  };
  check(mlp(1), random_numbers({8, 5}, 2), random_numbers({8, 3}, 3));
  check(cnn(1), random_numbers({4, 2, 16, 16}, 2), random_numbers({4, 5}, 3));

  Generator g(4);
  nn::LSTM lstm(3, 4, {.layers = 2, .bidirectional = true}, g);
  const Tensor x = random_numbers({5, 2, 3}, 5), y = random_numbers({5, 2, 8}, 6);
  nn::OnnxModel back = imported(lstm, x);
  const std::vector<double> found = losses(back, x, y);
  BOOST_TEST(found.back() < found.front());
  const Tensor before = back(x);
  nn::OnnxModel copy = back;  // with parameters of its own
  losses(copy, x, y);
  BOOST_TEST(same_bits(back(x), before));
  copy = back;
  BOOST_TEST(same_bits(copy(x), before));
}

BOOST_AUTO_TEST_CASE(states_are_saved_and_loaded) {
  nn::Sequential model = mlp(1), other = mlp(2);
  const Tensor x = random_numbers({4, 5}, 3);
  nn::OnnxModel back = imported(model, x), second = imported(other, x);
  const TemporaryFolder folder;
  nn::save(model, folder.path("state.safetensors"));
  nn::load(second, folder.path("state.safetensors"));  // the names are the same
  BOOST_TEST(same_bits(second(x), back(x)));
}

BOOST_AUTO_TEST_CASE(what_the_tape_cannot_see_is_refused) {
  const Tensor x = random_numbers({3, 4}, 1);
  // Constants that depend on the input.
  BOOST_TEST(contains(refusal([](const Tensor& t) { return t * max(t.constant()); }, x), "multiply at test_onnx.cpp"));
  BOOST_TEST(contains(refusal([](const Tensor& t) { return where(t > 0, t, t * 2.0); }, x), "depends on the input, but by operations"));
  BOOST_TEST(
      contains(refusal([](const Tensor& t) { return sum(t).item() > 0 ? exp(t) : sin(t); }, Tensor::full({3, 4}, -0.05)), "export_onnx"));
  // Shapes.
  BOOST_TEST(contains(refusal([](const Tensor& t) { return t + Tensor::ones(t.shape()); }, x), ".dynamic = {}"));
  BOOST_TEST(contains(refusal([](const Tensor& t) { return t + Tensor::ones({3, 4}); }, x), "does not take another size of dimension 0"));
  // Operations without a counterpart, and Scalars.
  BOOST_TEST(contains(refusal([](const Tensor& t) { return lgamma(t); }, x), "lgamma at test_onnx.cpp"));
  BOOST_TEST(contains(refusal([](const Tensor& t) { return t * (t(0, 0) * 2.0); }, x), "Scalars"));
  // The example and the options.
  const auto same = [](const Tensor& t) { return t * 2; };
  BOOST_TEST(contains(refusal(same, Tensor::zeros({0, 4})), "has no elements"));
  BOOST_TEST(contains(refusal(same, Tensor()), "undefined"));
  BOOST_TEST(contains(refusal(same, x, {.dynamic = {2}}), "has no dimension 2, which is to be dynamic"));
  BOOST_TEST(contains(refusal(same, x, {.dynamic = {0, -2}}), "named twice"));
}

BOOST_AUTO_TEST_CASE(fixed_sizes_need_no_second_one) {
  const Tensor x = random_numbers({3, 4}, 1);
  Computes model([](const Tensor& t) { return t + Tensor::ones(t.shape()); });
  const nn::OnnxModel back = imported(model, x, {.dynamic = {}});
  BOOST_TEST(same_bits(back(x), x + 1));
}

BOOST_AUTO_TEST_CASE(a_running_logsumexp_is_one_of_rows) {
  Computes last([](const Tensor& t) { return logcumsumexp(t, 2); });
  Computes middle([](const Tensor& t) { return logcumsumexp(t, 1); });
  for (const Dtype dtype : {float32, float64}) {
    const Tensor x = 50 * random_numbers({3, 4, 5}, 1, dtype), longer = random_numbers({7, 4, 5}, 2, dtype);
    for (const Tensor& t : {x, longer}) {
      BOOST_TEST(all(abs(imported(last, x)(t) - last(t)) <= 1e-6 * abs(last(t))).item());
      BOOST_TEST(all(abs(imported(middle, x)(t) - middle(t)) <= 1e-6 * abs(middle(t))).item());
    }
  }
  BOOST_TEST(contains(refusal([](const Tensor& t) { return logcumsumexp(t, 0); }, random_numbers({3, 4}, 1)), "logcumsumexp at"));
}

BOOST_AUTO_TEST_CASE(products_and_norms) {
  const std::function<Tensor(const Tensor&)> functions[] = {
      [](const Tensor& t) { return cumprod(t, 1); },      [](const Tensor& t) { return cumprod(t, 2); },
      [](const Tensor& t) { return prod(t, {1}); },       [](const Tensor& t) { return prod(t, {-1}, {.keepdim = true}); },
      [](const Tensor& t) { return norm(t, 2, {1, 2}); }, [](const Tensor& t) { return norm(t, 2, {-1}, {.keepdim = true}); },
      [](const Tensor& t) { return norm(t, 2, Dims{}); }};
  const Tensor x = random_numbers({3, 4, 5}, 1), longer = random_numbers({7, 4, 5}, 2);
  for (const auto& f : functions) {
    Computes model(f);
    for (const Tensor& t : {x, longer}) BOOST_TEST(all(abs(imported(model, x)(t) - f(t)) <= 1e-6 * abs(f(t))).item());
  }
}

BOOST_AUTO_TEST_CASE(outputs_may_be_inputs_and_constants) {
  const Tensor x = random_numbers({3, 4}, 1);
  Computes same([](const Tensor& t) { return t; });
  BOOST_TEST(same_bits(imported(same, x)(x), x));
  Computes constant([](const Tensor&) { return Tensor::full({2}, 3); });
  BOOST_TEST(same_bits(imported(constant, x)(x), Tensor::full({2}, 3)));
}

BOOST_AUTO_TEST_CASE(damaged_files_are_refused) {
  const TemporaryFolder folder;
  const std::string path = folder.path("model.onnx");
  nn::export_onnx(mlp(1), random_numbers({4, 5}, 2), path);
  const std::string bytes = read(path);
  for (std::size_t size = 0; size < bytes.size(); size += 1 + size / 16) {
    write(path, bytes.substr(0, size));
    BOOST_CHECK_THROW(nn::import_onnx(path), DataError);
  }
  BOOST_TEST(contains(refused("no ONNX at all"), "hostile.onnx"));
  BOOST_TEST(contains(message_of<DataError>([&] { nn::import_onnx(folder.path("none.onnx")); }), "none.onnx"));
}

BOOST_AUTO_TEST_CASE(hostile_graphs_are_refused) {
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) { g.nodes[0].inputs[0] = "y"; }), "nothing before it computes"));  // a cycle
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) { g.nodes.push_back(g.nodes[0]); }), "two values have the name \"y\""));
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) { g.outputs[0].name = "z"; }), "the output \"z\""));
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) { g.outputs.clear(); }), "no outputs"));
  BOOST_TEST(
      contains(refused_with([](onnx::Graph& g) { g.nodes[0].operation = "Shutdown"; }), "node \"first\" (\"Shutdown\"): nothing is known"));
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) { g.nodes[0].inputs.clear(); }), "it has 0 operands"));
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) { g.nodes[0].inputs[0] = ""; }), "operand 1 is missing"));
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) { g.nodes[0].outputs.push_back("more"); }), "it has 2 results"));
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) { g.nodes[0].attributes.push_back(onnx::attribute("slope", 2.0F)); }),
                      "\"slope\" is not known"));
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) {
                        g.nodes[0].operation = "Softmax";
                        g.nodes[0].attributes.push_back(onnx::attribute("axis", 2.0F));
                      }),
                      "axis has another type"));
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) {
                        g.nodes[0].operation = "GRU";
                        g.nodes[0].inputs = {"x", "x", "x"};
                      }),
                      "linear_before_reset"));
  // Something that is fused is still checked.
  BOOST_TEST(contains(refused_with([](onnx::Graph& g) {
                        g.initializers.push_back({"y", Tensor::zeros({2})});
                        g.nodes = {{"Relu", "r", {"y"}, {"z"}, {}}, {"Conv", "c", {"x", "w"}, {"y"}, {}}};
                      }),
                      "hostile.onnx"));
}

BOOST_AUTO_TEST_CASE(lengths_and_sizes_are_checked_against_the_file) {
  const auto field = [](int number, const std::string& content) {  // shorter than 128 bytes
    return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(content.size()) + content;
  };
  const std::string opset = field(8, std::string("\x10\x11", 2));  // version 17
  const auto with_tensor = [&](const std::string& tensor) { return refused(opset + field(7, field(5, field(8, "w") + tensor))); };
  const std::string huge = std::string("\x08") + std::string("\x80\x80\x80\x80\x80\x80\x80\x80\x40", 9);  // dims: 2^62
  BOOST_TEST(contains(with_tensor("\x10\x01" + huge), "has 0 bytes"));
  BOOST_TEST(contains(with_tensor("\x10\x01" + huge + huge), "too large"));
  BOOST_TEST(contains(with_tensor("\x10\x01\x08\x02" + field(9, "1234")), "has 4 bytes"));
  BOOST_TEST(contains(with_tensor("\x10\x01\x08\x02" + field(4, "12345678abcd")), "more elements than its shape"));
  BOOST_TEST(contains(with_tensor("\x10\x08"), "elements of the type 8"));
  BOOST_TEST(contains(with_tensor("\x10\x01\x70\x01"), "in another file"));
  BOOST_TEST(contains(refused(opset + "\x3a\x7f"), "127 bytes long, but only 0 remain"));
  BOOST_TEST(contains(refused(field(8, std::string("\x10\x0b", 2)) + field(7, "")), "version 11"));
  BOOST_TEST(contains(refused(opset + field(7, field(1, field(4, "Relu") + field(7, "com.example")))), "com.example"));
  BOOST_TEST(contains(refused(opset), "no ONNX file"));
}

BOOST_AUTO_TEST_CASE(elements_are_read_in_every_form) {
  const auto field = [](int number, const std::string& content) {
    return std::string(1, static_cast<char>(number << 3 | 2)) + static_cast<char>(content.size()) + content;
  };
  const TemporaryFolder folder;
  const auto value_of = [&](const std::string& tensor) {
    const std::string node =
        field(2, "y") + field(4, "Constant") + field(5, field(1, "value") + field(5, tensor) + std::string("\xa0\x01\x04", 3));
    const std::string output = field(12, field(1, "y") + field(2, field(1, std::string("\x08\x01", 2))));
    write(folder.path("c.onnx"), field(8, std::string("\x10\x11", 2)) + field(7, field(1, node) + output));
    return nn::import_onnx(folder.path("c.onnx")).run({})[0].value;
  };
  const std::string two("\x08\x02", 2);
  BOOST_TEST(same_bits(value_of("\x10\x01" + two + field(4, std::string("\0\0\x80\x3f\0\0\0\x40", 8))), Tensor::from({1, 2})));
  BOOST_TEST(same_bits(value_of("\x10\x0a" + two + field(9, std::string("\0\x3c\0\xc0", 4))), Tensor::from({1, -2})));  // halves
  BOOST_TEST(value_of("\x10\x06" + two + field(5, std::string("\x03\x04", 2))).to_vector<std::int64_t>()[1] == 4);
  BOOST_TEST(value_of("\x10\x03" + two + field(9, std::string("\xff\x05", 2))).to_vector<std::int64_t>()[0] == -1);
}

BOOST_AUTO_TEST_CASE(operations_that_are_only_read) {
  // What other programs write: y = f(x) for small graphs.
  const Tensor x = random_numbers({2, 3}, 1);
  const auto run = [&](std::vector<onnx::Node> nodes, std::vector<NamedTensor> initializers = {}) {
    onnx::Graph g = small_graph();
    g.nodes = std::move(nodes);
    g.initializers = std::move(initializers);
    return model_of(g)(x);
  };
  const Tensor w = random_numbers({3, 4}, 2), b = random_numbers({4}, 3);
  BOOST_TEST(
      same_bits(run({{"MatMul", "", {"x", "w"}, {"m"}, {}}, {"Add", "", {"m", "b"}, {"y"}, {}}}, {{"w", w}, {"b", b}}), matmul(x, w) + b));
  BOOST_TEST(same_bits(
      run({{"Gemm", "", {"x", "w", "b"}, {"y"}, {onnx::attribute("alpha", 0.5F), onnx::attribute("beta", 2.0F)}}}, {{"w", w}, {"b", b}}),
      matmul(x, w) * 0.5 + b * 2));
  // Shape arithmetic: (2, 3) as (3, 2).
  const Tensor one = Tensor::from(std::vector<std::int64_t>{1}), zero = Tensor::from(std::vector<std::int64_t>{0});
  BOOST_TEST(same_bits(run({{"Shape", "", {"x"}, {"s"}, {}},
                            {"Gather", "", {"s", "one"}, {"first"}, {}},
                            {"Gather", "", {"s", "zero"}, {"second"}, {}},
                            {"Concat", "", {"first", "second"}, {"turned"}, {onnx::attribute("axis", std::int64_t{0})}},
                            {"Reshape", "", {"x", "turned"}, {"y"}, {}}},
                           {{"one", one}, {"zero", zero}}),
                       reshape(x, {3, 2})));
  const auto list = [](std::vector<std::int64_t> v) { return Tensor::from(v); };
  BOOST_TEST(same_bits(run({{"Slice", "", {"x", "start", "stop", "axes", "steps"}, {"y"}, {}}},
                           {{"start", list({-1})}, {"stop", list({-100})}, {"axes", list({1})}, {"steps", list({-2})}}),
                       stack({select(x, 1, 2), select(x, 1, 0)}, 1)));
  BOOST_TEST(same_bits(run({{"Flatten", "", {"x"}, {"y"}, {onnx::attribute("axis", std::int64_t{0})}}}), reshape(x, {1, 6})));
  BOOST_TEST(same_bits(run({{"Dropout", "", {"x"}, {"y"}, {}}}), x));
  BOOST_TEST(same_bits(run({{"ReduceMean", "", {"x", "axes"}, {"y"}, {}}}, {{"axes", list({1})}}), mean(x, 1, {.keepdim = true})));
  // An operand that does not fit names the node.
  const std::string message = message_of<ShapeError>([&] { run({{"MatMul", "product", {"x", "x"}, {"y"}, {}}}); });
  BOOST_TEST(contains(message, "graph.onnx: node \"product\" (\"MatMul\"): matmul"));
}

BOOST_AUTO_TEST_CASE(a_recurrence_that_runs_backwards) {
  const Tensor x = random_numbers({4, 2, 3}, 1), w = random_numbers({1, 16, 3}, 2), r = random_numbers({1, 16, 4}, 3);
  onnx::Graph g = small_graph();
  g.nodes = {
      {"LSTM", "", {"x", "w", "r"}, {"y"}, {onnx::attribute("direction", "reverse"), onnx::attribute("hidden_size", std::int64_t{4})}}};
  g.initializers = {{"w", w}, {"r", r}};
  const Tensor found = model_of(g)(x);
  g.nodes[0].attributes[0] = onnx::attribute("direction", "forward");
  BOOST_TEST(same_bits(flip(model_of(g)(flip(x, {0})), {0}), found));
}
