// A training step in its steady state asks nothing of the heap. This program counts every call of malloc and its kin.
#include <autodiff/autodiff.h>
#include <autodiff/runtime.h>
#include <dlfcn.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cerrno>
#include <cstring>

#include "tests/support/sanitizers.h"

using namespace wengert;

namespace {

std::atomic<bool> counting{false};
std::atomic<long> of_ours{0}, of_openblas{0};

/// OpenBLAS takes scratch memory of its own for some products.
bool is_openblas(void* caller) {
  Dl_info info;
  return dladdr(caller, &info) && info.dli_fname && std::strstr(info.dli_fname, "openblas");
}

[[maybe_unused]] void count(void* caller) {
  if (counting.load(std::memory_order_relaxed)) (is_openblas(caller) ? of_openblas : of_ours).fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

// The sanitizers bring their own malloc.
#if !WENGERT_TEST_ADDRESS_SANITIZER && !WENGERT_TEST_THREAD_SANITIZER
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_malloc(bytes);
}
void* calloc(std::size_t n, std::size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_calloc(n, bytes);
}
void* realloc(void* block, std::size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_realloc(block, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  count(__builtin_return_address(0));
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) {
  count(__builtin_return_address(0));
  *block = __libc_memalign(alignment, bytes);
  return *block ? 0 : ENOMEM;
}
}
#endif

namespace {

/// Calls of the heap by `rounds` runs of f, after as many to warm up. A second thread that gets its first work late takes its memory then:
/// a few tries, of which one must do without.
template <class F> long heap_calls(F&& f, int rounds) {
  constexpr int tries = 5;
  for (int i = 0; i < tries; ++i) {
    for (int k = 0; k < rounds; ++k) f();
    of_ours = of_openblas = 0;
    counting = true;
    for (int k = 0; k < rounds; ++k) f();
    counting = false;
    if (of_ours == 0) break;
  }
  BOOST_TEST_MESSAGE("calls of the heap in " << rounds << " rounds: " << of_ours << " of ours, " << of_openblas << " of OpenBLAS");
  return of_ours;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_hook_counts, *boost::unit_test::enable_if<!testing::kSanitizer>()) {
  counting = true;
  delete new int(1);
  counting = false;
  BOOST_TEST(of_ours > 0);
}

BOOST_AUTO_TEST_CASE(a_training_step_of_an_mlp) {
  set_num_threads(2);
  Generator random(1);
  Parameter w1(random.normal({64, 32}, 0, 0.1)), b1(Tensor::zeros({32})), w2(random.normal({32, 10}, 0, 0.1)), b2(Tensor::zeros({10}));
  const ParameterList list{w1, b1, w2, b2};
  Parameter* const all[] = {&w1, &b1, &w2, &b2};
  const Tensor x = random.normal({16, 64}), labels = random.integers({16}, 0, 10);
  double loss_value = 0;
  const auto step = [&] {
    Tape tape;
    const Tensor loss = cross_entropy(matmul(relu(matmul(x, w1) + b1), w2) + b2, labels);
    loss_value = loss.item();
    Gradients g = tape.gradient(loss, list);
    g.clip_norm(1);
    for (std::size_t i = 0; i < list.size(); ++i) all[i]->set(all[i]->value() - 0.1 * g[i]);
  };
  step();
  const double first = loss_value;
  BOOST_TEST(heap_calls(step, 50) == 0);
  BOOST_TEST(loss_value < first);
}

BOOST_AUTO_TEST_CASE(a_training_step_of_a_convolutional_network) {
  set_num_threads(2);
  Generator random(1);
  Parameter w1(random.normal({8, 1, 5, 5}, 0, 0.2)), b1(Tensor::zeros({8})), w2(random.normal({8, 8, 3, 3}, 0, 0.1)),
      b2(Tensor::zeros({8}));
  Parameter w3(random.normal({10, 32}, 0, 0.1));
  const ParameterList list{w1, b1, w2, b2, w3};
  Parameter* const all[] = {&w1, &b1, &w2, &b2, &w3};
  const Tensor x = random.normal({16, 1, 16, 16}), labels = random.integers({16}, 0, 10);
  double loss_value = 0;
  const auto step = [&] {
    Tape tape;
    const Tensor first = max_pool2d(relu(conv2d(x, w1, b1)), 2);
    const Tensor second = avg_pool2d(relu(conv2d(first, w2, b2, {.padding = 1})), 3);
    const Tensor loss = cross_entropy(linear(flatten(second, 1), w3), labels);
    loss_value = loss.item();
    const Gradients g = tape.gradient(loss, list);
    for (std::size_t i = 0; i < list.size(); ++i) all[i]->set(all[i]->value() - 0.1 * g[i]);
  };
  step();
  const double first = loss_value;
  BOOST_TEST(heap_calls(step, 30) == 0);
  BOOST_TEST(loss_value < first);
}

BOOST_AUTO_TEST_CASE(a_training_step_of_recurrent_networks) {
  Generator random(1);
  const auto parameter = [&](const Shape& shape) { return Parameter(random.uniform(shape, -0.3, 0.3)); };
  const Parameter w4(parameter({32, 4})), u4(parameter({32, 8})), b4(parameter({32})), w3(parameter({24, 8})), u3(parameter({24, 8})),
      b3(parameter({24}));
  const ParameterList list{w4, u4, b4, w3, u3, b3};
  const Tensor x = random.normal({6, 5, 4}), lengths = Tensor::from({6, 3, 5, 6, 1}, int64), labels = random.integers({5}, 0, 8);
  const auto step = [&] {
    Tape tape;
    const RecurrentWeights four[] = {{w4, u4, b4, b4}}, three[] = {{w3, u3, b3, b3}};
    const Tensor below = lstm(x, {}, four, {.lengths = lengths}).output + lstm(x, {}, four).output, above = gru(below, {}, three).h;
    const Tensor loss = cross_entropy(layer_norm(dropout(select(above, 0, 0), 0.25, random), {8}), labels);
    static_cast<void>(tape.gradient(loss, list));
  };
  BOOST_TEST(heap_calls(step, 20) == 0);
}

BOOST_AUTO_TEST_CASE(a_step_of_scalars_and_of_scalars_with_tensors) {
  const Parameter p(Tensor::from({0.5, -0.25}, float64));
  double slope = 0;
  const auto step = [&] {
    Tape tape;
    Scalar w = tape.variable(slope), e = 0;
    for (int i = 0; i < 1000; ++i) e += square(0.5 - sigmoid(w * (0.01 * i)));
    const Tensor v = p;
    e += v(0) * v(1);
    slope -= 1e-3 * tape.gradient(e * sum(v * v).item(), w);
  };
  BOOST_TEST(heap_calls(step, 50) == 0);
}

BOOST_AUTO_TEST_CASE(a_program_on_lanes_of_several_paths) {
  const auto f = [](auto p, auto d) { return d[0] < p[0] ? exp(p[1] * d[0]) : d[0] < 0.75 ? p[1] * d[0] : sin(d[0] * p[0]); };
  const Program program = record(f, {.parameters = 2, .data = 1}, {0.5, 2.0, 0.25});
  std::vector<double> x(1000), y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.001 * static_cast<double>(i);
  const std::vector<double> p{0.5, 2};
  std::vector<double> slope(2);
  const Columns columns{x};
  double sum = 0;
  const auto step = [&] {
    program.values(p, columns, y);
    sum = program.sum_and_gradient(p, columns, slope);
  };
  BOOST_TEST(heap_calls(step, 20) == 0);
  BOOST_TEST(program.paths() == 3);
  BOOST_TEST(sum != 0);
}

BOOST_AUTO_TEST_CASE(a_gradient_of_a_gradient) {
  const Parameter w(Tensor::from({{0.5, -0.25}, {0.125, 1}}, float64));
  const auto step = [&] {
    Tape tape;
    const Tensor v = w, g = tape.differentiable_gradient(sum(tanh(matmul(v, v))), v);
    static_cast<void>(tape.gradient(sum(g * g), v));
  };
  BOOST_TEST(heap_calls(step, 20) == 0);
}
