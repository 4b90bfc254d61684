// Frozen functions as C++ source: compiled as C++17 with all warnings as errors, and compared with the frozen function.
#include <autodiff/autodiff.h>
#include <fmt/format.h>
#include <nn/nn.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "autodiff/kernels/isa.h"
#include "autodiff/program/shared_object.h"
#include "tests/freeze/models.h"
#include "tests/support/layers.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using namespace wengert::testing;

namespace {

using Function = void(const float* x, float* y, int reset);

// These functions as headers, and a function that calls the first one's class; compiled.
std::shared_ptr<const detail::SharedObject> built(const std::vector<Frozen>& networks, bool fused) {
  const TemporaryFolder folder;
  std::string source;
  for (std::size_t i = 0; i < networks.size(); ++i) {
    const std::string name = fmt::format("network{}", i);
    folder.write(name + ".h", networks[i].to_cpp(name));
    source += fmt::format("#include \"{}\"\n", folder.path(name + ".h"));
  }
  source +=
      "extern \"C\" void call(const float* x, float* y, int reset) {\n  static network0 network;\n  if (reset) network.reset();\n"
      "  network(x, y);\n}\n";
  const char* compiler = std::getenv("CXX");
  std::vector<std::string> command{compiler ? compiler : "c++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off"};
  if (fused) command.push_back("-mfma");
  std::string report;
  auto object = detail::SharedObject::build(source, command, report);
  BOOST_TEST_REQUIRE(object, report);
  return object;
}

bool can_fuse() { return kernels::best_isa() == kernels::Isa::avx2 || kernels::best_isa() == kernels::Isa::avx512; }

// The largest difference between the source and the frozen function on a few calls, in units of the largest element.
double difference(Frozen frozen, bool fused) {
  const auto object = built({frozen}, fused);
  Function* const f = object->find<Function>("call");
  BOOST_TEST_REQUIRE(f);
  double most = 0;
  for (const int reset : {0, 0, 0, 1, 0}) {
    if (reset) frozen.reset();
    const std::vector<float> x = random_numbers(frozen.input(), 11).to_vector<float>();
    std::vector<float> wanted(static_cast<std::size_t>(frozen.output().size())), y(wanted.size());
    frozen(x, wanted);
    f(x.data(), y.data(), reset);
    double largest = 1e-30, off = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      largest = std::max(largest, std::abs(static_cast<double>(wanted[i])));
      off = std::max(off, std::abs(static_cast<double>(y[i]) - static_cast<double>(wanted[i])));
      if (std::isnan(y[i]) != std::isnan(wanted[i])) off = HUGE_VAL;
    }
    most = std::max(most, off / largest);
  }
  return most;
}

// With fused products the bits, without them rounding.
void check_bits(const Frozen& frozen) {
  if (can_fuse()) BOOST_TEST(difference(frozen, true) == 0);
  BOOST_TEST(difference(frozen, false) <= 2e-6);
}

}  // namespace

BOOST_AUTO_TEST_CASE(layers_cells_and_elementwise_functions_have_the_same_bits) {
  Generator g(3);
  check_bits(nn::freeze(mlp(), {1, 8}));
  check_bits(nn::freeze<LstmState>(Amplifier(2), {1, 1}));
  check_bits(nn::freeze(nn::GRUCell(3, 20, {}, g), {1, 3}));
  check_bits(nn::freeze(nn::RNNCell(3, 20, Nonlinearity::relu, {}, g), {1, 3}));
  check_bits(nn::freeze(nn::Residual(nn::Sequential{nn::Linear(37, 37, {}, g), nn::SiLU()}), {2, 37}));
}

BOOST_AUTO_TEST_CASE(every_elementwise_function_has_the_same_bits) {
  const Tensor row = random_numbers({5}, 1), column = random_numbers({4, 1}, 2), full = random_numbers({4, 5}, 6);
  const auto check = [](const auto& f, const Shape& input) { check_bits(freeze(f, input)); };
  check(
      [](const Tensor& x) {
        return concat({exp(x),      exp2(x),       expm1(x),  log(x + 2),   log2(x + 2), log10(x + 2), log1p(x),
                       sqrt(x + 1), rsqrt(x + 2),  abs(x),    floor(3 * x), ceil(3 * x), round(3 * x), erf(x),
                       erfc(x),     reciprocal(x), square(x), -x,           sign(x),     step(x)},
                      0);
      },
      {4, 25});
  check(
      [](const Tensor& x) {
        return concat({sin(9 * x), cos(9 * x), tan(x), asin(x), acos(x), atan(x), sinh(x), cosh(x), tanh(x), asinh(x), acosh(x + 3),
                       atanh(x), sin(1e7 * x)},
                      0);
      },
      {4, 25});
  check(
      [](const Tensor& x) {
        const Tensor z = 8 * x;
        return concat(
            {relu(z), relu6(z), sigmoid(z), log_sigmoid(z), silu(z), mish(z), gelu(z), gelu_tanh(z), selu(z), softsign(z), hardsigmoid(z),
             hardswish(z), elu(z, 0.7), leaky_relu(z, 0.1), softplus(z, 1.5), softshrink(z, 0.25), clamp(z, -0.5, 0.25), hardtanh(z)},
            0);
      },
      {4, 25});
  check(
      [&](const Tensor& x) {
        return concat({(x + row) * column - full / (x * x + 1), maximum(x, full), minimum(x, row), atan2(x, full), hypot(x, column),
                       logaddexp(x, full), pow(x + 2, full), xlogy(x, x + 2)},
                      0);
      },
      {4, 5});
}

BOOST_AUTO_TEST_CASE(other_networks_differ_by_rounding) {
  Cnn cnn(1);
  cnn.eval();
  BOOST_TEST(difference(nn::freeze(cnn, {1, 1, 12, 12}), can_fuse()) <= 2e-6);
  BOOST_TEST(difference(nn::freeze(Block(1), {1, 4, 8}), can_fuse()) <= 2e-6);
  Generator g(2);
  const nn::Conv2d grouped(4, 8, {3, 2}, {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 2}, .groups = 2}, g);
  BOOST_TEST(difference(nn::freeze(grouped, {2, 4, 9, 8}), can_fuse()) <= 2e-6);
  const auto pooled = [](const Tensor& x) {
    return concat({flatten(max_pool2d(x, {3, 2}, {.stride = 2, .padding = 1, .dilation = {2, 1}, .ceil_mode = true}), 1),
                   flatten(avg_pool2d(x, 3, {.stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}), 1),
                   flatten(avg_pool2d(x, 3, {.stride = 2, .padding = 1, .ceil_mode = true}), 1), flatten(adaptive_avg_pool2d(x, {3, 2}), 1),
                   flatten(pad(flip(x, {2}), {0, 0, 1, 0}, {0, 0, 0, 1}, 2), 1)},
                  1);
  };
  BOOST_TEST(difference(freeze(pooled, {1, 2, 8, 9}), can_fuse()) <= 1e-7);
  BOOST_TEST(difference(freeze([](const Tensor& x) { return log_softmax(x, 1) + softmax(x, 0); }, {6, 9}), can_fuse()) <= 2e-7);
  nn::LSTM lstm(3, 10, {.layers = 2, .bidirectional = true}, g);
  BOOST_TEST(difference(freeze([&](const Tensor& x) { return lstm(x).output; }, {6, 1, 3}), can_fuse()) == 0);
  nn::GRU gru(3, 10, {.layers = 2}, g);
  BOOST_TEST(difference(freeze([&](const Tensor& x) { return gru(x).output; }, {6, 1, 3}), can_fuse()) == 0);
  nn::RNN rnn(3, 10, {}, g);
  BOOST_TEST(difference(freeze([&](const Tensor& x) { return rnn(x).output; }, {6, 1, 3}), can_fuse()) == 0);
}

BOOST_AUTO_TEST_CASE(a_model_goes_to_a_file_that_names_its_class) {
  const TemporaryFolder folder;
  const auto model = mlp();
  nn::to_cpp(model, {1, 8}, folder.path("tone.h"));
  const std::string header = folder.read("tone.h");
  BOOST_TEST(header == nn::freeze(model, {1, 8}).to_cpp("tone"));
  BOOST_TEST(contains(header, "class tone {"));
  BOOST_TEST(contains(header, "inputs = 8, outputs = 1;"));
  nn::to_cpp<LstmState>(Amplifier(1), {1, 1}, folder.path("amplifier.h"));
  BOOST_TEST(contains(folder.read("amplifier.h"), "class amplifier {"));
}

BOOST_AUTO_TEST_CASE(two_networks_fit_in_one_program) {
  Generator g(3);
  const auto object = built({nn::freeze(mlp(1), {1, 8}), nn::freeze(nn::GRUCell(3, 4, {}, g), {1, 3})}, false);
  BOOST_TEST(object->find<Function>("call"));
}

BOOST_AUTO_TEST_CASE(what_has_no_source_is_named) {
  const TemporaryFolder folder;
  const auto model = mlp();
  const auto refusal = [](const auto& f) { return message_of<ValueError>(f); };
  BOOST_TEST(contains(refusal([&] { nn::to_cpp(model, {1, 8}, folder.path("8 tones.h")); }), "'8 tones' is not a class's name"));
  const Frozen frozen = freeze([](const Tensor& x) { return lgamma(x + 3); }, {4});
  BOOST_TEST(contains(refusal([&] { static_cast<void>(frozen.to_cpp("f")); }), "to_cpp: there is no source for lgamma"));
  message_of<DataError>([&] { nn::to_cpp(model, {1, 8}, folder.path("missing/tone.h")); });
}
