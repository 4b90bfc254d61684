#include "optim/state.h"

#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "optim/optim.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

// A training with two named parameters, whose gradients depend on the step.
struct Training {
  Parameter w{Tensor::from({{1, -2, 3}, {0.5, 0.25, -1}}), "w"}, b{Tensor::from({0.5, -0.5, 1}), "b"};
  int step = 0;

  ParameterList parameters() const { return {w, b}; }
  void run(optim::Optimizer& optimizer, int steps) {
    for (int end = step + steps; step < end; ++step) {
      Tape tape;
      const Tensor loss = sum(square(sin(Tensor(w) * (1.0 + 0.1 * step)) + Tensor(b)));
      optimizer.step(tape.gradient(loss, parameters()));
    }
  }
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<optim::Optimizer>(const Training&)> make, make_otherwise;  // otherwise: with other settings
};

template <class O, class Options> Kind kind(const char* name, const Options& options) {
  return {name, [options](const Training& t) { return std::make_unique<O>(t.parameters(), options); },
          [](const Training& t) { return std::make_unique<O>(t.parameters()); }};
}

std::vector<Kind> kinds() {
  using namespace optim;
  return {kind<SGD>("plain SGD", SGDOptions{.lr = 0.02, .weight_decay = 0.1}),
          kind<SGD>("SGD", SGDOptions{.lr = 0.02, .momentum = 0.9, .dampening = 0.1, .maximize = true}),
          kind<SGD>("Nesterov", SGDOptions{.lr = 0.02, .momentum = 0.9, .nesterov = true}),
          kind<Adam>("Adam", AdamOptions{.lr = 0.05, .beta1 = 0.8, .weight_decay = 0.1}),
          kind<Adam>("AMSGrad", AdamOptions{.lr = 0.05, .amsgrad = true}),
          kind<AdamW>("AdamW", AdamWOptions{.lr = 0.05, .beta2 = 0.9}),
          kind<NAdam>("NAdam", NAdamOptions{.lr = 0.05, .momentum_decay = 0.1}),
          kind<RAdam>("RAdam", RAdamOptions{.lr = 0.05, .beta2 = 0.9}),
          kind<Adamax>("Adamax", AdamaxOptions{.lr = 0.05}),
          kind<RMSprop>("RMSprop", RMSpropOptions{.lr = 0.02, .momentum = 0.5, .centered = true}),
          kind<Adagrad>("Adagrad", AdagradOptions{.lr = 0.1, .lr_decay = 0.1, .initial_sum = 0.5}),
          kind<Adadelta>("Adadelta", AdadeltaOptions{.lr = 0.5, .rho = 0.8}),
          kind<Lion>("Lion", LionOptions{.lr = 0.01, .weight_decay = 0.1}),
          kind<Rprop>("Rprop", RpropOptions{.lr = 0.02, .grow = 1.3})};
}

// Exact bits, as numbers that compare.
std::vector<double> bits(const Training& t) {
  std::vector<double> all = t.w.value().to_vector<double>();
  const std::vector<double> more = t.b.value().to_vector<double>();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

bool same(const std::vector<NamedTensor>& a, const std::vector<NamedTensor>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name != b[i].name || a[i].value.dtype() != b[i].value.dtype() || a[i].value.shape() != b[i].value.shape() ||
        a[i].value.to_vector<double>() != b[i].value.to_vector<double>())
      return false;
  }
  return true;
}

std::string path(const char* name) { return std::string(name) + ".optimizer.safetensors"; }

}  // namespace

BOOST_AUTO_TEST_CASE(a_resumed_run_has_the_bits_of_an_undisturbed_one) {
  for (const Kind& kind : kinds()) {
    BOOST_TEST_CONTEXT(kind.name) {
      Training undisturbed;
      const auto optimizer = kind.make(undisturbed);
      undisturbed.run(*optimizer, 20);

      Training stopped;
      const auto first = kind.make(stopped);
      stopped.run(*first, 7);
      optim::save(*first, path("resume"));

      Training resumed;
      resumed.w = stopped.w;
      resumed.b = stopped.b;
      resumed.step = stopped.step;
      const auto second = kind.make_otherwise(resumed);
      optim::load(*second, path("resume"));
      BOOST_TEST(same(second->state(), first->state()));
      resumed.run(*second, 13);
      BOOST_TEST((bits(resumed) == bits(undisturbed)));

      Training forgetful;  // the test can fail: without the state the bits are others, unless there is none
      forgetful.w = stopped.w;
      forgetful.b = stopped.b;
      forgetful.step = stopped.step;
      const auto third = kind.make(forgetful);
      forgetful.run(*third, 13);
      BOOST_TEST((bits(forgetful) == bits(undisturbed)) == (std::string(kind.name) == "plain SGD"));
    }
  }
  std::remove(path("resume").c_str());
}

BOOST_AUTO_TEST_CASE(a_state_goes_by_names) {
  Training t;
  optim::Adam adam(t.parameters(), {.lr = 0.05});
  t.run(adam, 2);
  std::vector<std::string> names;
  for (const NamedTensor& tensor : adam.state()) names.push_back(tensor.name);
  BOOST_TEST(names == (std::vector<std::string>{"Adam.settings.0.lr", "Adam.settings.0.beta1", "Adam.settings.0.beta2",
                                                "Adam.settings.0.eps", "Adam.settings.0.weight_decay", "Adam.settings.0.maximize",
                                                "Adam.settings.0.amsgrad", "Adam.parameters.w.position", "Adam.parameters.w.updates",
                                                "Adam.parameters.w.m", "Adam.parameters.w.v", "Adam.parameters.b.position",
                                                "Adam.parameters.b.updates", "Adam.parameters.b.m", "Adam.parameters.b.v"}),
             boost::test_tools::per_element());
  const Parameter p(Tensor::zeros({2})), q(Tensor::zeros({2}));
  BOOST_TEST(optim::SGD({p, q}).state().back().name == "SGD.parameters.1.updates");
  const Parameter a(Tensor::zeros({2}), "same"), b(Tensor::zeros({2}), "same");
  BOOST_TEST(optim::SGD({a, b}).state().back().name == "SGD.parameters.1.updates");
}

BOOST_AUTO_TEST_CASE(a_state_may_list_the_parameters_in_another_order) {
  Training t, u;
  optim::Adam first(t.parameters());
  t.run(first, 3);
  optim::Adam second({u.b, u.w});
  second.load_state(first.state());
  u.w = t.w;
  u.b = t.b;
  u.step = t.step;
  t.run(first, 3);
  u.run(second, 3);
  BOOST_TEST((bits(t) == bits(u)));
}

BOOST_AUTO_TEST_CASE(parameters_without_names_go_by_position) {
  Training named;
  optim::Adam first(named.parameters());
  named.run(first, 3);
  const Parameter w(named.w.value()), b(named.b.value());
  optim::Adam unnamed({w, b}), again(named.parameters());
  unnamed.load_state(first.state());
  BOOST_TEST(unnamed.state().back().name == "Adam.parameters.1.v");
  BOOST_TEST((unnamed.state().back().value.to_vector<double>() == first.state().back().value.to_vector<double>()));
  again.load_state(unnamed.state());
  BOOST_TEST(same(again.state(), first.state()));
  // Both with names, but others: these are other parameters, whatever their positions.
  const Parameter u(named.w.value(), "u"), v(named.b.value(), "v");
  optim::Adam other({u, v});
  BOOST_TEST(contains(message_of<DataError>([&] { other.load_state(first.state()); }), "Adam.parameters.u.updates is missing"));
  optim::Adam fewer({w});
  BOOST_CHECK_THROW(fewer.load_state(first.state()), DataError);
}

BOOST_AUTO_TEST_CASE(tensors_of_a_state_keep_their_values) {
  Training t;
  optim::Adam adam(t.parameters());
  t.run(adam, 1);
  const std::vector<NamedTensor> before = adam.state();
  std::vector<std::vector<double>> values;
  for (const NamedTensor& tensor : before) values.push_back(tensor.value.to_vector<double>());
  t.run(adam, 1);
  for (std::size_t i = 0; i < before.size(); ++i) BOOST_TEST((before[i].value.to_vector<double>() == values[i]));
}

namespace {

// The state of an Adam with two steps, and an Adam that must not change.
struct Refusal {
  Training t;
  optim::Adam given{t.parameters(), {.lr = 0.05}}, adam{t.parameters(), {.lr = 0.01}};
  std::vector<NamedTensor> state, before;

  Refusal() {
    t.run(given, 2);
    t.run(adam, 1);
    state = given.state();
    before = adam.state();
  }
  NamedTensor& find(const std::string& name) {
    for (NamedTensor& tensor : state)
      if (tensor.name == name) return tensor;
    throw Error("no " + name);
  }
  void remove(const std::string& name) {
    std::vector<NamedTensor> rest;
    for (const NamedTensor& tensor : state)
      if (tensor.name != name) rest.push_back(tensor);
    BOOST_REQUIRE(rest.size() + 1 == state.size());
    state = rest;
  }
  void check(const char* words) {
    const std::string message = message_of<DataError>([&] { adam.load_state(state, "run.safetensors"); });
    BOOST_TEST(contains(message, words), message);
    BOOST_TEST(contains(message, "run.safetensors: "), message);
    BOOST_TEST(same(adam.state(), before));
  }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_missing_setting_is_named, Refusal) {
  remove("Adam.settings.0.beta2");
  check("Adam.settings.0.beta2 is missing");
}

BOOST_FIXTURE_TEST_CASE(a_missing_moment_is_named, Refusal) {
  remove("Adam.parameters.b.v");
  check("Adam.parameters.b.v is missing");
}

BOOST_FIXTURE_TEST_CASE(an_unexpected_name_is_named, Refusal) {
  state.push_back({"Adam.parameters.c.m", Tensor::zeros({1})});
  check("\"Adam.parameters.c.m\" is unexpected");
}

BOOST_FIXTURE_TEST_CASE(a_name_twice_is_named, Refusal) {
  state.push_back(state.back());
  check("\"Adam.parameters.b.v\" occurs twice");
}

BOOST_FIXTURE_TEST_CASE(an_undefined_tensor_is_named, Refusal) {
  find("Adam.parameters.w.m").value = {};
  check("\"Adam.parameters.w.m\" is undefined");
}

BOOST_FIXTURE_TEST_CASE(another_shape_is_named, Refusal) {
  find("Adam.parameters.w.m").value = Tensor::zeros({3, 2});
  check("Adam.parameters.w.m is (3, 2) float32, but (2, 3) float32 is needed");
}

BOOST_FIXTURE_TEST_CASE(another_dtype_is_named, Refusal) {
  find("Adam.parameters.w.m").value = Tensor::zeros({2, 3}, float64);
  check("Adam.parameters.w.m is (2, 3) float64, but (2, 3) float32 is needed");
}

BOOST_FIXTURE_TEST_CASE(a_setting_out_of_range_is_named, Refusal) {
  find("Adam.settings.0.beta1").value = Tensor::full({}, 1.5, float64);
  check("Adam: beta1 must be in [0, 1), but it is 1.5");
}

BOOST_FIXTURE_TEST_CASE(a_flag_is_0_or_1, Refusal) {
  find("Adam.settings.0.maximize").value = Tensor::full({}, 0.5, float64);
  check("Adam.settings.0.maximize is 0.5");
}

BOOST_FIXTURE_TEST_CASE(a_negative_count_is_named, Refusal) {
  Tensor count = Tensor::zeros({}, int64);
  *count.mutable_data<std::int64_t>() = -1;
  find("Adam.parameters.w.updates").value = count;
  check("Adam.parameters.w.updates is -1");
}

BOOST_FIXTURE_TEST_CASE(a_state_of_another_optimizer_is_refused, Refusal) {
  optim::AdamW adamw(t.parameters());
  state = adamw.state();
  check("this is not the state of Adam: it holds \"AdamW.settings.0.lr\"");
}

BOOST_FIXTURE_TEST_CASE(a_state_of_other_groups_is_refused, Refusal) {
  state = optim::Adam({{{t.w}, {}}, {{t.b}, {}}}).state();
  check("\"Adam.settings.1.lr\" is unexpected");
}

BOOST_FIXTURE_TEST_CASE(a_file_of_something_else_is_refused, Refusal) {
  write_safetensors(path("other"), std::vector<NamedTensor>{{"w", Tensor::zeros({2})}});
  BOOST_TEST(contains(message_of<DataError>([&] { optim::load(adam, path("other")); }), path("other") + ": this is not the state of Adam"));
  BOOST_TEST(same(adam.state(), before));
  std::remove(path("other").c_str());
}

BOOST_FIXTURE_TEST_CASE(a_truncated_file_is_refused, Refusal) {
  optim::save(given, path("truncated"));
  std::ifstream whole(path("truncated"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(whole)), std::istreambuf_iterator<char>());
  whole.close();
  for (const std::size_t kept : {std::size_t{0}, std::size_t{20}, bytes.size() / 2, bytes.size() - 1}) {
    std::ofstream(path("truncated"), std::ios::binary | std::ios::trunc) << bytes.substr(0, kept);
    BOOST_TEST(contains(message_of<DataError>([&] { optim::load(adam, path("truncated")); }), path("truncated")));
    BOOST_TEST(same(adam.state(), before));
  }
  std::remove(path("truncated").c_str());
}

BOOST_AUTO_TEST_CASE(momentum_that_has_set_in_survives) {
  Training t, u;
  optim::SGD first(t.parameters(), {.lr = 0.01});
  first.set_momentum(0.9);
  t.run(first, 3);
  first.set_momentum(0);
  t.run(first, 1);
  optim::SGD second(u.parameters());
  second.load_state(first.state());
  u.w = t.w;
  u.b = t.b;
  u.step = t.step;
  first.set_momentum(0.9);
  second.set_momentum(0.9);
  t.run(first, 2);
  u.run(second, 2);
  BOOST_TEST((bits(t) == bits(u)));
}

BOOST_AUTO_TEST_CASE(a_frozen_parameter_has_no_moments) {
  Training t;
  t.b.freeze();
  optim::Adam adam(t.parameters());
  t.run(adam, 2);
  BOOST_TEST(adam.state().back().name == "Adam.parameters.b.updates");
  optim::Adam again(t.parameters());
  again.load_state(adam.state());
  BOOST_TEST(same(again.state(), adam.state()));
}
