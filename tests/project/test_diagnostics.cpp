// What the user is told when something goes wrong: memory errors under AddressSanitizer, places, numbers under any locale.
#include <autodiff/autodiff.h>
#include <autodiff/runtime.h>
#include <autodiff/transforms/gradcheck.h>

#include <boost/test/unit_test.hpp>
#include <clocale>
#include <locale>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/sanitizers.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

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

/// Does what leads to an error of another operation later: its operand's line must be told.
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
  BOOST_TEST_MESSAGE("no C locale with a comma is installed: checked with the C++ one alone");
}
