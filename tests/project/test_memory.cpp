// Memory that runs out: the k-th request fails, for every k, alone or with all that follow. Whatever was under way is then as if it had not
// begun, or it is done; everything stays usable. Also functions of the user that throw.
//
// The linker leads the library's calls of pool::allocate here (--wrap), and operator new is replaced, so that every request counts, and
// not only those for which the pool goes to the heap.
#include <autodiff/autodiff.h>
#include <nn/nn.h>
#include <optim/optim.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <functional>
#include <limits>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/derivatives.h"
#include "tests/support/temporary_folder.h"

using namespace wengert;
using testing::Numbers;
using testing::numbers;

namespace {

// Requests until the one that fails; at most 0: it has failed.
constexpr long kNever = std::numeric_limits<long>::max();
std::atomic<long> remaining{kNever};
std::atomic<bool> all_that_follow{false};

bool fails() {
  if (remaining.load(std::memory_order_relaxed) == kNever) return false;
  const long left = remaining.fetch_sub(1, std::memory_order_relaxed) - 1;
  return left == 0 || (left < 0 && all_that_follow.load(std::memory_order_relaxed));
}

}  // namespace

extern "C" {
void* __real__ZN7wengert4pool8allocateEm(std::size_t bytes);
void* __wrap__ZN7wengert4pool8allocateEm(std::size_t bytes) {
  if (fails()) throw std::bad_alloc();
  return __real__ZN7wengert4pool8allocateEm(bytes);
}
}

void* operator new(std::size_t bytes) {
  void* block = fails() ? nullptr : std::malloc(bytes > 0 ? bytes : 1);
  if (!block) throw std::bad_alloc();
  return block;
}
// std::stable_sort asks for its buffer so; without one it sorts in place.
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return fails() ? nullptr : std::malloc(bytes > 0 ? bytes : 1); }
void operator delete(void* block, const std::nothrow_t&) noexcept { std::free(block); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace {

// Whether f ended. If not, memory ran out, and nothing else went wrong.
bool with_failure(long k, bool and_all_that_follow, const std::function<void()>& f, bool& failed) {
  std::exception_ptr other;
  bool ended = false;
  all_that_follow = and_all_that_follow;
  remaining = k;
  try {
    f();
    ended = true;
  } catch (const std::bad_alloc&) {
  } catch (const MemoryError&) {
  } catch (...) {
    other = std::current_exception();
  }
  failed = remaining.exchange(kNever) <= 0;
  if (other) std::rethrow_exception(other);
  return ended;
}

// Runs attempt() until no request fails any more, and check(whether it ended) after each run.
void fail_every_request(const std::function<void()>& attempt, const std::function<void(bool)>& check) {
  for (const bool all : {false, true}) {
    long k = 0;
    for (bool failed = true; failed;) {
      BOOST_REQUIRE(++k < 100'000);
      const bool ended = with_failure(k, all, attempt, failed);
      BOOST_TEST_INFO_SCOPE("request " << k << (all ? " and all that follow" : ""));
      if (!failed) BOOST_TEST(ended);
      check(ended);
    }
    BOOST_TEST(k > 1);  // something was requested
    BOOST_TEST_MESSAGE(k - 1 << " requests");
  }
}

struct Model {
  Generator g{7};
  nn::Linear hidden{4, 5, {}, g}, out{5, 3, {}, g};
  Tensor x = g.normal({6, 4}), labels = g.integers({6}, 0, 3);

  ParameterList parameters() { return {hidden.weight, hidden.bias, out.weight, out.bias}; }
  Tensor loss() { return cross_entropy(out(tanh(hidden(x))), labels); }
  Numbers weights() {
    Numbers all;
    for (const Tensor& t : {hidden.weight.value(), hidden.bias.value(), out.weight.value(), out.bias.value()})
      for (const double v : numbers(t)) all.push_back(v);
    return all;
  }
};

Numbers flat(const Gradients& gradients) {
  Numbers all;
  for (std::size_t i = 0; i < gradients.size(); ++i)
    for (const double v : numbers(gradients[i])) all.push_back(v);
  return all;
}

}  // namespace

// ---- tapes -----------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_forward_and_a_backward_pass) {
  Model m;
  const ParameterList parameters = m.parameters();
  const auto gradient = [&] {
    Tape tape;
    return flat(tape.gradient(m.loss(), parameters));
  };
  const Numbers expected = gradient();
  Numbers found;
  fail_every_request([&] { found = gradient(); },
                     [&](bool) {
                       found.clear();
                       BOOST_TEST(!recording());
                       BOOST_TEST(gradient() == expected);
                     });
}

BOOST_AUTO_TEST_CASE(many_scalars) {
  const auto gradient = [] {
    Tape tape;
    const Scalar x = tape.variable(0.5);
    Scalar y = x;
    for (int i = 0; i < 20'000; ++i) y = sin(y) + x;
    return tape.gradient(y, x);
  };
  const double expected = gradient();
  fail_every_request([&] { pool::trim(), gradient(); }, [&](bool) { BOOST_TEST(gradient() == expected); });
}

BOOST_AUTO_TEST_CASE(an_operation_on_a_tape_that_goes_on) {
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({1, 2, 3}, float64)), y = x * x, matrix = expand(y, {3, 3});
  const std::vector<std::function<Tensor()>> operations{
      [&] { return y * x; },         [&] { return concat({x, y}, 0); }, [&] { return matmul(matrix, matrix); },
      [&] { return softmax(y, 0); }, [&] { return cumsum(y, 0); },      [&] { return sum(matrix, 1); },
  };
  for (const auto& operation : operations) {
    std::size_t nodes = tape.nodes();
    fail_every_request([&] { operation(); },
                       [&](bool ended) {
                         if (!ended) BOOST_TEST(tape.nodes() == nodes);
                         nodes = tape.nodes();
                         BOOST_TEST(numbers(tape.gradient(sum(y), wrt(x), {.retain = true})) == (Numbers{2, 4, 6}));
                         nodes = tape.nodes();
                       });
  }
  BOOST_TEST(numbers(tape.gradient(sum(y), x)) == (Numbers{2, 4, 6}));
}

BOOST_AUTO_TEST_CASE(a_sweep_of_a_tape_that_goes_on) {
  Model m;
  const ParameterList parameters = m.parameters();
  Tape tape;
  const Scalar s = tape.variable(2.0);
  const Tensor loss = m.loss() * (s * s);
  const auto first = [&] { return flat(tape.gradient(loss, parameters, {.retain = true})); };
  const auto of_scalar = [&] { return tape.gradient(loss, wrt(s), {.retain = true}); };
  const auto forward = [&] { return tape.jvp(loss, wrt(s), {Tensor::ones({}, float64)}).item(); };
  const Numbers expected = first();
  const double slope = of_scalar();
  const auto check = [&](bool) {
    BOOST_TEST(first() == expected);
    BOOST_TEST(of_scalar() == slope);
    BOOST_TEST(forward() == slope, boost::test_tools::tolerance(1e-6));
  };
  fail_every_request([&] { first(); }, check);
  fail_every_request([&] { of_scalar(); }, check);
  fail_every_request([&] { forward(); }, check);
}

BOOST_AUTO_TEST_CASE(a_recorded_sweep) {
  Model m;
  const ParameterList parameters = m.parameters();
  Tape tape;
  const Tensor loss = m.loss();
  const auto first = [&] { return flat(tape.gradient(loss, parameters, {.retain = true})); };
  const auto second = [&] {
    const Gradients g = tape.gradient(loss, parameters, {.retain = true, .differentiable = true});
    return flat(tape.gradient(sum(square(g[0])), parameters, {.retain = true, .unreached = Unreached::zero}));
  };
  const Numbers of_first = first(), of_second = second();
  fail_every_request([&] { second(); },
                     [&](bool) {
                       BOOST_TEST(first() == of_first);
                       BOOST_TEST(second() == of_second);
                     });
}

BOOST_AUTO_TEST_CASE(derivatives_of_functions) {
  const Tensor x = Tensor::from({0.5, 1.5}, float64), v = Tensor::ones({2}, float64);
  const auto cube = custom_operation(
      "cube", [](const Tensor& a) { return a * a * a; },
      [](const Tensor& y_bar, const Tensor&, const Tensor& a) { return 3 * a * a * y_bar; },
      [](const Tensor& a_dot, const Tensor&, const Tensor& a) { return 3 * a * a * a_dot; });
  const auto f = [&](const Tensor& a) { return sum(checkpoint([&](const Tensor& b) { return cube(b) * sin(b); })(a)); };
  const std::vector<std::function<Numbers()>> derivatives{
      [&] { return numbers(gradient(f, x)); },
      [&] { return numbers(hvp(f, x, v)); },
      [&] { return numbers(hessian(f, x)); },
      [&] { return numbers(jvp(f, x, v)); },
  };
  for (const auto& derivative : derivatives) {
    const Numbers expected = derivative();
    fail_every_request([&] { derivative(); },
                       [&](bool) {
                         BOOST_TEST(!recording());
                         BOOST_TEST(derivative() == expected);
                       });
  }
}

// ---- training --------------------------------------------------------------------------------------------------------------------------

namespace {

template <class Optimizer, class Options> void check_step(const char* name, const Options& options) {
  BOOST_TEST_INFO_SCOPE(name);
  Model m, untroubled;
  Optimizer optimizer(m.parameters(), options), other(untroubled.parameters(), options);
  const auto gradients = [](Model& model) {
    Tape tape;
    const Gradients once = tape.gradient(model.loss(), model.parameters());
    Gradients sum = once;
    sum += once;  // so that none is a product that the step multiplies
    return sum;
  };
  for (const bool all : {false, true}) {
    long k = 0;
    for (bool failed = true; failed;) {
      const Gradients g = gradients(m);
      const Numbers before = m.weights();
      const std::vector<NamedTensor> held = nn::state(m.hidden);  // the step must not change elements that others share
      const Numbers kept = numbers(held[0].value);
      const bool ended = with_failure(
          ++k, all, [&] { optimizer.step(g, {.clip_norm = 1}); }, failed);
      if (ended) {
        other.step(gradients(untroubled), {.clip_norm = 1});
        BOOST_TEST(m.weights() == untroubled.weights());
      } else {
        BOOST_TEST(m.weights() == before);
      }
      BOOST_TEST(numbers(held[0].value) == kept);
    }
    BOOST_TEST(k > 1);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_step_of_an_optimizer_is_whole_or_nothing) {
  check_step<optim::SGD>("SGD", optim::SGDOptions{.lr = 0.1, .momentum = 0.9});
  check_step<optim::Adam>("Adam", optim::AdamOptions{.lr = 0.1});
  check_step<optim::RMSprop>("RMSprop", optim::RMSpropOptions{.lr = 0.1});
}

BOOST_AUTO_TEST_CASE(an_epoch_of_a_loader) {
  Generator g(1);
  const Tensor x = g.normal({10, 2}), y = g.integers({10}, 0, 3);
  for (const Index prefetch : {0, 2}) {
    const auto epoch = [&] {
      Generator order(3);
      const nn::DataLoader loader(x, y, {.batch_size = 4, .shuffle = true, .prefetch = prefetch, .generator = &order});
      Numbers all;
      for (const auto& batch : loader)
        for (const double v : numbers(batch.x)) all.push_back(v);
      return all;
    };
    const Numbers expected = epoch();
    fail_every_request([&] { epoch(); }, [&](bool) { BOOST_TEST(epoch() == expected); });
  }
}

BOOST_AUTO_TEST_CASE(parameters_keep_their_value_or_take_the_new_one) {
  Parameter p(Tensor::from({1, 2}));
  const Tensor value = Tensor::from({3, 4}, float32);
  fail_every_request([&] { p.set(value + 0); },
                     [&](bool ended) {
                       BOOST_TEST(numbers(p.value()) == (ended ? Numbers{3, 4} : Numbers{1, 2}));
                       p.set(Tensor::from({1, 2}));
                     });
}

// ---- files -----------------------------------------------------------------------------------------------------------------------------

BOOST_AUTO_TEST_CASE(a_file_is_the_old_one_or_the_new_one) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  Model m;
  nn::Linear other(4, 5, {}, m.g);
  nn::save(m.hidden, path);
  const std::string old = folder.read("model.safetensors");
  fail_every_request([&] { nn::save(other, path); },
                     [&](bool ended) {
                       BOOST_TEST((folder.read("model.safetensors") == old) == !ended);
                       BOOST_TEST(folder.count() == 1U);
                       nn::save(m.hidden, path);
                     });
}

BOOST_AUTO_TEST_CASE(a_model_is_loaded_whole_or_not_at_all) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  Model m;
  nn::Linear other(4, 5, {}, m.g);
  const Numbers of_file = numbers(m.hidden.weight.value()), before = numbers(other.weight.value());
  const nn::Linear start = other;
  nn::save(m.hidden, path);
  fail_every_request([&] { nn::load(other, path); },
                     [&](bool ended) {
                       BOOST_TEST(numbers(other.weight.value()) == (ended ? of_file : before));
                       BOOST_TEST((numbers(other.bias.value()) == numbers(start.bias.value())) == !ended);
                       other = start;
                     });
}

BOOST_AUTO_TEST_CASE(the_state_of_an_optimizer_is_loaded_whole_or_not_at_all) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path("adam.safetensors");
  Model m;
  optim::Adam trained(m.parameters(), {.lr = 0.1});
  std::optional<optim::Adam> fresh(std::in_place, m.parameters(), optim::AdamOptions{.lr = 0.5});
  {
    Tape tape;
    trained.step(tape.gradient(m.loss(), m.parameters()));
  }
  optim::save(trained, path);
  const std::size_t of_trained = trained.state().size(), of_fresh = fresh->state().size();
  BOOST_TEST(of_trained > of_fresh);
  fail_every_request([&] { optim::load(*fresh, path); },
                     [&](bool ended) {
                       BOOST_TEST(fresh->learning_rate() == (ended ? 0.1 : 0.5));
                       BOOST_TEST(fresh->state().size() == (ended ? of_trained : of_fresh));
                       if (ended) fresh.emplace(m.parameters(), optim::AdamOptions{.lr = 0.5});
                     });
}

BOOST_AUTO_TEST_CASE(readers) {
  const testing::TemporaryFolder folder;
  const std::string csv = folder.write("a.csv", "x,y\n1,2\n3,4\n"), npy = folder.path("a.npy");
  write_npy(npy, Tensor::from({1, 2, 3}));
  const auto read_table = [&] { return numbers(nn::read_csv(csv).tensor({"x", "y"})); };
  const auto read_array = [&] { return numbers(read_npy(npy)); };
  fail_every_request([&] { read_table(); }, [&](bool) { BOOST_TEST(read_table() == (Numbers{1, 2, 3, 4})); });
  fail_every_request([&] { read_array(); }, [&](bool) { BOOST_TEST(read_array() == (Numbers{1, 2, 3})); });
}

// ---- functions of the user that throw --------------------------------------------------------------------------------------------------

namespace {

struct Mistake : std::runtime_error {
  Mistake() : std::runtime_error("the user's") {}
};

}  // namespace

BOOST_AUTO_TEST_CASE(custom_operations_that_throw) {
  enum class In { nothing, forward, vjp, jvp } in = In::nothing;
  const auto square = custom_operation(
      "square",
      [&](const Tensor& x) {
        if (in == In::forward) throw Mistake();
        return x * x;
      },
      [&](const Tensor& y_bar, const Tensor&, const Tensor& x) {
        if (in == In::vjp) throw Mistake();
        return 2 * x * y_bar;
      },
      [&](const Tensor& x_dot, const Tensor&, const Tensor& x) {
        if (in == In::jvp) throw Mistake();
        return 2 * x * x_dot;
      });
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({1, 2}, float64)), y = sum(square(x)), one = Tensor::ones({2}, float64);
  const std::size_t nodes = tape.nodes();
  const auto check = [&] {
    in = In::nothing;
    BOOST_TEST(tape.nodes() == nodes);
    BOOST_TEST(numbers(tape.gradient(y, wrt(x), {.retain = true})) == (Numbers{2, 4}));
    BOOST_TEST(tape.jvp(y, wrt(x), {one}).item() == 6);
  };
  in = In::forward;
  BOOST_CHECK_THROW(square(x), Mistake);
  check();
  in = In::vjp;
  BOOST_CHECK_THROW(tape.gradient(y, wrt(x), {.retain = true}), Mistake);
  check();
  BOOST_CHECK_NO_THROW(tape.gradient(y, wrt(x), {.retain = true}));
  in = In::jvp;
  BOOST_CHECK_THROW(tape.jvp(y, wrt(x), {one}), Mistake);
  check();
}

BOOST_AUTO_TEST_CASE(checkpoints_that_throw_the_second_time) {
  int calls = 0, last = 0;
  const auto block = checkpoint([&](const Tensor& x) {
    if (++calls == last) throw Mistake();
    return x * x;
  });
  Tape tape;
  const Tensor x = tape.variable(Tensor::from({1, 2}, float64));
  last = 1;
  BOOST_CHECK_THROW(block(x), Mistake);
  BOOST_TEST(tape.nodes() == 0U);
  calls = 0, last = 2;
  const Tensor y = sum(block(x));
  BOOST_CHECK_THROW(tape.gradient(y, wrt(x), {.retain = true}), Mistake);
  BOOST_TEST(recording());
  BOOST_TEST(numbers(tape.gradient(y, x)) == (Numbers{2, 4}));
}

BOOST_AUTO_TEST_CASE(transforms_of_functions_that_throw) {
  const Tensor x = Tensor::from({1, 2}, float64), v = Tensor::ones({2}, float64);
  const auto throws = [](const Tensor& a) {
    const Tensor y = sum(a * a);
    if (y.item() > 0) throw Mistake();
    return y;
  };
  BOOST_CHECK_THROW(gradient(throws, x), Mistake);
  BOOST_CHECK_THROW(hvp(throws, x, v), Mistake);
  BOOST_CHECK_THROW(hessian(throws, x), Mistake);
  BOOST_CHECK_THROW(jvp(throws, x, v), Mistake);
  BOOST_TEST(!recording());
  Tape tape;
  const Tensor t = tape.variable(x);
  BOOST_CHECK_THROW(gradient(throws, t), Mistake);
  BOOST_TEST(numbers(tape.gradient(sum(t * t), t)) == (Numbers{2, 4}));
}

BOOST_AUTO_TEST_CASE(a_transform_that_throws_in_the_thread_of_a_loader) {
  std::atomic<bool> bad{true};
  const nn::BatchTransform transform = [&](nn::Batch b, Generator&) {
    if (bad && b.y.element(0) == 2) throw Mistake();
    return b;
  };
  const nn::DataLoader loader(Tensor::ones({4, 2}), Tensor::from(std::vector<int>{0, 1, 2, 3}),
                              {.batch_size = 1, .prefetch = 2, .transform = transform});
  const auto epoch = [&] {
    Index batches = 0;
    for (const auto& batch : loader) batches += batch.x.size(0);
    return batches;
  };
  BOOST_CHECK_THROW(epoch(), Mistake);
  bad = false;
  BOOST_TEST(epoch() == 4);
}
