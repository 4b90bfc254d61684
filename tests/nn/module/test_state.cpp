#include "nn/module/state.h"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "autodiff/io/safetensors.h"
#include "autodiff/ops.h"
#include "autodiff/tape/tape.h"
#include "nn/layers/basic.h"
#include "nn/layers/sequential.h"
#include "optim/adam.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/throws.h"

using namespace wengert;
using wengert::testing::contains;
using wengert::testing::message_of;
using wengert::testing::TemporaryFolder;

namespace {

struct Model : nn::Module {
  nn::Linear hidden, out;
  Tensor steps = Tensor::zeros({}, int64), average = Tensor::zeros({2});

  explicit Model(std::uint64_t seed, Generator generator = Generator(0))
      : hidden(2, 3, {}, generator = Generator(seed)), out(3, 1, {.bias = false}, generator) {}
  Tensor operator()(const Tensor& x) const { return out(tanh(hidden(x))); }
  void visit(nn::Visitor& v) override {
    v("hidden", hidden);
    v("out", out);
    v("steps", steps);
    v("average", average);
  }
};

const std::vector<std::string> kNames{"hidden.weight", "hidden.bias", "out.weight", "steps", "average"};

std::vector<std::vector<double>> values_of(const nn::Module& model) {
  std::vector<std::vector<double>> values;
  for (const auto& [name, value] : nn::state(model)) values.push_back(value.to_vector<double>());
  return values;
}

// The state of another model, with one tensor replaced.
std::vector<NamedTensor> state_with(const char* name, const Tensor& value) {
  std::vector<NamedTensor> state = nn::state(Model(2));
  for (NamedTensor& tensor : state)
    if (tensor.name == name) tensor.value = value;
  return state;
}

// Loading must fail with a message that contains the text, and leave every value as it was.
template <class Load> void check_refused(Load&& load, std::string_view text) {
  Model model(1);
  const auto before = values_of(model);
  BOOST_TEST(contains(message_of<DataError>([&] { load(model); }), text));
  BOOST_TEST((values_of(model) == before));
}

void check_state_refused(const std::vector<NamedTensor>& state, std::string_view text) {
  check_refused([&](Model& model) { nn::load_state(model, state); }, text);
}

void check_file_refused(const std::string& bytes, std::string_view text) {
  const TemporaryFolder folder;
  const std::string path = folder.write("hostile.safetensors", bytes);
  check_refused([&](Model& model) { nn::load(model, path); }, text);
  check_refused([&](Model& model) { nn::load(model, path); }, path + ": ");
}

std::string with_length(std::uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + rest;
}
std::string file_of(const std::string& header, std::size_t data_bytes) {
  return with_length(header.size(), header + std::string(data_bytes, '\0'));
}

}  // namespace

BOOST_AUTO_TEST_CASE(parameters_and_running_values_by_name) {
  const Model model(1);
  const std::vector<NamedTensor> state = nn::state(model);
  BOOST_TEST_REQUIRE(state.size() == kNames.size());
  for (std::size_t i = 0; i < kNames.size(); ++i) BOOST_TEST(state[i].name == kNames[i]);
  BOOST_TEST((state[4].value.shape() == Shape{2}));
  BOOST_TEST((state[0].value.elements() == model.hidden.weight.value().elements()));
}

BOOST_AUTO_TEST_CASE(a_state_goes_from_model_to_model) {
  Model from(1), to(2);
  from.steps = Tensor::full({}, 7, int64);
  from.average = Tensor::from({3, 4});
  nn::load_state(to, nn::state(from));
  BOOST_TEST((values_of(to) == values_of(from)));
  BOOST_TEST((to.steps.dtype() == int64));
  from.average.mutable_data<float>()[0] = 9;
  BOOST_TEST(to.average.at({0}) == 3);
}

BOOST_AUTO_TEST_CASE(a_file_brings_back_the_same_bits) {
  const TemporaryFolder folder;
  const std::string path = folder.path("model.safetensors");
  const Model saved(1);
  const std::vector<std::pair<std::string, std::string>> metadata{{"epoch", "8"}};
  nn::save(saved, path, metadata);
  Model loaded(2);
  const nn::StateDifference difference = nn::load(loaded, path);
  BOOST_TEST(difference.missing.empty());
  BOOST_TEST(difference.unexpected.empty());
  BOOST_TEST((values_of(loaded) == values_of(saved)));
  BOOST_TEST((read_safetensors(path).metadata == metadata));
  BOOST_TEST(folder.count() == 1u);
  // Nothing refers to the file any more.
  folder.write("model.safetensors", "");
  BOOST_TEST((values_of(loaded) == values_of(saved)));
}

BOOST_AUTO_TEST_CASE(optimizers_stay_valid) {
  Model model(1);
  optim::Adam adam(model.parameters());
  model.hidden.bias.freeze();
  const ParameterRef weight = model.hidden.weight.ref();
  const Tensor x = Tensor::ones({4, 2});
  const auto step = [&] {
    Tape tape;
    adam.step(tape.gradient(mean(square(model(x))), model.parameters()));
  };
  step();
  nn::load_state(model, nn::state(Model(2)));
  BOOST_TEST((model.hidden.weight.ref() == weight));
  BOOST_TEST(model.hidden.bias.frozen());
  const auto before = values_of(model);
  step();
  BOOST_TEST((values_of(model)[0] != before[0]));
}

BOOST_AUTO_TEST_CASE(loading_under_a_tape_is_not_recorded) {
  Model model(1);
  Tape tape;
  const Tensor old = model.hidden.weight;
  const std::vector<double> kept = old.to_vector<double>();
  const std::size_t nodes = tape.nodes();
  nn::load_state(model, nn::state(Model(2)));
  BOOST_TEST(tape.nodes() == nodes);
  BOOST_TEST((old.to_vector<double>() == kept));
}

BOOST_AUTO_TEST_CASE(floating_values_take_the_dtype_of_the_model) {
  Model model(1);
  nn::load_state(model, state_with("average", Tensor::from({0.1, 0.2}, float64)));
  BOOST_TEST((model.average.dtype() == float32));
  BOOST_TEST(model.average.at({0}) == static_cast<double>(0.1F));
  model.to(float64);
  nn::load_state(model, nn::state(Model(2)));
  BOOST_TEST((model.hidden.weight.dtype() == float64));
  BOOST_TEST((values_of(model) == values_of(Model(2))));
}

BOOST_AUTO_TEST_CASE(all_that_does_not_fit_is_listed_together) {
  std::vector<NamedTensor> state = nn::state(Model(2));
  state[0].value = Tensor::zeros({3, 1});
  state[1].name = "hidden.offset";
  state[3].value = Tensor::zeros({});
  check_state_refused(
      state,
      "load_state: does not fit Model: missing hidden.bias; unexpected \"hidden.offset\"; wrong shape hidden.weight ((3, 1) "
      "float32 where the model has (3, 2) float32); wrong dtype steps (() float32 where the model has () int64)");
  check_state_refused(state_with("average", Tensor::zeros({2}, int64)), "wrong dtype average");
  check_state_refused(state_with("average", Tensor()), "\"average\" is undefined");
  state = nn::state(Model(2));
  state.push_back(state[0]);
  check_state_refused(state, "\"hidden.weight\" occurs twice");
  check_state_refused({}, "missing hidden.weight, hidden.bias, out.weight, steps, average");
}

BOOST_AUTO_TEST_CASE(a_wrong_file_does_not_fill_the_screen) {
  std::vector<NamedTensor> state = nn::state(Model(2));
  for (int i = 0; i < 1000; ++i) state.push_back({std::to_string(i) + std::string(500, 'x'), Tensor::zeros({1})});
  Model model(1);
  const std::string message = message_of<DataError>([&] { nn::load_state(model, state); });
  BOOST_TEST(contains(message, " and 980 more"));
  BOOST_TEST(message.size() < 2000u);
}

BOOST_AUTO_TEST_CASE(names_on_one_side_may_be_passed_over) {
  Model model(1);
  const Model before(1), other(2);
  std::vector<NamedTensor> state = nn::state(other);
  state[0].name = "elsewhere";
  const nn::StateDifference difference = nn::load_state(model, state, {.strict = false});
  BOOST_TEST(difference.missing == std::vector<std::string>{"hidden.weight"}, boost::test_tools::per_element());
  BOOST_TEST(difference.unexpected == std::vector<std::string>{"elsewhere"}, boost::test_tools::per_element());
  BOOST_TEST((values_of(model)[0] == values_of(before)[0]));
  BOOST_TEST((values_of(model)[1] == values_of(other)[1]));
  state[1].value = Tensor::zeros({4});
  BOOST_CHECK_THROW(nn::load_state(model, state, {.strict = false}), DataError);
}

BOOST_AUTO_TEST_CASE(layers_of_a_sequential_are_numbered) {
  nn::Sequential from(nn::Linear(2, 3), nn::Tanh(), nn::Linear(3, 1)), to(nn::Linear(2, 3), nn::Tanh(), nn::Linear(3, 1));
  BOOST_TEST(nn::state(from)[2].name == "2.weight");
  nn::load_state(to, nn::state(from));
  const Tensor x = Tensor::ones({1, 2});
  BOOST_TEST(to(x).item() == from(x).item());
}

BOOST_AUTO_TEST_CASE(hostile_files_load_nothing) {
  const TemporaryFolder folder;
  nn::save(Model(2), folder.path("whole"));
  const std::string whole = folder.read("whole");
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{7}, std::size_t{8}, whole.size() / 2, whole.size() - 1})
    check_file_refused(whole.substr(0, bytes), "");
  check_file_refused(with_length(std::uint64_t{1} << 63, whole), "9223372036854775808 bytes");
  const auto entry = [](const char* shape, const char* offsets, const char* dtype = "F32") {
    return std::string(R"({"dtype":")") + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  check_file_refused(file_of(R"({"a":)" + entry("[2]", "[0,8]") + R"(,"b":)" + entry("[2]", "[4,12]") + "}", 12), "inside another");
  check_file_refused(file_of(R"({"a":)" + entry("[2]", "[0,9223372036854775807]") + "}", 8), "but the file has 8");
  check_file_refused(file_of(R"({"a":)" + entry("[2]", "[0,8]") + R"(,"a":)" + entry("[2]", "[0,8]") + "}", 8), "occurs twice");
  check_file_refused(file_of(R"({"a":)" + entry("[NaN]", "[0,8]") + "}", 8), "not JSON");
  check_file_refused(file_of(R"({"a":)" + entry("[1e400]", "[0,8]") + "}", 8), "");
  check_file_refused(file_of(R"({"a":)" + entry("[4294967296,4294967296]", "[0,8]") + "}", 8), "too many");
  check_file_refused(file_of(R"({"a":)" + entry("[2]", "[0,8]", "F8") + "}", 8), "one of F32");
  check_file_refused(file_of(R"({"average":)" + entry("[2]", "[0,8]") + "}", 8), "missing hidden.weight");
  check_refused([&](Model& model) { nn::load(model, folder.path("absent")); }, "there is no such file");
}
