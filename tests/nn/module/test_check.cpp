#include "nn/module/check.h"

#include <array>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/nn.h"
#include "tests/support/throws.h"

using namespace wengert;
using testing::contains, testing::message_of;

namespace {

const Tensor input = Tensor::from({{1, -2}, {3, 4}, {0, 1}});

// A model with two layers, of which `visit` names what a test says.
struct Net : nn::Module {
  nn::Linear first{2, 3}, second{3, 1};
  bool names_first = true, names_second = true, reads_second = true;

  Tensor operator()(const Tensor& x) const {
    const Tensor h = tanh(first(x));
    return reads_second ? second(h) : h;
  }
  void visit(nn::Visitor& v) override {
    if (names_first) v("first", first);
    if (names_second) v("second", second);
  }
};

template <class M> std::string complaint(M model) {
  return message_of<Error>([&] { nn::check(model, input); });
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_complete_model_passes_and_stays_as_it_was) {
  Net model;
  model.first.eval();
  const auto before = model.first.weight.value().to_vector<double>();
  nn::check(model, input);
  BOOST_TEST(model.training());
  BOOST_TEST(!model.first.training());
  BOOST_TEST(model.second.training());
  BOOST_TEST(model.first.weight.value().to_vector<double>() == before);
}

BOOST_AUTO_TEST_CASE(a_layer_that_visit_forgets) {
  Net model;
  model.names_second = false;
  const std::string text = complaint(model);
  BOOST_TEST(contains(text, "check of Net:"));
  BOOST_TEST(
      contains(text, "the forward pass reads, but visit does not name: weight of Linear(3, 1), (1, 3) float32 made at test_check.cpp:"));
  BOOST_TEST(contains(text, "bias of Linear(3, 1)"));
  BOOST_TEST(text.find("Linear(2, 3)") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_parameter_that_visit_forgets) {
  struct Scaled : nn::Module {
    nn::Linear layer{2, 1};
    Parameter scale{Tensor::ones({1}), "scale"};
    Tensor operator()(const Tensor& x) const { return scale * layer(x); }
    void visit(nn::Visitor& v) override { v("layer", layer); }
  };
  BOOST_TEST(contains(complaint(Scaled()), "the forward pass reads, but visit does not name: scale, "));
}

BOOST_AUTO_TEST_CASE(a_parameter_without_a_name_is_told_by_the_line_that_reads_it) {
  struct Scaled : nn::Module {
    nn::Linear layer{2, 1};
    Parameter scale{Tensor::ones({1})};
    Tensor operator()(const Tensor& x) const { return scale * layer(x); }
    void visit(nn::Visitor& v) override { v("layer", layer); }
  };
  const std::string line = std::to_string(__LINE__ - 3), text = complaint(Scaled());
  BOOST_TEST(contains(text, "a parameter without a name, (1,) float32 made at"), text);
  BOOST_TEST(contains(text, ", read by multiply at test_check.cpp:" + line), text);
}

BOOST_AUTO_TEST_CASE(a_layer_that_the_forward_pass_forgets) {
  Net model;
  model.reads_second = false;
  const std::string text = complaint(model);
  BOOST_TEST(contains(text, "visit names, but the forward pass does not read: second.weight, (1, 3) float32 made at test_check.cpp:"));
  BOOST_TEST(contains(text, "second.bias"));
}

BOOST_AUTO_TEST_CASE(a_layer_that_is_read_in_one_mode_only_is_read) {
  struct Auxiliary : nn::Module {
    nn::Linear head{2, 1}, helper{2, 1};
    Tensor operator()(const Tensor& x) const { return training() ? head(x) + helper(x) : head(x); }
    void visit(nn::Visitor& v) override {
      v("head", head);
      v("helper", helper);
    }
  } model;
  BOOST_CHECK_NO_THROW(nn::check(model, input));
}

BOOST_AUTO_TEST_CASE(a_dropout_that_visit_forgets_stays_in_training_mode) {
  struct Dropping : nn::Module {
    nn::Linear layer{2, 1};
    nn::Dropout dropout{0.25};
    Tensor operator()(const Tensor& x) const { return layer(dropout(x)); }
    void visit(nn::Visitor& v) override { v("layer", layer); }
  };
  BOOST_TEST(complaint(Dropping()).find("saved model") == std::string::npos);  // the outputs differ for this reason alone
  BOOST_TEST(
      contains(complaint(Dropping()),
               "the behaviour of Dropout(0.25) depends on the mode, but visit does not reach it: eval() would leave it in training mode"));
}

BOOST_AUTO_TEST_CASE(state_that_visit_forgets) {
  struct Centred : nn::Module {
    nn::Linear layer{2, 1};
    Tensor average = Tensor::zeros({2});
    bool names_average = false;
    Tensor operator()(const Tensor& x) {
      if (training()) average = (0.5 * average + 0.5 * mean(x, 0)).constant();
      return layer(x - average);
    }
    void visit(nn::Visitor& v) override {
      v("layer", layer);
      if (names_average) v("average", average);
    }
  } model;
  BOOST_TEST(contains(complaint(model), "training changes something that evaluation depends on, and that visit does not name"));
  model.names_average = true;
  BOOST_CHECK_NO_THROW(nn::check(model, input));
  BOOST_TEST(model.average.to_vector<double>() == (std::vector<double>{0, 0}));
}

BOOST_AUTO_TEST_CASE(layers_of_a_list_that_visit_forgets) {
  struct Half : nn::Module {
    std::vector<nn::Linear> layers{nn::Linear(2, 2), nn::Linear(2, 2)};
    Tensor operator()(const Tensor& x) const { return layers[1](layers[0](x)); }
    void visit(nn::Visitor& v) override { v("layers", layers[0]); }
  };
  BOOST_TEST(contains(complaint(Half()), "the forward pass reads, but visit does not name: weight of Linear(2, 2), "));
}

BOOST_AUTO_TEST_CASE(names_and_members_that_visit_gives_twice) {
  struct SameName : nn::Module {
    nn::Linear a{2, 2}, b{2, 2};
    Tensor operator()(const Tensor& x) const { return b(a(x)); }
    void visit(nn::Visitor& v) override {
      v("layer", a);
      v("layer", b);
    }
  };
  BOOST_TEST(contains(complaint(SameName()), "visit gives the name layer.weight twice"));
  struct SameMember : nn::Module {
    nn::Linear a{2, 2};
    Tensor operator()(const Tensor& x) const { return a(a(x)); }
    void visit(nn::Visitor& v) override {
      v("a", a);
      v("b", a);
    }
  };
  BOOST_TEST(contains(complaint(SameMember()), "visit names one parameter twice, the second time as b.weight"));
}

BOOST_AUTO_TEST_CASE(copies_that_share_parameters) {
  struct Sharing : nn::Module {
    std::shared_ptr<nn::Linear> layer = std::make_shared<nn::Linear>(2, 1);
    Tensor operator()(const Tensor& x) const { return (*layer)(x); }
    void visit(nn::Visitor& v) override { v("layer", layer); }
  };
  BOOST_TEST(contains(complaint(Sharing()), "a copy of the model shares the parameter layer.weight with it"));
}

BOOST_AUTO_TEST_CASE(copies_that_are_no_copies) {
  struct Forgetful : nn::Module {
    nn::Linear layer{2, 1};
    double offset = 1;
    Forgetful() = default;
    Forgetful(const Forgetful& o) : Module(o), layer(o.layer), offset(0) { nn::init::constant(layer.bias, 7); }
    Forgetful& operator=(const Forgetful&) = default;
    Tensor operator()(const Tensor& x) const { return layer(x) + offset; }
    void visit(nn::Visitor& v) override { v("layer", layer); }
  } model;
  const std::string text = message_of<Error>([&] { nn::check(model, input); });
  BOOST_TEST(contains(text, "layer.bias differs in a copy of the model"));
  BOOST_TEST(contains(text, "in evaluation mode, a copy of the model gives another output than the model"));
}

BOOST_AUTO_TEST_CASE(assignments_that_replace_parameters) {
  struct Replacing : nn::Module {
    nn::Linear layer{2, 1};
    Replacing() = default;
    Replacing(const Replacing&) = default;
    Replacing& operator=(const Replacing& o) {
      layer.weight.~Parameter();
      new (&layer.weight) Parameter(o.layer.weight);
      return *this;
    }
    Tensor operator()(const Tensor& x) const { return layer(x); }
    void visit(nn::Visitor& v) override { v("layer", layer); }
  };
  BOOST_TEST(contains(complaint(Replacing()), "assigning to the model replaces parameters"));
}

BOOST_AUTO_TEST_CASE(models_that_cannot_be_copied_are_checked_in_evaluation_mode) {
  struct Owning : nn::Module {
    std::unique_ptr<nn::Linear> layer = std::make_unique<nn::Linear>(2, 1), forgotten = std::make_unique<nn::Linear>(1, 1);
    nn::Dropout dropout{0.5};
    Tensor operator()(const Tensor& x) const { return (*forgotten)(dropout((*layer)(x))); }
    void visit(nn::Visitor& v) override {
      v("layer", layer);
      v("dropout", dropout);
    }
  } model;
  const std::string text = message_of<Error>([&] { nn::check(model, input); });
  BOOST_TEST(contains(text, "visit does not name: weight of Linear(1, 1)"));
  BOOST_TEST(text.find("Dropout") == std::string::npos);
  BOOST_TEST(model.training());
}

BOOST_AUTO_TEST_CASE(everything_is_listed_in_one_error) {
  struct Wrong : nn::Module {
    nn::Linear used{2, 2}, unused{2, 2};
    nn::Dropout dropout;
    Tensor operator()(const Tensor& x) const { return dropout(used(x)); }
    void visit(nn::Visitor& v) override { v("unused", unused); }
  };
  const std::string text = complaint(Wrong());
  BOOST_TEST(contains(text, "visit does not name: weight of Linear(2, 2)"));
  BOOST_TEST(contains(text, "does not read: unused.weight"));
  BOOST_TEST(contains(text, "Dropout(0.5) depends on the mode"));
}

BOOST_AUTO_TEST_CASE(frozen_parameters_are_not_asked_for) {
  Net model;
  model.reads_second = false;
  model.second.freeze();
  BOOST_CHECK_NO_THROW(nn::check(model, input));
}

BOOST_AUTO_TEST_CASE(a_check_within_a_tape_records_nothing_there) {
  Net model;
  Tape tape;
  nn::check(model, input);
  BOOST_TEST(tape.nodes() == 0u);
}

BOOST_AUTO_TEST_CASE(an_error_of_the_forward_pass_ends_the_check) {
  Net model;
  BOOST_CHECK_THROW(nn::check(model, Tensor::ones({2, 5})), ShapeError);
  BOOST_TEST(model.training());
  BOOST_CHECK_NO_THROW(nn::check(model, input));
}
