#include "autodiff/denormals.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cfenv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <tuple>
#include <type_traits>
#include <vector>

#include "autodiff/autodiff.h"
#include "autodiff/kernels/denormal_mode.h"
#include "autodiff/kernels/parallel.h"
#include "autodiff/runtime.h"
#include "tests/support/threads.h"

using namespace wengert;
using kernels::control_register;
using kernels::kFlushedDenormals;
using wengert::testing::Threads;

static_assert(!std::is_copy_constructible_v<FlushDenormals> && !std::is_copy_assignable_v<FlushDenormals>);
static_assert(!std::is_move_constructible_v<FlushDenormals> && !std::is_move_assignable_v<FlushDenormals>);

namespace {

// The control register without the flags of past operations, which x86 keeps in its lowest bits.
std::uint64_t settings() {
#if defined(__x86_64__)
  return control_register() & ~std::uint64_t{0x3f};
#else
  return control_register();
#endif
}

// Computed when they are called, by the thread that calls.
bool flushes_results() {
  volatile double x = 1e-300, y = 1e-10;
  return x * y == 0;
}
bool flushes_operands() {
  volatile double x = std::numeric_limits<double>::denorm_min(), y = 0x1p80;
  return x * y == 0;
}
bool flushes() { return flushes_results() && flushes_operands(); }
bool is_exact() { return !flushes_results() && !flushes_operands(); }

using FloatingTypes = std::tuple<float, double>;
constexpr int job_blocks = 30;

struct Observed {
  std::set<std::thread::id> threads;
  int flushing = 0, exact = 0;
};

// What the blocks of a job see. They last long enough for every thread of the pool to take some.
Observed observe_job() {
  Observed observed;
  std::mutex mutex;
  parallel_blocks(job_blocks, [&](std::int64_t) {
    const bool flushing = flushes(), exact = is_exact();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const std::lock_guard lock(mutex);
    observed.threads.insert(std::this_thread::get_id());
    observed.flushing += flushing;
    observed.exact += exact;
  });
  return observed;
}

void check_job(int threads, bool flushing) {
  Observed observed = observe_job();
  for (int again = 0; again < 100 && observed.threads.size() < static_cast<std::size_t>(threads); ++again)
    observed = observe_job();  // on a busy machine a thread may come too late for a job
  BOOST_TEST(observed.threads.size() == static_cast<std::size_t>(threads));
  BOOST_TEST(observed.flushing == (flushing ? job_blocks : 0));
  BOOST_TEST(observed.exact == (flushing ? 0 : job_blocks));
}

template <class T> constexpr Dtype dtype = sizeof(T) == 4 ? float32 : float64;

// By the bits, because a comparison may take it for zero.
template <class T> bool is_denormal(T x) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
  const Bits magnitude = std::bit_cast<Bits>(x) << 1;
  return magnitude != 0 && magnitude < std::bit_cast<Bits>(std::numeric_limits<T>::min()) << 1;
}
template <class T> std::ptrdiff_t denormal_numbers(const std::vector<T>& x) { return std::count_if(x.begin(), x.end(), is_denormal<T>); }

template <class T> bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Positive numbers, some of whose products are normal, some denormal and some zero.
template <class T> Tensor small_numbers(const Shape& shape) {
  const bool narrow = sizeof(T) == 4;
  return exp(2.302585 * Generator(5).uniform(shape, narrow ? -26 : -165, narrow ? -16 : -150, float64)).to(dtype<T>);
}

template <class T> void check_products(const Tensor& a, const Tensor& b, Tensor (*product)(const Tensor&, const Tensor&)) {
  std::vector<T> expected = product(a, b).to_vector<T>();
  BOOST_TEST(denormal_numbers(expected) > 50);
  std::replace_if(expected.begin(), expected.end(), is_denormal<T>, T(0));
  const FlushDenormals flush;
  BOOST_TEST(same_bits(product(a, b).to_vector<T>(), expected));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(where_the_processor_has_the_mode, *boost::unit_test::enable_if<kFlushedDenormals != 0>())

BOOST_AUTO_TEST_CASE_TEMPLATE(results_of_operations_are_normal_or_zero, T, FloatingTypes) {
  check_products<T>(small_numbers<T>({1000}), small_numbers<T>({1000}), [](const Tensor& a, const Tensor& b) { return a * b; });
  check_products<T>(small_numbers<T>({40, 1}), small_numbers<T>({1, 40}), [](const Tensor& a, const Tensor& b) { return matmul(a, b); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(denormal_operands_are_zeros, T, FloatingTypes) {
  const Tensor x = Tensor::full({100}, static_cast<double>(std::numeric_limits<T>::denorm_min()), dtype<T>);
  const double factor = 0x1p80;
  BOOST_TEST((x * factor).element(99) == static_cast<double>(std::numeric_limits<T>::denorm_min()) * factor);
  const FlushDenormals flush;
  BOOST_TEST((x * factor).element(99) == 0);
}

BOOST_AUTO_TEST_CASE(each_guard_leaves_what_it_found) {
  const std::uint64_t before = settings();
  BOOST_TEST(is_exact());
  {
    const FlushDenormals outer;
    BOOST_TEST(settings() == (before | kFlushedDenormals));
    BOOST_TEST(flushes());
    {
      const FlushDenormals inner;
      BOOST_TEST(flushes());
    }
    BOOST_TEST(flushes());
  }
  BOOST_TEST(settings() == before);
  BOOST_TEST(is_exact());
}

BOOST_AUTO_TEST_CASE(half_a_mode_of_the_program_comes_back) {
  const kernels::DenormalMode half = kFlushedDenormals & ~(kFlushedDenormals - 1);  // one of x86's two bits
  kernels::set_denormal_mode(half);
  const std::uint64_t before = settings();
  {
    const FlushDenormals flush;
    BOOST_TEST(flushes());
  }
  BOOST_TEST(settings() == before);
  kernels::set_denormal_mode(0);
}

BOOST_AUTO_TEST_CASE(the_direction_of_rounding_is_the_programs) {
  const int direction = std::fegetround();
  std::fesetround(FE_UPWARD);
  {
    const FlushDenormals flush;
    BOOST_TEST(std::fegetround() == FE_UPWARD);
    std::fesetround(FE_DOWNWARD);
  }
  BOOST_TEST(std::fegetround() == FE_DOWNWARD);
  std::fesetround(direction);
  BOOST_TEST(is_exact());
}

BOOST_AUTO_TEST_CASE(an_exception_ends_the_scope) {
  const std::uint64_t before = settings();
  const auto mistake = [] {
    const FlushDenormals flush;
    matmul(Tensor::ones({2, 3}), Tensor::ones({2, 3}));
  };
  BOOST_CHECK_THROW(mistake(), ShapeError);
  BOOST_TEST(settings() == before);
}

BOOST_AUTO_TEST_CASE(another_thread_is_not_concerned) {
  std::atomic<bool> inside{false}, seen{false};
  bool exact = false;
  std::thread other([&] {  // started before, because a new thread may begin with its maker's mode
    while (!inside) std::this_thread::yield();
    exact = is_exact();
    seen = true;
  });
  {
    const FlushDenormals flush;
    inside = true;
    while (!seen) std::this_thread::yield();
  }
  other.join();
  BOOST_TEST(exact);
}

BOOST_AUTO_TEST_CASE(workers_follow_their_owner) {
  for (const int threads : {1, 2, 5})
    for (const bool begin_inside : {false, true}) {
      set_num_threads(1);  // no worker is left: the first job makes new ones
      const Threads scope(threads);
      if (!begin_inside) check_job(threads, false);
      {
        const FlushDenormals flush;
        check_job(threads, true);
      }
      check_job(threads, false);
    }
}

BOOST_AUTO_TEST_CASE(workers_follow_a_mode_that_the_program_set_itself) {
  const Threads scope(3);
  kernels::set_denormal_mode(kFlushedDenormals);
  check_job(3, true);
  kernels::set_denormal_mode(0);
  check_job(3, false);
}

BOOST_AUTO_TEST_CASE(nested_jobs_follow_too) {
  const Threads scope(3);
  const FlushDenormals flush;
  std::atomic<int> flushing{0};
  parallel_blocks(10, [&](std::int64_t) { parallel_blocks(10, [&](std::int64_t) { flushing += flushes(); }); });
  BOOST_TEST(flushing == 100);
}

BOOST_AUTO_TEST_CASE(a_guard_in_a_block_is_the_blocks) {
  const Threads scope(3);
  parallel_blocks(job_blocks, [](std::int64_t) {
    const FlushDenormals flush;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  check_job(3, false);
}

BOOST_AUTO_TEST_CASE(workers_come_back_from_an_exception) {
  const Threads scope(3);
  const std::uint64_t before = settings();
  const auto failing_job = [] {
    const FlushDenormals flush;
    parallel_blocks(job_blocks, [](std::int64_t i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (i >= 3) throw std::runtime_error("block");
    });
  };
  BOOST_CHECK_THROW(failing_job(), std::runtime_error);
  BOOST_TEST(settings() == before);
  check_job(3, false);
}

BOOST_AUTO_TEST_CASE(owners_of_different_modes_take_turns) {
  const Threads scope(3);
  std::atomic<int> wrong{0};
  const auto jobs = [&](bool flushing) {
    for (int repeat = 0; repeat < 500; ++repeat) parallel_blocks(8, [&](std::int64_t) { wrong += flushing ? !flushes() : !is_exact(); });
  };
  std::thread other([&] { jobs(false); });
  {
    const FlushDenormals flush;
    jobs(true);
  }
  other.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(products_by_openblas) {
  const Tensor a = Tensor::full({300, 300}, 1e-160, float64);
  for (const int threads : {1, 2, 5}) {
    const Threads scope(threads);
    BOOST_TEST(denormal_numbers(matmul(a, a).to_vector<double>()) == 300 * 300);
    {
      const FlushDenormals flush;
      BOOST_TEST(max(matmul(a, a)).item() == 0);
    }
    BOOST_TEST(min(matmul(a, a)).item() > 0);
  }
}

// The gradient of  L = scale * sum(x^2 W):  the squares, and the gradient with its factor, pass through the denormal numbers.
template <class T> std::vector<T> gradient_of_small_numbers() {
  const Tensor w = Generator(7).uniform({200, 200}, 0, 1, dtype<T>);
  Tape tape;
  const Tensor x = tape.variable(small_numbers<T>({200, 200}));
  return tape.gradient(sum(matmul(x * x, w)) * (sizeof(T) == 4 ? 1e-20 : 1e-155), x).template to_vector<T>();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_sweep_has_the_same_bits_for_every_number_of_threads, T, FloatingTypes) {
  std::vector<T> exact, flushed;
  for (const int threads : {1, 2, 5}) {
    const Threads scope(threads);
    const auto outside = gradient_of_small_numbers<T>();
    BOOST_TEST(denormal_numbers(outside) > 1000);
    if (exact.empty()) exact = outside;
    BOOST_TEST(same_bits(outside, exact));

    const FlushDenormals flush;
    const auto inside = gradient_of_small_numbers<T>();
    BOOST_TEST(denormal_numbers(inside) == 0);
    BOOST_TEST(std::count(inside.begin(), inside.end(), T(0)) < 30'000);
    if (flushed.empty()) flushed = inside;
    BOOST_TEST(same_bits(inside, flushed));
  }
}

BOOST_AUTO_TEST_CASE(a_sweep_alone_may_flush) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::full({100}, 1e-20f));
  const Tensor y = sum(x * x);
  const Tensor seed = Tensor::full({}, 1e-20f);
  const std::vector<float> exact = tape.gradient(y, wrt(x), {.seed = seed, .retain = true}).to_vector<float>();
  BOOST_TEST(denormal_numbers(exact) == 100);
  const FlushDenormals flush;
  BOOST_TEST(max(tape.gradient(y, wrt(x), {.seed = seed})).item() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
