#include "optim/lbfgs.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "optim/state.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

struct Rosenbrock {
  Parameter x{Tensor::from({-1.2, 1.0}, float64), "x"};

  Tensor value() const {
    const Tensor a = x[0], b = x[1];
    return 100 * square(b - square(a)) + square(1 - a);
  }
};

std::vector<double> values(const Parameter& p) { return p.value().to_vector<double>(); }

std::string path() { return "lbfgs.optimizer.safetensors"; }

}  // namespace

BOOST_FIXTURE_TEST_CASE(it_finds_the_minimum_of_rosenbrocks_valley, Rosenbrock) {
  optim::LBFGS lbfgs({x}, {.max_iterations = 100, .tolerance_change = 0});
  const double start = lbfgs.step([&] { return value(); });
  BOOST_TEST(start == 24.2, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(std::abs(values(x)[0] - 1) < 1e-8);
  BOOST_TEST(std::abs(values(x)[1] - 1) < 1e-8);
  BOOST_TEST(lbfgs.iterations() < 50);
  BOOST_TEST(lbfgs.evaluations() < 70);
  const Index before = lbfgs.evaluations();
  (void)lbfgs.step([&] { return value(); });  // at the minimum it evaluates once
  BOOST_TEST(lbfgs.evaluations() == before + 1);
}

// With exact line searches BFGS would need n iterations for a quadratic of n dimensions; these are not exact, and the scales differ by 1e4.
BOOST_AUTO_TEST_CASE(scales_that_differ_do_not_matter) {
  const Parameter a(Tensor::from({3, -2}, float64)), b(Tensor::from({{1, 1}}, float64));
  const Tensor scale = Tensor::from({1e4, 1}, float64), other = Tensor::from({{100, 0.1}}, float64);
  optim::LBFGS lbfgs({a, b}, {.max_iterations = 60});
  for (int step = 0; step < 3; ++step) (void)lbfgs.step([&] { return sum(scale * square(Tensor(a))) + sum(other * square(b - 2)); });
  for (const double v : values(a)) BOOST_TEST(std::abs(v) < 1e-6);
  for (const double v : values(b)) BOOST_TEST(std::abs(v - 2) < 1e-4);
}

BOOST_FIXTURE_TEST_CASE(a_step_without_line_search_goes_along_the_gradient_first, Rosenbrock) {
  optim::LBFGS lbfgs({x}, {.lr = 0.5, .max_iterations = 1, .line_search = false});
  (void)lbfgs.step([&] { return value(); });
  const double g0 = -215.6, g1 = -88, t = 0.5 / (215.6 + 88);  // t = min(1, 1 / |g|_1) lr
  BOOST_TEST(values(x)[0] == -1.2 - t * g0, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(values(x)[1] == 1 - t * g1, boost::test_tools::tolerance(1e-12));
  BOOST_TEST(lbfgs.evaluations() == 1);
}

BOOST_AUTO_TEST_CASE(a_value_that_is_not_a_number_shortens_the_step) {
  const Parameter x(Tensor::from({0.5}, float64));
  optim::LBFGS lbfgs({x}, {.lr = 100, .max_iterations = 50});
  (void)lbfgs.step([&] { return sum(square(log(x) - 1)); });  // x < 0: NaN
  (void)lbfgs.step([&] { return sum(square(log(x) - 1)); });
  BOOST_TEST(values(x)[0] == std::exp(1.0), boost::test_tools::tolerance(1e-6));
}

BOOST_AUTO_TEST_CASE(frozen_parameters_stay_and_float32_is_trained_too) {
  Parameter a(Tensor::from({1, 2}), "a"), b(Tensor::from({3}), "b");
  b.freeze();
  optim::LBFGS lbfgs({a, b});
  (void)lbfgs.step([&] { return sum(square(a - 5)) + sum(square(Tensor(b))); });
  BOOST_TEST(values(b) == (std::vector<double>{3}));
  BOOST_TEST(std::abs(values(a)[0] - 5) < 1e-5);
  BOOST_TEST((a.dtype() == float32));
}

BOOST_FIXTURE_TEST_CASE(an_exception_leaves_everything_as_it_was, Rosenbrock) {
  optim::LBFGS lbfgs({x}, {.max_iterations = 3});
  (void)lbfgs.step([&] { return value(); });
  const std::vector<double> before = values(x);
  const Index iterations = lbfgs.iterations();
  int calls = 0;
  BOOST_CHECK_THROW((void)lbfgs.step([&] {
    if (++calls == 3) throw Error("enough");
    return value();
  }),
                    Error);
  BOOST_TEST(values(x) == before);
  BOOST_TEST(lbfgs.iterations() == iterations);
  BOOST_TEST(contains(message_of<ValueError>([&] { (void)lbfgs.step([&] { return value() / 0; }); }), "not finite where the step starts"));
  BOOST_TEST(values(x) == before);
}

BOOST_FIXTURE_TEST_CASE(a_resumed_run_has_the_bits_of_an_undisturbed_one, Rosenbrock) {
  for (const bool line_search : {true, false}) {
    const optim::LBFGSOptions options{.lr = line_search ? 1 : 0.1, .max_iterations = 3, .history_size = 4, .line_search = line_search};
    Rosenbrock undisturbed, stopped, resumed;
    optim::LBFGS all({undisturbed.x}, options), first({stopped.x}, options), second({resumed.x});
    for (int step = 0; step < 6; ++step) (void)all.step([&] { return undisturbed.value(); });
    for (int step = 0; step < 2; ++step) (void)first.step([&] { return stopped.value(); });
    optim::save(first, path());
    resumed.x = stopped.x;
    optim::load(second, path());
    for (int step = 2; step < 6; ++step) (void)second.step([&] { return resumed.value(); });
    BOOST_TEST(values(resumed.x) == values(undisturbed.x));
    BOOST_TEST(second.evaluations() == all.evaluations());
    optim::LBFGS forgetful({stopped.x}, options);
    for (int step = 2; step < 6; ++step) (void)forgetful.step([&] { return stopped.value(); });
    BOOST_TEST(values(stopped.x) != values(undisturbed.x));
  }
  std::remove(path().c_str());
}

BOOST_FIXTURE_TEST_CASE(a_state_that_does_not_fit_is_refused, Rosenbrock) {
  optim::LBFGS lbfgs({x}, {.max_iterations = 2, .max_evaluations = 10});
  (void)lbfgs.step([&] { return value(); });
  const std::vector<NamedTensor> good = lbfgs.state();
  const auto refused = [&](std::vector<NamedTensor> state, const char* words) {
    const std::string message = message_of<DataError>([&] { lbfgs.load_state(state); });
    BOOST_TEST(contains(message, words), message);
    BOOST_TEST(lbfgs.iterations() == 2);
    BOOST_TEST(lbfgs.state().size() == good.size());
  };
  std::vector<NamedTensor> state(good.begin(), good.end() - 1);
  refused(state, "is missing");
  state = good;
  state.push_back({"LBFGS.more", Tensor::zeros({1})});
  refused(state, "\"LBFGS.more\" is unexpected");
  state = good;
  state[0].value = Tensor::full({}, -1, float64);
  refused(state, "LBFGS: lr must be finite and positive, but it is -1");
  state = good;
  state[0].name = "SGD.settings.0.lr";
  refused(state, "not the state of LBFGS");
  const Parameter a(Tensor::zeros({2}, float64), "a"), b(Tensor::zeros({2}, float64), "b");
  optim::LBFGS in_order({a, b}), reversed({b, a});
  BOOST_TEST(contains(message_of<DataError>([&] { reversed.load_state(in_order.state()); }),
                      "LBFGS.parameters.b is at position 1, but here at 0"));
  const Parameter other(Tensor::zeros({1, 2}, float64), "x");
  optim::LBFGS wrong({other});
  BOOST_TEST(contains(message_of<DataError>([&] { wrong.load_state(good); }), "LBFGS.parameters.x.shape is (1,)"));
}

BOOST_FIXTURE_TEST_CASE(wrong_options_are_errors, Rosenbrock) {
  const auto refused = [&](const optim::LBFGSOptions& options, const char* name) {
    BOOST_TEST(contains(message_of<ValueError>([&] { optim::LBFGS({x}, options); }), std::string("LBFGS: ") + name));
    optim::LBFGS lbfgs({x});
    BOOST_CHECK_THROW(lbfgs.set_options(options), ValueError);
    BOOST_TEST(lbfgs.options().lr == 1);
  };
  refused({.lr = 0}, "lr");
  refused({.max_iterations = 0}, "max_iterations");
  refused({.max_evaluations = -1}, "max_evaluations");
  refused({.tolerance_grad = -1}, "tolerance_grad");
  refused({.tolerance_change = std::nan("")}, "tolerance_change");
  refused({.history_size = 0}, "history_size");
  BOOST_CHECK_THROW(optim::LBFGS({}, {}), Error);
  BOOST_CHECK_THROW(optim::LBFGS({x, x}, {}), Error);
  optim::LBFGS lbfgs({x});
  Tape tape;
  BOOST_CHECK_THROW((void)lbfgs.step([&] { return value(); }), TapeError);
}
