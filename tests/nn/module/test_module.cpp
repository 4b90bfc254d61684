#include "nn/module/module.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "autodiff/tensor/storage.h"
#include "nn/nn.h"
#include "optim/optim.h"
#include "tests/support/throws.h"

using namespace wengert;

namespace {

std::atomic<std::size_t> allocations{0};

}  // namespace

// Counts what the whole program asks of the heap. (Inlined, g++ 12 takes the pair of malloc and free for a mismatch.)
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* block = std::malloc(bytes)) return block;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace {

struct Net : nn::Module {
  Generator generator{1};
  nn::Linear hidden{2, 8, {}, generator}, out{8, 1, {}, generator};

  Tensor operator()(const Tensor& x) const { return sigmoid(out(tanh(hidden(x)))); }
  void visit(nn::Visitor& v) override {
    v("hidden", hidden);
    v("out", out);
  }
};

// Nested modules, a list, state and a parameter of its own.
struct Deep : nn::Module {
  Net net;
  std::vector<nn::Linear> layers{nn::Linear(1, 2), nn::Linear(2, 3, {.bias = false})};
  Parameter scale{Tensor::ones({1})};
  Tensor steps = Tensor::zeros({}, int64), average = Tensor::zeros({2});

  void visit(nn::Visitor& v) override {
    v("net", net);
    v("layers", layers);
    v("scale", scale);
    v("steps", steps);
    v("average", average);
  }
};

const std::vector<std::string> deep_names{"net.hidden.weight", "net.hidden.bias", "net.out.weight",  "net.out.bias",
                                          "layers.0.weight",   "layers.0.bias",   "layers.1.weight", "scale"};

std::vector<double> values(const Parameter& p) { return p.value().to_vector<double>(); }
bool same(const Parameter& a, const Parameter& b) { return a.ref() == b.ref(); }

const Tensor xor_x = Tensor::from({{0, 0}, {0, 1}, {1, 0}, {1, 1}}), xor_y = Tensor::from({0, 1, 1, 0}, {4, 1});

template <class Model, class Optimizer> double train_step(Model& model, Optimizer& optimizer) {
  Tape tape;
  const Tensor loss = nn::half_squared_error(model(xor_x), xor_y);
  optimizer.step(tape.gradient(loss, model.parameters()));
  return loss.item();
}

}  // namespace

BOOST_AUTO_TEST_CASE(parameters_come_in_the_order_of_visit_with_dotted_names) {
  const Deep model;
  const ParameterList list = model.parameters();
  BOOST_TEST(list.size() == deep_names.size());
  for (std::size_t i = 0; i < list.size(); ++i) BOOST_TEST(list[i]->name == deep_names[i]);
  BOOST_TEST((list[0] == model.net.hidden.weight.ref()));
  const auto named = model.named_parameters();
  for (std::size_t i = 0; i < list.size(); ++i) {
    BOOST_TEST(named[i].name == deep_names[i]);
    BOOST_TEST((named[i].parameter == list[i]));
  }
  BOOST_TEST(model.parameter_count() == 2 * 8 + 8 + 8 + 1 + 2 + 2 + 6 + 1);
}

// All kinds of members that `visit` can name, empty ones among them.
BOOST_AUTO_TEST_CASE(members_are_parameters_tensors_modules_and_containers_and_owners_of_these) {
  struct Scale {  // no module, but it has `visit`
    Parameter factor{Tensor::ones({1})};
    void visit(nn::Visitor& v) { v("factor", factor); }
  };
  struct Model : nn::Module {
    std::vector<Parameter> vector{Parameter(Tensor::ones({1})), Parameter(Tensor::ones({2}))};
    std::array<nn::Linear, 2> array{nn::Linear(1, 1), nn::Linear(1, 1, {.bias = false})};
    Parameter plain[2] = {Parameter(Tensor::ones({1})), Parameter(Tensor::ones({1}))};
    std::list<Scale> scales{Scale(), Scale()};
    std::optional<nn::PReLU> present{nn::PReLU()}, absent;
    std::optional<Parameter> shift{Parameter(Tensor::ones({1}))};
    std::unique_ptr<nn::Module> any = std::make_unique<nn::Linear>(1, 1, nn::LinearOptions{.bias = false}), nothing;
    std::shared_ptr<nn::PReLU> shared = std::make_shared<nn::PReLU>();
    std::vector<std::unique_ptr<nn::Module>> owners;
    std::vector<std::vector<Tensor>> state{{Tensor::ones({1})}, {Tensor::ones({1}), Tensor()}};
    Parameter undefined;
    Model() {
      owners.push_back(std::make_unique<nn::PReLU>());
      owners.push_back(nullptr);
      owners.push_back(std::make_unique<nn::PReLU>());
    }
    void visit(nn::Visitor& v) override {
      v("vector", vector);
      v("array", array);
      v("plain", plain);
      v("scales", scales);
      v("present", present);
      v("absent", absent);
      v("shift", shift);
      v("any", any);
      v("nothing", nothing);
      v("shared", shared);
      v("owners", owners);
      v("state", state);
      v("undefined", undefined);
    }
  } model;
  const std::vector<std::string> names{"vector.0",  "vector.1",   "array.0.weight",  "array.0.bias",    "array.1.weight",
                                       "plain.0",   "plain.1",    "scales.0.factor", "scales.1.factor", "present.weight",
                                       "shift",     "any.weight", "shared.weight",   "owners.0.weight", "owners.2.weight",
                                       "state.0.0", "state.1.0"};
  std::vector<std::string> seen;
  for (const NamedTensor& entry : nn::state(model)) seen.push_back(entry.name);
  BOOST_TEST(seen == names, boost::test_tools::per_element());
  BOOST_TEST(model.parameters().size() == names.size() - 2);
  model.eval();
  BOOST_TEST(!model.array[1].training());
  BOOST_TEST(!model.any->training());
  BOOST_TEST(!model.owners[2]->training());
  model.to(float64);
  BOOST_TEST((model.state[1][0].dtype() == float64));
  BOOST_TEST((model.scales.back().factor.dtype() == float64));
}

BOOST_AUTO_TEST_CASE(parameters_of_layers_say_whose_they_are_until_a_model_names_them) {
  Net model;
  BOOST_TEST(model.hidden.weight.name() == "weight of Linear(2, 8)");
  BOOST_TEST(model.hidden.parameters()[0]->name == "weight of Linear(2, 8)");
  BOOST_TEST(model.parameters()[0]->name == "hidden.weight");
  BOOST_TEST(model.hidden.parameters()[0]->name == "hidden.weight");
}

BOOST_AUTO_TEST_CASE(errors_name_parameters_and_the_line_that_made_the_layer) {
  const nn::Linear layer(2, 3);
  const auto line = std::to_string(__LINE__ - 1);
  const std::string first = testing::message_of<ShapeError>([&] { layer.weight + Tensor::ones({4, 5}); });
  BOOST_TEST(testing::contains(first, "weight of Linear(2, 3)"));
  BOOST_TEST(testing::contains(first, "made at test_module.cpp:" + line));
  const Deep model;
  static_cast<void>(model.parameters());
  BOOST_TEST(testing::contains(testing::message_of<ShapeError>([&] {
                                 model.net.hidden.weight + Tensor::ones({4, 5});
                               }),
                               "parameter net.hidden.weight"));
}

BOOST_AUTO_TEST_CASE(a_part_keeps_the_names_of_the_whole) {
  const Deep model;
  BOOST_TEST(model.net.parameters()[0]->name == "hidden.weight");
  BOOST_TEST(model.parameters()[0]->name == "net.hidden.weight");
  BOOST_TEST(model.net.parameters()[0]->name == "net.hidden.weight");
}

BOOST_AUTO_TEST_CASE(copies_are_deep) {
  const Deep model;
  Deep copy = model;
  BOOST_TEST(!same(copy.net.hidden.weight, model.net.hidden.weight));
  BOOST_TEST(!same(copy.layers[0].weight, model.layers[0].weight));
  BOOST_TEST(values(copy.net.hidden.weight) == values(model.net.hidden.weight));
  const auto before = values(model.net.hidden.weight);
  nn::init::constant(copy.net.hidden.weight, 3);
  copy.average.mutable_data<float>()[0] = 5;
  BOOST_TEST(values(model.net.hidden.weight) == before);
  BOOST_TEST(model.average.at({0}) == 0);
}

BOOST_AUTO_TEST_CASE(assignment_copies_values_and_keeps_identities) {
  Deep model;
  const ParameterList list = model.parameters();
  Deep best;
  nn::init::constant(best.net.hidden.weight, 3);
  nn::init::constant(best.layers[1].weight, 4);
  model = best;
  const ParameterList after = model.parameters();
  for (std::size_t i = 0; i < list.size(); ++i) BOOST_TEST((after[i] == list[i]));
  BOOST_TEST(values(model.net.hidden.weight) == values(best.net.hidden.weight));
  BOOST_TEST(values(model.layers[1].weight) == values(best.layers[1].weight));
  BOOST_TEST(!same(model.scale, best.scale));
  model = Deep(best);  // from a temporary
  BOOST_TEST((model.parameters()[0] == list[0]));
}

BOOST_AUTO_TEST_CASE(an_optimizer_stays_valid_when_the_model_goes_back_to_its_best) {
  Net model;
  optim::SGD sgd(model.parameters(), {.lr = 0.5});
  const Net best = model;
  const double first = train_step(model, sgd);
  model = best;
  BOOST_TEST(train_step(model, sgd) == first);
  BOOST_TEST(values(model.out.bias) != values(best.out.bias));
}

BOOST_AUTO_TEST_CASE(generators_have_names_and_are_no_part_of_the_state) {
  Generator g(1);
  nn::Sequential net(nn::Linear(2, 2, {}, g), nn::Dropout(0.5, g), nn::Linear(2, 2, {}, g));
  const std::vector<nn::NamedGenerator> all = net.generators();
  BOOST_REQUIRE(all.size() == 1u);
  BOOST_TEST(all[0].name == "1.generator");
  net(Tensor::zeros({4, 2}));
  BOOST_TEST(all[0].generator->counter() > 0u);
  BOOST_TEST(nn::state(net).size() == 4u);
  BOOST_TEST(nn::LSTM(2, 2, {}, g).generators().size() == 1u);
  BOOST_TEST(nn::MultiheadAttention(2, 1, {}, g).generators().size() == 1u);
  BOOST_TEST(nn::TransformerEncoderLayer(2, 1, {}, g).generators().size() == 4u);
}

BOOST_AUTO_TEST_CASE(modes_reach_all_modules) {
  Deep model;
  BOOST_TEST(model.training());
  BOOST_TEST(model.layers[1].training());
  model.eval();
  BOOST_TEST(!model.training());
  BOOST_TEST(!model.net.hidden.training());
  BOOST_TEST(!model.layers[1].training());
  model.train();
  BOOST_TEST(model.net.hidden.training());
}

BOOST_AUTO_TEST_CASE(assignment_leaves_the_mode_alone) {
  Deep model;
  model.eval();
  const Deep best = model;
  BOOST_TEST(!best.net.training());
  model.train();
  model = best;
  BOOST_TEST(model.training());
  BOOST_TEST(model.net.hidden.training());
  nn::Sequential layers{nn::Tanh(), nn::ReLU()};
  nn::Sequential kept = layers;
  kept.eval();
  layers = kept;
  BOOST_TEST(layers.training());
  BOOST_TEST(layers[0].training());
}

BOOST_AUTO_TEST_CASE(to_converts_parameters_and_floating_state) {
  Deep model;
  const auto before = values(model.net.out.weight);
  const ParameterRef identity = model.net.out.weight.ref();
  model.to(float64);
  for (const ParameterRef& p : model.parameters()) BOOST_TEST((p->value.dtype() == float64));
  BOOST_TEST((model.average.dtype() == float64));
  BOOST_TEST((model.steps.dtype() == int64));
  BOOST_TEST(values(model.net.out.weight) == before);
  BOOST_TEST((model.net.out.weight.ref() == identity));
  BOOST_CHECK_THROW(model.to(int64), DtypeError);
}

BOOST_AUTO_TEST_CASE(frozen_parameters_are_constants) {
  Net model;
  model.hidden.freeze();
  BOOST_TEST(model.hidden.weight.frozen());
  BOOST_TEST(!model.out.weight.frozen());
  Tape tape;
  tanh(model.hidden(xor_x));
  BOOST_TEST(tape.nodes() == 0u);
  model.freeze(false);
  tanh(model.hidden(xor_x));
  BOOST_TEST(tape.nodes() > 0u);
}

BOOST_AUTO_TEST_CASE(a_model_trains_with_some_layers_frozen) {
  Net model;
  model.hidden.freeze();
  optim::SGD sgd(model.parameters(), {.lr = 0.5, .weight_decay = 0.1});
  const auto frozen = values(model.hidden.weight), trained = values(model.out.weight);
  train_step(model, sgd);
  BOOST_TEST(values(model.hidden.weight) == frozen);
  BOOST_TEST(values(model.out.weight) != trained);
  Tape tape;
  const Tensor loss = sum(model(xor_x));
  BOOST_TEST(tape.gradient(loss, model.parameters()).of(model.hidden.weight.ref().get()).to_vector<double>() == std::vector<double>(16));
}

BOOST_AUTO_TEST_CASE(printing_lists_the_modules) {
  BOOST_TEST(nn::to_string(Net()) ==
             "        Net           33\n"
             "hidden  Linear(2, 8)  24\n"
             "out     Linear(8, 1)   9");
}

BOOST_AUTO_TEST_CASE(a_model_without_parameters_has_an_empty_list) {
  BOOST_TEST(nn::ReLU().parameters().empty());
  BOOST_TEST(nn::ReLU().label() == "ReLU");
}

BOOST_AUTO_TEST_CASE(an_mlp_learns_xor) {
  Net model;
  optim::SGD sgd(model.parameters(), {.lr = 2, .momentum = 0.9});
  for (int step = 0; step < 1000; ++step) train_step(model, sgd);
  const auto y = model(xor_x).to_vector<double>();
  BOOST_TEST(y[0] < 0.1);
  BOOST_TEST(y[1] > 0.9);
  BOOST_TEST(y[2] > 0.9);
  BOOST_TEST(y[3] < 0.1);
}

BOOST_AUTO_TEST_CASE(a_steady_training_step_allocates_nothing) {
  struct Wrapped : nn::Module {  // its names are too long to lie inside a string
    Net a_network_inside_another;
    Tensor operator()(const Tensor& x) const { return a_network_inside_another(x); }
    void visit(nn::Visitor& v) override { v("a_network_inside_another", a_network_inside_another); }
  };
  Wrapped model;
  nn::Sequential sequential(nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), [](const Tensor& x) { return sigmoid(x); });
  optim::SGD sgd(model.parameters(), {.lr = 0.1, .momentum = 0.9}), other(sequential.parameters(), {.lr = 0.1});
  const auto steps = [&](int n) {
    for (int i = 0; i < n; ++i) {
      train_step(model, sgd);
      train_step(sequential, other);
    }
  };
  steps(10);
  const std::size_t before = allocations, pooled = pool::statistics().heap_allocations;
  steps(100);
  BOOST_TEST(allocations - before == 0u);
  BOOST_TEST(pool::statistics().heap_allocations - pooled == 0u);
}

BOOST_AUTO_TEST_CASE(threads_may_share_a_model) {
  const Deep model;
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        Tape tape;
        const ParameterList list = model.net.parameters();
        const Gradients g = tape.gradient(sum(model.net(xor_x)), list);
        wrong += g.size() != 4 || model.parameters().size() != 8;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  BOOST_TEST(wrong == 0);
}
