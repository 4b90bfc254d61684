// Diagnostics: memory errors under AddressSanitizer, source locations, complete messages, and numbers under any locale.
#include <autodiff/autodiff.h>
#include <autodiff/runtime.h>
#include <autodiff/transforms/gradcheck.h>

#include <boost/test/unit_test.hpp>
#include <clocale>
#include <functional>
#include <locale>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/sanitizers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of, testing::text_of;

namespace {

std::string child(const std::string& test_case) {
  return testing::run_in_child(test_case, {"ASAN_OPTIONS=detect_leaks=0:symbolize=0"}).output;
}
volatile float sink;

}  // namespace

BOOST_AUTO_TEST_CASE(reads_freed_elements) {
  if (!testing::is_child()) return;
  Tensor x = Tensor::ones({100});
  const float* data = x.data<float>();
  x = Tensor();
  sink = data[99];
}
BOOST_AUTO_TEST_CASE(reads_elements_that_a_sweep_has_freed) {
  if (!testing::is_child()) return;
  Tape tape;
  const Tensor x = tape.variable(Tensor::ones({100}));
  const float* data = nullptr;
  Tensor y;
  {
    const Tensor h = exp(x);
    data = h.data<float>();
    y = sum(h * h);
  }
  sink = data[0];  // the tape still holds h
  static_cast<void>(tape.gradient(y, x));
  sink = data[0];
}
BOOST_AUTO_TEST_CASE(reads_beyond_the_last_element) {
  if (!testing::is_child()) return;
  const Tensor x = Tensor::ones({5});
  sink = x.data<float>()[5];
}

BOOST_AUTO_TEST_CASE(address_sanitizer_sees_misuse_of_a_tensors_elements, *boost::unit_test::enable_if<testing::kAddressSanitizer>()) {
  for (const char* test_case : {"reads_freed_elements", "reads_elements_that_a_sweep_has_freed", "reads_beyond_the_last_element"})
    BOOST_TEST(contains(child(test_case), "use-after-poison"), test_case);
}

namespace {

// Causes an error of a later operation, whose message must name the line that made the operand.
void check_place(const Tensor& made, std::uint32_t line) {
  const std::string told = message_of<ShapeError>([&] { static_cast<void>(reshape(made, {made.size() + 1})); });
  BOOST_TEST(contains(told, "made at test_diagnostics.cpp:" + std::to_string(line) + " "));
  BOOST_TEST(told.find('/') == std::string::npos, told);
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_operation_tells_the_line_that_called_it) {
  const Tensor x = Tensor::from({{1, 2, 3}, {4, 5, 6}}, float64), labels = Tensor::from({0, 2}, int64);
  const Tensor square_matrix = Tensor::eye(3, float64);
  const Scalar s = 2;
#define HERE static_cast<std::uint32_t>(__LINE__)
  check_place(Tensor::zeros({2}), HERE);
  check_place(Tensor::ones({2}), HERE);
  check_place(Tensor::full({2}, 3), HERE);
  check_place(Tensor::arange(0, 3), HERE);
  check_place(Tensor::linspace(0, 3, 4), HERE);
  check_place(Tensor::eye(3), HERE);
  check_place(Tensor::from({1, 2}), HERE);
  check_place(Tensor::from(std::vector<double>{1, 2}), HERE);
  check_place(x + x, HERE);
  check_place(2 - x, HERE);
  check_place(x * s, HERE);
  check_place(s / x, HERE);
  check_place(x < 2, HERE);
  check_place(where(x > 2, x, 0), HERE);
  check_place(exp(x), HERE);
  check_place(softplus(x, 2), HERE);
  check_place(matmul(x, transpose(x)), HERE);
  check_place(sum(x), HERE);
  check_place(sum(x, {0, 1}), HERE);
  check_place(mean(x, 0), HERE);
  check_place(max(x, {1}), HERE);
  check_place(argmax(x, 0), HERE);
  check_place(sum_to(x, {1, 3}), HERE);
  check_place(reshape(x, {3, 2}), HERE);
  check_place(flatten(x), HERE);
  check_place(transpose(x), HERE);
  check_place(permute(x, {1, 0}), HERE);
  check_place(expand(x, {4, 2, 3}), HERE);
  check_place(squeeze(unsqueeze(x, 0), 0), HERE);
  check_place(unsqueeze(x, 0), HERE);
  check_place(slice(x, 0, 0, 1), HERE);
  check_place(select(x, 0, 1), HERE);
  check_place(concat({x, x}), HERE);
  check_place(stack({x, x}), HERE);
  check_place(stack({s, s}), HERE);
  check_place(softmax(x), HERE);
  check_place(log_softmax(x), HERE);
  check_place(one_hot(labels, 3), HERE);
  check_place(cross_entropy(x, labels), HERE);
  check_place(nll(x, labels), HERE);
  check_place(layer_norm(x, {3}), HERE);
  check_place(rms_norm(x), HERE);
  check_place(group_norm(x, 3), HERE);
  check_place(batch_norm(x, {}, {}, {.training = true}).y, HERE);
  check_place(dropout(x), HERE);
  check_place(prelu(x, Tensor::ones({1}, float64)), HERE);
  check_place(embedding(labels, transpose(x)), HERE);
  check_place(scaled_dot_product_attention(x, x, x).output, HERE);
  check_place(rnn_cell(x, x, {square_matrix, square_matrix}), HERE);
  check_place(gru_cell(x, x, {concat({square_matrix, square_matrix, square_matrix}), Tensor::ones({9, 3}, float64)}), HERE);
  check_place(lstm_cell(x, {x, x}, {Tensor::ones({12, 3}, float64), Tensor::ones({12, 3}, float64)}).c, HERE);
  check_place(transpose(x).contiguous(), HERE);
  check_place(x.to(float32), HERE);
  check_place(x.clone(), HERE);
#undef HERE
}

namespace {

struct Mistake {
  std::function<void()> make;
  std::string told;  // the whole message, where # stands for " made at test_diagnostics.cpp:" and the line of any tensor
};

// The message with places replaced by #.
std::string without_places(std::string message) {
  const std::string place = " made at test_diagnostics.cpp:";
  for (std::size_t at = 0; (at = message.find(place, at)) != std::string::npos;) {
    const std::size_t end = message.find_first_not_of("0123456789", at + place.size());
    message.replace(at, (end == std::string::npos ? message.size() : end) - at, "#");
  }
  return message;
}

}  // namespace

BOOST_AUTO_TEST_CASE(messages_say_what_is_wrong_with_what_and_what_to_do) {
  const Tensor x = Tensor::ones({2, 3}), logits = Tensor::ones({4, 3});
  const Parameter w(Tensor::ones({5, 3}), "hidden.weight"), unnamed(Tensor::ones({5, 3})), transposed(Tensor::ones({3, 5}), "w");
  const Parameter in64(Tensor::ones({5, 3}, float64), "w64");
  const std::vector<Mistake> mistakes{
      {[&] { matmul(x, x); },
       "matmul: the inner sizes 3 and 2 differ: left (2, 3) float32#, right (2, 3) float32#; hint: transpose(right)"},
      {[&] { x + Tensor::ones({4}); },
       "add: the shapes do not broadcast: sizes 3 and 4 in dimension -1: left (2, 3) float32#, right (4,) float32#"},
      {[&] { linear(x, transposed); },
       "linear: the operands must be (..., in), (out, in): input (2, 3) float32#, weight parameter w (3, 5) float32#; hint: "
       "transpose(weight)"},
      // data whose dtype differs from that of the parameters: the hint is to convert the data
      {[&] { linear(x.to(float64), w); },
       "linear: the dtypes differ: input (2, 3) float64#, weight parameter hidden.weight (5, 3) float32#; hint: convert input with "
       ".to(float32), or the model with .to(float64)"},
      {[&] { linear(x, in64); },
       "linear: the dtypes differ: input (2, 3) float32#, weight parameter w64 (5, 3) float64#; hint: convert input with .to(float64), or "
       "the "
       "model with .to(float32)"},
      {[&] { linear(x.to(int64), unnamed); },
       "linear: the dtypes differ: input (2, 3) int64#, weight parameter (5, 3) float32#; hint: convert input with .to(float32)"},
      {[&] { matmul(in64, transpose(x)); },
       "matmul: the dtypes differ: left parameter w64 (5, 3) float64#, right (3, 2) float32#; hint: convert right with .to(float64)"},
      {[&] { x + x.to(float64); },
       "add: the dtypes differ: left (2, 3) float32#, right (2, 3) float64#; hint: convert right with .to(float32)"},
      {[&] { x.to(int64) * x; },
       "multiply: the dtypes differ: left (2, 3) int64#, right (2, 3) float32#; hint: convert left with .to(float32)"},
      {[&] { exp(x.to(int64)); }, "exp: (2, 3) int64# is not floating; hint: convert it with .to(float32) or .to(float64)"},
      // labels
      {[&] { cross_entropy(logits, Tensor::ones({4})); },
       "cross_entropy: the target must be labels of dtype int64, or probabilities in the shape of the logits: logits (4, 3) float32#, "
       "target "
       "(4,) float32#; hint: convert the labels with .to(int64)"},
      {[&] {
         cross_entropy(logits, Tensor::ones({4, 1}, int64));
       },
       "cross_entropy: logits must be (n, classes) and labels (n), both with the same further dimensions: logits (4, 3) float32#, labels "
       "(4, 1) int64#; hint: reshape(labels, {-1})"},
      {[&] { cross_entropy(logits, one_hot(Tensor::ones({4}, int64), 3)); },
       "cross_entropy: logits must be (n, classes) and labels (n), both with the same further dimensions: logits (4, 3) float32#, labels "
       "(4, 3) int64#; hint: for one-hot labels argmax(labels, 1), or .to(float32) as probabilities"},
      {[&] {
         cross_entropy(logits, Tensor::from({0, 1, 2, 3}, int64));
       },
       "cross_entropy: label 3 at position 3 is neither in [0, 3) nor the ignored -100: labels (4,) int64#"},
      {[&] { nll(logits, Tensor::ones({4})); }, "nll: the labels (4,) float32# are not int64; hint: convert them with .to(int64)"},
      {[&] {
         concat({x, logits}, 1);
       },
       "concat: the shapes differ in a dimension other than 1: first (2, 3) float32#, other (4, 3) float32#"},
      {[&] {
         conv2d(Tensor::ones({3, 8, 8}), Tensor::ones({1, 3, 3, 3}));
       },
       "conv2d: input and weight must be (n, in, height, width) and (out, in / groups, kernel height, kernel width): input (3, 8, 8) "
       "float32#, "
       "weight (1, 3, 3, 3) float32#; hint: unsqueeze(input, 0) makes a batch of one"},
      {[&] { norm(x, 0.5); }, "norm: p must be at least 1 (or infinity), not 0.5: input (2, 3) float32#"},
      {[&] { inverse(Tensor::ones({3})); }, "inverse: (3,) float32# is not a matrix: it must have at least two dimensions"},
  };
  for (const Mistake& mistake : mistakes) BOOST_TEST(without_places(text_of<Error>(mistake.make)) == mistake.told);
}

BOOST_AUTO_TEST_CASE(a_tensor_that_does_not_fit_into_memory_is_named) {
  const std::string message = message_of<MemoryError>([] { static_cast<void>(Tensor::zeros({1 << 30, 1 << 27})); });
  BOOST_TEST(message == "test_diagnostics.cpp:" + std::to_string(__LINE__ - 1) + ": tensor" +
                            ": there is not enough memory for (1073741824, 134217728) float32, which takes 5.76e+08 GB");
  const Tensor view = expand(Tensor::ones({}), {1 << 30, 1 << 27});  // takes no memory itself
  const std::string sum = message_of<MemoryError>([&] { static_cast<void>(view + 1); });
  BOOST_TEST(contains(sum, "test_diagnostics.cpp:" + std::to_string(__LINE__ - 1) + ": tensor: there is not enough memory for "));
  BOOST_TEST(contains(sum, "(1073741824, 134217728) float32"));
}

BOOST_AUTO_TEST_CASE(values_of_parameters_carry_the_parameters_name) {
  Parameter p(Tensor::ones({2}), "first");
  const auto begins = [](const Tensor& t, const std::string& text) {
    BOOST_TEST(describe(t).starts_with(text + " made at test_diagnostics.cpp:"), describe(t));
  };
  begins(p, "parameter first (2,) float32");
  begins(p.value(), "parameter first (2,) float32");
  begins(p * 2, "(2,) float32");
  begins(reshape(p, {1, 2}), "(1, 2) float32");
  {
    Tape tape;
    begins(p, "parameter first (2,) float32");
    begins(p + p, "(2,) float32");
  }
  p.ref()->rename("model.first");
  begins(p, "parameter model.first (2,) float32");
  p.set(Tensor::ones({3}));
  begins(p, "parameter model.first (3,) float32");
  const Parameter copy(p);
  begins(copy, "parameter model.first (3,) float32");
  begins(Parameter(Tensor::ones({2})), "parameter (2,) float32");
  p.freeze();
  begins(p, "parameter model.first (3,) float32");
}

BOOST_AUTO_TEST_CASE(numbers_read_the_same_under_a_comma_locale) {
  struct Comma : std::numpunct<char> {
    char do_decimal_point() const override { return ','; }
    char do_thousands_sep() const override { return '.'; }
    std::string do_grouping() const override { return "\3"; }
  };
  const auto told = [] {
    std::string all = message_of<DtypeError>([] { static_cast<void>(Tensor::from({1}, int64) * 0.5); });
    all += message_of<ShapeError>([] { static_cast<void>(Tensor::from({1, 2}, {Index(1234567)})); });
    all += check_gradient([](const Tensor& x) { return exp(x); }, {Tensor::from({0.5, 1234.5 / 1000}, float64)}).to_string();
    return all;
  };
  const std::string plain = told();
  const std::locale before = std::locale::global(std::locale(std::locale::classic(), new Comma));
  BOOST_TEST(told() == plain);
  std::locale::global(before);
  for (const char* name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"}) {
    if (!std::setlocale(LC_ALL, name)) continue;
    BOOST_TEST(told() == plain);
    std::setlocale(LC_ALL, "C");
    return;
  }
  BOOST_TEST_MESSAGE("no C locale with a comma is installed: checked only with the C++ locale");
}
